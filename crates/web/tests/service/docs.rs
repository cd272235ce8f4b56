//! The documents inside: every call and every error has a place, and answers lead there.

use crate::{
    app::{App, question},
    browser::{Browser, root},
};

#[tokio::test]
async fn every_call_of_the_document_is_explained() {
    let app = App::start().await;
    let mut anybody = Browser::default();
    let document = app.call("GET", "/openapi.json", &[], "").await.json();
    let front = anybody.get(&app, "/docs").await.text();
    let mut pages = String::new();
    for link in front.split("<h2 id=\"s").skip(1).map(|part| part.split("href=\"").nth(1).unwrap()) {
        let page = anybody.get(&app, link.split('"').next().unwrap()).await;
        assert_eq!(page.status, 200, "{link}");
        pages.push_str(&page.text());
    }
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item
            .as_object()
            .unwrap()
            .keys()
            .filter(|name| ["get", "post", "put", "delete"].contains(&name.as_str()))
        {
            let title = format!(
                "<span class=\"method {method}\">{}</span> <code>{path}</code></h2>",
                method.to_uppercase()
            );
            assert!(pages.contains(&title), "{method} {path}");
        }
    }
    let base = format!("http://{}", app.address);
    assert!(pages.contains(&format!("curl -X POST {base}/v1/chat/completions")));
    assert!(pages.contains("expired_time") && !pages.contains("href=\"/console/keys\""));
    assert!(root(&app).await.get(&app, "/docs").await.text().contains("href=\"/console/keys\""));
    for nowhere in ["/docs/api/Nothing", "/docs/errors/nothing", "/docs/x/y"] {
        assert_eq!(anybody.get(&app, nowhere).await.status, 404, "{nowhere}");
    }
}

#[tokio::test]
async fn errors_lead_to_their_explanation() {
    let app = App::start().await;
    let mut anybody = Browser::default();
    let refused = app.chat(&app.key, &question("no-such-model")).await;
    let managed = app.manage("GET", "/api/token/99", None).await;
    for (answer, code) in [(refused, "model_not_found"), (managed, "not_found")] {
        let link = answer.header("link").unwrap().to_owned();
        assert_eq!(link, format!("</docs/errors/{code}>; rel=\"help\""));
        let page = anybody.get(&app, &format!("/docs/errors/{code}")).await;
        assert_eq!(page.status, 200);
        assert!(page.text().contains("Cause") && page.text().contains("Cure"));
    }
    let list = anybody.get(&app, "/docs/errors").await.text();
    for refusal in model::refusal::Refusal::examples() {
        let is_ours = !matches!(refusal, model::refusal::Refusal::Upstream { .. });
        assert_eq!(
            is_ours,
            list.contains(&format!("href=\"/docs/errors/{}\"", refusal.code())),
            "{refusal:?}"
        );
    }
}
