//! Databases of a PostgreSQL server that the test command started (tests/postgres/run), one for each test.

use std::{
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use futures_util::TryStreamExt;
use sqlx::{AssertSqlSafe, Connection, PgConnection, migrate::Migrator};
use store::{DatabaseUrl, PostgresServer};
use testkit::Relay;
use tokio::sync::OnceCell;

const TEMPLATE: &str = "apsis_template";

static NEXT: AtomicU32 = AtomicU32::new(0);
/// Whether this process has seen to the template.
static MADE: OnceCell<()> = OnceCell::const_new();

/// A database that goes when it is dropped.
pub(crate) struct Database {
    pub(crate) url: String,
    name: String,
}

/// The URL of a database of the server.
pub(crate) fn url_of(name: &str) -> String {
    #[expect(clippy::disallowed_methods, reason = "the test command says where the server is")]
    let server = std::env::var("TEST_POSTGRES_URL").expect(
        "TEST_POSTGRES_URL is not set: run the tests as `tests/postgres/run cargo test`, or run ./test",
    );
    server.replacen("/postgres?", &format!("/{name}?"), 1)
}

pub(crate) async fn connect(name: &str) -> PgConnection {
    PgConnection::connect(&url_of(name)).await.unwrap()
}

async fn run(on: &mut PgConnection, text: String) {
    sqlx::raw_sql(AssertSqlSafe(text)).execute(on).await.unwrap();
}

/// A database with the schema and nothing else in it, made once for a server.
async fn template() {
    let mut admin = connect("postgres").await;
    run(&mut admin, "SELECT pg_advisory_lock(1)".to_owned()).await;
    let there: Option<i32> = sqlx::query_scalar("SELECT 1 FROM pg_database WHERE datname = $1")
        .bind(TEMPLATE)
        .fetch_optional(&mut admin)
        .await
        .unwrap();
    if there.is_none() {
        run(&mut admin, format!("CREATE DATABASE {TEMPLATE}_next")).await;
        let mut next = connect(&format!("{TEMPLATE}_next")).await;
        Migrator::new(Path::new("migrations/postgres")).await.unwrap().run(&mut next).await.unwrap();
        next.close().await.unwrap();
        run(&mut admin, format!("ALTER DATABASE {TEMPLATE}_next RENAME TO {TEMPLATE}")).await;
    }
    admin.close().await.unwrap();
}

impl Database {
    pub(crate) async fn make() -> Self {
        MADE.get_or_init(template).await;
        Self::of(TEMPLATE).await
    }

    /// One without a schema.
    pub(crate) async fn empty() -> Self {
        Self::of("template0").await
    }

    async fn of(template: &str) -> Self {
        let name = format!("test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        run(&mut connect("postgres").await, format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        Self { url: url_of(&name), name }
    }

    pub(crate) fn server(&self) -> PostgresServer {
        PostgresServer {
            url: self.url.parse().unwrap(),
            connections: 4,
            statement_timeout: Duration::from_secs(30),
        }
    }

    /// A relay to the server, and the URL of this database behind it.
    pub(crate) async fn behind_a_relay(&self) -> (Relay, DatabaseUrl) {
        let directory = self.url.split("host=").nth(1).unwrap().split('&').next().unwrap();
        let relay = Relay::to(Path::new(directory).join(".s.PGSQL.5432")).await.unwrap();
        let url = format!("postgres://postgres@{}/{}?sslmode=disable", relay.address(), self.name);
        (relay, url.parse().unwrap())
    }

    pub(crate) async fn connect(&self) -> PgConnection {
        connect(&self.name).await
    }

    /// Every row, as the server sends it in binary.
    pub(crate) async fn rows(&self) -> Vec<Vec<u8>> {
        let mut connection = self.connect().await;
        let tables: Vec<String> =
            sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'")
                .fetch_all(&mut connection)
                .await
                .unwrap();
        let mut rows = Vec::new();
        for table in tables {
            let copy = format!("COPY (SELECT * FROM ONLY {table}) TO STDOUT (FORMAT binary)");
            let pieces = connection.copy_out_raw(&copy).await.unwrap();
            let pieces: Vec<_> = pieces.try_collect().await.unwrap();
            rows.push(pieces.concat());
        }
        rows
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A test's runtime cannot be waited for here, so this one has its own, on a thread of its own.
        let name = self.name.clone();
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut admin = connect("postgres").await;
                run(&mut admin, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
            });
        });
        assert!(dropped.join().is_ok() || std::thread::panicking());
    }
}
