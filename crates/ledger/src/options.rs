//! How the ledger is run.

use std::{path::PathBuf, time::Duration};

/// How the ledger is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory of the journal. Only one process may use it; the caller sees to that.
    pub dir: PathBuf,
    /// Size of a segment in bytes, at least 1 MiB. Every open hold reserves 256 bytes of one.
    pub segment_bytes: u64,
    /// How soon a settlement is in the book; three times as long where so many wait that one transaction for all is cheaper.
    pub apply_every: Duration,
    /// Records in one transaction at most.
    pub apply_records: usize,
    /// How long segments are kept after all in them was brought into the book, should it go back to what it was before.
    pub kept_for: Duration,
    /// Bytes of such segments at most.
    pub kept_bytes: u64,
    /// How long [`Ledger::flush`] waits for the book.
    pub flush_limit: Duration,
    /// For how long a pool stays in memory, and its units with this node, after it was used last.
    pub pool_idle: Duration,
    /// Pools in memory at most, but for those in use; the ones used longest ago go first.
    pub pools: usize,
    /// How long another node may be silent until what it has leased is moved to suspense.
    pub dead_after: Duration,
}

impl Options {
    /// The defaults, in `dir`.
    #[must_use]
    pub const fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            segment_bytes: 8 << 20,
            apply_every: Duration::from_millis(200),
            apply_records: 4096,
            kept_for: Duration::from_secs(900),
            kept_bytes: 256 << 20,
            flush_limit: Duration::from_secs(5),
            pool_idle: Duration::from_secs(600),
            pools: 100_000,
            dead_after: Duration::from_secs(60),
        }
    }
}
