//! The book of the simulation when a stand-by that missed the tail takes its place: what it forgets, what nodes tell it, and
//! charges on units that it does not know to be leased.

use std::collections::{BTreeMap, HashMap};

use model::{
    id::{JournalId, PoolId},
    money::Units,
};

use super::{
    book::{Entry, Lease, SimBook, State},
    fault::Fault,
};
use crate::{Ask, BookError, Draw, LeaseState, Node, Outlook, Registered, Standing};

/// How many numbers of leases a new life leaves out: more than what is lost can have given.
const SKIPPED: i64 = 1_000;

impl Default for SimBook {
    fn default() -> Self {
        Self {
            pools: BTreeMap::new(),
            leases: BTreeMap::new(),
            journals: BTreeMap::new(),
            wishes: Vec::new(),
            wished: 0,
            charges: HashMap::new(),
            written_off: BTreeMap::new(),
            fault: None,
            now: 0,
            life: 1,
            edited: BTreeMap::new(),
            next: 1,
            revived: false,
        }
    }
}

impl SimBook {
    /// The book is again what it was when `copy` was made, and the first who speaks to it sees that. `server` is a number
    /// of its own.
    pub(super) fn fail_over(&mut self, copy: &Self, server: i64) {
        *self = Self { now: self.now, life: copy.life + 1, ..copy.clone() };
        self.next += SKIPPED;
        // Two may take the place of the same one.
        if self.fault != Some(Fault::NumbersGivenAgain) {
            self.next = self.next.max(SKIPPED * SKIPPED * server);
        }
        self.wishes.clear();
        if self.is_careless() {
            return;
        }
        for lease in self.leases.values_mut().filter(|lease| lease.state == State::Open) {
            lease.state = State::Lost;
            let balance = self.pools.get_mut(&lease.pool).unwrap();
            balance.leased -= lease.rest();
            balance.available += lease.rest();
        }
    }

    /// Whether nodes are not asked what they have.
    pub(super) fn is_careless(&self) -> bool {
        self.fault == Some(Fault::LossUnnoticed)
    }

    /// Whether somebody else who may live has not said yet what it has.
    pub(super) fn is_unsettled(&self, but: Option<JournalId>) -> bool {
        let waits = |(id, entry): (&JournalId, &Entry)| {
            Some(*id) != but && !entry.suspended && !entry.ended && entry.life != self.life
        };
        !self.is_careless() && self.journals.iter().any(waits)
    }

    /// Whether this one has said it.
    pub(super) fn is_settled(&self, journal: JournalId) -> bool {
        self.journals.get(&journal).is_some_and(|entry| entry.life == self.life)
    }

    pub(super) fn register(&mut self, journal: JournalId) -> Registered {
        // One that is new, or has ended, has nothing that it could say.
        let fresh = Entry { ended: true, ..Entry::default() };
        let entry = self.journals.entry(journal).or_insert(fresh);
        if std::mem::take(&mut entry.ended) {
            entry.life = self.life;
        }
        entry.epoch += 1;
        let (epoch, applied, settled) = (entry.epoch, entry.cursor, entry.life == self.life);
        if settled {
            self.revive(journal);
        }
        Registered { epoch, applied }
    }

    /// A node that goes on registers again.
    pub(super) fn rejoin(&mut self, before: i64, node: Node) -> Result<Registered, BookError> {
        let entry = self.journals.entry(node.journal).or_default();
        if entry.epoch > before && entry.epoch != node.epoch {
            return Err(BookError::Fenced);
        }
        if std::mem::take(&mut entry.ended) {
            entry.life = 0;
        }
        entry.epoch = node.epoch;
        let (applied, settled) = (entry.cursor, entry.life == self.life);
        if settled {
            self.revive(node.journal);
        }
        Ok(Registered { epoch: node.epoch, applied })
    }

    /// A node says what it has, and how far its journal is in the book.
    pub(super) fn settle(
        &mut self,
        node: Node,
        applied: u64,
        told: &[Standing],
    ) -> Result<Vec<Units>, BookError> {
        let Some(entry) = self.journals.get(&node.journal) else { return Err(BookError::Anew) };
        if entry.epoch > node.epoch {
            return Err(BookError::Fenced);
        }
        let behind = entry.cursor != applied && self.fault != Some(Fault::ToldBehind);
        if entry.epoch < node.epoch || behind {
            return Err(BookError::Anew);
        }
        self.revive(node.journal);
        for lease in self.leases.values_mut().filter(|lease| lease.journal == node.journal) {
            if lease.state == State::Open {
                lease.state = State::Lost;
                let balance = self.pools.get_mut(&lease.pool).unwrap();
                balance.leased -= lease.rest();
                balance.available += lease.rest();
            }
        }
        let amounts = told.iter().map(|standing| self.restore(node.journal, standing)).collect();
        self.leases.retain(|_, lease| lease.journal != node.journal || lease.state != State::Lost);
        self.journals.get_mut(&node.journal).unwrap().life = self.life;
        Ok(amounts)
    }

    /// Makes a lease what its node says, as far as that is available.
    fn restore(&mut self, journal: JournalId, standing: &Standing) -> Units {
        let Draw { pool, lease: id } = standing.lease;
        let edited = self.edited.get(&pool).is_some_and(|newest| id.0 <= *newest);
        let fresh = || Lease {
            pool,
            journal,
            amount: 0,
            spent: 0,
            returned: 0,
            answered: 0,
            state: if edited { State::Void } else { State::Lost },
        };
        let lease = self.leases.entry(id).or_insert_with(fresh);
        if lease.state != State::Lost || lease.journal != journal || lease.pool != pool {
            return Units::ZERO;
        }
        let has = standing.given.get() - standing.returned.get();
        let balance = self.pools.get_mut(&pool).unwrap();
        let rest = (has - lease.spent).clamp(0, balance.available);
        balance.available -= rest;
        balance.leased += rest;
        lease.amount = lease.spent + rest;
        lease.returned = (standing.given.get() - lease.amount).max(standing.returned.get());
        lease.state = State::Open;
        Units::new(lease.amount)
    }

    /// What a node that is silent for long had as far as is known, in suspense as far as it is there.
    pub(super) fn set_apart(&mut self, journal: JournalId) {
        for lease in self.leases.values_mut().filter(|l| l.journal == journal && l.state == State::Lost) {
            let balance = self.pools.get_mut(&lease.pool).unwrap();
            let rest = lease.rest().clamp(0, balance.available);
            balance.available -= rest;
            balance.suspense += rest;
            lease.amount = lease.spent + rest;
            lease.state = State::Suspense;
        }
    }

    /// Nothing is given before all have spoken.
    pub(super) fn withheld(&mut self, journal: JournalId, ask: &Ask) -> LeaseState {
        let (lease, amount) = self.extend(journal, ask.pool, 0);
        let outlook = if ask.need > Units::ZERO { Outlook::Withheld } else { Outlook::Met };
        LeaseState { lease, amount, unlimited: false, available: Units::ZERO, shared: true, outlook }
    }

    /// What one charge does to one pool.
    pub(super) fn draw(&mut self, journal: JournalId, draw: Draw, units: i64) -> Result<(), String> {
        let mine = |lease: &&mut Lease| lease.journal == journal && lease.pool == draw.pool;
        let balance = self.pools.get_mut(&draw.pool).unwrap();
        balance.used += units;
        let Some(lease) = self.leases.get_mut(&draw.lease).filter(mine) else {
            return self.draw_on_nothing(journal, draw, units);
        };
        lease.spent += units;
        let beyond = (lease.spent - lease.amount).clamp(0, units);
        let missing = match lease.state {
            State::Open => {
                balance.leased -= units - beyond;
                lease.amount += beyond;
                beyond
            }
            State::Suspense => {
                balance.suspense -= units - beyond;
                lease.amount += beyond;
                beyond
            }
            State::Lost => units,
            State::Void => {
                balance.granted += units;
                0
            }
            State::Closed => return Err("a charge on a closed lease".to_owned()),
            State::Resolved => {
                balance.granted += units;
                *self.written_off.entry(draw.pool).or_default() -= units;
                0
            }
        };
        if missing > 0 && self.life == 1 {
            return Err(format!("a lease of pool {} is overspent", draw.pool));
        }
        self.take(draw.pool, missing);
        Ok(())
    }

    /// A charge on a lease that the book does not have.
    fn draw_on_nothing(&mut self, journal: JournalId, draw: Draw, units: i64) -> Result<(), String> {
        if self.life == 1 {
            return Err("a charge on no lease".to_owned());
        }
        if self.edited.get(&draw.pool).is_some_and(|newest| draw.lease.0 <= *newest) {
            self.pools.get_mut(&draw.pool).unwrap().granted += units;
            return Ok(());
        }
        let lease = Lease {
            pool: draw.pool,
            journal,
            amount: units,
            spent: units,
            returned: 0,
            answered: 0,
            state: State::Lost,
        };
        self.leases.entry(draw.lease).or_insert(lease);
        self.take(draw.pool, units);
        Ok(())
    }

    /// Units that are leased to nobody come from what is available, and what is not there makes the quota grow.
    fn take(&mut self, pool: PoolId, units: i64) {
        let balance = self.pools.get_mut(&pool).unwrap();
        let taken = if self.fault == Some(Fault::LostRaises) { 0 } else { units.min(balance.available) };
        balance.available -= taken;
        balance.granted += units - taken;
    }
}
