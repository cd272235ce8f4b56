//! Who waits for units of which pool: many requests share one question, and whoever came first is served first.
//!
//! What it keeps true: whoever waits gets one answer. Units that are taken for a request that has gone meanwhile go back.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use model::{clock::Timestamp, id::PoolId, money::Units};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::{
    book::{Ask, Outlook},
    error::HoldError,
    pool::{Permit, Pool},
};

/// How long a request waits for what other nodes give back.
const PATIENCE: Duration = Duration::from_millis(750);
/// Between two questions about the same units, at first and at most.
const PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(160);
/// Between two questions that nobody waits for.
const REFILL: Duration = Duration::from_millis(250);
/// Why nothing is given by a book that has begun a new life.
const WITHHELD: &str = "the database was started anew, and not every server has said yet what it has leased";
/// Pools in one question.
const TOGETHER: usize = 128;

/// What comes of waiting.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The pool as it is now.
    pub(crate) pool: Arc<Pool>,
    /// The units, where somebody waited to take them and there are enough.
    pub(crate) permit: Option<Permit>,
    /// Whether there were enough for whoever only looked. Others may have been quicker since.
    pub(crate) enough: bool,
}

pub(crate) type Waiting = oneshot::Receiver<Result<Answer, HoldError>>;

/// One who waits.
struct Waiter {
    need: Units,
    /// The pool to take from; without one, it is only looked at.
    from: Option<Arc<Pool>>,
    until: Option<Instant>,
    sender: oneshot::Sender<Result<Answer, HoldError>>,
}

impl Waiter {
    fn end(self, answer: Result<Answer, HoldError>) {
        // Dropped with its units in it if nobody waits any more.
        drop(self.sender.send(answer));
    }

    fn end_with(self, pool: &Arc<Pool>, permit: Option<Permit>, enough: bool) {
        self.end(Ok(Answer { pool: Arc::clone(pool), permit, enough }));
    }

    /// Ends the wait if the pool has enough now, or is no longer the one to take from.
    fn serve(self, pool: &Arc<Pool>) -> Option<Self> {
        match &self.from {
            None if pool.left() >= self.need => self.end_with(pool, None, true),
            Some(from) if !Arc::ptr_eq(from, pool) => self.end_with(pool, None, false),
            Some(_) => match Permit::take(pool, self.need) {
                Some(permit) => self.end_with(pool, Some(permit), true),
                None => return Some(self),
            },
            None => return Some(self),
        }
        None
    }
}

/// What is wanted of one pool.
pub(crate) struct Wish {
    waiters: Vec<Waiter>,
    refill: bool,
    /// Not to be asked before.
    at: Option<Instant>,
    pause: Duration,
}

impl Wish {
    const fn new() -> Self {
        Self { waiters: Vec::new(), refill: false, at: None, pause: PAUSE }
    }

    /// Lets everybody go whom the pool can serve as it is. `false` when nothing is wanted any more.
    pub(crate) fn serve(&mut self, pool: Option<&Arc<Pool>>) -> bool {
        self.waiters.retain(|waiter| !waiter.sender.is_closed());
        if let Some(pool) = pool {
            let waiters = std::mem::take(&mut self.waiters);
            self.waiters = waiters.into_iter().filter_map(|waiter| waiter.serve(pool)).collect();
        }
        self.refill || !self.waiters.is_empty()
    }

    /// The question about it.
    pub(crate) fn ask(&self, id: PoolId, pool: Option<&Arc<Pool>>, now: Timestamp) -> Ask {
        let left = pool.map_or(0, |pool| pool.balance());
        let lacks = |units: i64| units.saturating_sub(left).max(0);
        let need = self.waiters.iter().map(|waiter| lacks(waiter.need.get())).min().unwrap_or(0);
        let all = self.waiters.iter().fold(0_i64, |sum, waiter| sum.saturating_add(waiter.need.get()));
        let spending = pool.map_or(Units::ZERO, |pool| pool.spending(now));
        Ask { pool: id, need: Units::new(need), waiting: Units::new(lacks(all)), spending }
    }

    /// Takes in the book's answer about `pool`. `false` when nothing is wanted any more.
    pub(crate) fn answered(&mut self, pool: &Arc<Pool>, outlook: Outlook, now: Instant) -> bool {
        self.refill = false;
        self.serve(Some(pool));
        let waiters = std::mem::take(&mut self.waiters);
        self.at = None;
        match outlook {
            Outlook::Met => self.waiters = waiters,
            Outlook::Dry => waiters.into_iter().for_each(|waiter| waiter.end_with(pool, None, false)),
            Outlook::Withheld => {
                self.waiters = waiters;
                return self.put_off(&HoldError::Book(WITHHELD.to_owned()), now);
            }
            Outlook::Recalled => {
                self.waiters = waiters;
                let impatient = self.wait_on(now);
                impatient.into_iter().for_each(|waiter| waiter.end_with(pool, None, false));
            }
        }
        !self.waiters.is_empty()
    }

    /// The book gives nothing now, and will in a moment. `false` when nobody waits any more.
    pub(crate) fn put_off(&mut self, why: &HoldError, now: Instant) -> bool {
        for waiter in self.wait_on(now) {
            waiter.end(Err(why.clone()));
        }
        !self.waiters.is_empty()
    }

    /// Asks again in a moment. Who has waited long enough is told.
    fn wait_on(&mut self, now: Instant) -> Vec<Waiter> {
        self.at = Some(now + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        let mut impatient = Vec::new();
        for mut waiter in std::mem::take(&mut self.waiters) {
            if now < *waiter.until.get_or_insert(now + PATIENCE) {
                self.waiters.push(waiter);
            } else {
                impatient.push(waiter);
            }
        }
        impatient
    }

    /// Ends every wait.
    pub(crate) fn fail(self, why: &HoldError) {
        self.waiters.into_iter().for_each(|waiter| waiter.end(Err(why.clone())));
    }
}

/// All that is wanted.
#[derive(Default)]
pub(crate) struct Wishes {
    state: Mutex<State>,
    /// Told when something is wanted.
    pub(crate) wake: Notify,
}

#[derive(Default)]
struct State {
    pools: BTreeMap<PoolId, Wish>,
    refilled: Option<Instant>,
    closed: bool,
}

impl Wishes {
    /// Asks for `need` units in each pool, at once; `from` are the pools to take them from.
    ///
    /// # Errors
    /// Nobody asks the book any more.
    pub(crate) fn wait(
        &self,
        wanted: impl IntoIterator<Item = (PoolId, Option<Arc<Pool>>)>,
        need: Units,
    ) -> Result<Vec<Waiting>, HoldError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(HoldError::NotAdmitting);
        }
        let mut waiting = Vec::new();
        for (id, from) in wanted {
            let (sender, receiver) = oneshot::channel();
            let wish = state.pools.entry(id).or_insert_with(Wish::new);
            if wish.waiters.is_empty() {
                wish.at = None;
            }
            wish.waiters.push(Waiter { need, from, until: None, sender });
            waiting.push(receiver);
        }
        drop(state);
        self.wake.notify_one();
        Ok(waiting)
    }

    /// Asks for more of a pool before anybody waits for it.
    pub(crate) fn refill(&self, id: PoolId) {
        let mut state = self.state.lock();
        let at = state.refilled.map(|refilled| refilled + REFILL);
        let wish = state.pools.entry(id).or_insert_with(|| Wish { at, ..Wish::new() });
        wish.refill = true;
        drop(state);
        self.wake.notify_one();
    }

    /// When the book is to be asked next; `None` when nothing is wanted.
    pub(crate) fn next(&self, now: Instant) -> Option<Instant> {
        self.state.lock().pools.values().map(|wish| wish.at.unwrap_or(now)).min()
    }

    /// What is to be asked now.
    pub(crate) fn due(&self, now: Instant) -> Vec<(PoolId, Wish)> {
        let mut state = self.state.lock();
        let is_due = |wish: &Wish| wish.at.is_none_or(|at| at <= now);
        let due = state.pools.iter().filter(|(_, wish)| is_due(wish)).map(|(id, _)| *id);
        let due: Vec<PoolId> = due.take(TOGETHER).collect();
        let due: Vec<_> =
            due.into_iter().filter_map(|id| state.pools.remove(&id).map(|wish| (id, wish))).collect();
        if due.iter().any(|(_, wish)| wish.refill) {
            state.refilled = Some(now);
        }
        due
    }

    /// Goes on waiting; those who came meanwhile stand behind.
    pub(crate) fn again(&self, id: PoolId, mut wish: Wish) {
        let mut state = self.state.lock();
        if state.closed {
            drop(state);
            return wish.fail(&HoldError::NotAdmitting);
        }
        if let Some(later) = state.pools.remove(&id) {
            wish.refill |= later.refill;
            wish.waiters.extend(later.waiters);
        }
        state.pools.insert(id, wish);
    }

    /// Nobody will be answered any more.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let pools = std::mem::take(&mut state.pools);
        drop(state);
        pools.into_values().for_each(|wish| wish.fail(&HoldError::NotAdmitting));
        self.wake.notify_one();
    }
}
