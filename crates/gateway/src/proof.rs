//! The proof of the books, in the background: what it finds is a figure that must be 0, and an error in the log.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use model::clock::Timestamp;
use parking_lot::Mutex;
use store::{Discrepancy, StoreError};
use tokio::sync::Notify;

use crate::Gateway;

/// How long after the start the books are proved for the first time.
const FIRST: Duration = Duration::from_secs(60);
/// The most discrepancies that are named in the log; `apsis ledger verify` prints all.
const NAMED: usize = 20;

/// A proof of the books that has ended.
#[derive(Clone, Debug)]
pub struct Proof {
    /// When it began.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// How many discrepancies there are; `None` when the database did not answer.
    pub found: Option<usize>,
    /// The first of them.
    pub named: Vec<Discrepancy>,
}

#[derive(Debug, Default)]
struct State {
    since: Option<Timestamp>,
    last: Option<Proof>,
}

/// The proofs of one node: one at a time.
#[derive(Debug, Default)]
pub(crate) struct Proofs {
    wanted: Notify,
    stopped: Notify,
    state: Mutex<State>,
}

impl Proofs {
    /// Asks for one now, if none is on its way.
    pub(crate) fn ask(&self, now: Timestamp) {
        let mut state = self.state.lock();
        if state.since.is_none() {
            state.since = Some(now);
            self.wanted.notify_one();
        }
    }

    /// Since when one is on its way, and the last that has ended.
    pub(crate) fn state(&self) -> (Option<Timestamp>, Option<Proof>) {
        let state = self.state.lock();
        (state.since, state.last.clone())
    }
}

impl Gateway {
    /// Gives up the proof that is on its way, and begins none: a server that stops does not wait for it, and with very many
    /// records it takes minutes.
    pub fn stop_proving(&self) {
        self.proofs.stopped.notify_one();
    }

    /// Proves the books now, as `apsis ledger verify` does, and notes how many discrepancies there are.
    ///
    /// # Errors
    /// The database.
    pub async fn prove(&self) -> Result<usize, StoreError> {
        let began = self.now();
        self.proofs.state.lock().since = Some(began);
        let found = self.store.verify().await;
        let named = found.iter().flatten().take(NAMED).cloned().collect();
        let proof = Proof { began, ended: self.now(), found: found.as_ref().ok().map(Vec::len), named };
        {
            let mut state = self.proofs.state.lock();
            *state = State { since: None, last: Some(proof) };
        }
        let found = found?;
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
        let Some(proofs) = gateway.upgrade().map(|gateway| Arc::clone(&gateway.proofs)) else { return };
        let asked = tokio::select! {
            () = tokio::time::sleep(pause) => false,
            () = proofs.wanted.notified() => true,
        };
        let Some(gateway) = gateway.upgrade() else { return };
        pause = every;
        // One node proves the books for all; an operator is never referred to another.
        if !asked && !gateway.claims("proof", every.saturating_add(every / 2)).await {
            continue;
        }
        tokio::select! {
            biased;
            () = proofs.stopped.notified() => return,
            proved = gateway.prove() => if let Err(error) = proved {
                tracing::warn!(%error, "the books cannot be proved at the moment");
            },
        }
    }
}
