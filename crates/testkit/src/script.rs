//! What the provider does with a request.

use serde::{Deserialize, Serialize};

/// How to answer. The default is honest and at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// Milliseconds before the head of the answer.
    pub delay_ms: u64,
    /// Milliseconds before each chunk of a stream.
    pub chunk_ms: u64,
    /// Words in the answer; the demo text when absent.
    pub words: Option<u64>,
    /// Answer with this status and an error.
    pub status: Option<u16>,
    /// The error's message.
    pub message: Option<String>,
    /// `Retry-After` of an error.
    pub retry_after: Option<String>,
    /// The body instead of an answer, as it stands.
    pub body: Option<String>,
    /// `Content-Type` instead of the right one.
    pub content_type: Option<String>,
    /// Break off the connection after this many chunks.
    pub reset_after: Option<u64>,
    /// Say nothing more after this many chunks, and keep the connection.
    pub stall_after: Option<u64>,
    /// Say nothing more after this many chunks until [`Provider::release`](crate::Provider::release).
    pub wait_after: Option<u64>,
    /// End the stream without a finish reason and without `[DONE]` after this many chunks.
    pub truncate_after: Option<u64>,
    /// Report usage that is not true.
    pub usage: Option<Lie>,
    /// Honour no output limit.
    pub ignore_limit: bool,
}

/// Usage that is not true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lie {
    /// None at all.
    Absent,
    /// Minus one.
    Negative,
    /// Two to the power of 63.
    Huge,
    /// `NaN`, which is no JSON.
    NotANumber,
    /// A text.
    Text,
    /// Twice, the second time less.
    Twice,
    /// A million tokens, which is a number like any other.
    Million,
}

impl Lie {
    /// The `usage` members to send, instead of an honest one.
    pub(crate) fn usages(self, honest: &str) -> Vec<String> {
        let completion =
            |tokens: &str| format!(r#"{{"prompt_tokens":{tokens},"completion_tokens":{tokens}}}"#);
        match self {
            Self::Absent => vec![],
            Self::Negative => vec![completion("-1")],
            Self::Huge => vec![completion("9223372036854775808")],
            Self::NotANumber => vec![completion("NaN")],
            Self::Text => vec![completion("\"many\"")],
            Self::Million => vec![completion("1000000")],
            Self::Twice => vec![honest.to_owned(), completion("0")],
        }
    }
}
