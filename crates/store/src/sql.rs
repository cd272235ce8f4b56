//! One text of SQL for both databases.
//!
//! A statement is written once, with `$1` parameters, and runs on the connection that it is made from: which database
//! that is, is asked here and nowhere else. Values are encoded by the database's own driver as they are bound, so
//! nothing lies between a statement and its connection.

use std::{io, time::Duration};

use sqlx::{
    Encode, FromRow, PgConnection, Postgres, SqlSafeStr, Sqlite, SqliteConnection, Type,
    postgres::{PgArguments, PgRow},
    query::Query as Bound,
    sqlite::{SqliteArguments, SqliteRow},
};

use crate::build::Sql;

/// Which database speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// A value that both databases take.
pub(crate) trait Value<'t>:
    Encode<'t, Sqlite> + Type<Sqlite> + Encode<'t, Postgres> + Type<Postgres>
{
}

impl<'t, T> Value<'t> for T where T: Encode<'t, Sqlite> + Type<Sqlite> + Encode<'t, Postgres> + Type<Postgres> {}

/// What is read from a row of either.
pub(crate) trait Record:
    for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{
}

impl<T> Record for T where T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}

/// A connection, borrowed.
pub(crate) enum On<'c> {
    Sqlite(&'c mut SqliteConnection),
    /// With the longest time that a server's answer is waited for.
    Postgres(&'c mut PgConnection, Duration),
}

/// What statements run on.
pub(crate) trait Run: Send {
    /// Its connection.
    fn on(&mut self) -> On<'_>;

    fn engine(&mut self) -> Engine {
        match self.on() {
            On::Sqlite(_) => Engine::Sqlite,
            On::Postgres(..) => Engine::Postgres,
        }
    }

    /// A statement, to be bound and run.
    fn query(&mut self, text: impl SqlSafeStr) -> Query<'_> {
        match self.on() {
            On::Sqlite(on) => Query::Sqlite(sqlx::query(text), on),
            On::Postgres(on, limit) => Query::Postgres(sqlx::query(text), on, limit),
        }
    }

    /// A statement that was put together, with all its values.
    fn built(&mut self, sql: Sql) -> Query<'_> {
        let (text, values) = sql.finish(self.engine());
        values.into_iter().fold(self.query(text), |query, value| value.bind_to(query))
    }
}

impl Run for SqliteConnection {
    fn on(&mut self) -> On<'_> {
        On::Sqlite(self)
    }
}

impl Run for PgConnection {
    fn on(&mut self) -> On<'_> {
        On::Postgres(self, Duration::MAX)
    }
}

/// A statement with its values, and where it runs.
#[must_use = "a statement does nothing until it is run"]
pub(crate) enum Query<'c> {
    Sqlite(Bound<'static, Sqlite, SqliteArguments>, &'c mut SqliteConnection),
    Postgres(Bound<'static, Postgres, PgArguments>, &'c mut PgConnection, Duration),
}

/// What a server answers in time. One that has gone without a word is not waited for: its connection is given up.
pub(crate) async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let late = |_| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into()));
    tokio::time::timeout(limit, answer).await.unwrap_or_else(late)
}

macro_rules! either {
    ($query:expr, $bound:ident, $on:ident => $run:expr) => {
        match $query {
            Query::Sqlite($bound, $on) => $run,
            Query::Postgres($bound, $on, limit) => within(limit, async { $run }).await,
        }
    };
}

impl Query<'_> {
    /// The next parameter.
    pub(crate) fn bind<'t>(self, value: impl Value<'t>) -> Self {
        match self {
            Self::Sqlite(bound, on) => Self::Sqlite(bound.bind(value), on),
            Self::Postgres(bound, on, limit) => Self::Postgres(bound.bind(value), on, limit),
        }
    }

    /// Not to be remembered by the connection: its text will hardly come again.
    pub(crate) fn once(self) -> Self {
        match self {
            Self::Sqlite(bound, on) => Self::Sqlite(bound.persistent(false), on),
            Self::Postgres(bound, on, limit) => Self::Postgres(bound.persistent(false), on, limit),
        }
    }

    /// Runs it; how many rows it wrote.
    pub(crate) async fn execute(self) -> Result<u64, sqlx::Error> {
        either!(self, bound, on => bound.execute(on).await.map(|done| done.rows_affected()))
    }

    pub(crate) async fn fetch_all<T: Record>(self) -> Result<Vec<T>, sqlx::Error> {
        either!(self, bound, on => bound.try_map(|row| T::from_row(&row)).fetch_all(on).await)
    }

    pub(crate) async fn fetch_one<T: Record>(self) -> Result<T, sqlx::Error> {
        either!(self, bound, on => bound.try_map(|row| T::from_row(&row)).fetch_one(on).await)
    }

    pub(crate) async fn fetch_optional<T: Record>(self) -> Result<Option<T>, sqlx::Error> {
        either!(self, bound, on => bound.try_map(|row| T::from_row(&row)).fetch_optional(on).await)
    }

    /// The only column of every row.
    pub(crate) async fn scalars<T>(self) -> Result<Vec<T>, sqlx::Error>
    where
        (T,): Record,
    {
        Ok(self.fetch_all().await?.into_iter().map(|(value,)| value).collect())
    }

    /// The only column of the one row.
    pub(crate) async fn scalar<T>(self) -> Result<T, sqlx::Error>
    where
        (T,): Record,
    {
        self.fetch_one().await.map(|(value,)| value)
    }

    /// The only column of the row that there may be.
    pub(crate) async fn optional_scalar<T>(self) -> Result<Option<T>, sqlx::Error>
    where
        (T,): Record,
    {
        Ok(self.fetch_optional().await?.map(|(value,)| value))
    }
}
