//! The store against a database in a temporary file, and against one of a PostgreSQL server.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![expect(clippy::duplicate_mod, reason = "both databases are asked the same")]

mod fixture;
mod postgres;
mod server;
mod sqlite;
