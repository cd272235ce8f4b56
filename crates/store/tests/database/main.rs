//! The store against a database in a temporary file.
#![expect(clippy::unwrap_used, reason = "tests")]

mod book;
mod erasure;
mod fixture;
mod identity;
mod routing;
mod usage;
mod verify;
