//! The ledger: pools in memory, the journal on disk, the book behind them.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use model::{
    clock::Clock,
    id::{JournalId, PoolId},
    money::Units,
    usage::UsageContext,
};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::{
    applier,
    aside::Kept,
    asking,
    book::{Book, DynBook, Node},
    disk::{Directory, Disk},
    error::{FatalError, FlushError, HoldError, OpenError},
    flaw::Flaws,
    heart,
    hold::{Hold, OpenHold, Taken},
    idle,
    journal::{Journal, NotTaken},
    life::{Beginning, Life},
    options::Options,
    pool::{Permit, Pool},
    pools::Pools,
    recovery, room,
    wishes::{Answer, Waiting, Wishes},
};

/// What the applier has reached.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reached {
    /// Everything up to here is in the book.
    pub(crate) seq: u64,
    /// The applier cannot go on.
    pub(crate) broken: Option<String>,
}

/// The ledger of one node.
pub struct Ledger {
    pub(crate) journal: Arc<Journal>,
    /// Which life of the journal this is, as the book knows it.
    epoch: AtomicI64,
    /// Whether the book must be told what this node has before it is asked for anything.
    pub(crate) rejoins: AtomicBool,
    /// Whether every pool may have been edited.
    forgets: AtomicBool,
    pub(crate) book: Arc<dyn DynBook>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) options: Options,
    pub(crate) pools: Pools,
    /// What is wanted of the book.
    pub(crate) wishes: Wishes,
    /// Who asks the book for leases or returns them: one at a time, and the only one who puts pools in or takes
    /// them out.
    pub(crate) turn: tokio::sync::Mutex<()>,
    /// How often [`Ledger::forget`] was called: an answer of the book that is older than an edit must not pass for new.
    pub(crate) edits: AtomicU64,
    /// Told when the next heartbeat should not wait.
    pub(crate) heart: Notify,
    pub(crate) hurry: Notify,
    /// Told when there are too many pools.
    pub(crate) crowded: Notify,
    pub(crate) reached: watch::Sender<Reached>,
    pub(crate) ended: Notify,
    pub(crate) sync_thread: Mutex<Option<JoinHandle<()>>>,
    pub(crate) stopping: AtomicBool,
    /// Whether its leases are about to be returned, all of them.
    pub(crate) closing: AtomicBool,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ledger({})", self.journal.id())
    }
}

impl Ledger {
    /// Opens the journal in `options.dir`: replays what is not in the book yet, settles what a dead process left
    /// open, returns its leases, and begins a new segment.
    ///
    /// # Errors
    /// A damaged journal, with the file, the place and the remedy; the disk; the book.
    pub async fn open<B: Book>(
        book: Arc<B>,
        clock: Arc<dyn Clock>,
        options: Options,
    ) -> Result<Arc<Self>, OpenError> {
        let disk = Arc::new(Directory::new(options.dir.clone())?);
        Self::open_on(disk, book, clock, options).await
    }

    /// As [`Ledger::open`], on any disk.
    pub(crate) async fn open_on(
        disk: Arc<dyn Disk>,
        book: Arc<dyn DynBook>,
        clock: Arc<dyn Clock>,
        options: Options,
    ) -> Result<Arc<Self>, OpenError> {
        let fresh = || JournalId(uuid::Uuid::new_v4().as_u128());
        let id = recovery::identify(&*disk)?.unwrap_or_else(fresh);
        let registered = book.dyn_open_journal(id).await?;
        let cursor = registered.applied;
        let beginning = Beginning {
            disk,
            journal: id,
            cursor,
            segment_bytes: options.segment_bytes.max(1 << 20),
            nonce: nonce(),
            kept: Kept { time: options.kept_for, bytes: options.kept_bytes },
            now: clock.now(),
            flaws: Flaws::default(),
        };
        let Life { journal, reader } = Life::begin(beginning)?;
        if let Some(failure) = journal.failure() {
            return Err(OpenError::Disagree(failure));
        }
        journal.prepare(nonce())?;
        let ledger = Arc::new(Self {
            journal: Arc::new(journal),
            epoch: AtomicI64::new(registered.epoch),
            rejoins: AtomicBool::new(false),
            forgets: AtomicBool::new(false),
            book,
            clock,
            options,
            pools: Pools::default(),
            wishes: Wishes::default(),
            turn: tokio::sync::Mutex::default(),
            edits: AtomicU64::new(0),
            heart: Notify::new(),
            hurry: Notify::new(),
            crowded: Notify::new(),
            reached: watch::Sender::new(Reached { seq: cursor, broken: None }),
            ended: Notify::new(),
            sync_thread: Mutex::default(),
            stopping: AtomicBool::new(false),
            closing: AtomicBool::new(false),
        });
        let mut applier = applier::Applier::new(Arc::clone(&ledger), reader);
        applier.begin(registered).await?;
        let journal = Arc::clone(&ledger.journal);
        let thread = std::thread::Builder::new().name("journal-sync".to_owned());
        *ledger.sync_thread.lock() = Some(thread.spawn(move || journal.run_sync())?);
        tokio::spawn(Arc::clone(&ledger.journal.waiters).tell_until_end());
        tokio::spawn(room::keep(Arc::clone(&ledger)));
        tokio::spawn(asking::keep(Arc::clone(&ledger)));
        tokio::spawn(heart::keep(Arc::clone(&ledger)));
        tokio::spawn(idle::keep(Arc::clone(&ledger)));
        tokio::spawn(applier.run());
        Ok(ledger)
    }

    /// This node, as it speaks to the book.
    pub(crate) fn node(&self) -> Node {
        Node { journal: self.journal.id(), epoch: self.epoch.load(Ordering::Acquire) }
    }

    /// Goes on under the epoch that the book has given.
    pub(crate) fn set_epoch(&self, epoch: i64) {
        self.epoch.store(epoch, Ordering::Release);
    }

    /// Goes on under another epoch, which nobody else would choose.
    pub(crate) fn next_life(&self) -> Node {
        self.epoch.fetch_add(i64::from(nonce()).saturating_add(2), Ordering::AcqRel);
        self.node()
    }

    /// The identity of the journal.
    #[must_use]
    pub fn journal(&self) -> JournalId {
        self.journal.id()
    }

    /// Takes `units` from both pools, in their order, and journals the hold. Returns before the hold is durable.
    ///
    /// # Errors
    /// A pool does not cover it, is unknown, or cannot be asked for; or nothing is admitted. Then nothing was taken.
    pub async fn hold(
        self: &Arc<Self>,
        pools: [PoolId; 2],
        units: Units,
        context: impl Into<Arc<UsageContext>>,
    ) -> Result<Hold, HoldError> {
        let pools = self.pools(pools, units).await?;
        let taken = self.take_guarded(&pools, units).await?;
        let context = context.into();
        let open = OpenHold::begin(&self.journal, pools.clone(), units, &context, Flaws::default());
        match open {
            Ok(open) => {
                taken.keep();
                Ok(Hold::new(open, Arc::clone(self), context, self.clock.now()))
            }
            Err(NotTaken::Full | NotTaken::Closed) => Err(HoldError::NotAdmitting),
        }
    }

    /// What a hold on both pools could take now, after asking the book when that is below `need`.
    ///
    /// # Errors
    /// A pool is unknown or cannot be asked for.
    pub async fn affordable(&self, pools: [PoolId; 2], need: Units) -> Result<Units, HoldError> {
        let mut least = Units::MAX;
        for pool in &self.pools(pools, need).await? {
            let mut left = pool.left();
            if left < need && pool.may_grow(self.clock.now()) {
                let answers = Box::pin(self.wait([(pool.id(), None)], need)).await?;
                // Others may have taken it again: then the hold waits for more, in its turn.
                let enough = answers.iter().any(|answer| answer.enough);
                left = if enough { need.max(pool.left()) } else { pool.left() };
            }
            least = least.min(left);
        }
        Ok(least)
    }

    pub(crate) async fn take(&self, pools: &[Arc<Pool>; 2], units: Units) -> Result<(), HoldError> {
        self.take_guarded(pools, units).await.map(Taken::keep)
    }

    async fn take_guarded<'a>(
        &self,
        pools: &'a [Arc<Pool>; 2],
        units: Units,
    ) -> Result<Taken<'a>, HoldError> {
        let [first, second] = pools;
        let mut taken = Taken::none([first, second], units);
        for pool in pools {
            if taken.take(pool) {
                if pool.runs_low() {
                    self.wishes.refill(pool.id());
                }
                continue;
            }
            match self.more(pool, units).await? {
                Some(permit) => taken.redeem(permit),
                None => {
                    let have = pool.left();
                    return Err(HoldError::NotAffordable { pool: pool.id(), need: units, have });
                }
            }
        }
        Ok(taken)
    }

    /// Units that the book gives for a request that misses them; once for all who miss at the same moment.
    async fn more(&self, pool: &Arc<Pool>, units: Units) -> Result<Option<Permit>, HoldError> {
        if !pool.may_grow(self.clock.now()) {
            return Ok(None);
        }
        // If the lease was voided, the request in hand still sees the old pool and is refused; the next sees the new.
        let answers = Box::pin(self.wait([(pool.id(), Some(Arc::clone(pool)))], units)).await?;
        Ok(answers.into_iter().next().and_then(|answer| answer.permit))
    }

    /// The pools; whichever the book must be asked about first, it is asked at once, and for `need` units.
    async fn pools(&self, ids: [PoolId; 2], need: Units) -> Result<[Arc<Pool>; 2], HoldError> {
        let fresh = ids.map(|id| self.pools.fresh(id));
        if let [Some(first), Some(second)] = fresh {
            let now = self.clock.now();
            first.touch(now);
            second.touch(now);
            return Ok([first, second]);
        }
        let [first, second] = &fresh;
        let missing = ids.into_iter().zip([first, second]).filter(|(_, pool)| pool.is_none());
        let mut answers = Box::pin(self.wait(missing.map(|(id, _)| (id, None)), need)).await?.into_iter();
        let [first, second] = fresh.map(|pool| pool.or_else(|| answers.next().map(|answer| answer.pool)));
        first.zip(second).map(|(first, second)| [first, second]).ok_or(HoldError::NotAdmitting)
    }

    /// Waits for answers of the book.
    async fn wait(
        &self,
        wanted: impl IntoIterator<Item = (PoolId, Option<Arc<Pool>>)>,
        need: Units,
    ) -> Result<Vec<Answer>, HoldError> {
        let waiting: Vec<Waiting> = self.wishes.wait(wanted, need)?;
        let mut answers = Vec::with_capacity(waiting.len());
        for answer in waiting {
            answers.push(answer.await.map_err(|_| HoldError::NotAdmitting)??);
        }
        Ok(answers)
    }

    /// Somebody has edited this pool: the book is asked before the next hold on it. Open holds settle as they were
    /// taken.
    pub fn forget(&self, pool: PoolId) {
        self.edits.fetch_add(1, Ordering::SeqCst);
        self.pools.mark_stale(pool);
    }

    /// Nobody knows which pools were edited: as [`Ledger::forget`] of each, as soon as the book hears this node. Until then
    /// nothing could be asked of it, and what is leased serves on.
    pub fn forget_all(&self) {
        self.forgets.store(true, Ordering::Release);
        self.heart.notify_one();
    }

    /// The book hears this node.
    pub(crate) fn forget_now(&self) {
        if !self.rejoins.load(Ordering::Acquire) && self.forgets.swap(false, Ordering::AcqRel) {
            self.edits.fetch_add(1, Ordering::SeqCst);
            self.pools.mark_all_stale();
        }
    }

    /// Whether a hold could be taken now.
    #[must_use]
    pub fn is_admitting(&self) -> bool {
        self.journal.is_admitting() && self.reached.borrow().broken.is_none()
    }

    /// Brings everything that was settled before this call into the book.
    ///
    /// # Errors
    /// The journal failed, or the book did not take it within [`Options::flush_limit`].
    pub async fn flush(&self) -> Result<(), FlushError> {
        tokio::time::timeout(self.options.flush_limit, self.flush_for_ever())
            .await
            .map_err(|_| FlushError::Late)?
    }

    async fn flush_for_ever(&self) -> Result<(), FlushError> {
        let seq = self.journal.last();
        let mut reached = self.reached.subscribe();
        if reached.borrow().seq < seq {
            self.hurry.notify_one();
        }
        let found = reached.wait_for(|reached| reached.seq >= seq || reached.broken.is_some()).await;
        let broken = found.ok().and_then(|reached| reached.broken.clone());
        broken.map_or(Ok(()), |what| Err(FatalError(what).into()))
    }

    pub(crate) fn fatal(&self) -> FatalError {
        FatalError(self.journal.failure().unwrap_or_else(|| "it is closed".to_owned()))
    }

    /// Resolves when the journal has failed for good: stop admitting, fail health, exit.
    pub async fn failed(&self) -> FatalError {
        let mut reached = self.reached.subscribe();
        match reached.wait_for(|reached| reached.broken.is_some()).await {
            Ok(reached) => FatalError(reached.broken.clone().unwrap_or_default()),
            Err(_) => self.fatal(),
        }
    }
}

/// A number that no earlier segment of this disk had.
pub(crate) fn nonce() -> u32 {
    uuid::Uuid::new_v4().as_fields().0
}
