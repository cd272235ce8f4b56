//! The database: opening it, its two pools of connections, and what can go wrong.

use std::{path::Path, sync::Arc, time::Duration};

use model::{id::ChannelId, price::Leap};
use parking_lot::Mutex;
use sqlx::{
    Connection, Sqlite, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{
    audit::Actor,
    imported::Imported,
    usage::{Names, Tally},
    vault::{MasterKey, Vault},
};

/// Why the store could not do what was asked. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such thing, or it belongs to somebody else.
    #[error("not found")]
    NotFound,
    /// It would contradict something that is there.
    #[error("{0}")]
    Conflict(String),
    /// A value that is not allowed.
    #[error("{0}")]
    Invalid(String),
    /// A price that is more than tenfold the one that it follows, or less than a tenth of it, and nobody confirmed it.
    #[error("model {model}: {leap}; confirm it if that is meant")]
    Leap {
        /// The model.
        model: String,
        /// How far it is.
        leap: Leap,
    },
    /// The master key does not open what it sealed.
    #[error(
        "the master key does not fit this database: use the key that it was made with \
         (master.key in its data directory, or the one given by configuration)"
    )]
    WrongMasterKey,
    /// Something in the database is not what this program wrote.
    #[error("the database is damaged: {0}")]
    Corrupt(&'static str),
    /// The model mapping of a channel is not what this program wrote.
    #[error(
        "the database is damaged: the model mapping of channel {0} cannot be read; delete the channel and make it again"
    )]
    CorruptMapping(ChannelId),
    /// The account may not use this group, or there is none of this name.
    #[error("no access to group {0}")]
    NoAccessToGroup(String),
    /// The database does not answer, or says no.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema cannot be brought up to date.
    #[error("database schema: {0}")]
    Schema(#[from] sqlx::migrate::MigrateError),
    /// The operating system gives no random numbers.
    #[error("no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

/// How long a connection waits for the writer of another process.
pub(crate) const BUSY: Duration = Duration::from_secs(5);

pub(crate) type Tx = Transaction<'static, Sqlite>;

/// All persistent state, used on somebody's behalf. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>, Actor);

#[derive(Debug)]
struct Inner {
    writer: SqlitePool,
    reader: SqlitePool,
    vault: Vault,
    names: Names,
    /// The open block of usage records, for whoever applies the journal.
    tally: Mutex<Option<Tally>>,
    imported: Imported,
}

impl Store {
    /// Opens the SQLite database at `path`, makes it if it is missing, and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::WrongMasterKey`]; a database that cannot be opened or migrated.
    pub async fn open(path: &Path, master: &MasterKey) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            // What is deleted or sealed anew is overwritten, not only forgotten.
            .pragma("secure_delete", "ON")
            .busy_timeout(BUSY);
        // SQLite has one writer at a time: one connection makes them queue here, where it is cheap.
        // Its cache, in KiB, has room for a block of usage records, which is read when it is summed up.
        let writing = options.clone().pragma("cache_size", "-16384");
        // A full disk makes SQLite end a transaction by itself; the connection then believes for ever that it is in one.
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
            .connect_with(writing)
            .await?;
        sqlx::migrate!().run(&writer).await?;
        let reader =
            SqlitePoolOptions::new().max_connections(4).min_connections(0).connect_lazy_with(options);
        let vault = Vault::open(&writer, master).await?;
        let imported = Imported::load(&writer).await?;
        let inner =
            Inner { writer, reader, vault, names: Names::default(), tally: Mutex::default(), imported };
        Ok(Self(Arc::new(inner), Actor::command_line()))
    }

    /// The same store, used on behalf of `actor`: the audit record names it.
    #[must_use]
    pub fn acting(&self, actor: impl Into<Actor>) -> Self {
        Self(Arc::clone(&self.0), actor.into())
    }

    pub(crate) const fn actor(&self) -> &Actor {
        &self.1
    }

    pub(crate) async fn write(&self) -> Result<Tx, StoreError> {
        Ok(self.0.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    pub(crate) fn reader(&self) -> &SqlitePool {
        &self.0.reader
    }

    pub(crate) fn vault(&self) -> &Vault {
        &self.0.vault
    }

    pub(crate) fn names(&self) -> &Names {
        &self.0.names
    }

    pub(crate) fn tally(&self) -> &Mutex<Option<Tally>> {
        &self.0.tally
    }

    pub(crate) fn imported(&self) -> &Imported {
        &self.0.imported
    }

    /// Closes the connections, so that the files are as small as they can be.
    pub async fn close(&self) {
        self.0.reader.close().await;
        self.0.writer.close().await;
    }
}

/// A unique column already has this value.
pub(crate) fn unique(what: impl FnOnce() -> String) -> impl FnOnce(sqlx::Error) -> StoreError {
    |error| match &error {
        sqlx::Error::Database(database) if database.is_unique_violation() => StoreError::Conflict(what()),
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a full disk does it; `OR ROLLBACK` is the way to get there without one.
    #[tokio::test]
    async fn a_transaction_that_the_database_ends_by_itself_leaves_it_writable() {
        let directory = tempfile::TempDir::new().unwrap();
        let master = MasterKey::generate().unwrap();
        let store = Store::open(&directory.path().join("apsis.db"), &master).await.unwrap();
        let mut tx = store.write().await.unwrap();
        let again =
            "INSERT OR ROLLBACK INTO price_group (name, description, ratio) VALUES ('default', '', 1)";
        sqlx::query(again).execute(&mut *tx).await.unwrap_err();
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
        for connections in [&store.0.writer, &store.0.reader] {
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
