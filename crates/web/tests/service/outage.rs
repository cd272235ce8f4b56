//! Upstreams that are down for everybody, and operators who change everything under load.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http_body_util::BodyExt;
use serde_json::json;
use testkit::{Act, Raw, Script};
use tokio::task::JoinSet;

use crate::app::{App, question};

/// Asks `count` times, some at a time; returns the statuses.
async fn ask(app: &Arc<App>, count: usize, model: &str) -> Vec<u16> {
    let mut asking = JoinSet::new();
    let mut statuses = Vec::new();
    for _ in 0..count {
        if asking.len() == 20 {
            statuses.push(asking.join_next().await.unwrap().unwrap());
        }
        let (app, body) = (Arc::clone(app), question(model));
        asking.spawn(async move { app.chat(&app.key, &body).await.status });
    }
    statuses.extend(asking.join_all().await);
    statuses
}

/// Whatever it is that fails, the upstreams get little more than what the callers ask.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_is_down_is_not_asked_much_more_than_its_callers_ask() {
    const REQUESTS: usize = 2_000;
    // A breaker counts 503; 408 is tried again each time, and only the budget bounds it.
    for status in [503, 408] {
        let body = r#"{"error":{"message":"down","code":"down"}}"#;
        let head = format!(
            "HTTP/1.1 {status} Down\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let raw = Raw::start(vec![Act::Request, Act::send(head)]).await.unwrap();
        let app = Arc::new(App::start().await);
        for name in ["a", "b", "c"] {
            let body = json!({"name": name, "base_url": raw.url(), "key": "sk-down", "models": ["d"]});
            assert_eq!(app.manage("POST", "/api/channel/", Some(body)).await.json()["success"], true);
        }
        app.price("d", 1_000_000, 1_000_000, 0).await;
        let began = Instant::now();
        let statuses = ask(&app, REQUESTS, "d").await;
        let seconds = began.elapsed().as_secs() as usize + 1;
        assert!(statuses.iter().all(|got| *got == status), "{statuses:?}");
        let attempts = *raw.requests().borrow();
        // Eight retries for a hundred requests, one a second, and the burst that a node begins with.
        let most = REQUESTS + REQUESTS * 8 / 100 + seconds + 20;
        assert!(attempts <= most, "{status}: {attempts} attempts, at most {most}");
        assert!(status == 503 || attempts > REQUESTS, "{status}: {attempts} attempts: some are tried again");
        app.verified().await;
        assert_eq!(app.usage(&app.key).await["total_used"], 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_returns_is_used_again_with_the_first_probe() {
    let app = Arc::new(
        App::with(|settings| {
            settings.routing.breaker_open = Duration::from_millis(100);
            settings.routing.longest_breaker_open = Duration::from_millis(400);
        })
        .await,
    );
    app.provider.record();
    app.provider.script("m", Script { status: Some(503), ..Script::default() });
    // Until the breaker has been opened several times, each time by a probe that failed.
    while app.provider.seen().len() < 9 {
        assert_eq!(app.chat(&app.key, &question("m")).await.status, 503);
    }
    app.provider.script("m", Script::default());
    let before = app.provider.seen().len();
    let mut refused = 0;
    loop {
        let reply = app.chat(&app.key, &question("m")).await;
        if reply.status == 200 {
            break;
        }
        assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")), "{}", reply.text());
        refused += 1;
        assert!(refused < 1_000_000, "it is never asked again");
    }
    assert_eq!(app.provider.seen().len() - before, 1, "the first that was sent was answered");
    assert!(ask(&app, 100, "m").await.into_iter().all(|status| status == 200));
    app.verified().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_break_no_stream_and_change_no_price_in_flight() {
    const STREAMS: usize = 500;
    let app = Arc::new(App::start().await);
    app.provider.script("m", Script { words: Some(10), wait_after: Some(5), ..Script::default() });
    let mut body = question("m");
    body["stream"] = json!(true);
    let mut opening = JoinSet::new();
    for _ in 0..STREAMS {
        let (app, body) = (Arc::clone(&app), body.to_string());
        opening.spawn(async move {
            let bearer = format!("Bearer {}", app.key);
            let headers = [("authorization", bearer.as_str())];
            app.send("POST", "/v1/chat/completions", &headers, body).await
        });
    }
    let open = opening.join_all().await;
    app.provider.in_flight().wait_for(|count| *count == STREAMS).await.unwrap();

    let done = async |method: &str, path: &str, body: serde_json::Value| {
        let reply = app.manage(method, path, Some(body)).await;
        assert_eq!(reply.json()["success"], true, "{path}: {}", reply.text());
    };
    let id = app.manage("GET", "/api/channel/", None).await.json()["data"][0]["id"].clone();
    let nowhere = "http://127.0.0.1:9/v1";
    for round in 2..7 {
        app.price("m", round * 1_000_000, round * 1_000_000, 0).await;
        let ratio = json!({"name": "default", "ratio_millionths": round * 1_000_000});
        done("PUT", "/api/group", ratio).await;
        done("PUT", "/api/channel/", json!({"id": id, "name": round.to_string(), "priority": round})).await;
        done("PUT", "/api/channel/", json!({"id": id, "status": 2})).await;
    }
    done("PUT", "/api/channel/", json!({"id": id, "base_url": nowhere, "key": "sk-other"})).await;
    let delete = app.manage("DELETE", &format!("/api/channel/{id}"), None).await;
    assert_eq!(delete.json()["success"], true, "{}", delete.text());
    let gone = app.chat(&app.key, &question("m")).await;
    assert_eq!((gone.status, gone.code().as_str()), (503, "model_not_found"));

    app.provider.release();
    for stream in open {
        let whole = stream.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&whole);
        assert!(text.contains("w9") && text.ends_with("data: [DONE]\n\n"), "{text}");
    }
    app.verified().await;
    let used = app.usage(&app.key).await["total_used"].as_u64();
    assert_eq!(used, Some(STREAMS as u64 * 13), "three words in and ten out, at the price of the beginning");

    app.channel(&["m"]).await;
    assert_eq!(app.chat(&app.key, &question("m")).await.status, 200);
    app.verified().await;
    let later = app.usage(&app.key).await["total_used"].as_u64();
    assert_eq!(later, used.map(|used| used + 13 * 6 * 6), "and from then on at the new one");
}
