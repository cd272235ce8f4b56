//! What is charged where it is not the tokens of an answer, and that every record explains itself.

use serde_json::{Value, json};
use testkit::Script;

use crate::app::{App, Reply};

async fn ask(app: &App, path: &str, body: &Value) -> Reply {
    app.call("POST", path, &[("x-api-key", &app.key)], body.to_string()).await
}

/// The record of a request, which must add up.
async fn record(app: &App, reply: &Reply) -> Value {
    let id = reply.header("x-request-id").unwrap();
    let found = app.manage("GET", &format!("/api/log/self?request_id={id}"), None).await.json();
    let record = found["data"]["items"][0].clone();
    let charge = &record["charge"];
    let number = |value: &Value| i128::from(value.as_i64().unwrap());
    let lines = charge["lines"].as_array().unwrap();
    let sum: i128 =
        lines.iter().map(|line| number(&line["quantity"]) * number(&line["units_per_million"])).sum();
    let scale = 1_000_000_000_000;
    let cost = (sum * number(&charge["ratio_millionths"]) + scale - 1) / scale;
    assert_eq!(number(&charge["units"]) + number(&charge["not_charged"]), cost, "{record}");
    record
}

#[tokio::test]
async fn a_free_count_explains_itself_and_says_nothing_of_the_channel() {
    let app = App::start().await;
    app.price("m", 1_000_000, 1_000_000, 7).await;
    let question =
        json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "one two"}]});
    let count = ask(&app, "/v1/messages/count_tokens", &question).await;
    assert_eq!(count.status, 200, "{}", count.text());
    let counted = record(&app, &count).await;
    assert_eq!(
        (&counted["quota"], &counted["prompt_tokens"], &counted["charge"]["counted_by"]),
        (&json!(0), &json!(0), &json!("counted")),
        "{counted}"
    );
    // Five failures in a row open the breaker of a channel, whatever was counted here meanwhile.
    app.provider.script("m", Script { status: Some(500), ..Script::default() });
    for _ in 0..5 {
        assert_eq!(app.chat(&app.key, &question).await.status, 500);
        ask(&app, "/v1/messages/count_tokens", &question).await;
    }
    assert_eq!(app.chat(&app.key, &question).await.status, 503, "the breaker is open");
    app.verified().await;
}

#[tokio::test]
async fn a_query_is_held_for_every_document() {
    let app = App::start().await;
    let query = vec!["word"; 40].join(" ");
    let documents = vec!["a"; 200];
    let body = json!({"model": "e", "query": query, "documents": documents});
    // 40 words for each of 200 documents, which are far more than the body has bytes.
    let poor = app.key_of(app.account("poor", 5_000).await, 5_000).await;
    let headers = [("x-api-key", poor.as_str())];
    let refused = app.call("POST", "/v1/rerank", &headers, body.to_string()).await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "quota_exhausted"), "{}", refused.text());
    let reply = ask(&app, "/v1/rerank", &body).await;
    let record = record(&app, &reply).await;
    assert_eq!((&record["quota"], &record["charge"]["not_charged"]), (&json!(8_200), &json!(0)), "{record}");
    app.verified().await;
}

#[tokio::test]
async fn a_document_is_held_like_a_whole_context() {
    let app = App::start().await;
    let body = json!({"model": "m", "context_length": 50_000});
    let put = app.manage("PUT", "/api/model", Some(body)).await;
    assert_eq!(put.json()["success"], true, "{}", put.text());
    let question = |kind: &str, address: &str| {
        json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": [
            {"type": kind, kind: {"url": address}},
        ]}]})
    };
    let poor = app.key_of(app.account("poor", 20_000).await, 20_000).await;
    for (kind, address, status) in [
        ("image_url", "https://pictures.example/a.png", 200),
        ("image_url", "https://papers.example/a.pdf", 403),
        ("video_url", "https://films.example/a", 403),
    ] {
        let reply = app.chat(&poor, &question(kind, address)).await;
        assert_eq!(reply.status, status, "{kind} {address}: {}", reply.text());
        if status == 403 {
            let need = reply.text();
            assert!(reply.code() == "quota_exhausted" && need.contains("50"), "{need}");
            assert_eq!(app.chat(&app.key, &question(kind, address)).await.status, 200);
        }
    }
    app.verified().await;
}
