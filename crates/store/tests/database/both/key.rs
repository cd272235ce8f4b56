//! API keys: whose they are, how they are found, and what changes about them.

use model::{
    credential::{Class, Credential},
    id::{AccountId, KeyId},
    key::{Settings, Status},
    money::Units,
    price::Ratio,
};
use store::{AccountChange, Group, KeyChange, KeyView, Kind, Page, StoreError};

use super::change::changes;
use crate::fixture::{Fixture, at, credential};

pub(super) fn named(name: &str) -> Settings {
    Settings { name: name.to_owned(), ..Settings::default() }
}

pub(super) fn edit(settings: Settings, quota: Option<i64>) -> KeyChange {
    KeyChange { settings, status: Status::Enabled, quota: quota.map(Units::new) }
}

pub(super) fn is_not_found<T>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::NotFound))
}

pub(super) fn is_invalid<T>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Invalid(_)))
}

pub(super) fn is_conflict<T>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Conflict(_)))
}

/// The names on a page of all keys, and how many keys there are.
async fn listed(fixture: &Fixture, account: AccountId, number: i64, size: i64) -> (Vec<String>, i64) {
    let (keys, total) = fixture.store.list_keys(account, Page { number, size }).await.unwrap();
    (keys.into_iter().map(|view| view.key.settings.name).collect(), total)
}

/// The names of the keys that a search finds; their number agrees.
pub(super) async fn found(fixture: &Fixture, account: AccountId, keyword: &str) -> Vec<String> {
    let page = Page { number: 1, size: 100 };
    let (keys, total) = fixture.store.search_keys(account, keyword, page).await.unwrap();
    let names: Vec<_> = keys.into_iter().map(|view| view.key.settings.name).collect();
    assert_eq!(i64::try_from(names.len()), Ok(total), "{keyword:?}");
    names
}

#[tokio::test]
async fn a_key_keeps_what_it_was_made_with() {
    let fixture = super::open().await;
    let account = fixture.account("ada", Some(1_000)).await;
    let settings = Settings {
        name: "first".to_owned(),
        expires: Some(at(9)),
        unlimited_quota: true,
        model_limits_enabled: true,
        model_limits: "a,b".to_owned(),
        allow_ips: Some("192.0.2.0/24".to_owned()),
        group: "default".to_owned(),
        cross_group_retry: true,
    };
    let made = fixture.key(account.id, 1, 100, settings.clone()).await;
    assert_eq!(made.key.settings, settings);
    assert_eq!((made.key.account, made.key.set_status), (account.id, Status::Enabled));
    assert_eq!((made.key.created, made.key.accessed), (at(1), at(1)));
    assert_eq!((made.used, made.remaining), (Units::ZERO, Units::new(100)));
    assert_eq!(made.secret.as_str(), credential(Class::ApiKey, 1).expose());
    assert_eq!(fixture.store.pool_of_key(made.key.id).await.unwrap(), Some(made.key.pool));

    let change = KeyChange { settings: named("second"), status: Status::Disabled, quota: None };
    let changed = fixture.store.update_key(account.id, made.key.id, &change, at(2)).await.unwrap();
    assert_eq!((&changed.key.settings, changed.key.set_status), (&change.settings, Status::Disabled));
    assert_eq!((changed.remaining, &changed.secret), (Units::new(100), &made.secret));
    let read = fixture.store.key(account.id, made.key.id).await.unwrap().unwrap();
    assert_eq!(read.key, changed.key);
}

#[tokio::test]
async fn a_key_that_cannot_be_leaves_nothing() {
    let fixture = super::open().await;
    let account = fixture.account("ada", None).await;
    fixture.key(account.id, 1, 0, named("first")).await;
    let before = changes(&fixture, 0).await;
    let create = |account, seed, quota| {
        let credential = credential(Class::ApiKey, seed);
        let store = &fixture.store;
        async move { store.create_key(account, &named("bad"), Units::new(quota), &credential, at(2)).await }
    };
    assert!(is_conflict(create(account.id, 1, 0).await));
    assert!(is_invalid(create(account.id, 2, -1).await));
    assert!(create(AccountId(account.id.0 + 1), 2, 0).await.is_err());
    assert_eq!(listed(&fixture, account.id, 1, 10).await, (vec!["first".to_owned()], 1));
    assert_eq!(changes(&fixture, 0).await, before);
}

/// What the account may use is asked when the key is written, not when its caller was let in.

#[tokio::test]
async fn a_key_names_only_a_group_that_its_account_may_use() {
    let fixture = super::open().await;
    let store = &fixture.store;
    for name in ["vip", "team", "other"] {
        let group = Group { name: name.to_owned(), description: String::new(), ratio: Ratio::ONE };
        store.put_group(&group, at(1)).await.unwrap();
    }
    let ada = fixture.account("ada", None).await.id;
    let usable = |names: &[&str]| {
        let groups = Some(names.iter().map(|&name| name.to_owned()).collect());
        store.update_account(ada, AccountChange { groups, ..AccountChange::default() }, at(2))
    };
    let in_group = |group: &str| Settings { group: group.to_owned(), ..Settings::default() };
    let create = async |seed, group: &str| {
        let credential = credential(Class::ApiKey, seed);
        store.create_key(ada, &in_group(group), Units::ZERO, &credential, at(3)).await
    };
    let refused = |result: Result<KeyView, StoreError>, group: &str| {
        assert!(matches!(result, Err(StoreError::NoAccessToGroup(name)) if name == group), "{group}");
    };
    usable(&["vip", "team"]).await.unwrap();
    for (seed, group) in [(1, ""), (2, "default"), (3, "vip"), (4, "team")] {
        assert_eq!(create(seed, group).await.unwrap().key.settings.group, group);
    }
    let before = changes(&fixture, 0).await;
    for group in ["other", "none", "vi", "VIP", "vip,team"] {
        refused(create(5, group).await, group);
    }
    let key = create(3, "vip").await;
    assert!(is_conflict(key));
    let key = store.list_keys(ada, Page { number: 1, size: 1 }).await.unwrap().0.remove(0).key;
    assert_eq!(key.settings.group, "team");
    refused(store.update_key(ada, key.id, &edit(in_group("other"), None), at(4)).await, "other");
    assert_eq!(changes(&fixture, 0).await, before, "nothing was changed");

    // A group that is taken away stays where it is named, and is not named anew.
    usable(&["vip"]).await.unwrap();
    let renamed = Settings { name: "renamed".to_owned(), ..in_group("team") };
    assert_eq!(
        store.update_key(ada, key.id, &edit(renamed, None), at(5)).await.unwrap().key.settings.name,
        "renamed"
    );
    store.update_key(ada, key.id, &edit(in_group("vip"), None), at(6)).await.unwrap();
    refused(store.update_key(ada, key.id, &edit(in_group("team"), None), at(7)).await, "team");
}

#[tokio::test]
async fn a_key_belongs_to_its_account() {
    let fixture = super::open().await;
    let store = &fixture.store;
    let (ada, eve) = (fixture.account("ada", None).await.id, fixture.account("eve", None).await.id);
    let key = fixture.key(ada, 1, 100, named("of ada")).await.key;
    let before = changes(&fixture, 0).await;

    assert!(store.key(eve, key.id).await.unwrap().is_none());
    assert!(is_not_found(store.update_key(eve, key.id, &edit(named("of eve"), Some(0)), at(2)).await));
    assert_eq!(store.delete_keys(eve, &[key.id], at(2)).await.unwrap(), 0);
    assert_eq!(listed(&fixture, eve, 1, 10).await, (vec![], 0));
    assert_eq!(found(&fixture, eve, "").await, [""; 0]);
    let missing = KeyId(key.id.0 + 1);
    assert!(is_not_found(store.update_key(ada, missing, &edit(named("none"), None), at(2)).await));

    let kept = store.key(ada, key.id).await.unwrap().unwrap();
    assert_eq!((kept.key, kept.remaining), (key, Units::new(100)));
    assert_eq!(changes(&fixture, 0).await, before);
}

#[tokio::test]
async fn a_key_is_found_by_its_digest_with_its_owner() {
    let fixture = super::open().await;
    let store = &fixture.store;
    let (ada, eve) = (fixture.account("ada", Some(7)).await, fixture.account("eve", None).await);
    let key = fixture.key(ada.id, 1, 100, named("of ada")).await;
    let other = fixture.key(eve.id, 2, 0, named("of eve")).await;
    let by_text = async |text: &str| store.key_by_digest(&store.api_key_digest(text).unwrap()).await.unwrap();

    assert_eq!(by_text(&key.secret).await, Some((key.key.clone(), ada.clone())));
    assert_eq!(by_text(key.secret.strip_prefix("sk-").unwrap()).await, Some((key.key.clone(), ada)));
    assert_eq!(by_text(&other.secret).await, Some((other.key.clone(), eve)));
    assert_eq!(by_text(credential(Class::ApiKey, 3).expose()).await, None);
    let digests = [&key.secret, &other.secret].map(|text| store.api_key_digest(text).unwrap());
    let unknown = store.api_key_digest(credential(Class::ApiKey, 4).expose()).unwrap();
    let many = store.keys_by_digests(&[digests[0], unknown, digests[1]]).await.unwrap();
    let mut many: Vec<_> = many.into_iter().map(|(digest, owned)| (digest, owned.unwrap().0.id)).collect();
    many.sort_by_key(|(_, id)| *id);
    assert_eq!(many, [(digests[0], key.key.id), (digests[1], other.key.id)]);
    for text in ["", "sk-", "sk-unknown", credential(Class::PersonalAccessToken, 1).expose()] {
        assert_eq!(store.api_key_digest(text), None, "{text:?}");
    }
}

/// A key that was made elsewhere is found with its prefix and without, also by a store that learns of it later; what
/// only looks like one is told without the database.

#[tokio::test]
async fn a_key_from_elsewhere_is_found_and_garbage_is_not_looked_up() {
    let fixture = super::open().await;
    let store = &fixture.store;
    let ada = fixture.account("ada", None).await.id;
    let foreign = format!("sk-{}", "0123456789AbCdEf".repeat(3));
    let bare = foreign.strip_prefix("sk-").unwrap();
    assert_eq!(store.api_key_digest(&foreign), None, "nothing was imported yet");
    let before = fixture.reopen(&fixture.master).await.unwrap();

    let key = Credential::imported(&foreign).unwrap();
    let made = store.create_key(ada, &named("from elsewhere"), Units::new(5), &key, at(1)).await.unwrap();
    assert_eq!(made.secret.as_str(), foreign);
    let again = Credential::imported(bare).unwrap();
    assert!(is_conflict(store.create_key(ada, &named("again"), Units::ZERO, &again, at(1)).await));

    assert_eq!(before.api_key_digest(&foreign), None);
    before.notice_key(made.key.id).await.unwrap();
    let after = fixture.reopen(&fixture.master).await.unwrap();
    for store in [store, &before, &after] {
        for text in [&foreign, bare] {
            let found = store.key_by_digest(&store.api_key_digest(text).unwrap()).await.unwrap();
            assert_eq!(found.map(|(key, _)| key.id), Some(made.key.id));
        }
        let token = credential(Class::PersonalAccessToken, 1);
        for garbage in
            ["", "sk-", "sk-short", &foreign.replace('C', "D"), &format!("{foreign}0"), token.expose()]
        {
            assert_eq!(store.api_key_digest(garbage), None, "{garbage:?}");
        }
        let ours = credential(Class::ApiKey, 9);
        assert!(store.api_key_digest(ours.expose()).is_some(), "ours are told by their form");
        store.notice_key(KeyId(999)).await.unwrap();
    }
}

#[tokio::test]
async fn keys_are_listed_newest_first_in_pages() {
    let fixture = super::open().await;
    let (ada, eve) = (fixture.account("ada", None).await.id, fixture.account("eve", None).await.id);
    for (seed, name) in [(1, "one"), (2, "two"), (3, "three"), (4, "four"), (5, "five")] {
        fixture.key(ada, seed, 0, named(name)).await;
        fixture.key(eve, seed + 100, 0, named("of eve")).await;
    }
    let pages: [&[&str]; 4] = [&["five", "four"], &["three", "two"], &["one"], &[]];
    for (number, expected) in (1..).zip(pages) {
        let (names, total) = listed(&fixture, ada, number, 2).await;
        assert_eq!(names, expected, "{number}");
        assert_eq!(total, 5);
    }
    assert_eq!(listed(&fixture, ada, i64::MAX, 100).await, (vec![], 5));

    let page = |number| Page { number, size: 1 };
    for (number, expected) in [(1, vec!["five"]), (2, vec!["four"]), (3, vec![])] {
        let (keys, total) = fixture.store.search_keys(ada, "F", page(number)).await.unwrap();
        let names: Vec<_> = keys.iter().map(|view| view.key.settings.name.as_str()).collect();
        assert_eq!((names, total), (expected, 2), "{number}");
    }
}

#[tokio::test]
async fn a_search_takes_every_character_for_itself() {
    let fixture = super::open().await;
    let ada = fixture.account("ada", None).await.id;
    for (seed, name) in [(1, "100%"), (2, "100 per cent"), (3, "a_b"), (4, "axb"), (5, r"a\b"), (6, "it's")] {
        fixture.key(ada, seed, 0, named(name)).await;
    }
    for (keyword, expected) in [
        ("%", "100%"),
        ("0%", "100%"),
        ("_", "a_b"),
        ("a_b", "a_b"),
        (r"\", r"a\b"),
        (r"a\b", r"a\b"),
        ("'", "it's"),
    ] {
        assert_eq!(found(&fixture, ada, keyword).await, [expected], "{keyword:?}");
    }
    assert_eq!(found(&fixture, ada, "100").await, ["100 per cent", "100%"]);
    assert_eq!(found(&fixture, ada, "").await.len(), 6);
    for keyword in [r"\_", "%%", "a%b", "*", &"_".repeat(60_000), &"x".repeat(60_000)] {
        assert_eq!(found(&fixture, ada, keyword).await, [""; 0]);
    }
}

#[tokio::test]
async fn a_search_knows_no_case_in_any_script() {
    let fixture = super::open().await;
    let ada = fixture.account("ada", None).await.id;
    for (seed, name) in [(1, "Produktion ÄÖÜ"), (2, "ПРОДУКТ"), (3, "ΟΔΟΣΑ"), (4, "οδος"), (5, "密钥")]
    {
        fixture.key(ada, seed, 0, named(name)).await;
    }
    for (keyword, expected) in [
        ("produktion", "Produktion ÄÖÜ"),
        ("PRODUKTION ä", "Produktion ÄÖÜ"),
        ("öÜ", "Produktion ÄÖÜ"),
        ("Продукт", "ПРОДУКТ"),
        ("密", "密钥"),
        ("σα", "ΟΔΟΣΑ"),
    ] {
        assert_eq!(found(&fixture, ada, keyword).await, [expected], "{keyword:?}");
    }
    // Sigma has two small forms, and which one a word ends with must not matter.
    for keyword in ["ΟΔΟΣ", "οδοσ", "οδος"] {
        assert_eq!(found(&fixture, ada, keyword).await, ["οδος", "ΟΔΟΣΑ"], "{keyword:?}");
    }
    let renamed = edit(named("Größe"), None);
    let id = fixture.key(ada, 6, 0, named("old name")).await.key.id;
    fixture.store.update_key(ada, id, &renamed, at(2)).await.unwrap();
    assert_eq!(found(&fixture, ada, "old").await, [""; 0]);
    assert_eq!(found(&fixture, ada, "GRÖSSE").await, ["Größe"]);
}

#[tokio::test]
async fn a_quota_is_set_kept_and_lifted() {
    let fixture = super::open().await;
    let ada = fixture.account("ada", None).await.id;
    let key = fixture.key(ada, 1, 100, named("first")).await.key;
    let without_limit = Settings { unlimited_quota: true, ..named("first") };
    for (settings, quota, unlimited, remaining) in [
        (named("first"), Some(250), false, 250),
        (named("first"), None, false, 250),
        (named("first"), Some(0), false, 0),
        (without_limit.clone(), None, true, 0),
        (without_limit.clone(), Some(30), true, 30),
        (named("first"), None, false, 30),
        (named("first"), Some(Units::MAX.get()), false, Units::MAX.get()),
    ] {
        let change = edit(settings, quota);
        let view = fixture.store.update_key(ada, key.id, &change, at(2)).await.unwrap();
        assert_eq!(view.key.settings.unlimited_quota, unlimited, "{change:?}");
        assert_eq!((view.remaining, view.used), (Units::new(remaining), Units::ZERO), "{change:?}");
        fixture.assert_sound().await;
    }
    for quota in [-1, Units::MAX.get() + 1] {
        let refused = fixture.store.update_key(ada, key.id, &edit(named("bad"), Some(quota)), at(3)).await;
        assert!(is_invalid(refused), "{quota}");
    }
    let kept = fixture.store.key(ada, key.id).await.unwrap().unwrap();
    assert_eq!((kept.key.settings, kept.remaining), (named("first"), Units::MAX));
}

#[tokio::test]
async fn keys_are_deleted_for_good_and_their_pools_stay() {
    let fixture = super::open().await;
    let store = &fixture.store;
    let (ada, eve) = (fixture.account("ada", None).await.id, fixture.account("eve", None).await.id);
    let first = fixture.key(ada, 1, 100, named("first")).await;
    let second = fixture.key(ada, 2, 0, named("second")).await.key;
    let third = fixture.key(ada, 3, 0, named("third")).await.key;
    let of_eve = fixture.key(eve, 4, 0, named("of eve")).await.key;
    let seen = store.last_change().await.unwrap();

    let ids = [first.key.id, of_eve.id, KeyId(999), second.id, first.key.id];
    assert_eq!(store.delete_keys(ada, &ids, at(2)).await.unwrap(), 2);
    assert_eq!(changes(&fixture, seen).await, [(Kind::Key, first.key.id.0), (Kind::Key, second.id.0)]);
    assert_eq!(listed(&fixture, ada, 1, 10).await, (vec!["third".to_owned()], 1));
    assert_eq!(listed(&fixture, eve, 1, 10).await, (vec!["of eve".to_owned()], 1));
    let digest = store.api_key_digest(&first.secret).unwrap();
    assert_eq!(store.key_by_digest(&digest).await.unwrap(), None);
    assert_eq!(store.pool_of_key(first.key.id).await.unwrap(), None);
    assert_eq!(fixture.pool(first.key.pool).await, [100, 0, 0, 0, 100]);
    assert_eq!(store.delete_keys(ada, &ids, at(3)).await.unwrap(), 0);
    assert_eq!(store.delete_keys(ada, &[], at(3)).await.unwrap(), 0);

    // A number is never given again, so nothing that remembers the old key takes a new one for it.
    assert_eq!(store.delete_keys(ada, &[third.id], at(4)).await.unwrap(), 1);
    assert_eq!(store.delete_keys(eve, &[of_eve.id], at(4)).await.unwrap(), 1);
    assert!(fixture.key(ada, 5, 0, named("fifth")).await.key.id > of_eve.id);
    fixture.assert_sound().await;
}
