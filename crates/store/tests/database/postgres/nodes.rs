//! Several processes on one PostgreSQL database.

use std::time::Duration;

use crate::{
    fixture::{Fixture, at, batch, charge},
    server::{Database, url_of},
};
use ledger::{Applied, Book};
use model::{
    id::{JournalId, LeaseId},
    key::Settings,
    money::Units,
};
use store::{Group, MasterKey, PostgresServer, Store, StoreError};

fn group(name: &str) -> Group {
    Group { name: name.to_owned(), description: String::new(), ratio: model::price::Ratio::ONE }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_database_is_made_ready_once_by_all_who_come() {
    let database = Database::empty().await;
    let master = MasterKey::generate().unwrap();
    let (server, same) = (database.server(), database.server());
    let (one, other) = tokio::join!(Store::connect(&server, &master), Store::connect(&same, &master));
    let (one, other) = (one.unwrap(), other.unwrap());
    one.create_root("a set-up token", at(1)).await.unwrap().unwrap();
    assert_eq!(other.create_root("another", at(1)).await.unwrap(), None);
    assert!(other.take_setup_token("a set-up token", at(2)).await.unwrap().is_some(), "they digest alike");
    assert_eq!(one.other_processes().await.unwrap(), 1);
    other.close().await;
    one.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_two_of_them_lease_and_spend_adds_up() {
    let fixture = Fixture::on_postgres().await;
    let account = fixture.account("ada", None).await;
    let key = fixture.key(account.id, 1, 1_000, Settings::default()).await.key;
    let other = fixture.reopen(&fixture.master).await.unwrap();
    let spend = async |store: Store, journal: JournalId| {
        store.open_journal(journal).await.unwrap();
        let mut leased = Units::ZERO;
        for round in 0..30 {
            let state = store.lease(journal, key.pool, Units::new(1)).await.unwrap();
            leased = state.amount;
            let mut one = charge(round + 1, &key, [(account.pool, LeaseId(0)); 2], 1);
            one.id.journal = journal;
            let applied = ledger::Batch { journal, ..batch(round * 2, round * 2 + 2, vec![one]) };
            assert_eq!(store.apply(&applied).await, Ok(Applied::Now));
        }
        leased
    };
    let (first, second) =
        tokio::join!(spend(fixture.store.clone(), JournalId(1)), spend(other.clone(), JournalId(2)));
    assert_eq!(first.get() + second.get(), 1_000, "what there is was leased once");
    assert_eq!(fixture.pool(account.pool).await[1], 120, "both draws of 60 charges");
    fixture.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_change_is_overtaken_by_a_later_one() {
    let fixture = Fixture::on_postgres().await;
    let other = fixture.reopen(&fixture.master).await.unwrap();
    let begun = fixture.store.last_change().await.unwrap();
    let write = async |store: Store, name: &str| {
        for index in 0..40 {
            store.put_group(&group(&format!("{name}{index}")), at(1)).await.unwrap();
        }
    };
    let read = async {
        let (mut seen, mut count) = (begun, 0);
        while count < 80 {
            for change in fixture.store.changes_since(seen).await.unwrap() {
                assert!(change.seq > seen);
                seen = change.seq;
                count += 1;
            }
        }
        count
    };
    let ((), (), count) = tokio::join!(write(fixture.store.clone(), "a"), write(other.clone(), "b"), read);
    assert_eq!(count, 80);
}

#[tokio::test]
async fn a_writer_that_does_not_end_is_not_waited_for_without_end() {
    let fixture = Fixture::on_postgres().await;
    let mut stuck = fixture.raw().await;
    sqlx::raw_sql("BEGIN; UPDATE usage_next SET one = one").execute(&mut stuck).await.unwrap();
    let server = PostgresServer { statement_timeout: Duration::from_millis(100), ..fixture.server() };
    let hasty = Store::connect(&server, &fixture.master).await.unwrap();
    let refused = hasty.put_group(&group("g"), at(1)).await.unwrap_err();
    assert!(refused.to_string().contains("statement timeout"), "{refused}");
    sqlx::raw_sql("ROLLBACK").execute(&mut stuck).await.unwrap();
    hasty.put_group(&group("g"), at(1)).await.unwrap();
}

#[tokio::test]
async fn a_database_that_is_not_there_is_told_from_one_that_is_away() {
    let master = MasterKey::generate().unwrap();
    let connect = async |url: &str| {
        let server = PostgresServer {
            url: url.parse().unwrap(),
            connections: 2,
            statement_timeout: Duration::from_secs(1),
        };
        Store::connect(&server, &master).await.unwrap_err()
    };
    let refused = connect("postgres://nobody@127.0.0.1:1/nowhere").await;
    assert!(refused.is_away(), "{refused}");
    let missing = connect(&url_of("nowhere")).await;
    assert!(!missing.is_away() && missing.to_string().contains("\"nowhere\" does not exist"), "{missing}");
}

#[tokio::test]
async fn a_text_that_the_database_cannot_hold_is_the_caller_s_fault() {
    let fixture = Fixture::on_postgres().await;
    let refused = fixture.store.put_group(&group("a\0b"), at(1)).await;
    assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
    fixture.store.put_group(&group("ab"), at(1)).await.unwrap();
}
