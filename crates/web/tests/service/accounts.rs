//! Accounts, as administrators ask about them.

use serde_json::{Value, json};

use crate::{app::App, browser::root};

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

/// The usernames of a list.
fn names(list: &Value) -> Vec<&str> {
    let items = list["data"]["items"].as_array().unwrap();
    items.iter().map(|account| account["username"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn administrators_find_accounts_by_any_part_of_their_names() {
    let app = App::start().await;
    for (username, display_name, email) in [
        ("ada", "Ada Lovelace", "ada@example.com"),
        ("bob", "<b>Bob</b>", ""),
        ("BOBBY", "", "b@example.com"),
    ] {
        let body = json!({"username": username, "display_name": display_name, "email": email});
        assert_eq!(app.manage("POST", "/api/user/", Some(body)).await.json()["success"], true);
    }
    let mut browser = root(&app).await;
    for (keyword, expected) in [
        ("bob", &["BOBBY", "bob"][..]),
        ("LOVELACE", &["ada"]),
        ("example.com", &["BOBBY", "ada"]),
        ("%25", &[]),
        ("", &["BOBBY", "bob", "ada", "root"]),
    ] {
        for path in ["/api/user", "/api/user/search/"] {
            let list =
                app.manage("GET", &format!("{path}?keyword={keyword}&page_size=50"), None).await.json();
            assert_eq!(names(&list), expected, "{keyword}");
            assert_eq!(list["data"]["total"].as_u64(), Some(expected.len() as u64), "{keyword}");
        }
        let page = browser.get(&app, &format!("/console/accounts?search={keyword}")).await.text();
        for username in ["BOBBY", "bob", "ada", "root"] {
            assert_eq!(page.contains(&format!(">{username}</a>")), expected.contains(&username), "{keyword}");
        }
        assert!(!page.contains("<b>Bob"), "{page}");
    }
    let second = app.manage("GET", "/api/user?keyword=bob&page_size=1&p=2", None).await.json();
    assert_eq!((names(&second), &second["data"]["total"]), (vec!["bob"], &json!(2)));
    for key in [&app.key, &app.pat] {
        let refused = app.manage("GET", &format!("/api/user?keyword={key}"), None).await;
        assert_eq!(refused.json()["code"], "invalid_parameter");
        assert!(!refused.text().contains(key.as_str()));
    }
    let ada = app.account("member", 0).await;
    let member = app.token(ada).await;
    for path in ["/api/user?keyword=bob", "/api/user/search?keyword=bob"] {
        assert_eq!(app.manage_as(&member, "GET", path, None).await.status, 403);
    }
}
