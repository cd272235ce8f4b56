//! The book: the database's side of the ledger, as one small trait.
//!
//! The ledger never sees SQL. `store` implements [`Book`]; every call is one transaction there.

use std::{future::Future, pin::Pin, time::Duration};

use model::{
    id::{ChargeId, JournalId, LeaseId, PoolId},
    money::Units,
    usage::{UsageContext, UsageOutcome},
};
use tokio::sync::Notify;

/// What the ledger asks of the database. No call is on the path of a warm request. Whatever a node says of its leases is
/// a total that only grows, so a call may be lost, late or told twice.
pub trait Book: Send + Sync + 'static {
    /// Registers the journal under a new epoch, which fences an earlier life of it, and tells how far it is applied:
    /// 0 when nothing is. Leases that stood in suspense are open again.
    ///
    /// # Errors
    /// [`BookError::Unavailable`].
    fn open_journal(&self, journal: JournalId) -> impl Future<Output = Result<Registered, BookError>> + Send;

    /// Registers the journal of a node that goes on, and was `before`, as `now`, where the book began a new life
    /// ([`BookError::Anew`]): what it knew of the node's leases may be old. Tells how far the journal is applied, which may be
    /// less than it was. It may be told twice.
    ///
    /// # Errors
    /// [`BookError::Fenced`] when a later life of the journal has begun; [`BookError::Unavailable`].
    fn rejoin(&self, before: Node, now: Node) -> impl Future<Output = Result<Registered, BookError>> + Send;

    /// Makes the node's leases what they are at the node, whose journal is `applied` so far; all others of its journal are
    /// closed. Only when all is applied that was settled on those. Of each it tells what the lease has now, its spent part
    /// included: less than the node has where that is not available any more.
    ///
    /// # Errors
    /// [`BookError::Fenced`]; [`BookError::Anew`] when the journal is not applied so far, since the book has gone back once
    /// more: then the node begins again; [`BookError::Unavailable`].
    fn settle(
        &self,
        node: Node,
        applied: u64,
        leases: &[Standing],
    ) -> impl Future<Output = Result<Vec<Units>, BookError>> + Send;

    /// Opens leases, or extends those that are open, by what [`crate::grant::size`] says, all in one transaction. One
    /// answer for each question, in their order; `None` where there is no such pool. Where the need is not met and
    /// other live nodes may have units that no hold has taken, it writes down that they are wanted.
    ///
    /// # Errors
    /// [`BookError::Fenced`], [`BookError::Anew`], [`BookError::Unavailable`].
    fn lease(
        &self,
        node: Node,
        asks: &[Ask],
    ) -> impl Future<Output = Result<Vec<Option<LeaseState>>, BookError>> + Send;

    /// Takes back parts of open leases: what goes back is the difference to what was told before. What is not open any
    /// more stays as it is.
    ///
    /// # Errors
    /// [`BookError::Fenced`], [`BookError::Anew`], [`BookError::Unavailable`].
    fn give_back(&self, node: Node, parts: &[Part]) -> impl Future<Output = Result<(), BookError>> + Send;

    /// Says that the node lives; learns which of its leases others want. A node that is silent for `dead_after`, by the
    /// clock of the database, has its leases moved to suspense.
    ///
    /// # Errors
    /// [`BookError::Fenced`], [`BookError::Anew`], [`BookError::Unavailable`].
    fn heartbeat(
        &self,
        node: Node,
        dead_after: Duration,
    ) -> impl Future<Output = Result<Vec<Wanted>, BookError>> + Send;

    /// Tells `heard` whenever another node may want something of this one: then a heartbeat says what. It goes on until
    /// it is dropped. Where the database cannot tell by itself nothing is told, and the next heartbeat is soon enough.
    fn listen(&self, node: Node, heard: &Notify) -> impl Future<Output = ()> + Send;

    /// Moves a stretch of the journal into the book: usage records, leases and pools, in one transaction guarded by
    /// the journal's cursor.
    ///
    /// # Errors
    /// [`BookError::Unavailable`]; then nothing or all of it happened, and the cursor tells which.
    fn apply(&self, batch: &Batch) -> impl Future<Output = Result<Applied, BookError>> + Send;

    /// Closes these leases of the node, as far as they are open, and returns what remains of them. Only when no hold is
    /// open on them and all that was settled is applied. It may be told twice.
    ///
    /// # Errors
    /// [`BookError::Fenced`], [`BookError::Anew`], [`BookError::Unavailable`].
    fn return_leases(
        &self,
        node: Node,
        leases: &[Draw],
    ) -> impl Future<Output = Result<(), BookError>> + Send;

    /// Closes every open lease of the node and returns what remains of them: it ends. Only when no hold is open on them.
    ///
    /// # Errors
    /// [`BookError::Fenced`], [`BookError::Anew`], [`BookError::Unavailable`].
    fn close_leases(&self, node: Node) -> impl Future<Output = Result<(), BookError>> + Send;
}

/// One life of a journal, which is what a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// The journal.
    pub journal: JournalId,
    /// Which of its lives.
    pub epoch: i64,
}

/// What the book knows of a journal that is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The life that begins now.
    pub epoch: i64,
    /// How far the journal is applied.
    pub applied: u64,
}

/// What a node asks for of one pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The pool.
    pub pool: PoolId,
    /// What the request that lacks least lacks; less is of no use to anybody. 0 when nobody waits.
    pub need: Units,
    /// What all requests that wait lack together.
    pub waiting: Units,
    /// What the node would like beside: two minutes of its recent spending, less what it has.
    pub spending: Units,
}

/// A lease after it was opened or extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseState {
    /// Its identity; `LeaseId(0)` for an unlimited pool, which is only counted.
    pub lease: LeaseId,
    /// All that it was ever given, spent and returned parts included: it only grows. 0 for an unlimited pool.
    pub amount: Units,
    /// Whether the pool has no limit.
    pub unlimited: bool,
    /// What is left in the pool for other leases.
    pub available: Units,
    /// Whether other nodes live.
    pub shared: bool,
    /// What may still be had.
    pub outlook: Outlook,
}

/// What may still be had of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// The need is met; there may be more.
    Met,
    /// It is not met, and others were asked for what they do not use: worth to ask again in a moment.
    Recalled,
    /// It is not met, and nobody has more to give.
    Dry,
    /// It is not met: the book began a new life, and not every node has said yet what it has.
    Withheld,
}

/// How a lease stands at its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The lease.
    pub lease: Draw,
    /// All that it was ever given.
    pub given: Units,
    /// All that ever went back of it, or is on its way.
    pub returned: Units,
}

/// A lease that others want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Which one.
    pub lease: Draw,
    /// The newest wish, which the answer names.
    pub wish: i64,
}

/// A part of an open lease that no hold has taken and that goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The lease.
    pub lease: Draw,
    /// All that ever went back of it: the book knows what of that is new.
    pub returned: Units,
    /// The newest wish that this answers.
    pub wish: i64,
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
    /// The journal has begun another life, or an operator has given it up: this one has nothing to say any more.
    #[error("the database has given this journal to another process, or an operator has resolved its leases")]
    Fenced,
    /// The book has begun a new life, in which this node has not said yet what it has: it must rejoin.
    #[error(
        "the database was started anew, or another has taken its place; this node must say first what it has leased"
    )]
    Anew,
    /// The database does not answer; the text is for the log.
    #[error("the book is unavailable: {0}")]
    Unavailable(String),
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, BookError>> + Send + 'a>>;

/// [`Book`] behind a pointer, so that whoever holds a ledger need not name the database.
pub(crate) trait DynBook: Send + Sync {
    fn dyn_open_journal(&self, journal: JournalId) -> Answer<'_, Registered>;
    fn dyn_rejoin(&self, before: Node, now: Node) -> Answer<'_, Registered>;
    fn dyn_settle<'a>(&'a self, node: Node, applied: u64, leases: &'a [Standing]) -> Answer<'a, Vec<Units>>;
    fn dyn_lease<'a>(&'a self, node: Node, asks: &'a [Ask]) -> Answer<'a, Vec<Option<LeaseState>>>;
    fn dyn_give_back<'a>(&'a self, node: Node, parts: &'a [Part]) -> Answer<'a, ()>;
    fn dyn_heartbeat(&self, node: Node, dead_after: Duration) -> Answer<'_, Vec<Wanted>>;
    fn dyn_listen<'a>(
        &'a self,
        node: Node,
        heard: &'a Notify,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
    fn dyn_apply<'a>(&'a self, batch: &'a Batch) -> Answer<'a, Applied>;
    fn dyn_return_leases<'a>(&'a self, node: Node, leases: &'a [Draw]) -> Answer<'a, ()>;
    fn dyn_close_leases(&self, node: Node) -> Answer<'_, ()>;
}

impl<B: Book> DynBook for B {
    fn dyn_open_journal(&self, journal: JournalId) -> Answer<'_, Registered> {
        Box::pin(self.open_journal(journal))
    }

    fn dyn_rejoin(&self, before: Node, now: Node) -> Answer<'_, Registered> {
        Box::pin(self.rejoin(before, now))
    }

    fn dyn_settle<'a>(&'a self, node: Node, applied: u64, leases: &'a [Standing]) -> Answer<'a, Vec<Units>> {
        Box::pin(self.settle(node, applied, leases))
    }

    fn dyn_lease<'a>(&'a self, node: Node, asks: &'a [Ask]) -> Answer<'a, Vec<Option<LeaseState>>> {
        Box::pin(self.lease(node, asks))
    }

    fn dyn_give_back<'a>(&'a self, node: Node, parts: &'a [Part]) -> Answer<'a, ()> {
        Box::pin(self.give_back(node, parts))
    }

    fn dyn_heartbeat(&self, node: Node, dead_after: Duration) -> Answer<'_, Vec<Wanted>> {
        Box::pin(self.heartbeat(node, dead_after))
    }

    fn dyn_listen<'a>(
        &'a self,
        node: Node,
        heard: &'a Notify,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(self.listen(node, heard))
    }

    fn dyn_apply<'a>(&'a self, batch: &'a Batch) -> Answer<'a, Applied> {
        Box::pin(self.apply(batch))
    }

    fn dyn_return_leases<'a>(&'a self, node: Node, leases: &'a [Draw]) -> Answer<'a, ()> {
        Box::pin(self.return_leases(node, leases))
    }

    fn dyn_close_leases(&self, node: Node) -> Answer<'_, ()> {
        Box::pin(self.close_leases(node))
    }
}
