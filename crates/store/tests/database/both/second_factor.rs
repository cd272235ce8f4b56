//! The second factor: codes are good once, secrets are sealed, and a password that changes leaves no sign-in behind.

use model::id::{AccountId, SessionId};
use store::{MasterKey, Origin, Proof, Store};
use zeroize::Zeroizing;

use crate::fixture::{Fixture, at};

const SECRET: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
const FROM: Origin<'_> = Origin { client: "192.0.2.1", agent: "browser" };
const KEPT: SessionId = SessionId(0);

async fn with_app() -> (Fixture, AccountId) {
    let fixture = super::open().await;
    let account = fixture.account("ada", None).await.id;
    let store = &fixture.store;
    store.set_password(account, "hash", None, at(1)).await.unwrap();
    assert!(store.begin_totp(account, "first try", at(2)).await.unwrap());
    assert!(
        store.begin_totp(account, SECRET, at(3)).await.unwrap(),
        "what was not confirmed may be begun anew"
    );
    let codes = ["one", "two"].map(|code| Zeroizing::new(code.to_owned()));
    assert!(store.confirm_totp(account, 10, &codes, KEPT, at(4)).await.unwrap());
    (fixture, account)
}

async fn enter(store: &Store, account: AccountId, token: &str, proof: Proof<'_>) -> bool {
    assert!(store.begin_sign_in(account, "hash", token, at(0), at(9)).await.unwrap());
    assert_eq!(store.pending_sign_in(token, at(9)).await.unwrap(), Some(account));
    let session = format!("session of {token}");
    let entered = store.finish_sign_in(token, proof, &session, FROM, at(9)).await.unwrap().is_some();
    assert_eq!(store.session_by_token(&session).await.unwrap().is_some(), entered);
    entered
}

#[tokio::test]
async fn a_code_is_good_once() {
    let (fixture, account) = with_app().await;
    let store = &fixture.store;
    assert!(!enter(store, account, "a", Proof::Step(10)).await, "the code that confirmed the app");
    assert!(enter(store, account, "b", Proof::Step(12)).await);
    assert!(!enter(store, account, "c", Proof::Step(12)).await);
    assert!(!enter(store, account, "d", Proof::Step(11)).await, "an older one");
    assert!(enter(store, account, "e", Proof::RecoveryCode("one")).await);
    assert!(!enter(store, account, "f", Proof::RecoveryCode("one")).await);
    assert!(!enter(store, account, "g", Proof::RecoveryCode("three")).await);
    assert_eq!(store.recovery_codes_left(account).await.unwrap(), 1);
    // A wait ends with its session.
    assert!(store.finish_sign_in("b", Proof::Step(20), "again", FROM, at(9)).await.unwrap().is_none());
}

#[tokio::test]
async fn another_account_s_code_opens_nothing() {
    let (fixture, _) = with_app().await;
    let store = &fixture.store;
    let eve = fixture.account("eve", None).await.id;
    store.set_password(eve, "hash", None, at(1)).await.unwrap();
    store.begin_totp(eve, SECRET, at(1)).await.unwrap();
    assert!(!enter(store, eve, "a", Proof::Step(99)).await, "an app that was not confirmed opens nothing");
    assert!(!enter(store, eve, "b", Proof::RecoveryCode("one")).await);
}

#[tokio::test]
async fn a_sign_in_waits_only_so_long_and_only_for_its_password() {
    let (fixture, account) = with_app().await;
    let store = &fixture.store;
    assert!(!store.begin_sign_in(account, "another hash", "a", at(0), at(5)).await.unwrap());
    assert!(store.begin_sign_in(account, "hash", "b", at(0), at(5)).await.unwrap());
    assert_eq!(store.pending_sign_in("b", at(6)).await.unwrap(), None);
    assert!(store.begin_sign_in(account, "hash", "c", at(6), at(7)).await.unwrap());
    assert!(
        store.finish_sign_in("b", Proof::Step(30), "s", FROM, at(8)).await.unwrap().is_none(),
        "forgotten"
    );
    store.set_password(account, "new", None, at(8)).await.unwrap();
    assert!(store.finish_sign_in("c", Proof::Step(30), "s", FROM, at(8)).await.unwrap().is_none());
}

#[tokio::test]
async fn the_app_goes_with_a_proof_or_with_an_operator() {
    let (fixture, account) = with_app().await;
    let store = &fixture.store;
    assert!(!store.begin_totp(account, "mine", at(5)).await.unwrap(), "one that is in force stays");
    assert_eq!(*store.totp(account).await.unwrap().unwrap().secret, SECRET);
    let fresh = [Zeroizing::new("fresh".to_owned())];
    assert!(!store.renew_recovery_codes(account, Proof::Step(10), &fresh, at(5)).await.unwrap());
    assert!(store.renew_recovery_codes(account, Proof::RecoveryCode("two"), &fresh, at(5)).await.unwrap());
    assert_eq!(store.recovery_codes_left(account).await.unwrap(), 1);
    assert!(!store.end_totp(account, Proof::RecoveryCode("one"), at(6)).await.unwrap());
    assert!(store.end_totp(account, Proof::RecoveryCode("fresh"), at(6)).await.unwrap());
    assert!(store.totp(account).await.unwrap().is_none());
    assert!(!store.remove_totp(account, at(7)).await.unwrap());
}

#[tokio::test]
async fn the_secret_is_sealed_and_sealed_again() {
    let (fixture, account) = with_app().await;
    let next = MasterKey::generate().unwrap();
    assert_eq!(fixture.store.reseal(&next).await.unwrap(), 1);
    fixture.store.close().await;
    assert!(!fixture.contents().await.has(SECRET.as_bytes()));
    let store = fixture.reopen(&next).await.unwrap();
    assert_eq!(*store.totp(account).await.unwrap().unwrap().secret, SECRET);
    assert!(enter(&store, account, "a", Proof::RecoveryCode("one")).await);
}
