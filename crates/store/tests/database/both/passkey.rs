//! Passkeys: a challenge is answered once, a counter only moves on, and an account that is disabled is not opened.

use model::id::{AccountId, SessionId};
use store::{AccountChange, Added, AuditFilter, NewPasskey, NewSession, Origin, Page, PasskeyUse, Store};

use crate::fixture::{Fixture, at};

const FROM: Origin<'_> = Origin { client: "192.0.2.1", agent: "browser" };

async fn with_session() -> (Fixture, AccountId, SessionId) {
    let fixture = super::open().await;
    let account = fixture.account("ada", None).await.id;
    fixture.store.set_password(account, "hash", None, at(1)).await.unwrap();
    let new = NewSession { account, password_hash: "hash", client: "", agent: "", forget_before: at(0) };
    let session = fixture.store.create_session(new, "token", at(2)).await.unwrap().unwrap();
    (fixture, account, session)
}

const fn new(account: AccountId, session: SessionId, credential: &'static str) -> NewPasskey<'static> {
    NewPasskey {
        account,
        session,
        credential: credential.as_bytes(),
        public_key: b"key",
        name: "laptop",
        counter: 0,
        backed_up: true,
        nonce: credential.as_bytes(),
        most: 2,
    }
}

async fn enter(store: &Store, signed: PasskeyUse<'_>, token: &str) -> bool {
    let entered = store.enter_with_passkey(signed, token, FROM, at(9)).await.unwrap().is_some();
    assert_eq!(store.session_by_token(token).await.unwrap().is_some(), entered);
    entered
}

#[tokio::test]
async fn one_is_added_once_and_within_its_session() {
    let (fixture, account, session) = with_session().await;
    let store = &fixture.store;
    let Added::Done(id) = store.add_passkey(new(account, session, "a"), at(3)).await.unwrap() else {
        panic!("not added");
    };
    let found = store.passkey_by_credential(b"a").await.unwrap().unwrap();
    assert_eq!((found.id, found.account, found.used, found.backed_up), (id, account, None, true));
    assert_eq!(store.passkey_by_credential(b"").await.unwrap(), None);
    let again = NewPasskey { nonce: b"fresh", ..new(account, session, "a") };
    assert_eq!(store.add_passkey(again, at(4)).await.unwrap(), Added::Known);
    let spent = NewPasskey { nonce: b"a", ..new(account, session, "b") };
    assert_eq!(store.add_passkey(spent, at(4)).await.unwrap(), Added::Stale);
    let eve = fixture.account("eve", None).await.id;
    assert_eq!(store.add_passkey(new(eve, session, "c"), at(4)).await.unwrap(), Added::Stale, "her session?");
    assert!(matches!(store.add_passkey(new(account, session, "b"), at(5)).await.unwrap(), Added::Done(_)));
    assert_eq!(store.add_passkey(new(account, session, "d"), at(5)).await.unwrap(), Added::TooMany);
    assert!(!store.remove_passkey(eve, id, at(6)).await.unwrap());
    assert!(store.remove_passkey(account, id, at(6)).await.unwrap());
    assert!(!store.remove_passkey(account, id, at(6)).await.unwrap());
    store.end_session(account, session).await.unwrap();
    assert_eq!(store.add_passkey(new(account, session, "e"), at(7)).await.unwrap(), Added::Stale);
    let names: Vec<_> =
        store.passkeys(account).await.unwrap().into_iter().map(|one| one.credential).collect();
    assert_eq!(names, [b"b"]);
}

#[tokio::test]
async fn an_operator_takes_all_of_one_account_and_it_is_on_the_record() {
    let (fixture, account, session) = with_session().await;
    let store = &fixture.store;
    for credential in ["a", "b"] {
        store.add_passkey(new(account, session, credential), at(3)).await.unwrap();
    }
    let eve = fixture.account("eve", None).await.id;
    assert_eq!(store.remove_passkeys(eve, at(4)).await.unwrap(), 0);
    assert_eq!(store.remove_passkeys(account, at(5)).await.unwrap(), 2);
    assert_eq!(store.passkeys(account).await.unwrap().len(), 0);
    let of_passkeys = AuditFilter { object: Some("passkey".to_owned()), ..AuditFilter::default() };
    let (records, _) = store.audit_records(&of_passkeys, Page { number: 1, size: 9 }).await.unwrap();
    let done: Vec<_> = records.iter().map(|record| (record.action.as_str(), record.at)).collect();
    assert_eq!(done, [("delete", at(5)), ("delete", at(5)), ("create", at(3)), ("create", at(3))]);
}

#[tokio::test]
async fn a_signature_opens_once_and_its_counter_only_moves_on() {
    let (fixture, account, session) = with_session().await;
    let store = &fixture.store;
    let Added::Done(passkey) = store.add_passkey(new(account, session, "a"), at(3)).await.unwrap() else {
        panic!("not added");
    };
    let signed = |counter: u32, nonce: &'static str| PasskeyUse {
        passkey,
        counter,
        backed_up: false,
        nonce: nonce.as_bytes(),
    };
    assert!(enter(store, signed(0, "1"), "s1").await);
    assert!(!enter(store, signed(0, "1"), "s2").await, "answered before");
    assert!(enter(store, signed(0, "2"), "s3").await, "an authenticator that does not count");
    assert!(enter(store, signed(u32::MAX - 1, "3"), "s4").await);
    for (counter, nonce) in [(u32::MAX - 1, "4"), (7, "5"), (0, "6")] {
        assert!(!enter(store, signed(counter, nonce), "s5").await, "{counter}");
    }
    // What was refused has changed nothing: its challenge may still be answered rightly.
    assert!(enter(store, signed(u32::MAX, "4"), "s6").await);
    let found = store.passkey_by_credential(b"a").await.unwrap().unwrap();
    assert_eq!((found.counter, found.used, found.backed_up), (u32::MAX, Some(at(9)), false));

    let (fixture, account, session) = with_session().await;
    let store = &fixture.store;
    store.add_passkey(new(account, session, "a"), at(3)).await.unwrap();
    let passkey = store.passkeys(account).await.unwrap()[0].id;
    let signed = PasskeyUse { passkey, counter: 1, backed_up: false, nonce: b"1" };
    let disable = AccountChange { disabled: Some(true), ..AccountChange::default() };
    store.update_account(account, disable, at(4)).await.unwrap();
    assert!(!enter(store, signed, "s").await);
    assert_eq!(store.passkeys(account).await.unwrap()[0].used, None);
}

#[tokio::test]
async fn a_proof_counts_for_its_session_and_only_with_the_password_in_force() {
    let (fixture, account, session) = with_session().await;
    let store = &fixture.store;
    let proved = async || store.list_sessions(account).await.unwrap()[0].proved;
    assert_eq!(proved().await, at(2), "signing in was a proof");
    assert!(!store.session_proved(session, "another hash", at(5)).await.unwrap());
    assert_eq!(proved().await, at(2));
    assert!(store.session_proved(session, "hash", at(5)).await.unwrap());
    assert_eq!(proved().await, at(5));
    store.end_session(account, session).await.unwrap();
    assert!(!store.session_proved(session, "hash", at(6)).await.unwrap());
}
