//! The book: the database's side of the ledger, as one small trait.
//!
//! The ledger never sees SQL. `store` implements [`Book`]; every call is one transaction there.

use std::{future::Future, pin::Pin};

use model::{
    id::{ChargeId, JournalId, LeaseId, PoolId},
    money::Units,
    usage::{UsageContext, UsageOutcome},
};

/// What the ledger asks of the database. No call is on the path of a warm request.
pub trait Book: Send + Sync + 'static {
    /// Registers the journal under a new epoch, which fences an earlier life of it, and tells how far it is applied:
    /// 0 when nothing is.
    ///
    /// # Errors
    /// [`BookError::Unavailable`].
    fn open_journal(&self, journal: JournalId) -> impl Future<Output = Result<u64, BookError>> + Send;

    /// Opens the lease of `journal` on `pool`, or extends the one that is open, by all that is available.
    ///
    /// # Errors
    /// [`BookError::UnknownPool`], [`BookError::Unavailable`].
    fn lease(
        &self,
        journal: JournalId,
        pool: PoolId,
        need: Units,
    ) -> impl Future<Output = Result<LeaseState, BookError>> + Send;

    /// Moves a stretch of the journal into the book: usage records, leases and pools, in one transaction guarded by
    /// the journal's cursor.
    ///
    /// # Errors
    /// [`BookError::Unavailable`]; then nothing or all of it happened, and the cursor tells which.
    fn apply(&self, batch: &Batch) -> impl Future<Output = Result<Applied, BookError>> + Send;

    /// Closes these leases of `journal`, as far as they are open, and returns what remains of them. Only when no hold is
    /// open on them and all that was settled is applied. It may be told twice.
    ///
    /// # Errors
    /// [`BookError::Unavailable`].
    fn return_leases(
        &self,
        journal: JournalId,
        leases: &[Draw],
    ) -> impl Future<Output = Result<(), BookError>> + Send;

    /// Closes every open lease of `journal` and returns what remains of them. Only when no hold is open on them.
    ///
    /// # Errors
    /// [`BookError::Unavailable`].
    fn close_leases(&self, journal: JournalId) -> impl Future<Output = Result<(), BookError>> + Send;
}

/// A lease after it was opened or extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseState {
    /// Its identity; `LeaseId(0)` for an unlimited pool, which is only counted.
    pub lease: LeaseId,
    /// All that it was ever given, spent parts included. 0 for an unlimited pool.
    pub amount: Units,
    /// Whether the pool has no limit.
    pub unlimited: bool,
    /// What is left in the pool for other leases.
    pub available: Units,
}

/// A stretch of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The journal.
    pub journal: JournalId,
    /// Where the book's cursor must stand before.
    pub from: u64,
    /// Where it stands after.
    pub to: u64,
    /// The settled charges in it.
    pub charges: Vec<Charge>,
}

/// One settled request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Its identity: unique for ever.
    pub id: ChargeId,
    /// The pools that pay, each with the lease that the hold was taken from.
    pub draws: Vec<Draw>,
    /// Who, what and by which way.
    pub context: UsageContext,
    /// What it used and costs.
    pub outcome: UsageOutcome,
}

/// One pool that a charge is drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Draw {
    /// The pool.
    pub pool: PoolId,
    /// The lease; `LeaseId(0)` when the pool had no limit: then granted and used rise together.
    pub lease: LeaseId,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is in the book now.
    Now,
    /// The cursor did not stand at `from`: it stands here, and nothing was done.
    Already(u64),
}

/// Why the book could not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    /// There is no such pool.
    #[error("the book has no such pool")]
    UnknownPool,
    /// The database does not answer; the text is for the log.
    #[error("the book is unavailable: {0}")]
    Unavailable(String),
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, BookError>> + Send + 'a>>;

/// [`Book`] behind a pointer, so that whoever holds a ledger need not name the database.
pub(crate) trait DynBook: Send + Sync {
    fn dyn_open_journal(&self, journal: JournalId) -> Answer<'_, u64>;
    fn dyn_lease(&self, journal: JournalId, pool: PoolId, need: Units) -> Answer<'_, LeaseState>;
    fn dyn_apply<'a>(&'a self, batch: &'a Batch) -> Answer<'a, Applied>;
    fn dyn_return_leases<'a>(&'a self, journal: JournalId, leases: &'a [Draw]) -> Answer<'a, ()>;
    fn dyn_close_leases(&self, journal: JournalId) -> Answer<'_, ()>;
}

impl<B: Book> DynBook for B {
    fn dyn_open_journal(&self, journal: JournalId) -> Answer<'_, u64> {
        Box::pin(self.open_journal(journal))
    }

    fn dyn_lease(&self, journal: JournalId, pool: PoolId, need: Units) -> Answer<'_, LeaseState> {
        Box::pin(self.lease(journal, pool, need))
    }

    fn dyn_apply<'a>(&'a self, batch: &'a Batch) -> Answer<'a, Applied> {
        Box::pin(self.apply(batch))
    }

    fn dyn_return_leases<'a>(&'a self, journal: JournalId, leases: &'a [Draw]) -> Answer<'a, ()> {
        Box::pin(self.return_leases(journal, leases))
    }

    fn dyn_close_leases(&self, journal: JournalId) -> Answer<'_, ()> {
        Box::pin(self.close_leases(journal))
    }
}
