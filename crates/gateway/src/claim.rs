//! Background work that one node at a time does, of those that share a database.
//!
//! A node is known by its journal, which outlives its process: one that starts again goes on with what it had claimed.

use std::time::Duration;

use crate::Gateway;

impl Gateway {
    /// Whether this node is the one that does `work` now, and for `lasts` from now on. Not while the database is away.
    pub(crate) async fn claims(&self, work: &str, lasts: Duration) -> bool {
        match self.store.claim(work, &self.ledger.journal().to_string(), lasts).await {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::warn!(%error, work, "cannot be done at the moment");
                false
            }
        }
    }
}
