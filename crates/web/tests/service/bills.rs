//! What is charged where it is not the tokens of an answer, and that every record explains itself.

use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::{Value, json};
use testkit::{Act, Raw, Script};
use web::serve;

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

/// A service whose model `x` is sold under terms and with tools, behind upstreams of three kinds.
async fn with_extras() -> App {
    let app = App::start().await;
    for (kind, path) in [("openai", "/v1"), ("anthropic", "/v1"), ("gemini", "/v1beta")] {
        let url = app.provider.url().replace("/v1", "") + path;
        let body = json!({"name": kind, "kind": kind, "base_url": url, "key": "sk-upstream-secret", "models": [kind]});
        let made = app.manage("POST", "/api/channel/", Some(body)).await;
        assert_eq!(made.json()["success"], true, "{}", made.text());
        let price = json!({
            "model": kind, "input": 1_000_000, "output": 1_000_000, "max_output": 1_000,
            "tools": {"web_search": 5_000_000, "grounding": 7_000_000, "web_fetch": 0},
            "service_tiers": {"priority": 2_000_000, "flex": 500_000},
        });
        let put = app.manage("PUT", "/api/price/", Some(price)).await;
        assert_eq!(put.json()["success"], true, "{}", put.text());
    }
    app
}

fn says(app: &App, model: &str, body: &str, kind: Option<&str>) {
    let content_type = kind.map(str::to_owned);
    app.provider.script(model, Script { body: Some(body.to_owned()), content_type, ..Script::default() });
}

#[tokio::test]
async fn what_the_answer_says_of_tools_and_terms_is_charged_line_by_line() {
    let app = with_extras().await;
    let events = Some("text/event-stream");
    let chat = json!({"id": "c", "choices": [{"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 4, "completion_tokens": 6, "total_tokens": 10}, "service_tier": "priority"});
    let search = json!({"type": "web_search_call", "action": {"type": "search"}});
    let responses = json!({"id": "r", "object": "response", "status": "completed", "output": [search, search],
        "usage": {"input_tokens": 4, "output_tokens": 6}, "service_tier": "flex"});
    let done = json!({"type": "response.output_item.done", "item": search});
    let completed = json!({"type": "response.completed", "response": responses});
    let streamed = format!("data: {done}\n\ndata: {done}\n\ndata: {completed}\n\n");
    let message = json!({"id": "m", "type": "message", "role": "assistant", "content": [{"type": "text", "text": "a"}],
        "stop_reason": "end_turn", "usage": {"input_tokens": 4, "output_tokens": 6, "service_tier": "priority",
        "server_tool_use": {"web_search_requests": 3, "web_fetch_requests": 1}}});
    let google = json!({"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP",
        "groundingMetadata": {"webSearchQueries": ["a", "b", "a"]}}],
        "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 6, "totalTokenCount": 10}});
    let tools = json!([{"type": "web_search"}]);
    for (model, path, asked, said, kind, units, lines, terms) in [
        (
            "openai",
            "chat/completions",
            json!({"service_tier": "priority"}),
            &chat.to_string(),
            None,
            20,
            2,
            json!(["priority"]),
        ),
        // Such an answer does not say that it has searched.
        (
            "openai",
            "chat/completions",
            json!({"web_search_options": {}}),
            &chat.to_string(),
            None,
            10 + 5,
            3,
            json!([]),
        ),
        // Dearer than what was asked for costs no more.
        ("openai", "chat/completions", json!({}), &chat.to_string(), None, 10, 2, json!([])),
        (
            "openai",
            "responses",
            json!({"tools": tools, "service_tier": "flex"}),
            &responses.to_string(),
            None,
            5 + 10,
            3,
            json!(["flex"]),
        ),
        (
            "openai",
            "responses",
            json!({"tools": tools, "stream": true}),
            &streamed,
            events,
            5 + 10,
            3,
            json!(["flex"]),
        ),
        (
            "anthropic",
            "messages",
            json!({"max_tokens": 9, "tools": [{"type": "web_search_20250305", "name": "w", "max_uses": 5},
            {"type": "web_fetch_20250910", "name": "f"}]}),
            &message.to_string(),
            None,
            10 + 15,
            3,
            json!([]),
        ),
        (
            "gemini",
            "",
            json!({"tools": [{"googleSearch": {}}]}),
            &google.to_string(),
            None,
            10 + 2 * 5 + 7,
            4,
            json!([]),
        ),
    ] {
        says(&app, model, said, kind);
        let mut body = asked.clone();
        body["messages"] = json!([{"role": "user", "content": "one"}]);
        let path = match path {
            "" => {
                body = json!({"contents": [{"role": "user", "parts": [{"text": "one"}]}], "tools": asked["tools"]});
                format!("/v1beta/models/{model}:generateContent")
            }
            path => format!("/v1/{path}"),
        };
        if path.ends_with("responses") {
            body["input"] = "one".into();
            body.as_object_mut().unwrap().remove("messages");
        }
        if !path.contains("v1beta") {
            body["model"] = model.into();
        }
        let reply = ask(&app, &path, &body).await;
        assert_eq!(reply.status, 200, "{path} {asked}: {}", reply.text());
        let record = record(&app, &reply).await;
        let charge = &record["charge"];
        assert_eq!(
            (
                &charge["units"],
                &charge["service_tiers"],
                charge["lines"].as_array().unwrap().len(),
                &charge["not_charged"]
            ),
            (&json!(units), &terms, lines, &json!(0)),
            "{path} {asked}: {charge}"
        );
    }
    app.verified().await;
}

#[tokio::test]
async fn what_has_no_price_is_refused_by_name() {
    let app = with_extras().await;
    app.provider.record();
    let tool = |kind: &str| json!({"tools": [{"type": kind}]});
    for (path, asked, param, what) in [
        ("chat/completions", json!({"service_tier": "batch"}), "service_tier", "batch"),
        ("chat/completions", json!({"service_tier": "gold"}), "service_tier", "gold"),
        ("chat/completions", json!({"search_parameters": {}, "plugins": [{"id": "x"}]}), "plugins", "x"),
        ("responses", tool("file_search"), "tools", "file_search"),
        ("responses", tool("code_interpreter"), "tools", "code_interpreter"),
        ("responses", tool("telepathy"), "tools", "telepathy"),
        ("messages", json!({"speed": "fast"}), "speed", "fast"),
        ("messages", json!({"inference_geo": "us"}), "inference_geo", "us"),
    ] {
        let mut body = asked.clone();
        body["model"] = "openai".into();
        body["max_tokens"] = 9.into();
        let reply = ask(&app, &format!("/v1/{path}"), &body).await;
        assert_eq!(reply.status, 400, "{asked}: {}", reply.text());
        assert!(reply.text().contains(what) && reply.text().contains(param), "{asked}: {}", reply.text());
        if path != "messages" {
            let error = &reply.json()["error"];
            assert_eq!(
                (&error["code"], &error["param"]),
                (&json!("price_unknown"), &json!(param)),
                "{asked}"
            );
        }
    }
    // What is asked for by another spelling, which some upstreams would take for it.
    let reply =
        app.chat(&app.key, &json!({"model": "openai", "Service_Tier": "priority", "messages": []})).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_request"));
    assert!(app.provider.seen().is_empty());
    // The usual words, and what a caller runs itself, cost nothing more.
    for asked in [json!({"service_tier": "auto"}), json!({"service_tier": "default"}), tool("function")] {
        let mut body = asked.clone();
        body["model"] = "openai".into();
        body["messages"] = json!([{"role": "user", "content": "one"}]);
        assert_eq!(app.chat(&app.key, &body).await.status, 200, "{asked}");
    }
    app.verified().await;
}

#[tokio::test]
async fn tools_and_terms_are_held_and_limited() {
    let app = with_extras().await;
    app.manage("PUT", "/api/model", Some(json!({"model": "openai", "context_length": 1_000}))).await;
    app.manage("PUT", "/api/model", Some(json!({"model": "anthropic", "context_length": 1_000}))).await;
    let key = app.key_of(app.account("poor", 1_200).await, 1_200).await;
    let call = |path: &'static str, body: Value| {
        let (app, key) = (&app, &key);
        async move { app.call("POST", path, &[("x-api-key", key)], body.to_string()).await }
    };
    // 1000 for a context that a search fills, 50 for ten searches, 100 for output; and the body.
    let question = |calls: Option<u64>| {
        let mut body = json!({"model": "openai", "input": "one", "max_output_tokens": 100, "tools": [{"type": "web_search"}]});
        if let Some(calls) = calls {
            body["max_tool_calls"] = calls.into();
        }
        body
    };
    app.provider.record();
    assert_eq!(call("/v1/responses", question(Some(100))).await.status, 403, "500 for a hundred searches");
    assert_eq!(call("/v1/responses", question(None)).await.status, 200);
    let sent = app.provider.seen().pop().unwrap();
    let sent: Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!(sent["max_tool_calls"], 10, "what is held is what the provider keeps to");
    let searching = json!({"model": "anthropic", "max_tokens": 9, "messages": [{"role": "user", "content": "one"}],
        "tools": [{"type": "web_search_20250305", "name": "w"}]});
    assert_eq!(ask(&app, "/v1/messages", &searching).await.status, 200);
    let sent: Value = serde_json::from_slice(&app.provider.seen().pop().unwrap().body).unwrap();
    assert_eq!(sent["tools"][0]["max_uses"], 10);
    let chat = |tier: &str| {
        json!({"model": "openai", "max_tokens": 900, "n": 1, "service_tier": tier,
            "messages": [{"role": "user", "content": "one"}]})
    };
    let priority = call("/v1/chat/completions", chat("priority")).await;
    let limited: Value = serde_json::from_slice(&app.provider.seen().pop().unwrap().body).unwrap();
    assert_eq!(priority.status, 200, "{}", priority.text());
    assert!(
        limited["max_tokens"].as_u64().unwrap() < 600,
        "at twice the price half is affordable: {limited}"
    );
    app.verified().await;
}

/// What follows a finished answer is what it used, reasoning included; a caller cannot save it by leaving before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_leaves_behind_the_last_word_pays_for_what_was_thought() {
    for (finished, units) in [(true, 3 + 90), (false, 3)] {
        // With one connection at a time, whoever is answered next knows that the one before is gone.
        let second = Duration::from_secs(5);
        let limits = serve::Limits { header: second, write: second, connections: 1, drain: second };
        let app = App::limited(|_| {}, limits).await;
        let event = |data: Value| format!("data: {data}\n\n");
        let chunk = |delta: Value, end: Value| {
            event(json!({"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": end}]}))
        };
        let mut text = chunk(json!({"content": "twelve bytes"}), Value::Null);
        if finished {
            text += &chunk(json!({}), "stop".into());
        }
        let usage =
            event(json!({"id": "c", "choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": 93,
            "completion_tokens_details": {"reasoning_tokens": 90}, "total_tokens": 93}}));
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
        let acts = [
            Act::Request,
            Act::send(head),
            Act::send(text),
            Act::Wait,
            Act::send(usage),
            Act::send("data: [DONE]\n\n"),
        ];
        let raw = Raw::start([acts.as_slice(), &[Act::Close]].concat()).await.unwrap();
        let body =
            json!({"name": "raw", "base_url": raw.url(), "key": "sk-upstream-secret", "models": ["thinker"]});
        let made = app.manage("POST", "/api/channel/", Some(body)).await;
        assert_eq!(made.json()["success"], true, "{}", made.text());
        app.price("thinker", 0, 1_000_000, 0).await;
        let body = json!({"model": "thinker", "stream": true, "messages": []}).to_string();
        let response = app.send("POST", "/v1/chat/completions", &[("x-api-key", &app.key)], body).await;
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let mut answer = response.into_body();
        let last = if finished { "\"stop\"" } else { "twelve" };
        let mut got = String::new();
        while !got.contains(last) {
            got += &String::from_utf8_lossy(&answer.frame().await.unwrap().unwrap().into_data().unwrap());
        }
        drop(answer);
        app.usage(&app.key).await;
        if !finished {
            // The upstream's work ends at once.
            raw.open().wait_for(|open| *open == 0).await.unwrap();
        }
        raw.release();
        let path = format!("/api/log/self?request_id={id}");
        let record = loop {
            let found = app.manage("GET", &path, None).await.json();
            if found["data"]["total"] == 1 {
                break found["data"]["items"][0].clone();
            }
            tokio::task::yield_now().await;
        };
        assert_eq!((&record["quota"], &record["status"]), (&json!(units), &json!(499)), "{record}");
        app.verified().await;
    }
}
