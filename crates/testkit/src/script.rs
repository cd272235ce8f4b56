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
    /// Words of thought before it, where the dialect has thoughts and the request wants them.
    pub thoughts: u64,
    /// Calls of the tools that the request offers, until it brings results.
    pub calls: u64,
    /// Refuse to answer, in the words that the dialect has for that.
    pub refuse: bool,
    /// Input tokens that a cache is said to have served.
    pub cached: u64,
    /// Input tokens that a cache is said to have taken in, where the dialect counts them.
    pub cache_write: u64,
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
    /// While it waits so, send what the dialect has for "still here" each so many milliseconds.
    pub murmur_ms: u64,
    /// End the stream without its last events after this many chunks.
    pub truncate_after: Option<u64>,
    /// End the stream with the dialect's error event after this many chunks.
    pub fail_after: Option<u64>,
    /// Report usage that is not true.
    pub usage: Option<Lie>,
    /// Honour no output limit.
    pub ignore_limit: bool,
    /// How often a job is asked for until it has ended.
    pub polls: u64,
    /// Jobs end with a failure.
    pub job_fails: bool,
    /// What jobs say of their size, instead of what was asked for: null, or a word that nobody knows.
    pub job_size: Option<serde_json::Value>,
    /// The word for the state of a job that has ended, instead of the right one.
    pub job_word: Option<String>,
    /// The seconds that a job is said to have made, instead of those that were asked for.
    pub job_seconds: Option<u64>,
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

impl Script {
    /// The usage members to send: the honest one, or what `count` makes of a number that is said for input and output.
    pub(crate) fn usages(&self, honest: String, count: impl Fn(&str) -> String) -> Vec<String> {
        match self.usage {
            None => vec![honest],
            Some(Lie::Absent) => vec![],
            Some(Lie::Negative) => vec![count("-1")],
            Some(Lie::Huge) => vec![count("9223372036854775808")],
            Some(Lie::NotANumber) => vec![count("NaN")],
            Some(Lie::Text) => vec![count("\"many\"")],
            Some(Lie::Million) => vec![count("1000000")],
            Some(Lie::Twice) => vec![honest, count("0")],
        }
    }
}
