//! OpenAI's realtime: events over a websocket, with the usage of each response.

use futures_util::{SinkExt, StreamExt};
use http::{HeaderValue, Response, StatusCode, header, request::Parts};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message,
        handshake::derive_accept_key,
        protocol::{CloseFrame, Role, frame::coding::CloseCode},
    },
};

use crate::{
    Script,
    body::{Body, USAGE, bytes, pause, spliced},
    error,
    member::joined,
    provider::Exchange,
    said::{self, Asked, Said, Stop},
};

/// The subprotocol of the dialect.
const PROTOCOL: &str = "realtime";
/// Samples of a second, each of two bytes, and tokens of a second of sound that comes in and of one that goes out.
const RATE: u64 = 24_000;
const SECOND_IN: u64 = 10;
const SECOND_OUT: u64 = 20;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Accepts a websocket and converses over it.
pub(crate) fn accept(mut parts: Parts, exchange: Exchange) -> Response<Body> {
    let key = parts.headers.get(header::SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes()));
    let upgrade = parts.extensions.remove::<OnUpgrade>();
    let query = parts.uri.query().unwrap_or_default();
    let writes_down = query.split('&').any(|pair| pair == "intent=transcription");
    let (Some(accepted), Some(upgrade)) = (key.and_then(|key| HeaderValue::from_str(&key).ok()), upgrade)
    else {
        let script = Script { message: Some("a websocket is expected".to_owned()), ..Script::default() };
        return bytes(StatusCode::BAD_REQUEST, "application/json", error::openai(400, &script).to_string());
    };
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
            // A caller that breaks off is its own business.
            drop(Session::new(socket, exchange, writes_down).converse().await);
        }
    });
    let mut response = bytes(StatusCode::SWITCHING_PROTOCOLS, "application/json", "");
    let headers = response.headers_mut();
    headers.clear();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accepted);
    let offered = parts.headers.get(header::SEC_WEBSOCKET_PROTOCOL).and_then(|offered| offered.to_str().ok());
    if offered.is_some_and(|offered| offered.split(',').any(|one| one.trim() == PROTOCOL)) {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    }
    response
}

struct Session {
    socket: Socket,
    exchange: Exchange,
    events: u64,
    responses: u64,
    /// Words of the conversation so far: each response is paid for all of them.
    heard: u64,
    /// Tokens of sound in it.
    sound: u64,
    /// What the session was told to be.
    settings: Value,
}

/// Whether the session goes on.
enum Next {
    GoOn,
    Hang,
}

impl Session {
    fn new(socket: Socket, exchange: Exchange, writes_down: bool) -> Self {
        let format = json!({"format": {"type": "audio/pcm", "rate": RATE}});
        let settings = match writes_down {
            true => json!({
                "id": "sess_1", "object": "realtime.transcription_session", "type": "transcription",
                "audio": {"input": format},
            }),
            false => json!({
                "id": "sess_1", "object": "realtime.session", "type": "realtime", "model": exchange.model,
                "audio": {"input": format, "output": format},
            }),
        };
        Self { socket, exchange, events: 0, responses: 0, heard: 0, sound: 0, settings }
    }

    async fn converse(mut self) -> Result<(), Error> {
        self.send("session.created", json!({"session": self.settings})).await?;
        while let Some(message) = self.socket.next().await.transpose()? {
            let text = match message {
                Message::Text(text) => text,
                Message::Binary(bytes) => {
                    self.socket.send(Message::Binary(bytes)).await?;
                    continue;
                }
                _ => continue,
            };
            let event: Value = serde_json::from_str(&text).unwrap_or_default();
            let next = match event.get("type").and_then(Value::as_str).unwrap_or_default() {
                // What comes back is what arrived.
                "echo" => {
                    self.socket.send(Message::Text(text)).await?;
                    Next::GoOn
                }
                "goodbye" => {
                    let code = event.get("code").and_then(Value::as_u64).unwrap_or(1000);
                    let code = CloseCode::from(u16::try_from(code).unwrap_or(1000));
                    self.socket.close(Some(CloseFrame { code, reason: "scripted".into() })).await?;
                    Next::GoOn
                }
                "flood" => loop {
                    self.send("noise", json!({"noise": "x".repeat(1 << 16)})).await?;
                },
                kind => self.hear(kind, &event).await?,
            };
            if matches!(next, Next::Hang) {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn hear(&mut self, kind: &str, event: &Value) -> Result<Next, Error> {
        let own = self.settings.get("type").cloned();
        let other = event.pointer("/session/type").is_some_and(|kind| Some(kind) != own.as_ref());
        if other || kind == "response.create" && own.is_some_and(|own| own == "transcription") {
            let message = format!("{kind} is not what this session is for");
            let error =
                json!({"type": "invalid_request_error", "code": "invalid_session", "message": message});
            self.send("error", json!({"error": error})).await?;
            return Ok(Next::GoOn);
        }
        match kind {
            "session.update" => {
                merge(&mut self.settings, event.get("session").cloned().unwrap_or_default());
                self.send("session.updated", json!({"session": self.settings})).await?;
            }
            "conversation.item.create" => {
                let item = event.get("item").cloned().unwrap_or_default();
                self.heard += said::count_members(&item, &["content", "output"]);
                let item = joined(json!({"id": format!("item_{}", self.events)}), item);
                self.send("conversation.item.added", json!({"item": item})).await?;
            }
            "input_audio_buffer.append" => {
                let audio = event.get("audio").and_then(Value::as_str).unwrap_or_default();
                self.sound += (audio.len() as u64 / 4 * 3 * SECOND_IN).div_ceil(2 * RATE);
                let model = self.settings.pointer("/audio/input/transcription/model").and_then(Value::as_str);
                // It says what it hears before the turn is over.
                if model.is_some_and(|model| model.starts_with("live")) {
                    let place = json!({"item_id": "item_s", "content_index": 0, "delta": "heard words "});
                    self.send("conversation.item.input_audio_transcription.delta", place).await?;
                }
                if self.settings.pointer("/audio/input/turn_detection/type").is_some() {
                    self.send("input_audio_buffer.speech_stopped", json!({"item_id": "item_v"})).await?;
                    self.commit().await?;
                    if self.settings.get("type").is_some_and(|kind| kind == "transcription") {
                        return Ok(Next::GoOn);
                    }
                    return self.respond(&Value::Null).await;
                }
            }
            "input_audio_buffer.commit" => self.commit().await?,
            "response.create" => return self.respond(event).await,
            other => {
                let message = format!("there is no event {other:?}");
                let error =
                    json!({"type": "invalid_request_error", "code": "invalid_value", "message": message});
                self.send("error", json!({"error": error})).await?;
            }
        }
        Ok(Next::GoOn)
    }

    /// Sound becomes a part of the conversation, and is written down where that was asked for.
    async fn commit(&mut self) -> Result<(), Error> {
        self.send("input_audio_buffer.committed", json!({"item_id": "item_s"})).await?;
        let model = self.settings.pointer("/audio/input/transcription/model").and_then(Value::as_str);
        // It reads its prompt with each piece, and each byte is a token: there are no more.
        let prompt = self.settings.pointer("/audio/input/transcription/prompt").and_then(Value::as_str);
        let text = prompt.map_or(0, |prompt| prompt.len() as u64);
        let input = self.sound + text;
        let usage = match model {
            None => return Ok(()),
            Some(model) if model.starts_with("whisper") => json!({"type": "duration", "seconds": 1.5}),
            Some(_) => json!({
                "type": "tokens", "input_tokens": input, "output_tokens": 4, "total_tokens": input + 4,
                "input_token_details": {"text_tokens": text, "audio_tokens": self.sound},
            }),
        };
        let done = json!({"item_id": "item_s", "content_index": 0, "transcript": "this was heard now", "usage": usage});
        self.send("conversation.item.input_audio_transcription.completed", done).await
    }

    async fn send(&mut self, kind: &str, more: Value) -> Result<(), Error> {
        self.events += 1;
        let event = joined(json!({"type": kind, "event_id": format!("event_{}", self.events)}), more);
        self.socket.send(Message::text(event.to_string())).await
    }

    async fn respond(&mut self, event: &Value) -> Result<Next, Error> {
        let script = self.exchange.script.clone();
        let limit = event.pointer("/response/max_output_tokens").and_then(Value::as_u64);
        let said = Said::new(&Asked { limit, input: self.heard, ..Asked::default() }, &script);
        self.responses += 1;
        let id = format!("resp_{}", self.responses);
        let response = |status: &str, output: Value, usage: &Value| {
            json!({"response": {
                "id": id, "object": "realtime.response", "conversation_id": "conv_1", "status": status, "output": output,
                "usage": usage,
            }})
        };
        self.send("response.created", response("in_progress", json!([]), &Value::Null)).await?;
        let spoken = self.settings.pointer("/output_modalities/0").and_then(Value::as_str) == Some("audio");
        for (index, piece) in said.pieces.iter().enumerate() {
            let at = |after: Option<u64>| after == Some(index as u64);
            pause(script.chunk_ms).await;
            if at(script.wait_after) && self.exchange.in_flight.released().await.is_err()
                || at(script.reset_after)
            {
                return Ok(Next::Hang);
            }
            if at(script.stall_after) {
                std::future::pending::<()>().await;
            }
            if at(script.fail_after) {
                let error = json!({"type": "server_error", "code": null, "message": "scripted"});
                self.send("error", json!({"error": error})).await?;
                return Ok(Next::GoOn);
            }
            self.say(&id, piece, spoken).await?;
        }
        if script.truncate_after.is_some() {
            self.socket.close(None).await?;
            return Ok(Next::GoOn);
        }
        let usage = self.usage(&said, spoken);
        let status = if said.stop == Stop::Limit { "incomplete" } else { "completed" };
        let content = json!([{"type": "output_text", "text": said.text()}]);
        let output = json!([{
            "id": format!("item_r{}", self.responses), "object": "realtime.item", "type": "message", "role": "assistant",
            "status": status, "content": content,
        }]);
        let done = response(status, output, &json!(USAGE));
        self.events += 1;
        let event =
            joined(json!({"type": "response.done", "event_id": format!("event_{}", self.events)}), done);
        let usages = script.usages(usage.to_string(), |tokens| {
            format!(r#"{{"input_tokens":{tokens},"output_tokens":{tokens},"total_tokens":{tokens}}}"#)
        });
        let event = spliced(&event, "usage", usages.first().map(String::as_str));
        self.socket.send(Message::text(event)).await?;
        self.heard += said.tokens.output;
        Ok(Next::GoOn)
    }

    /// A piece of a response: in text, or as a second of sound with its words.
    async fn say(&mut self, id: &str, piece: &str, spoken: bool) -> Result<(), Error> {
        let item = format!("item_r{}", self.responses);
        let place = json!({"response_id": id, "item_id": item, "output_index": 0, "content_index": 0});
        if !spoken {
            return self.send("response.output_text.delta", joined(place, json!({"delta": piece}))).await;
        }
        let words = joined(place.clone(), json!({"delta": piece}));
        self.send("response.output_audio_transcript.delta", words).await?;
        let second = "AAAA".repeat(usize::try_from(2 * RATE / 3).unwrap_or(0));
        self.send("response.output_audio.delta", joined(place, json!({"delta": second}))).await
    }

    /// What a response used: text, sound that came in, and twenty tokens for each second of sound that went out.
    fn usage(&self, said: &Said, spoken: bool) -> Value {
        let (words, sound) = (said.tokens.output, if spoken { said.tokens.output * SECOND_OUT } else { 0 });
        let (text, cached) = (said.tokens.input, said.tokens.cached);
        let (input, output) = (text + self.sound, words + sound);
        json!({
            "total_tokens": input + output, "input_tokens": input, "output_tokens": output,
            "input_token_details": {
                "text_tokens": text, "audio_tokens": self.sound, "image_tokens": 0, "cached_tokens": cached,
                "cached_tokens_details": {"text_tokens": cached, "audio_tokens": 0, "image_tokens": 0},
            },
            "output_token_details": {"text_tokens": words, "audio_tokens": sound},
        })
    }
}

/// Puts the members of `more` into `object`, at every depth.
fn merge(object: &mut Value, more: Value) {
    match (object, more) {
        (Value::Object(members), Value::Object(more)) => {
            for (name, value) in more {
                merge(members.entry(name).or_insert(Value::Null), value);
            }
        }
        (object, more) => *object = more,
    }
}
