//! What needs the private parts: a real directory, with segments small enough to cut them at every byte.

use std::{
    fs, io,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use model::{
    clock::{ManualClock, Timestamp},
    id::{AccountId, ChannelId, JournalId, KeyId, LeaseId, PoolId, PriceId},
    money::Units,
    price::Ratio,
    usage::{Provenance, Tokens, UsageContext, UsageOutcome},
};

use tokio::sync::Notify;

use crate::{
    Applied, Ask, Batch, Book, BookError, Draw, FatalError, FlushError, HoldError, LeaseState, Ledger, Node,
    Options, Outlook, Part, Registered, Standing, Wanted,
    aside::Kept,
    disk::{Directory, Disk, Storage},
    flaw::Flaws,
    hold::OpenHold,
    life::{Beginning, Life},
    pool::Pool,
    reader::ReadError,
    record,
    segment::{START, Segment},
};

const SEGMENT: u64 = 4096;

fn begin(dir: &Path) -> Result<Life, ReadError> {
    let disk: Arc<dyn Disk> = Arc::new(Directory::new(dir.to_owned()).unwrap());
    Life::begin(Beginning {
        disk,
        journal: JournalId(7),
        cursor: 0,
        segment_bytes: SEGMENT,
        nonce: 11,
        kept: Kept { time: Duration::MAX, bytes: u64::MAX },
        now: Timestamp::from_millis(0),
        flaws: Flaws::default(),
    })
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
        stream: false,
        price: PriceId(1),
        ratio: Ratio::ONE,
        client: std::net::Ipv4Addr::LOCALHOST.into(),
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

fn pool(id: i64, units: i64) -> Arc<Pool> {
    let state = LeaseState {
        lease: LeaseId(id),
        amount: Units::new(units),
        unlimited: false,
        available: Units::ZERO,
        shared: false,
        outlook: Outlook::Met,
    };
    Arc::new(Pool::new(PoolId(id), &state, Timestamp::from_millis(0)))
}

/// Holds and settles once per amount, each synced. Both pools are drawn on.
fn pay(life: Life, amounts: &[i64]) {
    let journal = Arc::new(life.journal);
    let pools = [pool(1, 1_000), pool(2, 1_000)];
    for units in amounts {
        assert!(pools.iter().all(|pool| pool.take(Units::new(*units))));
        let held = Units::new(*units);
        let mut hold = OpenHold::begin(&journal, pools.clone(), held, &context(), Flaws::default()).unwrap();
        journal.sync();
        hold.settle(outcome(*units)).unwrap();
    }
}

/// What a start would tell an empty book: each charge with its position.
fn charges(life: &mut Life) -> Vec<(u64, i64)> {
    let limit = life.journal.durable();
    let mut told = Vec::new();
    while !life.reader.has_read(limit) {
        if let Some(batch) = life.reader.batch(limit, 3).unwrap() {
            life.reader.set_applied(batch.to);
            told.extend(batch.charges.iter().map(|charge| (charge.id.seq, charge.outcome.units.get())));
        }
    }
    told.sort_unstable();
    told
}

/// Where each record of a segment ends.
fn ends(dir: &Path, number: u64) -> Vec<usize> {
    let disk = Directory::new(dir.to_owned()).unwrap();
    let segment = Segment::open(&disk, number).unwrap().unwrap();
    let bytes = segment.file.read_at(0, SEGMENT as usize).unwrap();
    let mut at = START as usize;
    let mut ends = Vec::new();
    while let Some(found) = record::find(&bytes[at..], segment.nonce) {
        at += found.len();
        ends.push(at);
    }
    ends
}

#[test]
fn a_segment_cut_at_any_byte_opens_and_charges_what_is_whole() {
    let amounts = [10, 20];
    let original = tempfile::tempdir().unwrap();
    pay(begin(original.path()).unwrap(), &amounts);
    let name = fs::read_dir(original.path()).unwrap().next().unwrap().unwrap().file_name();
    let bytes = fs::read(original.path().join(&name)).unwrap();
    let ends = ends(original.path(), 1);
    let end = *ends.last().unwrap();
    assert_eq!(ends.len(), 4);
    for cut in START as usize..=end {
        // The file ends there; or zeros follow; or what the disk had there before.
        for tail in [None, Some(if cut % 2 == 0 { 0x00 } else { 0xa5 })] {
            let dir = tempfile::tempdir().unwrap();
            let mut cut_off = bytes[..cut].to_vec();
            cut_off.resize(if tail.is_some() { bytes.len() } else { cut }, tail.unwrap_or(0));
            // Zeros may by chance be what was cut off: then the record is whole.
            let whole = ends.iter().filter(|end| cut_off.get(..**end) == bytes.get(..**end)).count();
            // A hold whose settlement is not whole is charged nothing.
            let expected: Vec<_> = (0..whole.div_ceil(2))
                .map(|index| (index as u64 * 2 + 1, if index < whole / 2 { amounts[index] } else { 0 }))
                .collect();
            fs::write(dir.path().join(&name), cut_off).unwrap();
            let mut life = begin(dir.path()).unwrap_or_else(|error| panic!("{cut}, {tail:?}: {error}"));
            assert_eq!(charges(&mut life), expected, "{cut}, {tail:?}");
            if cut % 16 != 0 {
                continue;
            }
            // And the life after that one finds the same, and goes on.
            pay(life, &[40]);
            let mut next = begin(dir.path()).unwrap_or_else(|error| panic!("{cut}, {tail:?}: {error}"));
            let told = charges(&mut next);
            assert_eq!(told[..expected.len()], expected, "{cut}, {tail:?}");
            assert_eq!(told[expected.len()..].iter().map(|(_, units)| *units).sum::<i64>(), 40);
        }
    }
}

/// A real directory whose files stop to sync when a test says so.
struct Unsyncable {
    directory: Directory,
    fails: Arc<AtomicBool>,
}

struct UnsyncableFile(Arc<dyn Storage>, Arc<AtomicBool>);

impl Disk for Unsyncable {
    fn list(&self) -> io::Result<Vec<u64>> {
        self.directory.list()
    }

    fn create(&self, number: u64, size: u64, header: &[u8]) -> io::Result<Arc<dyn Storage>> {
        let file = self.directory.create(number, size, header)?;
        Ok(Arc::new(UnsyncableFile(file, Arc::clone(&self.fails))))
    }

    fn open(&self, number: u64) -> io::Result<Arc<dyn Storage>> {
        self.directory.open(number)
    }

    fn remove(&self, number: u64) -> io::Result<()> {
        self.directory.remove(number)
    }

    fn lay_aside(&self, number: u64) -> io::Result<()> {
        self.directory.lay_aside(number)
    }

    fn aside(&self) -> io::Result<Vec<u64>> {
        self.directory.aside()
    }

    fn open_aside(&self, number: u64) -> io::Result<Arc<dyn Storage>> {
        self.directory.open_aside(number)
    }

    fn fetch_back(&self, number: u64) -> io::Result<()> {
        self.directory.fetch_back(number)
    }

    fn remove_aside(&self, number: u64) -> io::Result<()> {
        self.directory.remove_aside(number)
    }
}

impl Storage for UnsyncableFile {
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.0.write_at(bytes, at)
    }

    fn read_at(&self, at: u64, length: usize) -> io::Result<Vec<u8>> {
        self.0.read_at(at, length)
    }

    fn sync(&self) -> io::Result<()> {
        if self.1.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk does not sync"));
        }
        self.0.sync()
    }

    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
}

const UNLIMITED: LeaseState = LeaseState {
    lease: LeaseId(0),
    amount: Units::ZERO,
    unlimited: true,
    available: Units::ZERO,
    shared: false,
    outlook: Outlook::Met,
};

/// A book without limits that remembers what it was told.
#[derive(Default)]
struct Open(Mutex<(u64, Vec<(u64, i64)>)>);

impl Book for Open {
    async fn open_journal(&self, _: JournalId) -> Result<Registered, BookError> {
        Ok(Registered { epoch: 1, applied: self.0.lock().unwrap().0 })
    }

    async fn rejoin(&self, _: Node, _: Node) -> Result<Registered, BookError> {
        Err(BookError::Fenced)
    }

    async fn settle(&self, _: Node, _: u64, leases: &[Standing]) -> Result<Vec<Units>, BookError> {
        Ok(leases.iter().map(|_| Units::ZERO).collect())
    }

    async fn lease(&self, _: Node, asks: &[Ask]) -> Result<Vec<Option<LeaseState>>, BookError> {
        Ok(asks.iter().map(|_| Some(UNLIMITED)).collect())
    }

    async fn give_back(&self, _: Node, _: &[Part]) -> Result<(), BookError> {
        Ok(())
    }

    async fn heartbeat(&self, _: Node, _: Duration) -> Result<Vec<Wanted>, BookError> {
        Ok(Vec::new())
    }

    async fn listen(&self, _: Node, _: &Notify) {}

    async fn apply(&self, batch: &Batch) -> Result<Applied, BookError> {
        let mut told = self.0.lock().unwrap();
        assert_eq!(told.0, batch.from);
        told.0 = batch.to;
        told.1.extend(batch.charges.iter().map(|charge| (charge.id.seq, charge.outcome.units.get())));
        Ok(Applied::Now)
    }

    async fn return_leases(&self, _: Node, _: &[Draw]) -> Result<(), BookError> {
        Ok(())
    }

    async fn close_leases(&self, _: Node) -> Result<(), BookError> {
        Ok(())
    }
}

/// A failed sync is fatal: nothing is admitted, nothing more is called durable, whoever waits is told, and the next start
/// charges what was written.
#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_fails_stops_everything_and_the_next_start_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let fails = Arc::new(AtomicBool::new(false));
    let directory = Directory::new(dir.path().to_owned()).unwrap();
    let disk = Arc::new(Unsyncable { directory, fails: Arc::clone(&fails) });
    let (book, clock) = (Arc::new(Open::default()), Arc::new(ManualClock::default()));
    let options = Options::new(dir.path().to_owned());
    let ledger = Ledger::open_on(disk, Arc::clone(&book) as _, clock.clone(), options.clone()).await.unwrap();
    let take = || ledger.hold([PoolId(1), PoolId(2)], Units::new(9), context());
    let before = take().await.unwrap();
    before.durable().await.unwrap();
    drop(before.settle(outcome(5)));
    ledger.flush().await.unwrap();

    let synced = take().await.unwrap();
    synced.durable().await.unwrap();
    fails.store(true, Ordering::SeqCst);
    let lost = take().await.unwrap();
    let what = "cannot sync the journal: the disk does not sync".to_owned();
    assert_eq!(lost.durable().await, Err(FatalError(what.clone())));
    assert!(!ledger.is_admitting());
    assert_eq!(take().await.unwrap_err(), HoldError::NotAdmitting);
    assert_eq!(ledger.failed().await, FatalError(what.clone()));
    assert_eq!(ledger.flush().await, Err(FlushError::Fatal(FatalError(what.clone()))));
    // No byte of its answer may leave, so it costs nothing; the other was promised and is charged what was noted.
    assert_eq!(lost.settle(outcome(9)).units, Units::new(9), "nobody can write it down");
    drop(synced);
    assert_eq!(ledger.close().await, Err(FlushError::Fatal(FatalError(what))));

    let again = Ledger::open(Arc::clone(&book), clock, options).await.unwrap();
    let charges = book.0.lock().unwrap().1.clone();
    assert_eq!(charges.iter().map(|(_, units)| *units).collect::<Vec<_>>(), [5, 0, 0]);
    assert!(again.is_admitting());
    again.close().await.unwrap();
}
