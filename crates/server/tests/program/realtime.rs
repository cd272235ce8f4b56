//! Realtime sessions of the program: one that it dies in, and one that it says goodbye to.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use testkit::{Provider, Script};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use crate::process::{Server, printed};

const LOCAL: &[&str] = &["--set", "upstream.allow_private=127.0.0.0/8", "--set", "timeouts.drain=20s"];

async fn connect(server: &Server, key: &str) -> WebSocketStream<TcpStream> {
    let url = format!("ws://{}/v1/realtime?model=r", server.address);
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    client_async(request, TcpStream::connect(server.address).await.unwrap()).await.unwrap().0
}

async fn until(socket: &mut WebSocketStream<TcpStream>, kind: &str) -> Value {
    loop {
        let Some(Ok(Message::Text(text))) = socket.next().await else { panic!("it ended before {kind}") };
        let event: Value = serde_json::from_str(&text).unwrap();
        if event.get("type").is_some_and(|found| found == kind) {
            return event;
        }
    }
}

async fn ask(socket: &mut WebSocketStream<TcpStream>) {
    socket.send(Message::text(json!({"type": "response.create"}).to_string())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_charged_once_whatever_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let provider = Provider::start().await.unwrap();
    provider.script("r", Script { words: Some(7), ..Script::default() });
    drop(Server::start(&[], &data));
    printed(&["channel", "add", "--name", "c", "--base-url", &provider.url(), "--models", "r"], &data);
    printed(&["price", "set", "r", "--input", "0", "--output", "1000000", "--max-output", "50"], &data);
    printed(&["account", "set-balance", "root", "100000"], &data);
    let key = printed(&["key", "create", "--quota", "90000"], &data).trim().to_owned();

    let mut server = Server::start(LOCAL, &data);
    let mut socket = connect(&server, &key).await;
    for _ in 0..2 {
        ask(&mut socket).await;
        until(&mut socket, "response.done").await;
    }
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    drop(socket);

    let mut server = Server::start(LOCAL, &data);
    let mut socket = connect(&server, &key).await;
    ask(&mut socket).await;
    until(&mut socket, "response.done").await;
    let stopping = tokio::task::spawn_blocking(move || server.terminate());
    let Some(Ok(Message::Close(Some(frame)))) = socket.next().await else { panic!("no goodbye") };
    assert_eq!(u16::from(frame.code), 1001);
    while let Some(Ok(_)) = socket.next().await {}
    assert_eq!(stopping.await.unwrap(), Some(0));
    assert_eq!(printed(&["ledger", "verify"], &data), "the ledger adds up\n");
    assert_eq!(used(&data).await, 3 * 7);
}

async fn used(data: &std::path::Path) -> i64 {
    let master =
        store::MasterKey::from_hex(&std::fs::read_to_string(data.join("master.key")).unwrap()).unwrap();
    let store = store::Store::open(&data.join("apsis.db"), &master).await.unwrap();
    store.account_by_username("root").await.unwrap().unwrap().used.get()
}
