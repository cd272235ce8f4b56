//! A book that goes back to what it was, while the node goes on.

use std::{sync::atomic::Ordering, time::Duration};

use model::{id::PoolId, money::Units};
use tempfile::TempDir;

use crate::{
    book::TestBook,
    fixture::{ACCOUNT, KEY, POOLS, context, ended, hold, open, outcome, pay, segments},
};

const OTHER: PoolId = PoolId(3);

#[tokio::test(flavor = "multi_thread")]
async fn a_node_goes_on_with_a_book_that_has_lost_its_tail() {
    let (dir, book) = (TempDir::new().unwrap(), TestBook::new(1_000, 1_000));
    book.grant(OTHER, 100);
    let ledger = open(&book, dir.path()).await.unwrap();
    pay(&ledger, 10).await;
    ledger.flush().await.unwrap();
    let before = book.rows().clone();
    let stream = hold(&ledger, 20).await.unwrap();
    for _ in 0..3 {
        pay(&ledger, 10).await;
        ledger.flush().await.unwrap();
    }
    assert_eq!(book.balance(KEY).used, 40);

    book.go_back(before);
    assert_eq!(book.balance(KEY).used, 10, "three charges are lost");
    // What is leased serves on.
    pay(&ledger, 10).await;
    // Whoever needs more waits until the book has it all again.
    let fresh = ledger.hold([OTHER, ACCOUNT], Units::new(5), context()).await.unwrap();
    drop(fresh.settle(outcome(0)));
    drop(stream.settle(outcome(15)));
    ledger.flush().await.unwrap();
    assert_eq!(book.charges().values().map(|(units, _)| units).sum::<i64>(), 65);
    assert_eq!(book.balance(KEY).used, 65);
    assert_eq!(ledger.affordable(POOLS, Units::ZERO).await.unwrap(), Units::new(935));
    ledger.close().await.unwrap();
    book.check_each();
    assert_eq!((book.balance(KEY).leased, book.balance(KEY).available), (0, 935));
}

/// It may do so again at any moment, also while it is told what the node has.
#[tokio::test(flavor = "multi_thread")]
async fn a_book_that_goes_back_once_more_is_told_again() {
    let (dir, book) = (TempDir::new().unwrap(), TestBook::new(1_000, 1_000));
    let ledger = open(&book, dir.path()).await.unwrap();
    pay(&ledger, 10).await;
    ledger.flush().await.unwrap();
    let before = book.rows().clone();
    pay(&ledger, 20).await;
    ledger.flush().await.unwrap();
    book.go_back_once_more(before.clone());
    book.go_back(before.clone());
    pay(&ledger, 5).await;
    book.was_told(2).await;
    ledger.flush().await.unwrap();
    assert_eq!(book.balance(KEY).used, 35);
    ledger.close().await.unwrap();
    book.check();
    ended(ledger).await;

    // And while a node begins.
    book.go_back_once_more(before);
    let ledger = open(&book, dir.path()).await.unwrap();
    assert_eq!(book.balance(KEY).used, 35);
    ledger.close().await.unwrap();
    book.check();
}

/// Nobody knows what was edited, and nobody can be asked: what is leased serves on until somebody can.
#[tokio::test(flavor = "multi_thread")]
async fn all_is_forgotten_when_the_book_hears_the_node_again() {
    let (dir, book) = (TempDir::new().unwrap(), TestBook::new(1_000, 1_000));
    let ledger = open(&book, dir.path()).await.unwrap();
    pay(&ledger, 10).await;
    ledger.flush().await.unwrap();
    let rows = book.rows().clone();
    book.away.store(true, Ordering::SeqCst);
    book.go_back(rows);
    ledger.forget_all();
    book.misses(3).await;
    pay(&ledger, 10).await;
    book.edit(KEY, 0);
    book.away.store(false, Ordering::SeqCst);
    let refused = async {
        while ledger.affordable(POOLS, Units::new(1)).await.unwrap() > Units::ZERO {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), refused).await.unwrap();
    ledger.close().await.unwrap();
    book.check_each();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_ends_says_first_what_it_has() {
    let (dir, book) = (TempDir::new().unwrap(), TestBook::new(1_000, 1_000));
    let ledger = open(&book, dir.path()).await.unwrap();
    pay(&ledger, 10).await;
    ledger.flush().await.unwrap();
    let rows = book.rows().clone();
    book.go_back(rows);
    ledger.close().await.unwrap();
    assert_eq!((book.balance(KEY).leased, book.balance(KEY).available), (0, 990));
    book.check();
}

/// Only what this process has read can be in the book.
#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_another_process_uses_ends_this_one() {
    let (dir, book) = (TempDir::new().unwrap(), TestBook::new(1_000, 1_000));
    let ledger = open(&book, dir.path()).await.unwrap();
    pay(&ledger, 10).await;
    ledger.flush().await.unwrap();
    book.advance(ledger.journal());
    pay(&ledger, 10).await;
    let why = ledger.flush().await.unwrap_err().to_string();
    assert!(why.contains("is another one using it?"), "{why}");
    assert!(!ledger.is_admitting());
    assert!(ledger.close().await.is_err());
}

/// Segments that are applied wait for a book that goes back, also across a start.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_brings_in_again_what_the_book_has_lost() {
    let (dir, book) = (TempDir::new().unwrap(), TestBook::new(1_000_000, 1_000_000));
    let ledger = open(&book, dir.path()).await.unwrap();
    pay(&ledger, 10).await;
    ledger.flush().await.unwrap();
    let before = book.rows().clone();
    let mut paid = 1;
    while segments(dir.path()).len() < 3 {
        drop(hold(&ledger, 10).await.unwrap().settle(outcome(10)));
        paid += 1;
    }
    ledger.close().await.unwrap();
    ended(ledger).await;
    assert_eq!(book.charges().len(), paid);

    let other = TestBook::over(before);
    let ledger = open(&other, dir.path()).await.unwrap();
    assert_eq!(other.charges().len(), paid, "every charge is there again");
    ledger.close().await.unwrap();
    other.check();
}
