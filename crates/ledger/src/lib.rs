//! Pools, holds, leases and the journal: what is owed.
//!
//! A request takes a [`Hold`] on the pools of its key and its account, and ends it with a settlement. Both are
//! records in the journal of this node; the journal is moved into the [`Book`] — the database — behind the
//! requests' back. The files, from the outside in: `ledger` (what others call), `hold` (one request), `pool` (one
//! balance in memory), `pools` and `idle` (all of them, and how they go), `journal` (writing), `room` (ahead of it), `reader` and `applier` (into the book), `recovery` and
//! `life` (after a crash), `record`, `segment`, `disk` (bytes).

mod applier;
mod book;
mod disk;
mod error;
mod flaw;
mod hold;
mod idle;
mod journal;
mod ledger;
mod life;
mod options;
mod pool;
mod pools;
mod reader;
mod record;
mod recovery;
mod room;
mod segment;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub use book::{Applied, Batch, Book, BookError, Charge, Draw, LeaseState};
pub use error::{FatalError, FlushError, HoldError, OpenError};
pub use hold::Hold;
pub use ledger::{Ledger, Stats};
pub use options::Options;
pub use reader::ReadError;
