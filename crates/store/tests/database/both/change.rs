//! What running servers learn of changes.

use store::{AccountChange, Kind};

use super::{
    identity::SETUP,
    key::{edit, named},
    secret::channel,
};
use crate::fixture::{Fixture, at};

const HOUR: i64 = 3_600_000;

/// What running servers learn after `seq`.
pub(super) async fn changes(fixture: &Fixture, seq: i64) -> Vec<(Kind, i64)> {
    let changes = fixture.store.changes_since(seq).await.unwrap();
    changes.list.into_iter().map(|change| (change.kind, change.id)).collect()
}

#[tokio::test]
async fn every_edit_is_on_the_record_in_order() {
    let fixture = super::open().await;
    let store = &fixture.store;
    assert_eq!((store.last_change().await.unwrap(), changes(&fixture, 0).await), (0, vec![]));
    let root = store.create_root(SETUP, at(1)).await.unwrap().unwrap();
    let ada = fixture.account("ada", None).await.id;
    let key = fixture.key(ada, 1, 0, named("first")).await.key.id;
    let middle = store.last_change().await.unwrap();
    store.update_key(ada, key, &edit(named("first"), None), at(2)).await.unwrap();
    store.update_account(ada, AccountChange::default(), at(2)).await.unwrap();
    let channel = store.create_channel(&channel(), at(2)).await.unwrap().id;
    store.delete_keys(ada, &[key], at(3)).await.unwrap();

    let early = [(Kind::Account, root.0), (Kind::Account, ada.0), (Kind::Key, key.0)];
    let late = [(Kind::Key, key.0), (Kind::Account, ada.0), (Kind::Routing, channel.0), (Kind::Key, key.0)];
    assert_eq!(changes(&fixture, 0).await, [&early[..], &late].concat());
    assert_eq!(changes(&fixture, middle).await, late);
    let seqs: Vec<_> =
        store.changes_since(0).await.unwrap().list.into_iter().map(|change| change.seq).collect();
    assert!(seqs.is_sorted_by(|one, next| one < next));
    assert_eq!(seqs.last().copied(), Some(store.last_change().await.unwrap()));
    assert_eq!(changes(&fixture, store.last_change().await.unwrap()).await, []);
}

#[tokio::test]
async fn the_record_forgets_after_an_hour_and_its_places_are_not_used_again() {
    let fixture = super::open().await;
    let store = &fixture.store;
    let ada = fixture.account("ada", None).await.id;
    let touch = async |millis| {
        store.update_account(ada, AccountChange::default(), at(millis)).await.unwrap();
        store.changes_since(0).await.unwrap().list.into_iter().map(|change| change.seq).collect::<Vec<_>>()
    };
    let first = store.last_change().await.unwrap();
    assert_eq!(touch(1 + HOUR).await, [first, first + 1]);
    assert_eq!(touch(2 + HOUR).await, [first + 1, first + 2]);
    assert_eq!(touch(3 + 3 * HOUR).await, [first + 3]);
    assert_eq!(store.last_change().await.unwrap(), first + 3);
}

#[tokio::test]
async fn who_asks_too_late_learns_that_something_is_missing() {
    let fixture = super::open().await;
    let store = &fixture.store;
    let reaches_back = async |seq| store.changes_since(seq).await.unwrap().reaches_back;
    assert!(reaches_back(0).await && !reaches_back(1).await);
    let ada = fixture.account("ada", None).await.id;
    let first = store.last_change().await.unwrap();
    for millis in [HOUR / 2, 2 * HOUR] {
        store.update_account(ada, AccountChange::default(), at(millis)).await.unwrap();
    }
    assert!(!reaches_back(first).await);
    assert!(reaches_back(first + 1).await && reaches_back(first + 2).await);
    assert!(!reaches_back(first + 3).await, "a change that the database has never had");
}
