//! The store on SQLite.

#[path = "../both/mod.rs"]
mod both;
mod erasure;
mod file;

use crate::fixture::Fixture;

async fn open() -> Fixture {
    Fixture::on_sqlite().await
}
