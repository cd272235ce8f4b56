//! Streams whose upstream is silent for a while: the caller hears that they go on, in its dialect.

use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::{Value, json};
use testkit::Script;

use crate::app::{App, question};

async fn prepared(keep_alive: Duration) -> App {
    let app = App::with(|settings| settings.keep_alive = keep_alive).await;
    app.provider.script("m", Script { words: Some(10), wait_after: Some(2), ..Script::default() });
    app
}

/// What a caller hears while its upstream waits, until it has heard `ping` twice, and what it hears afterwards.
async fn hear(app: &App, path: &str, body: &Value, ping: &str) -> (String, String) {
    let bearer = format!("Bearer {}", app.key);
    let reply = app.send("POST", path, &[("authorization", &bearer)], body.to_string()).await;
    assert_eq!(reply.status(), 200);
    let mut body = reply.into_body();
    let mut heard = String::new();
    while heard.matches(ping).count() < 2 {
        let frame = body.frame().await.unwrap().unwrap();
        heard.push_str(&String::from_utf8_lossy(frame.data_ref().unwrap()));
    }
    app.provider.release();
    let rest = body.collect().await.unwrap().to_bytes();
    (heard, String::from_utf8_lossy(&rest).into_owned())
}

#[tokio::test]
async fn a_silent_stream_goes_on_in_every_dialect_that_has_a_word_for_it() {
    let message = json!([{"role": "user", "content": "one two three"}]);
    for (path, body, ping, end) in [
        (
            "/v1/chat/completions",
            json!({"model": "m", "stream": true, "messages": message}),
            ": keep-alive\n\n",
            "[DONE]",
        ),
        (
            "/v1/responses",
            json!({"model": "m", "stream": true, "input": "one two three"}),
            ": keep-alive\n\n",
            "response.completed",
        ),
        (
            "/v1/messages",
            json!({"model": "m", "stream": true, "max_tokens": 100, "messages": message}),
            "event: ping\n",
            "message_stop",
        ),
    ] {
        let app = prepared(Duration::from_millis(20)).await;
        let (heard, rest) = hear(&app, path, &body, ping).await;
        assert!(
            heard.contains("w1") && !heard.contains("w9") && rest.contains("w9"),
            "{path}: {heard} {rest}"
        );
        assert!(rest.contains(end), "{path}: {rest}");
        app.verified().await;
        let used = app.usage(&app.key).await["total_used"].as_u64();
        assert_eq!(used, Some(13), "{path}: pings cost nothing");
    }
}

#[tokio::test]
async fn an_upstream_that_says_much_and_tells_nothing_is_silent_to_its_caller() {
    let app = App::with(|settings| settings.keep_alive = Duration::from_millis(300)).await;
    // An empty delta has no form in messages.
    let script = Script { words: Some(10), wait_after: Some(2), murmur_ms: 50, ..Script::default() };
    app.provider.script("m", script);
    let message = json!([{"role": "user", "content": "one two three"}]);
    let body = json!({"model": "m", "stream": true, "max_tokens": 100, "messages": message});
    let hearing = hear(&app, "/v1/messages", &body, "event: ping\n");
    let (heard, rest) = tokio::time::timeout(Duration::from_secs(20), hearing).await.unwrap();
    assert!(heard.contains("w1") && rest.contains("w9"), "{heard} {rest}");
}

#[tokio::test]
async fn who_wants_no_comments_gets_none() {
    let app = prepared(Duration::ZERO).await;
    let mut body = question("m");
    body["stream"] = json!(true);
    let (heard, rest) = hear(&app, "/v1/chat/completions", &body, "data: ").await;
    assert!(!heard.contains("keep-alive") && !rest.contains("keep-alive"), "{heard} {rest}");
    app.verified().await;
}
