//! The database: its two pools of connections, transactions, and what both databases do in their own way.

use sqlx::{Pool, Postgres, Sqlite, Transaction, pool::PoolConnection};

use crate::{
    sql::{On, Run},
    store::StoreError,
};

/// Connections that write and connections that read.
///
/// There is one writer at a time: one connection makes them queue here, where it is cheap.
#[derive(Debug)]
pub(crate) struct Pools<D: sqlx::Database> {
    pub(crate) writer: Pool<D>,
    pub(crate) reader: Pool<D>,
}

impl<D: sqlx::Database> Pools<D> {
    async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

/// An open database.
#[derive(Debug)]
pub(crate) enum Database {
    Sqlite(Pools<Sqlite>),
    Postgres(Pools<Postgres>),
}

/// The writer of the whole installation waits for the one before it, as it does in SQLite. So what is read in a writing
/// transaction stays as it was read, and changes become visible in the order of their numbers. A locked row is what
/// every database of PostgreSQL's kind knows; an advisory lock is not.
const BEGIN_WRITING: &str = "BEGIN; SELECT one FROM usage_next WHERE one = 1 FOR UPDATE";
const BEGIN_READING: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
/// A proof reads everything, and may take as long as it takes.
const BEGIN_PROOF: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0";

impl Database {
    /// A transaction that writes; no other does meanwhile.
    pub(crate) async fn write(&self) -> Result<Tx, StoreError> {
        Ok(match self {
            Self::Sqlite(pools) => Tx::Sqlite(pools.writer.begin_with("BEGIN IMMEDIATE").await?),
            Self::Postgres(pools) => Tx::Postgres(pools.writer.begin_with(BEGIN_WRITING).await?),
        })
    }

    /// A transaction that sees one moment of the database.
    pub(crate) async fn snapshot(&self) -> Result<Tx, StoreError> {
        Ok(match self {
            Self::Sqlite(pools) => Tx::Sqlite(pools.reader.begin().await?),
            Self::Postgres(pools) => Tx::Postgres(pools.reader.begin_with(BEGIN_READING).await?),
        })
    }

    /// A connection that reads, each statement by itself.
    pub(crate) async fn read(&self) -> Result<Connection, StoreError> {
        Ok(match self {
            Self::Sqlite(pools) => Connection::Sqlite(pools.reader.acquire().await?),
            Self::Postgres(pools) => Connection::Postgres(pools.reader.acquire().await?),
        })
    }

    /// A connection for a proof. Nothing that is proved needs more than one statement, and in SQLite a long transaction
    /// would let the journal of the database grow.
    pub(crate) async fn proof(&self) -> Result<Connection, StoreError> {
        match self {
            Self::Sqlite(_) => self.read().await,
            Self::Postgres(pools) => Ok(Connection::Proof(pools.reader.begin_with(BEGIN_PROOF).await?)),
        }
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(pools) => pools.close().await,
            Self::Postgres(pools) => pools.close().await,
        }
    }
}

/// A connection, until it is dropped.
pub(crate) enum Connection {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
    Proof(Transaction<'static, Postgres>),
}

impl Run for Connection {
    fn on(&mut self) -> On<'_> {
        match self {
            Self::Sqlite(connection) => On::Sqlite(connection),
            Self::Postgres(connection) => On::Postgres(connection),
            Self::Proof(tx) => On::Postgres(tx),
        }
    }
}

/// A transaction. Dropped without a commit, it never was.
pub(crate) enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Tx {
    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(tx) => tx.commit().await,
        }
    }
}

impl Run for Tx {
    fn on(&mut self) -> On<'_> {
        match self {
            Self::Sqlite(tx) => On::Sqlite(tx),
            Self::Postgres(tx) => On::Postgres(tx),
        }
    }
}
