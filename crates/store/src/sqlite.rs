//! SQLite: one file, one writer at a time, in this process or another.

use std::{path::Path, time::Duration};

use sqlx::{
    Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{
    database::{Database, Pools},
    schema::SQLITE,
    store::StoreError,
};

/// How long a connection waits for the writer of another process.
const BUSY: Duration = Duration::from_secs(5);

/// Opens the file, makes it if it is missing, and brings its schema up to date.
pub(crate) async fn open(path: &Path) -> Result<Database, StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        // What is deleted or sealed anew is overwritten, not only forgotten.
        .pragma("secure_delete", "ON")
        .busy_timeout(BUSY);
    // Its cache, in KiB, has room for a block of usage records, which is read when it is summed up.
    let writing = options.clone().pragma("cache_size", "-16384");
    // A full disk makes SQLite end a transaction by itself; the connection then believes for ever that it is in one.
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
        .connect_with(writing)
        .await?;
    SQLITE.run(&writer).await?;
    let reader = SqlitePoolOptions::new().max_connections(4).min_connections(0).connect_lazy_with(options);
    Ok(Database::Sqlite(Pools { writer, reader }))
}

/// A connection that changes nothing.
pub(crate) async fn open_to_read(path: &Path) -> Result<SqliteConnection, StoreError> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(BUSY);
    Ok(SqliteConnection::connect_with(&options).await?)
}

/// A new file that is filled in one transaction and is thrown away if that fails: until then nothing of it needs to be
/// durable.
pub(crate) async fn create(path: &Path) -> Result<SqliteConnection, StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Memory)
        .synchronous(SqliteSynchronous::Off)
        .foreign_keys(true);
    Ok(SqliteConnection::connect_with(&options).await?)
}

#[cfg(test)]
mod tests {
    use crate::{MasterKey, Store, database::Database, sql::Run};

    /// As a full disk does it; `OR ROLLBACK` is the way to get there without one.
    #[tokio::test]
    async fn a_transaction_that_the_database_ends_by_itself_leaves_it_writable() {
        let directory = tempfile::TempDir::new().unwrap();
        let master = MasterKey::generate().unwrap();
        let store = Store::open(&directory.path().join("apsis.db"), &master).await.unwrap();
        let mut tx = store.write().await.unwrap();
        let again =
            "INSERT OR ROLLBACK INTO price_group (name, description, ratio) VALUES ('default', '', 1)";
        tx.query(again).execute().await.unwrap_err();
        drop(tx);
        let group = crate::Group {
            name: "g".to_owned(),
            description: String::new(),
            ratio: model::price::Ratio::ONE,
        };
        store.put_group(&group, model::clock::Timestamp::from_millis(1)).await.unwrap();
        assert_eq!(store.list_groups().await.unwrap().len(), 2);
    }

    /// `synchronous` is a connection's own, so it can be asked only here. 2 is FULL.
    #[tokio::test]
    async fn what_is_committed_survives_a_power_failure() {
        let directory = tempfile::TempDir::new().unwrap();
        let master = MasterKey::generate().unwrap();
        let store = Store::open(&directory.path().join("apsis.db"), &master).await.unwrap();
        let Database::Sqlite(pools) = store.database() else { panic!("this is SQLite") };
        for connections in [&pools.writer, &pools.reader] {
            let mode: String =
                sqlx::query_scalar("PRAGMA journal_mode").fetch_one(connections).await.unwrap();
            let synchronous: i64 =
                sqlx::query_scalar("PRAGMA synchronous").fetch_one(connections).await.unwrap();
            let foreign_keys: i64 =
                sqlx::query_scalar("PRAGMA foreign_keys").fetch_one(connections).await.unwrap();
            assert_eq!((mode.as_str(), synchronous, foreign_keys), ("wal", 2, 1));
        }
    }
}
