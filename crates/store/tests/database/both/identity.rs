//! Accounts, and the tokens that let the first one in.

use model::{credential::Class, id::AccountId, money::Units};
use store::{AccountChange, NewAccount, Page, Role, SETUP_MILLIS};

use super::{
    change::changes,
    key::{is_conflict, is_invalid, is_not_found},
};
use crate::fixture::{at, credential};

pub(super) const SETUP: &str = "setup-token-in-the-clear";

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

    assert_eq!(store.list_accounts("", Page { number: 1, size: 10 }).await.unwrap(), (vec![ada], 1));
    assert_eq!(changes(&fixture, 0).await, before);
    let pools: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pool").fetch_one(&mut fixture.raw().await).await.unwrap();
    assert_eq!(pools, 1);
    store.create_account(new(&"ü".repeat(64), "default", Units::MAX.get()), at(2)).await.unwrap();
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
    assert!(!store.offer_setup_token(SETUP, at(3)).await.unwrap());
    assert_eq!(store.take_setup_token(SETUP, at(3)).await.unwrap(), None);
}

#[tokio::test]
async fn a_set_up_token_ends_after_an_hour_and_further_ones_work_beside_it() {
    let fixture = super::open().await;
    let store = &fixture.store;
    let root = store.create_root(SETUP, at(1)).await.unwrap().unwrap();
    assert_eq!(store.take_setup_token(SETUP, at(1 + SETUP_MILLIS)).await.unwrap(), None);
    assert!(store.offer_setup_token("further", at(SETUP_MILLIS)).await.unwrap());
    assert_eq!(store.take_setup_token("further", at(2 * SETUP_MILLIS)).await.unwrap(), None);
    assert!(store.is_setup_token(SETUP, at(SETUP_MILLIS)).await.unwrap(), "the link of an earlier start");
    assert!(store.offer_setup_token("third", at(1 + SETUP_MILLIS)).await.unwrap());
    assert!(!store.is_setup_token(SETUP, at(SETUP_MILLIS)).await.unwrap(), "what has ended is forgotten");
    assert_eq!(store.take_setup_token("further", at(2 * SETUP_MILLIS - 1)).await.unwrap(), Some(root));
    assert_eq!(
        store.take_setup_token("third", at(2 * SETUP_MILLIS)).await.unwrap(),
        None,
        "one use ends all"
    );
    assert!(!store.offer_setup_token("fourth", at(2 * SETUP_MILLIS)).await.unwrap());
}

#[tokio::test]
async fn whoever_has_a_password_needs_no_set_up() {
    let fixture = super::open().await;
    let store = &fixture.store;
    let root = store.create_root(SETUP, at(1)).await.unwrap().unwrap();
    assert!(store.offer_setup_token("further", at(2)).await.unwrap());
    assert_eq!(store.set_up("wrong", "hash", at(3)).await.unwrap(), None);
    assert!(store.awaits_set_up(at(3)).await.unwrap());
    store.set_password(root, "hash", None, at(4)).await.unwrap();
    assert!(!store.awaits_set_up(at(4)).await.unwrap());
    for token in [SETUP, "further"] {
        assert_eq!(store.set_up(token, "another hash", at(5)).await.unwrap(), None);
    }
    assert!(!store.offer_setup_token("later", at(5)).await.unwrap());
    assert_eq!(store.password_hash(root).await.unwrap().as_deref(), Some("hash"));
}

#[tokio::test]
async fn whoever_has_a_token_needs_no_set_up() {
    let fixture = super::open().await;
    let store = &fixture.store;
    let root = store.create_root(SETUP, at(1)).await.unwrap().unwrap();
    let other = fixture.account("ada", None).await.id;
    let token = |seed| credential(Class::PersonalAccessToken, seed);
    store.create_token(other, "of ada", None, &token(1), at(2)).await.unwrap();
    assert!(store.offer_setup_token("further", at(2)).await.unwrap(), "root has none yet");
    let refused = store.create_token(root, &"é".repeat(51), None, &token(2), at(2)).await.unwrap_err();
    assert_eq!(refused.to_string(), "name is too long: at most 50 characters");
    assert!(store.offer_setup_token("one more", at(2)).await.unwrap(), "nothing has changed");
    store.create_token(root, "of root", None, &token(2), at(2)).await.unwrap();
    assert_eq!(store.take_setup_token(SETUP, at(3)).await.unwrap(), None);
    assert!(!store.offer_setup_token(SETUP, at(3)).await.unwrap());
}
