//! The lists and forms of API keys in the console.

use serde_json::json;

use testkit::Script;

use crate::{
    app::{App, question},
    browser::{Browser, location, root},
};

/// The names in the list, in its order.
async fn names(browser: &mut Browser, app: &App, query: &str) -> Vec<String> {
    let page = browser.get(app, &format!("/console/keys{query}")).await.text();
    let rows = page.split("<th scope=\"row\">").skip(1);
    rows.map(|row| row.split(['>', '<']).nth(2).unwrap().to_owned()).collect()
}

#[tokio::test]
async fn keys_are_sorted_and_filtered() {
    let app = App::start().await;
    let mut browser = root(&app).await;
    for (name, quota) in [("beta", 30), ("Alpha", 20), ("gamma", 0)] {
        let made = app.manage("POST", "/api/token", Some(json!({"name": name, "remain_quota": quota}))).await;
        assert_eq!(made.json()["success"], true);
    }
    for (query, expected) in [
        ("", &["gamma", "Alpha", "beta", "root"][..]),
        ("?sort=name", &["Alpha", "beta", "gamma", "root"]),
        ("?sort=-name", &["root", "gamma", "beta", "Alpha"]),
        ("?sort=-remaining", &["root", "beta", "Alpha", "gamma"]),
        ("?sort=no-such-order", &["gamma", "Alpha", "beta", "root"]),
        ("?status=exhausted", &["gamma"]),
        ("?status=enabled&sort=name&search=a", &["Alpha", "beta"]),
        ("?status=disabled", &[]),
    ] {
        assert_eq!(names(&mut browser, &app, query).await, expected, "{query}");
    }
    let page = browser.get(&app, "/console/keys?sort=name&status=enabled").await.text();
    assert!(page.contains("aria-sort=\"ascending\""));
    assert!(page.contains("href=\"/console/keys?status=enabled&#38;sort=-name\""), "{page}");
}

#[tokio::test]
async fn the_form_says_what_the_settings_mean_and_what_is_wrong() {
    let app = App::start().await;
    let mut browser = root(&app).await;
    let (form, part) = ("/console/keys/new", "/console/keys/meaning");
    assert!(
        browser.get(&app, form).await.text().contains("$1.00 and not a unit more"),
        "what it begins with"
    );
    let nothing = browser.send(&app, form, part, &[("quota", "")]).await.text();
    assert!(nothing.contains("It has nothing to spend"), "{nothing}");
    let fields =
        [("quota", "2.50"), ("limited", "1"), ("models", "m\r\ncalls"), ("addresses", "10.0.0.0/8, ::1")];
    let said = browser.send(&app, form, part, &fields).await.text();
    for expected in
        ["$2.50 and not a unit more", "call m, calls and nothing else", "from 10.0.0.0/8, ::1 alone"]
    {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let wrong = [
        ("quota", "a lot"),
        ("expires", "2001-01-01T00:00"),
        ("limited", "1"),
        ("addresses", "10.0.0.0/33 <b>"),
    ];
    let said = browser.send(&app, form, part, &wrong).await.text();
    for expected in
        ["quota must be", "Its time is over", "the list is empty", "`10.0.0.0/33` is not an IP address"]
    {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(!said.contains("<b>"));
    let nobody = Browser::default().post(&app, part, &[], &fields).await;
    assert!(location(&nobody).starts_with("/console/sign-in"));
}

#[tokio::test]
async fn a_key_shows_how_programs_use_it_and_where_it_failed() {
    let app = App::start().await;
    let mut browser = root(&app).await;
    let made =
        app.manage("POST", "/api/token", Some(json!({"name": "poor", "remain_quota": 100_000}))).await.json();
    let page = format!("/console/keys/{}", made["data"]["id"]);
    let text = browser.get(&app, &page).await.text();
    let base = format!("http://{}", app.address);
    for expected in ["ANTHROPIC_BASE_URL", "claude --model", "Cursor", "curl", "Python", "Node"] {
        assert!(text.contains(expected), "{expected}");
    }
    assert!(text.contains(&format!("<pre id=\"snippet-cursor\" tabindex=\"0\">{base}/v1</pre>")));
    assert!(!text.contains("Last errors"));
    app.provider.script("m", Script { status: Some(400), ..Script::default() });
    let refused = app.chat(made["data"]["key"].as_str().unwrap(), &question("m")).await;
    assert_eq!(refused.status, 400);
    app.ledger.idle().await;
    assert!(browser.get(&app, &page).await.text().contains("Last errors"));
}
