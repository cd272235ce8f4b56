//! The audit record: every change of an operator is in it, with who and what, and no secret.

use std::collections::BTreeMap;

use model::{
    money::Units,
    price::{ListedRates, Ratio},
};
use serde_json::json;
use store::{
    AccountChange, Actor, AuditFilter, AuditRecord, Group, Leaps, NewAccount, NewChannel, NewPrice, Page,
    Role, Store,
};
use zeroize::Zeroizing;

use crate::fixture::at;

const ALL: Page = Page { number: 1, size: 100 };

async fn records(store: &Store, filter: AuditFilter) -> Vec<AuditRecord> {
    let (records, total) = store.audit_records(&filter, ALL).await.unwrap();
    assert_eq!(usize::try_from(total).unwrap(), records.len());
    records
}

#[tokio::test]
async fn every_change_is_recorded_with_who_and_what() {
    let fixture = super::open().await;
    let root = fixture.account("root", None).await;
    let store = fixture.store.acting(&root);
    let group = Group { name: "vip".to_owned(), description: String::new(), ratio: Ratio::ONE };
    store.put_group(&group, at(2)).await.unwrap();
    store.put_group(&group, at(3)).await.unwrap();
    store.put_group(&Group { ratio: Ratio(5), ..group }, at(4)).await.unwrap();
    store.delete_group("vip", at(5)).await.unwrap();
    let new = NewChannel {
        name: "c".to_owned(),
        kind: "openai".to_owned(),
        base_url: "https://api.example.com".to_owned(),
        credential: Some(Zeroizing::new("secret-of-the-channel".to_owned())),
        models: vec!["m".to_owned()],
        mapping: BTreeMap::new(),
        groups: vec!["default".to_owned()],
        priority: 0,
        weight: 1,
        enabled: true,
    };
    let channel = store.create_channel(&new, at(6)).await.unwrap();
    store
        .update_channel(channel.id, &NewChannel { credential: None, priority: 7, ..new }, at(7))
        .await
        .unwrap();
    let credential = store.add_credential(channel.id, "n", "secret-number-two", at(8)).await.unwrap();
    store.acting(Actor::gateway()).refuse_credential(credential.id, 401, at(9)).await.unwrap();
    store.update_credential(credential.id, None, Some(true), at(10)).await.unwrap();
    store.delete_credential(credential.id, at(11)).await.unwrap();
    store.delete_channel(channel.id, at(12)).await.unwrap();
    let price = NewPrice {
        model: "m".to_owned(),
        rates: ListedRates::of(1, 2),
        max_output: 9,
        ..NewPrice::default()
    };
    store.put_price(&price, Leaps::Confirmed, at(13)).await.unwrap();
    let member = NewAccount {
        username: "ada".to_owned(),
        display_name: String::new(),
        email: String::new(),
        role: Role::Member,
        group: "default".to_owned(),
        balance: Some(Units::new(5)),
    };
    let member = store.create_account(member, at(14)).await.unwrap();
    let change = AccountChange { remaining: Some(Units::new(9)), ..AccountChange::default() };
    store.update_account(member.id, change, at(15)).await.unwrap();

    let found = records(&store, AuditFilter::default()).await;
    let lines: Vec<String> = found
        .iter()
        .rev()
        .map(|one| format!("{} {} {} {}", one.at.millis(), one.actor.name, one.action, one.object))
        .collect();
    let expected = [
        "1 command line create account",
        "2 root create group",
        "4 root update group",
        "5 root delete group",
        "6 root create channel",
        "7 root update channel",
        "8 root create credential",
        "9 gateway refuse credential",
        "10 root update credential",
        "11 root delete credential",
        "12 root delete channel",
        "13 root create price",
        "14 root create account",
        "15 root update account",
    ];
    assert_eq!(lines, expected, "and what changed nothing is not there");
    assert!(found.iter().all(|one| one.actor.account == (*one.actor.name == *"root").then_some(root.id)));

    let groups = AuditFilter { object: Some("group".to_owned()), ..AuditFilter::default() };
    let groups = records(&store, groups).await;
    let ratios = |record: &AuditRecord| {
        let ratio =
            |state: &Option<serde_json::Value>| state.as_ref().map(|state| state["ratio_millionths"].clone());
        (ratio(&record.before), ratio(&record.after))
    };
    let expected =
        [(Some(json!(5)), None), (Some(json!(1_000_000)), Some(json!(5))), (None, Some(json!(1_000_000)))];
    assert_eq!(groups.iter().map(ratios).collect::<Vec<_>>(), expected);
    let one = AuditFilter {
        object: Some("channel".to_owned()),
        object_id: Some("1".to_owned()),
        account: Some(root.id),
    };
    assert_eq!(records(&store, one.clone()).await.len(), 3);
    assert_eq!(records(&store, AuditFilter { account: Some(member.id), ..one }).await, []);
    let quotas: Vec<_> =
        found.iter().take(2).map(|one| one.after.as_ref().unwrap()["quota"].clone()).collect();
    assert_eq!(quotas, [json!(9), json!(5)]);
    let (second, total) =
        store.audit_records(&AuditFilter::default(), Page { number: 2, size: 5 }).await.unwrap();
    assert_eq!((second.len(), second[0].at, total), (5, at(10), 14));
    let text = format!("{found:?}");
    assert!(!text.contains("secret"), "{text}");
}

#[tokio::test]
async fn what_is_refused_leaves_no_record() {
    let fixture = super::open().await;
    let odd = Group { name: "a,b".to_owned(), description: String::new(), ratio: Ratio::ONE };
    fixture.store.put_group(&odd, at(2)).await.unwrap_err();
    fixture.store.delete_group("nowhere", at(2)).await.unwrap_err();
    let account = fixture.account("ada", None).await;
    let change = AccountChange { groups: Some(vec!["nowhere".to_owned()]), ..AccountChange::default() };
    fixture.store.update_account(account.id, change, at(2)).await.unwrap_err();
    let found = records(&fixture.store, AuditFilter::default()).await;
    assert_eq!(found.len(), 1, "the account alone: {found:?}");
}
