//! The store on PostgreSQL.

#[path = "../both/mod.rs"]
mod both;
mod lives;
mod nodes;
mod partition;
mod schema;

use sqlx::PgConnection;

use crate::fixture::Fixture;

async fn open() -> Fixture {
    Fixture::on_postgres().await
}

/// Until somebody waits for a lock on this table.
async fn until_waited_for(raw: &mut PgConnection, table: &str) {
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = to_regclass($1)
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    while sqlx::query_scalar::<_, i64>(waiting).bind(table).fetch_one(&mut *raw).await.unwrap() == 0 {}
}
