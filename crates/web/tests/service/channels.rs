//! What administrators do with channels and their credentials.

use model::id::CredentialId;
use serde_json::{Value, json};
use testkit::Script;

use crate::{
    app::{App, question},
    operators::{call, done, refused},
};

#[tokio::test]
async fn a_channel_is_made_changed_and_deleted_and_its_credential_never_shown() {
    let app = App::start().await;
    app.provider.record();
    let url = app.provider.url();
    let body = json!({"name": "second", "base_url": url, "key": "sk-write-only", "models": ["fast"],
        "model_mapping": {"fast": "m"}});
    let made = app.manage("POST", "/api/channel", Some(body)).await;
    let id = made.json()["data"]["id"].clone();
    let one = format!("/api/channel/{id}");
    app.price("fast", 1_000_000, 1_000_000, 0).await;
    assert_eq!(app.chat(&app.key, &question("fast")).await.status, 200);
    let renamed = app.manage("PUT", "/api/channel/", Some(json!({"id": id, "name": "renamed"}))).await;
    let data = renamed.json()["data"].clone();
    assert_eq!((&data["name"], &data["models"]), (&json!("renamed"), &json!(["fast"])));
    assert_eq!(data["model_mapping"], json!({"fast": "m"}), "what is not said keeps its value");
    assert_eq!(app.chat(&app.key, &question("fast")).await.status, 200);
    for sent in app.provider.seen() {
        assert_eq!(sent.headers["authorization"], "Bearer sk-write-only", "it is kept");
        assert!(String::from_utf8_lossy(&sent.body).contains(r#""model":"m""#));
    }
    for reply in [
        made,
        renamed,
        app.manage("GET", &one, None).await,
        app.manage("GET", &format!("{one}/"), None).await,
        app.manage("GET", "/api/channel", None).await,
        app.manage("GET", "/api/channel/", None).await,
    ] {
        assert!(reply.json()["success"] == true && !reply.text().contains("write-only"), "{}", reply.text());
    }
    done(&app, "PUT", "/api/channel", json!({"id": id, "status": 2})).await;
    assert_eq!(app.chat(&app.key, &question("fast")).await.code(), "model_not_found", "at once");
    done(&app, "PUT", "/api/channel", json!({"id": id, "status": 1})).await;
    assert_eq!(app.chat(&app.key, &question("fast")).await.status, 200);
    done(&app, "DELETE", &one, Value::Null).await;
    assert_eq!(app.chat(&app.key, &question("fast")).await.code(), "model_not_found");
    for method in ["GET", "DELETE"] {
        assert_eq!(call(&app, &app.pat, method, &one, Value::Null).await.1["code"], "not_found");
    }
    let put = call(&app, &app.pat, "PUT", "/api/channel", json!({"id": id, "name": "x"})).await;
    assert_eq!(put.1["code"], "not_found");
}

#[tokio::test]
async fn values_of_a_channel_are_bounded() {
    let app = App::start().await;
    let with = |member: &str, value: Value| {
        let mut body = json!({"name": "x", "base_url": "http://127.0.0.1:1/v1", "models": ["x"]});
        body[member] = value;
        body
    };
    let rows = [
        (json!({"base_url": "http://127.0.0.1:1/v1", "models": ["x"]}), "name is required"),
        (json!({"name": "x", "kind": "azure", "models": ["x"]}), "base_url is required"),
        (with("kind", json!("nowhere")), "kind must be one of openai, azure, anthropic, gemini"),
        (json!({"name": "x", "base_url": "http://127.0.0.1:1/v1"}), "models is required"),
        (with("name", json!("")), "name must have"),
        (with("base_url", json!("ftp://host/")), "base_url must be"),
        (with("base_url", json!("http://user:word@host/v1")), "base_url must be"),
        (with("base_url", json!("http://host/v1?a=b")), "base_url must be"),
        (with("key", json!("two words")), "credential"),
        (with("key", json!(5)), "key: "),
        (with("models", json!("x")), "models: "),
        (with("models", json!([1])), "models: "),
        (with("models", json!(["a,b"])), "names of models"),
        (
            with("models", json!(["m".repeat(257)])),
            "names in models and in model_mapping must have 1 to 256 bytes",
        ),
        (with("model_mapping", json!({"a": "m".repeat(257)})), "names in models and in model_mapping"),
        (with("model_mapping", json!({"a": ""})), "names in models and in model_mapping"),
        (with("model_mapping", json!({"": "a"})), "names in models and in model_mapping"),
        (with("groups", json!(["nowhere"])), "there is no group nowhere"),
        (with("model_mapping", json!({"a": 1})), "model_mapping: "),
        (with("priority", json!(1.5)), "priority: "),
        (with("status", json!(3)), "status must be"),
    ];
    refused(&app, "POST", "/api/channel/", "/api/channel/", &rows).await;
}

#[tokio::test]
async fn a_channel_is_tested_with_one_real_request() {
    let app = App::start().await;
    app.provider.record();
    let url = app.provider.url();
    let body = json!({"name": "t", "base_url": url, "key": "sk-tested", "models": ["ours"], "status": 2,
        "model_mapping": {"ours": "theirs"}});
    let id = done(&app, "POST", "/api/channel", body).await["id"].clone();
    let test = format!("/api/channel/test/{id}");
    let found = done(&app, "GET", &test, Value::Null).await;
    assert_eq!(
        (&found["healthy"], &found["status"], &found["model"], &found["reason"]),
        (&json!(true), &json!(200), &json!("theirs"), &json!("it answers")),
        "also when it is disabled"
    );
    assert!(found["latency_ms"].is_i64() && found["credential"].is_i64(), "{found}");
    let sent = app.provider.seen();
    assert_eq!((sent.len(), sent[0].headers["authorization"].to_str().unwrap()), (1, "Bearer sk-tested"));
    let embedded = done(&app, "GET", &format!("{test}?endpoint=embeddings&model=e"), Value::Null).await;
    assert_eq!((&embedded["healthy"], &embedded["model"]), (&json!(true), &json!("e")));

    let refusing = Script { status: Some(401), message: Some("no such key".to_owned()), ..Script::default() };
    app.provider.script("theirs", refusing);
    let found = done(&app, "GET", &test, Value::Null).await;
    assert_eq!((&found["healthy"], &found["status"]), (&json!(false), &json!(401)));
    assert!(found["reason"].as_str().unwrap().contains("no such key"), "{found}");
    app.provider.script("theirs", Script { body: Some("<html>".to_owned()), ..Script::default() });
    let found = done(&app, "GET", &test, Value::Null).await;
    assert_eq!(
        (&found["healthy"], &found["reason"]),
        (&json!(false), &json!("the answer is not what this kind of provider says"))
    );
    done(&app, "PUT", "/api/channel", json!({"id": id, "base_url": "http://127.0.0.1:1/v1", "key": ""}))
        .await;
    let found = done(&app, "GET", &test, Value::Null).await;
    assert_eq!(
        (&found["healthy"], found.get("status"), found.get("credential")),
        (&json!(false), None, None)
    );
    assert!(found["reason"].as_str().unwrap().contains("Connection refused"), "{found}");
    for (path, code) in [
        ("/api/channel/test/999999".to_owned(), "not_found"),
        (format!("{test}?credential=999999"), "conflict"),
        (format!("{test}?credential=x"), "invalid_parameter"),
    ] {
        assert_eq!(call(&app, &app.pat, "GET", &path, Value::Null).await.1["code"], code, "{path}");
    }
}

#[tokio::test]
async fn credentials_of_a_channel_come_and_go_and_are_never_shown() {
    let app = App::start().await;
    let body = json!({"name": "t", "base_url": app.provider.url(), "key": "sk-secret-one", "models": ["x"], "weight": 7});
    let made = done(&app, "POST", "/api/channel", body).await;
    assert_eq!((&made["weight"], &made["credentials"][0]["status"]), (&json!(7), &json!(1)));
    let new = json!({"channel": made["id"], "name": "spare", "key": "sk-secret-two"});
    let second = done(&app, "POST", "/api/channel/credential", new).await;
    assert_eq!((&second["name"], &second["status"]), (&json!("spare"), &json!(1)));
    let disabled = json!({"id": second["id"], "status": 2});
    assert_eq!(done(&app, "PUT", "/api/channel/credential/", disabled).await["status"], 2);
    app.store
        .refuse_credential(CredentialId(second["id"].as_i64().unwrap()), 401, crate::app::now())
        .await
        .unwrap();
    let enabled = json!({"id": second["id"], "status": 1, "name": "again"});
    let again = done(&app, "PUT", "/api/channel/credential", enabled).await;
    assert_eq!(
        (&again["status"], &again["name"], again.get("refused_status")),
        (&json!(1), &json!("again"), None)
    );
    app.store
        .refuse_credential(CredentialId(second["id"].as_i64().unwrap()), 403, crate::app::now())
        .await
        .unwrap();
    let one = format!("/api/channel/{}", made["id"]);
    let shown = done(&app, "GET", &one, Value::Null).await;
    assert_eq!(
        (&shown["status"], &shown["credentials"][1]["status"], &shown["credentials"][1]["refused_status"]),
        (&json!(1), &json!(3), &json!(403)),
        "the credential is disabled, the channel is not"
    );
    let back = done(&app, "PUT", "/api/channel/credential", shown["credentials"][1].clone()).await;
    assert_eq!(back["status"], 3, "a record sent back is no wish");
    done(&app, "DELETE", &format!("/api/channel/credential/{}", second["id"]), Value::Null).await;
    for status in [2, 1] {
        let path = format!("{one}/{}", if status == 1 { "enable" } else { "disable" });
        assert_eq!(done(&app, "POST", &path, Value::Null).await["status"], status);
    }
    let rows = [
        (json!({"key": "x"}), "channel is required"),
        (json!({"channel": made["id"]}), "key is required"),
        (json!({"channel": made["id"], "key": ""}), "must not be empty"),
        (json!({"channel": made["id"], "key": "two words"}), "printable ASCII"),
        (json!({"channel": 999_999, "key": "x"}), "channel not found"),
    ];
    refused(&app, "POST", "/api/channel/credential", &one, &rows).await;
    let id = shown["credentials"][0]["id"].clone();
    let rows = [
        (json!({"status": 1}), "id is required"),
        (json!({"id": 999_999}), "credential not found"),
        (json!({"id": id, "status": 5}), "status must be"),
        (json!({"id": id, "name": "n".repeat(65)}), "at most 64"),
    ];
    refused(&app, "PUT", "/api/channel/credential", &one, &rows).await;
    let rows = [
        (json!({"id": made["id"], "weight": 1_000_001}), "weight must be"),
        (json!({"id": made["id"], "weight": -1}), "weight: "),
    ];
    refused(&app, "PUT", "/api/channel", &one, &rows).await;

    let audit = app.manage("GET", &format!("/api/audit?object=channel&object_id={}", made["id"]), None).await;
    let actions: Vec<_> =
        audit.json()["data"]["items"].as_array().unwrap().iter().map(|one| one["action"].clone()).collect();
    assert_eq!(actions, [json!("update"), json!("update"), json!("create")]);
    let all = app.manage("GET", "/api/audit/?page_size=100", None).await;
    let refusals = all.json()["data"]["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["action"] == "refuse")
        .count();
    assert_eq!(refusals, 2);
    let mine =
        app.manage("GET", &format!("/api/audit?user_id={}&page_size=1", app.root.0), None).await.json();
    assert_eq!(
        (mine["data"]["items"][0]["actor"].clone(), mine["data"]["page_size"].clone()),
        (json!("root"), json!(1))
    );
    for reply in [audit, all, app.manage("GET", "/api/channel", None).await] {
        assert!(reply.status == 200 && !reply.text().contains("secret"), "{}", reply.text());
    }
    assert_eq!(app.manage("GET", "/api/audit?user_id=x", None).await.json()["code"], "invalid_parameter");
    assert_eq!(done(&app, "GET", "/api/group/default", Value::Null).await["ratio_millionths"], 1_000_000);
    assert_eq!(app.manage("GET", "/api/group/nowhere", None).await.json()["code"], "not_found");
}
