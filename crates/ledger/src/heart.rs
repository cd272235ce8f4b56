//! The heartbeat: says that this node lives, and gives back what others want and no hold has taken.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use model::id::LeaseId;
use tokio::time::Instant;

use crate::{
    book::{BookError, Node, Part},
    ledger::Ledger,
};

/// From one beat to the next, unless the book calls sooner. A beat also learns whether somebody has changed anything, which
/// must be live within a second.
const BEAT: Duration = Duration::from_millis(600);

/// Runs until the ledger is closed.
pub(crate) async fn keep(ledger: Arc<Ledger>) {
    // What the book has not confirmed yet. It is told again: the units are out of use here already.
    let mut parts = HashMap::new();
    let mut listening = ledger.book.dyn_listen(ledger.node(), &ledger.heart);
    let mut hears = true;
    let mut failing = false;
    let mut last = Instant::now();
    loop {
        tokio::select! {
            () = ledger.heart.notified() => {}
            () = &mut listening, if hears => hears = false,
            () = tokio::time::sleep_until(last + BEAT) => {}
        }
        last = Instant::now();
        if ledger.stopping.load(Ordering::Acquire) {
            return;
        }
        let node = ledger.node();
        match ledger.beat(node, &mut parts).await {
            Ok(()) => {
                if failing {
                    tracing::info!("the database hears this node again");
                }
                ledger.forget_now();
            }
            // One that rejoined meanwhile spoke for a life that has ended.
            Err(BookError::Fenced) if ledger.node() != node => {}
            Err(BookError::Fenced) => return ledger.give_up(BookError::Fenced.to_string()),
            Err(BookError::Anew) if ledger.node() != node => {}
            // It has said that it has nothing any more.
            Err(BookError::Anew) if ledger.closing.load(Ordering::Acquire) => {}
            Err(BookError::Anew) => ledger.must_rejoin(),
            Err(error) if !failing => {
                tracing::warn!(%error, "the database does not hear that this node lives");
                failing = true;
                continue;
            }
            Err(_) => continue,
        }
        failing = false;
    }
}

impl Ledger {
    async fn beat(&self, node: Node, parts: &mut HashMap<LeaseId, Part>) -> Result<(), BookError> {
        let wanted = self.book.dyn_heartbeat(node, self.options.dead_after).await?;
        let unknown = self.pools.give_up(&wanted, parts);
        if !parts.is_empty() {
            let told: Vec<Part> = parts.values().copied().collect();
            self.book.dyn_give_back(node, &told).await?;
            parts.clear();
        }
        if unknown.is_empty() {
            return Ok(());
        }
        // Leases whose grant was never heard of: nothing was ever taken from them. An answer that is about to be taken
        // in would say otherwise, so it is waited for.
        let _turn = self.turn.lock().await;
        let unknown = self.pools.unknown(unknown);
        self.book.dyn_return_leases(node, &unknown).await
    }

    /// Nothing of this journal counts any more: the process must end and begin anew.
    fn give_up(&self, what: String) {
        tracing::error!(what, "this node stops");
        self.journal.close();
        self.reached.send_modify(|reached| reached.broken = Some(what));
    }
}
