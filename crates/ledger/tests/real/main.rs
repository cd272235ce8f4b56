//! The ledger as its callers have it: threads, a real directory, and a book that keeps the rules of the database's.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

mod away;
mod book;
mod fixture;
mod idle;
mod rejoin;
mod requests;
mod restart;
