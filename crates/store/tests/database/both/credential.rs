//! Credentials of channels: several of one channel, and their refusal.

use std::collections::BTreeMap;

use model::{clock::Timestamp, id::ChannelId};
use store::{Channel, Kind, MasterKey, NewChannel, Refused, Store, StoreError};
use zeroize::Zeroizing;

use crate::fixture::{Fixture, at};

fn channel(text: &str) -> NewChannel {
    NewChannel {
        name: "main".to_owned(),
        kind: "openai".to_owned(),
        base_url: "https://api.example.com/v1".to_owned(),
        credential: Some(Zeroizing::new(text.to_owned())),
        models: vec!["m".to_owned()],
        mapping: BTreeMap::new(),
        groups: vec!["default".to_owned()],
        priority: 0,
        weight: 3,
        enabled: true,
    }
}

async fn texts(store: &Store, channel: ChannelId) -> Vec<String> {
    let usable = store.usable_credentials(channel).await.unwrap();
    usable.iter().map(|(_, text)| text.as_ref().unwrap().to_string()).collect()
}

async fn made(fixture: &Fixture) -> Channel {
    fixture.store.create_channel(&channel("one"), at(1)).await.unwrap()
}

fn moment() -> Timestamp {
    at(7_000)
}

#[tokio::test]
async fn a_channel_has_several_and_each_goes_its_own_way() {
    let fixture = super::open().await;
    let store = &fixture.store;
    let channel_id = made(&fixture).await.id;
    let second = store.add_credential(channel_id, "second", "two", at(2)).await.unwrap();
    let third = store.add_credential(channel_id, "third", "three", at(2)).await.unwrap();
    assert_eq!(texts(store, channel_id).await, ["one", "two", "three"]);

    assert!(store.refuse_credential(second.id, 401, moment()).await.unwrap());
    assert!(!store.refuse_credential(second.id, 403, at(9_000)).await.unwrap(), "once");
    let disabled = store.update_credential(third.id, None, Some(false), at(8)).await.unwrap();
    assert!(!disabled.enabled && disabled.name == "third");
    assert_eq!(texts(store, channel_id).await, ["one"]);
    let shown = store.channel(channel_id).await.unwrap().unwrap();
    assert!(shown.enabled, "the channel stays");
    let refused: Vec<_> = shown.credentials.iter().map(|credential| credential.refused).collect();
    assert_eq!(refused, [None, Some(Refused { at: moment(), status: 401 }), None]);

    let renamed = store.update_credential(second.id, Some("again"), None, at(9)).await.unwrap();
    assert!(renamed.refused.is_some(), "a new name is no new chance");
    let enabled = store.update_credential(second.id, None, Some(true), at(10)).await.unwrap();
    assert_eq!((enabled.name.as_str(), enabled.refused), ("again", None));
    assert_eq!(texts(store, channel_id).await, ["one", "two"]);
    store.delete_credential(second.id, at(11)).await.unwrap();
    assert!(matches!(store.delete_credential(second.id, at(11)).await, Err(StoreError::NotFound)));
    assert!(!store.refuse_credential(second.id, 401, at(11)).await.unwrap(), "gone");
    let gone = store.update_credential(second.id, None, Some(true), at(11)).await;
    assert!(matches!(gone, Err(StoreError::NotFound)));

    let routing = store.changes_since(0).await.unwrap().list;
    assert_eq!(
        routing.iter().filter(|change| change.kind == Kind::Routing).count(),
        8,
        "servers learn of each"
    );
    store.update_channel(channel_id, &channel("alone"), at(12)).await.unwrap();
    assert_eq!(texts(store, channel_id).await, ["alone"], "a new one replaces all");
    store.update_channel(channel_id, &channel(""), at(13)).await.unwrap();
    assert_eq!(store.channel(channel_id).await.unwrap().unwrap().credentials, [], "or none");
    assert!(store.delete_channel(channel_id, at(14)).await.unwrap());
}

#[tokio::test]
async fn what_is_no_credential_is_refused() {
    let fixture = super::open().await;
    let id = made(&fixture).await.id;
    let long = "n".repeat(65);
    for (name, text) in
        [("", ""), ("", "two words"), ("", "ümlaut"), ("", "two\r\nlines"), (long.as_str(), "x")]
    {
        let refused = fixture.store.add_credential(id, name, text, at(2)).await;
        assert!(matches!(refused, Err(StoreError::Invalid(_))), "{name:?} {text:?}");
    }
    let nowhere = fixture.store.add_credential(ChannelId(99), "", "x", at(2)).await;
    assert!(matches!(nowhere, Err(StoreError::NotFound)));
    assert_eq!(texts(&fixture.store, id).await, ["one"]);
}

#[tokio::test]
async fn every_credential_is_sealed_anew_and_none_is_in_the_database() {
    let fixture = super::open().await;
    let id = made(&fixture).await.id;
    fixture.store.add_credential(id, "visible-name", "another-upstream-secret", at(2)).await.unwrap();
    let next = MasterKey::generate().unwrap();
    assert_eq!(fixture.store.reseal(&next).await.unwrap(), 2);
    fixture.store.close().await;
    let contents = fixture.contents().await;
    assert!(contents.has(b"visible-name") && !contents.has(b"another-upstream-secret"));
    let store = fixture.reopen(&next).await.unwrap();
    assert_eq!(texts(&store, id).await, ["one", "another-upstream-secret"]);
}
