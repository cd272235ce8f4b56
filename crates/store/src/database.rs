//! The database: its two pools of connections, transactions, and what both databases do in their own way.

use std::time::Duration;

use sqlx::{Pool, Postgres, Row, Sqlite, Transaction, pool::PoolConnection};

use crate::{
    sql::{On, Run, within},
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
    /// With the longest time that its answers are waited for.
    Postgres(Pools<Postgres>, Duration),
}

/// The writer of the whole installation waits for the one before it, as it does in SQLite. So what is read in a writing
/// transaction stays as it was read, and changes become visible in the order of their numbers. A locked row is what
/// every database of PostgreSQL's kind knows; an advisory lock is not. It also says whose turn it is: of which server of the
/// database, and of which one the turn before was.
const TAKE_TURN: &str =
    "SELECT server.number, usage_next.server FROM usage_next, server WHERE one = 1 FOR UPDATE OF usage_next";
/// One moment of the database, for as long as it takes.
pub(crate) const BEGIN_READING: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
/// A proof reads everything, and may take as long as it takes.
const WITHOUT_END: &str = "SET LOCAL statement_timeout = 0";
/// How long the answer to a statement is waited for that may take long.
const LONG: Duration = Duration::from_secs(610);

impl Database {
    /// A transaction that writes; no other does meanwhile.
    pub(crate) async fn write(&self) -> Result<(Tx, Turn), StoreError> {
        match self {
            Self::Sqlite(pools) => {
                Ok((Tx::Sqlite(pools.writer.begin_with("BEGIN IMMEDIATE").await?), Turn::default()))
            }
            Self::Postgres(pools, limit) => {
                let mut tx = begin(&pools.writer, "BEGIN", None, *limit).await?;
                let row = within(*limit, sqlx::raw_sql(TAKE_TURN).fetch_one(&mut *tx)).await?;
                let turn = Turn { server: row.try_get(0)?, before: row.try_get(1)? };
                Ok((Tx::Postgres(tx, *limit), turn))
            }
        }
    }

    /// A transaction that sees one moment of the database.
    pub(crate) async fn snapshot(&self) -> Result<Tx, StoreError> {
        Ok(match self {
            Self::Sqlite(pools) => Tx::Sqlite(pools.reader.begin().await?),
            Self::Postgres(pools, limit) => {
                Tx::Postgres(begin(&pools.reader, BEGIN_READING, None, *limit).await?, *limit)
            }
        })
    }

    /// A connection that reads, each statement by itself.
    pub(crate) async fn read(&self) -> Result<Connection, StoreError> {
        Ok(match self {
            Self::Sqlite(pools) => Connection::Sqlite(pools.reader.acquire().await?),
            Self::Postgres(pools, limit) => Connection::Postgres(pools.reader.acquire().await?, *limit),
        })
    }

    /// A connection for a proof. Nothing that is proved needs more than one statement, and in SQLite a long transaction
    /// would let the journal of the database grow.
    pub(crate) async fn proof(&self) -> Result<Connection, StoreError> {
        match self {
            Self::Sqlite(_) => self.read().await,
            Self::Postgres(pools, limit) => {
                Ok(Connection::Proof(begin(&pools.reader, BEGIN_READING, Some(WITHOUT_END), *limit).await?))
            }
        }
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(pools) => pools.close().await,
            Self::Postgres(pools, _) => pools.close().await,
        }
    }
}

async fn begin(
    pool: &Pool<Postgres>,
    statement: &'static str,
    then: Option<&'static str>,
    limit: Duration,
) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    // Two statements in one trip would leave a connection behind, if the second fails, that nobody rolls back.
    let mut tx = within(limit, pool.begin_with(statement)).await?;
    if let Some(then) = then {
        within(limit, sqlx::raw_sql(then).execute(&mut *tx)).await?;
    }
    Ok(tx)
}

/// The turn of a transaction that writes.
#[derive(Clone, Copy, Default)]
pub(crate) struct Turn {
    /// The server of the database that it is on; always the same where there is none.
    pub(crate) server: i64,
    /// The one that the transaction before was on.
    pub(crate) before: i64,
}

/// A connection, until it is dropped.
pub(crate) enum Connection {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>, Duration),
    Proof(Transaction<'static, Postgres>),
}

impl Run for Connection {
    fn on(&mut self) -> On<'_> {
        match self {
            Self::Sqlite(connection) => On::Sqlite(connection),
            Self::Postgres(connection, limit) => On::Postgres(connection, *limit),
            Self::Proof(tx) => On::Postgres(tx, Duration::MAX),
        }
    }
}

/// A transaction. Dropped without a commit, it never was.
pub(crate) enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>, Duration),
}

impl Tx {
    /// What comes may take long; not without end, since nothing else is written meanwhile, and a server may go without a word.
    pub(crate) async fn take_long(&mut self) -> Result<(), sqlx::Error> {
        if let Self::Postgres(tx, limit) = self {
            within(*limit, sqlx::raw_sql("SET LOCAL statement_timeout = '10min'").execute(&mut **tx)).await?;
            *limit = LONG;
        }
        Ok(())
    }

    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(tx, limit) => within(limit, tx.commit()).await,
        }
    }
}

impl Run for Tx {
    fn on(&mut self) -> On<'_> {
        match self {
            Self::Sqlite(tx) => On::Sqlite(tx),
            Self::Postgres(tx, limit) => On::Postgres(tx, *limit),
        }
    }
}
