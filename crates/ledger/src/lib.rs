//! Pools, holds, leases and the journal: what is owed.
//!
//! A request takes a [`Hold`] on the pools of its key and its account, and ends it with a settlement. Both are
//! records in the journal of this node; the journal is moved into the [`Book`] — the database — behind the
//! requests' back. The files, from the outside in: `ledger` (what others call), `hold` (one request), `pool` (one
//! balance in memory), `pools` and `idle` (all of them, and how they go), `wishes`, `asking` and `grant` (more from the
//! book), `heart` (what others want back), `journal` (writing), `room` (ahead of it), `reader` and `applier` (into the
//! book), `recovery` and `life` (after a crash), `record`, `segment`, `disk` (bytes).

mod alarm;
mod applier;
mod aside;
mod asking;
mod book;
mod close;
mod disk;
mod error;
mod flaw;
pub mod grant;
mod heart;
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
mod rejoin;
mod room;
mod segment;
#[cfg(test)]
mod simulation;
mod stats;
#[cfg(test)]
mod tests;
mod waiters;
mod wishes;

pub use book::{
    Applied, Ask, Batch, Book, BookError, Charge, Draw, LeaseState, Node, Outlook, Part, Registered,
    Standing, Wanted,
};
pub use error::{FatalError, FlushError, HoldError, OpenError};
pub use hold::Hold;
pub use ledger::Ledger;
pub use options::Options;
pub use reader::ReadError;
pub use stats::Stats;
