//! The playground: it asks as a key of the reader's own, and nothing of the key reaches the page.

use serde_json::json;
use testkit::Script;

use crate::{
    app::{App, question},
    browser::{Browser, password, root, signed_in},
};

const PAGE: &str = "/console/playground";
const ASK: &str = "/console/playground/ask";

async fn ask(app: &App, browser: &mut Browser, key: &str, body: &serde_json::Value) -> crate::app::Reply {
    browser.send(app, PAGE, ASK, &[("key", key), ("body", &body.to_string())]).await
}

/// The id of root's key.
async fn key(app: &App) -> String {
    app.manage("GET", "/api/token", None).await.json()["data"]["items"][0]["id"].to_string()
}

#[tokio::test]
async fn a_question_is_answered_charged_and_explained_as_any_request() {
    let app = App::start().await;
    let mut browser = root(&app).await;
    let key = key(&app).await;
    let page = browser.get(&app, PAGE).await.text();
    assert!(page.contains(&format!("<option value=\"{key}\">root</option>")));
    assert!(!page.contains(app.key.trim_start_matches("sk-")));

    let whole = ask(&app, &mut browser, &key, &question("m")).await;
    assert_eq!(whole.status, 200, "{}", whole.text());
    assert!(whole.json()["choices"][0]["message"]["content"].is_string());
    let id = whole.header("x-request-id").unwrap().to_owned();
    let receipt = browser.get(&app, &format!("{PAGE}/receipt?request_id={id}")).await.json();
    assert!(receipt["cost"].as_str().unwrap().starts_with("$0.0"), "{receipt}");
    assert!(receipt["page"].as_str().unwrap().starts_with("/console/usage/"));

    let mut streamed = question("m");
    streamed["stream"] = json!(true);
    let streamed = ask(&app, &mut browser, &key, &streamed).await;
    assert_eq!(streamed.header("content-type"), Some("text/event-stream"));
    assert!(streamed.text().trim_end().ends_with("data: [DONE]"));
    assert!(!streamed.text().contains(app.key.trim_start_matches("sk-")));
    app.ledger.idle().await;
    let records = app.manage("GET", "/api/log/self", None).await.json();
    assert_eq!(records["data"]["total"], 2, "{records}");
    app.verified().await;
}

#[tokio::test]
async fn images_go_with_a_question_and_come_from_a_model() {
    let app = App::start().await;
    let mut browser = root(&app).await;
    let key = key(&app).await;
    // Far larger than any other form of the console may be.
    let picture = format!("data:image/png;base64,{}", "iVBORw0K".repeat(100_000));
    let mut seen = question("m");
    seen["messages"][0]["content"] = json!([{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": picture}}]);
    let answer = ask(&app, &mut browser, &key, &seen).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.json()["choices"][0]["message"]["content"].is_string());
    let wanted = json!({"model": "m", "prompt": "a cat", "n": 1}).to_string();
    let fields = [("key", key.as_str()), ("door", "images"), ("body", &wanted)];
    let made = browser.send(&app, PAGE, ASK, &fields).await;
    assert_eq!(made.status, 200, "{}", made.text());
    assert!(made.json()["data"][0]["b64_json"].is_string());
    app.verified().await;
}

#[tokio::test]
async fn nobody_asks_with_somebody_else_s_key() {
    let app = App::start().await;
    let key = key(&app).await;
    let member = app.account("member", 1_000).await;
    password(&app, member).await;
    let mut browser = signed_in(&app, "member").await;
    assert_eq!(ask(&app, &mut browser, &key, &question("m")).await.status, 404);
    let stranger = Browser::default().post(&app, ASK, &[], &[("key", &key)]).await;
    assert_eq!(stranger.status, 303);
    let mut browser = root(&app).await;
    let forged = browser.post(&app, ASK, &[("origin", "https://evil.example")], &[("key", &key)]).await;
    assert_eq!(forged.status, 403);
    app.ledger.idle().await;
    assert_eq!(app.manage("GET", "/api/log", None).await.json()["data"]["total"], 0);
    assert!(browser.get(&app, &format!("{PAGE}/receipt?request_id=x")).await.json().is_null());
    assert_eq!(browser.get(&app, &format!("{PAGE}/receipt")).await.status, 404);
}

#[tokio::test]
async fn a_refusal_is_that_of_the_model_api() {
    let app = App::start().await;
    let mut browser = root(&app).await;
    let key = key(&app).await;
    let refused = ask(&app, &mut browser, &key, &question("no-such-model")).await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "model_not_found"));
    let broken = browser.send(&app, PAGE, ASK, &[("key", &key), ("body", "{")]).await;
    assert_eq!((broken.status, broken.code().as_str()), (400, "invalid_request"));
    app.provider.script("m", Script { status: Some(400), ..Script::default() });
    assert_eq!(ask(&app, &mut browser, &key, &question("m")).await.status, 400);
}
