//! A stream of chat chunks, read while it passes.
//!
//! The tap changes two things: the chunk with the usage, which the gateway asked for, is hidden again from a caller
//! who did not, and an error is said again without what must not get out.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    estimate,
    text::Text,
    upstream_error,
    usage::{self, Reported},
};
use crate::sse;

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default)]
    index: Option<&'a RawValue>,
    #[serde(borrow, default)]
    delta: Option<Text<'a>>,
    #[serde(borrow, default)]
    finish_reason: Option<&'a RawValue>,
}

impl Choice<'_> {
    /// The bit of this choice; there are at most 128.
    fn bit(&self) -> u128 {
        let index: u32 = self.index.and_then(|index| index.get().parse().ok()).unwrap_or(0);
        1_u128 << index.min(127)
    }
}

/// What becomes of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// What the caller gets; `None` when it is hidden.
    pub bytes: Option<Bytes>,
    /// Whether this is the end mark, `[DONE]`.
    pub done: bool,
    /// Whether the upstream reports an error here.
    pub error: bool,
}

/// The reader of one stream.
#[derive(Debug)]
pub struct Tap {
    asked: bool,
    reported: Reported,
    delivered: u64,
    /// The choices that were seen, and those that said why they ended, one bit each.
    seen: u128,
    ended: u128,
}

impl Tap {
    /// `asked`: the caller itself asked for usage.
    #[must_use]
    pub const fn new(asked: bool) -> Self {
        Self { asked, reported: Reported::Absent, delivered: 0, seen: 0, ended: 0 }
    }

    /// The provider's report so far.
    #[must_use]
    pub const fn reported(&self) -> Reported {
        self.reported
    }

    /// An estimate of the output tokens that passed.
    #[must_use]
    pub const fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Whether every choice that was seen has said why it ended.
    #[must_use]
    pub const fn finished(&self) -> bool {
        self.ended != 0 && self.seen == self.ended
    }

    /// Takes in one event.
    pub fn event(&mut self, event: Bytes) -> Pass {
        let pass = |bytes| Pass { bytes: Some(bytes), done: false, error: false };
        let Some(data) = sse::data(&event) else { return pass(event) };
        if data.trim_ascii() == b"[DONE]" {
            return Pass { bytes: Some(event.clone()), done: true, error: false };
        }
        let Ok(chunk) = serde_json::from_slice::<Chunk<'_>>(&data) else {
            // Not ours to judge; but what passed must be counted.
            self.delivered += estimate(data.len() as u64);
            if memchr::memmem::find(&data, b"\"usage\"").is_some() {
                self.reported.merge(Reported::Absurd);
            }
            return pass(event.clone());
        };
        let usage = chunk.usage.map_or(Reported::Absent, |usage| usage::read(usage.get()));
        self.reported.merge(usage);
        if let Some(error) = chunk.error {
            let bytes = Some(Bytes::from(upstream_error::event(error.get())));
            return Pass { bytes, done: false, error: true };
        }
        let choices = chunk.choices.unwrap_or_default();
        for choice in &choices {
            self.seen |= choice.bit();
            self.delivered += choice.delta.as_ref().map_or(0, Text::tokens);
            self.ended |= choice.finish_reason.map_or(0, |_| choice.bit());
        }
        let hidden = !self.asked && choices.is_empty() && usage != Reported::Absent;
        Pass { bytes: (!hidden).then(|| event.clone()), done: false, error: false }
    }
}

/// The end of a stream that is stopped because nothing more is affordable: a chunk that says `length`, as if the
/// output limit had been met, and the end mark.
#[must_use]
pub fn stopped(model: &str) -> Bytes {
    let chunk = serde_json::json!({
        "id": "chatcmpl-stopped", "object": "chat.completion.chunk", "created": 0, "model": model,
        "choices": [{"index": 0, "delta": {}, "finish_reason": "length"}],
    });
    Bytes::from(format!("data: {chunk}\n\ndata: [DONE]\n\n"))
}

#[cfg(test)]
mod tests {
    use model::usage::Tokens;

    use super::*;

    fn event(data: &str) -> Bytes {
        Bytes::from(format!("data: {data}\n\n"))
    }

    #[test]
    fn counts_and_hides_what_was_not_asked_for() {
        for asked in [false, true] {
            let mut tap = Tap::new(asked);
            let text =
                event(r#"{"choices":[{"delta":{"content":"caf\u00e9"},"finish_reason":null}],"usage":null}"#);
            assert_eq!(tap.event(text.clone()).bytes, Some(text));
            assert_eq!((tap.delivered(), tap.finished()), (2, false));
            tap.event(event(r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#));
            assert!(tap.finished());
            let usage = event(r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4}}"#);
            assert_eq!(tap.event(usage).bytes.is_some(), asked);
            let tokens = Tokens { input: 9, output: 4, ..Tokens::default() };
            assert_eq!(tap.reported(), Reported::Good(tokens));
            assert!(tap.event(event("[DONE]")).done);
        }
    }

    #[test]
    fn passes_what_it_does_not_understand() {
        let mut tap = Tap::new(false);
        for odd in [event("nonsense"), Bytes::from_static(b": keep-alive\n\n"), event(r#"{"choices":{}}"#)] {
            assert_eq!(tap.event(odd.clone()).bytes, Some(odd));
        }
        assert!(tap.event(event(r#"{"error":{"message":"no"}}"#)).error);
        tap.event(event(r#"{"choices":[],"usage":{"prompt_tokens":NaN}}"#));
        assert_eq!(tap.reported(), Reported::Absurd);
    }

    #[test]
    fn is_finished_when_every_choice_is() {
        let mut tap = Tap::new(false);
        assert!(!tap.finished());
        tap.event(event(r#"{"choices":[{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{}}]}"#));
        tap.event(event(r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#));
        assert!(!tap.finished());
        tap.event(event(r#"{"choices":[{"index":1,"delta":{},"finish_reason":"length"}]}"#));
        assert!(tap.finished());
    }

    #[test]
    fn an_error_is_told_without_what_must_not_get_out() {
        let mut tap = Tap::new(false);
        let pass = tap.event(event(
            r#"{"choices":[{"delta":{"content":"lost"}}],"usage":{},"error":{"message":"bad key sk-abcdefghijkl for https://api.example/v1","code":"auth"}}"#,
        ));
        let told = r#"{"error":{"message":"bad key [removed] for [removed]","type":null,"param":null,"code":"auth"}}"#;
        assert_eq!(pass, Pass { bytes: Some(event(told)), done: false, error: true });
        assert_eq!(tap.delivered(), 0, "text that was left out is not delivered");
    }

    #[test]
    fn adds_up_the_choices() {
        let mut tap = Tap::new(false);
        for _ in 0..100 {
            tap.event(event(
                r#"{"choices":[{"delta":{"reasoning":"1234"}},{"index":1,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"ab"}}]}}]}"#,
            ));
        }
        assert_eq!(tap.delivered(), 100 + 100);
    }
}
