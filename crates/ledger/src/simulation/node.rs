//! One node of the simulation: its disk, its journal, its requests, and how it dies.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use model::{
    clock::Timestamp,
    id::{AccountId, ChannelId, ChargeId, JournalId, KeyId, LeaseId, PoolId, PriceId},
    money::Units,
    price::Ratio,
    usage::{Provenance, Tokens, UsageContext, UsageOutcome},
};

use super::{
    disk::SimDisk,
    fault::Fault,
    mail::Letter,
    world::{ACCOUNT, KEYS, Shared, Truth},
};
use crate::{
    Applied, Batch, BookError, LeaseState, Node, Part,
    aside::Kept,
    disk::Disk,
    flaw::Flaw,
    hold::OpenHold,
    journal::Journal,
    life::{self, Beginning, Life},
    pool::Pool,
    pools::Pools,
    reader::Reader,
    record::Record,
};

/// Small, so that a run goes through many segments.
const SEGMENT: u64 = 2048;

pub(super) struct Request {
    pub(super) hold: OpenHold,
    delivered: i64,
    noted: Option<UsageOutcome>,
}

pub(super) struct SimNode {
    pub(super) node: Node,
    pub(super) disk: SimDisk,
    pub(super) journal: Arc<Journal>,
    pub(super) reader: Reader,
    pub(super) pools: Pools,
    /// How far the node knows the book to be.
    pub(super) reached: u64,
    pub(super) requests: Vec<Request>,
    pub(super) pending: Option<Batch>,
    written: u64,
    /// What is on its way to the book; whether it arrives is open.
    pub(super) mail: Vec<Letter>,
    /// The answer about a lease that is on its way here.
    pub(super) answer: Option<(PoolId, LeaseState)>,
    pub(super) parts: HashMap<LeaseId, Part>,
    /// Whether the book must be told what it has.
    pub(super) anew: bool,
    /// The epoch it had before it tried that.
    pub(super) before: Option<i64>,
    /// How far the book must have its journal before it is told, once it has registered.
    pub(super) replays: Option<u64>,
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

fn outcome(units: i64) -> UsageOutcome {
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

fn life(disk: &SimDisk, id: JournalId, cursor: u64, shared: &Shared, nonce: u64) -> Result<Life, String> {
    let keeps = shared.keeps && shared.fault != Some(Fault::TailForgotten);
    let (flaws, bytes) = (shared.flaws, if keeps { u64::MAX } else { 0 });
    let kept = Kept { time: Duration::MAX, bytes };
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let (now, nonce) = (Timestamp::from_millis(0), nonce as u32);
    let beginning = Beginning { disk, journal: id, cursor, segment_bytes: SEGMENT, nonce, kept, now, flaws };
    Life::begin(beginning).map_err(|error| error.to_string())
}

impl SimNode {
    /// A node on an empty disk.
    pub(super) fn begin(shared: &mut Shared) -> Result<Self, String> {
        let id = shared.new_journal();
        let disk = SimDisk::default();
        let registered = shared.book.register(id);
        let nonce = shared.random.below(1 << 30);
        let life = life(&disk, id, registered.applied, shared, nonce)?;
        let node = Node { journal: id, epoch: registered.epoch };
        shared.book.settle(node, registered.applied, &[]).map_err(|error| error.to_string())?;
        Ok(Self {
            node,
            disk,
            journal: Arc::new(life.journal),
            reader: life.reader,
            pools: Pools::with_flaws(shared.flaws),
            reached: 0,
            requests: Vec::new(),
            pending: None,
            written: 0,
            mail: Vec::new(),
            answer: None,
            parts: HashMap::new(),
            anew: false,
            before: None,
            replays: None,
        })
    }

    pub(super) const fn charge(&self, seq: u64) -> ChargeId {
        ChargeId { journal: self.node.journal, seq }
    }

    fn truth<'a>(&self, shared: &'a mut Shared, seq: u64) -> &'a mut Truth {
        shared.truths.get_mut(&self.charge(seq)).unwrap()
    }

    pub(super) fn begin_request(&mut self, shared: &mut Shared) -> Result<(), String> {
        let key = KEYS[shared.random.below(2) as usize];
        let units = Units::new(shared.random.below(15) as i64);
        let Some(first) = self.pool(key, units, shared)? else { return Ok(()) };
        let Some(second) = self.pool(ACCOUNT, units, shared)? else { return Ok(()) };
        // The second question may have ended a life.
        if !self.pools.fresh(key).is_some_and(|pool| Arc::ptr_eq(&pool, &first)) || !first.take(units) {
            return Ok(());
        }
        if !second.take(units) {
            first.give_back(units);
            return Ok(());
        }
        let pools: [Arc<Pool>; 2] = [first, second];
        match OpenHold::begin(&self.journal, pools.clone(), units, &context(), shared.flaws) {
            Ok(hold) => {
                let truth = Truth { key, begun: shared.step, delivered: 0, due: None, seen: None };
                shared.truths.insert(self.charge(hold.seq()), truth);
                self.requests.push(Request { hold, delivered: 0, noted: None });
            }
            Err(_) => pools.iter().for_each(|pool| pool.give_back(units)),
        }
        Ok(())
    }

    /// A request whose answer may leave.
    fn pick(&self, shared: &mut Shared) -> Option<usize> {
        let count = self.requests.len() as u64;
        let index = (count > 0).then(|| shared.random.below(count) as usize)?;
        let durable = self.requests[index].hold.seq() <= self.journal.durable();
        (durable || shared.fault == Some(Fault::AnswerEarly)).then_some(index)
    }

    pub(super) fn deliver(&mut self, shared: &mut Shared) {
        let Some(index) = self.pick(shared) else { return };
        let request = &mut self.requests[index];
        let left = request.hold.units().get() - request.delivered;
        request.delivered += shared.random.below(left as u64 + 1) as i64;
        let (seq, delivered) = (request.hold.seq(), request.delivered);
        self.truth(shared, seq).delivered = delivered;
        if shared.random.below(2) == 0 {
            let noted = outcome(delivered);
            let record = Record::Progress { hold: seq, outcome: noted.clone() };
            if self.journal.remark(&record).is_ok() {
                self.requests[index].noted = Some(noted);
            }
        }
    }

    pub(super) fn end_request(&mut self, shared: &mut Shared) {
        let Some(index) = self.pick(shared) else { return };
        let mut request = self.requests.swap_remove(index);
        // Sometimes the upstream claims more than was held; it delivered the whole hold then.
        let lie = shared.random.below(4) == 0;
        let held = request.hold.units().get();
        let (delivered, claimed) =
            if lie { (held, held + 9) } else { (request.delivered, request.delivered) };
        self.truth(shared, request.hold.seq()).delivered = delivered;
        if request.hold.settle(outcome(claimed)).is_ok() {
            self.written = self.journal.last();
            self.truth(shared, request.hold.seq()).seen = Some((delivered, true));
        }
    }

    pub(super) fn abandon_request(&mut self, shared: &mut Shared) {
        let Some(index) = self.pick(shared) else { return };
        let mut request = self.requests.swap_remove(index);
        if !shared.flaws.has(Flaw::DropUnsettled) {
            let ended = life::abandoned(request.noted.take(), Timestamp::from_millis(0), "abandoned");
            self.truth(shared, request.hold.seq()).due = Some(ended.units.get());
            if request.hold.settle(ended).is_ok() {
                self.written = self.journal.last();
            }
        }
    }

    /// Ends every request at what was delivered.
    pub(super) fn end_all(&mut self, shared: &mut Shared) -> Result<(), String> {
        for mut request in std::mem::take(&mut self.requests) {
            let delivered = self.truth(shared, request.hold.seq()).delivered;
            drop(request.hold.settle(outcome(delivered)));
        }
        if self.journal.failure().is_none() && self.journal.open_holds() > 0 {
            return Err("a hold was never ended".to_owned());
        }
        Ok(())
    }

    pub(super) fn apply(&mut self, shared: &mut Shared) -> Result<(), String> {
        if self.anew {
            return self.rejoin(shared);
        }
        let limit = match shared.fault {
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
        match shared.random.below(5) {
            // The book does not answer.
            0 => self.pending = Some(batch),
            // The book did it, and its answer is lost.
            1 => {
                shared.book.apply(&batch)?;
                self.pending = Some(batch);
            }
            _ => match shared.book.apply(&batch)? {
                Applied::Already(cursor) if cursor != batch.to && shared.book.life == 1 => {
                    return Err("the cursor jumped".to_owned());
                }
                Applied::Already(cursor) if cursor != batch.to => self.anew = true,
                _ => {
                    self.reader.set_applied(batch.to);
                    self.reached = batch.to;
                }
            },
        }
        Ok(())
    }

    pub(super) fn housekeeping(&mut self, shared: &mut Shared) -> Result<(), String> {
        self.disk.set_full(shared.random.below(5) == 0);
        // A full disk is no fault: holds are refused until there is room.
        drop(self.journal.prepare(shared.step as u32 ^ 0x5eed));
        if self.pending.is_none() && !self.anew {
            life::tidy(&self.journal, &mut self.reader, shared.flaws).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// The process dies, and with the power also what was not synced.
    pub(super) fn crash(&mut self, power: bool, shared: &mut Shared) -> Result<(), String> {
        let durable = self.journal.durable();
        self.requests.clear();
        self.disk.set_sync_fails(false);
        self.disk.set_full(false);
        let id = self.node.journal;
        if power {
            self.disk.power_cut(&mut shared.random);
            for (_, truth) in shared.truths.iter_mut().filter(|(charge, _)| charge.journal == id) {
                truth.seen = truth.seen.map(|(units, _)| (units, false));
            }
        }
        self.live_again(shared)?;
        if self.journal.last() < durable {
            return Err("durable records are gone".to_owned());
        }
        // What was never durable has never been: its position will be given again.
        let charges = &shared.book.charges;
        shared.truths.retain(|charge, truth| {
            let kept = charge.seq <= durable || truth.delivered > 0 || charges.contains_key(charge);
            charge.journal != id || kept
        });
        Ok(())
    }

    /// The disk is gone, and the node begins anew on an empty one. What its callers have seen cannot be charged.
    pub(super) fn lose_disk(&mut self, shared: &mut Shared) -> Result<(), String> {
        let id = self.node.journal;
        self.requests.clear();
        self.disk = SimDisk::default();
        if shared.fault != Some(Fault::SameIdentity) {
            shared.lost.push(id);
            shared.book.hush(id);
            self.node.journal = shared.new_journal();
            // Whatever it has sent may still arrive.
        }
        self.live_again(shared)
    }

    /// The node ends, and begins again.
    pub(super) fn restart(&mut self, shared: &mut Shared) -> Result<(), String> {
        let idle = self.requests.is_empty() && self.journal.open_holds() == 0;
        if self.anew || !idle || self.pending.is_some() || self.answer.is_some() {
            return Ok(());
        }
        self.journal.sync();
        let limit = self.journal.durable();
        while !self.reader.has_read(limit) {
            let batch = self.reader.batch(limit, 12).map_err(|error| error.to_string())?;
            let Some(batch) = batch else { continue };
            match shared.book.apply(&batch)? {
                Applied::Now => self.reader.set_applied(batch.to),
                // The next start does it.
                Applied::Already(_) => return self.crash(false, shared),
            }
        }
        if limit < self.journal.last() || shared.book.end(self.node).is_err() {
            return self.crash(false, shared);
        }
        if shared.random.below(2) == 0 {
            shared.perhaps_fail_over(4);
        }
        self.crash(false, shared)?;
        shared.decided();
        Ok(())
    }

    /// `false` when the book has gone back meanwhile.
    fn told_at_start(&mut self, limit: u64, shared: &mut Shared) -> Result<bool, String> {
        while !self.reader.has_read(limit) {
            shared.perhaps_fail_over(64);
            let batch = self.reader.batch(limit, 12).map_err(|error| error.to_string())?;
            let Some(batch) = batch else { continue };
            match shared.book.apply(&batch)? {
                Applied::Now => self.reader.set_applied(batch.to),
                Applied::Already(_) => return Ok(false),
            }
        }
        shared.perhaps_fail_over(64);
        match shared.book.settle(self.node, self.reader.applied(), &[]) {
            Ok(_) => Ok(true),
            Err(BookError::Anew) => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    fn live_again(&mut self, shared: &mut Shared) -> Result<(), String> {
        let id = self.node.journal;
        let registered = shared.book.register(id);
        let life = life(&self.disk, id, registered.applied, shared, shared.step ^ 0xabcd)?;
        self.node.epoch = registered.epoch;
        (self.journal, self.reader) = (Arc::new(life.journal), life.reader);
        self.pending = None;
        let limit = self.journal.durable();
        while !self.told_at_start(limit, shared)? {
            let registered = shared.book.register(id);
            self.node.epoch = registered.epoch;
            self.reader.go_back(registered.applied).map_err(|error| error.to_string())?;
        }
        (self.anew, self.before, self.replays) = (false, None, None);
        self.pools = Pools::with_flaws(shared.flaws);
        self.parts.clear();
        if shared.fault != Some(Fault::LateAnswerKept) {
            self.answer = None;
        }
        self.reached = limit;
        self.written = self.journal.last();
        Ok(())
    }
}
