//! Accounts in lists: by any part of what they are called, and page by page.

use store::{AccountChange, FoundAccounts, NewAccount, Page, Role, Store};

use crate::fixture::{Fixture, at};

const FIRST: Page = Page { number: 1, size: 10 };

async fn account(fixture: &Fixture, username: &str, display_name: &str, email: &str) -> model::id::AccountId {
    let new = NewAccount {
        username: username.to_owned(),
        display_name: display_name.to_owned(),
        email: email.to_owned(),
        role: Role::Member,
        group: "default".to_owned(),
        balance: None,
    };
    fixture.store.create_account(new, at(1)).await.unwrap().id
}

/// The usernames that a text finds, which every list of them says alike.
async fn found(store: &Store, keyword: &str) -> Vec<String> {
    let (listed, total) = store.list_accounts(keyword, FIRST).await.unwrap();
    let found = store.find_accounts(keyword, FIRST).await.unwrap();
    assert_eq!(total, i64::try_from(listed.len()).unwrap());
    assert_eq!(found, FoundAccounts { accounts: listed.clone(), total, more: false });
    listed.into_iter().map(|account| account.username).collect()
}

#[tokio::test]
async fn accounts_are_listed_newest_first() {
    let fixture = super::open().await;
    for username in ["ada", "bob", "eve"] {
        fixture.account(username, None).await;
    }
    for (number, expected) in [(1, vec!["eve", "bob"]), (2, vec!["ada"]), (3, vec![])] {
        let page = Page { number, size: 2 };
        let (accounts, total) = fixture.store.list_accounts("", page).await.unwrap();
        let names: Vec<_> = accounts.iter().map(|account| account.username.as_str()).collect();
        assert_eq!((names, total), (expected, 3), "{number}");
        let shown = fixture.store.find_accounts("", page).await.unwrap();
        assert_eq!(shown.accounts, accounts, "{number}");
        assert_eq!(shown.total, if number == 3 { 0 } else { 3 }, "nothing is before a page beyond the end");
    }
}

#[tokio::test]
async fn an_account_is_found_by_any_part_of_what_it_is_called() {
    let fixture = super::open().await;
    let store = &fixture.store;
    let ada = account(&fixture, "ada", "Ada Lovelace", "countess@example.com").await;
    account(&fixture, "bob_1", "ΟΔΥΣΣΕΥΣ", "bob@example.com").await;
    account(&fixture, "BOB-2", "", "").await;
    for (keyword, expected) in [
        ("", &["BOB-2", "bob_1", "ada"][..]),
        ("bob", &["BOB-2", "bob_1"]),
        ("LOVE", &["ada"]),
        ("EXAMPLE.com", &["bob_1", "ada"]),
        ("οδυσσευς", &["bob_1"]),
        ("_", &["bob_1"]),
        ("%", &[]),
        ("\\", &[]),
        ("nobody", &[]),
        (&"a".repeat(60_000), &[]),
    ] {
        assert_eq!(found(store, keyword).await, expected, "{keyword:.20}");
    }
    let change = AccountChange {
        display_name: Some("Augusta King".to_owned()),
        email: Some(String::new()),
        ..AccountChange::default()
    };
    store.update_account(ada, change, at(2)).await.unwrap();
    assert_eq!(found(store, "king").await, ["ada"]);
    for gone in ["lovelace", "countess"] {
        assert!(found(store, gone).await.is_empty(), "{gone}");
    }
}

#[tokio::test]
async fn people_are_not_kept_waiting_for_a_count_of_all() {
    let fixture = super::open().await;
    let mut raw = fixture.raw().await;
    fixture.account("last", None).await;
    // Many of them, as a program made them that did not know by what they are found.
    sqlx::query(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2345)
         INSERT INTO account (username, display_name, email, role, disabled, own_group, usable_groups, pool, created)
         SELECT 'Many ' || i, '', '', 1, 0, 'default', '', (SELECT min(id) FROM pool), 0 FROM n",
    )
    .execute(&mut raw)
    .await
    .unwrap();
    assert!(found(&fixture.store, "many").await.is_empty());
    let store = fixture.reopen(&fixture.master).await.unwrap();
    let page = |number| Page { number, size: 25 };
    let first = store.find_accounts("MANY", page(1)).await.unwrap();
    assert_eq!((first.accounts.len(), first.total, first.more), (25, 1_000, true));
    let late = store.find_accounts("many", page(94)).await.unwrap();
    assert_eq!((late.accounts.len(), late.total, late.more), (20, 2_345, false));
    assert_eq!(store.list_accounts("many", page(94)).await.unwrap(), (late.accounts, 2_345));
}
