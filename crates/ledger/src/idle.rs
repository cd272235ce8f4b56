//! Gives back what nobody uses: every pool that was ever used would otherwise stay in memory, and its units with this
//! node.

use std::sync::{Arc, atomic::Ordering};

use model::clock::Timestamp;

use crate::{book::BookError, ledger::Ledger};

/// Pools whose leases are returned in one transaction. Whoever needs a first lease waits for one of them at most.
const TOGETHER: usize = 256;

/// Runs until the ledger is closed.
pub(crate) async fn keep(ledger: Arc<Ledger>) {
    let period = ledger.options.pool_idle / 4;
    while !ledger.stopping.load(Ordering::Acquire) {
        // Whichever comes first; both only say that it is time to look.
        drop(tokio::time::timeout(period, ledger.crowded.notified()).await);
        if let Err(error) = ledger.return_idle().await {
            tracing::warn!(%error, "unused leases stay here until the database takes them back");
        }
    }
}

impl Ledger {
    /// Returns the leases of pools that were not used for [`Options::pool_idle`](crate::Options::pool_idle), or that are
    /// too many, and forgets them. A request that comes meanwhile asks the book again. This happens by itself; a call
    /// makes it happen now. Returns how many went.
    ///
    /// # Errors
    /// The book does not answer; what was not returned stays.
    pub async fn return_idle(&self) -> Result<usize, BookError> {
        let reached = || self.reached.borrow().seq;
        let idle = i64::try_from(self.options.pool_idle.as_millis()).unwrap_or(i64::MAX);
        let before = Timestamp::from_millis(self.clock.now().millis().saturating_sub(idle));
        let mut returned = 0;
        for idle in self.pools.idle(reached(), before, self.options.pools).chunks(TOGETHER) {
            let _turn = self.turn.lock().await;
            if self.rejoins.load(Ordering::Acquire) {
                return Ok(returned);
            }
            let claimed = self.pools.claim(idle, reached());
            if claimed.is_empty() {
                continue;
            }
            // A pool without a limit has no lease.
            let leases: Vec<_> = claimed.iter().filter(|draw| draw.lease.0 != 0).copied().collect();
            if !leases.is_empty() {
                self.book.dyn_return_leases(self.node(), &leases).await?;
            }
            self.pools.forget(&claimed);
            returned += claimed.len();
        }
        Ok(returned)
    }
}
