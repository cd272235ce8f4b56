//! One run: a seed decides every step, and the invariants are asked after each.

use std::collections::{BTreeMap, BTreeSet};

use model::{
    id::{ChargeId, JournalId, PoolId},
    money::Units,
};

use super::{book::SimBook, fault::Fault, node::SimNode};
use crate::flaw::Flaws;

pub(super) const KEYS: [PoolId; 2] = [PoolId(1), PoolId(2)];
pub(super) const ACCOUNT: PoolId = PoolId(3);
const STEPS: u64 = 100;

/// A small generator (splitmix64): a run is its seed.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// What the outside world knows of one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Truth {
    pub(super) key: PoolId,
    pub(super) begun: u64,
    pub(super) delivered: i64,
    /// What of it a request that was left, or whose process died, owes; the rest is the operator's loss.
    pub(super) due: Option<i64>,
    /// What the caller saw at the end, and whether the power stayed on since.
    pub(super) seen: Option<(i64, bool)>,
}

/// What all nodes have in common.
pub(super) struct Shared {
    pub(super) random: Random,
    pub(super) fault: Option<Fault>,
    pub(super) flaws: Flaws,
    pub(super) book: SimBook,
    pub(super) truths: BTreeMap<ChargeId, Truth>,
    pub(super) edits: BTreeMap<PoolId, (u64, i64)>,
    pub(super) several: bool,
    /// Journals that nobody will ever read again.
    pub(super) lost: Vec<JournalId>,
    pub(super) journals: u128,
    pub(super) step: u64,
    /// The book as a stand-by has it, and the edits that it knows.
    copy: (SimBook, BTreeMap<PoolId, (u64, i64)>),
    /// Whether a stand-by misses nothing that people decided, and nobody is taken for dead before it has said what it has:
    /// what remains is then exact.
    pub(super) exact: bool,
    /// Pools of which what remains cannot be known before the next edit.
    pub(super) unsure: BTreeSet<PoolId>,
    /// Whether journals are kept after they were applied.
    pub(super) keeps: bool,
    servers: i64,
    /// Whether nothing happens to the book any more.
    pub(super) ends: bool,
}

impl Shared {
    pub(super) fn new_journal(&mut self) -> JournalId {
        self.journals += 1;
        JournalId(self.journals)
    }

    /// Somebody has decided something, a disk is lost, or a node has begun again.
    pub(super) fn decided(&mut self) {
        if self.exact {
            self.copy = (self.book.clone(), self.edits.clone());
        }
    }

    /// Notes what the book will lose: what is owed is what was charged once, and a node that comes back from suspense in what is
    /// lost is not waited for.
    fn follow(&mut self) {
        for (id, units) in &self.book.charges {
            if let Some(truth) = self.truths.get_mut(id) {
                truth.due.get_or_insert(*units);
            }
        }
        if std::mem::take(&mut self.book.revived) {
            self.decided();
        }
    }

    /// A stand-by that missed the tail takes the place of the book.
    fn fail_over(&mut self) {
        self.servers += 1;
        self.book.fail_over(&self.copy.0, self.servers);
        self.edits = self.copy.1.clone();
        for journal in &self.lost {
            self.book.hush(*journal);
        }
        if !self.exact {
            self.unsure.extend(self.book.pools.keys());
        }
    }

    /// The same at any moment: once in `many` times.
    pub(super) fn perhaps_fail_over(&mut self, many: u64) {
        if self.keeps && !self.ends && self.random.below(many) == 0 {
            self.fail_over();
        }
    }

    /// I3: what was delivered since the last edit, and what anybody may still have, is never more than that gave. What
    /// nobody had noted when a request was left or its process died is not looked for.
    fn check_delivered(&self) -> Result<(), String> {
        let mut delivered: BTreeMap<PoolId, i64> = BTreeMap::new();
        for (id, truth) in &self.truths {
            let charged = self.book.charges.get(id).copied();
            let owed = charged.or(truth.due).unwrap_or(truth.delivered);
            for pool in [truth.key, ACCOUNT] {
                if truth.begun >= self.edits[&pool].0 {
                    *delivered.entry(pool).or_default() += owed;
                }
            }
        }
        for (pool, delivered) in delivered {
            if self.unsure.contains(&pool) {
                continue;
            }
            let units = self.edits[&pool].1;
            // Nobody gets any of what the book does not know to be leased.
            let unsettled = self.book.is_unsettled(None);
            let available = if unsettled { 0 } else { self.book.pools[&pool].available };
            if delivered + available > units {
                return Err(format!(
                    "pool {pool}: {delivered} delivered and {available} to have, of {units}"
                ));
            }
        }
        Ok(())
    }
}

pub(super) struct World {
    pub(super) shared: Shared,
    pub(super) nodes: Vec<SimNode>,
    calm: bool,
    /// Whether one stand-by takes the place of another all the time.
    stormy: bool,
}

impl World {
    /// Runs one schedule; an error says which promise was broken.
    pub(super) fn run(seed: u64, fault: Option<Fault>) -> Result<(), String> {
        let mut book = SimBook { fault, ..SimBook::default() };
        let mut edits = BTreeMap::new();
        for (pool, units) in [(KEYS[0], 60), (KEYS[1], 40), (ACCOUNT, 80)] {
            book.grant(pool, units);
            edits.insert(pool, (0, units));
        }
        let flaws = Flaws(match fault {
            Some(Fault::Ledger(flaw)) => Some(flaw),
            _ => None,
        });
        let count = [1, 1, 2, 3][(seed / 4 % 4) as usize];
        let mut shared = Shared {
            random: Random(seed),
            fault,
            flaws,
            book,
            truths: BTreeMap::new(),
            edits,
            several: count > 1,
            lost: Vec::new(),
            journals: 0,
            step: 0,
            copy: (SimBook::default(), BTreeMap::new()),
            exact: !seed.is_multiple_of(3),
            unsure: BTreeSet::new(),
            keeps: seed % 5 < 3 && !seed.is_multiple_of(4),
            servers: 0,
            ends: false,
        };
        let nodes: Vec<_> = (0..count).map(|_| SimNode::begin(&mut shared)).collect::<Result<_, _>>()?;
        shared.copy = (shared.book.clone(), shared.edits.clone());
        let mut world = Self { shared, nodes, calm: seed.is_multiple_of(4), stormy: seed % 7 == 1 };
        for step in 1..=STEPS {
            world.shared.step = step;
            world.shared.book.now = step;
            world.act()?;
            world.shared.follow();
            world.shared.book.check()?;
            world.shared.check_delivered()?;
            world.nodes.iter().try_for_each(|node| node.check_leases(&world.shared))?;
        }
        world.finish()
    }

    fn act(&mut self) -> Result<(), String> {
        if self.stormy {
            self.shared.perhaps_fail_over(16);
        }
        let count = self.nodes.len() as u64;
        let index = self.shared.random.below(count) as usize;
        let Self { shared, nodes, calm, .. } = self;
        let node = &mut nodes[index];
        let dice = shared.random.below(if shared.several { 112 } else { 89 });
        match if shared.several || dice < 85 { dice } else { dice + 23 } {
            0..=19 => node.begin_request(shared)?,
            20..=31 => node.journal.sync(),
            32..=41 => node.deliver(shared),
            42..=53 => node.end_request(shared),
            54..=62 => node.apply(shared)?,
            63..=72 => node.housekeeping(shared)?,
            73..=74 => self.edit(),
            75..=76 => node.abandon_request(shared),
            77 => {
                let fails = shared.random.below(4) == 0;
                node.disk.set_sync_fails(fails);
            }
            78..=81 => node.return_idle(shared)?,
            // Long lives go through many segments.
            82..=84 if *calm => {}
            84 if shared.random.below(3) == 0 => node.restart(shared)?,
            82 => node.crash(false, shared)?,
            83 => node.crash(true, shared)?,
            84 if shared.exact && !shared.book.is_settled(node.node.journal) => {}
            84 => {
                // What it had is known, and that it is gone.
                shared.decided();
                node.lose_disk(shared)?;
                shared.decided();
            }
            108..=109 => shared.copy = (shared.book.clone(), shared.edits.clone()),
            110..=111 => shared.perhaps_fail_over(1),
            85..=96 => node.beat(shared)?,
            97..=99 => node.deliver_mail(shared)?,
            100..=102 => node.fall_silent(shared),
            _ => self.operate(),
        }
        Ok(())
    }

    fn edit(&mut self) {
        let Self { shared, nodes, .. } = self;
        let pool = [KEYS[0], KEYS[1], ACCOUNT][shared.random.below(3) as usize];
        let units = shared.random.below(60) as i64;
        shared.book.edit(pool, units);
        shared.edits.insert(pool, (shared.step, units));
        // What was begun before is charged to no lease that it could be known by.
        if shared.book.is_unsettled(None) {
            shared.unsure.insert(pool);
        } else {
            shared.unsure.remove(&pool);
        }
        shared.decided();
        if shared.fault != Some(Fault::VoidLeaseKept) {
            nodes.iter().for_each(|node| node.pools.mark_stale(pool));
        }
    }

    /// An operator decides about one that is silent, or whose disk is lost.
    fn operate(&mut self) {
        let shared = &mut self.shared;
        let silent = shared.book.journals.iter().filter(|(_, entry)| !entry.live).map(|(id, _)| *id);
        let silent: Vec<JournalId> = silent.collect();
        if silent.is_empty() {
            return;
        }
        let journal = silent[shared.random.below(silent.len() as u64) as usize];
        let lost = shared.lost.contains(&journal);
        let charge = match shared.fault {
            Some(Fault::LossReturned) => !lost,
            Some(Fault::ReturnedWhileAlive) => lost,
            _ => true,
        };
        if shared.exact && !lost && !shared.book.is_settled(journal) {
            return;
        }
        shared.book.resolve(journal, charge);
        shared.decided();
    }

    pub(super) fn remaining(&self, pool: PoolId) -> Units {
        let balance = self.shared.book.pools[&pool];
        Units::new(balance.granted - balance.used - balance.suspense)
    }
}
