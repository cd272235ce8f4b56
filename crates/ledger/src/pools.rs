//! The pools in memory: one for each that is in use, and those that nobody uses go back to the book.
//!
//! A pool goes in three steps, all under the lock of whoever asks the book for leases: it is claimed, which sends every
//! later request to the book; its lease is returned; only then is it forgotten. If the return fails, or its answer is
//! lost, the pool stays claimed, and whatever the book says next is right. What it keeps true: a pool that goes has no
//! open hold and nobody about to take one, and every settlement of it is in the book.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{Ordering, fence},
    },
};

use model::{
    clock::Timestamp,
    id::{LeaseId, PoolId},
    money::Units,
};
use parking_lot::RwLock;
use rustc_hash::FxHashMap;

use crate::{
    book::{Draw, Part, Standing, Wanted},
    flaw::{Flaw, Flaws},
    pool::Pool,
};

/// A pool that may go, as it was when that was seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Idle {
    id: PoolId,
    used: Timestamp,
}

/// The pools by their identity.
#[derive(Default)]
pub(crate) struct Pools {
    map: RwLock<FxHashMap<PoolId, Arc<Pool>>>,
    flaws: Flaws,
}

impl Pools {
    #[cfg(test)]
    pub(crate) fn with_flaws(flaws: Flaws) -> Self {
        Self { map: RwLock::default(), flaws }
    }

    /// The pool, if the book need not be asked about it first.
    pub(crate) fn fresh(&self, id: PoolId) -> Option<Arc<Pool>> {
        self.map.read().get(&id).filter(|pool| !pool.is_stale()).cloned()
    }

    /// The pool, stale or not. Only for whoever asks the book.
    pub(crate) fn known(&self, id: PoolId) -> Option<Arc<Pool>> {
        self.map.read().get(&id).cloned()
    }

    /// Puts in a pool with a new lease. Returns how many there are now.
    pub(crate) fn put(&self, pool: Arc<Pool>) -> usize {
        let mut map = self.map.write();
        map.insert(pool.id(), pool);
        map.len()
    }

    /// The book must be asked before the next hold on this pool.
    pub(crate) fn mark_stale(&self, id: PoolId) {
        if let Some(pool) = self.map.read().get(&id) {
            pool.mark_stale();
        }
    }

    /// The book must be asked before the next hold on whatever pool.
    pub(crate) fn mark_all_stale(&self) {
        self.map.read().values().for_each(|pool| pool.mark_stale());
    }

    pub(crate) fn len(&self) -> usize {
        self.map.read().len()
    }

    /// Pools that may go: those not used since `before`, and, where there are more than `at_most`, those used longest
    /// ago, so that there is room for a tenth more.
    pub(crate) fn idle(&self, reached: u64, before: Timestamp, at_most: usize) -> Vec<Idle> {
        let map = self.map.read();
        let surplus = match map.len().checked_sub(at_most) {
            None | Some(0) => 0,
            Some(over) => over.saturating_add(at_most / 10),
        };
        let free = map.values().filter(|pool| self.is_free(pool, reached));
        let mut idle: Vec<Idle> = free.map(|pool| Idle { id: pool.id(), used: pool.used() }).collect();
        drop(map);
        if surplus == 0 {
            idle.retain(|pool| pool.used < before);
        } else {
            idle.sort_unstable_by_key(|pool| pool.used);
            let old = idle.partition_point(|pool| pool.used < before);
            idle.truncate(surplus.max(old));
        }
        idle
    }

    /// Takes those of `idle` that were not used since out of use, and tells their leases.
    pub(crate) fn claim(&self, idle: &[Idle], reached: u64) -> Vec<Draw> {
        // Under this lock nobody can take a copy of a pool, so one without copies stays so until it is stale.
        let map = self.map.write();
        let mut claimed = Vec::with_capacity(idle.len());
        for idle in idle {
            if let Some(pool) = map.get(&idle.id)
                && pool.used() == idle.used
                && self.is_free(pool, reached)
            {
                pool.mark_stale();
                claimed.push(pool.draw());
            }
        }
        claimed
    }

    /// Forgets pools whose leases the book has taken back.
    pub(crate) fn forget(&self, returned: &[Draw]) {
        let mut map = self.map.write();
        for draw in returned {
            map.remove(&draw.pool);
        }
        if map.len() < map.capacity() / 4 {
            map.shrink_to_fit();
        }
    }

    /// Takes everything out of use that others want and no hold has taken, and adds it to what the book must be told.
    /// Returns the leases that nobody knows here.
    pub(crate) fn give_up(&self, wanted: &[Wanted], parts: &mut HashMap<LeaseId, Part>) -> Vec<Draw> {
        let mut unknown = Vec::new();
        for Wanted { lease, wish } in wanted.iter().copied() {
            match self.known(lease.pool).filter(|pool| pool.draw() == lease) {
                Some(pool) => {
                    let returned = pool.give_up(self.flaws);
                    parts.insert(lease.lease, Part { lease, returned, wish });
                }
                None => unknown.push(lease),
            }
        }
        unknown
    }

    /// Those of `leases` that nobody knows here. Only for whoever asks the book.
    pub(crate) fn unknown(&self, mut leases: Vec<Draw>) -> Vec<Draw> {
        let map = self.map.read();
        leases.retain(|lease| map.get(&lease.pool).is_none_or(|pool| pool.draw() != *lease));
        leases
    }

    /// How every lease stands. A pool that is stale and that the book needs no more is forgotten: its lease may have been
    /// returned in what the book has lost. Only for whoever asks the book.
    pub(crate) fn standings(&self, reached: u64) -> Vec<Standing> {
        let mut map = self.map.write();
        map.retain(|_, pool| !pool.is_stale() || !self.is_free(pool, reached));
        map.values().filter_map(|pool| pool.standing()).collect()
    }

    /// Takes out of use what the book does not have any more of what was told; it has `amounts` of the leases.
    pub(crate) fn shrink(&self, told: &[Standing], amounts: &[Units]) {
        for (standing, amount) in told.iter().zip(amounts) {
            let missing =
                standing.given.get().saturating_sub(standing.returned.get()).saturating_sub(amount.get());
            if missing > 0
                && let Some(pool) =
                    self.known(standing.lease.pool).filter(|pool| pool.draw() == standing.lease)
            {
                pool.shrink(Units::new(missing));
            }
        }
    }

    /// Whether nobody has a hold on it or is about to take one, and all that was settled is in the book.
    fn is_free(&self, pool: &Arc<Pool>, reached: u64) -> bool {
        let unheld = Arc::strong_count(pool) == 1 || self.flaws.has(Flaw::ReturnHeld);
        // Whoever let go of it has noted its settlement before.
        fence(Ordering::Acquire);
        unheld && (pool.settled() <= reached || self.flaws.has(Flaw::ReturnUnapplied))
    }
}
