//! A pool as this node sees it: what is left of its lease, spent and returned by compare-and-swap.
//!
//! What it keeps true: `given = returned + left + what holds have taken`. All that is told to the book and by it are totals
//! that only grow, so an answer may be lost, late or told twice. Where the book has lost what it had leased, `left` may be
//! negative: holds have taken more than the lease has now.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
};

use model::{
    clock::Timestamp,
    id::{LeaseId, PoolId},
    money::Units,
};
use parking_lot::Mutex;

use crate::{
    book::{Draw, LeaseState, Outlook, Standing},
    flaw::{Flaw, Flaws},
    grant::PART,
};

/// One lease of one pool. When the book replaces the lease, a new `Pool` replaces this one; holds that were taken
/// here settle here.
#[derive(Debug)]
pub(crate) struct Pool {
    id: PoolId,
    lease: LeaseId,
    unlimited: bool,
    /// All that the lease was ever given.
    given: AtomicI64,
    /// All of it that went back, or is on its way.
    returned: AtomicI64,
    /// What no hold has taken.
    left: AtomicI64,
    /// Below this more is asked for before anybody has to wait.
    low: AtomicI64,
    /// What it may have ahead of requests: a part of what the pool had at the last answer.
    most: AtomicI64,
    /// Whether that was asked for.
    refilling: AtomicBool,
    pace: Mutex<Pace>,
    /// Whether somebody may have edited the pool: the book must be asked before the next hold.
    stale: AtomicBool,
    /// Until when it is useless to ask for more, in milliseconds: the last answer was "nothing".
    dry_until: AtomicI64,
    /// When a request last asked for it, in milliseconds, to the second.
    used: AtomicI64,
    /// The position of the newest settlement of a hold on it; the last of all when one could not be written.
    settled: AtomicU64,
}

/// How fast it was spent lately. Only whoever asks the book looks at it.
#[derive(Debug)]
struct Pace {
    at: Timestamp,
    taken: i64,
    per_second: i64,
}

/// How exactly the last use is known, in milliseconds: a busy pool is not written to for every request.
const USED_GRAIN: i64 = 1_000;
/// The least time that says something of the pace, in milliseconds.
const PACE_MILLIS: i64 = 250;
/// For how many seconds of recent spending a lease is asked for. More is asked for at half of it, so what is left bridges a
/// minute without the database, where the pool affords it.
const AHEAD: i64 = 120;
/// For how long an empty pool is not asked about again, in milliseconds. An edit ends it at once.
const DRY_MILLIS: i64 = 1_000;
/// The same where other nodes may settle for less than they held.
const DRY_SHARED_MILLIS: i64 = 250;

impl Pool {
    pub(crate) fn new(id: PoolId, state: &LeaseState, now: Timestamp) -> Self {
        let pool = Self {
            id,
            lease: state.lease,
            unlimited: state.unlimited,
            given: AtomicI64::new(0),
            returned: AtomicI64::new(0),
            left: AtomicI64::new(0),
            low: AtomicI64::new(0),
            most: AtomicI64::new(0),
            refilling: AtomicBool::new(false),
            pace: Mutex::new(Pace { at: now, taken: 0, per_second: 0 }),
            stale: AtomicBool::new(false),
            dry_until: AtomicI64::new(0),
            used: AtomicI64::new(now.millis()),
            settled: AtomicU64::new(0),
        };
        pool.refresh(state, now);
        pool
    }

    pub(crate) const fn id(&self) -> PoolId {
        self.id
    }

    pub(crate) const fn draw(&self) -> Draw {
        Draw { pool: self.id, lease: self.lease }
    }

    /// Takes `units`, or nothing.
    pub(crate) fn take(&self, units: Units) -> bool {
        self.unlimited
            || self
                .left
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                    left.checked_sub(units.get()).filter(|rest| *rest >= 0)
                })
                .is_ok()
    }

    /// Returns `units` that were taken here.
    pub(crate) fn give_back(&self, units: Units) {
        if !self.unlimited {
            let before = self.left.fetch_add(units.get(), Ordering::AcqRel);
            debug_assert!(before.saturating_add(units.get()) <= self.given.load(Ordering::Acquire));
        }
    }

    /// What a hold could take.
    pub(crate) fn left(&self) -> Units {
        if self.unlimited { Units::MAX } else { Units::new(self.left.load(Ordering::Acquire).max(0)) }
    }

    /// What no hold has taken: below zero where holds have taken what the book does not have any more.
    pub(crate) fn balance(&self) -> i64 {
        if self.unlimited { Units::MAX.get() } else { self.left.load(Ordering::Acquire) }
    }

    /// Whether more should be asked for now, told once.
    pub(crate) fn runs_low(&self) -> bool {
        self.left.load(Ordering::Relaxed) < self.low.load(Ordering::Relaxed)
            && !self.refilling.swap(true, Ordering::AcqRel)
    }

    /// The book has not answered: without this nobody would ask ahead for this lease again.
    pub(crate) fn was_not_refilled(&self) {
        self.refilling.store(false, Ordering::Release);
    }

    /// Takes in the book's answer. `false` when the book has replaced the lease: this pool is then a thing of the past.
    pub(crate) fn refresh(&self, state: &LeaseState, now: Timestamp) -> bool {
        if state.unlimited != self.unlimited || state.lease != self.lease {
            return false;
        }
        let before = self.given.fetch_max(state.amount.get(), Ordering::AcqRel);
        let more = (state.amount.get() - before).max(0);
        let left = self.left.fetch_add(more, Ordering::AcqRel).saturating_add(more);
        let part = state.available.get() / PART;
        let low = if state.shared { left.min(part) / 2 } else { 0 };
        self.most.store(part, Ordering::Release);
        self.low.store(low, Ordering::Release);
        self.refilling.store(false, Ordering::Release);
        if state.outlook == Outlook::Dry {
            let pause = if state.shared { DRY_SHARED_MILLIS } else { DRY_MILLIS };
            self.dry_until.store(now.millis().saturating_add(pause), Ordering::Release);
        }
        self.stale.store(false, Ordering::Release);
        true
    }

    /// Takes everything out of use that no hold has taken: others want it. Returns all that ever went back, which the
    /// book must be told until it answers.
    pub(crate) fn give_up(&self, flaws: Flaws) -> Units {
        let back = if flaws.has(Flaw::ReturnKept) {
            Ok(self.left.load(Ordering::Acquire))
        } else {
            self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| (left > 0).then_some(0))
        };
        let back = back.unwrap_or(0);
        let held = if flaws.has(Flaw::RecallHeld) { self.given.load(Ordering::Acquire) / 3 } else { 0 };
        let returned = self.returned.fetch_add(back + held, Ordering::AcqRel);
        Units::new(returned.saturating_add(back + held))
    }

    /// How its lease stands: what the book must be told that has lost its tail. Only for whoever asks the book.
    pub(crate) fn standing(&self) -> Option<Standing> {
        let limited = !self.unlimited && self.lease != LeaseId(0);
        limited.then(|| Standing {
            lease: self.draw(),
            given: Units::new(self.given.load(Ordering::Acquire)),
            returned: Units::new(self.returned.load(Ordering::Acquire)),
        })
    }

    /// The book has not all that the lease had: `missing` units of it are taken out of use. What holds have taken already
    /// is made up for by what they give back, and by what is given next.
    pub(crate) fn shrink(&self, missing: Units) {
        self.returned.fetch_add(missing.get(), Ordering::AcqRel);
        self.left.fetch_sub(missing.get(), Ordering::AcqRel);
    }

    /// What recent spending asks for beside what is left.
    pub(crate) fn spending(&self, now: Timestamp) -> Units {
        let mut pace = self.pace.lock();
        let left = self.left.load(Ordering::Acquire);
        let kept = left.saturating_add(self.returned.load(Ordering::Acquire));
        let taken = self.given.load(Ordering::Acquire).saturating_sub(kept);
        let millis = now.millis_since(pace.at);
        if millis >= PACE_MILLIS {
            let more = taken.saturating_sub(pace.taken).max(0);
            *pace = Pace { at: now, taken, per_second: more.saturating_mul(1_000) / millis };
        }
        let ahead = pace.per_second.saturating_mul(AHEAD).min(self.most.load(Ordering::Acquire));
        Units::new(ahead.saturating_sub(left).max(0))
    }

    /// Whether the book may have more than it had a moment ago.
    pub(crate) fn may_grow(&self, now: Timestamp) -> bool {
        !self.unlimited && now.millis() >= self.dry_until.load(Ordering::Acquire)
    }

    /// A request asks for it.
    pub(crate) fn touch(&self, now: Timestamp) {
        if now.millis().saturating_sub(self.used.load(Ordering::Relaxed)) >= USED_GRAIN {
            self.used.store(now.millis(), Ordering::Relaxed);
        }
    }

    /// When a request last asked for it.
    pub(crate) fn used(&self) -> Timestamp {
        Timestamp::from_millis(self.used.load(Ordering::Relaxed))
    }

    /// A hold on it was settled at position `seq`; `None` when that could not be written: then only the next life of
    /// the journal knows what it costs.
    pub(crate) fn settled_at(&self, seq: Option<u64>) {
        self.settled.fetch_max(seq.unwrap_or(u64::MAX), Ordering::AcqRel);
    }

    /// How far the book must be so that it has every charge on this pool.
    pub(crate) fn settled(&self) -> u64 {
        self.settled.load(Ordering::Acquire)
    }

    /// Asks the book again before the next hold.
    pub(crate) fn mark_stale(&self) {
        self.stale.store(true, Ordering::Release);
    }

    pub(crate) fn is_stale(&self) -> bool {
        self.stale.load(Ordering::Acquire)
    }
}

/// Units that were taken from a pool for somebody who waited; dropped, they go back.
#[derive(Debug)]
pub(crate) struct Permit {
    pool: Arc<Pool>,
    units: Units,
}

impl Permit {
    /// Takes them, or nothing.
    pub(crate) fn take(pool: &Arc<Pool>, units: Units) -> Option<Self> {
        pool.take(units).then(|| Self { pool: Arc::clone(pool), units })
    }

    /// Whoever has waited has them now.
    pub(crate) fn redeem(mut self) {
        self.units = Units::ZERO;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.pool.give_back(self.units);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::Outlook;

    #[test]
    fn more_is_asked_for_once_and_again_when_nobody_has_answered() {
        let state = LeaseState {
            lease: LeaseId(1),
            amount: Units::new(1_000),
            unlimited: false,
            available: Units::new(1_000_000),
            shared: true,
            outlook: Outlook::Met,
        };
        let pool = Pool::new(PoolId(1), &state, Timestamp::default());
        assert!(pool.take(Units::new(500)) && !pool.runs_low(), "half of it is left");
        assert!(pool.take(Units::new(1)) && pool.runs_low() && !pool.runs_low());
        pool.was_not_refilled();
        assert!(pool.runs_low());
        pool.refresh(&LeaseState { amount: Units::new(1_501), ..state }, Timestamp::default());
        assert!(!pool.runs_low(), "there is more");
    }
}
