//! The document, and every operation in it as nobody and with the wrong class of credential.

use serde_json::Value;

use crate::app::App;

/// Operations that need no credential.
const OPEN: [&str; 3] = ["GET /api/models", "GET /api/model/{code}", "POST /api/setup"];

fn operations(document: &Value) -> Vec<(String, String, String)> {
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, methods)| {
        methods.as_object().unwrap().iter().map(move |(method, operation)| {
            let scheme = operation["security"]
                .as_array()
                .and_then(|list| list.first()?.as_object()?.keys().next().cloned());
            (method.to_uppercase(), path.clone(), scheme.unwrap_or_default())
        })
    });
    operations.collect()
}

#[tokio::test]
async fn every_operation_refuses_nobody_and_the_wrong_class() {
    let app = App::start().await;
    let document = app.call("GET", "/openapi.json", &[], "").await.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let operations = operations(&document);
    assert!(operations.len() >= 30, "{}", operations.len());
    let key = format!("Bearer {}", app.key);
    let pat = format!("Bearer {}", app.pat);
    for (method, path, scheme) in operations {
        let name = format!("{method} {path}");
        if OPEN.contains(&name.as_str()) {
            assert_eq!(scheme, "", "{name}");
            continue;
        }
        let wrong = match scheme.as_str() {
            "personal_access_token" => key.as_str(),
            "api_key" => pat.as_str(),
            other => panic!("{name} has the security scheme {other:?}"),
        };
        let path = path.replace("{id}", "1").replace("{name}", "default");
        for credential in ["", "Bearer", "Bearer nonsense", "garbage", wrong] {
            let reply = app.call(&method, &path, &[("authorization", credential)], "{}").await;
            assert_eq!(reply.status, 401, "{name} with {credential:.12}: {}", reply.text());
        }
    }
}

#[tokio::test]
async fn every_operator_call_refuses_a_member() {
    let app = App::start().await;
    let member = app.account("member", 0).await;
    let pat = app.token(member).await;
    let document = app.call("GET", "/openapi.json", &[], "").await.json();
    let mut checked = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if operation["tags"][0] != "Operators" {
                continue;
            }
            let path = path.replace("{id}", "1").replace("{name}", "default");
            let body = r#"{"id":1,"username":"x","name":"x","base_url":"http://x/v1","models":["x"],"model":"x","input":1,"output":1,"max_output":1}"#;
            let reply = app.call(&method.to_uppercase(), &path, &[("authorization", &pat)], body).await;
            assert_eq!(reply.status, 403, "{method} {path}: {}", reply.text());
            checked += 1;
        }
    }
    assert_eq!(checked, 34);
}
