//! What administrators do: accounts, groups, channels, prices; and what they cannot do.

use model::id::CredentialId;
use serde_json::{Value, json};
use testkit::Script;

use crate::app::{App, question};

/// The answer to a management call, and its word when it failed.
async fn call(app: &App, pat: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
    let body = (!body.is_null()).then_some(body);
    let reply = app.manage_as(pat, method, path, body).await;
    (reply.status, reply.json())
}

async fn done(app: &App, method: &str, path: &str, body: Value) -> Value {
    let (status, json) = call(app, &app.pat, method, path, body).await;
    assert_eq!((status, &json["success"]), (200, &json!(true)), "{method} {path}: {json}");
    json["data"].clone()
}

/// Each body is refused at `path` with a message that has these words, and changes nothing at `unchanged`.
async fn refused(app: &App, method: &str, path: &str, unchanged: &str, rows: &[(Value, &str)]) {
    let before = done(app, "GET", unchanged, Value::Null).await;
    for (body, expected) in rows {
        let (status, json) = call(app, &app.pat, method, path, body.clone()).await;
        assert_eq!((status, &json["success"]), (200, &json!(false)), "{body}: {json}");
        assert!(json["message"].as_str().unwrap().contains(expected), "{body}: {json}");
    }
    assert_eq!(done(app, "GET", unchanged, Value::Null).await, before, "nothing is stored");
}

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
        (with("groups", json!(["nowhere"])), "there is no group nowhere"),
        (with("model_mapping", json!({"a": 1})), "model_mapping: "),
        (with("priority", json!(1.5)), "priority: "),
        (with("status", json!(3)), "status must be"),
    ];
    refused(&app, "POST", "/api/channel/", "/api/channel/", &rows).await;
}

#[tokio::test]
async fn a_group_is_made_used_and_removed() {
    let app = App::start().await;
    let member = app.account("ada", 1000).await;
    let pat = app.token(member).await;
    let vip = json!({"name": "vip", "description": "Fast", "ratio_millionths": 500_000});
    done(&app, "PUT", "/api/group/", vip.clone()).await;
    let listed = done(&app, "GET", "/api/group", Value::Null).await;
    assert!(listed.as_array().unwrap().contains(&vip), "{listed}");
    let named = json!({"name": "k", "group": "vip"});
    let (_, json) = call(&app, &pat, "POST", "/api/token/", named.clone()).await;
    assert!(json["message"].as_str().unwrap().contains("no access to group"), "{json}");
    done(&app, "PUT", "/api/user/", json!({"id": member.0, "groups": ["vip"]})).await;
    let (_, usable) = call(&app, &pat, "GET", "/api/user/self/groups", Value::Null).await;
    assert_eq!(usable["data"]["vip"], json!({"ratio": 0.5, "desc": "Fast"}));
    assert_eq!(usable["data"].as_object().unwrap().len(), 2);
    let (_, made) = call(&app, &pat, "POST", "/api/token/", named).await;
    assert_eq!(made["data"]["group"], "vip");
    for name in ["vip", "default"] {
        let (_, json) = call(&app, &app.pat, "DELETE", &format!("/api/group/{name}"), Value::Null).await;
        assert_eq!(json["code"], "conflict", "{name}");
    }
    call(&app, &pat, "DELETE", &format!("/api/token/{}", made["data"]["id"]), Value::Null).await;
    done(&app, "PUT", "/api/user/", json!({"id": member.0, "groups": []})).await;
    done(&app, "DELETE", "/api/group/vip/", Value::Null).await;
    let (_, json) = call(&app, &app.pat, "DELETE", "/api/group/vip", Value::Null).await;
    assert_eq!(json["code"], "not_found");
    let rows = [
        (json!({}), "name is required"),
        (json!({"name": ""}), "name must have"),
        (json!({"name": "n".repeat(65)}), "name must have"),
        (json!({"name": "a,b"}), "name must have"),
        (json!({"name": "x", "ratio_millionths": -1}), "ratio must be"),
        (json!({"name": "x", "ratio_millionths": 1_000_000_001}), "ratio must be"),
        (json!({"name": "x", "ratio_millionths": 0.5}), "ratio_millionths: "),
    ];
    refused(&app, "PUT", "/api/group", "/api/group", &rows).await;
}

#[tokio::test]
async fn an_account_is_made_read_changed_and_shut_out() {
    let app = App::start().await;
    let ada = json!({"username": "ada", "display_name": "Ada", "email": "a@example.org", "quota": 70});
    let made = done(&app, "POST", "/api/user", ada.clone()).await;
    let one = format!("/api/user/{}", made["id"]);
    for path in [one.clone(), format!("{one}/")] {
        assert_eq!(done(&app, "GET", &path, Value::Null).await, made);
    }
    assert_eq!(
        (&made["role"], &made["status"], &made["quota"], &made["used_quota"], &made["group"]),
        (&json!(1), &json!(1), &json!(70), &json!(0), &json!("default"))
    );
    let listed = done(&app, "GET", "/api/user/?page_size=1", Value::Null).await;
    assert_eq!((&listed["items"], &listed["total"]), (&json!([made]), &json!(2)), "newest first");
    let pat = app.token(model::id::AccountId(made["id"].as_i64().unwrap())).await;
    let (_, own) = call(&app, &pat, "GET", "/api/user/self/", Value::Null).await;
    assert_eq!(own["data"], made);
    let put = done(&app, "PUT", "/api/user", json!({"id": made["id"], "quota": 5})).await;
    assert_eq!((&put["quota"], &put["display_name"]), (&json!(5), &json!("Ada")));
    done(&app, "PUT", "/api/user", json!({"id": made["id"], "status": 2})).await;
    assert_eq!(call(&app, &pat, "GET", "/api/user/self", Value::Null).await.0, 401);
    let rows = [
        (ada, "username ada is taken"),
        (json!({}), "username is required"),
        (json!({"username": ""}), "username must have"),
        (json!({"username": "n".repeat(65)}), "username must have"),
        (json!({"username": "x", "role": 5}), "role must be"),
        (json!({"username": "x", "role": "root"}), "role: "),
        (json!({"username": "x", "quota": -1}), "quota must not be negative"),
        (json!({"username": "x", "quota": 9_007_199_254_740_992_i64}), "quota is beyond"),
        (json!({"username": "x", "group": "nowhere"}), "there is no group nowhere"),
    ];
    refused(&app, "POST", "/api/user/", "/api/user/", &rows).await;
    let id = made["id"].clone();
    let rows = [
        (json!({"quota": 5}), "id is required"),
        (json!({"id": 999_999}), "account not found"),
        (json!({"id": id, "status": 3}), "status must be"),
        (json!({"id": id, "groups": ["nowhere"]}), "there is no group nowhere"),
        (json!({"id": id, "groups": "vip"}), "groups: "),
    ];
    refused(&app, "PUT", "/api/user/", "/api/user/", &rows).await;
}

#[tokio::test]
async fn nobody_rises_above_whoever_lifts_them() {
    let app = App::start().await;
    let chief = done(&app, "POST", "/api/user/", json!({"username": "chief", "role": 10})).await;
    let peer = done(&app, "POST", "/api/user/", json!({"username": "peer", "role": 10})).await;
    let member = done(&app, "POST", "/api/user/", json!({"username": "member"})).await;
    let pat = app.token(model::id::AccountId(chief["id"].as_i64().unwrap())).await;
    for (method, body) in [
        ("POST", json!({"username": "x", "role": 10})),
        ("POST", json!({"username": "x", "role": 100})),
        ("PUT", json!({"id": member["id"], "role": 10})),
        ("PUT", json!({"id": chief["id"], "quota": 1_000_000})),
        ("PUT", json!({"id": chief["id"], "role": 100})),
        ("PUT", json!({"id": peer["id"], "status": 2})),
        ("PUT", json!({"id": app.root.0, "status": 2})),
    ] {
        let (status, json) = call(&app, &pat, method, "/api/user/", body.clone()).await;
        assert_eq!((status, &json["code"]), (403, &json!("forbidden")), "{method} {body}: {json}");
    }
    let (status, json) = call(&app, &pat, "PUT", "/api/user/", json!({"id": member["id"], "quota": 9})).await;
    assert_eq!((status, &json["data"]["quota"]), (200, &json!(9)));
}

#[tokio::test]
async fn root_cannot_lock_itself_out() {
    let app = App::start().await;
    for change in [json!({"status": 2}), json!({"role": 1}), json!({"role": 10})] {
        let mut body = change.clone();
        body["id"] = json!(app.root.0);
        let (status, json) = call(&app, &app.pat, "PUT", "/api/user/", body).await;
        assert_eq!((status, &json["code"]), (200, &json!("conflict")), "{change}: {json}");
    }
    let same = json!({"id": app.root.0, "role": 100, "status": 1, "display_name": "R"});
    assert_eq!(done(&app, "PUT", "/api/user/", same).await["display_name"], "R", "a whole record sent back");
}

#[tokio::test]
async fn a_price_is_in_force_at_once_and_everybody_sees_it() {
    let app = App::start().await;
    done(
        &app,
        "PUT",
        "/api/price",
        json!({"model": "v1.5", "input": 500_000, "output": 1_000_000, "max_output": 64}),
    )
    .await;
    for path in ["/api/models", "/api/models/"] {
        let list = app.call("GET", path, &[], "").await.json();
        let models = list["data"].as_array().unwrap();
        assert_eq!(
            (&list["page"], &list["page_size"], &list["total"]),
            (&json!(0), &json!(0), &json!(models.len()))
        );
        let model = models.iter().find(|model| model["id"] == "v1.5").unwrap();
        assert_eq!((&model["pricing"]["input"], &model["pricing"]["output"]), (&json!(1.0), &json!(2.0)));
        for member in ["provider", "model_type", "features", "api_doc_url"] {
            assert!(model.get(member).is_some(), "{member}");
        }
    }
    for path in ["/api/model/v1.5", "/api/model/v1-5", "/api/model/v1-5/"] {
        assert_eq!(app.call("GET", path, &[], "").await.json()["data"]["id"], "v1.5", "{path}");
    }
    assert_eq!(app.call("GET", "/api/model/nothing", &[], "").await.json()["code"], "not_found");
    let good = json!({"model": "x", "input": 1, "output": 1, "max_output": 1});
    let mut rows = Vec::new();
    for (member, value, expected) in [
        ("model", Value::Null, "model is required"),
        ("input", Value::Null, "input is required"),
        ("output", Value::Null, "output is required"),
        ("max_output", Value::Null, "max_output is required"),
        ("model", json!(""), "model's name"),
        ("input", json!(-1), "input must be"),
        ("input", json!(0.5), "input: "),
        ("per_call", json!(-1), "per_call must be"),
        ("max_output", json!(0), "max_output must be"),
        ("max_output", json!(-1), "max_output: "),
    ] {
        let mut body = good.clone();
        body[member] = value;
        rows.push((body, expected));
    }
    refused(&app, "PUT", "/api/price/", "/api/models", &rows).await;
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

#[tokio::test]
async fn what_is_put_on_an_account_is_listed_and_what_is_taken_is_not() {
    let app = App::start().await;
    let ada = done(
        &app,
        "POST",
        "/api/user",
        json!({"username": "ada", "email": "ada@example.com", "quota": 500_000}),
    )
    .await;
    let (id, bob) = (ada["id"].clone(), app.account("bob", 7).await);
    for quota in [1_500_000, 1_000_000, 1_000_000, 1_250_000] {
        done(&app, "PUT", "/api/user", json!({"id": id, "quota": quota})).await;
    }
    let listed = async |query: &str| {
        let data = done(&app, "GET", &format!("/api/user/topup{query}"), Value::Null).await;
        let items = data["items"].as_array().unwrap().clone();
        assert!(data["total"].as_u64().unwrap() >= items.len() as u64);
        items
    };
    let of_ada = listed(&format!("?user_id={id}")).await;
    let amounts: Vec<i64> = of_ada.iter().map(|item| item["amount"].as_i64().unwrap()).collect();
    assert_eq!(amounts, [250_000, 1_000_000, 500_000]);
    let newest = &of_ada[0];
    assert_eq!((&newest["money"], &newest["email"]), (&json!(0.5), &json!("ada@example.com")));
    assert_eq!((&newest["operator"], &newest["status"]), (&json!("root"), &json!("success")));
    let number = newest["trade_no"].as_str().unwrap();
    for (query, count) in [
        (String::new(), 4),
        ("?page_size=2&p=2".to_owned(), 2),
        ("?email=ada@example.com".to_owned(), 3),
        (format!("?trade_no={number}"), 1),
        (format!("?trade_no={number}&user_id={bob}"), 0),
        ("?keyword=nonsense".to_owned(), 0),
        ("?payment_intent_id=pi_1".to_owned(), 0),
        ("?payment_channel=operator".to_owned(), 4),
        ("?payment_channel=stripe".to_owned(), 0),
        ("?start_time=1".to_owned(), 4),
        ("?end_time=1".to_owned(), 0),
    ] {
        assert_eq!(listed(&query).await.len(), count, "{query}");
    }
    let (status, json) = call(&app, &app.pat, "GET", "/api/user/topup?user_id=x", Value::Null).await;
    assert_eq!((status, &json["success"]), (200, &json!(false)), "{json}");
}
