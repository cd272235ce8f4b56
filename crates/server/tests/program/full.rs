//! A disk without room: the program stops admitting, says so, loses nothing, and goes on by itself.
//!
//! The operating system refuses to let any file of the process grow to the size of a journal segment. That is met where
//! a full disk is met — a new segment, and the database's own files — and nowhere else.

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use testkit::{Provider, Script};

use crate::process::{Caller, Server, printed};

/// The smallest segment.
const SEGMENT: u64 = 1 << 20;
/// What a request costs.
const PRICE: i64 = 7;

fn limit_files(server: &Server, bytes: Option<u64>) {
    let id = Pid::from_child(&server.child);
    let limit = Rlimit { current: bytes, maximum: getrlimit(Resource::Fsize).maximum };
    prlimit(Some(id), Resource::Fsize, limit).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_without_room_stops_admission_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let provider = Provider::start().await.unwrap();
    // The upstream's name of the model is written with every request, so that a segment is sooner full.
    let theirs = "m".repeat(256);
    let models = format!("m={theirs}");
    provider.script(&theirs, Script { words: Some(3), ..Script::default() });
    drop(Server::start(&[], &data));
    printed(&["channel", "add", "--name", "c", "--base-url", &provider.url(), "--models", &models], &data);
    let price = PRICE.to_string();
    printed(
        &["price", "set", "m", "--input", "0", "--output", "0", "--per-call", &price, "--max-output", "50"],
        &data,
    );
    let key = printed(&["key", "create", "--quota", "1000000"], &data).trim().to_owned();
    let mut server = Server::start_where_files_are_limited(
        &[
            "--set",
            "journal.segment_bytes=1048576",
            "--set",
            "journal.flush_limit=100ms",
            "--set",
            "upstream.allow_private=127.0.0.0/8",
        ],
        &data,
    );
    limit_files(&server, Some(SEGMENT - 1));

    let (base, caller) = (format!("http://{}", server.address), Caller::new());
    let get = async |path: &str, credential: &str| {
        caller.text("GET", &format!("{base}{path}"), &[("authorization", credential)], "").await
    };
    let bearer = format!("Bearer {key}");
    let body = r#"{"model":"m","messages":[]}"#;
    let headers = [("authorization", bearer.as_str())];
    let url = format!("{base}/v1/chat/completions");
    let mut answered = 0;
    let refused = loop {
        let response = caller.send("POST", &url, &headers, body).await.unwrap();
        match response.status().as_u16() {
            200 => answered += 1,
            _ => break response,
        }
        assert!(answered < 20_000, "two segments were never full");
    };
    assert!(answered > 20, "{answered}");
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (503, &"1".parse().unwrap()));
    let (status, text) = caller.text("POST", &url, &headers, body).await;
    assert!(status == 503 && text.contains("\"type\":\"comet_api_error\""), "{status} {text}");
    assert!(text.contains("(request id: "), "{text}");
    assert_eq!(get("/health/ready", "").await, (503, "the journal cannot be written".to_owned()));
    assert_eq!(get("/health/live", "").await.0, 200);
    let metrics = get("/metrics", "").await.1;
    assert!(
        metrics.contains("\napsis_admitting 0\n") && metrics.contains("\napsis_panics_total 0\n"),
        "{metrics}"
    );

    limit_files(&server, None);
    while get("/health/ready", "").await.0 != 200 {}
    assert_eq!(caller.text("POST", &url, &headers, body).await.0, 200);
    let used = format!("\"total_used\":{}", (answered + 1) * PRICE);
    // The database is asked again within two seconds after it had no room.
    let usage = loop {
        let (status, usage) = get("/api/usage/token", &bearer).await;
        if status == 200 {
            break usage;
        }
    };
    assert!(usage.contains(&used), "{used}: {usage}");
    assert_eq!(server.terminate(), Some(0));
    assert_eq!(printed(&["ledger", "verify"], &data), "the ledger adds up\n");
}
