//! Videos whose server dies: what was held stays held, and each is charged once.

use serde_json::Value;
use testkit::{Provider, Script};

use crate::process::{Caller, Server, printed};

const LOCAL: &[&str] = &["--set", "upstream.allow_private=127.0.0.0/8"];

async fn call(server: &Server, key: &str, method: &str, path: &str, body: &str) -> (u16, Value) {
    let url = format!("http://{}{path}", server.address);
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let (status, text) = Caller::new().text(method, &url, &headers, body).await;
    (status, serde_json::from_str(&text).unwrap_or_default())
}

async fn is_completed(server: &Server, key: &str, path: &str) -> bool {
    let (_, video) = call(server, key, "GET", path, "").await;
    video.get("status").and_then(Value::as_str) == Some("completed")
}

async fn used(server: &Server, key: &str) -> Value {
    call(server, key, "GET", "/api/usage/token", "").await.1.pointer("/data/total_used").cloned().unwrap()
}

fn killed(server: &mut Server) {
    server.child.kill().unwrap();
    server.child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_video_outlives_the_server_that_began_it() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let provider = Provider::start().await.unwrap();
    provider.script("v", Script { polls: 2, ..Script::default() });
    drop(Server::start(&[], &data));
    printed(&["channel", "add", "--name", "c", "--base-url", &provider.url(), "--models", "v"], &data);
    let second = ["--per-second", "10000000", "--max-output", "1"].as_slice();
    printed(&[&["price", "set", "v", "--input", "0", "--output", "0"], second].concat(), &data);
    printed(&["account", "set-balance", "root", "1000"], &data);
    let key = printed(&["key", "create", "--quota", "100"], &data).trim().to_owned();

    let mut server = Server::start(LOCAL, &data);
    let body = r#"{"model": "v", "prompt": "waves", "seconds": "8"}"#;
    let (status, video) = call(&server, &key, "POST", "/v1/videos", body).await;
    assert_eq!(status, 200, "{video}");
    let path = format!("/v1/videos/{}", video.get("id").and_then(Value::as_str).unwrap());
    killed(&mut server);
    assert_eq!(printed(&["ledger", "verify"], &data), "the ledger adds up\n");

    let mut server = Server::start(LOCAL, &data);
    let (status, refused) = call(&server, &key, "POST", "/v1/videos", body).await;
    assert_eq!(
        (status, refused.pointer("/error/code").cloned()),
        (403, Some("quota_exhausted".into())),
        "80 are held"
    );
    assert_eq!(used(&server, &key).await, 0);
    while !is_completed(&server, &key, &path).await {
        tokio::task::yield_now().await;
    }
    killed(&mut server);

    let mut server = Server::start(LOCAL, &data);
    assert!(is_completed(&server, &key, &path).await);
    assert_eq!(used(&server, &key).await, 80);
    assert_eq!(server.terminate(), Some(0));
    assert_eq!(printed(&["ledger", "verify"], &data), "the ledger adds up\n");
}
