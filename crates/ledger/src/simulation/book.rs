//! The book as a model: pools, leases and charges in memory, with the same rules as the database's.

use std::collections::{BTreeMap, HashMap};

use model::{
    id::{ChargeId, LeaseId, PoolId},
    money::Units,
};

use crate::{Applied, Batch, LeaseState};

#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Balance {
    pub(super) granted: i64,
    pub(super) used: i64,
    leased: i64,
    available: i64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Void,
    Closed,
}

struct Lease {
    pool: PoolId,
    amount: i64,
    spent: i64,
    state: State,
}

#[derive(Default)]
pub(super) struct SimBook {
    pub(super) pools: BTreeMap<PoolId, Balance>,
    leases: BTreeMap<LeaseId, Lease>,
    pub(super) cursor: u64,
    pub(super) charges: HashMap<ChargeId, i64>,
    /// A broken book: no guard and no unique identities.
    pub(super) forgetful: bool,
}

impl SimBook {
    pub(super) fn grant(&mut self, pool: PoolId, units: i64) {
        self.pools.insert(pool, Balance { granted: units, available: units, ..Balance::default() });
    }

    pub(super) fn lease(&mut self, pool: PoolId) -> LeaseState {
        let balance = self.pools.get_mut(&pool).unwrap();
        let more = std::mem::take(&mut balance.available);
        balance.leased += more;
        let open = self.leases.iter_mut().find(|(_, lease)| lease.pool == pool && lease.state == State::Open);
        let (lease, amount) = match open {
            Some((id, lease)) => {
                lease.amount += more;
                (*id, lease.amount)
            }
            None => {
                let id = LeaseId(self.leases.len() as i64 + 1);
                self.leases.insert(id, Lease { pool, amount: more, spent: 0, state: State::Open });
                (id, more)
            }
        };
        LeaseState { lease, amount: Units::new(amount), unlimited: false, available: Units::ZERO }
    }

    /// Somebody sets what remains.
    pub(super) fn edit(&mut self, pool: PoolId, remaining: i64) {
        for lease in self.leases.values_mut().filter(|lease| lease.pool == pool && lease.state == State::Open)
        {
            lease.state = State::Void;
            self.pools.get_mut(&pool).unwrap().leased -= lease.amount - lease.spent;
        }
        let balance = self.pools.get_mut(&pool).unwrap();
        balance.granted = balance.used + balance.leased + remaining;
        balance.available = remaining;
    }

    pub(super) fn apply(&mut self, batch: &Batch) -> Result<Applied, String> {
        if self.cursor != batch.from && !self.forgetful {
            return Ok(Applied::Already(self.cursor));
        }
        self.cursor = batch.to;
        for charge in &batch.charges {
            let units = charge.outcome.units.get();
            if self.charges.contains_key(&charge.id) && !self.forgetful {
                continue;
            }
            self.charges.insert(charge.id, units);
            for draw in &charge.draws {
                let balance = self.pools.get_mut(&draw.pool).unwrap();
                let lease = self.leases.get_mut(&draw.lease).ok_or("a charge on no lease")?;
                balance.used += units;
                lease.spent += units;
                match lease.state {
                    State::Open => balance.leased -= units,
                    State::Void => balance.granted += units,
                    State::Closed => return Err("a charge on a closed lease".to_owned()),
                }
            }
        }
        Ok(Applied::Now)
    }

    pub(super) fn close_leases(&mut self) {
        let all: Vec<LeaseId> = self.leases.keys().copied().collect();
        self.return_leases(&all);
    }

    pub(super) fn return_leases(&mut self, leases: &[LeaseId]) {
        for lease in leases {
            let lease = self.leases.get_mut(lease).filter(|lease| lease.state == State::Open);
            let Some(lease) = lease else { continue };
            lease.state = State::Closed;
            let balance = self.pools.get_mut(&lease.pool).unwrap();
            balance.leased -= lease.amount - lease.spent;
            balance.available += lease.amount - lease.spent;
        }
    }

    /// I1: the equation, per pool, and nothing negative.
    pub(super) fn check(&self) -> Result<(), String> {
        for (pool, b) in &self.pools {
            let sum = b.used + b.leased + b.available;
            if b.granted != sum || b.used < 0 || b.leased < 0 || b.available < 0 {
                return Err(format!("pool {pool}: {b:?}"));
            }
        }
        Ok(())
    }
}
