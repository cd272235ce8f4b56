//! Pools, holds, leases and the journal: what is owed.

mod book;

pub use book::{Applied, Batch, Book, BookError, Charge, Draw, LeaseState};
