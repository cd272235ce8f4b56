//! A streamed answer, event by event.
//!
//! A reader sees to it that what it tells is in order: one start; in each choice one block after the other, each opened
//! before it grows and closed before the next; one stop for each choice; and one end. So a writer needs no patience.

use super::answer::{Logprob, Stop};
use super::part::{Citation, Seal};
use crate::usage::Usage;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    Start {
        id: String,
        model: String,
        created: Option<u64>,
        usage: Option<Usage>,
    },
    Open {
        choice: u32,
        block: Block,
    },
    Delta {
        choice: u32,
        delta: Delta,
    },
    Close {
        choice: u32,
    },
    Stop {
        choice: u32,
        stop: Stop,
    },
    /// The counts so far.
    Usage(Usage),
    /// Nothing new; the connection is alive.
    Ping,
    /// The upstream failed. Nothing follows.
    Failed {
        message: String,
        code: Option<String>,
    },
    /// The answer is complete.
    End,
}

/// What kind of block begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    Text,
    Thinking,
    Refusal,
    Call { id: String, name: String },
}

/// What is added to the open block.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Delta {
    /// Text, thinking, the words of a refusal or a call's arguments: the block says which.
    Text(String),
    Seal(Seal),
    Citation(Citation),
    Logprobs(Vec<Logprob>),
}
