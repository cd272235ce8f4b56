//! The checks of the model API, in their order, and what passes through.

use ledger::{Batch, Book, Charge, Draw};
use model::{
    id::{AccountId, ChannelId, ChargeId, JournalId, KeyId, LeaseId, PoolId, PriceId},
    money::Units,
    price::Ratio,
    usage::{Provenance, Tokens, UsageContext, UsageOutcome},
};
use serde_json::json;

use crate::app::{App, now, question};

#[tokio::test]
async fn each_check_answers_with_its_status_and_code() {
    let app = App::start().await;
    let chat = question("calls").to_string();
    let key = app.key.clone();
    let other = app.key_of(app.root, 5).await;
    for (headers, status, code) in [
        (vec![], 401, "missing_api_key"),
        (vec![("authorization", "Bearer sk-nonsense".to_owned())], 401, "invalid_api_key"),
        (vec![("authorization", format!("Bearer {}", app.pat))], 401, "invalid_api_key"),
        (
            vec![("authorization", format!("Bearer {key}")), ("x-api-key", other.clone())],
            400,
            "conflicting_credentials",
        ),
        (vec![("authorization", format!("Bearer {key}")), ("x-api-key", key.clone())], 200, ""),
        (vec![("authorization", format!("bearer {}", key.trim_start_matches("sk-")))], 200, ""),
        (vec![("x-api-key", key.clone())], 200, ""),
        (vec![("x-goog-api-key", key.clone())], 200, ""),
        (vec![("api-key", key.clone())], 200, ""),
        (vec![("sec-websocket-protocol", format!("realtime, openai-insecure-api-key.{key}"))], 200, ""),
    ] {
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let reply = app.call("POST", "/v1/chat/completions", &headers, chat.clone()).await;
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{headers:?}");
        let id = reply.header("x-request-id").unwrap();
        assert_eq!(reply.header("x-cometapi-request-id"), Some(id));
        if status != 200 {
            assert!(reply.text().contains(&format!("(request id: {id})")));
            assert_eq!(reply.header("x-should-retry"), Some("false"));
            assert_eq!(reply.json()["error"]["type"], "comet_api_error");
        }
    }
    let by_query = app.call("POST", &format!("/v1/chat/completions?key={key}"), &[], chat).await;
    assert_eq!(by_query.status, 200);
}

#[tokio::test]
async fn the_state_of_a_key_decides() {
    let app = App::start().await;
    for (settings, status, code) in [
        (json!({"status": 2}), 401, "key_disabled"),
        (json!({"expired_time": 1000}), 401, "key_expired"),
        (json!({"allow_ips": "203.0.113.7"}), 403, "ip_not_allowed"),
        (json!({"allow_ips": "127.0.0.0/8"}), 200, ""),
        (json!({"allow_ips": "::ffff:127.0.0.1"}), 200, ""),
        (json!({"model_limits_enabled": true}), 403, "model_not_allowed"),
        (json!({"model_limits_enabled": true, "model_limits": "x,calls"}), 200, ""),
        (json!({"remain_quota": 9}), 403, "quota_exhausted"),
        (json!({"remain_quota": 10}), 200, ""),
    ] {
        let mut body = json!({"remain_quota": 100});
        body.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let made = app.manage("POST", "/api/token/", Some(body)).await.json()["data"].clone();
        if settings["status"] == 2 {
            app.manage("PUT", "/api/token/", Some(json!({"id": made["id"], "status": 2}))).await;
        }
        let headers = [
            ("authorization", format!("Bearer {}", made["key"].as_str().unwrap())),
            ("x-forwarded-for", "203.0.113.7".to_owned()),
        ];
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let reply = app.call("POST", "/v1/chat/completions", &headers, question("calls").to_string()).await;
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{settings}");
    }
    let account = app.account("poor", 9).await;
    let key = app.key_of(account, 1000).await;
    let reply = app.chat(&key, &question("calls")).await;
    assert_eq!((reply.status, reply.code().as_str()), (403, "insufficient_balance"));
    app.manage("PUT", "/api/user/", Some(json!({"id": account.0, "quota": 10}))).await;
    assert_eq!(app.chat(&key, &question("calls")).await.status, 200, "at once");
    app.manage("PUT", "/api/user/", Some(json!({"id": account.0, "status": 2}))).await;
    let reply = app.chat(&key, &question("calls")).await;
    assert_eq!((reply.status, reply.code().as_str()), (403, "account_disabled"));
    app.verified().await;
}

#[tokio::test]
async fn the_body_decides() {
    let app = App::with(|settings| settings.body_limit = 10_000).await;
    let bearer = format!("Bearer {}", app.key);
    for (body, status, code) in [
        (String::new(), 400, "invalid_request"),
        ("[1]".to_owned(), 400, "invalid_request"),
        (r#"{"messages":[]}"#.to_owned(), 400, "model_required"),
        (r#"{"model":""}"#.to_owned(), 400, "model_required"),
        (r#"{"model":"calls","model":"m"}"#.to_owned(), 400, "invalid_request"),
        (r#"{"model":"calls","stream":"yes"}"#.to_owned(), 400, "invalid_request"),
        (format!(r#"{{"model":"calls","x":{}{}}}"#, "[".repeat(99), "]".repeat(99)), 400, "invalid_request"),
        (format!(r#"{{"model":"{}"}}"#, "m".repeat(300)), 400, "invalid_request"),
        (r#"{"model":"nobody"}"#.to_owned(), 503, "model_not_found"),
        (r#"{"model":"unpriced"}"#.to_owned(), 400, "price_unknown"),
        (format!(r#"{{"model":"calls","x":"{}"}}"#, "y".repeat(10_000)), 413, "request_too_large"),
    ] {
        let reply =
            app.call("POST", "/v1/chat/completions", &[("authorization", &bearer)], body.clone()).await;
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{body:.80}");
    }
    let message = app.chat(&app.key, &question("nobody")).await.text();
    assert!(message.contains("no available channel for group default and model nobody"), "{message}");
    for (path, shape) in [
        ("/v1/nothing", "/error/code"),
        ("/v1/messages/nothing", "/error/type"),
        ("/v1beta/nothing", "/error/status"),
        ("/api/nothing", "/code"),
    ] {
        let reply = app.call("GET", path, &[], "").await;
        assert_eq!(reply.status, 404);
        assert!(reply.json().pointer(shape).is_some(), "{path}: {}", reply.text());
    }
}

#[tokio::test]
async fn what_passes_is_what_came() {
    let app = App::start().await;
    app.provider.record();
    let bearer = format!("Bearer {}", app.key);
    let body = r#"{ "model":"m",  "messages":[{"role":"user","content":"Grüße \u00e9"}],"unheard_of":{"a":[1,2.50,null]} }"#;
    let reply = app
        .call(
            "POST",
            "/v1/chat/completions",
            &[
                ("authorization", &bearer),
                ("x-request-id", "mine-1"),
                ("cookie", "a=b"),
                ("x-secret", "1"),
                ("openai-beta", "x"),
            ],
            body,
        )
        .await;
    assert_eq!((reply.status, reply.header("x-request-id")), (200, Some("mine-1")));
    let seen = app.provider.seen();
    assert_eq!(seen[0].body, body.as_bytes());
    assert_eq!(seen[0].headers["authorization"], "Bearer sk-upstream-secret");
    assert_eq!(seen[0].headers["openai-beta"], "x");
    for absent in ["cookie", "x-secret", "x-forwarded-for", "x-api-key"] {
        assert!(!seen[0].headers.contains_key(absent), "{absent}");
    }
    let reply = app
        .call(
            "POST",
            "/v1/chat/completions",
            &[("authorization", &bearer), ("x-request-id", "not valid!")],
            body,
        )
        .await;
    assert_ne!(reply.header("x-request-id"), Some("not valid!"));
    let embeddings = app
        .call(
            "POST",
            "/v1/embeddings",
            &[("authorization", &bearer)],
            r#"{"model":"e","input":["one two","three"]}"#,
        )
        .await;
    assert_eq!(embeddings.json()["usage"]["prompt_tokens"], 3);
    app.verified().await;
}

#[tokio::test]
async fn the_usage_chunk_is_shown_only_to_who_asked() {
    let app = App::start().await;
    app.provider.record();
    for asked in [false, true] {
        let mut body = question("m");
        body["stream"] = json!(true);
        if asked {
            body["stream_options"] = json!({"include_usage": true});
        }
        let reply = app.chat(&app.key, &body).await;
        assert_eq!(reply.header("content-type"), Some("text/event-stream"));
        assert_eq!(reply.text().contains("\"prompt_tokens\""), asked);
        assert!(reply.text().ends_with("data: [DONE]\n\n"));
        let sent = app.provider.seen().last().unwrap().body.clone();
        assert!(String::from_utf8_lossy(&sent).contains(r#""include_usage":true"#));
    }
}

#[tokio::test]
async fn models_are_those_that_the_key_may_call() {
    let app = App::start().await;
    let limited = app
        .manage("POST", "/api/token/", Some(json!({"model_limits_enabled": true, "model_limits": "m,other"})))
        .await
        .json();
    for (key, expected) in
        [(app.key.as_str(), vec!["calls", "e", "m"]), (limited["data"]["key"].as_str().unwrap(), vec!["m"])]
    {
        let bearer = format!("Bearer {key}");
        let list = app.call("GET", "/v1/models", &[("authorization", &bearer)], "").await.json();
        let ids: Vec<&str> =
            list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
        assert_eq!(ids, expected);
        assert_eq!(
            app.call("GET", "/v1/models/m", &[("authorization", &bearer)], "").await.json()["id"],
            "m"
        );
        let none = app.call("GET", "/v1/models/unpriced", &[("authorization", &bearer)], "").await;
        assert_eq!((none.status, none.code().as_str()), (404, "model_not_found"));
    }
    assert_eq!(app.call("GET", "/v1/models", &[], "").await.code(), "missing_api_key");
}

/// A charge to pools that nobody has.
fn stray(journal: JournalId, key: KeyId, account: AccountId) -> Charge {
    let draw = |pool| Draw { pool: PoolId(pool), lease: LeaseId(0) };
    Charge {
        id: ChargeId { journal, seq: 1 },
        draws: vec![draw(998), draw(999)],
        context: UsageContext {
            request_id: "stray".to_owned(),
            account,
            key,
            key_name: String::new(),
            group: "default".to_owned(),
            channel: ChannelId(1),
            attempt: 1,
            model: "m".to_owned(),
            upstream_model: "m".to_owned(),
            door: "/v1/chat/completions".to_owned(),
            stream: false,
            price: PriceId(1),
            ratio: Ratio::ONE,
            client: [127, 0, 0, 1].into(),
            started: now(),
        },
        outcome: UsageOutcome {
            tokens: Tokens::default(),
            provenance: Provenance::Reported,
            units: Units::new(5),
            overrun: Units::ZERO,
            status: 200,
            error: None,
            first_byte_ms: None,
            ended: now(),
        },
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn books_that_do_not_add_up_are_a_figure() {
    let app = App::start().await;
    let figure = async |count: usize| {
        assert_eq!(app.gateway.prove().await.unwrap(), count);
        let metrics = app.call("GET", "/metrics", &[], "").await.text();
        assert!(metrics.contains(&format!("\napsis_ledger_discrepancies {count}\n")), "{metrics}");
    };
    figure(0).await;
    let journal = JournalId(7);
    app.store.open_journal(journal).await.unwrap();
    // One charge with two records.
    let charges = vec![stray(journal, KeyId(1), app.root); 2];
    app.store.apply(&Batch { journal, from: 0, to: 1, charges }).await.unwrap();
    figure(1).await;
}

#[tokio::test]
async fn health_and_metrics_say_how_it_is() {
    let app = App::start().await;
    assert_eq!(app.call("GET", "/health/live", &[], "").await.status, 200);
    assert_eq!(app.call("GET", "/health/ready", &[], "").await.status, 200);
    app.chat(&app.key, &question("calls")).await;
    let metrics = app.call("GET", "/metrics", &[], "").await.text();
    assert!(
        metrics.contains("apsis_requests_total{door=\"/v1/chat/completions\",status=\"2xx\"} 1"),
        "{metrics}"
    );
    assert!(metrics.contains("apsis_units_charged_total 10"), "{metrics}");
    app.ledger.stop_admitting();
    assert_eq!(app.call("GET", "/health/ready", &[], "").await.status, 503);
    let refused = app.chat(&app.key, &question("calls")).await;
    assert_eq!(
        (refused.status, refused.code().as_str(), refused.header("retry-after")),
        (503, "unavailable", Some("1"))
    );
}

#[tokio::test]
async fn a_stored_credential_goes_to_no_new_address() {
    let app = App::start().await;
    let id = app.manage("GET", "/api/channel/", None).await.json()["data"][0]["id"].clone();
    let elsewhere = json!({"id": id, "base_url": "http://127.0.0.1:9/v1"});
    let refused = app.manage("PUT", "/api/channel/", Some(elsewhere.clone())).await.json();
    assert_eq!(refused["message"], "key is required with a new base_url");
    let mut with_key = elsewhere;
    with_key["key"] = json!("sk-other");
    assert_eq!(app.manage("PUT", "/api/channel/", Some(with_key)).await.json()["success"], true);
    let renamed = json!({"id": id, "name": "renamed"});
    assert_eq!(app.manage("PUT", "/api/channel/", Some(renamed)).await.json()["data"]["name"], "renamed");
}
