//! The book as a model: pools, leases and charges in memory, with the same rules as the database's.

use std::collections::{BTreeMap, HashMap};

use model::{
    id::{ChargeId, JournalId, LeaseId, PoolId},
    money::Units,
};

use super::fault::Fault;
use crate::{Applied, Ask, Batch, BookError, Draw, LeaseState, Node, Outlook, Part, Wanted, grant};

/// Steps until a wish is forgotten that nobody asks for again.
const PATIENCE: u64 = 12;

#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Balance {
    pub(super) granted: i64,
    pub(super) used: i64,
    pub(super) leased: i64,
    pub(super) suspense: i64,
    pub(super) available: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Open,
    Suspense,
    Void,
    Closed,
    /// An operator has decided.
    Resolved,
    /// Nobody knows what is left of it: the book began a new life.
    Lost,
}

#[derive(Clone)]
pub(super) struct Lease {
    pub(super) pool: PoolId,
    pub(super) journal: JournalId,
    pub(super) amount: i64,
    pub(super) spent: i64,
    pub(super) returned: i64,
    pub(super) answered: i64,
    pub(super) state: State,
}

impl Lease {
    pub(super) const fn rest(&self) -> i64 {
        self.amount - self.spent
    }
}

#[derive(Clone, Default)]
pub(super) struct Entry {
    pub(super) epoch: i64,
    pub(super) cursor: u64,
    pub(super) live: bool,
    pub(super) suspended: bool,
    /// The life of the book in which it has said what it has; 0 when in none.
    pub(super) life: u64,
    /// Whether it has said that it has nothing any more.
    pub(super) ended: bool,
}

#[derive(Clone)]
pub(super) struct Wish {
    id: i64,
    pool: PoolId,
    journal: JournalId,
    units: i64,
    until: u64,
}

#[derive(Clone)]
pub(super) struct SimBook {
    pub(super) pools: BTreeMap<PoolId, Balance>,
    pub(super) leases: BTreeMap<LeaseId, Lease>,
    pub(super) journals: BTreeMap<JournalId, Entry>,
    pub(super) wishes: Vec<Wish>,
    pub(super) wished: i64,
    pub(super) charges: HashMap<ChargeId, i64>,
    /// What operators have charged since the last edit, and what came of it all the same.
    pub(super) written_off: BTreeMap<PoolId, i64>,
    pub(super) fault: Option<Fault>,
    pub(super) now: u64,
    pub(super) life: u64,
    /// The newest lease of all when a pool was edited last.
    pub(super) edited: BTreeMap<PoolId, i64>,
    /// The number that the next lease gets.
    pub(super) next: i64,
    /// Whether a node came back from suspense.
    pub(super) revived: bool,
}

impl SimBook {
    pub(super) fn grant(&mut self, pool: PoolId, units: i64) {
        self.pools.insert(pool, Balance { granted: units, available: units, ..Balance::default() });
    }

    /// Whoever speaks lives, and what stood in suspense for it is open again.
    fn hear(&mut self, node: Node) -> Result<(), BookError> {
        match self.journals.get(&node.journal) {
            Some(entry) if entry.epoch > node.epoch => return Err(BookError::Fenced),
            Some(entry)
                if entry.epoch == node.epoch
                    && !entry.ended
                    && (entry.life == self.life || self.is_careless()) => {}
            _ => return Err(BookError::Anew),
        }
        self.revive(node.journal);
        Ok(())
    }

    pub(super) fn revive(&mut self, journal: JournalId) {
        let entry = self.journals.get_mut(&journal).unwrap();
        entry.live = true;
        if std::mem::take(&mut entry.suspended) {
            self.revived = true;
            self.shift(journal, State::Suspense, State::Open);
        }
    }

    /// Nothing is heard of a node any more.
    pub(super) fn hush(&mut self, journal: JournalId) {
        if let Some(entry) = self.journals.get_mut(&journal) {
            entry.live = false;
        }
    }

    /// For long.
    pub(super) fn bury(&mut self, journal: JournalId) {
        let Some(entry) = self.journals.get_mut(&journal) else { return };
        if entry.live || std::mem::replace(&mut entry.suspended, true) {
            return;
        }
        if self.fault == Some(Fault::DeadToAvailable) {
            return self.close(journal, None);
        }
        self.shift(journal, State::Open, State::Suspense);
        self.set_apart(journal);
    }

    fn shift(&mut self, journal: JournalId, from: State, to: State) {
        for lease in self.leases.values_mut().filter(|l| l.journal == journal && l.state == from) {
            lease.state = to;
            let balance = self.pools.get_mut(&lease.pool).unwrap();
            let rest = if to == State::Suspense { lease.rest() } else { -lease.rest() };
            balance.leased -= rest;
            balance.suspense += rest;
        }
    }

    /// An operator decides what becomes of a silent node's leases.
    pub(super) fn resolve(&mut self, journal: JournalId, charge: bool) {
        self.bury(journal);
        let Some(entry) = self.journals.get_mut(&journal) else { return };
        entry.epoch += 1;
        for lease in self.leases.values_mut().filter(|l| l.journal == journal && l.state == State::Suspense) {
            lease.state = State::Resolved;
            let balance = self.pools.get_mut(&lease.pool).unwrap();
            let rest = lease.rest();
            balance.suspense -= rest;
            if charge {
                balance.granted -= rest;
                *self.written_off.entry(lease.pool).or_default() += rest;
            } else {
                balance.available += rest;
            }
        }
    }

    pub(super) fn lease(&mut self, node: Node, ask: &Ask) -> Result<LeaseState, BookError> {
        self.hear(node)?;
        if self.is_unsettled(Some(node.journal)) && self.fault != Some(Fault::GrantsGoOn) {
            return Ok(self.withheld(node.journal, ask));
        }
        self.wishes.retain(|wish| wish.until > self.now);
        let others = self.journals.iter().filter(|(id, entry)| **id != node.journal && entry.live).count();
        let mine = |wish: &Wish| wish.pool == ask.pool && wish.journal == node.journal;
        let wish = self.wishes.iter().find(|wish| mine(wish)).map_or(i64::MAX, |wish| wish.id);
        let reserved = |wish_of: &&Wish| wish_of.pool == ask.pool && wish_of.id < wish;
        let reserved = self.wishes.iter().filter(reserved).map(|wish| wish.units).sum::<i64>();
        let available = Units::new(self.pools[&ask.pool].available);
        let reserved = Units::new(if others == 0 { 0 } else { reserved });
        let mut more = grant::size(available, reserved, others as i64, ask);
        let mut outlook = Outlook::Met;
        if more < ask.need {
            outlook = self.recall(node.journal, ask, wish, reserved);
            if outlook == Outlook::Dry && others > 0 {
                more = grant::rest(available, reserved, ask);
            }
        }
        if outlook != Outlook::Recalled {
            self.wishes.retain(|wish| !mine(wish));
        }
        let balance = self.pools.get_mut(&ask.pool).unwrap();
        balance.available -= more.get();
        balance.leased += more.get();
        let available = Units::new(balance.available);
        let (lease, amount) = self.extend(node.journal, ask.pool, more.get());
        Ok(LeaseState { lease, amount, unlimited: false, available, shared: others > 0, outlook })
    }

    /// Writes down that units are wanted, if anybody may have them.
    fn recall(&mut self, journal: JournalId, ask: &Ask, wish: i64, reserved: Units) -> Outlook {
        let unanswered = |lease: &&Lease| {
            let live = self.journals[&lease.journal].live;
            let other = lease.pool == ask.pool && lease.journal != journal && lease.state == State::Open;
            other && live && lease.rest() > 0 && lease.answered < wish
        };
        if reserved == Units::ZERO && !self.leases.values().any(|lease| unanswered(&lease)) {
            return Outlook::Dry;
        }
        self.wishes.retain(|old| old.pool != ask.pool || old.journal != journal);
        let id = if wish == i64::MAX {
            self.wished += 1;
            self.wished
        } else {
            wish
        };
        let (units, until) = (ask.need.get(), self.now + PATIENCE);
        self.wishes.push(Wish { id, pool: ask.pool, journal, units, until });
        Outlook::Recalled
    }

    pub(super) fn extend(&mut self, journal: JournalId, pool: PoolId, more: i64) -> (LeaseId, Units) {
        let open =
            |lease: &&mut Lease| lease.pool == pool && lease.journal == journal && lease.state == State::Open;
        let found = self.leases.iter_mut().find(|(_, lease)| open(lease));
        if let Some((id, lease)) = found {
            lease.amount += more;
            return (*id, Units::new(lease.amount + lease.returned));
        }
        let id = LeaseId(self.next);
        self.next += 1;
        let state = State::Open;
        let lease = Lease { pool, journal, amount: more, spent: 0, returned: 0, answered: 0, state };
        self.leases.insert(id, lease);
        (id, Units::new(more))
    }

    pub(super) fn heartbeat(&mut self, node: Node) -> Result<Vec<Wanted>, BookError> {
        self.hear(node)?;
        let mut wanted = Vec::new();
        for (id, lease) in self.leases.iter().filter(|(_, lease)| lease.journal == node.journal) {
            let others = self.wishes.iter().filter(|wish| {
                wish.pool == lease.pool && wish.journal != node.journal && wish.until > self.now
            });
            let newest = others.map(|wish| wish.id).max().unwrap_or(0);
            if lease.state == State::Open && lease.answered < newest {
                wanted.push(Wanted { lease: Draw { pool: lease.pool, lease: *id }, wish: newest });
            }
        }
        Ok(wanted)
    }

    pub(super) fn give_back(&mut self, node: Node, part: &Part) -> Result<(), BookError> {
        self.hear(node)?;
        let Some(lease) = self.leases.get_mut(&part.lease.lease) else { return Ok(()) };
        if lease.state != State::Open || lease.journal != node.journal {
            return Ok(());
        }
        let before = if self.fault == Some(Fault::ReturnsAdded) { 0 } else { lease.returned };
        let back = (part.returned.get() - before).clamp(0, lease.rest());
        lease.amount -= back;
        lease.returned += back;
        lease.answered = lease.answered.max(part.wish);
        let balance = self.pools.get_mut(&lease.pool).unwrap();
        balance.leased -= back;
        balance.available += back;
        Ok(())
    }

    /// Somebody sets what remains.
    pub(super) fn edit(&mut self, pool: PoolId, remaining: i64) {
        let balance = self.pools.get_mut(&pool).unwrap();
        for lease in self.leases.values_mut().filter(|lease| lease.pool == pool) {
            match lease.state {
                State::Open => balance.leased -= lease.rest(),
                State::Suspense => balance.suspense -= lease.rest(),
                State::Resolved | State::Lost => {}
                State::Void | State::Closed => continue,
            }
            lease.state = State::Void;
        }
        balance.granted = balance.used + balance.leased + balance.suspense + remaining;
        balance.available = remaining;
        self.edited.insert(pool, self.next - 1);
        self.written_off.remove(&pool);
    }

    pub(super) fn apply(&mut self, batch: &Batch) -> Result<Applied, String> {
        let forgetful = self.fault == Some(Fault::BookForgets);
        let Some(entry) = self.journals.get_mut(&batch.journal) else { return Ok(Applied::Already(0)) };
        if entry.cursor != batch.from && !forgetful {
            return Ok(Applied::Already(entry.cursor));
        }
        entry.cursor = batch.to;
        for charge in &batch.charges {
            let units = charge.outcome.units.get();
            if self.charges.contains_key(&charge.id) && !forgetful {
                continue;
            }
            self.charges.insert(charge.id, units);
            for draw in &charge.draws {
                self.draw(batch.journal, *draw, units)?;
            }
        }
        Ok(Applied::Now)
    }

    /// Closes open leases of a node: those of `which`, or all.
    pub(super) fn return_leases(&mut self, node: Node, which: Option<&[Draw]>) -> Result<(), BookError> {
        self.hear(node)?;
        self.close(node.journal, which);
        Ok(())
    }

    /// A node ends.
    pub(super) fn end(&mut self, node: Node) -> Result<(), BookError> {
        self.return_leases(node, None)?;
        self.journals.get_mut(&node.journal).unwrap().ended = true;
        Ok(())
    }

    fn close(&mut self, journal: JournalId, which: Option<&[Draw]>) {
        let named = |id: LeaseId| which.is_none_or(|which| which.iter().any(|draw| draw.lease == id));
        let open = |id: LeaseId, l: &Lease| l.journal == journal && l.state == State::Open && named(id);
        for (_, lease) in self.leases.iter_mut().filter(|(id, lease)| open(**id, lease)) {
            lease.state = State::Closed;
            let balance = self.pools.get_mut(&lease.pool).unwrap();
            balance.leased -= lease.rest();
            balance.available += lease.rest();
        }
    }

    /// I1: the equation, per pool, and nothing negative; and what the leases say is what the pools say.
    pub(super) fn check(&self) -> Result<(), String> {
        let mut rests: BTreeMap<PoolId, (i64, i64)> = BTreeMap::new();
        for lease in self.leases.values() {
            match lease.state {
                State::Open => rests.entry(lease.pool).or_default().0 += lease.rest(),
                State::Suspense => rests.entry(lease.pool).or_default().1 += lease.rest(),
                _ => {}
            }
        }
        for (pool, b) in &self.pools {
            let sum = b.used + b.leased + b.suspense + b.available;
            let least = b.used.min(b.leased).min(b.suspense).min(b.available);
            if b.granted != sum || least < 0 {
                return Err(format!("pool {pool}: {b:?}"));
            }
            if rests.get(pool).copied().unwrap_or_default() != (b.leased, b.suspense) {
                return Err(format!("pool {pool}: {b:?}, and its leases say otherwise"));
            }
        }
        let reserved = |lease: &&Lease| matches!(lease.state, State::Open | State::Suspense);
        match self.leases.values().filter(reserved).find(|lease| lease.rest() < 0) {
            Some(lease) => Err(format!("a lease of pool {} is overspent", lease.pool)),
            None => Ok(()),
        }
    }
}
