//! Forms with large files: kept outside memory, whole at whichever upstream takes them.

use http::Version;
use serde_json::json;
use testkit::{Provider, Script};

use crate::{
    app::{App, Reply},
    connections::certified,
};

/// More than is kept in memory.
const LARGE: usize = 5 << 20;

/// A form with a large recording, and the recording.
fn recording() -> (Vec<u8>, Vec<u8>) {
    let sound: Vec<u8> = (0..LARGE).map(|index| (index * 7 % 253) as u8).collect();
    let mut form =
        b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"s.bin\"\r\n\r\n".to_vec();
    form.extend_from_slice(&sound);
    form.extend_from_slice(
        b"\r\n--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--x--\r\n",
    );
    (form, sound)
}

async fn transcribe(app: &App, form: Vec<u8>) -> Reply {
    let bearer = format!("Bearer {}", app.key);
    let headers = [("authorization", bearer.as_str()), ("content-type", "multipart/form-data; boundary=x")];
    app.call("POST", "/v1/audio/transcriptions", &headers, form).await
}

/// The file of the last form that a provider has got.
fn file(provider: &Provider) -> Vec<u8> {
    let seen = provider.seen().pop().unwrap();
    let length = seen.headers["content-length"].to_str().unwrap().parse::<usize>().unwrap();
    assert_eq!(seen.body.len(), length);
    let start = seen.body.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    seen.body[start..start + LARGE].to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_is_whole_at_every_channel_that_is_tried() {
    let app = App::start().await;
    app.provider.record();
    let failing = Provider::start().await.unwrap();
    failing.script("m", Script { status: Some(500), ..Script::default() });
    failing.record();
    let body = json!({"name": "f", "base_url": failing.url(), "key": "k", "models": ["m"], "priority": 9});
    assert_eq!(app.manage("POST", "/api/channel/", Some(body)).await.json()["success"], true);
    let (form, sound) = recording();
    let reply = transcribe(&app, form).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(file(&failing) == sound && file(&app.provider) == sound);
    app.verified().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_is_whole_over_a_shared_connection() {
    let (pem, tls) = certified(&["h2"]);
    let provider = Provider::start_secure(tls).await.unwrap();
    provider.record();
    let roots = gateway::Roots::default().with_pem(pem.as_bytes()).unwrap();
    let app = App::with(|settings| settings.roots = roots).await;
    let body = json!({"name": "f", "base_url": provider.url(), "key": "k", "models": ["m"], "priority": 9});
    assert_eq!(app.manage("POST", "/api/channel/", Some(body)).await.json()["success"], true);
    let (form, sound) = recording();
    let reply = transcribe(&app, form).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(file(&provider) == sound);
    assert_eq!(provider.seen()[0].version, Version::HTTP_2);
    app.verified().await;
}

#[tokio::test]
async fn a_form_that_is_too_large_is_refused() {
    let app = App::with(|settings| settings.body_limit = 1 << 20).await;
    let (form, _) = recording();
    let reply = transcribe(&app, form).await;
    assert_eq!((reply.status, reply.code().as_str()), (413, "request_too_large"));
    app.verified().await;
}
