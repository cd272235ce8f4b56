//! The management API of API keys, row by row.

use std::sync::Arc;

use model::credential::{Class, Credential};
use serde_json::{Value, json};

use crate::app::{App, question};

async fn create(app: &App, body: Value) -> Value {
    app.manage("POST", "/api/token/", Some(body)).await.json()
}

async fn made(app: &App, body: Value) -> Value {
    let reply = create(app, body).await;
    assert_eq!(reply["success"], true, "{reply}");
    reply["data"].clone()
}

const MEMBERS: [&str; 16] = [
    "id",
    "user_id",
    "key",
    "status",
    "name",
    "created_time",
    "accessed_time",
    "expired_time",
    "remain_quota",
    "unlimited_quota",
    "model_limits_enabled",
    "model_limits",
    "allow_ips",
    "used_quota",
    "group",
    "cross_group_retry",
];

#[tokio::test]
async fn a_key_is_made_read_listed_changed_and_deleted() {
    let app = App::start().await;
    let data = made(
        &app,
        json!({"name": "one", "remain_quota": 500, "id": 99, "used_quota": 7, "unknown": {"x": 1}}),
    )
    .await;
    let names: Vec<&str> = data.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, MEMBERS);
    assert_eq!(
        (&data["remain_quota"], &data["used_quota"], &data["expired_time"]),
        (&json!(500), &json!(0), &json!(-1))
    );
    assert_eq!(data["key"].as_str().unwrap().len(), 51);
    let id = data["id"].as_i64().unwrap();
    assert_ne!(id, 99);
    for path in [format!("/api/token/{id}"), format!("/api/token/{id}/")] {
        let got = app.manage("GET", &path, None).await;
        assert_eq!((got.status, got.json()), (200, json!({"success": true, "message": "", "data": data})));
    }
    for path in ["/api/token", "/api/token/"] {
        let listed = app.manage("GET", path, None).await.json();
        assert_eq!(listed["data"]["items"][0], data, "newest first");
        assert_eq!((&listed["data"]["page"], &listed["data"]["page_size"]), (&json!(1), &json!(10)));
    }
    let put = app
        .manage("PUT", "/api/token", Some(json!({"id": id, "name": "two", "allow_ips": "10.0.0.1\n::1"})))
        .await
        .json();
    assert_eq!((&put["data"]["name"], &put["data"]["allow_ips"]), (&json!("two"), &json!("10.0.0.1\n::1")));
    assert_eq!(put["data"]["remain_quota"], 500, "what is not said keeps its value");
    let put = app
        .manage("PUT", "/api/token/?status_only=true", Some(json!({"id": id, "status": 2, "name": "no"})))
        .await
        .json();
    assert_eq!((&put["data"]["name"], &put["data"]["status"]), (&json!("two"), &json!(2)));
    let put = app
        .manage("PUT", "/api/token/", Some(json!({"id": id, "allow_ips": null, "status": 1})))
        .await
        .json();
    assert_eq!((&put["data"]["allow_ips"], &put["data"]["status"]), (&Value::Null, &json!(1)));
    let gone = app.manage("DELETE", &format!("/api/token/{id}"), None).await.json();
    assert_eq!(gone, json!({"success": true, "message": ""}));
    let gone = app.manage("DELETE", &format!("/api/token/{id}"), None).await.json();
    assert_eq!((&gone["success"], &gone["code"]), (&json!(false), &json!("not_found")));
}

#[tokio::test]
async fn values_are_bounded_and_errors_name_the_member() {
    let app = App::start().await;
    made(&app, json!({"name": "密".repeat(50), "remain_quota": 9_007_199_254_740_991_i64})).await;
    let before = app.manage("GET", "/api/token/", None).await.json()["data"]["total"].clone();
    for (body, expected) in [
        (json!({"name": "密".repeat(51)}).to_string(), "token name is too long"),
        (json!({"remain_quota": -1}).to_string(), "remain_quota must not be negative"),
        (json!({"remain_quota": 9_007_199_254_740_992_i64}).to_string(), "remain_quota is beyond"),
        (r#"{"remain_quota":1e400}"#.to_owned(), "not valid JSON"),
        (r#"{"remain_quota":18446744073709551615}"#.to_owned(), "remain_quota: "),
        (r#"{"remain_quota":1.5}"#.to_owned(), "remain_quota: "),
        (r#"{"remain_quota":"5"}"#.to_owned(), "remain_quota: "),
        (r#"{"name":5}"#.to_owned(), "name: "),
        (r#"{"name":"a","name":"b"}"#.to_owned(), "member name appears twice"),
        (r#"{"unlimited_quota":1}"#.to_owned(), "unlimited_quota: "),
        (r#"{"expired_time":-2}"#.to_owned(), "expired_time must be"),
        (r#"{"status":5}"#.to_owned(), "status must be"),
        (r#"{"allow_ips":"10.0.0.1\nhere"}"#.to_owned(), "allow_ips: `here`"),
        (r#"{"allow_ips":["10.0.0.1"]}"#.to_owned(), "allow_ips: "),
        (r#"{"group":"vip"}"#.to_owned(), "no access to group"),
        ("{".to_owned(), "not valid JSON"),
        (String::new(), "not valid JSON"),
        ("[]".to_owned(), "must be a JSON object"),
        (format!("{}{}", "[".repeat(70), "]".repeat(70)), "nested deeper"),
    ] {
        let reply = app.call("POST", "/api/token/", &[("authorization", &app.pat)], body.clone()).await;
        let json = reply.json();
        assert_eq!((reply.status, &json["success"]), (200, &json!(false)), "{body}");
        assert!(json["message"].as_str().unwrap().contains(expected), "{body}: {json}");
    }
    let large = app.call("POST", "/api/token/", &[("authorization", &app.pat)], vec![b' '; 300 << 10]).await;
    assert_eq!((large.status, &large.json()["code"]), (413, &json!("request_too_large")));
    assert_eq!(
        app.manage("GET", "/api/token/", None).await.json()["data"]["total"],
        before,
        "nothing is stored"
    );
}

#[tokio::test]
async fn pages_are_lenient_and_bounded() {
    let app = App::start().await;
    for index in 0..12 {
        made(&app, json!({"name": format!("page_{index}")})).await;
    }
    for (query, page, size, count) in [
        ("", 1, 10, 10),
        ("?p=2", 2, 10, 3),
        ("?p=0&page_size=5", 1, 5, 5),
        ("?p=-3&page_size=0", 1, 10, 10),
        ("?p=x&page_size=y", 1, 10, 10),
        ("?page_size=1000", 1, 100, 13),
        ("?p=9000000000000000000&page_size=100", 9_000_000_000_000_000_000_i64, 100, 0),
    ] {
        let data = app.manage("GET", &format!("/api/token/{query}"), None).await.json()["data"].clone();
        assert_eq!(
            (&data["page"], &data["page_size"], &data["total"]),
            (&json!(page), &json!(size), &json!(13)),
            "{query}"
        );
        assert_eq!(data["items"].as_array().unwrap().len(), count, "{query}");
    }
    let found = app.manage("GET", "/api/token/search?keyword=PAGE_1", None).await.json();
    assert_eq!(found["data"]["total"], 3, "page_1, page_10 and page_11");
    let none = app.manage("GET", "/api/token/search/?keyword=%25", None).await.json();
    assert_eq!(none["data"]["total"], 0, "a per cent sign stands for itself");
}

#[tokio::test]
async fn somebody_elses_key_is_like_none() {
    let app = App::start().await;
    let theirs = made(&app, json!({"name": "theirs"})).await["id"].as_i64().unwrap();
    let mine = app.account("eve", 0).await;
    let pat = app.token(mine).await;
    let never = 999_999;
    for (method, path, body) in [
        ("GET", "/api/token/{}", None),
        ("DELETE", "/api/token/{}", None),
        ("PUT", "/api/token/", Some("status_only")),
    ] {
        let mut replies = Vec::new();
        for id in [theirs, never] {
            let body = body.map(|_| json!({"id": id, "status": 2, "name": "x"}));
            let reply = app.manage_as(&pat, method, &path.replace("{}", &id.to_string()), body).await;
            replies.push((reply.status, reply.json()));
        }
        assert_eq!(replies[0], replies[1], "{method} {path}");
        assert_eq!(replies[0].1["code"], "not_found");
    }
    let batch =
        app.manage_as(&pat, "POST", "/api/token/batch", Some(json!({"ids": [theirs, never]}))).await.json();
    assert_eq!(batch["data"], 0);
    let batch = app.manage("POST", "/api/token/batch/", Some(json!({"ids": [theirs, never]}))).await.json();
    assert_eq!(batch["data"], 1);
}

#[tokio::test]
async fn a_key_returns_to_work_by_itself_when_it_can() {
    let app = App::start().await;
    for (member, value) in [("remain_quota", json!(50)), ("expired_time", json!(-1))] {
        let id = made(&app, json!({"remain_quota": 5})).await["id"].clone();
        app.manage("PUT", "/api/token/", Some(json!({"id": id, "status": 4}))).await;
        let mut change = json!({"id": id});
        change[member] = value;
        let put = app.manage("PUT", "/api/token/", Some(change.clone())).await.json();
        assert_eq!(put["data"]["status"], 1, "{put}");
        change["status"] = json!(2);
        let put = app.manage("PUT", "/api/token/", Some(change)).await.json();
        assert_eq!(put["data"]["status"], 2);
    }
    // A client that sends the whole record back, with the status that it was shown.
    let mut record = made(&app, json!({"remain_quota": 0})).await;
    assert_eq!(record["status"], 4);
    record["remain_quota"] = json!(5);
    let put = app.manage("PUT", "/api/token/", Some(record)).await.json();
    assert_eq!(put["data"]["status"], 1, "{put}");
    let past = made(&app, json!({"remain_quota": 5, "expired_time": 1_000})).await;
    assert_eq!(past["status"], 3);
    let empty = made(&app, json!({})).await;
    assert_eq!(empty["status"], 4);
}

#[tokio::test]
async fn its_holder_sees_it_whatever_its_state() {
    let app = App::start().await;
    let data = made(&app, json!({"name": "mine", "remain_quota": 100, "model_limits": " m , calls", "expired_time": 4_000_000_000_i64})).await;
    let key = data["key"].as_str().unwrap();
    assert_eq!(app.chat(key, &question("calls")).await.status, 200);
    app.manage("PUT", "/api/token/", Some(json!({"id": data["id"], "status": 2}))).await;
    for path in ["/api/usage/token", "/api/usage/token/"] {
        let bearer = format!("Bearer {key}");
        let reply = app.call("GET", path, &[("authorization", &bearer)], "").await;
        let expected = json!({"code": true, "message": "ok", "data": {
            "object": "token_usage", "name": "mine", "total_granted": 100, "total_used": 10, "total_available": 90,
            "unlimited_quota": false, "model_limits": {"calls": true, "m": true}, "model_limits_enabled": false,
            "expires_at": 4_000_000_000_i64}});
        assert_eq!(reply.json(), expected);
    }
    for credential in ["", "Bearer nonsense", &app.pat] {
        let reply = app.call("GET", "/api/usage/token", &[("authorization", credential)], "").await;
        assert_eq!((reply.status, &reply.json()["code"]), (401, &json!(false)), "{credential}");
    }
    let bearer = format!("Bearer {key}");
    let subscription =
        app.call("GET", "/v1/dashboard/billing/subscription", &[("authorization", &bearer)], "").await;
    assert_eq!(subscription.json()["hard_limit_usd"], 0.0002);
    let usage = app.call("GET", "/v1/dashboard/billing/usage", &[("authorization", &bearer)], "").await;
    assert_eq!(usage.json()["total_usage"], 0.002);
}

#[tokio::test]
async fn tokens_open_and_close() {
    let app = App::start().await;
    let made = app.manage("POST", "/api/pat/", Some(json!({"name": "laptop"}))).await.json()["data"].clone();
    let text = made["access_token"].as_str().unwrap().to_owned();
    for credential in [text.clone(), format!("Bearer {text}")] {
        assert_eq!(app.manage_as(&credential, "GET", "/api/user/self", None).await.status, 200);
    }
    let listed = app.manage("GET", "/api/pat", None).await;
    assert!(listed.text().contains("laptop") && !listed.text().contains(&text));
    app.manage("DELETE", &format!("/api/pat/{}", made["id"]), None).await;
    assert_eq!(app.manage_as(&text, "GET", "/api/user/self", None).await.status, 401);
    let set_up = |token: &str| json!({"setup_token": token});
    // Root has a token already.
    assert_eq!(app.manage_as("", "POST", "/api/setup", Some(set_up("setup"))).await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_keys_that_are_new_at_once_are_all_told_apart() {
    let app = Arc::new(App::start().await);
    let mut keys = Vec::new();
    for quota in 0..300 {
        let stranger = Credential::generate(Class::ApiKey, getrandom::fill).unwrap().expose().to_owned();
        keys.push((stranger, None));
        if quota % 3 == 0 {
            keys.push((app.key_of(app.root, quota).await, Some(quota)));
        }
    }
    let asked: Vec<_> = keys
        .into_iter()
        .enumerate()
        .map(|(index, (key, quota))| {
            let app = Arc::clone(&app);
            let asking = tokio::spawn(async move {
                let bearer = format!("Bearer {key}");
                let reply = app.call("GET", "/api/usage/token", &[("authorization", &bearer)], "").await;
                (reply.status, reply.json()["data"]["total_available"].as_i64())
            });
            // Some leave, also one that was asking for all.
            if index % 7 == 3 {
                asking.abort();
            }
            (asking, quota)
        })
        .collect();
    for (asking, quota) in asked {
        match asking.await {
            Ok(answer) => assert_eq!(answer, (if quota.is_some() { 200 } else { 401 }, quota)),
            Err(error) => assert!(error.is_cancelled()),
        }
    }
}
