//! What requests see: holds, raises, edits, the close.

use std::{collections::BTreeMap, sync::Arc, sync::atomic::Ordering};

use ledger::HoldError;
use model::money::Units;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::{
    book::TestBook,
    fixture::{ACCOUNT, KEY, POOLS, ended, hold, open, outcome, pay, short},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_a_thousand_holds_exactly_those_get_through_that_the_pool_affords() {
    for (key, account, tight) in [(1_099, 1_000_000, KEY), (1_000_000, 1_099, ACCOUNT)] {
        let (dir, book) = (TempDir::new().unwrap(), TestBook::new(key, account));
        let ledger = open(&book, dir.path()).await.unwrap();
        let start = Arc::new(tokio::sync::Barrier::new(1_000));
        let mut tasks = JoinSet::new();
        for _ in 0..1_000 {
            let (ledger, start) = (Arc::clone(&ledger), Arc::clone(&start));
            tasks.spawn(async move {
                start.wait().await;
                hold(&ledger, 100).await
            });
        }
        let (mut held, mut refused) = (Vec::new(), 0);
        for answer in tasks.join_all().await {
            match answer {
                Ok(hold) => held.push(hold),
                Err(HoldError::NotAffordable { pool, .. }) if pool == tight => refused += 1,
                Err(other) => assert_eq!(other, short(tight, 100, 99)),
            }
        }
        assert_eq!((held.len(), refused), (10, 990));
        assert_eq!(ledger.affordable(POOLS, Units::ZERO).await.unwrap(), Units::new(99));
        held.into_iter().for_each(|hold| drop(hold.settle(outcome(100))));
        ledger.idle().await;
        ledger.close().await.unwrap();
        book.check();
        assert_eq!((book.balance(tight).used, book.balance(tight).available), (1_000, 99));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_hold_settles_at_what_was_delivered_and_returns_the_rest() {
    let (dir, book) = (TempDir::new().unwrap(), TestBook::new(100, 1_000));
    let ledger = open(&book, dir.path()).await.unwrap();
    let mut told = hold(&ledger, 60).await.unwrap();
    let silent = hold(&ledger, 40).await.unwrap();
    assert_eq!(hold(&ledger, 1).await.unwrap_err(), short(KEY, 1, 0));
    told.progress(outcome(25));
    let (first, second) = (told.id().seq, silent.id().seq);
    drop(told);
    drop(silent);
    ledger.idle().await;
    assert_eq!(ledger.affordable(POOLS, Units::ZERO).await.unwrap(), Units::new(75));
    ledger.flush().await.unwrap();
    let word = || Some("abandoned".to_owned());
    assert_eq!(book.charges(), BTreeMap::from([(first, (25, word())), (second, (0, word()))]));
    // More than the hold is never charged; the excess is told apart.
    let charged = hold(&ledger, 75).await.unwrap().settle(outcome(80));
    assert_eq!((charged.units, charged.overrun), (Units::new(75), Units::new(5)));
    ledger.close().await.unwrap();
    book.check();
    assert_eq!((book.balance(KEY).used, book.balance(KEY).available), (100, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raise_beyond_a_pool_is_refused_and_leaves_the_hold_as_it_was() {
    for (key, account, tight) in [(100, 1_000, KEY), (1_000, 100, ACCOUNT)] {
        let (dir, book) = (TempDir::new().unwrap(), TestBook::new(key, account));
        let ledger = open(&book, dir.path()).await.unwrap();
        let mut hold = hold(&ledger, 60).await.unwrap();
        assert_eq!(hold.raise(Units::new(41)).await.unwrap_err(), short(tight, 41, 40));
        assert_eq!((hold.units(), hold.spare()), (Units::new(60), Units::new(40)));
        hold.raise(Units::new(40)).await.unwrap();
        assert_eq!((hold.units(), hold.spare()), (Units::new(100), Units::ZERO));
        assert_eq!(hold.settle(outcome(70)).units, Units::new(70));
        // The refused raise took nothing from the pool that had enough either.
        let other = if tight == KEY { ACCOUNT } else { KEY };
        let left = ledger.affordable([other, other], Units::ZERO).await.unwrap();
        assert_eq!(left, Units::new(930));
        ledger.close().await.unwrap();
        book.check();
    }
}

/// A hold that settles while the ledger closes must not find its lease returned.
#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_during_the_close_keeps_its_lease() {
    let (dir, book) = (TempDir::new().unwrap(), TestBook::new(100, 100));
    let ledger = open(&book, dir.path()).await.unwrap();
    let late = hold(&ledger, 20).await.unwrap();
    book.away.store(true, Ordering::SeqCst);
    pay(&ledger, 10).await;
    let closing = tokio::spawn({
        let ledger = Arc::clone(&ledger);
        async move { ledger.close().await }
    });
    book.misses(1).await;
    drop(late.settle(outcome(20)));
    book.away.store(false, Ordering::SeqCst);
    closing.await.unwrap().unwrap();
    ended(ledger).await;
    let again = open(&book, dir.path()).await.unwrap();
    again.close().await.unwrap();
    book.check();
    assert_eq!(
        (book.balance(KEY).granted, book.balance(KEY).used, book.balance(KEY).available),
        (100, 30, 70)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_voids_the_lease_and_counts_from_the_next_hold_on() {
    let (dir, book) = (TempDir::new().unwrap(), TestBook::new(100, 10_000));
    let ledger = open(&book, dir.path()).await.unwrap();
    let mut before = hold(&ledger, 60).await.unwrap();
    book.edit(KEY, 50);
    ledger.forget(KEY);
    let after = hold(&ledger, 50).await.unwrap();
    assert_eq!(hold(&ledger, 1).await.unwrap_err(), short(KEY, 1, 0));
    // A step of the old one that its lease cannot cover asks the book, which knows only the new lease: that must
    // not make the new lease whole again.
    assert_eq!(before.raise(Units::new(41)).await.unwrap_err(), short(KEY, 41, 40));
    assert_eq!(hold(&ledger, 1).await.unwrap_err(), short(KEY, 1, 0));
    drop(before.settle(outcome(60)));
    assert_eq!(hold(&ledger, 1).await.unwrap_err(), short(KEY, 1, 0), "the old lease returns nothing here");
    drop(after.settle(outcome(20)));
    assert_eq!(ledger.affordable(POOLS, Units::ZERO).await.unwrap(), Units::new(30));
    ledger.close().await.unwrap();
    book.check();
    assert_eq!((book.balance(KEY).used, book.balance(KEY).available), (80, 30));
}

/// An edit while the book's answer is on its way: the answer is older than the edit.
#[tokio::test(flavor = "multi_thread")]
async fn an_edit_during_the_first_lease_is_not_missed() {
    for known in [false, true] {
        let (dir, book) = (TempDir::new().unwrap(), TestBook::new(100, 10_000));
        let ledger = open(&book, dir.path()).await.unwrap();
        if known {
            pay(&ledger, 0).await;
            ledger.forget(KEY);
        }
        let wanted = *book.leased.borrow() + 1;
        book.gate.send_replace(false);
        let asking = tokio::spawn({
            let ledger = Arc::clone(&ledger);
            async move { hold(&ledger, 10).await }
        });
        book.leased.subscribe().wait_for(|count| *count >= wanted).await.unwrap();
        book.edit(KEY, 5);
        ledger.forget(KEY);
        book.gate.send_replace(true);
        // It was admitted before the edit, by an answer from before the edit.
        drop(asking.await.unwrap().unwrap().settle(outcome(10)));
        assert_eq!(hold(&ledger, 6).await.unwrap_err(), short(KEY, 6, 5));
        pay(&ledger, 5).await;
        ledger.close().await.unwrap();
        book.check();
        assert_eq!((book.balance(KEY).used, book.balance(KEY).available), (15, 0));
    }
}
