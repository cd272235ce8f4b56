//! Texts that want to be more than text, in every stored field, on every page.

use serde_json::{Value, json};
use testkit::Script;

use crate::{
    app::{App, question},
    browser::{Browser, root},
};

/// Each would do something if a page took it for markup, for an attribute, for a template or for an address.
const CORPUS: [&str; 10] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(2)>",
    "' onfocus='alert(3)' autofocus='",
    "</textarea><svg onload=alert(4)>",
    "</title><script>alert(5)</script>",
    "<!--<b>x</b>",
    "{{7*7}}{% include \"base.html\" %}",
    "javascript:alert(6)//<i>",
    "\u{202e}<a href=//evil.example>x</a>\u{0}",
    "&lt;u&gt;<u>&#60;script&#62;",
];

/// What no page may have as it stands: the part of each text that would act.
const ACTING: [&str; 10] = [
    "<script>alert",
    "<img src=x",
    "' onfocus='",
    "</textarea><svg",
    "</title><script",
    "<!--<b>",
    "49{",
    "href=\"javascript:",
    "<a href=//evil",
    "<u>",
];

async fn put(app: &App, method: &str, path: &str, body: Value) -> Value {
    app.manage(method, path, Some(body)).await.json()
}

/// Fills every field that a user or an operator can fill; gives the pages that show single things.
async fn fill(app: &App) -> Vec<String> {
    let mut pages = Vec::new();
    for (number, text) in CORPUS.into_iter().enumerate() {
        let short: String = text.chars().take(50).collect();
        let plain = text.replace('\u{0}', "");
        // A group's name may be refused; its description may not.
        put(app, "PUT", "/api/group", json!({"name": plain, "description": text})).await;
        put(app, "PUT", "/api/group", json!({"name": format!("g{number}"), "description": text})).await;
        let account = json!({"username": text, "display_name": text, "email": text, "quota": 1});
        let made = put(app, "POST", "/api/user", account).await;
        if let Some(id) = made["data"]["id"].as_i64() {
            pages.push(format!("/console/accounts/{id}"));
            put(app, "PUT", "/api/user", json!({"id": id, "quota": 2, "reason": text})).await;
        }
        let model = plain.replace(',', "");
        put(app, "PUT", "/api/price", json!({"model": model, "input": 1, "output": 1, "max_output": 9}))
            .await;
        let channel = json!({"name": text, "base_url": app.provider.url(), "key": text, "models": [model, "m"],
            "model_mapping": {"m": text}});
        let made = put(app, "POST", "/api/channel", channel).await;
        if let Some(id) = made["data"]["id"].as_i64() {
            pages.push(format!("/console/channels/{id}/edit"));
        }
        let key = json!({"name": short, "unlimited_quota": true, "model_limits": plain, "model_limits_enabled": false});
        let made = put(app, "POST", "/api/token", key).await;
        assert_eq!(made["success"], true, "{made}");
        pages.push(format!("/console/keys/{}", made["data"]["id"]));
        pages.push(format!("/console/keys/{}/edit", made["data"]["id"]));
        put(app, "POST", "/api/pat", json!({"name": short})).await;
        app.provider
            .script("m", Script { status: Some(400), message: Some(text.to_owned()), ..Script::default() });
        app.chat(made["data"]["key"].as_str().unwrap(), &question("m")).await;
        app.chat(made["data"]["key"].as_str().unwrap(), &question(&model)).await;
    }
    app.ledger.idle().await;
    pages
}

#[tokio::test]
async fn hostile_texts_stay_texts_in_every_field_on_every_page() {
    let app = App::start().await;
    let mut pages = fill(&app).await;
    let mut browser = root(&app).await;
    for text in CORPUS {
        // What a browser calls itself is kept with its session.
        let agent: String = text.chars().filter(|letter| letter.is_ascii() && !letter.is_control()).collect();
        let mut other = Browser::default();
        let page = other.get(&app, "/console/sign-in").await;
        let fields = [
            ("csrf", crate::browser::csrf(&page)),
            ("username", "root".to_owned()),
            ("password", crate::browser::PASSWORD.to_owned()),
        ];
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let origin = format!("http://{}", app.address);
        other.post(&app, "/console/sign-in", &[("origin", &origin), ("user-agent", &agent)], &fields).await;
        let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
        for (path, name) in [
            ("/console/keys", "search"),
            ("/console/keys", "status"),
            ("/console/keys", "sort"),
            ("/console/models", "search"),
            ("/console/usage", "model"),
            ("/console/usage", "key"),
            ("/console/usage", "request_id"),
            ("/console/prices", "model"),
            ("/console/playground", "model"),
            ("/console/audit", "object"),
            ("/console", "days"),
            ("/console/sign-in", "next"),
        ] {
            pages.push(format!("{path}?{name}={encoded}"));
        }
        pages.push(format!("/docs/errors/{encoded}"));
        pages.push(format!("/docs/api/{encoded}"));
        pages.push(format!("/console/{encoded}"));
    }
    let records = app.manage("GET", "/api/log/self?page_size=100", None).await.json();
    for record in records["data"]["items"].as_array().unwrap() {
        pages.push(format!("/console/usage/{}", record["id"]));
    }
    for page in [
        "",
        "/keys",
        "/keys/new",
        "/usage",
        "/usage?all=1",
        "/models",
        "/playground",
        "/settings",
        "/settings/second-factor",
        "/channels",
        "/channels/new",
        "/accounts",
        "/accounts/new",
        "/groups",
        "/prices",
        "/ledger",
        "/system",
        "/audit",
        "/audit?page=2",
        "/audit?page=3",
        "/audit?page=4",
    ] {
        pages.push(format!("/console{page}"));
    }
    let mut seen = 0;
    for page in &pages {
        let reply = browser.get(&app, page).await;
        assert!(matches!(reply.status, 200 | 303 | 404 | 422), "{page}: {}", reply.status);
        let text = reply.text();
        for acting in ACTING {
            assert!(!text.contains(acting), "{page} has {acting}");
        }
        seen += text.matches("alert(").count();
    }
    assert!(seen > 100, "the texts themselves are there: {seen}");
    let export = browser.get(&app, "/console/usage/export").await;
    assert_eq!(export.header("content-type"), Some("text/csv; charset=utf-8"));
}
