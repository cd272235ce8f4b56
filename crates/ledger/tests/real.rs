//! The ledger as its callers have it: threads, a real directory, and a book that keeps the rules of the database's.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ledger::{
    Applied, Batch, Book, BookError, FlushError, Hold, HoldError, LeaseState, Ledger, OpenError, Options,
    ReadError,
};
use model::{
    clock::{ManualClock, Timestamp},
    id::{AccountId, ChannelId, ChargeId, JournalId, KeyId, LeaseId, PoolId, PriceId},
    money::Units,
    price::Ratio,
    usage::{Provenance, Tokens, UsageContext, UsageOutcome},
};
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinSet};

const KEY: PoolId = PoolId(1);
const ACCOUNT: PoolId = PoolId(2);
const POOLS: [PoolId; 2] = [KEY, ACCOUNT];
/// Bytes of a segment's header, and of a record's.
const START: usize = 64;
const HEADER: usize = 24;

#[derive(Clone, Copy, Debug, Default)]
struct Balance {
    granted: i64,
    used: i64,
    leased: i64,
    available: i64,
    unlimited: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Void,
    Closed,
}

#[derive(Clone)]
struct Lease {
    pool: PoolId,
    journal: JournalId,
    amount: i64,
    spent: i64,
    state: State,
}

#[derive(Clone, Default)]
struct Rows {
    pools: BTreeMap<PoolId, Balance>,
    leases: BTreeMap<LeaseId, Lease>,
    cursors: HashMap<JournalId, u64>,
    charges: BTreeMap<ChargeId, UsageOutcome>,
    /// Charges that came after their lease was closed.
    late: usize,
}

impl Rows {
    fn lease(&mut self, journal: JournalId, pool: PoolId) -> Result<LeaseState, BookError> {
        let balance = self.pools.get_mut(&pool).ok_or(BookError::UnknownPool)?;
        if balance.unlimited {
            let available = Units::new(balance.available);
            return Ok(LeaseState { lease: LeaseId(0), amount: Units::ZERO, unlimited: true, available });
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
        let amount = Units::new(lease.amount);
        Ok(LeaseState { lease: id, amount, unlimited: false, available: Units::ZERO })
    }

    fn apply(&mut self, batch: &Batch) -> Applied {
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

    fn close_leases(&mut self, journal: JournalId) {
        let open =
            self.leases.values_mut().filter(|lease| lease.journal == journal && lease.state == State::Open);
        for lease in open {
            lease.state = State::Closed;
            let balance = self.pools.get_mut(&lease.pool).unwrap();
            balance.leased -= lease.amount - lease.spent;
            balance.available += lease.amount - lease.spent;
        }
    }
}

/// The book: in memory, and away when a test says so.
struct TestBook {
    rows: Mutex<Rows>,
    away: AtomicBool,
    /// The book does its work and its answer is lost.
    mute: AtomicBool,
    /// Calls that got no answer.
    unanswered: watch::Sender<usize>,
    /// Leases that were given.
    leased: watch::Sender<usize>,
    /// Whether the answer about a lease may leave.
    gate: watch::Sender<bool>,
}

impl TestBook {
    fn over(rows: Rows) -> Arc<Self> {
        Arc::new(Self {
            rows: Mutex::new(rows),
            away: AtomicBool::new(false),
            mute: AtomicBool::new(false),
            unanswered: watch::Sender::new(0),
            leased: watch::Sender::new(0),
            gate: watch::Sender::new(true),
        })
    }

    fn new(key: i64, account: i64) -> Arc<Self> {
        let balance = |units| Balance { granted: units, available: units, ..Balance::default() };
        let pools = BTreeMap::from([(KEY, balance(key)), (ACCOUNT, balance(account))]);
        Self::over(Rows { pools, ..Rows::default() })
    }

    /// Another database with the same rows.
    fn copy(&self) -> Arc<Self> {
        Self::over(self.rows().clone())
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap()
    }

    fn balance(&self, pool: PoolId) -> Balance {
        self.rows().pools[&pool]
    }

    fn charges(&self) -> BTreeMap<u64, (i64, Option<String>)> {
        let rows = self.rows();
        let plain = |outcome: &UsageOutcome| (outcome.units.get(), outcome.error.clone());
        rows.charges.iter().map(|(id, outcome)| (id.seq, plain(outcome))).collect()
    }

    /// Somebody sets what remains.
    fn edit(&self, pool: PoolId, remaining: i64) {
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

    /// I1 and I2.
    fn check(&self) {
        let rows = self.rows();
        let sum: i64 = rows.charges.values().map(|outcome| outcome.units.get()).sum();
        for (pool, b) in &rows.pools {
            assert_eq!(b.granted, b.used + b.leased + b.available, "pool {pool}: {b:?}");
            assert!(b.used >= 0 && b.leased >= 0 && b.available >= 0, "pool {pool}: {b:?}");
            assert_eq!(b.used, sum, "pool {pool}: charges and used");
        }
        assert_eq!(rows.late, 0, "charges came after their lease was closed");
    }

    fn answer<T>(&self, answer: T) -> Result<T, BookError> {
        if self.away.load(Ordering::SeqCst) || self.mute.load(Ordering::SeqCst) {
            self.unanswered.send_modify(|count| *count += 1);
            return Err(BookError::Unavailable("a test has taken it away".to_owned()));
        }
        Ok(answer)
    }

    fn here(&self) -> Result<(), BookError> {
        if self.away.load(Ordering::SeqCst) { self.answer(()) } else { Ok(()) }
    }

    /// Resolves when `more` further calls got no answer.
    async fn misses(&self, more: usize) {
        let wanted = *self.unanswered.borrow() + more;
        self.unanswered.subscribe().wait_for(|count| *count >= wanted).await.unwrap();
    }
}

impl Book for TestBook {
    async fn open_journal(&self, journal: JournalId) -> Result<u64, BookError> {
        self.here()?;
        let cursor = *self.rows().cursors.entry(journal).or_default();
        self.answer(cursor)
    }

    async fn lease(&self, journal: JournalId, pool: PoolId, _: Units) -> Result<LeaseState, BookError> {
        self.here()?;
        let state = self.rows().lease(journal, pool)?;
        self.leased.send_modify(|count| *count += 1);
        self.gate.subscribe().wait_for(|open| *open).await.unwrap();
        self.answer(state)
    }

    async fn apply(&self, batch: &Batch) -> Result<Applied, BookError> {
        self.here()?;
        let applied = self.rows().apply(batch);
        self.answer(applied)
    }

    async fn close_leases(&self, journal: JournalId) -> Result<(), BookError> {
        self.here()?;
        self.rows().close_leases(journal);
        self.answer(())
    }
}

fn context() -> UsageContext {
    UsageContext {
        request_id: "request".to_owned(),
        account: AccountId(1),
        key: KeyId(1),
        key_name: "key".to_owned(),
        group: "default".to_owned(),
        channel: ChannelId(1),
        attempt: 1,
        model: "m".to_owned(),
        upstream_model: "m".to_owned(),
        door: "/v1".to_owned(),
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

/// Applies only when somebody flushes, so that a test decides what is in the book.
fn options(dir: &Path) -> Options {
    Options {
        segment_bytes: 1 << 20,
        apply_every: Duration::from_secs(3600),
        flush_limit: Duration::from_secs(60),
        ..Options::new(dir.to_owned())
    }
}

async fn open(book: &Arc<TestBook>, dir: &Path) -> Result<Arc<Ledger>, OpenError> {
    Ledger::open(Arc::clone(book), Arc::new(ManualClock::default()), options(dir)).await
}

async fn hold(ledger: &Arc<Ledger>, units: i64) -> Result<Hold, HoldError> {
    ledger.hold(POOLS, Units::new(units), context()).await
}

const fn short(pool: PoolId, need: i64, have: i64) -> HoldError {
    HoldError::NotAffordable { pool, need: Units::new(need), have: Units::new(have) }
}

/// Takes, waits for the disk, and settles: two records. Returns the identity.
async fn pay(ledger: &Arc<Ledger>, units: i64) -> u64 {
    let hold = hold(ledger, units).await.unwrap();
    hold.durable().await.unwrap();
    let seq = hold.id().seq;
    assert_eq!(hold.settle(outcome(units)).units, Units::new(units));
    seq
}

/// Resolves when the ledger's task has let go of it.
async fn ended(ledger: Arc<Ledger>) {
    while Arc::strong_count(&ledger) > 1 {
        tokio::task::yield_now().await;
    }
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// What a crash at this moment leaves: a copy of the journal, each segment only as far as it is written. Segments
/// with nothing in them stay out.
fn copy(dir: &Path) -> TempDir {
    let to = TempDir::new().unwrap();
    for file in segments(dir) {
        let bytes = std::fs::read(&file).unwrap();
        let end = records(&bytes).last().map_or(START, |record| record.end);
        if end > START {
            std::fs::write(to.path().join(file.file_name().unwrap()), &bytes[..end]).unwrap();
        }
    }
    to
}

#[derive(Clone, Copy)]
struct Place {
    start: usize,
    end: usize,
    seq: u64,
    durable: u64,
}

/// Where the records of a segment are.
fn records(bytes: &[u8]) -> Vec<Place> {
    let mut places = Vec::new();
    let mut start = START;
    while let Some(header) = bytes.get(start..start + HEADER) {
        let length = u32::from_le_bytes(header[..4].try_into().unwrap()) as usize;
        if length == 0 {
            break;
        }
        let seq = u64::from_le_bytes(header[8..16].try_into().unwrap());
        let durable = u64::from_le_bytes(header[16..].try_into().unwrap());
        places.push(Place { start, end: start + HEADER + length, seq, durable });
        start += HEADER + length;
    }
    places
}

/// Asserts that the journal is refused, and that the message names the place.
async fn refused(book: &Arc<TestBook>, dir: &Path, segment: u64, position: usize) {
    let error = open(book, dir).await.unwrap_err();
    let said = error.to_string();
    let named = format!("journal segment {segment} is damaged at byte {position}: ");
    assert!(said.starts_with(&named), "{said}, not {named}");
    assert!(matches!(error, OpenError::Journal(ReadError::Corrupt { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_a_thousand_holds_exactly_those_get_through_that_the_pool_affords() {
    for (key, account, tight) in [(1_099, 1_000_000, KEY), (1_000_000, 1_099, ACCOUNT)] {
        let (dir, book) = (TempDir::new().unwrap(), TestBook::new(key, account));
        let ledger = open(&book, dir.path()).await.unwrap();
        let start = Arc::new(tokio::sync::Barrier::new(1_000));
        let mut tasks = JoinSet::new();
        for _ in 0..1_000 {
            let (ledger, start) = (Arc::clone(&ledger), Arc::clone(&start));
            tasks.spawn(async move {
                start.wait().await;
                hold(&ledger, 100).await
            });
        }
        let (mut held, mut refused) = (Vec::new(), 0);
        for answer in tasks.join_all().await {
            match answer {
                Ok(hold) => held.push(hold),
                Err(HoldError::NotAffordable { pool, .. }) if pool == tight => refused += 1,
                Err(other) => assert_eq!(other, short(tight, 100, 99)),
            }
        }
        assert_eq!((held.len(), refused), (10, 990));
        assert_eq!(ledger.affordable(POOLS, Units::ZERO).await.unwrap(), Units::new(99));
        held.into_iter().for_each(|hold| drop(hold.settle(outcome(100))));
        ledger.idle().await;
        ledger.close().await.unwrap();
        book.check();
        assert_eq!((book.balance(tight).used, book.balance(tight).available), (1_000, 99));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_hold_settles_at_what_was_delivered_and_returns_the_rest() {
    let (dir, book) = (TempDir::new().unwrap(), TestBook::new(100, 1_000));
    let ledger = open(&book, dir.path()).await.unwrap();
    let mut told = hold(&ledger, 60).await.unwrap();
    let silent = hold(&ledger, 40).await.unwrap();
    assert_eq!(hold(&ledger, 1).await.unwrap_err(), short(KEY, 1, 0));
    told.progress(outcome(25));
    let (first, second) = (told.id().seq, silent.id().seq);
    drop(told);
    drop(silent);
    ledger.idle().await;
    assert_eq!(ledger.affordable(POOLS, Units::ZERO).await.unwrap(), Units::new(75));
    ledger.flush().await.unwrap();
    let word = || Some("abandoned".to_owned());
    assert_eq!(book.charges(), BTreeMap::from([(first, (25, word())), (second, (0, word()))]));
    // More than the hold is never charged; the excess is told apart.
    let charged = hold(&ledger, 75).await.unwrap().settle(outcome(80));
    assert_eq!((charged.units, charged.overrun), (Units::new(75), Units::new(5)));
    ledger.close().await.unwrap();
    book.check();
    assert_eq!((book.balance(KEY).used, book.balance(KEY).available), (100, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raise_beyond_a_pool_is_refused_and_leaves_the_hold_as_it_was() {
    for (key, account, tight) in [(100, 1_000, KEY), (1_000, 100, ACCOUNT)] {
        let (dir, book) = (TempDir::new().unwrap(), TestBook::new(key, account));
        let ledger = open(&book, dir.path()).await.unwrap();
        let mut hold = hold(&ledger, 60).await.unwrap();
        assert_eq!(hold.raise(Units::new(41)).await.unwrap_err(), short(tight, 41, 40));
        assert_eq!((hold.units(), hold.spare()), (Units::new(60), Units::new(40)));
        hold.raise(Units::new(40)).await.unwrap();
        assert_eq!((hold.units(), hold.spare()), (Units::new(100), Units::ZERO));
        assert_eq!(hold.settle(outcome(70)).units, Units::new(70));
        // The refused raise took nothing from the pool that had enough either.
        let other = if tight == KEY { ACCOUNT } else { KEY };
        let left = ledger.affordable([other, other], Units::ZERO).await.unwrap();
        assert_eq!(left, Units::new(930));
        ledger.close().await.unwrap();
        book.check();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reopened_ledger_replays_what_an_unclean_end_left() {
    let (dir, book) = (TempDir::new().unwrap(), TestBook::new(1_000, 2_000));
    let clock = Arc::new(ManualClock::default());
    let ledger = Ledger::open(Arc::clone(&book), clock.clone(), options(dir.path())).await.unwrap();
    let applied = pay(&ledger, 50).await;
    ledger.flush().await.unwrap();
    let mut noted = hold(&ledger, 100).await.unwrap();
    clock.set(Timestamp::from_millis(300));
    noted.progress(outcome(30));
    let silent = hold(&ledger, 100).await.unwrap();
    let settled = pay(&ledger, 20).await;
    let (left, copied) = (copy(dir.path()), book.copy());
    assert_eq!(copied.charges().len(), 1);

    let word = || Some("interrupted".to_owned());
    let expected = BTreeMap::from([
        (applied, (50, None)),
        (noted.id().seq, (30, word())),
        (silent.id().seq, (0, word())),
        (settled, (20, None)),
    ]);
    for _ in 0..3 {
        let again = open(&copied, left.path()).await.unwrap();
        assert_eq!((again.stats().open_holds, again.stats().unapplied), (0, 0));
        assert_eq!(again.journal(), ledger.journal());
        assert_eq!(copied.charges(), expected);
        copied.check();
        assert_eq!((copied.balance(KEY).used, copied.balance(KEY).available), (100, 900));
        again.close().await.unwrap();
        ended(again).await;
    }
    // The one that lived on is none the wiser.
    drop(noted.settle(outcome(100)));
    drop(silent.settle(outcome(100)));
    ledger.close().await.unwrap();
    book.check();
    assert_eq!(book.balance(ACCOUNT).available, 2_000 - 270);
}

/// The replay reads in stretches, and one without a new charge is not the end.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_goes_on_through_stretches_without_charges() {
    let (dir, book) = (TempDir::new().unwrap(), TestBook::new(1_000, 1_000));
    let ledger = open(&book, dir.path()).await.unwrap();
    for _ in 0..10 {
        pay(&ledger, 10).await;
    }
    ledger.flush().await.unwrap();
    let mut held = Vec::new();
    for _ in 0..10 {
        held.push(hold(&ledger, 10).await.unwrap());
    }
    for hold in held {
        hold.durable().await.unwrap();
        drop(hold.settle(outcome(10)));
    }
    let (left, copied) = (copy(dir.path()), book.copy());
    assert_eq!(copied.balance(KEY).used, 100);
    let few = Options { apply_records: 3, ..options(left.path()) };
    let again = Ledger::open(Arc::clone(&copied), Arc::new(ManualClock::default()), few).await.unwrap();
    assert_eq!((copied.balance(KEY).used, copied.balance(KEY).available), (200, 800));
    copied.check();
    again.close().await.unwrap();
    ledger.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_end_opens_and_charges_what_is_whole() {
    let (dir, book) = (TempDir::new().unwrap(), TestBook::new(1_000, 1_000));
    let ledger = open(&book, dir.path()).await.unwrap();
    for units in [10, 20, 30] {
        pay(&ledger, units).await;
    }
    let (left, copied) = (copy(dir.path()), book.copy());
    let file = segments(left.path())[0].clone();
    let whole = std::fs::read(&file).unwrap();
    let places = records(&whole);
    assert_eq!(places.len(), 6);
    // Every byte is cut in the unit tests; here the ends of records and a byte or two around them.
    let ends =
        places.iter().flat_map(|place| [place.start, place.start + 1, place.start + HEADER, place.end - 1]);
    for cut in ends.chain([whole.len()]) {
        for filled in [false, true] {
            let (dir, book) = (TempDir::new().unwrap(), copied.copy());
            let mut bytes = whole[..cut].to_vec();
            bytes.resize(if filled { 1 << 20 } else { cut }, 0);
            // Zeros may by chance be what was cut off: then the record is whole.
            let there =
                places.iter().filter(|place| bytes.get(..place.end) == whole.get(..place.end)).count();
            std::fs::write(dir.path().join(file.file_name().unwrap()), bytes).unwrap();
            let again = open(&book, dir.path()).await.unwrap();
            let used = [0, 0, 10, 10, 30, 30, 60][there];
            assert_eq!((book.balance(KEY).used, book.charges().len()), (used, there.div_ceil(2)), "{cut}");
            pay(&again, 5).await;
            again.close().await.unwrap();
            book.check();
            assert_eq!(book.balance(KEY).available, 1_000 - used - 5);
        }
    }
    ledger.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_before_durable_records_refuses_with_the_place() {
    let (dir, book) = (TempDir::new().unwrap(), TestBook::new(1_000, 1_000));
    let ledger = open(&book, dir.path()).await.unwrap();
    for units in [10, 20, 30] {
        pay(&ledger, units).await;
    }
    let (left, copied) = (copy(dir.path()), book.copy());
    let file = segments(left.path())[0].clone();
    let whole = std::fs::read(&file).unwrap();
    let places = records(&whole);
    let promised = places.iter().map(|place| place.durable).max().unwrap();
    // The hold that was waited for is durable before its settlement is written.
    assert!(promised >= 4);
    for place in places.iter().filter(|place| place.seq <= promised) {
        for at in place.start..place.end {
            for flip in [0x01, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= flip;
                std::fs::write(&file, bytes).unwrap();
                refused(&copied, left.path(), 1, place.start).await;
            }
        }
    }
    // The header.
    for at in 0..40 {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        std::fs::write(&file, bytes).unwrap();
        refused(&copied, left.path(), 1, 0).await;
    }
    // Nothing was touched by all the refusals: restored, it opens.
    std::fs::write(&file, &whole).unwrap();
    assert_eq!(segments(left.path()).len(), 1);
    let again = open(&copied, left.path()).await.unwrap();
    copied.check();
    assert_eq!(copied.balance(KEY).used, 60);
    again.close().await.unwrap();
    ledger.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_life_begins_a_new_segment() {
    let (dir, book) = (TempDir::new().unwrap(), TestBook::new(1_000, 1_000));
    let ledger = open(&book, dir.path()).await.unwrap();
    let first = pay(&ledger, 10).await;
    let (left, copied) = (copy(dir.path()), book.copy());
    ledger.close().await.unwrap();
    let old = segments(left.path())[0].clone();
    let before = std::fs::read(&old).unwrap();

    let again = open(&copied, left.path()).await.unwrap();
    let mut last = first;
    for _ in 0..3 {
        let next = pay(&again, 10).await;
        assert!(next > last);
        last = next;
    }
    assert_eq!(std::fs::read(&old).unwrap(), before, "the old segment is never written again");
    let both = copy(left.path());
    let files = segments(both.path());
    assert_eq!(files.len(), 2);
    let seqs = |file: &Path| -> Vec<u64> {
        records(&std::fs::read(file).unwrap()).iter().map(|place| place.seq).collect()
    };
    assert_eq!(seqs(&files[0]), [1, 2]);
    assert_eq!(seqs(&files[1]), [3, 4, 5, 6, 7, 8]);

    // Damage at the end of the old one is told of the old one, though only the new one gives it away.
    let rows = copied.copy();
    let place = *records(&before).last().unwrap();
    let mut bytes = before.clone();
    bytes[place.end - 1] ^= 0xff;
    std::fs::write(&files[0], bytes).unwrap();
    refused(&rows, both.path(), 1, place.start).await;
    // Damage at the beginning of the new one is told of the new one.
    std::fs::write(&files[0], &before).unwrap();
    let mut bytes = std::fs::read(&files[1]).unwrap();
    bytes[START + HEADER] ^= 0xff;
    std::fs::write(&files[1], bytes).unwrap();
    refused(&rows, both.path(), 2, START).await;

    // When all in it is in the book, the old one goes: the second flush comes after the first one's tidying.
    again.flush().await.unwrap();
    pay(&again, 10).await;
    again.flush().await.unwrap();
    assert!(!old.exists());
    again.close().await.unwrap();
    copied.check();
    assert_eq!(copied.balance(KEY).used, 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_book_is_away_nothing_is_lost() {
    let (dir, book) = (TempDir::new().unwrap(), TestBook::new(1_000, 1_000));
    let soon = Options {
        apply_every: Duration::from_millis(1),
        flush_limit: Duration::from_millis(20),
        ..options(dir.path())
    };
    let ledger = Ledger::open(Arc::clone(&book), Arc::new(ManualClock::default()), soon).await.unwrap();
    pay(&ledger, 10).await;
    while ledger.flush().await.is_err() {}
    book.away.store(true, Ordering::SeqCst);
    for _ in 0..50 {
        pay(&ledger, 10).await;
    }
    book.misses(2).await;
    assert_eq!(ledger.flush().await, Err(FlushError::Late));
    assert!(ledger.is_admitting());
    assert_eq!(book.balance(KEY).used, 10);
    // A pool that is not in memory cannot be asked for; nothing is taken then.
    let unknown = ledger.hold([KEY, PoolId(9)], Units::new(1), context()).await.unwrap_err();
    assert!(matches!(unknown, HoldError::Book(_)));
    // Then it does its work, and only its answers are lost.
    book.mute.store(true, Ordering::SeqCst);
    book.away.store(false, Ordering::SeqCst);
    book.misses(1).await;
    pay(&ledger, 10).await;
    book.mute.store(false, Ordering::SeqCst);
    while ledger.flush().await.is_err() {}
    assert_eq!((ledger.stats().unapplied, book.charges().len()), (0, 52));
    assert_eq!(ledger.affordable(POOLS, Units::ZERO).await.unwrap(), Units::new(480));
    ledger.close().await.unwrap();
    book.check();
    assert_eq!((book.balance(KEY).used, book.balance(KEY).available), (520, 480));
}

/// The journal goes on for as long as the disk has room, however long the book is away.
#[tokio::test(flavor = "multi_thread")]
async fn while_the_book_is_away_the_journal_grows() {
    let (dir, book) = (TempDir::new().unwrap(), TestBook::new(1_000, 1_000));
    let soon = Options { apply_every: Duration::from_millis(1), ..options(dir.path()) };
    let ledger = Ledger::open(Arc::clone(&book), Arc::new(ManualClock::default()), soon).await.unwrap();
    pay(&ledger, 1).await;
    book.away.store(true, Ordering::SeqCst);
    pay(&ledger, 1).await;
    // The applier is in the middle of an attempt that fails for ever.
    book.misses(1).await;
    let long = UsageContext { request_id: "r".repeat(60_000), ..context() };
    let (mut charges, mut refused) = (2, 0);
    while segments(dir.path()).len() < 8 {
        match ledger.hold(POOLS, Units::new(1), long.clone()).await {
            Ok(hold) => {
                drop(hold.settle(outcome(1)));
                charges += 1;
            }
            // Faster than the disk: there is room in a moment.
            Err(HoldError::NotAdmitting) => {
                refused += 1;
                assert!(refused < 10_000_000, "no segment was made");
                tokio::task::yield_now().await;
            }
            Err(other) => assert_eq!(other, HoldError::NotAdmitting),
        }
    }
    book.away.store(false, Ordering::SeqCst);
    ledger.flush().await.unwrap();
    assert_eq!((book.balance(KEY).used, book.charges().len() as i64), (charges, charges));
    ledger.close().await.unwrap();
    book.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_without_the_book_ends_all_the_same() {
    let (dir, book) = (TempDir::new().unwrap(), TestBook::new(100, 100));
    let ledger = open(&book, dir.path()).await.unwrap();
    pay(&ledger, 10).await;
    ledger.flush().await.unwrap();
    book.away.store(true, Ordering::SeqCst);
    assert!(matches!(ledger.close().await, Err(FlushError::Book(_))));
    ended(ledger).await;
    assert!(matches!(open(&book, dir.path()).await, Err(OpenError::Book(_))));
    book.away.store(false, Ordering::SeqCst);
    let again = open(&book, dir.path()).await.unwrap();
    assert_eq!(book.balance(KEY).available, 90);
    again.close().await.unwrap();
    book.check();
}

/// A hold that settles while the ledger closes must not find its lease returned.
#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_during_the_close_keeps_its_lease() {
    let (dir, book) = (TempDir::new().unwrap(), TestBook::new(100, 100));
    let ledger = open(&book, dir.path()).await.unwrap();
    let late = hold(&ledger, 20).await.unwrap();
    book.away.store(true, Ordering::SeqCst);
    pay(&ledger, 10).await;
    let closing = tokio::spawn({
        let ledger = Arc::clone(&ledger);
        async move { ledger.close().await }
    });
    book.misses(1).await;
    drop(late.settle(outcome(20)));
    book.away.store(false, Ordering::SeqCst);
    closing.await.unwrap().unwrap();
    ended(ledger).await;
    let again = open(&book, dir.path()).await.unwrap();
    again.close().await.unwrap();
    book.check();
    assert_eq!(
        (book.balance(KEY).granted, book.balance(KEY).used, book.balance(KEY).available),
        (100, 30, 70)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_voids_the_lease_and_counts_from_the_next_hold_on() {
    let (dir, book) = (TempDir::new().unwrap(), TestBook::new(100, 10_000));
    let ledger = open(&book, dir.path()).await.unwrap();
    let mut before = hold(&ledger, 60).await.unwrap();
    book.edit(KEY, 50);
    ledger.forget(KEY);
    let after = hold(&ledger, 50).await.unwrap();
    assert_eq!(hold(&ledger, 1).await.unwrap_err(), short(KEY, 1, 0));
    // A step of the old one that its lease cannot cover asks the book, which knows only the new lease: that must
    // not make the new lease whole again.
    assert_eq!(before.raise(Units::new(41)).await.unwrap_err(), short(KEY, 41, 40));
    assert_eq!(hold(&ledger, 1).await.unwrap_err(), short(KEY, 1, 0));
    drop(before.settle(outcome(60)));
    assert_eq!(hold(&ledger, 1).await.unwrap_err(), short(KEY, 1, 0), "the old lease returns nothing here");
    drop(after.settle(outcome(20)));
    assert_eq!(ledger.affordable(POOLS, Units::ZERO).await.unwrap(), Units::new(30));
    ledger.close().await.unwrap();
    book.check();
    assert_eq!((book.balance(KEY).used, book.balance(KEY).available), (80, 30));
}

/// An edit while the book's answer is on its way: the answer is older than the edit.
#[tokio::test(flavor = "multi_thread")]
async fn an_edit_during_the_first_lease_is_not_missed() {
    for known in [false, true] {
        let (dir, book) = (TempDir::new().unwrap(), TestBook::new(100, 10_000));
        let ledger = open(&book, dir.path()).await.unwrap();
        if known {
            pay(&ledger, 0).await;
            ledger.forget(KEY);
        }
        let wanted = *book.leased.borrow() + 1;
        book.gate.send_replace(false);
        let asking = tokio::spawn({
            let ledger = Arc::clone(&ledger);
            async move { hold(&ledger, 10).await }
        });
        book.leased.subscribe().wait_for(|count| *count >= wanted).await.unwrap();
        book.edit(KEY, 5);
        ledger.forget(KEY);
        book.gate.send_replace(true);
        // It was admitted before the edit, by an answer from before the edit.
        drop(asking.await.unwrap().unwrap().settle(outcome(10)));
        assert_eq!(hold(&ledger, 6).await.unwrap_err(), short(KEY, 6, 5));
        pay(&ledger, 5).await;
        ledger.close().await.unwrap();
        book.check();
        assert_eq!((book.balance(KEY).used, book.balance(KEY).available), (15, 0));
    }
}
