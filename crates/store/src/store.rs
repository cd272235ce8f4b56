//! The store: opening it, and what can go wrong.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use model::{id::ChannelId, price::Leap};
use parking_lot::Mutex;
use sqlx::migrate::MigrateError;
use tokio::sync::watch;

use crate::{
    account_list,
    audit::Actor,
    database::{Connection, Database, Tx},
    imported::Imported,
    life,
    postgres::{self, PostgresServer},
    sql::{Engine, Run},
    sqlite,
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
    Database(sqlx::Error),
    /// The database is not reached in time.
    #[error("the database does not answer")]
    Away,
    /// The schema cannot be brought up to date.
    #[error("database schema: {0}")]
    Schema(#[from] MigrateError),
    /// The operating system gives no random numbers.
    #[error("no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

/// All persistent state, used on somebody's behalf. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>, Actor);

#[derive(Debug)]
struct Inner {
    database: Database,
    vault: Vault,
    names: Names,
    /// The open block of usage records, for whoever applies the journal.
    tally: Mutex<Option<Tally>>,
    imported: Imported,
    /// The newest change, as heartbeats learn it.
    news: watch::Sender<i64>,
    /// The server of the database that was written to last.
    server: AtomicI64,
}

impl Store {
    /// Opens the SQLite database at `path`, makes it if it is missing, and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::WrongMasterKey`]; a database that cannot be opened or migrated.
    pub async fn open(path: &Path, master: &MasterKey) -> Result<Self, StoreError> {
        Self::begin(sqlite::open(path).await?, master).await
    }

    /// Opens a PostgreSQL database that is there, and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::WrongMasterKey`]; a database that cannot be reached ([`StoreError::is_away`]) or migrated.
    pub async fn connect(server: &PostgresServer, master: &MasterKey) -> Result<Self, StoreError> {
        Self::begin(postgres::open(server).await?, master).await
    }

    async fn begin(database: Database, master: &MasterKey) -> Result<Self, StoreError> {
        let vault = Vault::open(&database, master).await?;
        let imported = Imported::default();
        imported.load(&database).await?;
        account_list::note_all(&database).await?;
        let (names, tally) = (Names::default(), Mutex::default());
        let (news, server) = (watch::Sender::new(0), AtomicI64::default());
        let inner = Inner { database, vault, names, tally, imported, news, server };
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

    pub(crate) fn database(&self) -> &Database {
        &self.0.database
    }

    /// A transaction that writes; no other does meanwhile.
    pub(crate) async fn write(&self) -> Result<Tx, StoreError> {
        loop {
            let (tx, turn) = self.database().write().await?;
            let begins = turn.before != turn.server;
            if self.0.server.swap(turn.server, Ordering::AcqRel) != turn.server || begins {
                // What is remembered of another server's rows may be lost there.
                self.names().forget();
                *self.tally().lock() = None;
            }
            if !begins {
                return Ok(tx);
            }
            // By itself: a refusal that comes after it must not undo it.
            life::begin(tx, turn.server).await?;
        }
    }

    /// The server of the database that was written to last.
    pub(crate) fn server(&self) -> i64 {
        self.0.server.load(Ordering::Acquire)
    }

    /// A connection that reads, each statement by itself.
    pub(crate) async fn read(&self) -> Result<Connection, StoreError> {
        self.database().read().await
    }

    /// A transaction that sees one moment of the database.
    pub(crate) async fn snapshot(&self) -> Result<Tx, StoreError> {
        self.database().snapshot().await
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

    pub(crate) fn news(&self) -> &watch::Sender<i64> {
        &self.0.news
    }

    /// Bytes of the database.
    ///
    /// # Errors
    /// The database.
    pub async fn size(&self) -> Result<i64, StoreError> {
        let mut on = self.read().await?;
        // What a database is asked about itself has no common words.
        match on.engine() {
            Engine::Sqlite => {
                let pages: i64 = on.query("SELECT page_count FROM pragma_page_count()").scalar().await?;
                let size: i64 = on.query("SELECT page_size FROM pragma_page_size()").scalar().await?;
                Ok(pages.saturating_mul(size))
            }
            Engine::Postgres => Ok(on.query("SELECT pg_database_size(current_database())").scalar().await?),
        }
    }

    /// Closes the connections, so that the files are as small as they can be.
    pub async fn close(&self) {
        self.database().close().await;
    }
}

impl StoreError {
    /// Whether the database is not there at the moment, so that it is worth to ask again.
    #[must_use]
    pub fn is_away(&self) -> bool {
        match self {
            Self::Away => true,
            Self::Database(error) | Self::Schema(MigrateError::Execute(error)) => is_away(error),
            _ => false,
        }
    }
}

fn is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => true,
        // It starts, it stops, it has lost its connections, it has too many, or it is a stand-by that nobody has promoted yet.
        sqlx::Error::Database(said) => said.code().is_some_and(|code| {
            code.starts_with("08") || ["57P01", "57P02", "57P03", "53300", "25006"].contains(&code.as_ref())
        }),
        _ => false,
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::PoolTimedOut => Self::Away,
            // PostgreSQL has no text with a zero byte in it.
            sqlx::Error::Database(said) if said.code().as_deref() == Some("22021") => {
                Self::Invalid("a text must not contain the character U+0000".to_owned())
            }
            _ => Self::Database(error),
        }
    }
}

/// A unique column already has this value.
pub(crate) fn unique(what: impl FnOnce() -> String) -> impl FnOnce(sqlx::Error) -> StoreError {
    |error| match &error {
        sqlx::Error::Database(database) if database.is_unique_violation() => StoreError::Conflict(what()),
        _ => error.into(),
    }
}
