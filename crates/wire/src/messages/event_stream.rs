//! The framing of AWS around a stream of messages, turned into the events that Anthropic's own stream has.
//!
//! A frame has a length, typed headers, a payload, and two checksums. The payload of a chunk is JSON with one event of the
//! answer in base64; an exception is told by its headers. However the bytes are cut into pieces, the events are the same.
//! Source: AWS, "Amazon Bedrock API reference", `InvokeModelWithResponseStream`, and "Event stream encoding".

use aws_smithy_eventstream::frame::{DecodedFrame, MessageFrameDecoder};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde_json::json;

use crate::{
    json::Walk,
    openai::upstream_error::{clean, is_word},
    sse::MAX_EVENT,
};

/// Bytes that are no stream of this kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A frame beyond [`MAX_EVENT`].
    #[error("a frame of the stream exceeds {MAX_EVENT} bytes")]
    TooLong,
    /// A length or a checksum is wrong.
    #[error("a frame of the stream is broken: {0}")]
    Frame(String),
    /// A chunk that brings no event.
    #[error("a chunk of the stream has no event in it")]
    Chunk,
}

/// Takes frames in and gives events.
#[derive(Debug, Default)]
pub struct Decoder {
    frames: MessageFrameDecoder,
    buffer: BytesMut,
}

#[derive(Deserialize)]
struct Chunk<'a> {
    bytes: &'a str,
}

#[derive(Default, Deserialize)]
struct Said {
    #[serde(default, alias = "Message")]
    message: String,
}

impl Decoder {
    /// Takes in the next bytes of the stream.
    pub fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next whole event as a server-sent one, its blank line included.
    ///
    /// # Errors
    /// [`Broken`]; nothing that comes after it can be trusted.
    pub fn next_event(&mut self) -> Result<Option<Bytes>, Broken> {
        loop {
            let decoded = self.frames.decode_frame(&mut self.buffer);
            let message = match decoded.map_err(|error| Broken::Frame(error.to_string()))? {
                DecodedFrame::Complete(message) => message,
                DecodedFrame::Incomplete if self.buffer.len() > MAX_EVENT => return Err(Broken::TooLong),
                DecodedFrame::Incomplete => return Ok(None),
            };
            let header = |name: &str| {
                let found = message.headers().iter().find(|header| header.name().as_str() == name)?;
                found.value().as_string().ok().map(|text| text.as_str())
            };
            match header(":message-type") {
                Some("exception") => {
                    let said: Said = serde_json::from_slice(message.payload()).unwrap_or_default();
                    return Ok(Some(error(header(":exception-type").unwrap_or_default(), &said.message)));
                }
                Some("error") => {
                    let code = header(":error-code").unwrap_or_default();
                    return Ok(Some(error(code, header(":error-message").unwrap_or_default())));
                }
                _ if header(":event-type") == Some("chunk") => return chunk(message.payload()).map(Some),
                // Events of other kinds may come, and are not of the answer.
                _ => {}
            }
        }
    }
}

fn chunk(payload: &[u8]) -> Result<Bytes, Broken> {
    let chunk: Chunk<'_> = serde_json::from_slice(payload).map_err(|_| Broken::Chunk)?;
    let mut data = STANDARD.decode(chunk.bytes).map_err(|_| Broken::Chunk)?;
    // Between two tokens a line's end is a blank like others, and inside of one it cannot stand.
    data.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    let mut kind = b"".as_slice();
    let mut walk = Walk::new(&data);
    let read = walk.object(|name, walk| {
        if name == b"type" && walk.is_string() {
            kind = walk.string()?;
            return Ok(());
        }
        walk.value().map(drop)
    });
    read.map_err(|_| Broken::Chunk)?;
    let mut event = Vec::with_capacity(data.len() + kind.len() + 16);
    if std::str::from_utf8(kind).is_ok_and(is_word) {
        event.extend_from_slice(b"event: ");
        event.extend_from_slice(kind);
        event.push(b'\n');
    }
    event.extend_from_slice(b"data: ");
    event.extend_from_slice(&data);
    event.extend_from_slice(b"\n\n");
    Ok(event.into())
}

/// An exception as the vendor's own stream tells an error.
fn error(code: &str, message: &str) -> Bytes {
    let kind = match code {
        "throttlingException" => "rate_limit_error",
        "validationException" => "invalid_request_error",
        "accessDeniedException" => "permission_error",
        "modelTimeoutException" => "timeout_error",
        "serviceUnavailableException" | "modelNotReadyException" => "overloaded_error",
        _ => "api_error",
    };
    let message = match clean(message) {
        said if said.is_empty() => "the upstream reported an error".to_owned(),
        said => said,
    };
    let data = json!({"type": "error", "error": {"type": kind, "message": message}});
    format!("event: error\ndata: {data}\n\n").into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A frame as AWS writes it.
    fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
        let mut head = Vec::new();
        for (name, value) in headers {
            head.push(u8::try_from(name.len()).unwrap());
            head.extend_from_slice(name.as_bytes());
            head.push(7);
            head.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
            head.extend_from_slice(value.as_bytes());
        }
        let mut frame = Vec::new();
        for length in [head.len() + payload.len() + 16, head.len()] {
            frame.extend_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
        }
        frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
        frame.extend_from_slice(&head);
        frame.extend_from_slice(payload);
        frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
        frame
    }

    fn event_frame(event: &str) -> Vec<u8> {
        let payload = json!({"bytes": STANDARD.encode(event), "p": "abcd"}).to_string();
        frame(
            &[(":event-type", "chunk"), (":content-type", "application/json"), (":message-type", "event")],
            payload.as_bytes(),
        )
    }

    fn decoded<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<String>, Broken> {
        let (mut decoder, mut events) = (Decoder::default(), Vec::new());
        for piece in pieces {
            decoder.push(piece);
            while let Some(event) = decoder.next_event()? {
                events.push(String::from_utf8(event.to_vec()).unwrap());
            }
        }
        Ok(events)
    }

    #[test]
    fn chunks_are_events_and_exceptions_are_errors() {
        let exception = [(":message-type", "exception"), (":exception-type", "throttlingException")];
        let fault = [(":message-type", "error"), (":error-code", "Internal"), (":error-message", "it broke")];
        let stream = [
            event_frame("{\"type\":\"message_start\",\r\n\"a\":\"é\"}"),
            frame(&[(":message-type", "event"), (":event-type", "other")], b"?"),
            event_frame(r#"{"b":1}"#),
            frame(&exception, br#"{"message":"slow down"}"#),
            frame(&exception, b""),
            frame(&fault, b""),
        ];
        let expected = [
            "event: message_start\ndata: {\"type\":\"message_start\",  \"a\":\"é\"}\n\n",
            "data: {\"b\":1}\n\n",
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"slow down\"}}\n\n",
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"the upstream reported an error\"}}\n\n",
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"it broke\"}}\n\n",
        ];
        assert_eq!(decoded([stream.concat().as_slice()]).unwrap(), expected);
    }

    #[test]
    fn what_is_broken_is_said_to_be() {
        let chunk = [(":message-type", "event"), (":event-type", "chunk")];
        for payload in ["", "{}", r#"{"bytes":"?"}"#, r#"{"bytes":"W10="}"#] {
            let stream = frame(&chunk, payload.as_bytes());
            assert_eq!(decoded([stream.as_slice()]), Err(Broken::Chunk), "{payload}");
        }
        let mut endless = u32::MAX.to_be_bytes().to_vec();
        endless.resize(MAX_EVENT + 64, 0);
        assert_eq!(decoded([endless.as_slice()]), Err(Broken::TooLong));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_events(texts in prop::collection::vec("[a-zé{}\"\n]{0,30}", 0..6), cuts in prop::collection::vec(0_usize..900, 0..9)) {
            let events: Vec<String> = texts.iter().map(|text| json!({"type": "t", "x": text}).to_string()).collect();
            let stream: Vec<u8> = events.iter().flat_map(|event| event_frame(event)).collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let split = decoded(cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]])).unwrap();
            let expected: Vec<String> = events.iter().map(|event| format!("event: t\ndata: {event}\n\n")).collect();
            prop_assert_eq!(split, expected);
        }

        #[test]
        fn a_changed_byte_is_noticed(text in "[a-z]{1,30}", at in 0_usize..1_000, by in 1_u8..=255) {
            let mut stream = event_frame(&json!({"type": "t", "x": text}).to_string());
            let at = at % stream.len();
            stream[at] ^= by;
            // A length that has grown is a frame that does not end.
            prop_assert!(!matches!(decoded([stream.as_slice()]), Ok(events) if !events.is_empty()));
        }

        #[test]
        fn no_bytes_are_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(decoded([bytes.as_slice()]));
        }
    }
}
