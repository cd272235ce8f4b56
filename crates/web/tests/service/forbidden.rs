//! Upstreams at addresses that may not be dialled: an operator is told which and why, and nobody else.

use serde_json::{Value, json};

use crate::app::{App, question};

#[tokio::test]
async fn a_channel_test_says_why_an_address_may_not_be_dialled_and_callers_learn_nothing() {
    let app = App::start().await;
    app.price("m2", 1_000_000, 1_000_000, 0).await;
    for (url, reason) in [
        ("http://169.254.169.254/v1", "169.254.169.254: a metadata address is never dialled"),
        ("http://169.254.7.7/v1", "169.254.7.7: a link-local address is never dialled"),
        (
            "http://10.1.2.3:8080/v1",
            "10.1.2.3: a private address is dialled only where upstream.allow_private names it",
        ),
        ("https://[fd00:ec2::254]/v1", "fd00:ec2::254: a metadata address is never dialled"),
        ("http://0.0.0.0/v1", "0.0.0.0: the address is not that of one host"),
    ] {
        let body = json!({"name": "c", "base_url": url, "key": "sk-upstream", "models": ["m2"]});
        let made = app.manage("POST", "/api/channel", Some(body)).await.json()["data"]["id"].clone();
        let test = format!("/api/channel/test/{made}");
        let found = app.manage("GET", &test, None).await.json()["data"].clone();
        assert_eq!((&found["healthy"], found.get("status")), (&json!(false), None));
        let said = found["reason"].as_str().unwrap();
        assert!(said.ends_with(reason) && !said.contains("sk-upstream"), "{said}");

        let answer = app.chat(&app.key, &question("m2")).await;
        assert_eq!(answer.status, 502, "{}", answer.text());
        let logs = app.manage("GET", "/api/log/self?page_size=1", None).await.text();
        for hidden in ["169.254", "10.1.2.3", "fd00", "0.0.0.0", "dialled", "metadata"] {
            assert!(!answer.text().contains(hidden) && !logs.contains(hidden), "{hidden}");
        }
        let gone = app.manage("DELETE", &format!("/api/channel/{made}"), None).await.json();
        assert_eq!(gone["success"], Value::Bool(true));
    }
}
