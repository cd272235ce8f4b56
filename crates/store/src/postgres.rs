//! PostgreSQL: how it is reached, and how its schema is brought up to date.

use std::{fmt, str::FromStr, time::Duration};

use sqlx::{
    Connection, PgConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{
    database::{Database, Pools},
    store::StoreError,
};

/// How long a request for a connection waits.
const ACQUIRE: Duration = Duration::from_secs(5);

/// Where a PostgreSQL database is, and who asks: a secret, for there is a password in it.
#[derive(Clone)]
pub struct DatabaseUrl(PgConnectOptions);

/// A text that does not say where a PostgreSQL database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the URL of a database is such as postgres://user:password@host/database; special characters in the password are \
     percent-encoded"
)]
pub struct NotADatabaseUrl;

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(…)")
    }
}

impl FromStr for DatabaseUrl {
    type Err = NotADatabaseUrl;

    fn from_str(text: &str) -> Result<Self, NotADatabaseUrl> {
        if !["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Err(NotADatabaseUrl);
        }
        let options: PgConnectOptions = text.parse().map_err(|_| NotADatabaseUrl)?;
        Ok(Self(options.application_name("apsis")))
    }
}

/// How a PostgreSQL database is used.
#[derive(Clone, Debug)]
pub struct PostgresServer {
    /// Where it is.
    pub url: DatabaseUrl,
    /// The most connections of this process, at least 2: one writes, the others read.
    pub connections: u32,
    /// How long a statement may take, and how long the server waits for the next one of a transaction.
    pub statement_timeout: Duration,
}

impl PostgresServer {
    fn settings(&self) -> String {
        let millis = self.statement_timeout.as_millis();
        format!("SET statement_timeout = {millis}; SET idle_in_transaction_session_timeout = {millis}")
    }

    fn pool(&self, connections: u32) -> PgPoolOptions {
        let settings = self.settings();
        PgPoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE).after_connect(
            move |connection, _| {
                let settings = sqlx::AssertSqlSafe(settings.clone());
                Box::pin(async move { sqlx::raw_sql(settings).execute(connection).await.map(drop) })
            },
        )
    }
}

/// Connects, and brings the schema up to date.
pub(crate) async fn open(server: &PostgresServer) -> Result<Database, StoreError> {
    // A connection of its own: no time-out ends a long step, and an advisory lock makes other processes wait.
    let mut connection = PgConnection::connect_with(&server.url.0).await?;
    sqlx::migrate!("migrations/postgres").run(&mut connection).await?;
    connection.close().await?;
    let writer = server.pool(1).connect_lazy_with(server.url.0.clone());
    let reader = server.pool(server.connections.max(2) - 1).connect_lazy_with(server.url.0.clone());
    Ok(Database::Postgres(Pools { writer, reader }))
}

/// A connection that changes nothing, and may take its time.
pub(crate) async fn open_to_read(url: &DatabaseUrl) -> Result<PgConnection, StoreError> {
    let options = url.0.clone().options([("default_transaction_read_only", "on")]);
    Ok(PgConnection::connect_with(&options).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_postgres_database_and_is_never_shown() {
        for text in ["", "mysql://a/b", "host=a", "postgres//a", "postgres://a:port/b"] {
            assert_eq!(text.parse::<DatabaseUrl>().err(), Some(NotADatabaseUrl), "{text}");
        }
        let url: DatabaseUrl =
            "postgres://ada:s%40fe@db.example.com:5433/apsis?sslmode=require".parse().unwrap();
        assert_eq!(
            (url.0.get_host(), url.0.get_port(), url.0.get_database()),
            ("db.example.com", 5433, Some("apsis"))
        );
        let server = PostgresServer { url, connections: 2, statement_timeout: Duration::from_secs(1) };
        let shown = format!("{server:?}");
        assert!(!shown.contains("s@fe") && !shown.contains("ada"), "{shown}");
    }
}
