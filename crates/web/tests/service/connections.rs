//! Connections to upstreams: TLS and HTTP/2, who shares them, who closes them, and when a request is sent again.

use std::sync::Arc;

use http::Version;
use http_body_util::BodyExt;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;
use testkit::{Act, Provider, Raw, Script};
use tokio::task::JoinSet;
use tokio_rustls::rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};

use crate::app::{App, question};
use crate::realtime::Talk;

/// A certificate authority of our own in PEM, and what a server needs that it has certified.
pub(crate) fn certified(alpn: &[&str]) -> (String, Arc<ServerConfig>) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned()];
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    (authority.pem(), Arc::new(config))
}

/// A service whose model `s` is served by `provider`.
async fn app(provider: &str, pem: Option<&str>) -> App {
    let app = App::with(|settings| {
        if let Some(pem) = pem {
            settings.roots = settings.roots.clone().with_pem(pem.as_bytes()).unwrap();
        }
    })
    .await;
    let body = json!({"name": "s", "base_url": provider, "key": "sk-s", "models": ["s"]});
    assert_eq!(app.manage("POST", "/api/channel/", Some(body)).await.json()["success"], true);
    app.price("s", 1_000_000, 1_000_000, 0).await;
    app
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_with_a_private_authority_is_trusted_where_its_file_is_given() {
    for (alpn, version) in [
        (vec!["h2", "http/1.1"], Version::HTTP_2),
        (vec!["http/1.1"], Version::HTTP_11),
        (vec![], Version::HTTP_11),
    ] {
        let (pem, tls) = certified(&alpn);
        let provider = Provider::start_secure(tls).await.unwrap();
        provider.record();
        let stranger = app(&provider.url(), None).await;
        let refused = stranger.chat(&stranger.key, &question("s")).await;
        assert_eq!((refused.status, refused.code().as_str()), (502, "upstream_error"));
        assert!(provider.seen().is_empty(), "nothing is sent to who is not trusted");

        let before = *provider.accepted().borrow();
        let app = Arc::new(app(&provider.url(), Some(&pem)).await);
        let mut asking = JoinSet::new();
        for index in 0..50 {
            let app = Arc::clone(&app);
            asking.spawn(async move {
                let mut body = question("s");
                body["stream"] = json!(index % 2 == 0);
                let reply = app.chat(&app.key, &body).await;
                assert_eq!(reply.status, 200, "{}", reply.text());
            });
        }
        while let Some(asked) = asking.join_next().await {
            asked.unwrap();
        }
        assert_eq!(provider.seen().len(), 50);
        assert!(provider.seen().iter().all(|seen| seen.version == version), "{alpn:?}");
        let connections = *provider.accepted().borrow() - before;
        assert!(version == Version::HTTP_11 || connections == 1, "{connections} HTTP/2 connections");
        app.verified().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_leaves_a_shared_connection_resets_its_stream_and_no_other() {
    let (pem, tls) = certified(&["h2"]);
    let provider = Provider::start_secure(tls).await.unwrap();
    let app = app(&provider.url(), Some(&pem)).await;
    let bearer = format!("Bearer {}", app.key);
    let stream = async |script: serde_json::Value| {
        let mut body = question("s");
        (body["stream"], body["metadata"]) = (json!(true), json!({"script": script}));
        let headers = [("authorization", bearer.as_str())];
        app.send("POST", "/v1/chat/completions", &headers, body.to_string()).await.into_body()
    };
    let mut in_flight = provider.in_flight();
    let stays = stream(json!({"words": 100, "chunk_ms": 20})).await;
    for words in [0, 3] {
        let mut leaves = stream(json!({"words": 9, "stall_after": words})).await;
        for _ in 0..words {
            leaves.frame().await.unwrap().unwrap();
        }
        in_flight.wait_for(|count| *count == 2).await.unwrap();
        drop(leaves);
        in_flight.wait_for(|count| *count == 1).await.unwrap();
    }
    let whole = stays.collect().await.unwrap().to_bytes();
    assert!(whole.ends_with(b"data: [DONE]\n\n"), "{}", String::from_utf8_lossy(&whole));
    assert_eq!(*provider.accepted().borrow(), 1);
    app.verified().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_further_connection_is_opened_where_one_takes_no_more_requests() {
    let (pem, tls) = certified(&["h2"]);
    let provider = Provider::start_secure(tls).await.unwrap();
    let app = Arc::new(app(&provider.url(), Some(&pem)).await);
    provider.script("s", Script { stall_after: Some(0), ..Script::default() });
    let mut open = JoinSet::new();
    // The provider takes 200 at a time on a connection.
    for _ in 0..210 {
        let app = Arc::clone(&app);
        open.spawn(async move {
            let mut body = question("s");
            body["stream"] = json!(true);
            let bearer = format!("Bearer {}", app.key);
            let headers = [("authorization", bearer.as_str())];
            app.send("POST", "/v1/chat/completions", &headers, body.to_string()).await
        });
    }
    let mut in_flight = provider.in_flight();
    in_flight.wait_for(|count| *count == 210).await.unwrap();
    // A connection takes 100 until the provider has said how many.
    let connections = *provider.accepted().borrow();
    assert!((2..=3).contains(&connections), "{connections}");
    drop(open);
    in_flight.wait_for(|count| *count == 0).await.unwrap();
    app.verified().await;
}

/// A websocket needs HTTP/1.1, also where other requests share a connection of HTTP/2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_has_a_connection_of_its_own() {
    let (pem, tls) = certified(&["h2", "http/1.1"]);
    let provider = Provider::start_secure(tls).await.unwrap();
    provider.record();
    let app = app(&provider.url(), Some(&pem)).await;
    assert_eq!(app.chat(&app.key, &question("s")).await.status, 200);
    let mut talk = Talk::about(&app, &app.key, "s").await;
    talk.turn().await;
    talk.leave().await;
    let versions: Vec<_> = provider.seen().iter().map(|seen| seen.version).collect();
    assert_eq!(versions, [Version::HTTP_2, Version::HTTP_11]);
    app.verified().await;
}

/// Small frames that a caller is slow to read must not end the connection for everybody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_reads_slowly_holds_up_nobody_else_on_a_shared_connection() {
    let (pem, tls) = certified(&["h2"]);
    let provider = Provider::start_secure(tls).await.unwrap();
    let app = app(&provider.url(), Some(&pem)).await;
    let price =
        json!({"model": "s", "input": 0, "output": 1_000_000, "max_output": 1_000_000, "confirm": true});
    assert_eq!(app.manage("PUT", "/api/price/", Some(price)).await.json()["success"], true);
    let mut body = question("s");
    (body["stream"], body["metadata"]) = (json!(true), json!({"script": {"words": 40_000}}));
    let bearer = format!("Bearer {}", app.key);
    let headers = [("authorization", bearer.as_str())];
    let slow = app.send("POST", "/v1/chat/completions", &headers, body.to_string()).await;
    for _ in 0..100 {
        assert_eq!(app.chat(&app.key, &question("s")).await.status, 200);
    }
    let whole = slow.into_body().collect().await.unwrap().to_bytes();
    assert!(whole.ends_with(b"data: [DONE]\n\n"), "it broke off after {} bytes", whole.len());
    assert_eq!(*provider.accepted().borrow(), 1);
    app.verified().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_connection_that_closes_as_it_is_used_again_is_not_noticed() {
    let body =
        r#"{"choices":[{"message":{"content":"w"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;
    let answer = || {
        let length = body.len();
        Act::send(format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
    };
    let again = |acts: &[Act]| [&[Act::Request, answer(), Act::Request], acts].concat();
    for (acts, statuses, connections, requests) in [
        (again(&[Act::Close]), [200, 200, 200], 3, 5),
        (again(&[Act::Reset]), [200, 200, 200], 3, 5),
        // A byte of an answer has come: it may have been charged for.
        (again(&[Act::send("H"), Act::Close]), [200, 502, 200], 2, 3),
        (again(&[Act::send("HTTP/1.1 103 Early Hints\r\n\r\n"), Act::Close]), [200, 502, 200], 2, 3),
        // A fresh connection that breaks is a failure.
        (vec![Act::Request, Act::Close], [502, 502, 502], 3, 3),
    ] {
        let raw = Raw::start(acts.clone()).await.unwrap();
        let app = app(&raw.url(), None).await;
        for status in statuses {
            assert_eq!(app.chat(&app.key, &question("s")).await.status, status, "{acts:?}");
        }
        let reached = (*raw.accepted().borrow(), *raw.requests().borrow());
        assert_eq!(reached, (connections, requests), "{acts:?}");
        let failures = app.call("GET", "/metrics", &[], "").await.text();
        let noticed = failures.contains("apsis_upstream_failures_total{");
        assert_eq!(noticed, statuses.contains(&502), "{acts:?}");
        app.verified().await;
    }
}
