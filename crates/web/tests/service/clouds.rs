//! Upstreams whose requests are signed: what they are sent, and what becomes of a credential that is not good.

use http::header::AUTHORIZATION;
use serde_json::{Value, json};
use testkit::{Provider, Seen};

use crate::app::{App, Reply};

const STRANGER: &str = include_str!("stranger.pem");
/// A model whose name must be written otherwise in a path.
const CLAUDE: &str = "anthropic.claude-x-v1:0";

/// A channel of a kind for a model of its own name, with some credentials.
async fn channel(app: &App, kind: &str, keys: &[String]) -> i64 {
    let base = if kind.starts_with("vertex") { "/v1/projects/p/locations/l" } else { "" };
    let (base_url, model) = (format!("{}{base}", app.provider.origin()), model(kind));
    let body =
        json!({"name": kind, "kind": kind, "base_url": base_url, "key": keys.first(), "models": [model]});
    let made = app.manage("POST", "/api/channel/", Some(body)).await.json();
    assert_eq!(made["success"], true, "{made}");
    let id = made["data"]["id"].as_i64().unwrap();
    for key in keys.iter().skip(1) {
        let body = json!({"channel": id, "key": key});
        let made = app.manage("POST", "/api/channel/credential", Some(body)).await.json();
        assert_eq!(made["success"], true, "{made}");
    }
    app.price(model, 1_000_000, 1_000_000, 0).await;
    id
}

fn model(kind: &str) -> &str {
    if kind == "bedrock" { CLAUDE } else { "claude@1" }
}

async fn ask(app: &App, kind: &str, stream: bool) -> Reply {
    let body = json!({"model": model(kind), "max_tokens": 50, "stream": stream,
        "messages": [{"role": "user", "content": "one two three"}]});
    let headers = [("x-api-key", app.key.as_str()), ("anthropic-beta", "first,second")];
    app.call("POST", "/v1/messages", &headers, body.to_string()).await
}

/// The statuses of a channel's credentials: 1 in use, 3 refused.
async fn statuses(app: &App, channel: i64) -> Vec<i64> {
    let found = app.manage("GET", &format!("/api/channel/{channel}"), None).await.json();
    let credentials = found["data"]["credentials"].as_array().unwrap().clone();
    credentials.iter().map(|credential| credential["status"].as_i64().unwrap()).collect()
}

/// Waits until a channel's credentials have these statuses.
async fn reaches(app: &App, channel: i64, expected: &[i64]) {
    while statuses(app, channel).await != expected {
        tokio::task::yield_now().await;
    }
}

fn body(seen: &Seen) -> Value {
    serde_json::from_slice(&seen.body).unwrap()
}

fn token_requests(app: &App) -> usize {
    app.provider.seen().iter().filter(|seen| seen.path == "/token").count()
}

/// The JSON key with another account's private key in it.
fn stranger(key: &str) -> String {
    let mut key: Value = serde_json::from_str(key).unwrap();
    key["private_key"] = STRANGER.into();
    key.to_string()
}

#[tokio::test]
async fn clouds_are_sent_what_they_want_and_no_more() {
    let app = App::start().await;
    app.provider.record();
    for (kind, key, paths) in [
        (
            "vertex-anthropic",
            app.provider.service_account(),
            [
                "/v1/projects/p/locations/l/publishers/anthropic/models/claude@1:rawPredict",
                "/v1/projects/p/locations/l/publishers/anthropic/models/claude@1:streamRawPredict",
            ],
        ),
        (
            "bedrock",
            Provider::access_key(),
            [
                "/model/anthropic.claude-x-v1%3A0/invoke",
                "/model/anthropic.claude-x-v1%3A0/invoke-with-response-stream",
            ],
        ),
    ] {
        channel(&app, kind, &[key]).await;
        for (stream, path) in [false, true].into_iter().zip(paths) {
            let reply = ask(&app, kind, stream).await;
            assert_eq!(reply.status, 200, "{}", reply.text());
            let sent = app.provider.seen().last().unwrap().clone();
            assert_eq!(sent.path, path);
            let body = body(&sent);
            assert_eq!(body.get("model"), None, "{body}");
            let told = body["anthropic_beta"].clone();
            if kind == "bedrock" {
                assert_eq!(body.get("stream"), None, "{body}");
                assert_eq!(told, json!(["first", "second"]));
            } else {
                assert_eq!(sent.headers["anthropic-beta"], "first,second");
            }
            assert!(!sent.headers.contains_key("x-api-key"));
            if stream {
                assert_eq!(reply.header("content-type"), Some("text/event-stream"));
                assert!(reply.text().starts_with("event: message_start\ndata: {"), "{}", reply.text());
                assert!(reply.text().contains("event: message_stop\n"), "{}", reply.text());
            }
        }
    }
    app.verified().await;
}

#[tokio::test]
async fn an_access_token_serves_many_requests_and_is_made_anew_when_it_has_ended() {
    let app = App::start().await;
    app.provider.record();
    channel(&app, "vertex-anthropic", &[app.provider.service_account()]).await;
    for _ in 0..3 {
        assert_eq!(ask(&app, "vertex-anthropic", false).await.status, 200);
    }
    assert_eq!(token_requests(&app), 1);
    // One that ends before its time costs a request, and not the credential.
    app.provider.revoke_tokens();
    for _ in 0..2 {
        let reply = ask(&app, "vertex-anthropic", false).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    assert_eq!(token_requests(&app), 2);
    let bearers: Vec<_> = app
        .provider
        .seen()
        .iter()
        .filter(|seen| seen.path != "/token")
        .map(|seen| seen.headers[AUTHORIZATION].to_str().unwrap().to_owned())
        .collect();
    let expected = [1, 1, 1, 1, 2, 2].map(|number| format!("Bearer ya29.scripted-{number}"));
    assert_eq!(bearers, expected);
    app.verified().await;
}

#[tokio::test]
async fn a_token_that_ends_at_once_is_asked_for_each_time() {
    let app = App::start().await;
    app.provider.record();
    app.provider.tokens_live(1);
    channel(&app, "vertex-anthropic", &[app.provider.service_account()]).await;
    assert_eq!(ask(&app, "vertex-anthropic", false).await.status, 200);
    while token_requests(&app) < 2 {
        assert_eq!(ask(&app, "vertex-anthropic", false).await.status, 200);
    }
    app.verified().await;
}

#[tokio::test]
async fn a_wrong_secret_disables_that_credential_and_no_other() {
    let app = App::start().await;
    let account = app.provider.service_account();
    let access = Provider::access_key();
    for (kind, good, bad) in [
        ("vertex-anthropic", account.clone(), stranger(&account)),
        ("bedrock", access.clone(), access.replace("secret+", "other+")),
        ("bedrock", access.clone(), access.replace("AKIA", "ASIA")),
        ("bedrock", access.clone(), access.replace("session", "ended")),
    ] {
        let id = channel(&app, kind, &[bad.clone(), good]).await;
        while statuses(&app, id).await != [3, 1] {
            let reply = ask(&app, kind, false).await;
            assert!(
                matches!(reply.status, 200 | 401 | 403 | 502 | 503),
                "{kind}: {} {}",
                reply.status,
                reply.text()
            );
        }
        let reply = ask(&app, kind, false).await;
        assert_eq!(reply.status, 200, "{kind}: {}", reply.text());
        let gone = app.manage("DELETE", &format!("/api/channel/{id}"), None).await;
        assert_eq!(gone.json()["success"], true);
    }
    app.verified().await;
}

#[tokio::test]
async fn the_reason_is_told_and_nothing_of_the_secret() {
    let app = App::start().await;
    let account = app.provider.service_account();
    let access = Provider::access_key();
    for (kind, bad, reason) in [
        ("vertex-anthropic", stranger(&account), "invalid_grant: Invalid JWT Signature."),
        (
            "bedrock",
            access.replace("secret+", "other+"),
            "The request signature we calculated does not match",
        ),
    ] {
        let id = channel(&app, kind, std::slice::from_ref(&bad)).await;
        let tested = app.manage("GET", &format!("/api/channel/test/{id}"), None).await;
        let said = tested.text();
        assert!(said.contains(reason), "{said}");
        let reply = ask(&app, kind, false).await;
        // What an upstream answers is its own; why no token was to be had is the operator's.
        assert_eq!(reply.text().contains(reason), kind == "bedrock", "{}", reply.text());
        let shown = app.manage("GET", &format!("/api/channel/{id}"), None).await.text();
        for text in [said, reply.text(), shown] {
            for secret in ["PRIVATE KEY", "other+access", "scripted-session-token", "AKIASCRIPTED"] {
                assert!(!text.contains(secret), "{text}");
            }
        }
        reaches(&app, id, &[3]).await;
    }
    app.verified().await;
}

#[tokio::test]
async fn a_secret_that_signs_is_never_sent() {
    let app = App::start().await;
    for (kind, key) in
        [("vertex-anthropic", app.provider.service_account()), ("bedrock", Provider::access_key())]
    {
        let id = channel(&app, kind, &[key]).await;
        let edit = |kind: &str| json!({"id": id, "kind": kind});
        let refused = app.manage("PUT", "/api/channel/", Some(edit("compatible"))).await.json();
        assert_eq!(refused["message"], format!("key is required when {kind} becomes compatible"));
        let other = if kind == "bedrock" { "bedrock-openai" } else { "vertex" };
        let changed = app.manage("PUT", "/api/channel/", Some(edit(other))).await.json();
        assert_eq!(changed["success"], true, "{changed}");
    }
}

#[tokio::test]
async fn what_is_no_credential_of_the_kind_is_refused_at_once() {
    let app = App::start().await;
    for (kind, key, reason) in [
        ("vertex", "sk-something", "it is not the JSON key of a service account"),
        ("vertex", r#"{"client_email": "a b"}"#, "private_key is missing in it"),
        ("bedrock", "AKIA:", "it is neither ACCESS_KEY_ID:SECRET_ACCESS_KEY"),
    ] {
        let url = app.provider.origin();
        let body = json!({"name": "c", "kind": kind, "base_url": url, "key": key, "models": ["x"]});
        let made = app.manage("POST", "/api/channel/", Some(body)).await.json();
        assert_eq!(made["success"], false);
        let message = made["message"].as_str().unwrap();
        assert!(message.contains(reason) && !message.contains(key), "{message}");
    }
}
