//! PostgreSQL: how it is reached, and how its schema is brought up to date.

use std::{convert::Infallible, fmt, str::FromStr, time::Duration};

use sqlx::{
    AssertSqlSafe, Connection, PgConnection, Pool, Postgres,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::sync::Notify;

use crate::{
    database::{Database, Pools},
    schema::POSTGRES,
    sql::{Engine, Run, within},
    store::{Store, StoreError},
};

/// How long a request for a connection waits.
const ACQUIRE: Duration = Duration::from_secs(5);

/// How much longer than a statement may take its answer is waited for.
const GRACE: Duration = Duration::from_secs(2);

/// What the name of every process begins with, as the server knows it.
const PROCESS: &str = "apsis-";

/// Where a PostgreSQL database is, and who asks: a secret, for there is a password in it.
#[derive(Clone)]
pub struct DatabaseUrl(Box<PgConnectOptions>);

impl DatabaseUrl {
    /// Which database it is, for people: nothing secret.
    pub(crate) fn place(&self) -> String {
        let name = self.0.get_database().unwrap_or_else(|| self.0.get_username());
        match self.0.get_socket() {
            Some(socket) => format!("the PostgreSQL database {name} at {}", socket.display()),
            None => format!("the PostgreSQL database {name} at {}:{}", self.0.get_host(), self.0.get_port()),
        }
    }
}

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
        // Every process has a name of its own, so that it can tell the others from itself.
        let number = getrandom::u32().unwrap_or_else(|_| std::process::id());
        Ok(Self(Box::new(options.application_name(&format!("{PROCESS}{number:08x}")))))
    }
}

/// What was committed outlives the death of the database, whatever its own settings say: a journal forgets what is in the
/// book. A server that waits for more than its own disk goes on doing so.
const DURABLE: &str = "SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') IN ('off', 'local')";

/// What suits short questions of much data, unless somebody has decided otherwise for this server, database or user. Compiling
/// a question of many partitions takes longer than any answer of ours; and by the costs of a disk with an arm, reading all of
/// a table is taken to be faster than reading a part of an index.
const PLANS: &str =
    "SELECT set_config(name, CASE name WHEN 'jit' THEN 'off' ELSE '1.1' END, false) FROM pg_settings
    WHERE name IN ('jit', 'random_page_cost') AND source = 'default'";

/// How a PostgreSQL database is used.
#[derive(Clone, Debug)]
pub struct PostgresServer {
    /// Where it is.
    pub url: DatabaseUrl,
    /// The most connections of this process, at least 2, beside one that listens: one writes, the others read. A proof
    /// takes one of those for as long as it lasts.
    pub connections: u32,
    /// How long a statement may take, and how long the server waits for the next one of a transaction.
    pub statement_timeout: Duration,
}

impl PostgresServer {
    fn settings(&self) -> String {
        let millis = self.statement_timeout.as_millis();
        format!(
            "SET statement_timeout = {millis}; SET idle_in_transaction_session_timeout = {millis}; {DURABLE}; {PLANS}"
        )
    }

    fn pool(&self, connections: u32) -> PgPoolOptions {
        let settings = self.settings();
        PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE)
            .after_connect(move |connection, _| {
                let settings = AssertSqlSafe(settings.clone());
                Box::pin(async move { sqlx::raw_sql(settings).execute(connection).await.map(drop) })
            })
            // A connection whose server does not answer any more is given up, not waited for with its place in the pool.
            .after_release(|connection, _| {
                Box::pin(async move { within(ACQUIRE, connection.ping()).await.map(|()| true) })
            })
    }
}

/// Connects, and brings the schema up to date.
pub(crate) async fn open(server: &PostgresServer) -> Result<Database, StoreError> {
    // A connection of its own: no time-out ends a long step, and an advisory lock makes other processes wait.
    let mut connection = open_alone(&server.url).await?;
    POSTGRES.run(&mut connection).await?;
    connection.close().await?;
    let writer = server.pool(1).connect_lazy_with(server.url.0.as_ref().clone());
    // One of them listens, for as long as a ledger is open.
    let reader = server.pool(server.connections.max(2)).connect_lazy_with(server.url.0.as_ref().clone());
    Ok(Database::Postgres(Pools { writer, reader }, server.statement_timeout.saturating_add(GRACE)))
}

/// A connection that changes nothing, and may take its time.
pub(crate) async fn open_to_read(url: &DatabaseUrl) -> Result<PgConnection, StoreError> {
    let options = url.0.as_ref().clone().options([("default_transaction_read_only", "on")]);
    Ok(within(ACQUIRE, PgConnection::connect_with(&options)).await?)
}

/// A connection of its own that may take its time.
pub(crate) async fn open_alone(url: &DatabaseUrl) -> Result<PgConnection, StoreError> {
    let mut connection = within(ACQUIRE, PgConnection::connect_with(&url.0)).await?;
    sqlx::raw_sql(DURABLE).execute(&mut connection).await?;
    Ok(connection)
}

/// Where nodes tell each other that something is wanted.
const CHANNEL: &str = "apsis_wish";
/// Between two tries to listen.
const RETRY: Duration = Duration::from_secs(5);

/// Tells everybody who listens.
pub(crate) async fn notify(store: &Store, who: &str) -> Result<(), StoreError> {
    store.read().await?.query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(who).execute().await?;
    Ok(())
}

/// Passes on what others tell, for as long as it is not dropped.
pub(crate) async fn listen(pool: &Pool<Postgres>, who: &str, heard: &Notify) {
    let mut said = false;
    loop {
        let Err(error) = pass_on(pool, who, heard).await;
        if !said {
            tracing::info!(%error, "the database does not tell what other nodes want; it is asked with every heartbeat");
            said = true;
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn pass_on(pool: &Pool<Postgres>, who: &str, heard: &Notify) -> Result<Infallible, sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    loop {
        // After a connection that was lost something may have been missed.
        if listener.try_recv().await?.is_none_or(|told| told.payload() != who) {
            heard.notify_one();
        }
    }
}

impl Store {
    /// How many other processes of this program use the same PostgreSQL database; none can be seen in SQLite.
    ///
    /// # Errors
    /// The database.
    pub async fn other_processes(&self) -> Result<i64, StoreError> {
        let mut connection = self.read().await?;
        if connection.engine() == Engine::Sqlite {
            return Ok(0);
        }
        let others = connection.query(
            "SELECT count(DISTINCT application_name) FROM pg_stat_activity WHERE datname = current_database()
                AND application_name LIKE $1 AND application_name <> current_setting('application_name')",
        );
        Ok(others.bind(format!("{PROCESS}%")).scalar().await?)
    }
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

    /// The server that `tests/postgres/run` starts, whose own commits wait for nothing.
    fn of_the_tests() -> PostgresServer {
        #[expect(clippy::disallowed_methods, reason = "where the tests' server is")]
        let url = std::env::var("TEST_POSTGRES_URL").unwrap();
        PostgresServer {
            url: url.parse().unwrap(),
            connections: 2,
            statement_timeout: Duration::from_secs(10),
        }
    }

    async fn said(server: &PostgresServer, setting: &'static str) -> String {
        let pool = server.pool(1).connect_lazy_with(server.url.0.as_ref().clone());
        sqlx::query_scalar("SELECT current_setting($1)").bind(setting).fetch_one(&pool).await.unwrap()
    }

    #[tokio::test]
    async fn a_commit_waits_for_the_disk_whatever_the_server_says() {
        let server = of_the_tests();
        assert_eq!(said(&server, "synchronous_commit").await, "on");
        let mut alone = open_alone(&server.url).await.unwrap();
        let said: String = sqlx::query_scalar("SHOW synchronous_commit").fetch_one(&mut alone).await.unwrap();
        assert_eq!(said, "on");
    }

    #[tokio::test]
    async fn questions_are_planned_for_what_they_are_unless_somebody_has_decided() {
        let mut server = of_the_tests();
        assert_eq!(said(&server, "jit").await, "off");
        assert_eq!(said(&server, "random_page_cost").await, "1.1");
        *server.url.0 = server.url.0.clone().options([("jit", "on"), ("random_page_cost", "3")]);
        assert_eq!(said(&server, "jit").await, "on");
        assert_eq!(said(&server, "random_page_cost").await, "3");
    }
}
