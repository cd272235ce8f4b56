//! The edges of the management API: requests that no client should send, and edits that meet.

use std::sync::Arc;

use model::{
    clock::Timestamp,
    credential::{Class, Credential},
};
use serde_json::json;

use crate::app::{App, now};

#[tokio::test]
async fn whatever_is_malformed_has_the_envelope() {
    let app = App::start().await;
    for (method, path) in [
        ("GET", "/api/token/%ff"),
        ("GET", "/api/token/x"),
        ("GET", "/api/token/99999999999999999999"),
        ("DELETE", "/api/token/%ff"),
        ("DELETE", "/api/pat/%ff"),
        ("GET", "/api/user/%ff"),
        ("GET", "/api/channel/%ff"),
        ("DELETE", "/api/channel/%ff"),
        ("DELETE", "/api/group/%ff"),
        ("GET", "/api/model/%ff"),
        ("PUT", "/api/token/?status_only=%ff"),
        ("PUT", "/api/token/?status_only=true&status_only=true"),
    ] {
        let reply = app.manage(method, path, Some(json!({"id": 999_999, "status": 1}))).await;
        assert_eq!(
            reply.header("content-type"),
            Some("application/json"),
            "{method} {path}: {}",
            reply.text()
        );
        let json = reply.json();
        assert_eq!((reply.status, &json["success"]), (200, &json!(false)), "{method} {path}: {json}");
        assert!(["invalid_parameter", "not_found"].contains(&json["code"].as_str().unwrap()), "{json}");
    }
    for path in ["/api/token/?p=%ff", "/api/token/?p=1&p=2", "/api/token/search?keyword=%ff"] {
        let reply = app.manage("GET", path, None).await;
        assert_eq!((reply.status, &reply.json()["success"]), (200, &json!(true)), "{path}: {}", reply.text());
    }
    let reply = app.manage("PATCH", "/api/token/", None).await;
    assert_eq!((reply.status, &reply.json()["code"]), (405, &json!("method_not_allowed")));
}

#[tokio::test]
async fn credentials_that_disagree_are_refused_wherever_they_stand() {
    let app = App::start().await;
    let other = app.key_of(app.root, 5).await;
    let (own, second) = (format!("Bearer {}", app.key), format!("Bearer {other}"));
    let [own, second] = [own.as_str(), second.as_str()];
    for (headers, status) in [
        (vec![("authorization", own), ("authorization", second)], 400),
        (vec![("x-api-key", app.key.as_str()), ("x-api-key", other.as_str())], 400),
        (vec![("authorization", own), ("authorization", own)], 200),
    ] {
        let reply = app.call("GET", "/v1/models", &headers, "").await;
        assert_eq!(reply.status, status, "{}", reply.text());
    }
}

#[tokio::test]
async fn a_token_ends_and_belongs_to_one_account() {
    let app = App::start().await;
    let bounded = |name: String, expired_time: i64| json!({"name": name, "expired_time": expired_time});
    for (body, expected) in [
        (bounded("n".repeat(51), -1), "name is too long"),
        (bounded("n".to_owned(), -2), "expired_time must be"),
        (bounded("n".to_owned(), i64::MAX), "expired_time must be"),
        (json!({"name": 5}), "name: "),
    ] {
        let json = app.manage("POST", "/api/pat/", Some(body.clone())).await.json();
        assert!(json["message"].as_str().unwrap().contains(expected), "{body}: {json}");
    }
    let credential = Credential::generate(Class::PersonalAccessToken, getrandom::fill).unwrap();
    let past = Timestamp::from_secs(1000);
    app.store.create_token(app.root, "past", Some(past), &credential, now()).await.unwrap();
    assert_eq!(app.manage_as(credential.expose(), "GET", "/api/user/self", None).await.status, 401);
    let bearer = format!("bearer {}", app.pat);
    assert_eq!(
        app.manage_as(&bearer, "GET", "/api/user/self", None).await.status,
        200,
        "a scheme has no case"
    );
    let twice = format!("Bearer Bearer {}", app.pat);
    assert_eq!(app.manage_as(&twice, "GET", "/api/user/self", None).await.status, 401);

    let theirs = app.manage("POST", "/api/pat/", Some(bounded("n".repeat(50), -1))).await.json();
    let eve = app.account("eve", 0).await;
    let eve = app.token(eve).await;
    let mut replies = Vec::new();
    for id in [theirs["data"]["id"].as_i64().unwrap(), 999_999] {
        replies.push(app.manage_as(&eve, "DELETE", &format!("/api/pat/{id}"), None).await.json());
    }
    assert_eq!(replies[0], replies[1]);
    assert_eq!(replies[0]["code"], "not_found");
    let listed = app.manage_as(&eve, "GET", "/api/pat/", None).await.json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1, "her own");
}

#[tokio::test]
async fn a_key_is_found_by_its_text_and_only_by_its_owner() {
    let app = App::start().await;
    app.manage("POST", "/api/token/", Some(json!({"name": "another"}))).await;
    let bare = app.key.trim_start_matches("sk-");
    for text in [app.key.as_str(), bare] {
        let found = app.manage("GET", &format!("/api/token/search?token={text}"), None).await.json();
        assert_eq!(
            (&found["data"]["total"], &found["data"]["items"][0]["name"]),
            (&json!(1), &json!("root"))
        );
    }
    let eve = app.account("eve", 0).await;
    let eve = app.token(eve).await;
    let other = format!("/api/token/search?token={}", app.key);
    for (pat, path) in [
        (&eve, other.as_str()),
        (&app.pat, "/api/token/search?token=nonsense"),
        (&app.pat, &format!("{other}&keyword=another")),
        (&app.pat, &format!("{other}&p=2")),
    ] {
        let found = app.manage_as(pat, "GET", path, None).await.json();
        assert_eq!((&found["success"], &found["data"]["items"]), (&json!(true), &json!([])), "{path}");
    }
}

/// Two edits of different members of one key both stay, whichever comes first: a new name never undoes a disable.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_that_meet_both_stay() {
    let app = Arc::new(App::start().await);
    for round in 0..100 {
        let body = json!({"name": "old", "remain_quota": 5});
        let id = app.manage("POST", "/api/token/", Some(body)).await.json()["data"]["id"].clone();
        let changes = [
            json!({"id": id, "status": 2}),
            json!({"id": id, "name": "new"}),
            json!({"id": id, "model_limits": "m"}),
        ];
        let edits = changes.map(|change| {
            let app = Arc::clone(&app);
            tokio::spawn(async move { app.manage("PUT", "/api/token/", Some(change)).await.json() })
        });
        for edit in edits {
            assert_eq!(edit.await.unwrap()["success"], true);
        }
        let data = app.manage("GET", &format!("/api/token/{id}"), None).await.json()["data"].clone();
        assert_eq!(
            (&data["status"], &data["name"], &data["model_limits"]),
            (&json!(2), &json!("new"), &json!("m")),
            "round {round}"
        );
    }
    app.verified().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_of_a_channel_that_meet_both_stay() {
    let app = Arc::new(App::start().await);
    let body = json!({"name": "old", "base_url": app.provider.url(), "models": ["x"]});
    let id = app.manage("POST", "/api/channel/", Some(body)).await.json()["data"]["id"].clone();
    for round in 0..50 {
        app.manage("PUT", "/api/channel/", Some(json!({"id": id, "status": 1, "name": "old"}))).await;
        let edits = [json!({"id": id, "status": 2}), json!({"id": id, "name": "new"})].map(|change| {
            let app = Arc::clone(&app);
            tokio::spawn(async move { app.manage("PUT", "/api/channel/", Some(change)).await.json() })
        });
        for edit in edits {
            assert_eq!(edit.await.unwrap()["success"], true);
        }
        let data = app.manage("GET", &format!("/api/channel/{id}"), None).await.json()["data"].clone();
        assert_eq!((&data["status"], &data["name"]), (&json!(2), &json!("new")), "round {round}");
    }
}
