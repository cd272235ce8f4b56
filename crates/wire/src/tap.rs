//! A stream that passes as it is, read while it passes.
//!
//! The tap changes one thing: an error is said again without what must not get out. Where a stream is stopped because
//! nothing more is affordable, it writes the end that the dialect has for an answer at its output limit.

use bytes::Bytes;
use model::{refusal::Refusal, usage::Tokens};
use serde_json::Value;

use crate::{
    dialect::Dialect,
    error::{self, Setting},
    extras::{Used, Uses},
    google,
    json::Malformed,
    look, messages,
    openai::{self, estimate, stream::Pass, upstream_error},
    passage::COMMENT,
    responses, sse,
    usage::{Report, Usage},
};

/// The reader of one stream.
#[derive(Debug)]
pub struct Tap {
    reader: Reader,
    report: Report,
    delivered: u64,
    begun: bool,
    over: bool,
    /// Whether the stream is of events, and not one JSON array.
    sse: bool,
    dialect: Dialect,
    uses: Uses,
}

#[derive(Debug)]
enum Reader {
    Chat(Box<openai::stream::Tap>, String),
    Messages(messages::tap::Tap),
    Google(google::tap::Tap),
    Responses(responses::tap::Tap),
}

/// What one event says.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Said {
    /// An estimate of the output tokens in it.
    pub(crate) delivered: u64,
    /// All counts so far.
    pub(crate) report: Report,
    pub(crate) error: bool,
    /// Whether it ends the stream.
    pub(crate) end: bool,
}

/// An error in words that may be passed on.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) message: String,
    /// The words under `type`, `code` and `status`, where they are words.
    pub(crate) kind: Option<String>,
    pub(crate) code: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) number: Option<u64>,
}

impl Told {
    fn read(data: &[u8]) -> Self {
        let said: Value = serde_json::from_slice(data).unwrap_or_default();
        let holder = said.get("response").unwrap_or(&said);
        let error = holder.get("error").filter(|error| error.is_object()).unwrap_or(holder);
        let message = Some(upstream_error::clean(look::text(error, "message")));
        let word = |name: &str| look::some_text(error, name).filter(|word| upstream_error::is_word(word));
        Self {
            message: message
                .filter(|told| !told.is_empty())
                .unwrap_or_else(|| "the upstream reported an error".to_owned()),
            kind: word("type"),
            code: word("code"),
            status: word("status"),
            number: look::whole(error, "code"),
        }
    }
}

impl Tap {
    /// Begins. `sse` is false for generateContent without `alt=sse`, whose pieces [`crate::google::array::Splitter`]
    /// finds. `model` is told where the upstream tells none. `include_usage` counts for chat completions: whether the
    /// caller itself asked for usage.
    #[must_use]
    pub fn new(dialect: Dialect, model: &str, include_usage: bool, sse: bool) -> Self {
        let model = model.to_owned();
        let reader = match dialect {
            Dialect::Chat => Reader::Chat(Box::new(openai::stream::Tap::new(include_usage)), model),
            Dialect::Messages => Reader::Messages(messages::tap::Tap::new(model)),
            Dialect::Google => Reader::Google(google::tap::Tap::new(model)),
            Dialect::Responses => Reader::Responses(responses::tap::Tap::new(model)),
        };
        Self {
            reader,
            report: Report::Absent,
            delivered: 0,
            begun: false,
            over: false,
            sse,
            dialect,
            uses: Uses::default(),
        }
    }

    /// Says that the answer goes on: in a comment, or in the event that the dialect has for it. Google's client for Python takes
    /// no comments.
    pub(crate) const fn ping(&self) -> Bytes {
        match self.dialect {
            Dialect::Chat | Dialect::Responses => Bytes::from_static(COMMENT),
            Dialect::Messages => Bytes::from_static(b"event: ping\ndata: {\"type\": \"ping\"}\n\n"),
            Dialect::Google => Bytes::new(),
        }
    }

    /// Whether the stream is of events, and not one JSON array.
    pub(crate) const fn is_of_events(&self) -> bool {
        self.sse
    }

    /// The upstream's counts so far.
    #[must_use]
    pub fn report(&self) -> Report {
        match &self.reader {
            Reader::Chat(tap, _) => tap.reported().into(),
            _ => self.report,
        }
    }

    /// What was used beside tokens so far.
    #[must_use]
    pub fn used(&self) -> Used {
        self.uses.used()
    }

    /// An estimate of the output tokens that passed.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        match &self.reader {
            Reader::Chat(tap, _) => tap.delivered(),
            _ => self.delivered,
        }
    }

    /// Whether the answer has said why it ended.
    #[must_use]
    pub fn finished(&self) -> bool {
        match &self.reader {
            Reader::Chat(tap, _) => tap.finished(),
            Reader::Messages(tap) => tap.finished(),
            Reader::Google(tap) => tap.finished(),
            Reader::Responses(tap) => tap.finished(),
        }
    }

    /// Takes in one event, or one piece of an array.
    pub fn event(&mut self, event: Bytes) -> Pass {
        if let Reader::Chat(tap, _) = &mut self.reader {
            if let Some(data) = sse::data(&event) {
                self.uses.take(self.dialect, &data);
            }
            let pass = tap.event(event);
            self.over |= pass.done || pass.error;
            return pass;
        }
        let data = if self.sse { sse::data(&event) } else { google::array::element(&event).map(Into::into) };
        let Some(data) = data else { return Pass { bytes: Some(event), done: false, error: false } };
        self.uses.take(self.dialect, &data);
        let said = match &mut self.reader {
            Reader::Messages(tap) => tap.read(&data),
            Reader::Google(tap) => tap.read(&data),
            Reader::Responses(tap) => tap.read(&data),
            Reader::Chat(..) => Err(Malformed),
        };
        let said = said.unwrap_or_else(|Malformed| {
            // Not ours to judge; but what passed must be counted.
            let counts = memchr::memmem::find(&data, b"\"usage").is_some();
            let report = if counts { Report::Absurd } else { Report::Absent };
            Said { delivered: estimate(data.len() as u64), report, ..Said::default() }
        });
        let told = said.error.then(|| self.error(&event, &data));
        self.report.merge(said.report);
        self.delivered += said.delivered;
        self.begun = true;
        self.over |= said.error || said.end;
        let bytes = told.unwrap_or_else(|| event.clone());
        Pass { bytes: Some(bytes), done: said.end, error: said.error }
    }

    /// An error event with the same meaning and cleaned words.
    fn error(&self, event: &[u8], data: &[u8]) -> Bytes {
        let told = Told::read(data);
        match &self.reader {
            Reader::Responses(tap) => Bytes::from(tap.error(told)),
            Reader::Google(_) if self.sse => {
                Bytes::from(format!("data: {}\r\n\r\n", google::tap::error(told)))
            }
            Reader::Google(_) => {
                let (front, behind) = google::array::around(event);
                Bytes::from([front, google::tap::error(told).to_string().as_bytes(), behind].concat())
            }
            Reader::Messages(_) | Reader::Chat(..) => Bytes::from(messages::tap::error(told)),
        }
    }

    /// Ends the stream with an error of the gateway's own. Nothing, where the stream has ended.
    pub fn fail(&mut self, refusal: &Refusal, setting: Setting<'_>) -> Bytes {
        if std::mem::replace(&mut self.over, true) {
            return Bytes::new();
        }
        let event = |dialect: Dialect| error::event(refusal, dialect.errors(), setting);
        Bytes::from(match &self.reader {
            Reader::Chat(..) => event(Dialect::Chat),
            Reader::Messages(_) => event(Dialect::Messages),
            Reader::Google(_) if self.sse => event(Dialect::Google),
            Reader::Google(_) => {
                let body = error::body(refusal, error::Dialect::Google, setting);
                if self.begun { format!(",\r\n{body}]") } else { format!("[{body}]") }
            }
            Reader::Responses(tap) => tap.error(Told {
                message: format!("{refusal} (request id: {})", setting.request_id),
                kind: None,
                code: Some(refusal.code().to_owned()),
                status: None,
                number: None,
            }),
        })
    }

    /// The end of a stream that is stopped because nothing more is affordable, as if the output limit had been met;
    /// `used` is what is charged for. Nothing, where the stream has ended.
    pub fn stop(&mut self, used: Tokens) -> Bytes {
        if std::mem::replace(&mut self.over, true) {
            return Bytes::new();
        }
        let usage = Usage::of(used);
        match &mut self.reader {
            Reader::Chat(tap, model) => tap.stopped(model, used),
            Reader::Messages(tap) => Bytes::from(tap.stop(&usage, self.begun)),
            Reader::Responses(tap) => Bytes::from(tap.stop(&usage)),
            Reader::Google(tap) => {
                let chunk = tap.stop(&usage);
                Bytes::from(match (self.sse, self.begun) {
                    (true, _) => format!("data: {chunk}\r\n\r\n"),
                    (false, false) => format!("[{chunk}]"),
                    (false, true) => format!(",\r\n{chunk}]"),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(data: &Value) -> Bytes {
        Bytes::from(format!("data: {data}\n\n"))
    }

    fn text(bytes: &Bytes) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn messages_pass_and_are_counted() {
        let mut tap = Tap::new(Dialect::Messages, "m", true, true);
        for (data, delivered) in [
            (
                json!({"type": "message_start", "message": {"id": "a", "usage": {"input_tokens": 5, "output_tokens": 1}}}),
                0,
            ),
            (
                json!({"type": "content_block_start", "index": 3, "content_block": {"type": "text", "text": ""}}),
                0,
            ),
            (
                json!({"type": "content_block_delta", "index": 3, "delta": {"type": "text_delta", "text": "12345"}}),
                2,
            ),
        ] {
            let event = event(&data);
            assert_eq!(tap.event(event.clone()), Pass { bytes: Some(event), done: false, error: false });
            assert_eq!(tap.delivered(), delivered);
        }
        let used = Tokens { input: 5, output: 2, ..Tokens::default() };
        let stopped = tap.stop(used);
        let kinds: Vec<&str> =
            text(&stopped).lines().filter_map(|line| line.strip_prefix("event: ")).collect();
        assert_eq!(kinds, ["content_block_stop", "message_delta", "message_stop"]);
        assert!(text(&stopped).contains(r#""index":3"#) && text(&stopped).contains(r#""max_tokens""#));
        assert_eq!(tap.stop(used), Bytes::new());
        assert_eq!(tap.report(), Report::Good(Usage { input: 5, output: 1, ..Usage::default() }));
    }

    #[test]
    fn messages_that_end_are_finished() {
        let mut tap = Tap::new(Dialect::Messages, "m", true, true);
        tap.event(event(&json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}})));
        assert!(tap.finished());
        assert!(tap.event(event(&json!({"type": "message_stop"}))).done);
    }

    #[test]
    fn an_error_is_told_without_what_must_not_get_out() {
        let message = "bad key sk-abcdefghijkl";
        for (dialect, error) in [
            (
                Dialect::Messages,
                json!({"type": "error", "error": {"type": "overloaded_error", "message": message}}),
            ),
            (Dialect::Google, json!({"error": {"code": 503, "message": message, "status": "UNAVAILABLE"}})),
            (Dialect::Responses, json!({"type": "error", "code": "server_error", "message": message})),
            (
                Dialect::Responses,
                json!({"type": "response.failed", "response": {"error": {"code": "x", "message": message}}}),
            ),
        ] {
            let pass = Tap::new(dialect, "m", true, true).event(event(&error));
            let told = pass.bytes.unwrap();
            assert!(pass.error && text(&told).contains("bad key [removed]"), "{told:?}");
        }
    }

    #[test]
    fn chunks_pass_and_are_stopped_choice_by_choice() {
        for sse in [true, false] {
            let mut tap = Tap::new(Dialect::Google, "m", true, sse);
            let chunk = json!({"candidates": [
                {"content": {"parts": [{"text": "1234"}, {"functionCall": {"name": "f"}}]}, "index": 0, "finishReason": "STOP"},
                {"content": {"parts": [{"text": "1"}]}, "index": 1}], "responseId": "r", "modelVersion": "v",
                "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2}});
            let piece = if sse { event(&chunk) } else { Bytes::from(format!("[{chunk}")) };
            assert_eq!(tap.event(piece.clone()).bytes, Some(piece));
            assert_eq!((tap.delivered(), tap.finished()), (3, false));
            assert_eq!(tap.report(), Report::Good(Usage { input: 3, output: 2, ..Usage::default() }));
            let stopped = tap.stop(Tokens::default());
            assert!(text(&stopped).contains(r#""finishReason":"MAX_TOKENS","index":1"#));
            assert!(!text(&stopped).contains(r#""index":0"#));
            assert_eq!(text(&stopped).ends_with(']'), !sse);
        }
    }

    #[test]
    fn responses_pass_and_are_stopped_with_all_that_was_said() {
        let mut tap = Tap::new(Dialect::Responses, "m", true, true);
        let item = json!({"id": "i", "type": "message", "role": "assistant", "content": []});
        for data in [
            json!({"type": "response.created", "sequence_number": 0, "response": {"id": "r", "model": "v", "created_at": 7}}),
            json!({"type": "response.output_item.added", "sequence_number": 3, "output_index": 0, "item": item}),
            json!({"type": "response.output_text.delta", "sequence_number": 4, "output_index": 0, "delta": "123"}),
            json!({"type": "response.output_text.delta", "sequence_number": 5, "output_index": 0, "delta": "45"}),
        ] {
            let event = event(&data);
            assert_eq!(tap.event(event.clone()).bytes, Some(event));
        }
        assert_eq!(tap.delivered(), 2);
        let stopped = tap.stop(Tokens { output: 2, ..Tokens::default() });
        assert!(text(&stopped).contains("event: response.incomplete") && text(&stopped).contains("12345"));
        let numbers: Vec<&str> =
            text(&stopped).split("\"sequence_number\":").skip(1).map(|rest| &rest[..1]).collect();
        assert_eq!(numbers, ["6", "7", "8", "9"]);
    }

    #[test]
    fn what_is_not_understood_passes_and_is_counted() {
        for dialect in Dialect::ALL {
            let mut tap = Tap::new(dialect, "m", true, true);
            for odd in ["data: nonsense\n\n", ": comment\n\n", "data: {\"usage\":\n\n"] {
                let odd = Bytes::from(odd);
                assert_eq!(tap.event(odd.clone()).bytes, Some(odd));
            }
            assert!(tap.delivered() > 0);
            assert_eq!(tap.report(), Report::Absurd);
        }
    }
}
