//! Pools that nobody uses: their units go back, and whoever comes at that moment is served right.

use std::sync::{Arc, atomic::Ordering};

use ledger::{HoldError, Ledger, Options};
use model::{
    clock::{ManualClock, Timestamp},
    id::PoolId,
    money::Units,
};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::{
    book::TestBook,
    fixture::{ACCOUNT, KEY, POOLS, context, ended, hold, open, options, outcome, pay, short},
};

/// Longer than a pool may lie unused.
const LONG: i64 = 3_600_000;

async fn open_at(book: &Arc<TestBook>, dir: &TempDir, pools: usize) -> (Arc<Ledger>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    let options = Options { pools, ..options(dir.path()) };
    (Ledger::open(Arc::clone(book), clock.clone(), options).await.unwrap(), clock)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_uses_goes_back_and_comes_again_when_asked_for() {
    let (dir, book) = (TempDir::new().unwrap(), TestBook::new(100, 1_000));
    let (ledger, clock) = open_at(&book, &dir, 100).await;
    pay(&ledger, 30).await;
    assert_eq!(ledger.return_idle().await, Ok(0), "it was used a moment ago");
    clock.set(Timestamp::from_millis(LONG));
    assert_eq!(ledger.return_idle().await, Ok(0), "the book does not have the charge yet");
    ledger.flush().await.unwrap();
    assert_eq!(ledger.return_idle().await, Ok(2));
    assert_eq!(ledger.stats().pools, 0);
    assert_eq!((book.balance(KEY).leased, book.balance(KEY).available), (0, 70));
    assert_eq!((book.balance(ACCOUNT).leased, book.balance(ACCOUNT).available), (0, 970));

    assert_eq!(hold(&ledger, 71).await.unwrap_err(), short(KEY, 71, 70));
    pay(&ledger, 70).await;
    ledger.close().await.unwrap();
    book.check();
    assert_eq!((book.balance(KEY).used, book.balance(KEY).available), (100, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_stays_while_a_hold_is_open_on_it() {
    let (dir, book) = (TempDir::new().unwrap(), TestBook::new(100, 1_000));
    let (ledger, clock) = open_at(&book, &dir, 0).await;
    let mut stream = hold(&ledger, 60).await.unwrap();
    clock.set(Timestamp::from_millis(LONG));
    assert_eq!(ledger.return_idle().await, Ok(0));
    stream.raise(Units::new(40)).await.unwrap();
    drop(stream.settle(outcome(100)));
    assert_eq!(ledger.return_idle().await, Ok(0), "the book does not have the charge yet");
    ledger.flush().await.unwrap();
    assert_eq!(ledger.return_idle().await, Ok(2));
    ledger.close().await.unwrap();
    book.check();
}

/// Too many pools are too many, however young: the oldest go by themselves.
#[tokio::test(flavor = "multi_thread")]
async fn pools_are_bounded_in_number() {
    let (dir, book) = (TempDir::new().unwrap(), TestBook::new(100, 1_000));
    let keys: Vec<PoolId> = (10..60).map(PoolId).collect();
    keys.iter().for_each(|key| book.grant(*key, 10));
    let (ledger, clock) = open_at(&book, &dir, 20).await;
    for (second, key) in (1..).zip(&keys) {
        clock.set(Timestamp::from_millis(second * 1_000));
        let held = ledger.hold([*key, ACCOUNT], Units::new(4), context()).await.unwrap();
        drop(held.settle(outcome(4)));
        ledger.flush().await.unwrap();
    }
    while ledger.stats().pools > 20 {
        tokio::task::yield_now().await;
    }
    assert!(ledger.stats().pools >= 18);
    assert_eq!(book.balance(keys[0]).leased, 0, "the first went");
    assert_eq!(book.balance(keys[49]).leased, 6, "the last stays");
    assert_eq!(book.balance(ACCOUNT).leased, 800, "and what every request uses");
    ledger.close().await.unwrap();
    book.check_each();
}

/// The book takes a lease back, or does not, and nobody hears of it: what it says next is right.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_costs_nobody_anything() {
    for mute in [true, false] {
        let (dir, book) = (TempDir::new().unwrap(), TestBook::new(100, 1_000));
        let (ledger, clock) = open_at(&book, &dir, 100).await;
        pay(&ledger, 30).await;
        ledger.flush().await.unwrap();
        clock.set(Timestamp::from_millis(LONG));
        let switch = if mute { &book.mute } else { &book.away };
        switch.store(true, Ordering::SeqCst);
        assert!(ledger.return_idle().await.is_err());
        assert!(matches!(hold(&ledger, 1).await, Err(HoldError::Book(_))));
        switch.store(false, Ordering::SeqCst);
        assert_eq!(hold(&ledger, 71).await.unwrap_err(), short(KEY, 71, 70));
        pay(&ledger, 70).await;
        ledger.close().await.unwrap();
        book.check();
        ended(ledger).await;
        open(&book, dir.path()).await.unwrap().close().await.unwrap();
        book.check();
        assert_eq!((book.balance(KEY).used, book.balance(KEY).available), (100, 0));
    }
}

/// Eight requests come while everything goes, again and again: none is refused that the quota covers, and nothing is spent
/// twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn whoever_comes_at_that_very_moment_gets_a_right_answer() {
    let (dir, book) = (TempDir::new().unwrap(), TestBook::new(1_500, 1_000_000));
    let (ledger, _) = open_at(&book, &dir, 0).await;
    let (mut paid, mut returned) = (0, 0);
    for _ in 0..200 {
        ledger.flush().await.unwrap();
        let mut requests = JoinSet::new();
        for _ in 0..8 {
            let ledger = Arc::clone(&ledger);
            requests.spawn(async move {
                match ledger.hold(POOLS, Units::new(1), context()).await {
                    Ok(hold) => hold.settle(outcome(1)).units.get(),
                    Err(HoldError::NotAffordable { .. }) => 0,
                    Err(other) => panic!("{other}"),
                }
            });
        }
        returned += ledger.return_idle().await.unwrap();
        paid += requests.join_all().await.into_iter().sum::<i64>();
    }
    assert!(returned > 0, "nothing went while requests came");
    ledger.close().await.unwrap();
    book.check();
    assert_eq!((paid, book.balance(KEY).used), (1_500, 1_500));
}
