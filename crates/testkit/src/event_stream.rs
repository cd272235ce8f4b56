//! AWS's framing of a stream of messages: each event in base64, in a frame with two checksums.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::{Value, json};

/// What the framing is called.
pub(crate) const KIND: &str = "application/vnd.amazon.eventstream";

/// A server-sent event of messages in a frame; an error becomes an exception.
pub(crate) fn framed(event: &str) -> Bytes {
    let data = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or_default();
    let value: Value = serde_json::from_str(data).unwrap_or_default();
    if value.get("type") == Some(&json!("error")) {
        let said = json!({"message": value.pointer("/error/message")});
        let headers = [
            (":exception-type", "modelStreamErrorException"),
            (":content-type", "application/json"),
            (":message-type", "exception"),
        ];
        return frame(&headers, said.to_string().as_bytes());
    }
    let headers =
        [(":event-type", "chunk"), (":content-type", "application/json"), (":message-type", "event")];
    frame(&headers, json!({"bytes": STANDARD.encode(data), "p": "abcdefgh"}).to_string().as_bytes())
}

fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Bytes {
    /// The type of a header whose value is a text.
    const TEXT: u8 = 7;
    /// Two lengths and two checksums.
    const AROUND: usize = 16;
    let mut head = Vec::new();
    for (name, value) in headers {
        head.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        head.extend_from_slice(name.as_bytes());
        head.push(TEXT);
        head.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        head.extend_from_slice(value.as_bytes());
    }
    let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    let mut frame = Vec::with_capacity(head.len() + payload.len() + AROUND);
    frame.extend_from_slice(&length(head.len() + payload.len() + AROUND));
    frame.extend_from_slice(&length(head.len()));
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame.extend_from_slice(&head);
    frame.extend_from_slice(payload);
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame.into()
}
