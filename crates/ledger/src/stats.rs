//! How the ledger is, in figures.

use crate::ledger::Ledger;

/// Figures for metrics.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    /// Holds without a settlement.
    pub open_holds: usize,
    /// Pools in memory.
    pub pools: usize,
    /// Records that the book does not have yet.
    pub unapplied: u64,
    /// Syncs of the journal so far.
    pub syncs: u64,
}

impl Ledger {
    /// Bytes of the journal's files.
    ///
    /// # Errors
    /// They cannot be looked at.
    pub fn journal_bytes(&self) -> std::io::Result<u64> {
        let mut bytes = 0;
        for entry in std::fs::read_dir(&self.options.dir)? {
            bytes += entry?.metadata()?.len();
        }
        Ok(bytes)
    }

    /// Figures for metrics.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            open_holds: self.journal.open_holds(),
            pools: self.pools.len(),
            unapplied: self.journal.last().saturating_sub(self.reached.borrow().seq),
            syncs: self.journal.syncs(),
        }
    }
}
