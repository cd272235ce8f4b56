//! Requests, directories of journals, and what stands in them.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ledger::{Hold, HoldError, Ledger, OpenError, Options, ReadError};
use model::{
    clock::{ManualClock, Timestamp},
    id::{AccountId, ChannelId, KeyId, PoolId, PriceId},
    money::Units,
    price::Ratio,
    usage::{Provenance, Tokens, UsageContext, UsageOutcome},
};
use tempfile::TempDir;

use crate::book::TestBook;

pub(crate) const KEY: PoolId = PoolId(1);
pub(crate) const ACCOUNT: PoolId = PoolId(2);
pub(crate) const POOLS: [PoolId; 2] = [KEY, ACCOUNT];
/// Bytes of a segment's header, and of a record's.
pub(crate) const START: usize = 64;
pub(crate) const HEADER: usize = 24;

pub(crate) fn context() -> UsageContext {
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

pub(crate) fn outcome(units: i64) -> UsageOutcome {
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
pub(crate) fn options(dir: &Path) -> Options {
    Options {
        segment_bytes: 1 << 20,
        apply_every: Duration::from_secs(3600),
        flush_limit: Duration::from_secs(60),
        ..Options::new(dir.to_owned())
    }
}

pub(crate) async fn open(book: &Arc<TestBook>, dir: &Path) -> Result<Arc<Ledger>, OpenError> {
    Ledger::open(Arc::clone(book), Arc::new(ManualClock::default()), options(dir)).await
}

pub(crate) async fn hold(ledger: &Arc<Ledger>, units: i64) -> Result<Hold, HoldError> {
    ledger.hold(POOLS, Units::new(units), context()).await
}

pub(crate) const fn short(pool: PoolId, need: i64, have: i64) -> HoldError {
    HoldError::NotAffordable { pool, need: Units::new(need), have: Units::new(have) }
}

/// Takes, waits for the disk, and settles: two records. Returns the identity.
pub(crate) async fn pay(ledger: &Arc<Ledger>, units: i64) -> u64 {
    let hold = hold(ledger, units).await.unwrap();
    hold.durable().await.unwrap();
    let seq = hold.id().seq;
    assert_eq!(hold.settle(outcome(units)).units, Units::new(units));
    seq
}

/// Resolves when the ledger's task has let go of it.
pub(crate) async fn ended(ledger: Arc<Ledger>) {
    while Arc::strong_count(&ledger) > 1 {
        tokio::task::yield_now().await;
    }
}

pub(crate) fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// What a crash at this moment leaves: a copy of the journal, each segment only as far as it is written. Segments
/// with nothing in them stay out.
pub(crate) fn copy(dir: &Path) -> TempDir {
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
pub(crate) struct Place {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) seq: u64,
    pub(crate) durable: u64,
}

/// Where the records of a segment are.
pub(crate) fn records(bytes: &[u8]) -> Vec<Place> {
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
pub(crate) async fn refused(book: &Arc<TestBook>, dir: &Path, segment: u64, position: usize) {
    let error = open(book, dir).await.unwrap_err();
    let said = error.to_string();
    let named = format!("journal segment {segment} is damaged at byte {position}: ");
    assert!(said.starts_with(&named), "{said}, not {named}");
    assert!(matches!(error, OpenError::Journal(ReadError::Corrupt { .. })));
}
