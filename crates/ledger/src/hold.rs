//! A hold: what one request may cost at most. One owner from birth to settlement.

use std::{fmt, sync::Arc};

use model::{
    clock::Timestamp,
    id::ChargeId,
    money::Units,
    usage::{UsageContext, UsageOutcome},
};

use crate::{
    book::Draw,
    error::{FatalError, HoldError},
    flaw::{Flaw, Flaws},
    journal::{Journal, NotTaken},
    ledger::Ledger,
    life::abandoned,
    pool::{Permit, Pool},
    record::{HeldRef, Record},
};

/// Milliseconds between two notes of the progress of a stream.
const PROGRESS_MILLIS: i64 = 250;

/// Units taken from both pools that go back unless somebody keeps them.
pub(crate) struct Taken<'a> {
    pools: [&'a Pool; 2],
    units: Units,
    count: usize,
}

impl<'a> Taken<'a> {
    pub(crate) const fn none(pools: [&'a Pool; 2], units: Units) -> Self {
        Self { pools, units, count: 0 }
    }

    /// Takes from the next pool.
    pub(crate) fn take(&mut self, pool: &Pool) -> bool {
        let taken = pool.take(self.units);
        self.count += usize::from(taken);
        taken
    }

    /// Takes in what was taken from the next pool by somebody else.
    pub(crate) fn redeem(&mut self, permit: Permit) {
        permit.redeem();
        self.count += 1;
    }

    pub(crate) fn keep(mut self) {
        self.count = 0;
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        for pool in self.pools.iter().take(self.count) {
            pool.give_back(self.units);
        }
    }
}

/// The part of a hold that needs no clock and no book: its pools and its records.
pub(crate) struct OpenHold {
    journal: Arc<Journal>,
    pools: [Arc<Pool>; 2],
    seq: u64,
    units: Units,
    settled: bool,
    flaws: Flaws,
}

impl OpenHold {
    /// Journals units that were taken from `pools`.
    pub(crate) fn begin(
        journal: &Arc<Journal>,
        pools: [Arc<Pool>; 2],
        units: Units,
        context: &UsageContext,
        flaws: Flaws,
    ) -> Result<Self, NotTaken> {
        let [first, second] = &pools;
        let held = HeldRef { draws: [first.draw(), second.draw()], units, context };
        let seq = journal.hold(held)?;
        Ok(Self { journal: Arc::clone(journal), pools, seq, units, settled: false, flaws })
    }

    pub(crate) const fn seq(&self) -> u64 {
        self.seq
    }

    pub(crate) const fn units(&self) -> Units {
        self.units
    }

    fn add(&mut self, by: Units) {
        self.units = Units::new(self.units.get().saturating_add(by.get()));
    }

    /// Writes the settlement, then returns the rest to the pools. The charge is never above the hold.
    pub(crate) fn settle(&mut self, mut outcome: UsageOutcome) -> Result<UsageOutcome, NotTaken> {
        if self.settled {
            return Ok(outcome);
        }
        let beyond = outcome.units.get().saturating_sub(self.units.get()).max(0);
        if !self.flaws.has(Flaw::ChargeUncapped) {
            outcome.units = Units::new(outcome.units.get().clamp(0, self.units.get()));
            outcome.overrun = Units::new(outcome.overrun.get().saturating_add(beyond));
        }
        self.settled = true;
        let written = self.journal.settle(self.seq, outcome.clone());
        self.pools.iter().for_each(|pool| pool.settled_at(written.ok()));
        written?;
        let rest = Units::new(self.units.get().saturating_sub(outcome.units.get()).max(0));
        self.pools.iter().for_each(|pool| pool.give_back(rest));
        Ok(outcome)
    }

    /// Writes that the book keeps the units; nothing returns to the pools.
    fn hand_over(&mut self) -> Result<(), NotTaken> {
        self.settled = true;
        let written = self.journal.hand_over(self.seq);
        self.pools.iter().for_each(|pool| pool.settled_at(written.ok()));
        written.map(drop)
    }
}

/// What one request may cost at most, taken before anything is sent upstream.
///
/// Dropped without a settlement it settles itself at what was delivered.
pub struct Hold {
    open: OpenHold,
    ledger: Arc<Ledger>,
    context: Arc<UsageContext>,
    progress: Option<UsageOutcome>,
    noted: Timestamp,
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hold({}, {} units)", self.id(), self.units())
    }
}

impl Hold {
    pub(crate) const fn new(
        open: OpenHold,
        ledger: Arc<Ledger>,
        context: Arc<UsageContext>,
        now: Timestamp,
    ) -> Self {
        Self { open, ledger, context, progress: None, noted: now }
    }

    /// Its identity, and that of the charge to come.
    #[must_use]
    pub fn id(&self) -> ChargeId {
        ChargeId { journal: self.ledger.journal.id(), seq: self.open.seq() }
    }

    /// What the request may cost.
    #[must_use]
    pub const fn units(&self) -> Units {
        self.open.units()
    }

    /// What is known of the request.
    #[must_use]
    pub fn context(&self) -> &UsageContext {
        &self.context
    }

    /// Begins to make the hold durable. It wakes a thread, which may take the processor: what can be sent is sent before.
    pub fn sync_soon(&self) {
        self.ledger.journal.sync_soon();
    }

    /// Waits until the hold survives a crash of the machine: no byte of an answer may leave before.
    ///
    /// # Errors
    /// The journal failed for good.
    pub async fn durable(&self) -> Result<(), FatalError> {
        match self.ledger.journal.wait_durable(self.open.seq()).await {
            true => Ok(()),
            false => Err(self.ledger.fatal()),
        }
    }

    /// Takes a further step from the same pools.
    ///
    /// # Errors
    /// As for a first hold; the hold then stays as it was.
    pub async fn raise(&mut self, by: Units) -> Result<(), HoldError> {
        self.ledger.take(&self.open.pools, by).await?;
        self.open.add(by);
        Ok(())
    }

    /// What a further step could take now.
    #[must_use]
    pub fn spare(&self) -> Units {
        self.open.pools.iter().map(|pool| pool.left()).min().unwrap_or(Units::ZERO)
    }

    /// Another way is tried: the record will name it.
    pub fn retarget(&mut self, context: UsageContext) {
        let record = Record::Retarget { hold: self.open.seq(), context: context.clone() };
        if let Err(why) = self.ledger.journal.remark(&record) {
            tracing::warn!(hold = %self.id(), ?why, "cannot note another way");
        }
        self.context = Arc::new(context);
    }

    /// Whether it is time to note progress again: a note is worth its bytes every quarter of a second.
    #[must_use]
    pub fn wants_progress(&self, now: Timestamp) -> bool {
        now.millis_since(self.noted) >= PROGRESS_MILLIS
    }

    /// Notes what was delivered so far, for the case that nobody lives to settle.
    pub fn progress(&mut self, outcome: UsageOutcome) {
        let now = self.ledger.clock.now();
        let units = Units::new(outcome.units.get().clamp(0, self.open.units().get()));
        let outcome = UsageOutcome { units, ..outcome };
        if self.wants_progress(now) {
            self.noted = now;
            let record = Record::Progress { hold: self.open.seq(), outcome: outcome.clone() };
            if let Err(why) = self.ledger.journal.remark(&record) {
                tracing::debug!(hold = %self.id(), ?why, "cannot note progress");
            }
        }
        self.progress = Some(outcome);
    }

    /// Notes what was delivered so far before anything further is: a part of the request has ended, and must be charged
    /// whatever happens.
    ///
    /// # Errors
    /// The journal does not take it.
    pub fn progress_at_once(&mut self, outcome: UsageOutcome) -> Result<(), HoldError> {
        let units = Units::new(outcome.units.get().clamp(0, self.open.units().get()));
        let outcome = UsageOutcome { units, ..outcome };
        self.noted = self.ledger.clock.now();
        let record = Record::Progress { hold: self.open.seq(), outcome: outcome.clone() };
        self.progress = Some(outcome);
        self.ledger.journal.remark(&record).map_err(|why| {
            tracing::warn!(hold = %self.id(), ?why, "cannot note what has ended");
            HoldError::NotAdmitting
        })
    }

    /// Ends the hold: writes the charge before it returns, and gives the rest back. Returns what was charged.
    pub fn settle(mut self, outcome: UsageOutcome) -> UsageOutcome {
        self.end(outcome)
    }

    /// What it is drawn from: where the book finds the units of a hold that it takes over.
    #[must_use]
    pub fn draws(&self) -> [Draw; 2] {
        let [first, second] = &self.open.pools;
        [first.draw(), second.draw()]
    }

    /// Ends the hold without a charge, after the book has taken its units out of the leases that it is drawn from: they
    /// are held there for what outlives the request and this process. A process that dies between the two settles the
    /// hold for nothing at its next start, which changes nothing in the book.
    pub fn hand_over(mut self) {
        if let Err(why) = self.open.hand_over() {
            tracing::error!(hold = %self.id(), ?why, "the end of a hold could not be written");
        }
        self.ledger.hold_ended();
    }

    fn end(&mut self, outcome: UsageOutcome) -> UsageOutcome {
        let settled = self.open.settle(outcome.clone());
        self.ledger.hold_ended();
        settled.unwrap_or_else(|why| {
            tracing::error!(hold = %self.id(), ?why, "a settlement could not be written");
            outcome
        })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if !self.open.settled && !self.open.flaws.has(Flaw::DropUnsettled) {
            let outcome = abandoned(self.progress.take(), self.ledger.clock.now(), "abandoned");
            drop(self.end(outcome));
        }
    }
}
