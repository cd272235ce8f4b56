//! A stream of chat chunks, read while it passes.
//!
//! The tap changes nothing but one thing: the chunk with the usage, which the gateway asked for, is hidden again from
//! a caller who did not.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    estimate,
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
    delta: Option<Text<'a>>,
    #[serde(borrow, default)]
    finish_reason: Option<&'a RawValue>,
}

/// The members of a message or a delta that carry text.
#[derive(Deserialize)]
pub(crate) struct Text<'a> {
    #[serde(borrow, default)]
    content: Option<Content<'a>>,
    #[serde(borrow, default)]
    reasoning_content: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    refusal: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    tool_calls: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    Parts(serde::de::IgnoredAny),
}

impl Text<'_> {
    /// An estimate of the tokens in it.
    pub(crate) fn tokens(&self) -> u64 {
        let content = match &self.content {
            Some(Content::Text(text)) => text.len(),
            Some(Content::Parts(_)) | None => 0,
        };
        let others = [&self.reasoning_content, &self.refusal];
        let texts = others.into_iter().flatten().map(|text| text.len());
        let calls = self.tool_calls.map_or(0, |calls| calls.get().len());
        texts.chain([content, calls]).map(|bytes| estimate(bytes as u64)).sum()
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
    finished: bool,
}

impl Tap {
    /// `asked`: the caller itself asked for usage.
    #[must_use]
    pub const fn new(asked: bool) -> Self {
        Self { asked, reported: Reported::Absent, delivered: 0, finished: false }
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

    /// Whether some choice has said why it ended.
    #[must_use]
    pub const fn finished(&self) -> bool {
        self.finished
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
        let choices = chunk.choices.unwrap_or_default();
        for choice in &choices {
            self.delivered += choice.delta.as_ref().map_or(0, Text::tokens);
            self.finished |= choice.finish_reason.is_some();
        }
        let hidden = !self.asked && choices.is_empty() && usage != Reported::Absent;
        let error = chunk.error.is_some();
        Pass { bytes: (!hidden).then(|| event.clone()), done: false, error }
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
    fn counts_every_kind_of_text() {
        let mut tap = Tap::new(false);
        tap.event(event(
            r#"{"choices":[{"delta":{"reasoning_content":"12345678"}},{"delta":{"tool_calls":[{"a":1}]}}]}"#,
        ));
        assert_eq!(tap.delivered(), 2 + 3);
    }
}
