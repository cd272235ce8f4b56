//! How a node of the simulation tells a book that has begun a new life what it has, and what may happen between two steps.

use model::money::Units;

use super::{
    book::State,
    fault::Fault,
    node::SimNode,
    world::{ACCOUNT, KEYS, Shared},
};
use crate::{Applied, BookError};

impl SimNode {
    /// As [`crate::applier::Applier`] does it, a few steps at a time: others act meanwhile, and so do requests of this node.
    pub(super) fn rejoin(&mut self, shared: &mut Shared) -> Result<(), String> {
        for _ in 0..=shared.random.below(8) {
            shared.perhaps_fail_over(24);
            match self.replays {
                _ if !self.anew => return Ok(()),
                None => self.register(shared)?,
                Some(limit) if self.reader.has_read(limit) || shared.fault == Some(Fault::ToldTooEarly) => {
                    self.tell(limit, shared)?;
                }
                Some(limit) => self.replay(limit, shared)?,
            }
        }
        Ok(())
    }

    /// What a node has of a lease the book has leased to it.
    pub(super) fn check_leases(&self, shared: &Shared) -> Result<(), String> {
        if self.anew || !shared.book.is_settled(self.node.journal) {
            return Ok(());
        }
        for pool in KEYS.into_iter().chain([ACCOUNT]) {
            let Some(pool) = self.pools.known(pool) else { continue };
            let Some(standing) = pool.standing() else { continue };
            let (has, left) = (standing.given.get() - standing.returned.get(), pool.left().get());
            let Some(lease) = shared.book.leases.get(&standing.lease.lease) else { continue };
            if lease.state == State::Open && (lease.amount < has || lease.rest() < left) {
                let (amount, rest) = (lease.amount, lease.rest());
                return Err(format!(
                    "a node has {has}, {left} of it left, and its lease {amount} and {rest}"
                ));
            }
        }
        Ok(())
    }

    fn register(&mut self, shared: &mut Shared) -> Result<(), String> {
        if self.before.is_none() {
            self.before = Some(self.node.epoch);
            self.node.epoch += 2 + shared.random.below(1 << 30) as i64;
        }
        let before = self.before.unwrap();
        let registered = match shared.book.rejoin(before, self.node) {
            Ok(registered) => registered,
            Err(BookError::Fenced) => return self.crash(false, shared),
            Err(error) => return Err(error.to_string()),
        };
        self.pending = None;
        if !self.reader.goes_on_from(registered.applied) {
            self.reader.go_back(registered.applied).map_err(|error| error.to_string())?;
            self.reached = registered.applied;
        }
        self.journal.sync();
        self.replays = Some(self.journal.durable());
        Ok(())
    }

    /// Brings a part of the journal into the book.
    fn replay(&mut self, limit: u64, shared: &mut Shared) -> Result<(), String> {
        let Some(batch) = self.reader.batch(limit, 12).map_err(|error| error.to_string())? else {
            return Ok(());
        };
        match shared.book.apply(&batch)? {
            Applied::Now => self.reader.set_applied(batch.to),
            // It has gone back once more.
            Applied::Already(_) => self.replays = None,
        }
        Ok(())
    }

    fn tell(&mut self, limit: u64, shared: &mut Shared) -> Result<(), String> {
        self.reached = limit;
        // An answer that is on its way is waited for; it may be lost.
        if shared.fault != Some(Fault::LateAnswerKept)
            && let Some((id, state)) = self.answer.take()
            && shared.random.below(2) == 0
        {
            self.take_in(id, &state, shared);
            if shared.edits[&id].0 > 0 {
                self.pools.mark_stale(id);
            }
        }
        let reached = if shared.fault == Some(Fault::StaleForgotten) { u64::MAX } else { limit };
        let mut told = self.pools.standings(reached);
        if shared.fault == Some(Fault::HoldsUntold) {
            for standing in &mut told {
                let left = self.pools.known(standing.lease.pool).map_or(Units::ZERO, |pool| pool.left());
                standing.given = Units::new(standing.returned.get() + left.get());
            }
        }
        let applied = match shared.fault {
            Some(Fault::ToldTooEarly) => shared.book.journals.get(&self.node.journal).map_or(0, |e| e.cursor),
            _ => self.reader.applied(),
        };
        let amounts = match shared.book.settle(self.node, applied, &told) {
            Ok(amounts) => amounts,
            Err(BookError::Anew) => {
                self.replays = None;
                return Ok(());
            }
            Err(BookError::Fenced) => return self.crash(false, shared),
            Err(error) => return Err(error.to_string()),
        };
        // The answer may be lost.
        if shared.random.below(8) == 0 {
            self.replays = None;
            return Ok(());
        }
        if shared.fault != Some(Fault::ShortfallIgnored) {
            self.pools.shrink(&told, &amounts);
        }
        (self.anew, self.before, self.replays) = (false, None, None);
        // Whoever does not know what was edited meanwhile asks about everything.
        if shared.random.below(2) == 0 {
            self.pools.mark_all_stale();
        }
        Ok(())
    }
}
