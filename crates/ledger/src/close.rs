//! How a ledger ends: no more holds, all that is settled in the book, no lease left, and no thread.

use std::{sync::atomic::Ordering, time::Duration};

use crate::{book::BookError, error::FlushError, ledger::Ledger};

/// Between two tries to return all leases to a book that must be told of them first.
const PAUSE: Duration = Duration::from_millis(50);

impl Ledger {
    pub(crate) fn hold_ended(&self) {
        self.ended.notify_waiters();
    }

    /// Takes no more holds. Open ones go on.
    pub fn stop_admitting(&self) {
        self.journal.close();
    }

    /// Resolves when no hold is open.
    pub async fn idle(&self) {
        loop {
            let ended = self.ended.notified();
            if self.journal.open_holds() == 0 {
                return;
            }
            ended.await;
        }
    }

    /// Takes no more holds, brings everything into the book, returns the leases if no hold is open, and ends the
    /// threads. What is still open is settled by the next start.
    ///
    /// # Errors
    /// As [`Ledger::flush`]; then the next start does the rest.
    pub async fn close(&self) -> Result<(), FlushError> {
        self.journal.close();
        // Asked before the flush: what settles during it may not be in the book when the leases are returned.
        let idle = self.journal.open_holds() == 0;
        let mut closed = self.flush().await;
        self.wishes.close();
        if closed.is_ok() && idle {
            self.closing.store(true, Ordering::Release);
            let returned = tokio::time::timeout(self.options.flush_limit, self.return_all()).await;
            closed = returned.map_err(|_| FlushError::Late).flatten();
        }
        self.stopping.store(true, Ordering::Release);
        self.wishes.wake.notify_one();
        self.heart.notify_one();
        self.hurry.notify_one();
        self.crowded.notify_one();
        self.journal.wants_room.notify_one();
        self.journal.stop();
        if let Some(thread) = self.sync_thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the journal's sync thread panicked");
        }
        closed
    }

    /// Closes every lease; in a book that has begun anew, once it knows them.
    async fn return_all(&self) -> Result<(), FlushError> {
        loop {
            // A grant that is under way would open a lease that nobody closes.
            let turn = self.turn.lock().await;
            match self.book.dyn_close_leases(self.node()).await {
                Err(BookError::Anew) => {}
                closed => return Ok(closed?),
            }
            drop(turn);
            self.must_rejoin();
            tokio::time::sleep(PAUSE).await;
        }
    }
}
