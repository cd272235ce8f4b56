//! Realtime: what is checked before a session, what passes in it, and what it costs.

use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::{SinkExt, StreamExt};
use http::Response;
use serde_json::{Value, json};
use testkit::{Provider, Script};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest,
        protocol::{CloseFrame, WebSocketConfig},
    },
};

use crate::app::App;

/// A session as a caller has it.
pub(crate) struct Talk {
    pub(crate) socket: WebSocketStream<TcpStream>,
}

/// Asks for a websocket.
pub(crate) async fn connect(
    app: &App,
    path: &str,
    headers: &[(&'static str, &str)],
) -> Result<(Talk, Response<Option<Vec<u8>>>), Box<Response<Option<Vec<u8>>>>> {
    let mut request = format!("ws://{}{path}", app.address).into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    let stream = TcpStream::connect(app.address).await.unwrap();
    match client_async(request, stream).await {
        Ok((socket, response)) => Ok((Talk { socket }, response)),
        Err(Error::Http(response)) => Err(response),
        Err(error) => panic!("{error}"),
    }
}

impl Talk {
    /// A session with the model `r`, after its first event.
    pub(crate) async fn with(app: &App, key: &str) -> Self {
        Self::about(app, key, "r").await
    }

    pub(crate) async fn about(app: &App, key: &str, model: &str) -> Self {
        let bearer = format!("Bearer {key}");
        let path = format!("/v1/realtime?model={model}");
        let (mut talk, _) = connect(app, &path, &[("authorization", &bearer)]).await.unwrap();
        assert_eq!(talk.event().await["type"], "session.created");
        talk
    }

    pub(crate) async fn say(&mut self, event: Value) {
        self.socket.send(Message::text(event.to_string())).await.unwrap();
    }

    pub(crate) async fn message(&mut self) -> Message {
        self.socket.next().await.unwrap().unwrap()
    }

    pub(crate) async fn event(&mut self) -> Value {
        match self.message().await {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// The events up to one of this kind.
    pub(crate) async fn until(&mut self, kind: &str) -> Vec<Value> {
        let mut events = vec![self.event().await];
        while events.last().unwrap()["type"] != kind {
            events.push(self.event().await);
        }
        events
    }

    /// Says three words and waits for the answer; gives its last event.
    pub(crate) async fn turn(&mut self) -> Value {
        self.words("one two three").await;
        self.say(json!({"type": "response.create"})).await;
        self.until("response.done").await.pop().unwrap()
    }

    pub(crate) async fn words(&mut self, text: &str) {
        let content = json!([{"type": "input_text", "text": text}]);
        let item = json!({"type": "message", "role": "user", "content": content});
        self.say(json!({"type": "conversation.item.create", "item": item})).await;
        assert_eq!(self.event().await["type"], "conversation.item.added");
    }

    /// What is said before the goodbye, and the goodbye.
    pub(crate) async fn end(&mut self) -> (Vec<Value>, Option<CloseFrame>) {
        let mut events = Vec::new();
        loop {
            match self.message().await {
                Message::Text(text) => events.push(serde_json::from_str(&text).unwrap()),
                Message::Close(frame) => return (events, frame),
                _ => {}
            }
        }
    }

    pub(crate) async fn leave(mut self) {
        self.socket.close(None).await.unwrap();
        while let Some(Ok(_)) = self.socket.next().await {}
    }
}

/// A service with the model `r`, a unit for each token.
pub(crate) async fn talking(script: Script) -> App {
    let app = App::start().await;
    app.channel(&["r", "t", "whisper-1"]).await;
    app.price("r", 1_000_000, 1_000_000, 0).await;
    app.provider.script("r", script);
    app
}

pub(crate) fn words(words: u64) -> Script {
    Script { words: Some(words), ..Script::default() }
}

/// The newest records, the newest first.
pub(crate) async fn records(app: &App) -> Vec<Value> {
    app.verified().await;
    let found = app.manage("GET", "/api/log/self?page_size=10", None).await.json();
    found["data"]["items"].as_array().unwrap().clone()
}

fn body(response: &Response<Option<Vec<u8>>>) -> Value {
    let body = response.body().clone().unwrap_or_default();
    serde_json::from_slice(&body).unwrap_or_else(|_| panic!("{response:?}"))
}

#[tokio::test]
async fn everything_is_checked_before_the_upgrade() {
    let app = talking(words(5)).await;
    let poor = app.key_of(app.root, 3).await;
    let (own, poor) = (format!("Bearer {}", app.key), format!("Bearer {poor}"));
    let key = |text| [("authorization", text)];
    for (path, headers, status, code) in [
        ("/v1/realtime?model=r", &[][..], 401, "missing_api_key"),
        ("/v1/realtime?model=r", &key("Bearer sk-x"), 401, "invalid_api_key"),
        ("/v1/realtime", &key(&own), 400, "model_required"),
        ("/v1/realtime?model=r&model=s", &key(&own), 400, "invalid_request"),
        ("/v1/realtime?model=nobody", &key(&own), 503, "model_not_found"),
        ("/v1/realtime?model=unpriced", &key(&own), 400, "price_unknown"),
        ("/v1/realtime?model=r", &key(&poor), 403, "quota_exhausted"),
    ] {
        let Err(refused) = connect(&app, path, headers).await else { panic!("{path}") };
        let error = body(&refused)["error"].clone();
        assert_eq!(
            (refused.status().as_u16(), error["code"].as_str()),
            (status, Some(code)),
            "{path}: {error}"
        );
        assert_eq!(error["type"], "comet_api_error");
        assert!(refused.headers().contains_key("x-request-id"));
    }
    let plain = app.call("GET", "/v1/realtime?model=r", &key(&own), "").await;
    assert_eq!((plain.status, plain.code().as_str()), (400, "invalid_request"));
    let posted = app.call("POST", "/v1/realtime?model=r", &key(&own), "").await;
    assert_eq!(posted.status, 405);
    app.verified().await;
    assert_eq!(app.usage(&app.key).await["total_used"], 0);
}

#[tokio::test]
async fn an_upstream_that_refuses_answers_before_the_upgrade() {
    let refusing = Script { status: Some(429), message: Some("slowly".to_owned()), ..Script::default() };
    let app = talking(refusing).await;
    let bearer = format!("Bearer {}", app.key);
    let refused = connect(&app, "/v1/realtime?model=r", &[("authorization", &bearer)]).await.err().unwrap();
    let error = body(&refused)["error"].clone();
    assert_eq!(refused.status(), 429, "{error}");
    assert!(error["message"].as_str().unwrap().contains("slowly"), "{error}");
    assert_eq!(records(&app).await[0]["quota"], 0);
}

#[tokio::test]
async fn a_browser_offers_its_key_and_never_hears_it() {
    let app = talking(words(5)).await;
    app.provider.record();
    let offered = format!("realtime, openai-insecure-api-key.{}, openai-beta.realtime-v1", app.key);
    let path = "/v1/realtime?model=r";
    let (talk, response) = connect(&app, path, &[("sec-websocket-protocol", &offered)]).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "realtime");
    assert!(!format!("{response:?}").contains(&app.key[3..]));
    let seen = app.provider.seen();
    assert_eq!(seen[0].headers["authorization"], "Bearer sk-upstream-secret");
    assert_eq!(seen[0].headers["openai-beta"], "realtime=v1");
    assert!(!seen[0].headers.contains_key("sec-websocket-protocol"));
    assert_eq!((seen[0].path.as_str(), seen[0].query.as_str()), ("/v1/realtime", "model=r"));
    talk.leave().await;
    app.verified().await;
}

#[tokio::test]
async fn several_responses_are_one_charge() {
    let app = talking(words(5)).await;
    let mut talk = Talk::with(&app, &app.key).await;
    for turn in 0..3 {
        let usage = talk.turn().await["response"]["usage"].clone();
        assert_eq!((&usage["input_tokens"], &usage["output_tokens"]), (&json!(3 + turn * 8), &json!(5)));
    }
    talk.leave().await;
    let record = records(&app).await[0].clone();
    // 3 + 11 + 19 tokens in, three times five out.
    assert_eq!(
        (&record["prompt_tokens"], &record["completion_tokens"]),
        (&json!(33), &json!(15)),
        "{record}"
    );
    assert_eq!((&record["quota"], &record["charge"]["counted_by"]), (&json!(48), &json!("reported")));
    assert_eq!(app.usage(&app.key).await["total_used"], 48);
}

#[tokio::test]
async fn sound_is_charged_as_sound() {
    let app = talking(words(3)).await;
    let price = json!({"model": "r", "input": 1_000_000, "output": 2_000_000, "input_audio": 10_000_000,
        "output_audio": 20_000_000, "max_output": 1000, "confirm": true});
    assert_eq!(app.manage("PUT", "/api/price/", Some(price)).await.json()["success"], true);
    let mut talk = Talk::with(&app, &app.key).await;
    let audio = json!({"input": {"turn_detection": {"type": "server_vad"}}});
    let session = json!({"type": "realtime", "output_modalities": ["audio"], "audio": audio});
    talk.say(json!({"type": "session.update", "session": session})).await;
    talk.until("session.updated").await;
    // Two seconds, at 24,000 samples of two bytes: the upstream answers by itself.
    let sound = BASE64_STANDARD.encode(vec![0; 96_000]);
    talk.say(json!({"type": "input_audio_buffer.append", "audio": sound})).await;
    let events = talk.until("response.done").await;
    assert_eq!(events.iter().filter(|event| event["type"] == "response.output_audio.delta").count(), 3);
    talk.leave().await;
    let record = records(&app).await[0].clone();
    // 20 tokens of sound came in; three words and three seconds of sound went out.
    assert_eq!(record["quota"], json!(20 * 10 + 3 * 2 + 60 * 20), "{record}");
}

#[tokio::test]
async fn what_is_heard_is_written_down_at_its_own_price() {
    let app = talking(words(2)).await;
    app.price("t", 3_000_000, 5_000_000, 0).await;
    let mut talk = Talk::with(&app, &app.key).await;
    let listen = |model: &str| {
        let transcription = json!({"transcription": {"model": model}});
        json!({"type": "session.update", "session": {"audio": {"input": transcription}}})
    };
    talk.say(listen("whisper-1")).await;
    let refused = talk.event().await;
    assert_eq!((&refused["type"], &refused["error"]["code"]), (&json!("error"), &json!("price_unknown")));
    talk.say(listen("t")).await;
    talk.until("session.updated").await;
    let sound = BASE64_STANDARD.encode(vec![0; 48_000]);
    talk.say(json!({"type": "input_audio_buffer.append", "audio": sound})).await;
    talk.say(json!({"type": "input_audio_buffer.commit"})).await;
    talk.until("conversation.item.input_audio_transcription.completed").await;
    talk.say(json!({"type": "response.create"})).await;
    talk.until("response.done").await;
    talk.leave().await;
    let found = records(&app).await;
    let of =
        |model: &str| found.iter().find(|record| record["model_name"] == model).unwrap()["quota"].clone();
    assert_eq!((of("r"), of("t")), (json!(10 + 2), json!(10 * 3 + 4 * 5)), "{found:?}");
}

#[tokio::test]
async fn messages_pass_as_they_are() {
    let app = talking(words(5)).await;
    let mut talk = Talk::with(&app, &app.key).await;
    let odd = "{ \"type\" : \"echo\",\"n\":1.50, \"t\":\"\\u00e9\\/\",\"x\":[1e3 ,null]}";
    talk.socket.send(Message::text(odd)).await.unwrap();
    assert_eq!(talk.message().await, Message::text(odd));
    let bytes = Message::binary(vec![0, 159, 146, 150]);
    talk.socket.send(bytes.clone()).await.unwrap();
    assert_eq!(talk.message().await, bytes);
    talk.socket.send(Message::Ping("here".into())).await.unwrap();
    assert_eq!(talk.message().await, Message::Pong("here".into()));
    let large = json!({"type": "echo", "text": "x".repeat(5 << 20)}).to_string();
    talk.socket.send(Message::text(large.clone())).await.unwrap();
    assert_eq!(talk.message().await, Message::text(large));
    for (event, code) in [
        ("[]", "invalid_request"),
        (r#"{"type":"echo","type":"response.create"}"#, "invalid_request"),
        (r#"{"type":"session.update","session":{"model":"m"}}"#, "invalid_request"),
    ] {
        talk.socket.send(Message::text(event)).await.unwrap();
        let told = talk.event().await;
        assert_eq!((&told["type"], &told["error"]["code"]), (&json!("error"), &json!(code)), "{event}");
    }
    talk.leave().await;
    app.verified().await;
}

#[tokio::test]
async fn a_model_has_its_upstreams_name_there() {
    let app = talking(words(5)).await;
    let body = json!({"name": "x", "base_url": app.provider.url(), "key": "sk-upstream-secret", "models": ["ours"],
        "model_mapping": {"ours": "their/s"}});
    assert_eq!(app.manage("POST", "/api/channel/", Some(body)).await.json()["success"], true);
    app.price("ours", 1_000_000, 1_000_000, 0).await;
    let mut talk = Talk::about(&app, &app.key, "ours").await;
    talk.say(json!({"type": "session.update", "session": {"type": "realtime", "model": "ours"}})).await;
    assert_eq!(talk.event().await["session"]["model"], "their/s");
    talk.leave().await;
    app.verified().await;
}

#[tokio::test]
async fn every_kind_with_the_door_is_asked_in_its_own_way() {
    let app = talking(words(5)).await;
    app.provider.demand("sk-upstream-secret");
    app.provider.record();
    let origin = app.provider.origin();
    for (kind, base, path, header) in [
        ("openai", "/v1", "/v1/realtime", "authorization"),
        ("azure", "/openai/v1", "/openai/v1/realtime", "api-key"),
        ("compatible", "/v1", "/v1/realtime", "authorization"),
        ("gateway", "", "/v1/realtime", "authorization"),
    ] {
        let body = json!({"name": kind, "kind": kind, "base_url": format!("{origin}{base}"), "key": "sk-upstream-secret",
            "models": [kind]});
        assert_eq!(app.manage("POST", "/api/channel/", Some(body)).await.json()["success"], true);
        app.price(kind, 1_000_000, 1_000_000, 0).await;
        let mut talk = Talk::about(&app, &app.key, kind).await;
        talk.turn().await;
        talk.leave().await;
        let seen = app.provider.seen().pop().unwrap();
        assert_eq!(seen.path, path, "{kind}");
        assert!(seen.headers[header].to_str().unwrap().ends_with("sk-upstream-secret"), "{kind}");
        assert_eq!(records(&app).await[0]["model_name"], kind);
    }
    let anthropic = json!({"name": "a", "kind": "anthropic", "base_url": format!("{origin}/v1"), "key": "k", "models": ["a"]});
    assert_eq!(app.manage("POST", "/api/channel/", Some(anthropic)).await.json()["success"], true);
    app.price("a", 1, 1, 0).await;
    let bearer = format!("Bearer {}", app.key);
    let refused = connect(&app, "/v1/realtime?model=a", &[("authorization", &bearer)]).await.err().unwrap();
    assert_eq!(
        (refused.status().as_u16(), body(&refused)["error"]["code"].as_str()),
        (404, Some("endpoint_not_offered"))
    );
    app.verified().await;
}

#[tokio::test]
async fn another_channel_serves_where_one_cannot() {
    let app = talking(words(5)).await;
    let dead = Provider::start().await.unwrap();
    let url = dead.url();
    drop(dead);
    let body = json!({"name": "dead", "base_url": url, "key": "k", "models": ["r"], "priority": 9});
    assert_eq!(app.manage("POST", "/api/channel/", Some(body)).await.json()["success"], true);
    let mut talk = Talk::with(&app, &app.key).await;
    talk.turn().await;
    talk.leave().await;
    let record = records(&app).await[0].clone();
    assert_eq!(record["quota"], 8, "{record}");
}

#[tokio::test]
async fn a_message_that_is_too_large_ends_the_session() {
    let app = App::with(|settings| settings.realtime_message = 1 << 16).await;
    app.channel(&["r"]).await;
    app.price("r", 1_000_000, 1_000_000, 0).await;
    let mut talk = Talk::with(&app, &app.key).await;
    let large = json!({"type": "echo", "text": "x".repeat(1 << 16)});
    talk.socket.send(Message::text(large.to_string())).await.unwrap();
    assert_eq!(u16::from(talk.end().await.1.unwrap().code), 1009);
    let roomy = WebSocketConfig::default();
    assert!(roomy.max_message_size.unwrap() > 1 << 16, "it is not the caller's own limit");
    app.verified().await;
}
