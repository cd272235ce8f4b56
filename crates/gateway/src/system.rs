//! What operators see of a node: how its books stand, and how large it has grown.

use std::sync::atomic::Ordering;

use model::{clock::Timestamp, id::JournalId};
use store::Role;

use crate::{Failure, Gateway, access::Caller, proof::Proof};

/// A node at a moment.
#[derive(Clone, Debug)]
pub struct System {
    /// The node's journal: a node with an empty disk is a new one.
    pub journal: JournalId,
    /// When the node began.
    pub started: Timestamp,
    /// Bytes of the journal's files; `None` when they cannot be read.
    pub journal_bytes: Option<u64>,
    /// Bytes of the database.
    pub database_bytes: i64,
    /// Bytes of memory that the program occupies; `None` where the system does not say.
    pub memory_bytes: Option<u64>,
    /// Model requests since the start: answered, and failed or refused.
    pub requests: (u64, u64),
}

/// How the books stand.
#[derive(Clone, Debug)]
pub struct Books {
    /// Figures of the ledger on this node.
    pub stats: ledger::Stats,
    /// Whether new requests are taken.
    pub is_admitting: bool,
    /// Units that upstreams claimed beyond holds, since the start; never charged.
    pub overrun: u64,
    /// Since when the books are being proved; `None` when they are not.
    pub proving_since: Option<Timestamp>,
    /// The last proof of this node.
    pub last: Option<Proof>,
}

/// Bytes of memory, as Linux tells it: the second figure is in pages of 4 KiB.
fn memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    text.split_whitespace().nth(1)?.parse::<u64>().ok().map(|pages| pages * 4_096)
}

/// The node, for administrators.
///
/// # Errors
/// [`Failure::Forbidden`]; the database.
pub async fn system(gateway: &Gateway, caller: &Caller) -> Result<System, Failure> {
    caller.must_be(Role::Administrator)?;
    let size = gateway.store.size().await.map_err(|error| Failure::of(error, "database"))?;
    let journal_bytes = gateway.ledger.journal_bytes();
    if let Err(error) = &journal_bytes {
        tracing::warn!(%error, "the journal's files cannot be looked at");
    }
    Ok(System {
        journal: gateway.ledger.journal(),
        started: gateway.started,
        journal_bytes: journal_bytes.ok(),
        database_bytes: size,
        memory_bytes: memory(),
        requests: gateway.metrics.answered(),
    })
}

/// The books, for administrators.
///
/// # Errors
/// [`Failure::Forbidden`].
pub fn books(gateway: &Gateway, caller: &Caller) -> Result<Books, Failure> {
    caller.must_be(Role::Administrator)?;
    let (proving_since, last) = gateway.proofs.state();
    Ok(Books {
        stats: gateway.ledger.stats(),
        is_admitting: gateway.ledger.is_admitting(),
        overrun: gateway.metrics.overrun.load(Ordering::Relaxed),
        proving_since,
        last,
    })
}

/// Asks for a proof of the books now. It goes on whether somebody waits for it or not; one that runs already is enough.
///
/// # Errors
/// [`Failure::Forbidden`].
pub fn prove(gateway: &Gateway, caller: &Caller) -> Result<(), Failure> {
    caller.must_be(Role::Administrator)?;
    gateway.proofs.ask(gateway.now());
    Ok(())
}
