//! Accounts, as administrators ask about them.

use serde_json::json;

use crate::app::App;

/// Who has an account is for administrators to know, and no credential is looked up from an address.
#[tokio::test]
async fn whether_there_is_an_account_is_told_to_administrators_alone() {
    let app = App::start().await;
    let body = json!({"username": "ada", "email": "Ada@example.com"});
    let ada = app.manage("POST", "/api/user/", Some(body)).await.json()["data"]["id"].as_i64().unwrap();
    let ask = |key: &str| format!("/api/user/check?key={key}");
    for (key, exists) in [
        ("ada", true),
        ("ada%40EXAMPLE.com", true),
        ("%20ada", true),
        ("Ada", false),
        ("bob", false),
        ("%25", false),
    ] {
        let reply = app.manage("GET", &ask(key), None).await.json();
        assert_eq!((&reply["success"], &reply["data"]), (&json!(true), &json!({"exists": exists})), "{key}");
    }
    for key in ["", "sk-abc", &app.key, &app.pat] {
        let reply = app.manage("GET", &ask(key), None).await;
        assert_eq!(reply.json()["code"], "invalid_parameter");
        assert!(!reply.text().contains(&app.key), "{key}");
    }
    let member = app.token(model::id::AccountId(ada)).await;
    for (pat, status) in [(member.as_str(), 403), ("", 401), (app.key.as_str(), 401)] {
        for key in ["ada", "bob"] {
            let reply = app.manage_as(pat, "GET", &ask(key), None).await;
            assert_eq!(reply.status, status);
            assert!(!reply.text().contains("exists"), "{}", reply.text());
        }
    }
}
