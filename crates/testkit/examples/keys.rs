//! Fills a database with API keys, for the benchmark: `keys DATABASE MASTER_KEY_FILE STORED USED`, where DATABASE is the file
//! of a SQLite database or the URL of a PostgreSQL database.
//!
//! Prints the keys that the benchmark uses, one a line; they are made as the program makes them, with a quota. The
//! others are only stored: rows like theirs with a random digest, all in one transaction, before and behind them.

use std::{error::Error, io::Write, path::Path, time::Duration};

use model::{
    clock::{Clock, SystemClock},
    credential::{Class, Credential},
    key::Settings,
    money::Units,
};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection, sqlite::SqliteConnectOptions};
use store::{Location, MasterKey, PostgresServer};

const QUOTA: Units = Units::new(1_000_000_000);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [database, master, stored, used] = arguments.as_slice() else {
        return Err("usage: keys DATABASE MASTER_KEY_FILE STORED USED".into());
    };
    let (stored, used): (i64, i64) = (stored.parse()?, used.parse()?);
    let master = MasterKey::from_hex(&std::fs::read_to_string(master)?)?;
    let location = location(database);
    let store = location.open(&master).await?;
    let root = store.account_by_username("root").await?.ok_or("there is no root account")?;
    let others = (stored - used).max(0);
    fill(&location, database, root.id.0, others / 2).await?;
    let mut out = std::io::stdout().lock();
    for number in 0..used {
        let key = Credential::generate(Class::ApiKey, getrandom::fill)?;
        let settings = Settings { name: format!("used {number}"), ..Settings::default() };
        store.create_key(root.id, &settings, QUOTA, &key, SystemClock.now()).await?;
        writeln!(out, "{}", key.expose())?;
    }
    fill(&location, database, root.id.0, others - others / 2).await?;
    store.close().await;
    Ok(())
}

fn location(place: &str) -> Location {
    let server = place.parse().map(|url| PostgresServer {
        url,
        connections: 2,
        statement_timeout: Duration::from_secs(60),
    });
    server.map_or_else(|_| Location::File(Path::new(place).to_owned()), Location::Server)
}

async fn fill(location: &Location, place: &str, account: i64, count: i64) -> Result<(), sqlx::Error> {
    match location {
        Location::File(path) => {
            let options = SqliteConnectOptions::new().filename(path);
            let random = "randomblob(32), randomblob(92)";
            let mut raw = SqliteConnection::connect_with(&options).await?;
            sqlx::raw_sql(AssertSqlSafe(text("BEGIN IMMEDIATE", "", random, account, count)))
                .execute(&mut raw)
                .await?;
            raw.close().await
        }
        Location::Server(_) => {
            let mut raw = PgConnection::connect(place).await?;
            let random = "sha256(id::text::bytea), sha256(id::text::bytea) || sha256(id::text::bytea)";
            let next = "SELECT setval('pool_id_seq', (SELECT max(id) FROM pool));";
            sqlx::raw_sql(AssertSqlSafe(text("BEGIN", next, random, account, count)))
                .execute(&mut raw)
                .await?;
            raw.close().await
        }
    }
}

/// Rows of keys, and of the pools that they have.
fn text(begin: &str, behind_pools: &str, random: &str, account: i64, count: i64) -> String {
    format!(
        "{begin};
         CREATE TEMPORARY TABLE last AS SELECT coalesce(max(id), 0) AS id FROM pool;
         WITH RECURSIVE n (i) AS (SELECT 1 WHERE {count} > 0 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
         INSERT INTO pool (id, granted, used, leased, suspense, available, unlimited)
         SELECT (SELECT id FROM last) + i, 1000, 0, 0, 0, 1000, 0 FROM n;
         {behind_pools}
         INSERT INTO api_key (account, pool, digest, sealed, status, name, name_folded, expires,
            model_limits_enabled, model_limits, allow_ips, own_group, cross_group_retry, created, accessed)
         SELECT {account}, id, {random}, 1, 'key ' || id, 'key ' || id, NULL, 0, '', NULL, '', 0, 0, 0
         FROM pool WHERE id > (SELECT id FROM last);
         DROP TABLE last;
         COMMIT"
    )
}
