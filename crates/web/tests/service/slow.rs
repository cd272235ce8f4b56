//! Callers that are slow on purpose: each waits against a limit and loses its place.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use testkit::{Act, Raw};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use web::serve::Limits;

use crate::app::{App, question};

const LIMIT: Duration = Duration::from_secs(1);
/// Anything that takes so long has no limit.
const FOREVER: Duration = Duration::from_secs(120);

async fn impatient() -> App {
    let long = Duration::from_secs(3600);
    let limits = Limits { header: LIMIT, write: LIMIT, connections: 4096, drain: LIMIT };
    App::limited(|settings| (settings.body, settings.body_idle, settings.idle) = (LIMIT, long, long), limits)
        .await
}

/// Says `first`, then `drop` again and again, and gives what comes back until the connection is closed.
async fn drip(app: &App, first: String, drop: &'static [u8]) -> String {
    let (mut reader, mut writer) = TcpStream::connect(app.address).await.unwrap().into_split();
    writer.write_all(first.as_bytes()).await.unwrap();
    let dripping = tokio::spawn(async move {
        let mut pace = tokio::time::interval(LIMIT / 20);
        while !drop.is_empty() && writer.write_all(drop).await.is_ok() {
            pace.tick().await;
        }
        std::future::pending::<()>().await;
    });
    let mut heard = Vec::new();
    let mut piece = [0; 1024];
    while let Ok(count @ 1..) = tokio::time::timeout(FOREVER, reader.read(&mut piece)).await.unwrap() {
        heard.extend_from_slice(&piece[..count]);
    }
    dripping.abort();
    String::from_utf8_lossy(&heard).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_drips_is_cut() {
    let app = impatient().await;
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n";
    let long = format!("{head}authorization: Bearer {}\r\ncontent-length: 99999\r\n\r\n{{", app.key);
    let [nothing, half, whole] = ["", "PRI * HTTP/2.0\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"];
    for (first, drop, expected) in [
        (nothing.to_owned(), b"".as_slice(), ""),
        (half.to_owned(), b"", ""),
        (whole.to_owned(), b"", ""),
        (head.to_owned(), b"x: y\r\n", ""),
        (long, b" ", "408"),
    ] {
        let heard = drip(&app, first.clone(), drop).await;
        let status = heard.strip_prefix("HTTP/1.1 ").map(|rest| &rest[..3]).unwrap_or_default();
        assert!(status == expected || status == "408", "{first}: {heard}");
        assert_eq!(status == "408" && heard.contains("request_timeout"), expected == "408", "{first}");
    }
    app.verified().await;
}

/// A service with a model whose upstream does not end its answer.
async fn endless() -> (App, Raw, String) {
    let app = impatient().await;
    let chunk = r#"{"choices":[{"index":0,"delta":{"content":"word"},"finish_reason":null}]}"#;
    let events = format!("data: {chunk}\n\n").repeat(100).into();
    let raw = Raw::start(vec![
        Act::Request,
        Act::send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"),
        Act::Endless(events, Duration::ZERO),
    ])
    .await
    .unwrap();
    let channel = json!({"name": "s", "base_url": raw.url(), "key": "sk-s", "models": ["s"]});
    assert_eq!(app.manage("POST", "/api/channel/", Some(channel)).await.json()["success"], true);
    let price = json!({"model": "s", "input": 0, "output": 1_000_000, "max_output": 100_000_000});
    assert_eq!(app.manage("PUT", "/api/price/", Some(price)).await.json()["success"], true);
    let mut body = question("s");
    body["stream"] = json!(true);
    (app, raw, body.to_string())
}

/// The upstream is stopped, and what was delivered is charged.
async fn is_cut(app: &App, raw: &Raw) {
    raw.accepted().wait_for(|accepted| *accepted == 1).await.unwrap();
    let mut open = raw.open();
    tokio::time::timeout(FOREVER, open.wait_for(|open| *open == 0)).await.unwrap().unwrap();
    app.verified().await;
    assert!(app.usage(&app.key).await["total_used"].as_i64().unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_nothing_is_cut_and_its_upstream_stopped() {
    let (app, raw, body) = endless().await;
    let mut caller = TcpStream::connect(app.address).await.unwrap();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n",
        app.key,
        body.len()
    );
    caller.write_all((head + &body).as_bytes()).await.unwrap();
    is_cut(&app, &raw).await;
    drop(caller);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_nothing_of_one_answer_loses_that_one() {
    let (app, raw, body) = endless().await;
    let stream = TcpStream::connect(app.address).await.unwrap();
    let (mut caller, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = |body: String| {
        let request = Request::post(format!("http://{}/v1/chat/completions", app.address));
        let request = request.header("authorization", format!("Bearer {}", app.key));
        request.body(Full::new(Bytes::from(body))).unwrap()
    };
    let unread = caller.send_request(request(body)).await.unwrap();
    is_cut(&app, &raw).await;
    let other = caller.send_request(request(question("m").to_string())).await.unwrap();
    assert_eq!((other.status().as_u16(), other.version()), (200, Version::HTTP_2));
    assert!(other.into_body().collect().await.is_ok());
    assert!(unread.into_body().collect().await.is_err(), "it does not look as if it were whole");
    connection.abort();
}
