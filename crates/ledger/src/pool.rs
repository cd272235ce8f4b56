//! A pool as this node sees it: what is left of its lease, spent and returned by compare-and-swap.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use model::{
    clock::Timestamp,
    id::{LeaseId, PoolId},
    money::Units,
};

use crate::book::{Draw, LeaseState};

/// One lease of one pool. When the book replaces the lease, a new `Pool` replaces this one; holds that were taken
/// here settle here.
#[derive(Debug)]
pub(crate) struct Pool {
    id: PoolId,
    lease: LeaseId,
    unlimited: bool,
    /// All that the lease was ever given.
    amount: AtomicI64,
    /// What no hold has taken. Never negative.
    left: AtomicI64,
    /// Whether somebody may have edited the pool: the book must be asked before the next hold.
    stale: AtomicBool,
    /// Until when it is useless to ask for more, in milliseconds: the last answer was "nothing".
    dry_until: AtomicI64,
    /// When a request last asked for it, in milliseconds, to the second.
    used: AtomicI64,
    /// The position of the newest settlement of a hold on it; the last of all when one could not be written.
    settled: AtomicU64,
}

/// How exactly the last use is known, in milliseconds: a busy pool is not written to for every request.
const USED_GRAIN: i64 = 1_000;

impl Pool {
    pub(crate) fn new(id: PoolId, state: &LeaseState, now: Timestamp) -> Self {
        Self {
            id,
            lease: state.lease,
            unlimited: state.unlimited,
            amount: AtomicI64::new(state.amount.get()),
            left: AtomicI64::new(state.amount.get()),
            stale: AtomicBool::new(false),
            dry_until: AtomicI64::new(0),
            used: AtomicI64::new(now.millis()),
            settled: AtomicU64::new(0),
        }
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
            debug_assert!(before >= 0 && before + units.get() <= self.amount.load(Ordering::Acquire));
        }
    }

    /// What a hold could take.
    pub(crate) fn left(&self) -> Units {
        if self.unlimited { Units::MAX } else { Units::new(self.left.load(Ordering::Acquire)) }
    }

    /// Takes in the book's answer. `false` when the book has replaced the lease: this pool is then a thing of the past.
    pub(crate) fn refresh(&self, state: &LeaseState, now: Timestamp, dry_millis: i64) -> bool {
        if state.unlimited != self.unlimited || state.lease != self.lease {
            return false;
        }
        let before = self.amount.swap(state.amount.get(), Ordering::AcqRel);
        let more = state.amount.get() - before;
        self.left.fetch_add(more, Ordering::AcqRel);
        if more == 0 {
            self.dry_until.store(now.millis().saturating_add(dry_millis), Ordering::Release);
        }
        self.stale.store(false, Ordering::Release);
        true
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
