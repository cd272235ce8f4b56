//! Fills a database with API keys, for the benchmark: `keys DATABASE MASTER_KEY_FILE STORED USED`.
//!
//! Prints the keys that the benchmark uses, one a line; they are made as the program makes them, with a quota. The
//! others are only stored: rows like theirs with a random digest, all in one transaction, before and behind them.

use std::{error::Error, io::Write, path::Path};

use model::{
    clock::{Clock, SystemClock},
    credential::{Class, Credential},
    key::Settings,
    money::Units,
};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use store::{MasterKey, Store};

const QUOTA: Units = Units::new(1_000_000_000);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [database, master, stored, used] = arguments.as_slice() else {
        return Err("usage: keys DATABASE MASTER_KEY_FILE STORED USED".into());
    };
    let (stored, used): (i64, i64) = (stored.parse()?, used.parse()?);
    let master = MasterKey::from_hex(&std::fs::read_to_string(master)?)?;
    let store = Store::open(Path::new(database), &master).await?;
    let root = store.account_by_username("root").await?.ok_or("there is no root account")?;
    let others = (stored - used).max(0);
    let mut raw = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(database)).await?;
    fill(&mut raw, root.id.0, others / 2).await?;
    let mut out = std::io::stdout().lock();
    for number in 0..used {
        let key = Credential::generate(Class::ApiKey, getrandom::fill)?;
        let settings = Settings { name: format!("used {number}"), ..Settings::default() };
        store.create_key(root.id, &settings, QUOTA, &key, SystemClock.now()).await?;
        writeln!(out, "{}", key.expose())?;
    }
    fill(&mut raw, root.id.0, others - others / 2).await?;
    raw.close().await?;
    store.close().await;
    Ok(())
}

async fn fill(raw: &mut SqliteConnection, account: i64, count: i64) -> Result<(), sqlx::Error> {
    let mut tx = raw.begin_with("BEGIN IMMEDIATE").await?;
    let last: i64 = sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM pool").fetch_one(&mut *tx).await?;
    sqlx::query(
        "WITH RECURSIVE n (i) AS (SELECT 1 WHERE $2 > 0 UNION ALL SELECT i + 1 FROM n WHERE i < $2)
         INSERT INTO pool (id, granted, used, leased, suspense, available, unlimited)
         SELECT $1 + i, 1000, 0, 0, 0, 1000, 0 FROM n",
    )
    .bind(last)
    .bind(count)
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "INSERT INTO api_key (account, pool, digest, sealed, status, name, name_folded, expires,
            model_limits_enabled, model_limits, allow_ips, own_group, cross_group_retry, created, accessed)
         SELECT $1, id, randomblob(32), randomblob(92), 1, 'key ' || id, 'key ' || id, NULL, 0, '', NULL, '', 0, 0, 0
         FROM pool WHERE id > $2",
    )
    .bind(account)
    .bind(last)
    .execute(&mut *tx)
    .await?;
    tx.commit().await
}
