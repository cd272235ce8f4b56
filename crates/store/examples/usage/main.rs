//! Fills a database with usage records through the path that the journal takes, and measures what writing and asking cost.
//!
//!     usage DIRECTORY MILLIONS [MASTER_KEY_FILE]
//!     usage postgres://… MILLIONS [COPIES] [MASTER_KEY_FILE]
//!
//! With a master key it only writes, into a database that a gateway has made. With copies there are as many months more.
#![expect(clippy::print_stdout, reason = "a measurement")]

mod ask;
mod copies;

use std::{
    error::Error,
    net::IpAddr,
    path::Path,
    time::{Duration, Instant},
};

use ask::{Who, ask};
use copies::Copies;
use ledger::{Batch, Book, Charge, Draw};
use model::{
    clock::{Clock, SystemClock, Timestamp},
    credential::{Class, Credential},
    id::{ChannelId, ChargeId, JournalId, LeaseId, PriceId},
    key::{ApiKey, Settings},
    money::Units,
    price::Ratio,
    usage::{Provenance, Tokens, UsageContext, UsageOutcome},
};
use store::{Location, MasterKey, NewAccount, PostgresServer, Role, Store, UsageLimits};

const JOURNAL: JournalId = JournalId(1);
/// A batch of the applier: a hold and a settlement each, of 4,096 records.
const BATCH: u64 = 2_048;
const ACCOUNTS: u64 = 1_000;
const DAYS: i64 = 30;
const DAY: i64 = 86_400_000;
const BEGIN: i64 = 1_760_000_000_000;
const MODELS: [&str; 8] = [
    "gpt-5",
    "gpt-5-mini",
    "claude-sonnet-4-5",
    "claude-opus-4-1",
    "gemini-2.5-pro",
    "grok-4",
    "deepseek-v3",
    "qwen3",
];

type Outcome<T> = Result<T, Box<dyn Error>>;

/// A cheap sequence of numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    const fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

fn charge(
    seq: u64,
    (all, begin): (u64, i64),
    keys: &[(ApiKey, Draw)],
    numbers: &mut Numbers,
) -> Outcome<Charge> {
    // A fifth of all requests is the first account's; the others differ much in how busy they are.
    let spread = u64::try_from(keys.len())?;
    let index = if numbers.next(5) == 0 { 0 } else { numbers.next(spread).min(numbers.next(spread)) };
    let (key, balance) = keys.get(usize::try_from(index)?).ok_or("no such key")?;
    let model = MODELS.get(usize::try_from(numbers.next(8).min(numbers.next(8)))?).ok_or("no such model")?;
    let model = if seq % 100_003 == 7 { "rare-model" } else { model };
    let failed = numbers.next(40) == 0;
    let ended =
        begin + i64::try_from(u128::from(seq) * u128::from((DAYS * DAY).unsigned_abs()) / u128::from(all))?;
    let output = 20 + numbers.next(900);
    Ok(Charge {
        id: ChargeId { journal: JOURNAL, seq },
        draws: vec![Draw { pool: key.pool, lease: LeaseId(0) }, *balance],
        context: UsageContext {
            request_id: format!(
                "{:08x}-{:016x}-{seq:012}",
                numbers.next(u64::from(u32::MAX)),
                numbers.next(u64::MAX)
            ),
            account: key.account,
            key: key.id,
            key_name: key.settings.name.clone(),
            group: if numbers.next(10) == 0 { "premium" } else { "default" }.to_owned(),
            channel: ChannelId(i64::try_from(numbers.next(4))?),
            attempt: 1,
            model: model.to_owned(),
            upstream_model: model.to_owned(),
            door: "/v1/chat/completions".to_owned(),
            stream: numbers.next(2) == 0,
            price: PriceId(1),
            ratio: Ratio::ONE,
            client: IpAddr::from([192, 0, 2, u8::try_from(numbers.next(250))?]),
            started: Timestamp::from_millis(ended - 900),
        },
        outcome: UsageOutcome {
            tokens: Tokens { input: 30 + numbers.next(4_000), output, ..Tokens::default() },
            provenance: Provenance::Reported,
            units: if failed { Units::ZERO } else { Units::new(i64::try_from(output)?) },
            overrun: Units::ZERO,
            status: if failed { 502 } else { 200 },
            error: failed.then(|| "upstream_error".to_owned()),
            first_byte_ms: Some(300),
            ended: Timestamp::from_millis(ended),
        },
    })
}

async fn payers(store: &Store) -> Outcome<Vec<(ApiKey, Draw)>> {
    let mut keys = Vec::new();
    for n in 0..ACCOUNTS {
        let new = NewAccount {
            username: format!("account-{n}"),
            display_name: String::new(),
            email: String::new(),
            role: Role::Member,
            group: "default".to_owned(),
            balance: None,
        };
        let now = Timestamp::from_millis(BEGIN);
        let account = store.create_account(new, now).await?;
        for name in ["laptop", "production", "tests"] {
            let credential = Credential::generate(Class::ApiKey, getrandom::fill)?;
            let settings = Settings { name: name.to_owned(), unlimited_quota: true, ..Settings::default() };
            let view = store.create_key(account.id, &settings, Units::ZERO, &credential, now).await?;
            keys.push((view.key, Draw { pool: account.pool, lease: LeaseId(0) }));
        }
    }
    Ok(keys)
}

/// Processor time of this process, all threads, in hundredths of a second. Linux.
fn processor_time() -> Outcome<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let behind_name = stat.rsplit_once(')').ok_or("/proc/self/stat")?.1;
    let mut fields = behind_name.split_whitespace().skip(11).map(str::parse::<u64>);
    Ok(fields.next().ok_or("utime")?? + fields.next().ok_or("stime")??)
}

async fn fill(store: &Store, (all, begin): (u64, i64), keys: &[(ApiKey, Draw)]) -> Outcome<()> {
    let mut numbers = Numbers(88_172_645_463_325_252);
    let mut position = store.open_journal(JOURNAL).await?.applied;
    let (mut seq, mut spent, mut slowest, mut last_tenth) =
        (0, Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let mut busy = 0;
    while seq < all {
        let until = (seq + BATCH).min(all);
        let charges: Vec<Charge> = (seq..until)
            .map(|seq| charge(seq, (all, begin), keys, &mut numbers))
            .collect::<Result<_, _>>()?;
        let batch = Batch { journal: JOURNAL, from: position, to: position + 2 * (until - seq), charges };
        let (begun, busy_before) = (Instant::now(), processor_time()?);
        store.apply(&batch).await?;
        let took = begun.elapsed();
        busy += processor_time()? - busy_before;
        spent += took;
        slowest = slowest.max(took);
        if seq >= all / 10 * 9 {
            last_tenth += took;
        }
        (seq, position) = (until, batch.to);
    }
    let each = |spent: Duration, rows: u64| spent.as_nanos() / u128::from(rows.max(1));
    println!(
        "write, ns a record: {} (last tenth {})",
        each(spent, all),
        each(last_tenth, all - all / 10 * 9)
    );
    println!("write, processor time, ns a record: {}", u128::from(busy) * 10_000_000 / u128::from(all));
    println!("write, slowest batch of {BATCH}: {:.1} ms", slowest.as_secs_f64() * 1e3);
    Ok(())
}

fn bytes(directory: &Path) -> Outcome<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}

/// A PostgreSQL database, or SQLite in a directory.
fn location(place: &str) -> Location {
    let server = place.parse().map(|url| PostgresServer {
        url,
        connections: 10,
        statement_timeout: Duration::from_secs(60),
    });
    server.map_or_else(|_| Location::File(Path::new(place).join("apsis.db")), Location::Server)
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let place = arguments.next().ok_or("usage DIRECTORY MILLIONS")?;
    let millions: u64 = arguments.next().ok_or("usage DIRECTORY MILLIONS")?.parse()?;
    let (numbers, files): (Vec<_>, Vec<_>) = arguments.partition(|argument| argument.parse::<u64>().is_ok());
    let location = location(&place);
    let all = millions * 1_000_000;
    let copies = match (&location, numbers.first()) {
        (Location::Server(_), Some(count)) => Some(Copies::of(&place, all, count.parse()?)),
        _ => None,
    };
    let given = files.first().map(std::fs::read_to_string).transpose()?;
    let master = match &given {
        Some(text) => MasterKey::from_hex(text)?,
        None => MasterKey::generate()?,
    };
    // For a gateway that is to show them they are the newest.
    let begin = if given.is_some() { SystemClock.now().millis() - DAYS * DAY } else { BEGIN };
    let store = location.open(&master).await?;
    if let Some(copies) = &copies {
        copies.make_room().await?;
    }
    let keys = payers(&store).await?;
    fill(&store, (all, begin), &keys).await?;
    if let Some(copies) = &copies {
        copies.make().await?;
    }
    if given.is_some() {
        return Ok(());
    }
    if let Location::File(_) = location {
        let size = bytes(Path::new(&place))?;
        println!("size on disk: {} MiB, {} bytes a record", size >> 20, size / all);
    }
    let account = |index: usize| keys.get(index).map(|(key, _)| key.account);
    ask(&store, all, &Who { large: account(0), small: account(1_500) }).await?;
    prove_and_forget(&store).await?;
    store.close().await;
    Ok(())
}

/// Proves the books, forgets until nothing is older than the last days, and proves them again.
async fn prove_and_forget(store: &Store) -> Outcome<()> {
    let prove = async || -> Outcome<()> {
        let begun = Instant::now();
        let found = store.verify().await?.len();
        println!("verify: {found} differences, {:.1} s", begun.elapsed().as_secs_f64());
        Ok(())
    };
    prove().await?;
    let limits = UsageLimits { days: u32::try_from(DAYS)? - 1, records: u64::MAX, bytes: u64::MAX };
    let mut steps = Vec::new();
    loop {
        let begun = Instant::now();
        let retired = store.retire_usage(limits, Timestamp::from_millis(BEGIN + DAYS * DAY)).await?;
        if !retired {
            break;
        }
        steps.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    steps.sort_by(f64::total_cmp);
    println!(
        "forget {} blocks and partitions: median {:.1} ms, at most {:.1} ms, together {:.1} s",
        steps.len(),
        steps.get(steps.len() / 2).copied().unwrap_or_default(),
        steps.last().copied().unwrap_or_default(),
        steps.iter().sum::<f64>() / 1e3
    );
    prove().await
}
