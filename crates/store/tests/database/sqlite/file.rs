//! What only SQLite is asked: its file, and files of older versions.

use std::{collections::BTreeMap, path::Path};

use crate::fixture::{at, credential_of};
use model::id::ChannelId;
use sqlx::{Connection, SqliteConnection, migrate::Migrator, sqlite::SqliteConnectOptions};
use store::{Location, MasterKey, NewChannel, Store};
use zeroize::Zeroizing;

#[tokio::test]
async fn the_database_keeps_a_write_ahead_log() {
    let fixture = super::open().await;
    let mode: String =
        sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut fixture.raw().await).await.unwrap();
    assert_eq!(mode, "wal");
}

#[tokio::test]
async fn a_proof_changes_nothing() {
    let fixture = super::open().await;
    fixture.account("ada", Some(1_000)).await;
    fixture.store.close().await;
    let before = fixture.contents().await.0;
    assert_eq!(before.len(), 1, "one that is closed is one file");
    let path = fixture.path();
    assert_eq!(Location::File(path.clone()).verify().await.unwrap(), []);
    assert_eq!(std::fs::read(&path).unwrap(), before[0]);
    let nowhere = path.with_file_name("nowhere.db");
    assert!(Location::File(nowhere.clone()).verify().await.is_err());
    std::fs::write(&nowhere, "").unwrap();
    assert!(Location::File(nowhere.clone()).verify().await.is_err(), "an empty file is no ledger");
    assert_eq!(std::fs::metadata(&nowhere).unwrap().len(), 0);
}

async fn connect(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    SqliteConnection::connect_with(&options).await.unwrap()
}

/// A database as the version before this table left it: a channel with a credential, and one without.
#[tokio::test]
async fn an_older_database_keeps_its_credentials() {
    let fixture = super::open().await;
    let channel = NewChannel {
        name: "main".to_owned(),
        base_url: "https://api.example.com/v1".to_owned(),
        credential: Some(Zeroizing::new("one".to_owned())),
        models: Vec::new(),
        mapping: BTreeMap::new(),
        groups: Vec::new(),
        priority: 0,
        weight: 1,
        kind: "openai".to_owned(),
        enabled: true,
    };
    fixture.store.create_channel(&channel, at(1)).await.unwrap();
    let mut new = fixture.raw().await;
    let keys: Vec<(String, Vec<u8>)> =
        sqlx::query_as("SELECT purpose, wrapped FROM data_key").fetch_all(&mut new).await.unwrap();
    let sealed: Vec<u8> =
        sqlx::query_scalar("SELECT sealed FROM channel_credential").fetch_one(&mut new).await.unwrap();

    let directory = tempfile::tempdir().unwrap();
    let migrations = directory.path().join("migrations");
    std::fs::create_dir(&migrations).unwrap();
    for name in ["0001_begin.sql", "0002_ledger.sql"] {
        std::fs::copy(Path::new("migrations/sqlite").join(name), migrations.join(name)).unwrap();
    }
    let path = directory.path().join("apsis.db");
    let mut old = connect(&path).await;
    Migrator::new(migrations.as_path()).await.unwrap().run(&mut old).await.unwrap();
    for (purpose, wrapped) in keys {
        sqlx::query("INSERT INTO data_key (purpose, wrapped) VALUES ($1, $2)")
            .bind(purpose)
            .bind(wrapped)
            .execute(&mut old)
            .await
            .unwrap();
    }
    // A sealed empty text is 41 bytes long: version, nonce and tag.
    for sealed in [sealed, vec![0; 41]] {
        sqlx::query(
            "INSERT INTO channel (name, base_url, sealed, models, mapping, groups, priority, enabled)
             VALUES ('old', 'https://old.example', $1, 'm', '{}', 'default', 4, 1)",
        )
        .bind(sealed)
        .execute(&mut old)
        .await
        .unwrap();
    }
    old.close().await.unwrap();

    let store = Store::open(&path, &fixture.master).await.unwrap();
    let channels = store.list_channels().await.unwrap();
    let shown: Vec<_> = channels.iter().map(|one| (one.id.0, one.weight, one.credentials.len())).collect();
    assert_eq!(shown, [(1, 1, 1), (2, 1, 0)]);
    assert_eq!(credential_of(&store, ChannelId(1)).await, "one");
}

#[tokio::test]
async fn the_books_of_an_older_database_still_add_up() {
    let directory = tempfile::TempDir::new().unwrap();
    let old = directory.path().join("migrations");
    std::fs::create_dir(&old).unwrap();
    let migrations = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    for name in ["0001_begin.sql", "0002_ledger.sql"] {
        std::fs::copy(migrations.join(name), old.join(name)).unwrap();
    }
    let path = directory.path().join("apsis.db");
    let mut raw = connect(&path).await;
    Migrator::new(old).await.unwrap().run(&mut raw).await.unwrap();
    sqlx::raw_sql(
        "INSERT INTO journal (id, name, epoch, applied) VALUES (1, 'old', 1, 20);
         INSERT INTO pool (id, granted, used, leased, suspense, available, unlimited)
            VALUES (1, 100, 30, 0, 0, 70, 0), (2, 30, 30, 0, 0, 0, 1);
         INSERT INTO usage (journal, seq, account, api_key, key_name, key_pool, account_pool, request_id, price_group,
            channel, model, upstream_model, door, stream, price, ratio, client, started, ended, input, cached_input,
            cache_write, output, reasoning, provenance, units, overrun, status)
            VALUES (1, 1, 1, 1, 'k', 1, 2, 'r', 'default', 1, 'm', 'm', '/v1', 0, 1, 1000000, '::1', 1, 2, 0, 0, 0, 0, 0,
                'counted', 30, 0, 200)",
    )
    .execute(&mut raw)
    .await
    .unwrap();
    raw.close().await.unwrap();
    let store = Store::open(&path, &MasterKey::generate().unwrap()).await.unwrap();
    assert_eq!(store.verify().await.unwrap(), []);
}
