//! Where a request goes: what administrators see of it, and that a key in the automatic group follows it.

use gateway::{channels, routing::UpstreamFailure};
use model::id::{ChannelId, CredentialId};
use serde_json::{Value, json};

use crate::app::{App, question};

async fn done(app: &App, method: &str, path: &str, body: Value) -> Value {
    let body = (!body.is_null()).then_some(body);
    let reply = app.manage(method, path, body).await;
    assert_eq!((reply.status, &reply.json()["success"]), (200, &json!(true)), "{path}: {}", reply.text());
    reply.json()["data"].clone()
}

#[tokio::test]
async fn the_plan_of_a_key_is_explained_and_followed() {
    let app = App::start().await;
    for (name, ratio) in [("slow", 500_000), ("fast", 2_000_000)] {
        done(&app, "PUT", "/api/group", json!({"name": name, "ratio_millionths": ratio})).await;
    }
    let url = app.provider.url();
    let channel = |name: &str, groups: &[&str], priority: i64, status: i64| json!({"name": name, "base_url": url, "models": ["p"], "groups": groups, "priority": priority, "status": status});
    for body in [
        channel("first", &["fast"], 2, 1),
        channel("second", &["fast"], 1, 1),
        channel("off", &["fast"], 3, 2),
        channel("spare", &["slow"], 0, 1),
    ] {
        done(&app, "POST", "/api/channel", body).await;
    }
    app.price("p", 1_000_000, 1_000_000, 0).await;
    let lists =
        json!({"id": app.root.0, "groups": ["fast", "slow"], "auto_groups": ["default", "fast", "slow"]});
    let account = done(&app, "PUT", "/api/user", lists).await;
    assert_eq!(account["auto_groups"], json!(["default", "fast", "slow"]));
    let key = json!({"name": "auto", "group": "auto", "cross_group_retry": true, "unlimited_quota": true});
    let made = done(&app, "POST", "/api/token", key).await;
    let explain = format!("/api/route/explain?key_id={}&model=p", made["id"]);

    let plan = done(&app, "GET", &explain, Value::Null).await;
    assert_eq!(plan["groups"], json!(["default", "fast", "slow"]));
    assert_eq!((&plan["auto"], &plan["cross_group_retry"]), (&json!(true), &json!(true)));
    let named = |list: &Value, members: [&str; 2]| -> Vec<String> {
        let text = |one: &Value, member: &str| one[member].as_str().unwrap().to_owned();
        let both = |one: &Value| members.map(|member| text(one, member)).join(": ");
        list.as_array().unwrap().iter().map(both).collect()
    };
    let candidates = named(&plan["candidates"], ["name", "group"]);
    assert_eq!(candidates, ["first: fast", "second: fast", "spare: slow"]);
    let others = named(&plan["others"], ["name", "reason"]);
    assert_eq!(others, ["c: it does not serve the model", "off: it is disabled"]);
    assert!(plan.get("refusal").is_none());

    done(&app, "PUT", "/api/token", json!({"id": made["id"], "cross_group_retry": false})).await;
    let plan = done(&app, "GET", &explain, Value::Null).await;
    assert_eq!(named(&plan["candidates"], ["name", "group"]), ["first: fast", "second: fast"]);
    assert_eq!(plan["others"][2]["reason"], "its group is not reached");
    let answer = app.chat(made["key"].as_str().unwrap(), &question("p")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let models = app.call("GET", "/v1/models", &[("x-api-key", made["key"].as_str().unwrap())], "").await;
    assert!(models.text().contains("\"p\"") && models.text().contains("\"m\""), "{}", models.text());

    done(&app, "PUT", "/api/token", json!({"id": made["id"], "model_limits_enabled": true})).await;
    let plan = done(&app, "GET", &explain, Value::Null).await;
    assert_eq!(plan["refusal"], "this API key may not use model p");
    for (path, code) in [
        ("/api/route/explain?model=p", "invalid_parameter"),
        ("/api/route/explain?key_id=x&model=p", "invalid_parameter"),
        ("/api/route/explain?key_id=1", "invalid_parameter"),
        ("/api/route/explain?key_id=999999&model=p", "not_found"),
    ] {
        assert_eq!(app.manage("GET", path, None).await.json()["code"], code, "{path}");
    }
    let taken = app.manage("DELETE", "/api/group/slow", None).await;
    assert_eq!(taken.json()["code"], "conflict", "an automatic list names it");
    let reserved = app.manage("PUT", "/api/group", Some(json!({"name": "auto"}))).await;
    assert_eq!(reserved.json()["code"], "invalid_parameter");
    let unknown = json!({"id": app.root.0, "auto_groups": ["nowhere"]});
    assert!(app.manage("PUT", "/api/user", Some(unknown)).await.text().contains("there is no group nowhere"));
}

/// Why channel `id` is not among the candidates of root's key; `None` when it is.
async fn reason(app: &App, id: &Value) -> Option<Value> {
    let plan = done(app, "GET", "/api/route/explain?key_id=1&model=x", Value::Null).await;
    plan["others"]
        .as_array()
        .unwrap()
        .iter()
        .find(|other| other["channel"] == *id)
        .map(|other| other["reason"].clone())
}

#[tokio::test]
async fn what_a_node_has_met_is_explained_and_an_edit_or_a_passed_test_forgets_it() {
    let app = App::start().await;
    let body = json!({"name": "x", "base_url": app.provider.url(), "key": "sk-one", "models": ["x"]});
    let made = done(&app, "POST", "/api/channel", body).await;
    let fail = |failure: UpstreamFailure| {
        let snapshot = app.gateway.routing();
        let id = ChannelId(made["id"].as_i64().unwrap());
        let route = snapshot.channels().iter().find(|route| route.id == id).unwrap();
        let permit = app.gateway.health().permit(route, app.gateway.now());
        permit.is_some_and(|permit| permit.failed(failure))
    };
    assert_eq!(reason(&app, &made["id"]).await, None);
    for heal in ["/api/channel/test/ID", "/api/channel/ID/enable"] {
        for _ in 0..5 {
            assert!(!fail(UpstreamFailure::Connect));
        }
        assert_eq!(reason(&app, &made["id"]).await, Some(json!("it failed; its breaker is open")));
        let method = if heal.ends_with("enable") { "POST" } else { "GET" };
        done(&app, method, &heal.replace("ID", &made["id"].to_string()), Value::Null).await;
        assert_eq!(reason(&app, &made["id"]).await, None, "{heal}");
    }

    assert!(fail(UpstreamFailure::Status { status: 401, retry_after: None }), "the credential is refused");
    let resting = reason(&app, &made["id"]).await;
    assert_eq!(resting, Some(json!("each of its credentials rests: its limit is used up, or it is refused")));
    let credential = made["credentials"][0]["id"].clone();
    let refused = CredentialId(credential.as_i64().unwrap());
    for _ in 0..2 {
        channels::credential_refused(&app.gateway, refused, 401).await.unwrap();
    }
    assert_eq!(reason(&app, &made["id"]).await, Some(json!("none of its credentials is in use")));
    let records = done(&app, "GET", "/api/audit?object=credential", Value::Null).await;
    assert_eq!((&records["total"], &records["items"][0]["actor"]), (&json!(1), &json!("gateway")));
    done(&app, "PUT", "/api/channel/credential", json!({"id": credential, "status": 1})).await;
    assert_eq!(reason(&app, &made["id"]).await, None, "an operator's word counts at once");
}
