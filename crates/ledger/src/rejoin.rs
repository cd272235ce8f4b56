//! How a node tells a book what it has: at its start, when that is nothing, and when it goes on with a book that has begun a
//! new life, which is a server that was started anew, or one that took the place of another and missed what that had
//! committed last.
//!
//! What it keeps true: the book has every charge again before it is told how the leases stand, and gives nothing to anybody
//! before every node has told it. Requests go on meanwhile with what is leased. The book may go back again at any step: it
//! takes nobody's word for how leases stand who has not applied what it misses.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use crate::{
    applier::Applier,
    book::{BookError, Node, Registered},
    error::OpenError,
    ledger::Ledger,
};

/// The pause before another try, at first and at most.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

impl Ledger {
    /// The book does not take this node's word before it has rejoined.
    pub(crate) fn must_rejoin(&self) {
        if !self.rejoins.swap(true, Ordering::AcqRel) {
            tracing::info!("the database has begun anew; it is told what this node has");
        }
        self.hurry.notify_one();
    }
}

impl Applier {
    /// Tells the book that this node begins, and has nothing.
    ///
    /// # Errors
    /// The journal cannot be read, or the book does not answer: then the start fails.
    pub(crate) async fn begin(&mut self, mut registered: Registered) -> Result<(), OpenError> {
        let mut pause = PAUSE;
        loop {
            match self.tell(registered).await {
                Err(OpenError::Book(BookError::Anew)) => {}
                done => return done,
            }
            tracing::warn!(
                "the database has gone back while it was told what this node has; it is told again"
            );
            let ledger = self.ledger();
            pause = rest(ledger, pause).await;
            registered = ledger.book.dyn_open_journal(ledger.journal()).await?;
            ledger.set_epoch(registered.epoch);
        }
    }

    /// Brings the book up to date about this node, however long it takes. An error is final.
    pub(crate) async fn rejoin(&mut self) -> Result<(), String> {
        let ledger = Arc::clone(self.ledger());
        let mut pause = PAUSE;
        ledger.rejoins.store(true, Ordering::Release);
        let before = ledger.node();
        let now = ledger.next_life();
        loop {
            match self.try_to_rejoin(before, now).await {
                Ok(()) => break,
                Err(OpenError::Book(error @ (BookError::Unavailable(_) | BookError::Anew))) => {
                    tracing::warn!(%error, "the database is not told yet what this node has");
                    pause = rest(&ledger, pause).await;
                }
                Err(error) => return Err(error.to_string()),
            }
            if ledger.stopping.load(Ordering::Acquire) {
                return Err("it was closed before the database knew what this node has".to_owned());
            }
        }
        ledger.rejoins.store(false, Ordering::Release);
        // What was put off until now.
        ledger.wishes.wake.notify_one();
        ledger.heart.notify_one();
        tracing::info!("the database knows what this node has");
        Ok(())
    }

    async fn try_to_rejoin(&mut self, before: Node, now: Node) -> Result<(), OpenError> {
        let ledger = Arc::clone(self.ledger());
        let registered = ledger.book.dyn_rejoin(before, now).await?;
        if ledger.journal.synced().await.is_none() {
            return Err(OpenError::Disagree(ledger.fatal().0));
        }
        self.tell(registered).await
    }

    /// Brings what is durable into a book that has registered this node, and tells it how the leases stand.
    async fn tell(&mut self, registered: Registered) -> Result<(), OpenError> {
        let ledger = Arc::clone(self.ledger());
        if !self.may_have_brought_it_to(registered.applied) {
            return Err(OpenError::Disagree(format!(
                "the database has this journal at {}, where this process has not brought it: is another one using it?",
                registered.applied
            )));
        }
        self.go_to(registered.applied)?;
        let limit = self.replay().await?;
        // No grant is under way then, and none is taken in later that an earlier life of the book has made.
        let _turn = ledger.turn.lock().await;
        let told = ledger.pools.standings(limit);
        let amounts = ledger.book.dyn_settle(ledger.node(), self.applied(), &told).await?;
        ledger.pools.shrink(&told, &amounts);
        Ok(())
    }
}

/// Waits, unless somebody is in a hurry. Says how long the next time.
async fn rest(ledger: &Ledger, pause: Duration) -> Duration {
    drop(tokio::time::timeout(pause, ledger.hurry.notified()).await);
    (pause * 2).min(LONGEST_PAUSE)
}
