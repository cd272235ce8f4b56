//! A whole answer: what it reports, and how much text it carries.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    estimate,
    text::Text,
    usage::{self, Reported},
};

/// What was read from an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The provider's own report.
    pub reported: Reported,
    /// An estimate of the output tokens from the text that is there.
    pub estimated_output: u64,
    /// Whether it is an error in the clothes of an answer: an `error` and nothing else that counts.
    pub is_error: bool,
}

#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default)]
    message: Option<Text<'a>>,
}

/// Reads the body of an answer. A body that is no JSON has an [`Answer`] too: it reports nothing that can be true.
#[must_use]
pub fn read(body: &[u8]) -> Answer {
    let Ok(members) = serde_json::from_slice::<Members<'_>>(body) else {
        let estimated_output = estimate(body.len() as u64);
        return Answer { reported: Reported::Absurd, estimated_output, is_error: false };
    };
    let is_error = members.error.is_some() && members.choices.is_none() && members.data.is_none();
    let choices = members.choices.unwrap_or_default();
    Answer {
        is_error,
        reported: members.usage.map_or(Reported::Absent, |usage| usage::read(usage.get())),
        estimated_output: choices
            .iter()
            .filter_map(|choice| choice.message.as_ref())
            .map(|text| text.tokens())
            .sum(),
    }
}

#[cfg(test)]
mod tests {
    use model::usage::Tokens;

    use super::*;

    #[test]
    fn reads_usage_and_text() {
        let answer = read(br#"{"id":"x","choices":[{"message":{"role":"assistant","content":"12345"}},{"message":{"content":null,"tool_calls":[{"id":"a","function":{"name":"look","arguments":"{}"}}]}}],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#);
        assert_eq!(answer.reported, Reported::Good(Tokens { input: 3, output: 4, ..Tokens::default() }));
        assert_eq!(answer.estimated_output, 2 + 2);
        assert!(read(br#"{"error":{"message":"no"}}"#).is_error);
        assert!(!read(br#"{"error":null,"choices":[]}"#).is_error);
        assert_eq!(read(br#"{"data":[]}"#).reported, Reported::Absent);
        assert_eq!(read(br#"{"usage":{"prompt_tokens":NaN}}"#).reported, Reported::Absurd);
    }
}
