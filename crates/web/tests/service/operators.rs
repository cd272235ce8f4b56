//! What administrators do: accounts, groups, prices; and what they cannot do.

use serde_json::{Value, json};

use crate::app::App;

/// The answer to a management call, and its word when it failed.
pub(crate) async fn call(app: &App, pat: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
    let body = (!body.is_null()).then_some(body);
    let reply = app.manage_as(pat, method, path, body).await;
    (reply.status, reply.json())
}

pub(crate) async fn done(app: &App, method: &str, path: &str, body: Value) -> Value {
    let (status, json) = call(app, &app.pat, method, path, body).await;
    assert_eq!((status, &json["success"]), (200, &json!(true)), "{method} {path}: {json}");
    json["data"].clone()
}

/// Each body is refused at `path` with a message that has these words, and changes nothing at `unchanged`.
pub(crate) async fn refused(app: &App, method: &str, path: &str, unchanged: &str, rows: &[(Value, &str)]) {
    let before = done(app, "GET", unchanged, Value::Null).await;
    for (body, expected) in rows {
        let (status, json) = call(app, &app.pat, method, path, body.clone()).await;
        assert_eq!((status, &json["success"]), (200, &json!(false)), "{body}: {json}");
        assert!(json["message"].as_str().unwrap().contains(expected), "{body}: {json}");
    }
    assert_eq!(done(app, "GET", unchanged, Value::Null).await, before, "nothing is stored");
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
        (
            json!({"username": "x", "display_name": "é".repeat(101)}),
            "display_name is too long: at most 100 characters",
        ),
        (json!({"username": "x", "email": "e".repeat(255)}), "email is too long: at most 254 characters"),
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
        (json!({"id": id, "display_name": "é".repeat(101)}), "display_name is too long"),
        (json!({"id": id, "email": "e".repeat(255)}), "email is too long"),
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
