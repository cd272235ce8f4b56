//! A start after a long absence of the database: 64 MiB of journal that the book does not have yet.

use std::{
    io::Write,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use ledger::{
    Applied, Ask, Batch, Book, BookError, Draw, LeaseState, Ledger, Node, Options, Part, Registered,
    Standing, Wanted,
};
use model::{
    clock::{Clock, SystemClock, Timestamp},
    id::{ChannelId, JournalId, PriceId},
    money::Units,
    price::Ratio,
    usage::{Provenance, Tokens, UsageContext, UsageOutcome},
};
use store::{KeyView, MasterKey, Page, Store};
use tokio::sync::Notify;

use crate::process::{Server, printed};

/// Bytes of journal that the start must bring into the book.
const JOURNAL: u64 = 64 << 20;
const SEGMENT: u64 = 8 << 20;

/// The real book, which takes no charges: what a database without room would do.
struct NoCharges(Store);

impl Book for NoCharges {
    async fn open_journal(&self, journal: JournalId) -> Result<Registered, BookError> {
        self.0.open_journal(journal).await
    }

    async fn rejoin(&self, before: Node, now: Node) -> Result<Registered, BookError> {
        self.0.rejoin(before, now).await
    }

    async fn settle(&self, node: Node, applied: u64, leases: &[Standing]) -> Result<Vec<Units>, BookError> {
        self.0.settle(node, applied, leases).await
    }

    async fn lease(&self, node: Node, asks: &[Ask]) -> Result<Vec<Option<LeaseState>>, BookError> {
        self.0.lease(node, asks).await
    }

    async fn give_back(&self, node: Node, parts: &[Part]) -> Result<(), BookError> {
        self.0.give_back(node, parts).await
    }

    async fn heartbeat(&self, node: Node, dead_after: Duration) -> Result<Vec<Wanted>, BookError> {
        self.0.heartbeat(node, dead_after).await
    }

    async fn listen(&self, node: Node, heard: &Notify) {
        self.0.listen(node, heard).await;
    }

    async fn apply(&self, _: &Batch) -> Result<Applied, BookError> {
        Err(BookError::Unavailable("the database is full".to_owned()))
    }

    async fn return_leases(&self, node: Node, leases: &[Draw]) -> Result<(), BookError> {
        self.0.return_leases(node, leases).await
    }

    async fn close_leases(&self, node: Node) -> Result<(), BookError> {
        self.0.close_leases(node).await
    }
}

fn context(key: &KeyView, now: Timestamp) -> UsageContext {
    UsageContext {
        request_id: "req_0197f3a2b4c57d1e8f9a".to_owned(),
        account: key.key.account,
        key: key.key.id,
        key_name: key.key.settings.name.clone(),
        group: "default".to_owned(),
        channel: ChannelId(1),
        attempt: 1,
        model: "gpt-5-mini".to_owned(),
        upstream_model: "gpt-5-mini".to_owned(),
        door: "/v1/chat/completions".to_owned(),
        stream: true,
        price: PriceId(1),
        ratio: Ratio::ONE,
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        started: now,
    }
}

fn outcome(now: Timestamp) -> UsageOutcome {
    UsageOutcome {
        tokens: Tokens { input: 812, cached_input: 512, output: 301, ..Tokens::default() },
        provenance: Provenance::Reported,
        units: Units::new(1),
        overrun: Units::ZERO,
        status: 200,
        error: None,
        first_byte_ms: Some(312),
        ended: now,
    }
}

async fn database(data: &Path) -> Store {
    let master = MasterKey::from_hex(&std::fs::read_to_string(data.join("master.key")).unwrap()).unwrap();
    Store::open(&data.join("apsis.db"), &master).await.unwrap()
}

/// Fills the journal with the requests of several keys. Returns how many there were.
async fn fill(data: &Path) -> i64 {
    let store = database(data).await;
    let root = store.account_by_username("root").await.unwrap().unwrap();
    let keys = store.list_keys(root.id, Page { number: 1, size: 100 }).await.unwrap().0;
    let now = SystemClock.now();
    let options = Options {
        segment_bytes: SEGMENT,
        flush_limit: Duration::from_millis(1),
        ..Options::new(data.join("journal"))
    };
    let book = Arc::new(NoCharges(store.clone()));
    let ledger = Ledger::open(book, Arc::new(SystemClock), options).await.unwrap();
    let mut charges = 0;
    let full = usize::try_from(JOURNAL / SEGMENT).unwrap() + 2;
    // The newest but one is in use, the newest is ready.
    while std::fs::read_dir(data.join("journal")).unwrap().count() < full {
        for key in keys.iter().cycle().take(1_000) {
            match ledger.hold([key.key.pool, root.pool], Units::new(10), context(key, now)).await {
                Ok(hold) => {
                    drop(hold.settle(outcome(now)));
                    charges += 1;
                }
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }
    assert!(ledger.close().await.is_err(), "the book took nothing");
    store.close().await;
    charges
}

/// What a process has used, user and system, in milliseconds: fields 14 and 15 of its `stat`, a hundred a second.
fn processor_millis(id: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    let fields = stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2);
    fields.map(|ticks| ticks.parse::<u64>().unwrap() * 10).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_brings_64_mebibytes_of_journal_into_the_books_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    drop(Server::start(&[], &data));
    for _ in 0..20 {
        printed(&["key", "create", "--name", "a name", "--quota", "100000000"], &data);
    }
    let charges = fill(&data).await;
    let begun = Instant::now();
    let mut server = Server::start(&[], &data);
    let took = begun.elapsed();
    let processor = processor_millis(server.child.id());
    writeln!(
        std::io::stderr(),
        "a start with {charges} requests in {} MiB of journal took {took:?}, {processor} ms of processor time",
        JOURNAL >> 20
    )
    .unwrap();
    // Beside other tests and without optimization it takes longer than it may.
    assert!(cfg!(debug_assertions) || processor <= 2_000, "{processor} ms");
    assert_eq!(server.terminate(), Some(0));
    assert_eq!(printed(&["ledger", "verify"], &data), "the ledger adds up\n");
    let store = database(&data).await;
    let root = store.account_by_username("root").await.unwrap().unwrap();
    assert_eq!(root.used, Units::new(charges));
}
