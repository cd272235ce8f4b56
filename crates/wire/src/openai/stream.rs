//! A stream of chat chunks, read while it passes.
//!
//! The tap changes two things: the chunk with the usage, which the gateway asked for, is hidden again from a caller
//! who did not, and an error is said again without what must not get out.

use bytes::Bytes;
use model::usage::Tokens;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    estimate,
    text::Text,
    upstream_error,
    usage::{self, Reported},
};
use crate::{
    json::{Malformed, Walk, text_length},
    sse,
};

/// What one chunk says.
#[derive(Default)]
struct Chunk<'a> {
    usage: Option<&'a [u8]>,
    error: Option<&'a [u8]>,
    /// An estimate of the output tokens in it.
    delivered: u64,
    /// The choices in it, and those that end in it, one bit each.
    seen: u128,
    ended: u128,
}

impl<'a> Chunk<'a> {
    fn read(data: &'a [u8]) -> Result<Self, Malformed> {
        let mut chunk = Self::default();
        let mut walk = Walk::new(data);
        walk.object(|name, walk| {
            match name {
                _ if walk.is_null() => drop(walk.value()?),
                b"choices" => walk.array(|walk| chunk.choice(walk))?,
                b"usage" => chunk.usage = Some(walk.value()?),
                b"error" => chunk.error = Some(walk.value()?),
                _ => drop(walk.value()?),
            }
            Ok(())
        })?;
        walk.end().map(|()| chunk)
    }

    fn choice(&mut self, walk: &mut Walk<'a>) -> Result<(), Malformed> {
        let (mut index, mut ended) = (0, false);
        walk.object(|name, walk| {
            match name {
                _ if walk.is_null() => drop(walk.value()?),
                b"index" => index = Walk::new(walk.value()?).whole().ok().flatten().unwrap_or(0),
                b"delta" => self.delivered += Text::read(walk)?.tokens(),
                // The older completions.
                b"text" if walk.is_string() => self.delivered += estimate(text_length(walk.string()?)),
                b"finish_reason" => {
                    ended = true;
                    walk.value()?;
                }
                _ => drop(walk.value()?),
            }
            Ok(())
        })?;
        // There are at most 128.
        let bit = 1_u128 << index.min(127);
        self.seen |= bit;
        self.ended |= if ended { bit } else { 0 };
        Ok(())
    }
}

/// Longest text of a stream's head that is kept.
const MAX_HEAD: usize = 256;

/// What every chunk of one stream says of the stream.
#[derive(Debug, Default, Deserialize)]
struct Head {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    created: Value,
    #[serde(default)]
    model: Value,
}

impl Head {
    /// Reads it off a chunk; what is not as it should be is left out.
    fn read(data: &[u8]) -> Self {
        let Ok(head) = serde_json::from_slice::<Self>(data) else { return Self::default() };
        let text = |value: Value| match value {
            Value::String(text) if !text.is_empty() && text.len() <= MAX_HEAD => Value::String(text),
            _ => Value::Null,
        };
        let created = if head.created.is_u64() { head.created } else { Value::Null };
        Self { id: text(head.id), created, model: text(head.model) }
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

/// The same, without the bytes of an event that passes as it came.
enum Becomes {
    Passed,
    Hidden,
    Done,
    Error(Bytes),
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
    /// Of the first chunk with a choice; the chunks before it are known to say nothing of themselves.
    head: Option<Head>,
}

impl Tap {
    /// `asked`: the caller itself asked for usage.
    #[must_use]
    pub const fn new(asked: bool) -> Self {
        Self { asked, reported: Reported::Absent, delivered: 0, seen: 0, ended: 0, head: None }
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
        let becomes = sse::data(&event).map_or(Becomes::Passed, |data| self.data(&data));
        let (bytes, done, error) = match becomes {
            Becomes::Passed => (Some(event), false, false),
            Becomes::Hidden => (None, false, false),
            Becomes::Done => (Some(event), true, false),
            Becomes::Error(told) => (Some(told), false, true),
        };
        Pass { bytes, done, error }
    }

    fn data(&mut self, data: &[u8]) -> Becomes {
        if data.trim_ascii() == b"[DONE]" {
            return Becomes::Done;
        }
        let Ok(chunk) = Chunk::read(data) else {
            // Not ours to judge; but what passed must be counted.
            self.delivered += estimate(data.len() as u64);
            if memchr::memmem::find(data, b"\"usage\"").is_some() {
                self.reported.merge(Reported::Absurd);
            }
            return Becomes::Passed;
        };
        let usage = chunk.usage.map_or(Reported::Absent, usage::read);
        self.reported.merge(usage);
        if let Some(error) = chunk.error {
            return Becomes::Error(Bytes::from(upstream_error::event(error)));
        }
        if self.head.is_none() && chunk.seen != 0 {
            self.head = Some(Head::read(data));
        }
        self.seen |= chunk.seen;
        self.ended |= chunk.ended;
        self.delivered += chunk.delivered;
        let hidden = !self.asked && chunk.seen == 0 && usage != Reported::Absent;
        if hidden { Becomes::Hidden } else { Becomes::Passed }
    }

    /// The end of a stream that is stopped because nothing more is affordable: a chunk in which every choice that has
    /// not ended says `length`, as if the output limit had been met; the usage, for a caller who asked; and the end
    /// mark. All of it looks like the chunks before. `model` is named where the upstream named none, `used` is what is
    /// charged for.
    #[must_use]
    pub fn stopped(&self, model: &str, used: Tokens) -> Bytes {
        let mut events = String::new();
        let cut = self.cut();
        if !cut.is_empty() {
            let ends = |index| json!({"index": index, "delta": {}, "finish_reason": "length"});
            let chunk = self.chunk(model, cut.into_iter().map(ends).collect(), Value::Null);
            events += &format!("data: {chunk}\n\n");
        }
        if self.asked {
            events += &format!("data: {}\n\n", self.chunk(model, Vec::new(), usage::report(used)));
        }
        Bytes::from(events + "data: [DONE]\n\n")
    }

    /// The choices that have not ended; the first, where none was seen.
    fn cut(&self) -> Vec<u32> {
        let open = if self.seen == 0 { 1 } else { self.seen & !self.ended };
        (0..u128::BITS).filter(|index| open >> index & 1 == 1).collect()
    }

    fn chunk(&self, model: &str, choices: Vec<Value>, usage: Value) -> Value {
        let none = Head::default();
        let head = self.head.as_ref().unwrap_or(&none);
        let or = |value: &Value, other: Value| if value.is_null() { other } else { value.clone() };
        let mut chunk = json!({
            "id": or(&head.id, json!("chatcmpl-stopped")), "object": "chat.completion.chunk",
            "created": or(&head.created, json!(0)), "model": or(&head.model, json!(model)), "choices": choices,
        });
        if let Some(members) = chunk.as_object_mut().filter(|_| self.asked) {
            members.insert("usage".to_owned(), usage);
        }
        chunk
    }
}

#[cfg(test)]
mod tests {
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
    fn a_stopped_stream_ends_every_choice_as_itself() {
        let used = Tokens {
            input: 5,
            cached_input: 2,
            cache_write: 1,
            output: 4,
            reasoning: 3,
            ..Tokens::default()
        };
        for asked in [false, true] {
            let mut tap = Tap::new(asked);
            // The first event of some providers is about the prompt and names nothing.
            tap.event(event(r#"{"id":"","created":0,"model":"","choices":[]}"#));
            tap.event(event(
                r#"{"id":"c-7","created":17,"model":"real","choices":[{"index":0,"delta":{}},{"index":2,"delta":{}}]}"#,
            ));
            tap.event(event(r#"{"id":"c-8","choices":[{"index":1,"delta":{"content":"a"}}]}"#));
            tap.event(event(r#"{"choices":[{"index":2,"delta":{},"finish_reason":"stop"}]}"#));
            let null = if asked { r#","usage":null"# } else { "" };
            let head =
                r#"{"id":"c-7","object":"chat.completion.chunk","created":17,"model":"real","choices":["#;
            let end = r#""delta":{},"finish_reason":"length"}"#;
            let mut expected = format!("data: {head}{{\"index\":0,{end},{{\"index\":1,{end}]{null}}}\n\n");
            if asked {
                let usage = r#"{"prompt_tokens":8,"completion_tokens":4,"total_tokens":12,"prompt_tokens_details":{"cached_tokens":2,"cache_write_tokens":1},"completion_tokens_details":{"reasoning_tokens":3}}"#;
                expected += &format!("data: {head}],\"usage\":{usage}}}\n\n");
            }
            expected += "data: [DONE]\n\n";
            assert_eq!(tap.stopped("named", used), expected);
            tap.event(event(
                r#"{"choices":[{"delta":{},"finish_reason":"stop"},{"index":1,"delta":{},"finish_reason":"stop"}]}"#,
            ));
            assert_eq!(tap.stopped("named", used).starts_with(b"data: [DONE]"), !asked);
        }
    }

    #[test]
    fn a_stopped_stream_without_a_head_names_the_model() {
        for odd in ["{}", r#"{"id":7,"created":"x","model":{},"choices":[{"delta":{}}]}"#] {
            let mut tap = Tap::new(false);
            tap.event(event(odd));
            assert_eq!(
                tap.stopped("named", Tokens::default()),
                "data: {\"id\":\"chatcmpl-stopped\",\"object\":\"chat.completion.chunk\",\"created\":0,\"model\":\"named\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}]}\n\ndata: [DONE]\n\n"
            );
        }
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
