//! Requests that several workers serve.

use bytes::Bytes;
use gateway::{Running, Workers};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, task::JoinSet};

use crate::app::{App, question};

async fn served_by_two() -> (App, Running) {
    let (workers, running) = Workers::start(2).unwrap();
    (App::served_by(&workers).await, running)
}

async fn end(running: Running) {
    tokio::task::spawn_blocking(move || drop(running)).await.unwrap();
}

fn chat(app: &App, stream: bool) -> Request<Full<Bytes>> {
    let mut body = question("m");
    body["stream"] = stream.into();
    Request::post(format!("http://{}/v1/chat/completions", app.address))
        .header("authorization", format!("Bearer {}", app.key))
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.to_string())))
        .unwrap()
}

async fn connect(app: &App) -> TokioIo<TcpStream> {
    TokioIo::new(TcpStream::connect(app.address).await.unwrap())
}

#[tokio::test]
async fn a_request_uses_the_connections_of_its_worker() {
    let (app, running) = served_by_two().await;
    // More than enough for both to have one, whatever else is connected.
    let mut callers = Vec::new();
    for _ in 0..8 {
        let (caller, connection) = http1::handshake(connect(&app).await).await.unwrap();
        tokio::spawn(connection);
        callers.push(caller);
    }
    for turn in 0..4 {
        for caller in &mut callers {
            caller.ready().await.unwrap();
            let answer = caller.send_request(chat(&app, turn % 2 == 0)).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            answer.into_body().collect().await.unwrap();
        }
    }
    assert_eq!(*app.provider.accepted().borrow(), 2, "each worker has one");
    app.verified().await;
    end(running).await;
}

#[tokio::test]
async fn the_requests_of_one_http2_connection_go_to_all() {
    let (app, running) = served_by_two().await;
    let handshake = http2::handshake(TokioExecutor::new(), connect(&app).await).await;
    let (caller, connection) = handshake.unwrap();
    tokio::spawn(connection);
    let mut asking = JoinSet::new();
    for index in 0..40 {
        let (mut caller, request) = (caller.clone(), chat(&app, index % 2 == 0));
        asking.spawn(async move {
            let answer = caller.send_request(request).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            answer.into_body().collect().await.unwrap();
        });
    }
    while let Some(asked) = asking.join_next().await {
        asked.unwrap();
    }
    app.verified().await;
    end(running).await;
}
