//! Keeps one segment ready ahead of the writer, whatever the book does meanwhile: while the database is away the
//! journal must go on, and only a disk without room stops it.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use crate::ledger::{Ledger, nonce};

/// Between two tries to make a segment.
const PAUSE: Duration = Duration::from_millis(200);

/// Runs until the ledger is closed. A segment is made as soon as the last one is begun; when that fails, it is tried
/// again after a [`PAUSE`].
pub(crate) async fn keep(ledger: Arc<Ledger>) {
    let mut failing = false;
    while !ledger.stopping.load(Ordering::Acquire) {
        if failing {
            // Every refused request asks; a disk without room is not filled in vain for each of them.
            tokio::time::sleep(PAUSE).await;
        } else {
            ledger.journal.wants_room.notified().await;
        }
        failing = make(&ledger, failing).await;
    }
}

/// Makes one if there is none. Returns whether that failed; it is said once, not every time.
async fn make(ledger: &Ledger, failing: bool) -> bool {
    let journal = Arc::clone(&ledger.journal);
    let made = tokio::task::spawn_blocking(move || journal.prepare(nonce())).await;
    let failed = match made {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(error) => Some(error.to_string()),
    };
    match &failed {
        Some(error) if !failing => {
            tracing::error!(
                error,
                "cannot make a journal segment; admission stops when the last one is full"
            );
        }
        None if failing => tracing::info!("journal segments can be made again"),
        _ => {}
    }
    failed.is_some()
}
