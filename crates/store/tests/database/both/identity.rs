//! Accounts, keys and tokens: whose they are, how they are found, and that their secrets stay secret.

use std::collections::BTreeMap;

use crate::fixture::{Fixture, at, credential, credential_of};
use model::{
    credential::{Class, Credential},
    id::{AccountId, ChannelId, KeyId, TokenId},
    key::{Settings, Status},
    money::Units,
    price::Ratio,
};
use store::{
    AccountChange, Group, KeyChange, KeyView, Kind, MasterKey, NewAccount, NewChannel, Page, Role,
    SETUP_MILLIS, Store, StoreError,
};
use zeroize::Zeroizing;

const UPSTREAM: &str = "upstream-credential-of-a-channel";
const SETUP: &str = "setup-token-in-the-clear";
const HOUR: i64 = 3_600_000;

fn named(name: &str) -> Settings {
    Settings { name: name.to_owned(), ..Settings::default() }
}

fn edit(settings: Settings, quota: Option<i64>) -> KeyChange {
    KeyChange { settings, status: Status::Enabled, quota: quota.map(Units::new) }
}

fn channel() -> NewChannel {
    NewChannel {
        name: "main".to_owned(),
        kind: "openai".to_owned(),
        base_url: "https://api.example.com/v1".to_owned(),
        credential: Some(Zeroizing::new(UPSTREAM.to_owned())),
        models: vec!["gpt".to_owned()],
        mapping: BTreeMap::new(),
        groups: vec!["default".to_owned()],
        priority: 0,
        weight: 1,
        enabled: true,
    }
}

fn is_not_found<T>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::NotFound))
}

fn is_invalid<T>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Invalid(_)))
}

fn is_conflict<T>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Conflict(_)))
}

fn is_corrupt<T>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Corrupt(_)))
}

/// The names on a page of all keys, and how many keys there are.
async fn listed(fixture: &Fixture, account: AccountId, number: i64, size: i64) -> (Vec<String>, i64) {
    let (keys, total) = fixture.store.list_keys(account, Page { number, size }).await.unwrap();
    (keys.into_iter().map(|view| view.key.settings.name).collect(), total)
}

/// The names of the keys that a search finds; their number agrees.
async fn found(fixture: &Fixture, account: AccountId, keyword: &str) -> Vec<String> {
    let page = Page { number: 1, size: 100 };
    let (keys, total) = fixture.store.search_keys(account, keyword, page).await.unwrap();
    let names: Vec<_> = keys.into_iter().map(|view| view.key.settings.name).collect();
    assert_eq!(i64::try_from(names.len()), Ok(total), "{keyword:?}");
    names
}

/// What running servers learn after `seq`.
async fn changes(fixture: &Fixture, seq: i64) -> Vec<(Kind, i64)> {
    let changes = fixture.store.changes_since(seq).await.unwrap();
    changes.into_iter().map(|change| (change.kind, change.id)).collect()
}

#[tokio::test]
async fn an_account_is_made_found_and_changed() {
    let fixture = super::open().await;
    let store = &fixture.store;
    let made = fixture.account("ada", Some(70)).await;
    assert_eq!((made.role, made.disabled, made.unlimited), (Role::Member, false, false));
    assert_eq!((made.remaining, made.used, made.created), (Units::new(70), Units::ZERO, at(1)));
    assert_eq!(store.account(made.id).await.unwrap().as_ref(), Some(&made));
    assert_eq!(store.account_by_username("ada").await.unwrap().as_ref(), Some(&made));
    assert_eq!(store.account_by_username("Ada").await.unwrap(), None);

    let kept = store.update_account(made.id, AccountChange::default(), at(2)).await.unwrap();
    assert_eq!(kept, made);
    let change = AccountChange {
        display_name: Some("Ada".to_owned()),
        email: Some("ada@example.com".to_owned()),
        role: Some(Role::Administrator),
        disabled: Some(true),
        remaining: Some(Units::new(5)),
        unlimited: Some(true),
        ..AccountChange::default()
    };
    let changed = store.update_account(made.id, change, at(3)).await.unwrap();
    assert_eq!((changed.display_name.as_str(), changed.email.as_str()), ("Ada", "ada@example.com"));
    assert_eq!((changed.role, changed.disabled, changed.unlimited), (Role::Administrator, true, true));
    assert_eq!((changed.remaining, changed.username.as_str()), (Units::new(5), "ada"));
    fixture.assert_sound().await;
}

#[tokio::test]
async fn an_account_that_cannot_be_is_refused_and_leaves_nothing() {
    let fixture = super::open().await;
    let ada = fixture.account("ada", Some(0)).await;
    let before = changes(&fixture, 0).await;
    let new = |username: &str, group: &str, balance| NewAccount {
        username: username.to_owned(),
        display_name: String::new(),
        email: String::new(),
        role: Role::Member,
        group: group.to_owned(),
        balance: Some(Units::new(balance)),
    };
    let store = &fixture.store;
    assert!(is_conflict(store.create_account(new("ada", "default", 0), at(2)).await));
    for (username, group, balance) in [
        ("", "default", 0),
        (&*"ü".repeat(65), "default", 0),
        ("eve", "nowhere", 0),
        ("eve", "default", -1),
        ("eve", "default", Units::MAX.get() + 1),
    ] {
        let refused = store.create_account(new(username, group, balance), at(2)).await;
        assert!(is_invalid(refused), "{username:?} {group} {balance}");
    }
    for change in [
        AccountChange { group: Some("nowhere".to_owned()), ..AccountChange::default() },
        AccountChange { groups: Some(vec!["nowhere".to_owned()]), ..AccountChange::default() },
        AccountChange { groups: Some(vec!["default,default".to_owned()]), ..AccountChange::default() },
        AccountChange { remaining: Some(Units::new(-1)), ..AccountChange::default() },
    ] {
        assert!(is_invalid(store.update_account(ada.id, change, at(2)).await));
    }
    let missing = AccountId(ada.id.0 + 1);
    assert!(is_not_found(store.update_account(missing, AccountChange::default(), at(2)).await));

    assert_eq!(store.list_accounts(0, 10).await.unwrap(), (vec![ada], 1));
    assert_eq!(changes(&fixture, 0).await, before);
    let pools: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pool").fetch_one(&mut fixture.raw().await).await.unwrap();
    assert_eq!(pools, 1);
    store.create_account(new(&"ü".repeat(64), "default", Units::MAX.get()), at(2)).await.unwrap();
}

#[tokio::test]
async fn accounts_are_listed_newest_first() {
    let fixture = super::open().await;
    for username in ["ada", "bob", "eve"] {
        fixture.account(username, None).await;
    }
    for (offset, expected) in [(0, vec!["eve", "bob"]), (2, vec!["ada"]), (4, vec![])] {
        let (accounts, total) = fixture.store.list_accounts(offset, 2).await.unwrap();
        let names: Vec<_> = accounts.iter().map(|account| account.username.as_str()).collect();
        assert_eq!((names, total), (expected, 3), "{offset}");
    }
}

#[tokio::test]
async fn a_set_up_token_works_once() {
    let fixture = super::open().await;
    let store = &fixture.store;
    let root = store.create_root(SETUP, at(1)).await.unwrap().unwrap();
    let account = store.account(root).await.unwrap().unwrap();
    assert_eq!((account.username.as_str(), account.role, account.unlimited), ("root", Role::Root, true));

    assert_eq!(store.create_root("another", at(2)).await.unwrap(), None);
    for wrong in ["another", "", "SETUP-TOKEN-IN-THE-CLEAR"] {
        assert_eq!(store.take_setup_token(wrong, at(3)).await.unwrap(), None, "{wrong:?}");
    }
    let (one, other) =
        tokio::join!(store.take_setup_token(SETUP, at(3)), store.take_setup_token(SETUP, at(3)));
    let mut taken = [one.unwrap(), other.unwrap()];
    taken.sort();
    assert_eq!(taken, [None, Some(root)]);
    assert_eq!(store.take_setup_token(SETUP, at(3)).await.unwrap(), None);
    assert_eq!(store.create_root(SETUP, at(3)).await.unwrap(), None);
    assert!(!store.renew_setup_token(SETUP, at(3)).await.unwrap());
    assert_eq!(store.take_setup_token(SETUP, at(3)).await.unwrap(), None);
}

#[tokio::test]
async fn a_set_up_token_ends_after_an_hour_and_can_be_renewed_until_it_is_used() {
    let fixture = super::open().await;
    let store = &fixture.store;
    let root = store.create_root(SETUP, at(1)).await.unwrap().unwrap();
    assert_eq!(store.take_setup_token(SETUP, at(1 + SETUP_MILLIS)).await.unwrap(), None);
    assert!(store.renew_setup_token("renewed", at(SETUP_MILLIS)).await.unwrap());
    assert_eq!(store.take_setup_token(SETUP, at(2)).await.unwrap(), None, "there is only one");
    assert_eq!(store.take_setup_token("renewed", at(2 * SETUP_MILLIS)).await.unwrap(), None);
    assert_eq!(store.take_setup_token("renewed", at(2 * SETUP_MILLIS - 1)).await.unwrap(), Some(root));
}

#[tokio::test]
async fn whoever_has_a_token_needs_no_set_up() {
    let fixture = super::open().await;
    let store = &fixture.store;
    let root = store.create_root(SETUP, at(1)).await.unwrap().unwrap();
    let other = fixture.account("ada", None).await.id;
    let token = |seed| credential(Class::PersonalAccessToken, seed);
    store.create_token(other, "of ada", None, &token(1), at(2)).await.unwrap();
    assert!(store.renew_setup_token(SETUP, at(2)).await.unwrap(), "root has none yet");
    store.create_token(root, "of root", None, &token(2), at(2)).await.unwrap();
    assert_eq!(store.take_setup_token(SETUP, at(3)).await.unwrap(), None);
    assert!(!store.renew_setup_token(SETUP, at(3)).await.unwrap());
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
    assert_eq!(by_text(key.secret.strip_prefix("sk-").unwrap()).await, Some((key.key, ada)));
    assert_eq!(by_text(&other.secret).await, Some((other.key, eve)));
    assert_eq!(by_text(credential(Class::ApiKey, 3).expose()).await, None);
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
async fn a_digest_is_of_one_database_alone() {
    let (one, other) = (super::open().await, super::open().await);
    let key = credential(Class::ApiKey, 1);
    let digest = one.store.api_key_digest(key.expose());
    assert!(digest.is_some());
    assert_ne!(digest, other.store.api_key_digest(key.expose()));
    let again = one.reopen(&one.master).await.unwrap();
    assert_eq!(digest, again.api_key_digest(key.expose()));
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

#[tokio::test]
async fn a_token_is_found_by_its_text_with_its_owner_until_it_is_revoked() {
    let fixture = super::open().await;
    let store = &fixture.store;
    let (ada, eve) = (fixture.account("ada", Some(7)).await, fixture.account("eve", None).await);
    let text = |seed| credential(Class::PersonalAccessToken, seed);
    let first = store.create_token(ada.id, "first", None, &text(1), at(1)).await.unwrap();
    let second = store.create_token(ada.id, "second", Some(at(9)), &text(2), at(2)).await.unwrap();
    let of_eve = store.create_token(eve.id, "of eve", None, &text(3), at(3)).await.unwrap();
    assert_eq!((second.account, second.name.as_str()), (ada.id, "second"));
    assert_eq!((second.expires, second.created), (Some(at(9)), at(2)));

    let by_text = async |seed| store.token_by_credential(&text(seed)).await.unwrap();
    assert_eq!(by_text(1).await, Some((first.clone(), ada.clone())));
    assert_eq!(by_text(2).await, Some((second.clone(), ada.clone())));
    assert_eq!(by_text(3).await, Some((of_eve.clone(), eve.clone())));
    assert_eq!(by_text(4).await, None);
    assert_eq!(store.list_tokens(ada.id).await.unwrap(), [second.clone(), first.clone()]);

    assert!(!store.revoke_token(eve.id, first.id).await.unwrap());
    assert!(!store.revoke_token(ada.id, TokenId(999)).await.unwrap());
    assert!(by_text(1).await.is_some());
    assert!(store.revoke_token(ada.id, first.id).await.unwrap());
    assert!(!store.revoke_token(ada.id, first.id).await.unwrap());
    assert_eq!(by_text(1).await, None);
    assert_eq!(store.list_tokens(ada.id).await.unwrap(), [second]);
    assert_eq!(store.list_tokens(eve.id).await.unwrap(), [of_eve]);
    assert!(store.create_token(AccountId(999), "nobody's", None, &text(5), at(4)).await.is_err());
}

#[tokio::test]
async fn one_class_of_credential_is_not_looked_up_as_the_other() {
    let fixture = super::open().await;
    let ada = fixture.account("ada", None).await.id;
    fixture.key(ada, 1, 0, named("first")).await;
    let key = credential(Class::ApiKey, 1);
    assert_eq!(fixture.store.token_by_credential(&key).await.unwrap(), None);
}

/// Everything that has a secret, in `store`: a key, a token and a channel.
async fn fill(fixture: &Fixture) -> (AccountId, KeyId, ChannelId) {
    let ada = fixture.account("plain-text-name", None).await.id;
    let key = fixture.key(ada, 1, 100, named("first")).await.key;
    let token = credential(Class::PersonalAccessToken, 2);
    fixture.store.create_token(ada, "a token", None, &token, at(1)).await.unwrap();
    let channel = fixture.store.create_channel(&channel(), at(1)).await.unwrap();
    (ada, key.id, channel.id)
}

/// That a key, a token and a channel's credential are read and found in `store`.
async fn assert_opens(store: &Store, (account, key, channel): (AccountId, KeyId, ChannelId)) {
    let view = store.key(account, key).await.unwrap().unwrap();
    assert_eq!(view.secret.as_str(), credential(Class::ApiKey, 1).expose());
    let digest = store.api_key_digest(&view.secret).unwrap();
    assert_eq!(store.key_by_digest(&digest).await.unwrap().map(|(key, _)| key), Some(view.key));
    let token = credential(Class::PersonalAccessToken, 2);
    assert!(store.token_by_credential(&token).await.unwrap().is_some());
    assert_eq!(credential_of(store, channel).await, UPSTREAM);
}

#[tokio::test]
async fn no_secret_is_in_the_database() {
    let fixture = super::open().await;
    fixture.store.create_root(SETUP, at(1)).await.unwrap().unwrap();
    let (.., channel_id) = fill(&fixture).await;
    let replaced = "another-credential-of-the-channel";
    let change = NewChannel { credential: Some(Zeroizing::new(replaced.to_owned())), ..channel() };
    fixture.store.update_channel(channel_id, &change, at(2)).await.unwrap();
    let next = MasterKey::generate().unwrap();

    let (key, token) = (credential(Class::ApiKey, 1), credential(Class::PersonalAccessToken, 2));
    let mut secrets = vec![SETUP.into(), UPSTREAM.into(), replaced.into()];
    secrets.push(key.expose().trim_start_matches("sk-").as_bytes().to_vec());
    secrets.push(token.expose().trim_start_matches("pat_").as_bytes().to_vec());
    for master in [&fixture.master, &next] {
        let hex = master.to_hex();
        let bytes = (0..64).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
        secrets.push(bytes.collect());
        secrets.push(hex.as_bytes().to_vec());
        secrets.push(hex.to_uppercase().into_bytes());
    }
    let assert_hidden = async || {
        let contents = fixture.contents().await;
        // What is not secret is found, so the search would find a secret.
        assert!(contents.has(b"plain-text-name"));
        for (number, secret) in secrets.iter().enumerate() {
            assert!(!contents.has(secret), "secret {number}");
        }
    };
    assert_hidden().await;
    fixture.store.reseal(&next).await.unwrap();
    assert_hidden().await;
    fixture.store.close().await;
    assert_hidden().await;
}

#[tokio::test]
async fn another_master_key_is_refused_and_harms_nothing() {
    let fixture = super::open().await;
    let filled = fill(&fixture).await;
    fixture.store.close().await;
    for _ in 0..2 {
        let refused = fixture.reopen(&MasterKey::generate().unwrap()).await;
        assert!(matches!(refused, Err(StoreError::WrongMasterKey)));
    }
    let same = MasterKey::from_hex(&format!(" {}\n", fixture.master.to_hex().to_uppercase())).unwrap();
    assert_opens(&fixture.reopen(&same).await.unwrap(), filled).await;
}

#[test]
fn a_master_key_is_64_digits() {
    let key = MasterKey::generate().unwrap();
    assert_eq!(MasterKey::from_hex(&key.to_hex()).unwrap().to_hex(), key.to_hex());
    assert_ne!(MasterKey::generate().unwrap().to_hex(), key.to_hex());
    assert_eq!(format!("{key:?}"), "MasterKey(…)");
    for text in ["", &"a".repeat(63), &"a".repeat(65), &"g".repeat(64), &"+a".repeat(32), &"ä".repeat(32)] {
        assert!(MasterKey::from_hex(text).is_err(), "{text:?}");
    }
}

#[tokio::test]
async fn resealing_puts_another_master_key_in_place() {
    let fixture = super::open().await;
    let filled = fill(&fixture).await;
    let sealed = "SELECT sealed FROM api_key UNION ALL SELECT sealed FROM channel_credential UNION ALL
        SELECT wrapped FROM data_key";
    let before: Vec<Vec<u8>> = sqlx::query_scalar(sealed).fetch_all(&mut fixture.raw().await).await.unwrap();
    let next = MasterKey::generate().unwrap();
    assert_eq!(fixture.store.reseal(&next).await.unwrap(), 2);
    fixture.store.close().await;

    let after: Vec<Vec<u8>> = sqlx::query_scalar(sealed).fetch_all(&mut fixture.raw().await).await.unwrap();
    assert_eq!((before.len(), after.len()), (4, 4));
    assert!(before.iter().all(|value| !after.contains(value)));
    assert!(matches!(fixture.reopen(&fixture.master).await, Err(StoreError::WrongMasterKey)));
    let store = fixture.reopen(&next).await.unwrap();
    assert_opens(&store, filled).await;

    let last = MasterKey::generate().unwrap();
    assert_eq!(store.reseal(&last).await.unwrap(), 2);
    store.close().await;
    assert!(matches!(fixture.reopen(&next).await, Err(StoreError::WrongMasterKey)));
    assert_opens(&fixture.reopen(&last).await.unwrap(), filled).await;
}

#[tokio::test]
async fn resealing_changes_nothing_when_a_value_does_not_open() {
    let fixture = super::open().await;
    let filled = fill(&fixture).await;
    let other = fixture.key(filled.0, 9, 0, named("damaged")).await.key.id;
    sqlx::query("UPDATE api_key SET sealed = $1 WHERE id = $2")
        .bind(b"damaged".as_slice())
        .bind(other.0)
        .execute(&mut fixture.raw().await)
        .await
        .unwrap();
    let next = MasterKey::generate().unwrap();
    assert!(is_corrupt(fixture.store.reseal(&next).await));
    fixture.store.close().await;
    assert!(matches!(fixture.reopen(&next).await, Err(StoreError::WrongMasterKey)));
    assert_opens(&fixture.reopen(&fixture.master).await.unwrap(), filled).await;
}

#[tokio::test]
async fn a_sealed_key_opens_in_its_own_row_and_for_its_own_account_alone() {
    let fixture = super::open().await;
    let store = &fixture.store;
    let (ada, eve) = (fixture.account("ada", None).await.id, fixture.account("eve", None).await.id);
    let first = fixture.key(ada, 1, 0, named("first")).await;
    let second = fixture.key(ada, 2, 0, named("second")).await;
    let mut raw = fixture.raw().await;
    let sealed: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT sealed FROM api_key ORDER BY id").fetch_all(&mut raw).await.unwrap();
    let (of_first, of_second) = (&sealed[0], &sealed[1]);
    for (opens, places) in [(false, [of_second, of_first]), (true, [of_first, of_second])] {
        for (view, sealed) in [&first, &second].into_iter().zip(places) {
            sqlx::query("UPDATE api_key SET sealed = $1 WHERE id = $2")
                .bind(sealed)
                .bind(view.key.id.0)
                .execute(&mut raw)
                .await
                .unwrap();
        }
        for view in [&first, &second] {
            let read = store.key(ada, view.key.id).await.unwrap().unwrap();
            assert_eq!(read.is_damaged(), !opens);
            assert_eq!(read.secret.as_str(), if opens { view.secret.as_str() } else { "" });
        }
    }
    sqlx::query("UPDATE api_key SET account = $2 WHERE id = $1")
        .bind(first.key.id.0)
        .bind(eve.0)
        .execute(&mut raw)
        .await
        .unwrap();
    assert!(store.key(eve, first.key.id).await.unwrap().unwrap().is_damaged());
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
    let seqs: Vec<_> = store.changes_since(0).await.unwrap().into_iter().map(|change| change.seq).collect();
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
        store.changes_since(0).await.unwrap().into_iter().map(|change| change.seq).collect::<Vec<_>>()
    };
    let first = store.last_change().await.unwrap();
    assert_eq!(touch(1 + HOUR).await, [first, first + 1]);
    assert_eq!(touch(2 + HOUR).await, [first + 1, first + 2]);
    assert_eq!(touch(3 + 3 * HOUR).await, [first + 3]);
    assert_eq!(store.last_change().await.unwrap(), first + 3);
}
