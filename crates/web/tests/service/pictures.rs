//! Images and speech: what they are paid for, and by whom it is counted.

use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::app::{App, Reply};

async fn app() -> App {
    app_with(|_| {}).await
}

async fn app_with(adjust: impl FnOnce(&mut gateway::Settings)) -> App {
    let app = App::with(adjust).await;
    app.channel(&["dall-e-x", "drawer", "speaker", "by-second"]).await;
    for price in [
        json!({"model": "dall-e-x", "input": 0, "output": 0, "per_image": 2_000_000, "max_output": 1}),
        json!({"model": "drawer", "input": 1_000_000, "output": 2_000_000, "max_output": 400}),
        json!({"model": "speaker", "input": 3_000_000, "output": 0, "max_output": 1}),
        json!({"model": "by-second", "input": 0, "output": 0, "per_second": 5_000_000, "max_output": 1}),
    ] {
        let put = app.manage("PUT", "/api/price/", Some(price)).await;
        assert_eq!(put.json()["success"], true, "{}", put.text());
    }
    app
}

async fn ask(app: &App, key: &str, path: &str, body: Value) -> Reply {
    app.call("POST", path, &[("authorization", &format!("Bearer {key}"))], body.to_string()).await
}

async fn charge(app: &App, reply: &Reply) -> Value {
    let id = reply.header("x-request-id").unwrap();
    let found = app.manage("GET", &format!("/api/log/self?request_id={id}"), None).await.json();
    found["data"]["items"][0]["charge"].clone()
}

#[tokio::test]
async fn images_are_paid_for_by_the_image_or_by_their_tokens() {
    let app = app().await;
    let path = "/v1/images/generations";
    let reply = ask(&app, &app.key, path, json!({"model": "dall-e-x", "prompt": "a cat", "n": 3})).await;
    assert_eq!((reply.status, reply.json()["data"].as_array().unwrap().len()), (200, 3));
    let by_image = charge(&app, &reply).await;
    assert_eq!((&by_image["units"], &by_image["counted_by"]), (&json!(6), &json!("counted")), "{by_image}");
    for stream in [false, true] {
        let body = json!({"model": "drawer", "prompt": "a cat", "stream": stream, "partial_images": 2});
        let reply = ask(&app, &app.key, path, body).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let by_token = charge(&app, &reply).await;
        assert_eq!(
            (&by_token["units"], &by_token["counted_by"]),
            (&json!(202), &json!("reported")),
            "{by_token}"
        );
    }
    app.verified().await;
}

#[tokio::test]
async fn images_that_cannot_be_paid_are_not_asked_for() {
    let app = app().await;
    let key = app.key_of(app.account("poor", 5).await, 5).await;
    let path = "/v1/images/generations";
    app.provider.record();
    let reply = ask(&app, &key, path, json!({"model": "dall-e-x", "prompt": "a cat", "n": 3})).await;
    assert_eq!((reply.status, reply.code().as_str()), (403, "quota_exhausted"), "{}", reply.text());
    assert!(reply.text().contains("6 units needed"), "{}", reply.text());
    // An image has no smaller limit that could be asked for instead.
    let reply = ask(&app, &key, path, json!({"model": "drawer", "prompt": "a cat"})).await;
    assert_eq!((reply.status, reply.code().as_str()), (403, "quota_exhausted"), "{}", reply.text());
    assert!(app.provider.seen().is_empty());
    assert_eq!(
        app.chat(&app.key, &json!({"model": "dall-e-x", "messages": []})).await.code(),
        "price_unknown"
    );
}

#[tokio::test]
async fn speech_is_paid_for_by_the_character_or_the_second() {
    let app = app().await;
    let path = "/v1/audio/speech";
    let input = "one two three caf\u{e9}";
    let body = json!({"model": "speaker", "input": input, "voice": "v"});
    let reply = ask(&app, &app.key, path, body).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("audio/mpeg")), "{}", reply.text());
    assert!(reply.text().starts_with("sound 0;"));
    let by_character = charge(&app, &reply).await;
    assert_eq!(
        (&by_character["units"], &by_character["counted_by"]),
        (&json!(3 * input.chars().count()), &json!("counted")),
        "{by_character}"
    );
    let twice = r#"{"model":"speaker","input":"a","input":"a long text","voice":"v"}"#;
    let reply = app.call("POST", path, &[("x-api-key", &app.key)], twice).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_request"));
    let body = json!({"model": "by-second", "input": input, "voice": "v", "stream_format": "sse"});
    let reply = ask(&app, &app.key, path, body).await;
    assert!(
        reply.status == 200 && charge(&app, &reply).await["units"].as_i64() >= Some(5),
        "{}",
        reply.text()
    );
    let body = json!({"model": "by-second", "input": input, "voice": "v"});
    let reply = ask(&app, &app.key, path, body).await;
    assert_eq!((reply.status, &charge(&app, &reply).await["units"]), (200, &json!(5)));
    app.verified().await;
}

/// Answers that do not say what they are paid for by: what was asked for counts, and never nothing.
#[tokio::test]
async fn an_answer_without_what_it_is_paid_for_is_estimated() {
    let app = app().await;
    let answer = |text: &str| testkit::Script { body: Some(text.to_owned()), ..testkit::Script::default() };
    for (model, path, said, units, by) in [
        ("dall-e-x", "images/generations", r#"{"created":1,"output":["u","v"]}"#, 6, "estimated"),
        ("dall-e-x", "images/generations", r#"{"images":[{"url":"u"}]}"#, 2, "counted"),
        ("dall-e-x", "images/generations", r#"{"data":[]}"#, 0, "estimated"),
        ("by-second", "audio/speech", r#"{"url":"https://sound.example/a.mp3"}"#, 10, "estimated"),
        ("by-second", "audio/speech", r#"{"duration":2.5,"url":"u"}"#, 15, "counted"),
        ("speaker", "audio/speech", r#"{"audio":"c291bmQ="}"#, 54, "counted"),
    ] {
        app.provider.script(model, answer(said));
        let body =
            json!({"model": model, "prompt": "a cat", "n": 3, "input": "one two three four", "voice": "v"});
        let reply = ask(&app, &app.key, &format!("/v1/{path}"), body).await;
        assert_eq!((reply.status, reply.text().as_str()), (200, said));
        let charge = charge(&app, &reply).await;
        assert_eq!(
            (&charge["units"], &charge["counted_by"]),
            (&json!(units), &json!(by)),
            "{said}: {charge}"
        );
    }
    app.verified().await;
}

/// Sound says itself how long it is, whatever it comes in.
#[tokio::test]
async fn speech_is_as_long_as_it_says() {
    let app = app().await;
    let input = "word ".repeat(20);
    for (format, kind, sound, units) in [
        // Two seconds of 24,000 samples with 16 bits; so many bytes would be six of what is compressed.
        ("pcm", "audio/pcm", "\0".repeat(96_000), 10),
        ("opus", "audio/ogg", "x".repeat(32_000), 10),
    ] {
        let script =
            testkit::Script { body: Some(sound), content_type: Some(kind.to_owned()), ..Default::default() };
        app.provider.script("by-second", script);
        let body = json!({"model": "by-second", "input": input, "voice": "v", "response_format": format});
        let reply = ask(&app, &app.key, "/v1/audio/speech", body).await;
        assert_eq!((reply.status, &charge(&app, &reply).await["units"]), (200, &json!(units)), "{format}");
    }
    app.verified().await;
}

/// A form of these fields, those with a file name being files.
fn form(fields: &[(&str, Option<&str>, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, file, content) in fields {
        let file = file.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
        let head = format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
        body.extend([head.as_bytes(), content, b"\r\n"].concat());
    }
    body.extend(b"--x--\r\n");
    body
}

async fn send(app: &App, path: &str, body: Vec<u8>) -> Reply {
    let bearer = format!("Bearer {}", app.key);
    let headers = [("authorization", bearer.as_str()), ("content-type", "multipart/form-data; boundary=x")];
    app.call("POST", path, &headers, body).await
}

#[tokio::test]
async fn forms_pass_with_their_files_and_are_paid_for() {
    let app = app().await;
    app.channel(&["whisper-x", "hears"]).await;
    for price in [
        json!({"model": "whisper-x", "input": 0, "output": 0, "per_second": 5_000_000, "max_output": 1}),
        json!({"model": "hears", "input": 1_000_000, "output": 2_000_000, "max_output": 100}),
    ] {
        let put = app.manage("PUT", "/api/price/", Some(price)).await;
        assert_eq!(put.json()["success"], true, "{}", put.text());
    }
    let picture: &[u8] = b"\x89PNG\r\n--not-the-mark";
    let edit = |model: &'static str| {
        form(&[
            ("image", Some("a.png"), picture),
            ("prompt", None, b"a cat"),
            ("n", None, b"2"),
            ("model", None, model.as_bytes()),
        ])
    };
    let reply = send(&app, "/v1/images/edits", edit("dall-e-x")).await;
    assert_eq!(reply.json()["data"].as_array().map(Vec::len), Some(2), "{}", reply.text());
    assert_eq!(charge(&app, &reply).await["units"], 4);
    let reply = send(&app, "/v1/images/edits", edit("drawer")).await;
    let by_token = charge(&app, &reply).await;
    assert_eq!(
        (&by_token["units"], &by_token["counted_by"]),
        (&json!(2 + 50 + 400), &json!("reported")),
        "{by_token}"
    );

    let sound = vec![0; 40_000];
    let hear = |model: &'static str, kind: &'static str, stream: &'static str| {
        form(&[
            ("file", Some("a.mp3"), &sound),
            ("model", None, model.as_bytes()),
            ("response_format", None, kind.as_bytes()),
            ("stream", None, stream.as_bytes()),
        ])
    };
    for (path, model, kind, stream, units, by) in [
        ("/v1/audio/transcriptions", "whisper-x", "json", "false", 10, "reported"),
        ("/v1/audio/translations", "whisper-x", "verbose_json", "false", 10, "reported"),
        // Nobody says how long it was: 40,000 bytes are about three seconds.
        ("/v1/audio/transcriptions", "whisper-x", "text", "false", 15, "estimated"),
        // The last subtitle ends after two.
        ("/v1/audio/transcriptions", "whisper-x", "srt", "false", 10, "estimated"),
        ("/v1/audio/transcriptions", "hears", "json", "false", 28, "reported"),
        ("/v1/audio/transcriptions", "hears", "json", "true", 28, "reported"),
    ] {
        let reply = send(&app, path, hear(model, kind, stream)).await;
        assert_eq!(reply.status, 200, "{path} {model} {kind}: {}", reply.text());
        let charge = charge(&app, &reply).await;
        assert_eq!(
            (&charge["units"], &charge["counted_by"]),
            (&json!(units), &json!(by)),
            "{path} {model} {kind}: {charge}"
        );
    }
    for (body, code) in [
        (form(&[("prompt", None, b"p")]), "model_required"),
        (form(&[("model", None, b"dall-e-x"), ("n", None, b"900")]), "invalid_request"),
        (form(&[("model", None, b"dall-e-x"), ("stream", None, b"maybe")]), "invalid_request"),
        (b"{}".to_vec(), "invalid_request"),
    ] {
        let reply = send(&app, "/v1/images/edits", body).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, code), "{}", reply.text());
    }
    app.verified().await;
}

#[tokio::test]
async fn sound_that_breaks_off_does_not_look_whole() {
    let app = app_with(|settings| settings.idle = std::time::Duration::from_millis(200)).await;
    app.provider.script("speaker", testkit::Script { stall_after: Some(2), ..testkit::Script::default() });
    let body = json!({"model": "speaker", "input": "one two three four", "voice": "v"}).to_string();
    let bearer = format!("Bearer {}", app.key);
    let response = app.send("POST", "/v1/audio/speech", &[("authorization", &bearer)], body).await;
    let mut body = response.into_body();
    let mut last = None;
    while let Some(frame) = body.frame().await {
        last = Some(frame.is_ok());
    }
    assert_eq!(last, Some(false), "the framing says that it broke off");
    app.verified().await;
}
