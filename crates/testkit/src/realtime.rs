//! OpenAI's realtime: events over a websocket, with the usage of each response.

use futures_util::{SinkExt, StreamExt};
use http::{HeaderValue, Response, StatusCode, header, request::Parts};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Error, Message, handshake::derive_accept_key, protocol::Role},
};

use crate::{
    Script,
    body::{Body, bytes},
    error,
    member::joined,
    provider::Exchange,
    said::{self, Asked, Said, Stop},
};

/// The subprotocol of the dialect.
const PROTOCOL: &str = "realtime";

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Accepts a websocket and converses over it.
pub(crate) fn accept(mut parts: Parts, exchange: Exchange) -> Response<Body> {
    let key = parts.headers.get(header::SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes()));
    let upgrade = parts.extensions.remove::<OnUpgrade>();
    let (Some(accepted), Some(upgrade)) = (key.and_then(|key| HeaderValue::from_str(&key).ok()), upgrade)
    else {
        let script = Script { message: Some("a websocket is expected".to_owned()), ..Script::default() };
        return bytes(StatusCode::BAD_REQUEST, "application/json", error::openai(400, &script).to_string());
    };
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
            // A caller that breaks off is its own business.
            drop(Session { socket, exchange, events: 0, responses: 0, heard: 0 }.converse().await);
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
}

impl Session {
    async fn converse(mut self) -> Result<(), Error> {
        let model = self.exchange.model.clone();
        let session =
            json!({"id": "sess_1", "object": "realtime.session", "type": "realtime", "model": model});
        self.send("session.created", json!({"session": session})).await?;
        while let Some(message) = self.socket.next().await.transpose()? {
            let Message::Text(text) = message else { continue };
            let event: Value = serde_json::from_str(&text).unwrap_or_default();
            match event.get("type").and_then(Value::as_str).unwrap_or_default() {
                "session.update" => {
                    let session = joined(session.clone(), event.get("session").cloned().unwrap_or_default());
                    self.send("session.updated", json!({"session": session})).await?;
                }
                "conversation.item.create" => {
                    let item = event.get("item").cloned().unwrap_or_default();
                    self.heard += said::count_members(&item, &["content", "output"]);
                    let item = joined(json!({"id": format!("item_{}", self.events)}), item);
                    self.send("conversation.item.added", json!({"item": item})).await?;
                }
                "response.create" => self.respond(&event).await?,
                other => {
                    let message = format!("there is no event {other:?}");
                    let error =
                        json!({"type": "invalid_request_error", "code": "invalid_value", "message": message});
                    self.send("error", json!({"error": error})).await?;
                }
            }
        }
        Ok(())
    }

    async fn send(&mut self, kind: &str, more: Value) -> Result<(), Error> {
        self.events += 1;
        let event = joined(json!({"type": kind, "event_id": format!("event_{}", self.events)}), more);
        self.socket.send(Message::text(event.to_string())).await
    }

    async fn respond(&mut self, event: &Value) -> Result<(), Error> {
        let limit = event.pointer("/response/max_output_tokens").and_then(Value::as_u64);
        let said = Said::new(&Asked { limit, input: self.heard, ..Asked::default() }, &self.exchange.script);
        self.responses += 1;
        let (id, item) = (format!("resp_{}", self.responses), format!("item_r{}", self.responses));
        let response = |status: &str, output: Value, usage: Value| {
            let response = json!({"id": id, "object": "realtime.response", "status": status, "output": output, "usage": usage});
            json!({"response": response})
        };
        self.send("response.created", response("in_progress", json!([]), Value::Null)).await?;
        for piece in &said.pieces {
            let place = json!({"response_id": id, "item_id": item, "output_index": 0, "content_index": 0});
            self.send("response.output_text.delta", joined(place, json!({"delta": piece}))).await?;
        }
        let tokens = said.tokens;
        let usage = json!({
            "input_tokens": tokens.input, "output_tokens": tokens.output, "total_tokens": tokens.input + tokens.output,
            "input_token_details": {"text_tokens": tokens.input, "audio_tokens": 0, "cached_tokens": tokens.cached},
            "output_token_details": {"text_tokens": tokens.output, "audio_tokens": 0},
        });
        let status = if said.stop == Stop::Limit { "incomplete" } else { "completed" };
        let content = json!([{"type": "output_text", "text": said.text()}]);
        let output = json!([{
            "id": item, "object": "realtime.item", "type": "message", "role": "assistant", "status": status, "content": content,
        }]);
        self.send("response.done", response(status, output, usage)).await?;
        self.heard += tokens.output;
        Ok(())
    }
}
