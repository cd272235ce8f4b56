//! The text that a message or a delta carries, and what it is in tokens when nobody reports a count.
//!
//! Only what a model writes is counted, never the JSON around it: a charge must not exceed what was delivered.

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::estimate;

/// The members of a message or a delta that carry text.
#[derive(Deserialize)]
pub(crate) struct Text<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow, default)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow, default)]
    function_call: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow, default)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow, default)]
    name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
}

impl Text<'_> {
    /// An estimate of the tokens in it.
    pub(crate) fn tokens(&self) -> u64 {
        // Some providers send the same reasoning under both names.
        let reasoning = length(self.reasoning_content).max(length(self.reasoning));
        let texts = [length(self.content), reasoning, length(self.refusal)];
        let called = self.function_call.map_or(0, |call| one_call(call.get()));
        let calls = self.tool_calls.map_or(0, |calls| all_calls(calls.get()));
        texts.into_iter().map(estimate).sum::<u64>() + called + calls
    }
}

fn all_calls(calls: &str) -> u64 {
    let Ok(calls) = serde_json::from_str::<Vec<Call<'_>>>(calls) else { return estimate(calls.len() as u64) };
    calls.iter().filter_map(|call| call.function.as_ref()).map(Function::tokens).sum()
}

fn one_call(call: &str) -> u64 {
    serde_json::from_str::<Function<'_>>(call)
        .map_or_else(|_| estimate(call.len() as u64), |function| function.tokens())
}

impl Function<'_> {
    fn tokens(&self) -> u64 {
        estimate(length(self.name) + length(self.arguments))
    }
}

/// The bytes of a text: a string, or content in parts.
fn length(value: Option<&RawValue>) -> u64 {
    let Some(raw) = value.map(RawValue::get) else { return 0 };
    match raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(plain) if memchr::memchr(b'\\', plain.as_bytes()).is_none() => plain.len() as u64,
        _ => match serde_json::from_str(raw) {
            Ok(Value::String(text)) => text.len() as u64,
            Ok(parts) => parts_length(&parts),
            // Half of a surrogate pair is no text, but it was delivered.
            Err(_) => raw.len() as u64,
        },
    }
}

fn parts_length(value: &Value) -> u64 {
    match value {
        Value::Array(parts) => parts.iter().map(parts_length).sum(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| match value {
                Value::String(text) if name == "text" => text.len() as u64,
                value => parts_length(value),
            })
            .sum(),
        _ => 0,
    }
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
            let text: Text<'_> = serde_json::from_str(delta).unwrap();
            assert_eq!(text.tokens(), tokens, "{delta}");
        }
    }
}
