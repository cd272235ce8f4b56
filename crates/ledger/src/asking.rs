//! Asks the book for leases on behalf of all who wait: whatever is wanted at the same moment is one transaction. A
//! request that goes away does not break it off, so no answer is lost for that.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use model::id::PoolId;

use crate::{
    book::{BookError, LeaseState},
    error::HoldError,
    ledger::Ledger,
    pool::Pool,
    wishes::Wish,
};

/// Runs until the ledger is closed.
pub(crate) async fn keep(ledger: Arc<Ledger>) {
    while !ledger.stopping.load(Ordering::Acquire) {
        match ledger.wishes.next(Instant::now()) {
            None => ledger.wishes.wake.notified().await,
            Some(at) => {
                // Whichever comes first; both only say that it is time to look.
                let sooner = ledger.wishes.wake.notified();
                drop(tokio::time::timeout_at(at.into(), sooner).await);
            }
        }
        ledger.ask().await;
    }
    ledger.wishes.close();
}

impl Ledger {
    /// One question about everything that is wanted now.
    async fn ask(&self) {
        let due = self.wishes.due(Instant::now());
        if due.is_empty() {
            return;
        }
        let _turn = self.turn.lock().await;
        let now = self.clock.now();
        let (mut asks, mut open) = (Vec::with_capacity(due.len()), Vec::with_capacity(due.len()));
        for (id, mut wish) in due {
            // Units may have come back meanwhile. What was edited is asked about all the same.
            if wish.serve(self.pools.fresh(id).as_ref()) {
                asks.push(wish.ask(id, self.pools.known(id).as_ref(), now));
                open.push((id, wish));
            }
        }
        if asks.is_empty() {
            return;
        }
        let edits = self.edits.load(Ordering::SeqCst);
        let node = self.node();
        let answer = if self.rejoins.load(Ordering::Acquire) {
            // It would not be listened to.
            Err(BookError::Anew)
        } else {
            self.book.dyn_lease(node, &asks).await
        };
        match answer {
            Ok(states) => {
                let edited = self.edits.load(Ordering::SeqCst) != edits;
                for ((id, wish), state) in open.into_iter().zip(states) {
                    self.answered(id, wish, state, edited);
                }
            }
            Err(error) => {
                // One that rejoined meanwhile spoke for a life that has ended.
                let rejoined = self.node() != node;
                if error == BookError::Fenced && !rejoined {
                    self.heart.notify_one();
                }
                if error == BookError::Anew && !rejoined {
                    self.must_rejoin();
                }
                let rejoins = error == BookError::Anew || rejoined;
                let why = HoldError::Book(error.to_string());
                for (id, wish) in open {
                    self.unanswered(id, wish, &why, rejoins);
                }
            }
        }
    }

    /// The book did not answer. What waits for no more than this node's rejoining waits on.
    fn unanswered(&self, id: PoolId, mut wish: Wish, why: &HoldError, rejoins: bool) {
        if let Some(pool) = self.pools.known(id) {
            pool.was_not_refilled();
        }
        if !rejoins {
            wish.fail(why);
        } else if wish.put_off(why, Instant::now()) {
            self.wishes.again(id, wish);
        }
    }

    fn answered(&self, id: PoolId, mut wish: Wish, state: Option<LeaseState>, edited: bool) {
        let Some(state) = state else { return wish.fail(&HoldError::UnknownPool(id)) };
        let pool = self.take_in(id, &state);
        if edited {
            pool.mark_stale();
        }
        if wish.answered(&pool, state.outlook, Instant::now()) {
            self.wishes.again(id, wish);
        }
    }

    /// Takes in an answer of the book. Only for whoever has the turn.
    fn take_in(&self, id: PoolId, state: &LeaseState) -> Arc<Pool> {
        // What the map has now, not what the caller holds: of one lease there must never be two pools.
        let now = self.clock.now();
        if let Some(pool) = self.pools.known(id).filter(|pool| pool.refresh(state, now)) {
            pool.touch(now);
            return pool;
        }
        let pool = Arc::new(Pool::new(id, state, now));
        if self.pools.put(Arc::clone(&pool)) > self.options.pools {
            self.crowded.notify_one();
        }
        pool
    }
}
