//! Secrets: what is looked up by a digest, what is sealed under which master key, and that none stands in the database.

use std::collections::BTreeMap;

use model::{
    credential::Class,
    id::{AccountId, ChannelId, KeyId, TokenId},
};
use store::{MasterKey, NewChannel, Store, StoreError};
use zeroize::Zeroizing;

use super::{identity::SETUP, key::named};
use crate::fixture::{Fixture, at, credential, credential_of};

const UPSTREAM: &str = "upstream-credential-of-a-channel";

pub(super) fn channel() -> NewChannel {
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

fn is_corrupt<T>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Corrupt(_)))
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
