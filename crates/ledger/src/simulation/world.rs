//! One run: a seed decides every step, and the invariants are asked after each.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use model::{
    clock::Timestamp,
    id::{AccountId, ChannelId, ChargeId, JournalId, KeyId, LeaseId, PoolId, PriceId},
    money::Units,
    price::Ratio,
    usage::{Provenance, Tokens, UsageContext, UsageOutcome},
};

use super::{book::SimBook, disk::SimDisk, fault::Fault};
use crate::{
    Applied, Batch,
    disk::Disk,
    flaw::{Flaw, Flaws},
    hold::OpenHold,
    journal::Journal,
    life::{self, Beginning, Life},
    pool::Pool,
    pools::Pools,
    reader::Reader,
    record::Record,
};

const JOURNAL: JournalId = JournalId(7);
const KEYS: [PoolId; 2] = [PoolId(1), PoolId(2)];
pub(super) const ACCOUNT: PoolId = PoolId(3);
const STEPS: u64 = 100;
/// Small, so that a run goes through many segments.
const SEGMENT: u64 = 2048;

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
    /// What the caller saw at the end, and whether the power stayed on since.
    pub(super) seen: Option<(i64, bool)>,
}

pub(super) struct Request {
    pub(super) hold: OpenHold,
    pub(super) delivered: i64,
    pub(super) noted: Option<UsageOutcome>,
}

pub(super) struct World {
    pub(super) random: Random,
    pub(super) fault: Option<Fault>,
    pub(super) flaws: Flaws,
    pub(super) disk: SimDisk,
    pub(super) book: SimBook,
    pub(super) journal: Arc<Journal>,
    pub(super) reader: Reader,
    pub(super) pools: Pools,
    /// How far the node knows the book to be.
    pub(super) reached: u64,
    pub(super) requests: Vec<Request>,
    pub(super) pending: Option<Batch>,
    pub(super) truths: BTreeMap<u64, Truth>,
    pub(super) edits: BTreeMap<PoolId, (u64, i64)>,
    pub(super) written: u64,
    pub(super) step: u64,
    pub(super) calm: bool,
}

fn context() -> UsageContext {
    UsageContext {
        request_id: "r".to_owned(),
        account: AccountId(1),
        key: KeyId(1),
        key_name: String::new(),
        group: "default".to_owned(),
        channel: ChannelId(1),
        attempt: 1,
        model: "m".to_owned(),
        upstream_model: "m".to_owned(),
        door: "/".to_owned(),
        stream: true,
        price: PriceId(1),
        ratio: Ratio::ONE,
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        started: Timestamp::from_millis(0),
    }
}

pub(super) fn outcome(units: i64) -> UsageOutcome {
    UsageOutcome {
        tokens: Tokens::default(),
        provenance: Provenance::Reported,
        units: Units::new(units),
        overrun: Units::ZERO,
        status: 200,
        error: None,
        first_byte_ms: None,
        ended: Timestamp::from_millis(0),
    }
}

impl World {
    /// Runs one schedule; an error says which promise was broken.
    pub(super) fn run(seed: u64, fault: Option<Fault>) -> Result<(), String> {
        let mut book = SimBook::default();
        book.forgetful = fault == Some(Fault::BookForgets);
        let mut edits = BTreeMap::new();
        for (pool, units) in [(KEYS[0], 60), (KEYS[1], 40), (ACCOUNT, 80)] {
            book.grant(pool, units);
            edits.insert(pool, (0, units));
        }
        let flaws = Flaws(match fault {
            Some(Fault::Ledger(flaw)) => Some(flaw),
            _ => None,
        });
        let disk = SimDisk::default();
        let life = begin(&disk, 0, flaws, seed as u32)?;
        let mut world = Self {
            random: Random(seed),
            fault,
            flaws,
            disk,
            book,
            journal: Arc::new(life.journal),
            reader: life.reader,
            pools: Pools::with_flaws(flaws),
            reached: 0,
            requests: Vec::new(),
            pending: None,
            truths: BTreeMap::new(),
            edits,
            written: 0,
            step: 0,
            calm: seed.is_multiple_of(4),
        };
        for step in 1..=STEPS {
            world.step = step;
            world.act()?;
            world.book.check()?;
        }
        world.finish()
    }

    fn act(&mut self) -> Result<(), String> {
        match self.random.below(84) {
            0..=19 => self.begin_request(),
            20..=31 => self.journal.sync(),
            32..=41 => self.deliver(),
            42..=53 => self.end_request(),
            54..=62 => self.apply()?,
            63..=72 => self.housekeeping()?,
            73..=74 => self.edit(),
            75..=76 => self.abandon_request(),
            77 => self.disk.set_sync_fails(self.random.below(4) == 0),
            78..=81 => self.return_idle(),
            // Long lives go through many segments.
            82.. if self.calm => {}
            82 => self.crash(false)?,
            _ => self.crash(true)?,
        }
        Ok(())
    }

    /// Now: one second a step, so that every pool has an age.
    const fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.step as i64 * 1_000)
    }

    fn pool(&mut self, id: PoolId) -> Arc<Pool> {
        let now = self.now();
        if let Some(pool) = self.pools.fresh(id) {
            pool.touch(now);
            return pool;
        }
        let state = self.book.lease(id);
        if let Some(pool) = self.pools.known(id).filter(|pool| pool.refresh(&state, now, 0)) {
            return pool;
        }
        let pool = Arc::new(Pool::new(id, &state, now));
        self.pools.put(Arc::clone(&pool));
        pool
    }

    /// Pools go that were not used for a while, or that are too many.
    fn return_idle(&mut self) {
        let before = Timestamp::from_millis(self.now().millis() - self.random.below(9) as i64 * 1_000);
        let idle = self.pools.idle(self.reached, before, self.random.below(4) as usize);
        let claimed = self.pools.claim(&idle, self.reached);
        let leases: Vec<LeaseId> = claimed.iter().map(|draw| draw.lease).collect();
        let answered = match self.random.below(5) {
            // The book does not answer.
            0 => false,
            // The book did it, and its answer is lost.
            1 => {
                self.book.return_leases(&leases);
                false
            }
            _ => {
                self.book.return_leases(&leases);
                true
            }
        };
        if answered || self.fault == Some(Fault::ReturnUnanswered) {
            self.pools.forget(&claimed);
        }
    }

    fn begin_request(&mut self) {
        let key = KEYS[self.random.below(2) as usize];
        let units = Units::new(self.random.below(15) as i64);
        let pools = [self.pool(key), self.pool(ACCOUNT)];
        if !pools[0].take(units) {
            return;
        }
        if !pools[1].take(units) {
            return pools[0].give_back(units);
        }
        match OpenHold::begin(&self.journal, pools.clone(), units, context(), self.flaws) {
            Ok(hold) => {
                let truth = Truth { key, begun: self.step, delivered: 0, seen: None };
                self.truths.insert(hold.seq(), truth);
                self.requests.push(Request { hold, delivered: 0, noted: None });
            }
            Err(_) => pools.iter().for_each(|pool| pool.give_back(units)),
        }
    }

    /// A request whose answer may leave.
    fn pick(&mut self) -> Option<usize> {
        let count = self.requests.len() as u64;
        let index = (count > 0).then(|| self.random.below(count) as usize)?;
        let durable = self.requests[index].hold.seq() <= self.journal.durable();
        (durable || self.fault == Some(Fault::AnswerEarly)).then_some(index)
    }

    fn deliver(&mut self) {
        let Some(index) = self.pick() else { return };
        let request = &mut self.requests[index];
        let left = request.hold.units().get() - request.delivered;
        request.delivered += self.random.below(left as u64 + 1) as i64;
        let truth = self.truths.get_mut(&request.hold.seq()).unwrap();
        truth.delivered = request.delivered;
        if self.random.below(2) == 0 {
            let noted = outcome(request.delivered);
            let record = Record::Progress { hold: request.hold.seq(), outcome: noted.clone() };
            if self.journal.remark(&record).is_ok() {
                request.noted = Some(noted);
            }
        }
    }

    fn end_request(&mut self) {
        let Some(index) = self.pick() else { return };
        let mut request = self.requests.swap_remove(index);
        // Sometimes the upstream claims more than was held; it delivered the whole hold then.
        let lie = self.random.below(4) == 0;
        let held = request.hold.units().get();
        let (delivered, claimed) =
            if lie { (held, held + 9) } else { (request.delivered, request.delivered) };
        let truth = self.truths.get_mut(&request.hold.seq()).unwrap();
        truth.delivered = delivered;
        if request.hold.settle(outcome(claimed)).is_ok() {
            self.written = self.journal.last();
            truth.seen = Some((delivered, true));
        }
    }

    fn abandon_request(&mut self) {
        let Some(index) = self.pick() else { return };
        let mut request = self.requests.swap_remove(index);
        if !self.flaws.has(Flaw::DropUnsettled) {
            let ended = life::abandoned(request.noted.take(), Timestamp::from_millis(0), "abandoned");
            if request.hold.settle(ended).is_ok() {
                self.written = self.journal.last();
            }
        }
    }

    fn apply(&mut self) -> Result<(), String> {
        let limit = match self.fault {
            Some(Fault::ApplyUnsynced) => self.written.max(self.journal.durable()),
            _ => self.journal.durable(),
        };
        let batch = match self.pending.take() {
            Some(batch) => batch,
            None => match self.reader.batch(limit, 12).map_err(|error| error.to_string())? {
                Some(batch) => batch,
                None => return Ok(()),
            },
        };
        match self.random.below(5) {
            // The book does not answer.
            0 => self.pending = Some(batch),
            // The book did it, and its answer is lost.
            1 => {
                self.book.apply(&batch)?;
                self.pending = Some(batch);
            }
            _ => match self.book.apply(&batch)? {
                Applied::Already(cursor) if cursor != batch.to => return Err("the cursor jumped".to_owned()),
                _ => {
                    self.reader.set_applied(batch.to);
                    self.reached = batch.to;
                }
            },
        }
        Ok(())
    }

    fn housekeeping(&mut self) -> Result<(), String> {
        self.disk.set_full(self.random.below(5) == 0);
        // A full disk is no fault: holds are refused until there is room.
        drop(self.journal.prepare(self.step as u32 ^ 0x5eed));
        if self.pending.is_none() {
            life::tidy(&self.journal, &mut self.reader, self.flaws).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn edit(&mut self) {
        let pool = [KEYS[0], KEYS[1], ACCOUNT][self.random.below(3) as usize];
        let units = self.random.below(60) as i64;
        self.book.edit(pool, units);
        self.edits.insert(pool, (self.step, units));
        if self.fault != Some(Fault::VoidLeaseKept) {
            self.pools.mark_stale(pool);
        }
    }

    /// The process dies, and with the power also what was not synced.
    pub(super) fn crash(&mut self, power: bool) -> Result<(), String> {
        let durable = self.journal.durable();
        self.requests.clear();
        self.disk.set_sync_fails(false);
        self.disk.set_full(false);
        if power {
            self.disk.power_cut(&mut self.random);
            for truth in self.truths.values_mut() {
                truth.seen = truth.seen.map(|(units, _)| (units, false));
            }
        }
        let life = begin(&self.disk, self.book.cursor, self.flaws, self.step as u32 ^ 0xabcd)?;
        if life.journal.last() < durable {
            return Err("durable records are gone".to_owned());
        }
        (self.journal, self.reader) = (Arc::new(life.journal), life.reader);
        self.pending = None;
        let limit = self.journal.durable();
        while !self.reader.has_read(limit) {
            if let Some(batch) = self.reader.batch(limit, 12).map_err(|error| error.to_string())? {
                self.book.apply(&batch)?;
                self.reader.set_applied(batch.to);
            }
        }
        self.book.close_leases();
        self.pools = Pools::with_flaws(self.flaws);
        self.reached = limit;
        self.written = self.journal.last();
        // What was never durable has never been: its position will be given again.
        let charges = &self.book.charges;
        self.truths.retain(|seq, truth| {
            *seq <= durable || truth.delivered > 0 || charges.contains_key(&charge(*seq))
        });
        Ok(())
    }
}

pub(super) const fn charge(seq: u64) -> ChargeId {
    ChargeId { journal: JOURNAL, seq }
}

fn begin(disk: &SimDisk, cursor: u64, flaws: Flaws, nonce: u32) -> Result<Life, String> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let now = Timestamp::from_millis(0);
    let beginning = Beginning { disk, journal: JOURNAL, cursor, segment_bytes: SEGMENT, nonce, now, flaws };
    Life::begin(beginning).map_err(|error| error.to_string())
}
