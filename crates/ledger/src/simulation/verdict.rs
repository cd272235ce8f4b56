//! The end of a run: everything that was promised is looked for in the book.

use super::world::{ACCOUNT, Truth, World, charge, outcome};

impl World {
    pub(super) fn finish(mut self) -> Result<(), String> {
        for mut request in std::mem::take(&mut self.requests) {
            let delivered = self.truths[&request.hold.seq()].delivered;
            drop(request.hold.settle(outcome(delivered)));
        }
        if self.journal.failure().is_none() && self.journal.open_holds() > 0 {
            return Err("a hold was never ended".to_owned());
        }
        self.disk.set_sync_fails(false);
        self.crash(false)?;
        self.book.check()?;
        for (seq, truth) in &self.truths {
            let charged = self.book.charges.get(&charge(*seq)).copied();
            let Some(charged) = charged else { return Err(format!("{seq} is not charged: {truth:?}")) };
            if charged > truth.delivered {
                return Err(format!("{seq} is charged {charged}: {truth:?}"));
            }
            if let Some((seen, true)) = truth.seen
                && seen != charged
            {
                return Err(format!("{seq} is charged {charged}: {truth:?}"));
            }
        }
        self.check_pools()
    }

    /// I2, and what remains is what the last edit said less what was begun and charged after it.
    fn check_pools(&self) -> Result<(), String> {
        for (pool, balance) in &self.book.pools {
            let (edited, units) = self.edits[pool];
            let mine = |truth: &Truth| *pool == ACCOUNT || truth.key == *pool;
            let sum = |since: u64| -> i64 {
                let charges = self.truths.iter().filter(|(_, truth)| mine(truth) && truth.begun >= since);
                charges.filter_map(|(seq, _)| self.book.charges.get(&charge(*seq))).sum()
            };
            if sum(0) != balance.used {
                return Err(format!("pool {pool} used {}, its charges {}", balance.used, sum(0)));
            }
            let remaining = balance.granted - balance.used;
            if remaining != units - sum(edited) {
                return Err(format!("pool {pool} has {remaining}, not {units} less {}", sum(edited)));
            }
        }
        Ok(())
    }
}
