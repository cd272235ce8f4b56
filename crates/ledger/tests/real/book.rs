//! The book that the tests have: in memory, with the rules of the database's.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ledger::{
    Applied, Ask, Batch, Book, BookError, Draw, LeaseState, Node, Outlook, Part, Registered, Standing, Wanted,
};
use model::{
    id::{ChargeId, JournalId, LeaseId, PoolId},
    money::Units,
    usage::UsageOutcome,
};
use tokio::sync::{Notify, watch};

use crate::fixture::{ACCOUNT, KEY};

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Balance {
    pub(crate) granted: i64,
    pub(crate) used: i64,
    pub(crate) leased: i64,
    pub(crate) available: i64,
    pub(crate) unlimited: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Open,
    Void,
    Closed,
}

#[derive(Clone)]
pub(crate) struct Lease {
    pool: PoolId,
    journal: JournalId,
    amount: i64,
    spent: i64,
    state: State,
}

#[derive(Clone, Default)]
pub(crate) struct Rows {
    pools: BTreeMap<PoolId, Balance>,
    leases: BTreeMap<LeaseId, Lease>,
    cursors: HashMap<JournalId, u64>,
    charges: BTreeMap<ChargeId, UsageOutcome>,
    /// Charges that came after their lease was closed.
    late: usize,
}

impl Rows {
    pub(crate) fn lease(&mut self, journal: JournalId, ask: &Ask) -> Option<LeaseState> {
        let pool = ask.pool;
        let balance = self.pools.get_mut(&pool)?;
        let mut state = LeaseState {
            lease: LeaseId(0),
            amount: Units::ZERO,
            unlimited: balance.unlimited,
            available: Units::new(balance.available),
            shared: false,
            outlook: Outlook::Met,
        };
        if balance.unlimited {
            return Some(state);
        }
        let more = std::mem::take(&mut balance.available);
        balance.leased += more;
        let mine =
            |lease: &Lease| lease.pool == pool && lease.journal == journal && lease.state == State::Open;
        let fresh = LeaseId(self.leases.len() as i64 + 1);
        let id = self.leases.iter().find(|(_, lease)| mine(lease)).map_or(fresh, |(id, _)| *id);
        let empty = Lease { pool, journal, amount: 0, spent: 0, state: State::Open };
        let lease = self.leases.entry(id).or_insert(empty);
        lease.amount += more;
        (state.lease, state.amount, state.available) = (id, Units::new(lease.amount), Units::ZERO);
        if more < ask.need.get() {
            state.outlook = Outlook::Dry;
        }
        Some(state)
    }

    pub(crate) fn apply(&mut self, batch: &Batch) -> Applied {
        let cursor = self.cursors.get_mut(&batch.journal).unwrap();
        if *cursor != batch.from {
            return Applied::Already(*cursor);
        }
        *cursor = batch.to;
        for charge in &batch.charges {
            if self.charges.contains_key(&charge.id) {
                continue;
            }
            self.charges.insert(charge.id, charge.outcome.clone());
            let units = charge.outcome.units.get();
            for draw in &charge.draws {
                let balance = self.pools.get_mut(&draw.pool).unwrap();
                balance.used += units;
                let state = self.leases.get_mut(&draw.lease).map(|lease| {
                    lease.spent += units;
                    lease.state
                });
                self.late += usize::from(state == Some(State::Closed));
                match state {
                    Some(State::Open) => balance.leased -= units,
                    _ => balance.granted += units,
                }
            }
        }
        Applied::Now
    }

    /// Makes an open lease what its node says, as far as that is available.
    fn restore(&mut self, standing: &Standing) -> Units {
        let lease = self.leases.get_mut(&standing.lease.lease).unwrap();
        let balance = self.pools.get_mut(&lease.pool).unwrap();
        let more = standing.given.get() - standing.returned.get() - lease.amount;
        let more = more.min(balance.available);
        lease.amount += more;
        balance.leased += more;
        balance.available -= more;
        Units::new(lease.amount)
    }

    /// Closes the open leases of a journal that are among `which`; all of them without it.
    pub(crate) fn close_leases(&mut self, journal: JournalId, which: Option<&[Draw]>) {
        let named = |id: LeaseId| which.is_none_or(|which| which.iter().any(|draw| draw.lease == id));
        let open = self
            .leases
            .iter_mut()
            .filter(|(id, lease)| lease.journal == journal && lease.state == State::Open && named(**id));
        for (_, lease) in open {
            lease.state = State::Closed;
            let balance = self.pools.get_mut(&lease.pool).unwrap();
            balance.leased -= lease.amount - lease.spent;
            balance.available += lease.amount - lease.spent;
        }
    }
}

/// The book: in memory, and away when a test says so.
pub(crate) struct TestBook {
    rows: Mutex<Rows>,
    pub(crate) away: AtomicBool,
    /// The book does its work and its answer is lost.
    pub(crate) mute: AtomicBool,
    /// Calls that got no answer.
    pub(crate) unanswered: watch::Sender<usize>,
    /// Leases that were given.
    pub(crate) leased: watch::Sender<usize>,
    /// Whether the answer about a lease may leave.
    pub(crate) gate: watch::Sender<bool>,
    /// It went back to what it was, and no node has said yet what it has.
    anew: AtomicBool,
    /// What it goes back to when it is told the next time what a node has.
    back: Mutex<Option<Rows>>,
    /// How often it was told what a node has.
    told: watch::Sender<usize>,
}

impl TestBook {
    pub(crate) fn over(rows: Rows) -> Arc<Self> {
        Arc::new(Self {
            rows: Mutex::new(rows),
            away: AtomicBool::new(false),
            mute: AtomicBool::new(false),
            unanswered: watch::Sender::new(0),
            leased: watch::Sender::new(0),
            gate: watch::Sender::new(true),
            anew: AtomicBool::new(false),
            back: Mutex::default(),
            told: watch::Sender::new(0),
        })
    }

    pub(crate) fn new(key: i64, account: i64) -> Arc<Self> {
        let balance = |units| Balance { granted: units, available: units, ..Balance::default() };
        let pools = BTreeMap::from([(KEY, balance(key)), (ACCOUNT, balance(account))]);
        Self::over(Rows { pools, ..Rows::default() })
    }

    /// Another database with the same rows.
    pub(crate) fn copy(&self) -> Arc<Self> {
        Self::over(self.rows().clone())
    }

    /// It is again what it was: what came after is lost.
    pub(crate) fn go_back(&self, rows: Rows) {
        *self.rows() = rows;
        self.anew.store(true, Ordering::SeqCst);
    }

    /// Somebody else uses the journal.
    pub(crate) fn advance(&self, journal: JournalId) {
        *self.rows().cursors.entry(journal).or_default() += 5;
    }

    /// The same in the middle of being told what a node has.
    pub(crate) fn go_back_once_more(&self, rows: Rows) {
        *self.back.lock().unwrap() = Some(rows);
    }

    /// Resolves when it was told so often what a node has.
    pub(crate) async fn was_told(&self, times: usize) {
        self.told.subscribe().wait_for(|count| *count >= times).await.unwrap();
    }

    fn listens(&self) -> Result<(), BookError> {
        if self.anew.load(Ordering::SeqCst) { Err(BookError::Anew) } else { Ok(()) }
    }

    pub(crate) fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap()
    }

    pub(crate) fn balance(&self, pool: PoolId) -> Balance {
        self.rows().pools[&pool]
    }

    pub(crate) fn charges(&self) -> BTreeMap<u64, (i64, Option<String>)> {
        let rows = self.rows();
        let plain = |outcome: &UsageOutcome| (outcome.units.get(), outcome.error.clone());
        rows.charges.iter().map(|(id, outcome)| (id.seq, plain(outcome))).collect()
    }

    /// Somebody sets what remains.
    pub(crate) fn edit(&self, pool: PoolId, remaining: i64) {
        let mut rows = self.rows();
        let Rows { pools, leases, .. } = &mut *rows;
        let balance = pools.get_mut(&pool).unwrap();
        for lease in leases.values_mut().filter(|lease| lease.pool == pool && lease.state == State::Open) {
            lease.state = State::Void;
            balance.leased -= lease.amount - lease.spent;
        }
        balance.granted = balance.used + balance.leased + remaining;
        balance.available = remaining;
    }

    /// A further pool.
    pub(crate) fn grant(&self, pool: PoolId, units: i64) {
        let balance = Balance { granted: units, available: units, ..Balance::default() };
        self.rows().pools.insert(pool, balance);
    }

    /// I1, and that no charge came too late.
    pub(crate) fn check_each(&self) {
        let rows = self.rows();
        for (pool, b) in &rows.pools {
            assert_eq!(b.granted, b.used + b.leased + b.available, "pool {pool}: {b:?}");
            assert!(b.used >= 0 && b.leased >= 0 && b.available >= 0, "pool {pool}: {b:?}");
        }
        assert_eq!(rows.late, 0, "charges came after their lease was closed");
    }

    /// I1 and I2, where every charge is on every pool.
    pub(crate) fn check(&self) {
        self.check_each();
        let rows = self.rows();
        let sum: i64 = rows.charges.values().map(|outcome| outcome.units.get()).sum();
        for (pool, b) in &rows.pools {
            assert_eq!(b.used, sum, "pool {pool}: charges and used");
        }
    }

    pub(crate) fn answer<T>(&self, answer: T) -> Result<T, BookError> {
        if self.away.load(Ordering::SeqCst) || self.mute.load(Ordering::SeqCst) {
            self.unanswered.send_modify(|count| *count += 1);
            return Err(BookError::Unavailable("a test has taken it away".to_owned()));
        }
        Ok(answer)
    }

    pub(crate) fn here(&self) -> Result<(), BookError> {
        if self.away.load(Ordering::SeqCst) { self.answer(()) } else { Ok(()) }
    }

    /// Resolves when `more` further calls got no answer.
    pub(crate) async fn misses(&self, more: usize) {
        let wanted = *self.unanswered.borrow() + more;
        self.unanswered.subscribe().wait_for(|count| *count >= wanted).await.unwrap();
    }
}

impl Book for TestBook {
    async fn open_journal(&self, journal: JournalId) -> Result<Registered, BookError> {
        self.here()?;
        let applied = *self.rows().cursors.entry(journal).or_default();
        self.answer(Registered { epoch: 1, applied })
    }

    async fn rejoin(&self, _: Node, node: Node) -> Result<Registered, BookError> {
        self.here()?;
        let applied = *self.rows().cursors.entry(node.journal).or_default();
        self.answer(Registered { epoch: node.epoch, applied })
    }

    async fn settle(&self, node: Node, applied: u64, leases: &[Standing]) -> Result<Vec<Units>, BookError> {
        self.here()?;
        let back = self.back.lock().unwrap().take();
        back.into_iter().for_each(|rows| self.go_back(rows));
        if self.rows().cursors.get(&node.journal) != Some(&applied) {
            return Err(BookError::Anew);
        }
        let amounts = if leases.is_empty() {
            self.rows().close_leases(node.journal, None);
            Vec::new()
        } else {
            let mut rows = self.rows();
            leases.iter().map(|standing| rows.restore(standing)).collect()
        };
        self.anew.store(false, Ordering::SeqCst);
        self.told.send_modify(|count| *count += 1);
        self.answer(amounts)
    }

    async fn lease(&self, node: Node, asks: &[Ask]) -> Result<Vec<Option<LeaseState>>, BookError> {
        self.here()?;
        self.listens()?;
        let states = asks.iter().map(|ask| self.rows().lease(node.journal, ask)).collect();
        self.leased.send_modify(|count| *count += 1);
        self.gate.subscribe().wait_for(|open| *open).await.unwrap();
        self.answer(states)
    }

    async fn give_back(&self, _: Node, _: &[Part]) -> Result<(), BookError> {
        unreachable!("nothing is ever wanted")
    }

    async fn heartbeat(&self, _: Node, _: Duration) -> Result<Vec<Wanted>, BookError> {
        // There is no other node.
        self.here()?;
        self.listens()?;
        Ok(Vec::new())
    }

    async fn listen(&self, _: Node, _: &Notify) {}

    async fn apply(&self, batch: &Batch) -> Result<Applied, BookError> {
        self.here()?;
        let applied = self.rows().apply(batch);
        self.answer(applied)
    }

    async fn return_leases(&self, node: Node, leases: &[Draw]) -> Result<(), BookError> {
        self.here()?;
        self.rows().close_leases(node.journal, Some(leases));
        self.answer(())
    }

    async fn close_leases(&self, node: Node) -> Result<(), BookError> {
        self.here()?;
        self.listens()?;
        self.rows().close_leases(node.journal, None);
        self.answer(())
    }
}
