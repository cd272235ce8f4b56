//! Keys by name, by status and in every order.

use model::{
    clock::Timestamp,
    credential::Class,
    id::AccountId,
    key::{Settings, Status},
    money::Units,
};
use sqlx::Connection;
use store::{KeyChange, KeyFilter, KeyOrder, Page, Store};

use crate::fixture::{Fixture, at, credential};

const NOW: Timestamp = at(1_000);

async fn names(store: &Store, account: AccountId, filter: &KeyFilter) -> Vec<String> {
    let page = Page { number: 1, size: 100 };
    let found = store.find_keys(account, filter, page, NOW).await.unwrap();
    assert_eq!((i64::try_from(found.keys.len()), found.more), (Ok(found.total), false));
    found.keys.into_iter().map(|view| view.key.settings.name).collect()
}

#[tokio::test]
async fn a_damaged_key_hides_no_other_and_can_be_deleted() {
    let fixture = super::open().await;
    let store = &fixture.store;
    let ada = fixture.account("ada", None).await.id;
    for (seed, name) in [(1, "first"), (2, "damaged"), (3, "last")] {
        let settings = Settings { name: name.to_owned(), ..Settings::default() };
        fixture.key(ada, seed, 5, settings).await;
    }
    sqlx::query("UPDATE api_key SET sealed = $1 WHERE name = 'damaged'")
        .bind(b"damaged".as_slice())
        .execute(&mut fixture.raw().await)
        .await
        .unwrap();
    let page = Page { number: 1, size: 100 };
    let found = store.find_keys(ada, &KeyFilter::default(), page, NOW).await.unwrap().keys;
    let listed = store.list_keys(ada, page).await.unwrap().0;
    let searched = store.search_keys(ada, "a", page).await.unwrap().0;
    for keys in [&found, &listed, &searched] {
        for view in keys {
            assert_eq!(view.is_damaged(), view.key.settings.name == "damaged");
        }
    }
    assert_eq!((found.len(), listed.len(), searched.len()), (3, 3, 2));
    // It goes on working for who has it, can be changed, and can be deleted.
    let digest = store.api_key_digest(credential(Class::ApiKey, 2).expose()).unwrap();
    let (key, _) = store.key_by_digest(&digest).await.unwrap().unwrap();
    let settings = Settings { name: "renamed".to_owned(), ..key.settings };
    let change = KeyChange { settings, status: Status::Disabled, quota: None };
    assert!(store.update_key(ada, key.id, &change, NOW).await.unwrap().is_damaged());
    assert_eq!(store.delete_keys(ada, &[key.id], NOW).await.unwrap(), 1);
}

/// Five keys of each kind, made in this order: c lives, b ended, a was switched off, E is used up, d has no limit.
async fn five() -> (Fixture, AccountId) {
    let fixture = super::open().await;
    let ada = fixture.account("ada", None).await.id;
    let eve = fixture.account("eve", None).await.id;
    let settings = |name: &str, expires: Option<i64>, unlimited_quota| Settings {
        name: name.to_owned(),
        expires: expires.map(at),
        unlimited_quota,
        ..Settings::default()
    };
    fixture.key(ada, 1, 30, settings("c", Some(2_000), false)).await;
    fixture.key(ada, 2, 20, settings("b", Some(1_000), false)).await;
    let off = fixture.key(ada, 3, 10, settings("a", None, false)).await;
    fixture.key(ada, 4, 0, settings("E", Some(3_000), false)).await;
    fixture.key(ada, 5, 0, settings("d", None, true)).await;
    fixture.key(eve, 6, 0, settings("of eve", None, false)).await;
    let change =
        KeyChange { settings: off.key.settings, status: Status::Disabled, quota: Some(Units::new(10)) };
    fixture.store.update_key(ada, off.key.id, &change, at(1)).await.unwrap();
    (fixture, ada)
}

#[tokio::test]
async fn keys_are_in_every_order_and_its_reverse() {
    let (fixture, ada) = five().await;
    for (order, expected) in [
        (KeyOrder::Created, ["c", "b", "a", "E", "d"]),
        (KeyOrder::Name, ["a", "b", "c", "d", "E"]),
        (KeyOrder::Expires, ["b", "c", "E", "a", "d"]),
        (KeyOrder::Remaining, ["E", "a", "b", "c", "d"]),
        (KeyOrder::Used, ["c", "b", "a", "E", "d"]),
        (KeyOrder::Accessed, ["c", "b", "a", "E", "d"]),
    ] {
        let filter = KeyFilter { order, ..KeyFilter::default() };
        assert_eq!(names(&fixture.store, ada, &filter).await, expected, "{order:?}");
        let reverse = KeyFilter { order, descending: true, ..KeyFilter::default() };
        let expected: Vec<_> = expected.into_iter().rev().collect();
        assert_eq!(names(&fixture.store, ada, &reverse).await, expected, "{order:?}");
    }
}

#[tokio::test]
async fn keys_are_found_by_the_status_that_they_show() {
    let (fixture, ada) = five().await;
    for (status, expected) in [
        (Status::Enabled, &["c", "d"][..]),
        (Status::Disabled, &["a"]),
        (Status::Expired, &["b"]),
        (Status::Exhausted, &["E"]),
    ] {
        let filter = KeyFilter { status: Some(status), ..KeyFilter::default() };
        assert_eq!(names(&fixture.store, ada, &filter).await, expected, "{status:?}");
        for view in
            fixture.store.find_keys(ada, &filter, Page { number: 1, size: 9 }, NOW).await.unwrap().keys
        {
            assert_eq!(view.key.status(NOW, view.remaining), status);
        }
        let none = KeyFilter { keyword: "of eve".to_owned(), ..filter };
        assert!(names(&fixture.store, ada, &none).await.is_empty());
    }
    let found = KeyFilter { keyword: "e".to_owned(), ..KeyFilter::default() };
    assert_eq!(names(&fixture.store, ada, &found).await, ["E"]);
}

#[tokio::test]
async fn counting_stops_where_nobody_reads_on() {
    let fixture = super::open().await;
    let ada = fixture.account("ada", None).await.id;
    for seed in 0..5 {
        fixture.key(ada, seed, 0, Settings::default()).await;
    }
    let page = |number| Page { number, size: 2 };
    for (number, keys, total) in [(1, 2, 5), (3, 1, 5), (4, 0, 0)] {
        let found = fixture.store.find_keys(ada, &KeyFilter::default(), page(number), NOW).await.unwrap();
        assert_eq!((found.keys.len(), found.total, found.more), (keys, total, false), "{number}");
    }
    assert!(!fixture.store.has_very_many_keys(ada).await.unwrap());
}

#[tokio::test]
async fn a_search_counts_all_that_it_finds() {
    let fixture = super::open().await;
    let ada = fixture.account("ada", None).await.id;
    let one = fixture.key(ada, 1, 0, Settings { name: "Key".to_owned(), ..Settings::default() }).await.key;
    let mut raw = fixture.raw().await;
    let mut raw = raw.begin().await.unwrap();
    for number in 0..1_230_i64 {
        sqlx::query(
            "INSERT INTO api_key (account, pool, digest, sealed, status, name, name_folded, model_limits_enabled,
                model_limits, own_group, cross_group_retry, created, accessed)
             SELECT account, pool, $2, sealed, 1, name, $3, 0, '', '', 0, 0, 0 FROM api_key WHERE id = $1",
        )
        .bind(one.id.0)
        .bind(number.to_be_bytes().as_slice())
        .bind(if number % 100 == 0 { "rare key" } else { "key" })
        .execute(&mut *raw)
        .await
        .unwrap();
    }
    raw.commit().await.unwrap();
    let page = |number| Page { number, size: 100 };
    for (keyword, number, shown, total) in [
        ("KEY", 1, 100, 1_231),
        ("key", 3, 100, 1_231),
        ("key", 13, 31, 1_231),
        ("key", 14, 0, 1_231),
        ("rare", 1, 13, 13),
        ("rare", 2, 0, 13),
        ("nothing", 1, 0, 0),
    ] {
        let (keys, counted) = fixture.store.search_keys(ada, keyword, page(number)).await.unwrap();
        assert_eq!((keys.len(), counted), (shown, total), "{keyword} {number}");
        assert!(keys.is_sorted_by(|a, b| a.key.id > b.key.id));
    }
}
