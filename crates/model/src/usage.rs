//! What a request used, and the record of it.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    id::{AccountId, ChannelId, KeyId, PriceId},
    money::Units,
    price::{Ratio, Size, Terms, ToolCalls},
};

/// Tokens by kind. The kinds of input do not overlap; reasoning is a part of output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Input that no cache served.
    pub input: u64,
    /// Input that a cache served.
    pub cached_input: u64,
    /// Input written to a cache.
    pub cache_write: u64,
    /// Output, reasoning included.
    pub output: u64,
    /// The part of output that was reasoning.
    pub reasoning: u64,
    /// Further parts, where the provider reports them.
    pub parts: Parts,
}

/// Parts of the kinds that may have a price of their own, and what is counted beside tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    /// The part of what was written to a cache that it keeps for an hour.
    pub cache_write_1h: u64,
    /// The part of input that was sound.
    pub input_audio: u64,
    /// The part of input that was images.
    pub input_image: u64,
    /// The part of output that was sound.
    pub output_audio: u64,
    /// The part of output that was images.
    pub output_image: u64,
    /// Seconds of sound or video, begun ones whole.
    #[serde(default)]
    pub seconds: u64,
    /// Images that were made.
    #[serde(default)]
    pub images: u64,
    /// Calls of tools that the provider ran itself.
    #[serde(default)]
    pub tools: ToolCalls,
    /// The terms of service that are charged.
    #[serde(default)]
    pub terms: Terms,
    /// The size of a video.
    #[serde(default)]
    pub size: Option<Size>,
}

impl Tokens {
    /// Input of every kind.
    #[must_use]
    pub const fn all_input(&self) -> u64 {
        self.input.saturating_add(self.cached_input).saturating_add(self.cache_write)
    }
}

/// Who says how many tokens there were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Provenance {
    /// The upstream, plausibly.
    Reported,
    /// We counted what was delivered.
    Counted,
    /// We estimated it from what was delivered.
    Estimated,
}

/// What is known of a request when its hold is taken. It is written with the hold, so that a settlement after a
/// crash needs nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageContext {
    /// The request id that the caller sees. It need not be unique.
    pub request_id: String,
    /// Whose key it was.
    pub account: AccountId,
    /// The key.
    pub key: KeyId,
    /// The name of the key at that moment.
    pub key_name: String,
    /// The group that serves.
    pub group: String,
    /// The channel that serves.
    pub channel: ChannelId,
    /// How many channels were tried, this one included.
    pub attempt: u32,
    /// The model that the caller named.
    pub model: String,
    /// The model that the upstream was asked for.
    pub upstream_model: String,
    /// The path of the door, such as `/v1/chat/completions`.
    pub door: String,
    /// Whether the answer is a stream.
    pub stream: bool,
    /// The version of the price.
    pub price: PriceId,
    /// The price ratio of the group.
    pub ratio: Ratio,
    /// The caller's address.
    pub client: IpAddr,
    /// When the request arrived.
    pub started: Timestamp,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct UsageOutcome {
    /// What was used.
    pub tokens: Tokens,
    /// Who says so.
    pub provenance: Provenance,
    /// What it costs; at most the hold.
    pub units: Units,
    /// What the upstream claims beyond the hold. 0 with honest upstreams.
    pub overrun: Units,
    /// The HTTP status that the caller got; 499 when it left first.
    pub status: u16,
    /// A stable word for what went wrong.
    pub error: Option<String>,
    /// Milliseconds from arrival to the first byte of the answer.
    pub first_byte_ms: Option<i64>,
    /// When the request ended.
    pub ended: Timestamp,
}

/// An outcome as it is written: in the order in which its members came to be, so that what an older version wrote is a
/// beginning of what this one writes.
#[derive(Serialize, Deserialize)]
struct Written {
    tokens: [u64; 5],
    provenance: Provenance,
    units: Units,
    overrun: Units,
    status: u16,
    error: Option<String>,
    first_byte_ms: Option<i64>,
    ended: Timestamp,
    parts: Parts,
}

impl From<UsageOutcome> for Written {
    fn from(outcome: UsageOutcome) -> Self {
        let Tokens { input, cached_input, cache_write, output, reasoning, parts } = outcome.tokens;
        Self {
            tokens: [input, cached_input, cache_write, output, reasoning],
            provenance: outcome.provenance,
            units: outcome.units,
            overrun: outcome.overrun,
            status: outcome.status,
            error: outcome.error,
            first_byte_ms: outcome.first_byte_ms,
            ended: outcome.ended,
            parts,
        }
    }
}

impl From<Written> for UsageOutcome {
    fn from(written: Written) -> Self {
        let [input, cached_input, cache_write, output, reasoning] = written.tokens;
        Self {
            tokens: Tokens { input, cached_input, cache_write, output, reasoning, parts: written.parts },
            provenance: written.provenance,
            units: written.units,
            overrun: written.overrun,
            status: written.status,
            error: written.error,
            first_byte_ms: written.first_byte_ms,
            ended: written.ended,
        }
    }
}
