//! The store on PostgreSQL.

#[path = "../both/mod.rs"]
mod both;
mod nodes;
mod partition;
mod schema;

use crate::fixture::Fixture;

async fn open() -> Fixture {
    Fixture::on_postgres().await
}
