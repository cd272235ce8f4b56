//! Accounts in lists: by any part of what they are called, and page by page.

use store::{AccountChange, FoundAccounts, NewAccount, Page, Role, Store, StoreError};

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

/// Letters in no order, of which no database can make fewer bytes; each is three letters when its case is gone.
fn incompressible(characters: usize) -> String {
    const LETTERS: [char; 16] =
        ['ΐ', 'ΰ', 'ὒ', 'ὔ', 'ὖ', 'ῒ', 'ΐ', 'ῗ', 'ῢ', 'ΰ', 'ῧ', 'ᾷ', 'ῇ', 'ῷ', 'ᾲ', 'ῂ'];
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut letter = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *LETTERS.get(usize::try_from(state >> 60).unwrap()).unwrap()
    };
    std::iter::repeat_with(&mut letter).take(characters).collect()
}

#[tokio::test]
async fn the_longest_names_are_kept_and_longer_ones_are_refused() {
    let fixture = super::open().await;
    let store = &fixture.store;
    let [username, display_name, email] = [64, 100, 254].map(incompressible);
    let longest = account(&fixture, &username, &display_name, &email).await;
    assert_eq!(found(store, &username).await, [username.as_str()]);
    assert_eq!(found(store, &display_name).await, [username.as_str()]);
    for (display_name, email, what) in [
        (incompressible(101), String::new(), "display_name is too long: at most 100 characters"),
        (String::new(), incompressible(255), "email is too long: at most 254 characters"),
        (incompressible(50_000), String::new(), "display_name is too long: at most 100 characters"),
    ] {
        let change = AccountChange {
            display_name: Some(display_name.clone()),
            email: Some(email.clone()),
            ..AccountChange::default()
        };
        let refused = store.update_account(longest, change, at(2)).await.unwrap_err();
        assert!(matches!(&refused, StoreError::Invalid(said) if said == what), "{refused}");
        let new = NewAccount {
            username: "other".to_owned(),
            display_name,
            email,
            role: Role::Member,
            group: "default".to_owned(),
            balance: None,
        };
        let refused = store.create_account(new, at(2)).await.unwrap_err();
        assert!(matches!(&refused, StoreError::Invalid(said) if said == what), "{refused}");
    }
    let (accounts, total) = store.list_accounts("", FIRST).await.unwrap();
    assert_eq!(
        (accounts[0].display_name.as_str(), accounts[0].email.as_str(), total),
        (&*display_name, &*email, 1)
    );
}

/// Before they had bounds.
#[tokio::test]
async fn names_of_any_length_that_are_there_stop_no_start_and_no_other_change() {
    let fixture = super::open().await;
    let id = fixture.account("ada", None).await.id;
    let long = format!("Lovelace {}", incompressible(5_000));
    let before = "UPDATE account SET display_name = $1, names = NULL";
    sqlx::query(before).bind(&long).execute(&mut fixture.raw().await).await.unwrap();
    let store = fixture.reopen(&fixture.master).await.unwrap();
    for keyword in ["ada", "lovelace ", &long.chars().take(200).collect::<String>()] {
        assert_eq!(found(&store, keyword).await, ["ada"], "{keyword:.20}");
    }
    let change = AccountChange { email: Some("ada@example.com".to_owned()), ..AccountChange::default() };
    assert_eq!(store.update_account(id, change, at(2)).await.unwrap().display_name, long);
}
