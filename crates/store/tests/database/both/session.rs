//! Passwords and console sessions: only digests are kept, and a new password ends what began with the one before.

use store::{NewSession, Store};

use crate::fixture::at;

const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

async fn begin(store: &Store, account: model::id::AccountId, hash: &str, token: &str, now: i64) -> bool {
    let new = NewSession {
        account,
        password_hash: hash,
        client: "192.0.2.1",
        agent: "browser",
        forget_before: at(now - 100),
    };
    store.create_session(new, token, at(now)).await.unwrap().is_some()
}

#[tokio::test]
async fn a_session_is_found_by_its_token_alone() {
    let fixture = super::open().await;
    let (store, root) = (&fixture.store, fixture.account("root", None).await);
    assert!(!begin(store, root.id, "", TOKEN, 1).await, "an account without a password has no session");
    store.set_password(root.id, "hash", None, at(1)).await.unwrap();
    assert!(!begin(store, root.id, "another hash", TOKEN, 2).await);
    assert!(begin(store, root.id, "hash", TOKEN, 3).await);
    let (session, account) = store.session_by_token(TOKEN).await.unwrap().unwrap();
    assert_eq!((account.id, session.created, session.client.as_str()), (root.id, at(3), "192.0.2.1"));
    assert!(store.session_by_token(&TOKEN[1..]).await.unwrap().is_none());
    store.session_used(session.id, at(9)).await.unwrap();
    store.session_used(session.id, at(5)).await.unwrap();
    assert_eq!(store.list_sessions(root.id).await.unwrap()[0].used, at(9));
    let other = fixture.account("other", None).await;
    assert!(!store.end_session(other.id, session.id).await.unwrap());
    assert!(store.end_session(root.id, session.id).await.unwrap());
    assert!(store.session_by_token(TOKEN).await.unwrap().is_none());
    store.close().await;
    assert!(!fixture.contents().await.has(TOKEN.as_bytes()));
}

#[tokio::test]
async fn a_new_password_ends_all_sessions_but_the_one_that_set_it() {
    let fixture = super::open().await;
    let (store, root) = (&fixture.store, fixture.account("root", None).await);
    store.set_password(root.id, "hash", None, at(1)).await.unwrap();
    for (number, token) in ["a", "b", "c"].into_iter().enumerate() {
        assert!(begin(store, root.id, "hash", token, i64::try_from(number).unwrap()).await);
    }
    let (kept, _) = store.session_by_token("b").await.unwrap().unwrap();
    store.set_password(root.id, "new", Some(kept.id), at(5)).await.unwrap();
    let left: Vec<_> = store.list_sessions(root.id).await.unwrap().into_iter().map(|one| one.id).collect();
    assert_eq!(left, [kept.id]);
    assert!(!begin(store, root.id, "hash", "d", 6).await, "the old hash begins nothing any more");
    store.set_password(root.id, "newest", None, at(7)).await.unwrap();
    assert!(store.list_sessions(root.id).await.unwrap().is_empty());
}

#[tokio::test]
async fn sessions_that_nobody_uses_are_forgotten() {
    let fixture = super::open().await;
    let (store, root) = (&fixture.store, fixture.account("root", None).await);
    store.set_password(root.id, "hash", None, at(1)).await.unwrap();
    assert!(begin(store, root.id, "hash", "old", 1).await);
    assert!(begin(store, root.id, "hash", "used", 2).await);
    let (used, _) = store.session_by_token("used").await.unwrap().unwrap();
    store.session_used(used.id, at(150)).await.unwrap();
    assert!(begin(store, root.id, "hash", "new", 200).await);
    assert!(store.session_by_token("old").await.unwrap().is_none());
    assert!(store.session_by_token("used").await.unwrap().is_some());
}

#[tokio::test]
async fn the_set_up_token_sets_one_password() {
    let fixture = super::open().await;
    let store = &fixture.store;
    let root = store.create_root("setup", at(0)).await.unwrap().unwrap();
    assert!(store.awaits_set_up(at(1)).await.unwrap());
    assert_eq!(store.set_up("other", "hash", at(1)).await.unwrap(), None);
    assert_eq!(store.password_hash(root).await.unwrap(), None);
    assert_eq!(store.set_up("setup", "hash", at(store::SETUP_MILLIS)).await.unwrap(), None);
    assert_eq!(store.set_up("setup", "hash", at(1)).await.unwrap(), Some(root));
    assert_eq!(store.password_hash(root).await.unwrap().as_deref(), Some("hash"));
    assert_eq!(store.set_up("setup", "again", at(1)).await.unwrap(), None);
    assert!(!store.awaits_set_up(at(1)).await.unwrap());
}
