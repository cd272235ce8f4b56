//! The catalogue, and what prices do to a charge.

use std::sync::Arc;

use gateway::catalogue;
use model::clock::Timestamp;
use serde_json::{Value, json};
use testkit::Script;

use crate::app::{App, now, question};

async fn entry(app: &App, code: &str) -> Value {
    let reply = app.call("GET", &format!("/api/model/{code}"), &[], "").await.json();
    assert_eq!(reply["success"], true, "{reply}");
    reply["data"].clone()
}

async fn refused(app: &App, method: &str, path: &str, body: Value) -> String {
    let reply = app.manage(method, path, Some(body)).await.json();
    assert_eq!(reply["success"], false, "{reply}");
    reply["message"].as_str().unwrap().to_owned()
}

async fn done(app: &App, method: &str, path: &str, body: Value) -> Value {
    let reply = app.manage(method, path, Some(body)).await.json();
    assert_eq!(reply["success"], true, "{reply}");
    reply["data"].clone()
}

#[tokio::test]
async fn the_list_that_comes_along_is_shown_with_all_that_clients_read() {
    let app = App::start().await;
    catalogue::begin(&app.store, now()).await.unwrap();
    app.channel(&["gpt-4.1-nano"]).await;
    let list = app.call("GET", "/api/models", &[], "").await.json();
    let models = list["data"].as_array().unwrap();
    assert!(models.len() > 30 && list["total"] == models.len() && list["page_size"] == 0, "{list}");
    let astra = entry(&app, "gpt-6-astra").await;
    assert_eq!((&astra["provider"], &astra["provider_code"]), (&json!("OpenAI"), &json!("openai")));
    assert_eq!((&astra["model_type"], &astra["available"]), (&json!("text"), &json!(false)));
    assert_eq!(astra["features"], json!(["reasoning", "vision", "tools", "structured-output"]));
    let text = json!({
        "openai": {"path": "/v1/chat/completions", "method": "POST"},
        "openai-response": {"path": "/v1/responses", "method": "POST"},
        "anthropic": {"path": "/v1/messages", "method": "POST"},
        "gemini": {"path": "/v1beta/models/{model}:generateContent", "method": "POST"},
    });
    assert_eq!((&astra["endpoints"], &astra["context_length"]), (&text, &json!(1_050_000)));
    let price = &astra["pricing"];
    let tier =
        json!([{"input": 20.0, "output": 75.0, "cached_input": 2.0, "cache_write": 25.0, "above": 272_000}]);
    assert_eq!(
        (&price["input"], &price["cached_input"], &price["tiers"]),
        (&json!(10.0), &json!(1.0), &tier)
    );
    assert_eq!((&price["currency"], &price["per_request"]), (&json!("USD / M Tokens"), &Value::Null));
    assert!(astra["source"].as_str().unwrap().starts_with("https://") && astra["as_of"] == "2026-10-12");
    let nano = entry(&app, "gpt-4-1-nano").await;
    assert_eq!((&nano["id"], &nano["available"]), (&json!("gpt-4.1-nano"), &json!(true)));
    let embedding = entry(&app, "text-embedding-3-small").await;
    assert_eq!(embedding["endpoints"]["embeddings"]["path"], "/v1/embeddings");

    let bearer = format!("Bearer {}", app.key);
    let one = app.call("GET", "/v1/models/gpt-4.1-nano", &[("authorization", &bearer)], "").await.json();
    let text = json!(["openai", "openai-response", "anthropic", "gemini"]);
    assert_eq!((&one["owned_by"], &one["supported_endpoint_types"]), (&json!("OpenAI"), &text));
    let none = app.call("GET", "/v1/models/gpt-6-astra", &[("authorization", &bearer)], "").await;
    assert_eq!(none.status, 404, "no channel serves it");
    // Another start brings nothing new, and takes nothing back.
    app.price("gpt-4.1-nano", 7, 7, 0).await;
    assert_eq!(catalogue::begin(&app.store, now()).await.unwrap(), store::Imported::default());
    assert_eq!(entry(&app, "gpt-4.1-nano").await["pricing"]["input"], json!(7.0 / 500_000.0));
}

#[tokio::test]
async fn facts_are_said_kept_and_forgotten() {
    let app = App::start().await;
    let said = json!({"model": "m", "provider": "Maker & Sons", "features": ["vision"], "endpoints": ["embeddings"],
        "context_length": 100, "description": "For tests."});
    done(&app, "PUT", "/api/model", said).await;
    done(&app, "PUT", "/api/model", json!({"model": "m", "model_type": "embedding"})).await;
    let known = entry(&app, "m").await;
    assert_eq!(
        (&known["provider"], &known["provider_code"]),
        (&json!("Maker & Sons"), &json!("maker---sons"))
    );
    assert_eq!((&known["model_type"], &known["overview"]), (&json!("embedding"), &json!("For tests.")));
    assert!(known["endpoints"]["embeddings"].is_object() && known["endpoints"]["openai"].is_null());
    done(&app, "PUT", "/api/model", json!({"model": "m", "listed": false})).await;
    let list = app.call("GET", "/api/models", &[], "").await.json();
    assert!(list["data"].as_array().unwrap().iter().all(|one| one["id"] != "m"), "{list}");
    for (body, message) in [
        (json!({}), "model is required"),
        (json!({"model": "a,b"}), "no comma"),
        (json!({"model": "m", "features": ["a,b"]}), "features must be"),
        (json!({"model": "m", "context_length": 0}), "context_length must be"),
        (json!({"model": "m", "provider": "a\nb"}), "provider must have"),
    ] {
        assert!(refused(&app, "PUT", "/api/model", body.clone()).await.contains(message), "{body}");
    }
    done(&app, "DELETE", "/api/model/m", Value::Null).await;
    assert_eq!(entry(&app, "m").await["provider"], "");
    assert_eq!(refused(&app, "DELETE", "/api/model/m", Value::Null).await, "model not found");
    let audit = app.manage("GET", "/api/audit?object=model", None).await.json()["data"].clone();
    let actions: Vec<&str> =
        audit["items"].as_array().unwrap().iter().map(|one| one["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["delete", "update", "update", "create"]);
}

#[tokio::test]
async fn each_kind_is_charged_at_its_price_and_the_record_says_so() {
    let app = App::start().await;
    let usage = json!({
        "prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120,
        "prompt_tokens_details": {"cached_tokens": 10, "audio_tokens": 30},
        "completion_tokens_details": {"reasoning_tokens": 5},
    });
    let answer = json!({
        "id": "x", "object": "chat.completion", "created": 1, "model": "m", "usage": usage,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    });
    app.provider.script("m", Script { body: Some(answer.to_string()), ..Script::default() });
    let price = json!({"model": "m", "input": 1_000_000, "cached_input": 100_000, "input_audio": 4_000_000,
        "output": 2_000_000, "output_reasoning": 3_000_000, "max_output": 1000, "confirm": true,
        "tiers": [{"above": 99, "input": 10_000_000, "output": 0}]});
    let short = |above: u64| {
        let mut price = price.clone();
        price["tiers"][0]["above"] = json!(above);
        price
    };
    // 60 + 10×0.1 + 30×4 + 15×2 + 5×3 = 226; and 100×10 + 20×0 with the cache and the sound at the price of input.
    for (above, units, kinds) in [
        (100, 226, vec!["input", "cached_input", "input_audio", "output", "output_reasoning"]),
        (99, 1_000, vec!["input", "cached_input"]),
    ] {
        done(&app, "PUT", "/api/price", short(above)).await;
        assert_eq!(app.chat(&app.key, &question("m")).await.status, 200);
        let logs = done(&app, "GET", "/api/log/self?page_size=1", Value::Null).await;
        let charge = &logs["items"][0]["charge"];
        assert_eq!(charge["units"], units, "{charge}");
        let lines = charge["lines"].as_array().unwrap();
        assert_eq!(lines.iter().map(|line| line["kind"].as_str().unwrap()).collect::<Vec<_>>(), kinds);
        let sum: i64 = lines
            .iter()
            .map(|line| line["quantity"].as_i64().unwrap() * line["units_per_million"].as_i64().unwrap())
            .sum();
        assert_eq!(sum.div_euclid(1_000_000), units, "{charge}");
        assert_eq!(charge["price_version"], entry(&app, "m").await["pricing"]["version"]);
    }
    app.verified().await;
}

#[tokio::test]
async fn a_later_price_begins_by_itself_and_may_be_taken_back_before() {
    let app = App::start().await;
    let later = |input: i64, at: Timestamp| json!({"model": "m", "input": input, "output": 0, "max_output": 9, "effective": at.secs()});
    let far = Timestamp::from_secs(now().secs() + 3_600);
    let mut slip = later(5, far);
    assert!(refused(&app, "PUT", "/api/price", slip.clone()).await.contains("confirm it if that is meant"));
    slip["confirm"] = json!(true);
    done(&app, "PUT", "/api/price", slip).await;
    assert_eq!(entry(&app, "m").await["pricing"]["input"], 2.0, "not yet");
    let versions = done(&app, "GET", "/api/price?model=m", Value::Null).await;
    assert_eq!((&versions["total"], &versions["items"][0]["input"]), (&json!(2), &json!(5)));
    let (planned, begun) = (versions["items"][0]["id"].clone(), versions["items"][1]["id"].clone());
    let message = refused(&app, "DELETE", &format!("/api/price/{begun}"), Value::Null).await;
    assert!(message.contains("has begun"), "{message}");
    done(&app, "DELETE", &format!("/api/price/{planned}"), Value::Null).await;
    assert_eq!(
        refused(&app, "DELETE", &format!("/api/price/{planned}"), Value::Null).await,
        "price not found"
    );
    // It begins within two seconds, and nobody touches anything.
    let soon = Timestamp::from_secs(now().secs() + 1);
    let mut half = later(500_000, soon);
    half["confirm"] = json!(true);
    done(&app, "PUT", "/api/price", half).await;
    let before = app.gateway.routing();
    assert!(!before.has_ended(now()) || now() >= soon);
    while entry(&app, "m").await["pricing"]["input"] != 1.0 {}
    assert!(now() >= soon && !Arc::ptr_eq(&before, &app.gateway.routing()));
}

/// One slip of the pen is refused, with a word that a program can act on, and nothing changes.
#[tokio::test]
async fn a_single_price_that_leaps_must_be_confirmed() {
    let app = App::start().await;
    let mut price = json!({"model": "m", "input": 10_000_001, "output": 1_000_000, "max_output": 1000});
    for confirm in [Value::Null, json!(false)] {
        price["confirm"] = confirm;
        let reply = app.manage("PUT", "/api/price", Some(price.clone())).await.json();
        assert_eq!((&reply["success"], &reply["code"]), (&json!(false), &json!("confirmation_required")));
        let message = reply["message"].as_str().unwrap();
        assert_eq!(
            message,
            "model m: input would go from 1000000 to 10000001 units for a million, which is more than tenfold; confirm it if \
             that is meant"
        );
        assert_eq!(entry(&app, "m").await["pricing"]["input"], 2.0);
    }
    price["confirm"] = json!(true);
    done(&app, "PUT", "/api/price", price.clone()).await;
    assert_eq!(entry(&app, "m").await["pricing"]["input"], 20.000002);
    price["confirm"] = json!("yes");
    assert!(refused(&app, "PUT", "/api/price", price).await.contains("confirm"));
}

#[tokio::test]
async fn a_file_is_taken_in_whole_or_refused_with_its_line() {
    let app = App::start().await;
    let file = "[[model]]\nid = \"new\"\nmax_output = 5\nfeatures = [\"vision\"]\n[[model.price]]\ninput = 1.25\noutput = 10\n\
                [[model]]\nid = \"m\"\nmax_output = 1000\n[[model.price]]\ninput = 2\noutput = 2\n";
    for (from, to, message) in [
        ("input = 1.25", "input = -1", "line 6: input must be a number of US dollars"),
        ("output = 10", "output = nan", "line 7: output must be a number"),
        ("input = 2", "input = 20.1", "line 8: model m: input would go from 1000000 to 10050000 units"),
        ("output = 2\n", "output = 0\n", "line 8: model m: output would go from 1000000 to 0 units"),
        ("[[model]]", "[[model", "line 1: "),
        ("id = \"new\"", "nmae = \"new\"", "line 2: unknown field"),
    ] {
        let wrong = json!({"file": file.replacen(from, to, 1)});
        let said = refused(&app, "POST", "/api/price/import", wrong).await;
        assert!(said.starts_with(message), "{to}: {said}");
        let none = app.call("GET", "/api/model/new", &[], "").await.json();
        assert_eq!(none["code"], "not_found", "nothing of it was taken in");
        assert_eq!(entry(&app, "m").await["pricing"]["input"], 2.0);
    }
    assert_eq!(refused(&app, "POST", "/api/price/import", json!({})).await, "file is required");
    let taken = done(&app, "POST", "/api/price/import", json!({"file": file})).await;
    assert_eq!(taken, json!({"models": 2, "prices": 1}), "the price of m is the same as before");
    assert_eq!(entry(&app, "new").await["pricing"]["output"], 10.0);
    let leap = file.replacen("input = 2", "input = 20.1", 1);
    let taken = done(&app, "POST", "/api/price/import", json!({"file": leap, "confirm": true})).await;
    assert_eq!(taken, json!({"models": 0, "prices": 1}));
    assert_eq!(entry(&app, "m").await["pricing"]["input"], 20.1);
}

#[tokio::test]
async fn what_nobody_has_priced_is_refused_and_counted() {
    let app = App::start().await;
    let by_image = json!({"model": "unpriced", "input": 0, "output": 0, "per_image": 20_000_000_000_i64, "max_output": 1});
    for _ in 0..2 {
        let reply = app.chat(&app.key, &question("unpriced")).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "price_unknown"));
        let metrics = app.call("GET", "/metrics", &[], "").await.text();
        assert!(metrics.contains("apsis_price_unknown_total{model=\"unpriced\"}"), "{metrics}");
        done(&app, "PUT", "/api/price", by_image.clone()).await;
        assert_eq!(entry(&app, "unpriced").await["pricing"]["per_image"], 0.04);
    }
    let metrics = app.call("GET", "/metrics", &[], "").await.text();
    assert!(metrics.contains("apsis_price_unknown_total{model=\"unpriced\"} 2"), "{metrics}");
    assert!(metrics.contains("apsis_models_without_price 0"), "{metrics}");
    app.channel(&["a\"b"]).await;
    assert_eq!(app.chat(&app.key, &question("a\"b")).await.code(), "price_unknown");
    let metrics = app.call("GET", "/metrics", &[], "").await.text();
    assert!(metrics.contains("apsis_price_unknown_total{model=\"a\\\"b\"} 1"), "{metrics}");
    assert!(metrics.contains("apsis_models_without_price 1"), "{metrics}");
}

#[tokio::test]
async fn an_image_is_held_at_the_most_that_its_model_makes_of_it() {
    let app = App::start().await;
    let image = json!({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}});
    let body = json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": [image]}]});
    let price = |image_tokens: Value| json!({"model": "m", "input": 1_000_000, "output": 0, "max_output": 9, "image_tokens": image_tokens, "confirm": true});
    for (tokens, status) in [(Value::Null, 403), (json!(2_000), 200), (json!(5_000), 403)] {
        done(&app, "PUT", "/api/price", price(tokens.clone())).await;
        let key = app.key_of(app.root, 3_000).await;
        assert_eq!(app.chat(&key, &body).await.status, status, "{tokens}");
    }
}
