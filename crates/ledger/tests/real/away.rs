//! While the book is away.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use ledger::{FlushError, HoldError, Ledger, OpenError, Options};
use model::{clock::ManualClock, id::PoolId, money::Units, usage::UsageContext};
use tempfile::TempDir;

use crate::{
    book::TestBook,
    fixture::{KEY, POOLS, context, ended, open, options, outcome, pay, segments},
};

#[tokio::test(flavor = "multi_thread")]
async fn while_the_book_is_away_nothing_is_lost() {
    let (dir, book) = (TempDir::new().unwrap(), TestBook::new(1_000, 1_000));
    let soon = Options {
        apply_every: Duration::from_millis(1),
        flush_limit: Duration::from_millis(20),
        ..options(dir.path())
    };
    let ledger = Ledger::open(Arc::clone(&book), Arc::new(ManualClock::default()), soon).await.unwrap();
    pay(&ledger, 10).await;
    while ledger.flush().await.is_err() {}
    book.away.store(true, Ordering::SeqCst);
    for _ in 0..50 {
        pay(&ledger, 10).await;
    }
    book.misses(2).await;
    assert_eq!(ledger.flush().await, Err(FlushError::Late));
    assert!(ledger.is_admitting());
    assert_eq!(book.balance(KEY).used, 10);
    // A pool that is not in memory cannot be asked for; nothing is taken then.
    let unknown = ledger.hold([KEY, PoolId(9)], Units::new(1), context()).await.unwrap_err();
    assert!(matches!(unknown, HoldError::Book(_)));
    // Then it does its work, and only its answers are lost.
    book.mute.store(true, Ordering::SeqCst);
    book.away.store(false, Ordering::SeqCst);
    book.misses(1).await;
    pay(&ledger, 10).await;
    book.mute.store(false, Ordering::SeqCst);
    while ledger.flush().await.is_err() {}
    assert_eq!((ledger.stats().unapplied, book.charges().len()), (0, 52));
    assert_eq!(ledger.affordable(POOLS, Units::ZERO).await.unwrap(), Units::new(480));
    ledger.close().await.unwrap();
    book.check();
    assert_eq!((book.balance(KEY).used, book.balance(KEY).available), (520, 480));
}

/// The journal goes on for as long as the disk has room, however long the book is away.
#[tokio::test(flavor = "multi_thread")]
async fn while_the_book_is_away_the_journal_grows() {
    let (dir, book) = (TempDir::new().unwrap(), TestBook::new(1_000, 1_000));
    let soon = Options { apply_every: Duration::from_millis(1), ..options(dir.path()) };
    let ledger = Ledger::open(Arc::clone(&book), Arc::new(ManualClock::default()), soon).await.unwrap();
    pay(&ledger, 1).await;
    book.away.store(true, Ordering::SeqCst);
    pay(&ledger, 1).await;
    // The applier is in the middle of an attempt that fails for ever.
    book.misses(1).await;
    let long = UsageContext { request_id: "r".repeat(60_000), ..context() };
    let (mut charges, mut refused) = (2, 0);
    while segments(dir.path()).len() < 8 {
        match ledger.hold(POOLS, Units::new(1), long.clone()).await {
            Ok(hold) => {
                drop(hold.settle(outcome(1)));
                charges += 1;
            }
            // Faster than the disk: there is room in a moment.
            Err(HoldError::NotAdmitting) => {
                refused += 1;
                assert!(refused < 10_000_000, "no segment was made");
                tokio::task::yield_now().await;
            }
            Err(other) => assert_eq!(other, HoldError::NotAdmitting),
        }
    }
    book.away.store(false, Ordering::SeqCst);
    ledger.flush().await.unwrap();
    assert_eq!((book.balance(KEY).used, book.charges().len() as i64), (charges, charges));
    ledger.close().await.unwrap();
    book.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_without_the_book_ends_all_the_same() {
    let (dir, book) = (TempDir::new().unwrap(), TestBook::new(100, 100));
    let ledger = open(&book, dir.path()).await.unwrap();
    pay(&ledger, 10).await;
    ledger.flush().await.unwrap();
    book.away.store(true, Ordering::SeqCst);
    assert!(matches!(ledger.close().await, Err(FlushError::Book(_))));
    ended(ledger).await;
    assert!(matches!(open(&book, dir.path()).await, Err(OpenError::Book(_))));
    book.away.store(false, Ordering::SeqCst);
    let again = open(&book, dir.path()).await.unwrap();
    assert_eq!(book.balance(KEY).available, 90);
    again.close().await.unwrap();
    book.check();
}
