//! What a program of an older schema left is there after an upgrade. `tests/database/upgrade` has a backup that was made of a
//! database with step 41 of the schema, after a program of that time had run on it: an account with a balance, a
//! password and two keys, a channel, and three charges of 136 units. Its master key is 01, 32 times.

use std::{path::Path, time::Duration};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{
    new::make,
    restore::{check, fill},
};
use crate::{Location, MasterKey, Page, PostgresServer, Store, UsageFilter};

/// The database as that program left it.
async fn left(place: &Location) {
    let backup = Path::new("tests/database/upgrade/0041.backup");
    let begin = check(backup).await.unwrap();
    make(place, async |new| fill(new, &begin, backup).await).await.unwrap();
    let steps = place.migrations().await.unwrap();
    let last = steps.iter().rfind(|step| step.applied).unwrap();
    assert!(last.number == 41 && steps.last().unwrap().number > 41, "{steps:?}");
}

async fn assert_all_is_there(place: &Location, store: &Store) {
    assert!(place.migrations().await.unwrap().iter().all(|step| step.applied));
    assert_eq!(store.verify().await.unwrap(), []);
    let ada = store.account_by_username("ada").await.unwrap().unwrap();
    assert!(store.password_hash(ada.id).await.unwrap().unwrap().starts_with("$argon2id$"));
    let keys = store.list_keys(ada.id, Page { number: 1, size: 9 }).await.unwrap().0;
    let key = keys.iter().find(|view| view.key.settings.name == "first").unwrap();
    assert_eq!((key.used.get(), key.remaining.get()), (408, 3_592));
    assert_eq!(key.secret.as_str(), "sk-vHCa3aXdY5IsnXAZC17zAZW6vXvddIwqdc0myUGksm3IBEN8");
    let filter = UsageFilter { account: Some(ada.id), ..UsageFilter::default() };
    let (records, count) = store.usage(&filter, 0, 10).await.unwrap();
    assert_eq!((records.len(), count), (3, 3));
    assert!(records.iter().all(|record| record.units.get() == 136));
    assert_eq!(store.list_channels().await.unwrap().len(), 1);
}

fn master() -> MasterKey {
    MasterKey::from_hex(&"01".repeat(32)).unwrap()
}

#[tokio::test]
async fn a_file_of_an_older_program_is_upgraded_with_what_is_in_it() {
    let directory = tempfile::TempDir::new().unwrap();
    let place = Location::File(directory.path().join("apsis.db"));
    left(&place).await;
    let store = place.open(&master()).await.unwrap();
    assert_all_is_there(&place, &store).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_an_older_program_is_upgraded_once_by_all_who_come() {
    #[expect(clippy::disallowed_methods, reason = "the test command says where the server is")]
    let url = std::env::var("TEST_POSTGRES_URL").unwrap();
    let mut admin = PgConnection::connect(&url).await.unwrap();
    let name = format!("upgrade_{}", std::process::id());
    sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut admin).await.unwrap();
    let place = Location::Server(PostgresServer {
        url: url.replacen("/postgres?", &format!("/{name}?"), 1).parse().unwrap(),
        connections: 2,
        statement_timeout: Duration::from_secs(30),
    });
    left(&place).await;
    let master = master();
    let opened = tokio::join!(place.open(&master), place.open(&master), place.open(&master));
    let stores = [opened.0.unwrap(), opened.1.unwrap(), opened.2.unwrap()];
    assert_all_is_there(&place, &stores[0]).await;
    for store in stores {
        store.close().await;
    }
    sqlx::raw_sql(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)")))
        .execute(&mut admin)
        .await
        .unwrap();
}
