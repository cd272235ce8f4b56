//! Every dialect of callers with every kind of upstream: answered in the caller's words, and counted the same.

mod caller;

use caller::{CALLERS, Caller};
use serde_json::{Value, json};

use crate::app::{App, Reply};

const SECRET: &str = "sk-upstream-secret";

/// A kind of upstream, and where the provider has its paths.
const KINDS: [(&str, &str); 12] = [
    ("openai", "/v1"),
    ("compatible", "/v1"),
    ("azure", "/openai/v1"),
    ("anthropic", "/v1"),
    ("gemini", "/v1beta"),
    ("responses", "/v1"),
    ("vertex", VERTEX),
    ("vertex-anthropic", VERTEX),
    ("vertex-openai", VERTEX),
    ("bedrock", ""),
    ("bedrock-openai", "/bedrock"),
    ("bedrock-key", ""),
];

const VERTEX: &str = "/v1/projects/p/locations/l";

/// What a channel is told of an upstream: what it speaks, and its credential there.
fn channel<'a>(app: &App, kind: &'a str) -> (&'a str, String) {
    match kind {
        // Of some models the facts say that they know responses only.
        "responses" => ("openai", SECRET.to_owned()),
        // An API key in the place of an access key.
        "bedrock-key" => ("bedrock", SECRET.to_owned()),
        "vertex" | "vertex-anthropic" | "vertex-openai" => (kind, app.provider.service_account()),
        "bedrock" | "bedrock-openai" => (kind, testkit::Provider::access_key()),
        _ => (kind, SECRET.to_owned()),
    }
}

/// An app with a model for each kind of upstream, named like it.
async fn app() -> App {
    let app = App::start().await;
    app.provider.demand(SECRET);
    for (kind, base) in KINDS {
        let base_url = format!("{}{base}", app.provider.origin());
        let (sent, key) = channel(&app, kind);
        let body = json!({"name": kind, "kind": sent, "base_url": base_url, "key": key, "models": [kind]});
        let made = app.manage("POST", "/api/channel/", Some(body)).await;
        assert_eq!(made.json()["success"], true, "{}", made.text());
        app.price(kind, 1_000_000, 2_000_000, 0).await;
    }
    let facts = json!({"model": "responses", "endpoints": ["openai-response"]});
    let made = app.manage("PUT", "/api/model/", Some(facts)).await;
    assert_eq!(made.json()["success"], true, "{}", made.text());
    app
}

async fn ask(app: &App, key: &str, caller: Caller, model: &str, stream: bool, limit: Option<u64>) -> Reply {
    let body = caller.question(model, stream, limit).to_string();
    app.call("POST", &caller.path(model, stream), &[("x-api-key", key)], body).await
}

async fn record(app: &App, reply: &Reply) -> Value {
    let id = reply.header("x-request-id").unwrap();
    let found = app.manage("GET", &format!("/api/log/self?request_id={id}"), None).await.json();
    found["data"]["items"][0].clone()
}

#[tokio::test]
async fn each_caller_is_answered_in_its_own_dialect_and_charged_what_it_is_told() {
    let app = app().await;
    for (kind, _) in KINDS {
        for caller in CALLERS {
            for stream in [false, true] {
                let case = format!("{caller:?} to {kind}, stream {stream}");
                let reply = ask(&app, &app.key, caller, kind, stream, None).await;
                assert_eq!(reply.status, 200, "{case}: {}", reply.text());
                let values = caller.values(&reply, stream);
                assert!(caller.text(&values).len() > 20, "{case}: {}", reply.text());
                let (input, output) = caller.usage(&values);
                assert!(input > 0 && output > 0, "{case}: {}", reply.text());
                let record = record(&app, &reply).await;
                assert_eq!(
                    (&record["prompt_tokens"], &record["completion_tokens"], &record["quota"]),
                    (&json!(input), &json!(output), &json!(input + 2 * output)),
                    "{case}: {record}"
                );
            }
        }
    }
    app.verified().await;
}

#[tokio::test]
async fn an_answer_of_an_upstream_is_never_a_page() {
    let app = app().await;
    let reply = ask(&app, &app.key, Caller::Chat, "openai", false, None).await;
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(reply.header("content-security-policy"), Some("default-src 'none'; sandbox"));
}

/// A good key that may not do everything answers so with 401; no caller can switch it off with that.
#[tokio::test]
async fn a_restricted_credential_is_not_disabled_by_what_it_may_not_do() {
    let app = app().await;
    let message =
        "You have insufficient permissions for this operation. Missing scopes: api.responses.write.";
    app.provider.script(
        "openai",
        testkit::Script { status: Some(401), message: Some(message.to_owned()), ..Default::default() },
    );
    for _ in 0..4 {
        assert_eq!(ask(&app, &app.key, Caller::Responses, "openai", false, None).await.status, 401);
    }
    app.provider.script("openai", testkit::Script::default());
    assert_eq!(ask(&app, &app.key, Caller::Chat, "openai", false, None).await.status, 200);
}

#[tokio::test]
async fn an_answer_is_limited_in_every_dialect() {
    let app = app().await;
    for (kind, _) in KINDS {
        for caller in CALLERS {
            for stream in [false, true] {
                let reply = ask(&app, &app.key, caller, kind, stream, Some(5)).await;
                let (_, output) = caller.usage(&caller.values(&reply, stream));
                assert_eq!(output, 5, "{caller:?} to {kind}, stream {stream}: {}", reply.text());
            }
        }
    }
}

#[tokio::test]
async fn a_failing_upstream_is_told_in_the_callers_dialect_and_costs_nothing() {
    let app = app().await;
    let account = app.account("poor", 1_000_000).await;
    let key = app.key_of(account, 1_000_000).await;
    for (kind, _) in KINDS {
        let script = testkit::Script {
            status: Some(422),
            message: Some("not like this".to_owned()),
            ..Default::default()
        };
        app.provider.script(kind, script);
        for caller in CALLERS {
            for stream in [false, true] {
                let reply = ask(&app, &key, caller, kind, stream, None).await;
                let case = format!("{caller:?} to {kind}, stream {stream}: {}", reply.text());
                assert_eq!(reply.status, 422, "{case}");
                let message = reply.json().pointer("/error/message").unwrap().to_string();
                assert!(message.contains("not like this"), "{case}");
                let shape = match caller {
                    Caller::Messages => "/error/type",
                    Caller::Google | Caller::GoogleArray => "/error/status",
                    Caller::Chat | Caller::Responses => "/error/code",
                };
                assert!(reply.json().pointer(shape).is_some(), "{case}");
            }
        }
    }
    assert_eq!(app.usage(&key).await["total_used"], 0);
    app.verified().await;
}

#[tokio::test]
async fn a_stream_that_breaks_says_so_and_is_charged_for_what_came() {
    let app = app().await;
    for (kind, _) in KINDS {
        app.provider
            .script(kind, testkit::Script { words: Some(50), truncate_after: Some(9), ..Default::default() });
        for caller in CALLERS {
            let reply = ask(&app, &app.key, caller, kind, true, None).await;
            let case = format!("{caller:?} to {kind}: {}", reply.text());
            let values = caller.values(&reply, true);
            let last = values.last().unwrap();
            let failed = last.get("error").is_some_and(Value::is_object)
                || last["type"] == "error"
                || last["type"] == "response.failed";
            assert!(failed && !reply.text().contains("[DONE]"), "{case}");
            let record = record(&app, &reply).await;
            assert!(record["quota"].as_i64().unwrap() > 0, "{case} {record}");
        }
    }
    app.verified().await;
}

#[tokio::test]
async fn a_stream_beyond_its_quota_ends_as_at_its_limit() {
    let app = App::with(|settings| settings.stream_step = 16).await;
    for (kind, base) in [("openai", "/v1"), ("anthropic", "/v1"), ("gemini", "/v1beta")] {
        let base_url = format!("{}{base}", app.provider.origin());
        let body = json!({"name": kind, "kind": kind, "base_url": base_url, "models": [kind]});
        app.manage("POST", "/api/channel/", Some(body)).await;
        app.price(kind, 0, 1_000_000, 0).await;
        app.provider
            .script(kind, testkit::Script { words: Some(3_000), ignore_limit: true, ..Default::default() });
        for caller in CALLERS {
            let account = app.account(&format!("{kind}-{caller:?}"), 100).await;
            let key = app.key_of(account, 100).await;
            let reply = ask(&app, &key, caller, kind, true, None).await;
            let case = format!("{caller:?} to {kind}: {}", reply.text());
            assert_eq!(reply.status, 200, "{case}");
            caller.values(&reply, true);
            let end = match caller {
                Caller::Chat => r#""finish_reason":"length""#,
                Caller::Responses => "response.incomplete",
                Caller::Messages => r#""stop_reason":"max_tokens""#,
                Caller::Google | Caller::GoogleArray => r#""finishReason":"MAX_TOKENS""#,
            };
            assert!(reply.text().contains(end), "{case}");
            assert_eq!(app.usage(&key).await["total_used"], 100, "{case}");
        }
    }
    app.verified().await;
}

#[tokio::test]
async fn counting_is_free_and_answered_for_every_kind_of_upstream() {
    let app = app().await;
    let account = app.account("poor", 1_000_000).await;
    let key = app.key_of(account, 1_000_000).await;
    for (kind, _) in KINDS {
        let body = Caller::Messages.question(kind, false, None).to_string();
        let reply = app.call("POST", "/v1/messages/count_tokens", &[("x-api-key", &key)], body).await;
        assert!(reply.json()["input_tokens"].as_u64() > Some(0), "{kind}: {}", reply.text());
        let body = Caller::Google.question(kind, false, None).to_string();
        let path = format!("/v1beta/models/{kind}:countTokens");
        let reply = app.call("POST", &path, &[("x-goog-api-key", &key)], body).await;
        assert!(reply.json()["totalTokens"].as_u64() > Some(0), "{kind}: {}", reply.text());
    }
    assert_eq!(app.usage(&key).await["total_used"], 0);
    app.verified().await;
}

#[tokio::test]
async fn what_the_upstreams_dialect_cannot_carry_is_refused_by_name_or_named_in_a_header() {
    let app = app().await;
    let mut body = Caller::Chat.question("anthropic", false, None);
    body["seed"] = 7.into();
    let reply = app.chat(&app.key, &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("x-apsis-dropped"), Some("seed"));
    body["n"] = 2.into();
    let reply = app.chat(&app.key, &body).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_request"), "{}", reply.text());
    assert!(reply.text().contains('n'), "{}", reply.text());
    app.verified().await;
}

#[tokio::test]
async fn doors_without_text_pass_as_they_are() {
    let app = app().await;
    for (path, body, kind, status) in [
        ("/v1/completions", json!({"model": "openai", "prompt": "one two"}), "openai", 200),
        ("/v1/embeddings", json!({"model": "openai", "input": "one two"}), "openai", 200),
        ("/v1/moderations", json!({"model": "openai", "input": "one two"}), "openai", 200),
        (
            "/v1/rerank",
            json!({"model": "openai", "query": "one", "documents": ["two", "one"]}),
            "openai",
            200,
        ),
        (
            "/v1beta/models/gemini:embedContent",
            json!({"content": {"parts": [{"text": "one two"}]}}),
            "gemini",
            200,
        ),
        (
            "/v1beta/models/gemini:batchEmbedContents",
            json!({"requests": [{"model": "models/gemini", "content": {"parts": [{"text": "one two"}]}}]}),
            "gemini",
            200,
        ),
        ("/v1/rerank", json!({"model": "anthropic", "query": "one", "documents": ["two"]}), "anthropic", 404),
    ] {
        let reply = app.call("POST", path, &[("x-api-key", &app.key)], body.to_string()).await;
        assert_eq!(reply.status, status, "{path}: {}", reply.text());
        if status == 200 {
            let record = record(&app, &reply).await;
            assert!(record["quota"].as_i64().unwrap() > 0, "{path} {kind}: {record}");
        } else {
            assert_eq!(reply.code(), "endpoint_not_offered");
        }
    }
    app.verified().await;
}

#[tokio::test]
async fn the_list_of_models_has_the_shape_of_each_vendor() {
    let app = app().await;
    let key = ("x-api-key", app.key.as_str());
    let version = ("anthropic-version", "2023-06-01");
    for (path, headers, first, missing) in [
        ("/v1/models", vec![key], "/data/0/id", "/error/code"),
        ("/v1/models", vec![key, version], "/data/0/display_name", "/error/type"),
        ("/v1beta/models", vec![key], "/models/0/supportedGenerationMethods/0", "/error/status"),
    ] {
        let list = app.call("GET", path, &headers, "").await;
        assert!(list.json().pointer(first).is_some_and(Value::is_string), "{path}: {}", list.text());
        let one = app.call("GET", &format!("{path}/anthropic"), &headers, "").await;
        assert!(one.status == 200 && one.text().contains("anthropic"), "{path}: {}", one.text());
        let none = app.call("GET", &format!("{path}/nowhere"), &headers, "").await;
        assert_eq!(none.status, 404);
        assert!(none.json().pointer(missing).is_some(), "{path}: {}", none.text());
    }
}
