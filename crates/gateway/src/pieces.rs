//! A stream taken apart as its upstream writes it: events, or the elements of one array.

use bytes::Bytes;
use wire::{
    google::array,
    passage::{Framing, Passage},
    sse::{self, TooLong},
};

/// Splits a stream.
pub(crate) enum Pieces {
    /// Server-sent events.
    Events(sse::Splitter),
    /// One JSON array.
    Array(array::Splitter),
    /// Bytes as they come.
    Bytes(Option<Bytes>),
}

impl Pieces {
    /// As the upstream of `passage` writes.
    pub(crate) fn of(passage: &Passage) -> Self {
        match passage.framing() {
            Framing::Events => Self::Events(sse::Splitter::default()),
            Framing::Array => Self::Array(array::Splitter::default()),
            Framing::Bytes => Self::Bytes(None),
        }
    }

    /// Takes in the next bytes of the stream.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        match self {
            Self::Events(splitter) => splitter.push(chunk),
            Self::Array(splitter) => splitter.push(&chunk),
            // What came before has been taken: one is asked for until there is none.
            Self::Bytes(next) => *next = Some(chunk),
        }
    }

    /// The next piece.
    ///
    /// # Errors
    /// [`TooLong`].
    pub(crate) fn next_piece(&mut self) -> Result<Option<Bytes>, TooLong> {
        match self {
            Self::Events(splitter) => splitter.next_event(),
            Self::Array(splitter) => splitter.next_piece(),
            Self::Bytes(next) => Ok(next.take()),
        }
    }

    /// What is left at the end of the stream.
    pub(crate) fn finish(&mut self) -> Option<Bytes> {
        match self {
            Self::Events(splitter) => splitter.finish(),
            Self::Array(splitter) => splitter.finish(),
            Self::Bytes(next) => next.take(),
        }
    }
}
