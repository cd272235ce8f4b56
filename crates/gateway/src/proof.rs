//! The proof of the books, in the background: what it finds is a figure that must be 0, and an error in the log.

use std::{
    sync::{Weak, atomic::Ordering},
    time::Duration,
};

use store::StoreError;

use crate::Gateway;

/// How long after the start the books are proved for the first time.
const FIRST: Duration = Duration::from_secs(60);
/// The most discrepancies that are named in the log; `apsis ledger verify` prints all.
const NAMED: usize = 20;

impl Gateway {
    /// Proves the books now, as `apsis ledger verify` does, and notes how many discrepancies there are.
    ///
    /// # Errors
    /// The database.
    pub async fn prove(&self) -> Result<usize, StoreError> {
        let found = self.store.verify().await?;
        for discrepancy in found.iter().take(NAMED) {
            tracing::error!(pool = discrepancy.pool, what = discrepancy.what, "the books do not add up");
        }
        self.metrics.discrepancies.store(found.len() as u64, Ordering::Relaxed);
        Ok(found.len())
    }
}

/// Runs as long as the gateway is there.
pub(crate) async fn run(gateway: Weak<Gateway>, every: Duration) {
    let mut pause = FIRST.min(every);
    loop {
        tokio::time::sleep(pause).await;
        let Some(gateway) = gateway.upgrade() else { return };
        if let Err(error) = gateway.prove().await {
            tracing::warn!(%error, "the books cannot be proved at the moment");
        }
        pause = every;
    }
}
