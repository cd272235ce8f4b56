//! What the one log line of a request says beyond its method and status.
//!
//! The outermost layer puts an [`Entry`] into the request and writes the line when the answer's body ends; whoever
//! learns something on the way notes it here. It never holds a secret or a part of a body.

use std::sync::Arc;

use model::{
    id::{AccountId, ChannelId, KeyId},
    usage::Tokens,
};
use parking_lot::Mutex;

/// The facts of one request, shared between the layers that learn them.
#[derive(Clone, Debug, Default)]
pub struct Entry(Arc<Mutex<Facts>>);

/// What is known so far.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The account that pays.
    pub account: Option<AccountId>,
    /// The key that was used.
    pub key: Option<KeyId>,
    /// The model that the caller named.
    pub model: Option<String>,
    /// The group that serves.
    pub group: Option<String>,
    /// The channel that serves.
    pub channel: Option<ChannelId>,
    /// How many channels were tried.
    pub attempts: u32,
    /// Whether the answer is a stream.
    pub stream: bool,
    /// What it cost, once it is settled, in quota units.
    pub units: Option<i64>,
    /// What was used.
    pub tokens: Option<Tokens>,
    /// The stable word for what went wrong.
    pub error: Option<String>,
    /// Milliseconds until the first byte of the answer.
    pub first_byte_ms: Option<i64>,
}

impl Entry {
    /// Adds what was learned.
    pub fn note(&self, learn: impl FnOnce(&mut Facts)) {
        learn(&mut self.0.lock());
    }

    /// What is known now.
    #[must_use]
    pub fn facts(&self) -> Facts {
        self.0.lock().clone()
    }
}
