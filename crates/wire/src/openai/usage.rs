//! What a provider reports as used.

use model::usage::Tokens;
use serde_json::{Map, Value};

/// The largest count that is believed.
const MOST: u64 = 1 << 53;

/// A provider's report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reported {
    /// Nothing was said.
    #[default]
    Absent,
    /// What was said cannot be true: negative, no whole number, beyond all bounds, or parts larger than their whole.
    Absurd,
    /// Plausible counts.
    Good(Tokens),
}

impl Reported {
    /// Takes in a further report of the same answer. Of two good ones the larger counts: providers that report as
    /// they go only ever grow. A good one beats everything else.
    pub fn merge(&mut self, other: Self) {
        let total = |tokens: &Tokens| tokens.input + tokens.cached_input + tokens.cache_write + tokens.output;
        *self = match (*self, other) {
            (Self::Good(a), Self::Good(b)) if total(&a) > total(&b) => Self::Good(a),
            (_, Self::Good(b)) => Self::Good(b),
            (Self::Good(a), _) => Self::Good(a),
            (Self::Absurd, _) | (_, Self::Absurd) => Self::Absurd,
            _ => Self::Absent,
        };
    }
}

/// Reads the `usage` member of an answer or a chunk. Cached input is a part of `prompt_tokens`, reasoning a part of
/// `completion_tokens`; see OpenAI's reference of the chat completion object.
#[must_use]
pub fn read(usage: &str) -> Reported {
    match serde_json::from_str(usage) {
        Ok(Value::Null) => Reported::Absent,
        Ok(Value::Object(members)) => tokens(&members).map_or(Reported::Absurd, Reported::Good),
        _ => Reported::Absurd,
    }
}

fn tokens(usage: &Map<String, Value>) -> Option<Tokens> {
    let none = Map::new();
    let details = |name: &str| usage.get(name).and_then(Value::as_object);
    let prompt_details = details("prompt_tokens_details").unwrap_or(&none);
    let prompt = count(usage, "prompt_tokens")?;
    let output = count(usage, "completion_tokens")?;
    if !usage.contains_key("prompt_tokens") && !usage.contains_key("completion_tokens") {
        return None;
    }
    let cached_input = count(prompt_details, "cached_tokens")?;
    let cache_write = count(prompt_details, "cache_creation_tokens")?;
    let reasoning = count(details("completion_tokens_details").unwrap_or(&none), "reasoning_tokens")?;
    if reasoning > output {
        return None;
    }
    let input = prompt.checked_sub(cached_input)?.checked_sub(cache_write)?;
    Some(Tokens { input, cached_input, cache_write, output, reasoning })
}

/// A count: absent and null are 0, anything else must be a plausible whole number.
fn count(object: &Map<String, Value>, member: &str) -> Option<u64> {
    match object.get(member) {
        None | Some(Value::Null) => Some(0),
        Some(value) => value.as_u64().filter(|count| *count <= MOST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_parts_from_their_whole() {
        let good = read(
            r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
                "prompt_tokens_details":{"cached_tokens":60,"audio_tokens":0},
                "completion_tokens_details":{"reasoning_tokens":20}}"#,
        );
        let tokens = Tokens { input: 40, cached_input: 60, cache_write: 0, output: 50, reasoning: 20 };
        assert_eq!(good, Reported::Good(tokens));
    }

    #[test]
    fn does_not_believe_what_cannot_be() {
        for usage in [
            r#"{"prompt_tokens":-1,"completion_tokens":1}"#,
            r#"{"prompt_tokens":9223372036854775808,"completion_tokens":1}"#,
            r#"{"prompt_tokens":1.5,"completion_tokens":1}"#,
            r#"{"prompt_tokens":"12","completion_tokens":1}"#,
            r#"{"prompt_tokens":1,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":2}}"#,
            r#"{"prompt_tokens":1,"completion_tokens":1,"completion_tokens_details":{"reasoning_tokens":2}}"#,
            r#"{"prompt_tokens":NaN}"#,
            "[]",
            "{}",
            "7",
        ] {
            assert_eq!(read(usage), Reported::Absurd, "{usage}");
        }
        assert_eq!(read("null"), Reported::Absent);
    }

    #[test]
    fn keeps_the_larger_of_two_reports() {
        let good = |output| Reported::Good(Tokens { output, ..Tokens::default() });
        for (first, second, expected) in [
            (Reported::Absent, Reported::Absurd, Reported::Absurd),
            (Reported::Absurd, good(3), good(3)),
            (good(3), Reported::Absurd, good(3)),
            (good(3), good(5), good(5)),
            (good(5), good(3), good(5)),
        ] {
            let mut merged = first;
            merged.merge(second);
            assert_eq!(merged, expected);
        }
    }
}
