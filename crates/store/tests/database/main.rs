//! The store against a database in a temporary file.
#![expect(clippy::unwrap_used, reason = "tests")]

mod audit;
mod book;
mod catalogue;
mod credential;
mod erasure;
mod fixture;
mod identity;
mod key_list;
mod routing;
mod session;
mod usage;
mod verify;
