//! The text that a message or a delta carries, and what it is in tokens when nobody reports a count.
//!
//! Only what a model writes is counted, never the JSON around it: a charge must not exceed what was delivered.

use super::estimate;
use crate::json::{Malformed, Walk, text_length};

/// How deep content in parts is followed.
const MAX_DEPTH: usize = 32;

/// The lengths, in bytes, of what a message or a delta carries.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Text {
    content: u64,
    reasoning_content: u64,
    reasoning: u64,
    refusal: u64,
    /// The tokens of the calls of functions.
    calls: u64,
}

impl Text {
    /// Reads the message or delta that comes next; null has nothing.
    pub(crate) fn read(walk: &mut Walk<'_>) -> Result<Self, Malformed> {
        let mut text = Self::default();
        if walk.is_null() {
            return walk.value().map(|_| text);
        }
        walk.object(|name, walk| {
            match name {
                b"content" => text.content = length(walk, MAX_DEPTH)?,
                b"reasoning_content" => text.reasoning_content = length(walk, MAX_DEPTH)?,
                b"reasoning" => text.reasoning = length(walk, MAX_DEPTH)?,
                b"refusal" => text.refusal = length(walk, MAX_DEPTH)?,
                b"tool_calls" => text.calls += calls(walk.value()?, all_calls),
                b"function_call" => text.calls += calls(walk.value()?, function),
                _ => drop(walk.value()?),
            }
            Ok(())
        })?;
        Ok(text)
    }

    /// An estimate of the tokens in it.
    pub(crate) fn tokens(self) -> u64 {
        // Some providers send the same reasoning under both names.
        let reasoning = self.reasoning_content.max(self.reasoning);
        [self.content, reasoning, self.refusal].into_iter().map(estimate).sum::<u64>() + self.calls
    }
}

/// The tokens of calls; of what is no call, an estimate of the whole.
fn calls(raw: &[u8], read: impl Fn(&mut Walk<'_>) -> Result<u64, Malformed>) -> u64 {
    if raw == b"null" {
        return 0;
    }
    read(&mut Walk::new(raw)).unwrap_or_else(|Malformed| estimate(raw.len() as u64))
}

fn all_calls(walk: &mut Walk<'_>) -> Result<u64, Malformed> {
    let mut tokens = 0;
    walk.array(|walk| {
        walk.object(|name, walk| {
            match name {
                b"function" if !walk.is_null() => tokens += function(walk)?,
                _ => drop(walk.value()?),
            }
            Ok(())
        })
    })?;
    Ok(tokens)
}

fn function(walk: &mut Walk<'_>) -> Result<u64, Malformed> {
    let mut bytes = 0;
    walk.object(|name, walk| {
        match name {
            b"name" | b"arguments" => bytes += length(walk, MAX_DEPTH)?,
            _ => drop(walk.value()?),
        }
        Ok(())
    })?;
    Ok(estimate(bytes))
}

/// The bytes of a text: a string, or the strings named `text` of content in parts.
fn length(walk: &mut Walk<'_>, depth: usize) -> Result<u64, Malformed> {
    if walk.is_string() { Ok(text_length(walk.string()?)) } else { parts(walk, depth) }
}

fn parts(walk: &mut Walk<'_>, depth: usize) -> Result<u64, Malformed> {
    let mut bytes = 0;
    let Some(depth) = depth.checked_sub(1) else { return walk.value().map(|_| 0) };
    if walk.is_array() {
        walk.array(|walk| {
            bytes += parts(walk, depth)?;
            Ok(())
        })?;
    } else if walk.is_object() {
        walk.object(|name, walk| {
            bytes += if name == b"text" { length(walk, depth)? } else { parts(walk, depth)? };
            Ok(())
        })?;
    } else {
        walk.value()?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_was_written_and_nothing_around_it() {
        for (delta, tokens) in [
            ("{}", 0),
            (r#"{"role":"assistant","content":"","refusal":null}"#, 0),
            (r#"{"content":"caf\u00e9"}"#, 2),
            (r#"{"content":"\ud83d"}"#, 2),
            (r#"{"content":7}"#, 0),
            (
                r#"{"content":[{"type":"text","text":"12345678"},{"type":"image","image_url":{"url":"x"}}]}"#,
                2,
            ),
            (r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"1234"}]}]}"#, 1),
            (r#"{"reasoning_content":"12345678","content":"1"}"#, 3),
            (r#"{"reasoning":"12345678"}"#, 2),
            (r#"{"reasoning":"12345678","reasoning_content":"12345678"}"#, 2),
            (r#"{"refusal":"12345"}"#, 2),
            (r#"{"function_call":{"name":"f","arguments":"{}"}}"#, 1),
            (
                r#"{"tool_calls":[{"index":0,"id":"call_123456789","type":"function","function":{"name":"look","arguments":""}}]}"#,
                1,
            ),
            (
                r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\""}},{"index":1,"function":{"arguments":":1}"}}]}"#,
                2,
            ),
            (r#"{"tool_calls":{"odd":"1"}}"#, 3),
        ] {
            let text = Text::read(&mut Walk::new(delta.as_bytes())).unwrap();
            assert_eq!(text.tokens(), tokens, "{delta}");
        }
    }
}
