//! The end of a run: everything that was promised is looked for in the book.

use model::id::ChargeId;

use super::{
    book::State,
    world::{ACCOUNT, KEYS, Truth, World},
};

/// Rounds in which a node must get what others have and do not use.
const ROUNDS: usize = 16;

impl World {
    pub(super) fn finish(mut self) -> Result<(), String> {
        let Self { shared, nodes, .. } = &mut self;
        shared.ends = true;
        for node in nodes.iter_mut() {
            node.end_all(shared)?;
            node.disk.set_sync_fails(false);
            node.crash(false, shared)?;
        }
        shared.book.check()?;
        self.check_charges()?;
        self.check_pools()?;
        self.check_leases()?;
        self.check_recall()
    }

    /// I2, I4, I5: every request is charged, once, what was delivered and seen. Of a lost disk nobody can say it.
    fn check_charges(&self) -> Result<(), String> {
        for (id, truth) in &self.shared.truths {
            let charged = self.shared.book.charges.get(id).copied();
            let lost = self.shared.lost.contains(&id.journal);
            let Some(charged) = charged else {
                if lost {
                    continue;
                }
                return Err(format!("{id} is not charged: {truth:?}"));
            };
            if charged > truth.delivered {
                return Err(format!("{id} is charged {charged}: {truth:?}"));
            }
            if let Some((seen, true)) = truth.seen
                && seen != charged
            {
                return Err(format!("{id} is charged {charged}: {truth:?}"));
            }
        }
        Ok(())
    }

    /// I2, and what remains is what the last edit said less what was begun and charged after it, and less what operators
    /// have charged.
    fn check_pools(&self) -> Result<(), String> {
        let book = &self.shared.book;
        for (pool, balance) in &book.pools {
            let (edited, units) = self.shared.edits[pool];
            let mine = |truth: &Truth| *pool == ACCOUNT || truth.key == *pool;
            let sum = |since: u64| -> i64 {
                let of = |(_, truth): &(&ChargeId, &Truth)| mine(truth) && truth.begun >= since;
                let charges = self.shared.truths.iter().filter(of);
                charges.filter_map(|(id, _)| book.charges.get(id)).sum()
            };
            if sum(0) != balance.used {
                return Err(format!("pool {pool} used {}, its charges {}", balance.used, sum(0)));
            }
            if self.shared.unsure.contains(pool) {
                continue;
            }
            let remaining = balance.granted - balance.used;
            let written_off = book.written_off.get(pool).copied().unwrap_or(0);
            if remaining != units - sum(edited) - written_off {
                return Err(format!("pool {pool} has {remaining}, not {units} less {}", sum(edited)));
            }
        }
        Ok(())
    }

    /// Nothing is leased or in suspense but for journals that are lost.
    fn check_leases(&self) -> Result<(), String> {
        let stuck = |journal| !self.shared.lost.contains(&journal);
        let mut leases = self.shared.book.leases.values();
        let found =
            leases.find(|lease| matches!(lease.state, State::Open | State::Suspense) && stuck(lease.journal));
        found.map_or(Ok(()), |lease| Err(format!("a lease of pool {} is {:?}", lease.pool, lease.state)))
    }

    /// What one node has and does not use, another gets. Once nothing is lost any more.
    fn check_recall(mut self) -> Result<(), String> {
        for journal in self.shared.lost.clone() {
            self.shared.book.hush(journal);
            self.shared.book.bury(journal);
        }
        for pool in KEYS {
            let all = self.remaining(pool);
            for index in 0..self.nodes.len() {
                let Self { shared, nodes, .. } = &mut self;
                for _ in 0..ROUNDS {
                    shared.step += 1;
                    shared.book.now += 1;
                    nodes[index].ask_surely(pool, all, shared)?;
                    for node in nodes.iter_mut() {
                        node.beat_surely(shared)?;
                    }
                }
                let left = nodes[index].pools.known(pool).map(|pool| pool.left());
                if left.is_none_or(|left| left < all) {
                    return Err(format!("pool {pool}: a node gets {left:?} of {all}"));
                }
            }
        }
        self.shared.book.check()
    }
}
