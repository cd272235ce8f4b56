//! Usage records: what each keeps, and that lists, searches and sums over closed blocks and the open one say the same as
//! going through all records one by one.

use crate::fixture::{Fixture, JOURNAL, at, batch, charge};
use ledger::{Applied, Book, Charge};
use model::{
    id::{AccountId, ChannelId, LeaseId, PoolId},
    key::{ApiKey, Settings},
    money::Units,
    price::ListedRates,
};
use store::{Leaps, NewPrice, Store, UsageFilter, UsageHour, UsageKind, UsageRecord, UsageSums};

const UNLIMITED: LeaseId = LeaseId(0);
/// Ids in a block.
pub(crate) const BLOCK: u64 = 16_384;
pub(crate) const HOUR: i64 = 3_600_000;
pub(crate) const DAY: i64 = 24 * HOUR;

pub(crate) async fn key(fixture: &Fixture, username: &str, seed: u8, name: &str) -> (ApiKey, PoolId) {
    let account = fixture.account(username, None).await;
    let settings = Settings { name: name.to_owned(), unlimited_quota: true, ..Settings::default() };
    (fixture.key(account.id, seed, 0, settings).await.key, account.pool)
}

pub(crate) fn of(seq: u64, (key, balance): &(ApiKey, PoolId), units: i64) -> Charge {
    charge(seq, key, [(key.pool, UNLIMITED), (*balance, UNLIMITED)], units)
}

pub(crate) async fn apply(fixture: &Fixture, charges: Vec<Charge>) {
    apply_to(&fixture.store, charges).await;
}

pub(crate) async fn apply_to(store: &Store, charges: Vec<Charge>) {
    let from = store.open_journal(JOURNAL).await.unwrap().applied;
    assert_eq!(store.apply(&batch(from, from + 1, charges)).await, Ok(Applied::Now));
}

pub(crate) async fn list(fixture: &Fixture, filter: &UsageFilter) -> Vec<UsageRecord> {
    fixture.store.usage(filter, 0, i64::MAX).await.unwrap().0
}

#[tokio::test]
async fn a_record_keeps_what_happened_and_explains_its_charge() {
    let fixture = super::open().await;
    let ada = key(&fixture, "ada", 1, "first").await;
    let new = NewPrice {
        model: "gpt".to_owned(),
        rates: ListedRates { cached_input: Some(125_000), ..ListedRates::of(1_250_000, 10_000_000) },
        per_call: 3,
        max_output: 10,
        ..NewPrice::default()
    };
    let price = fixture.store.put_price(&new, Leaps::Confirmed, at(1)).await.unwrap();
    let mut failed = of(1, &ada, 0);
    failed.outcome.error = Some("upstream_error".to_owned());
    failed.outcome.status = 502;
    failed.outcome.overrun = Units::new(7);
    let mut good = of(2, &ada, 9);
    good.context.price = price;
    apply(&fixture, vec![failed.clone(), good]).await;
    // A later price does not change what the record says.
    fixture
        .store
        .put_price(&NewPrice { rates: ListedRates::of(1, 1), ..new }, Leaps::Confirmed, at(2))
        .await
        .unwrap();

    let records = list(&fixture, &UsageFilter::default()).await;
    let [good, record] = records.as_slice() else { panic!("{records:?}") };
    let (context, outcome) = (failed.context, failed.outcome);
    assert_eq!((record.kind, good.kind), (UsageKind::Error, UsageKind::Use));
    assert_eq!(record.request_id, context.request_id);
    assert_eq!((record.account, record.username.as_str()), (context.account, "ada"));
    assert_eq!((record.key, record.key_name.as_str()), (context.key, "first"));
    assert_eq!((record.group.as_str(), record.channel), ("default", context.channel));
    assert_eq!((record.model.as_str(), record.upstream_model.as_str()), ("gpt", "gpt-upstream"));
    assert_eq!((record.door.as_str(), record.stream), ("/v1/chat/completions", true));
    assert_eq!((record.tokens, record.provenance.as_str()), (outcome.tokens, "counted"));
    assert_eq!((record.units, record.overrun), (outcome.units, outcome.overrun));
    assert_eq!((record.status, record.error.as_deref()), (502, Some("upstream_error")));
    assert_eq!((record.started, record.ended), (context.started, outcome.ended));
    assert_eq!((record.first_byte_ms, record.client.as_str()), (outcome.first_byte_ms, "192.0.2.1"));
    let known = good.price.clone().unwrap();
    assert_eq!((known.id, known.rates.output.0, known.per_call), (price, 10_000_000, Units::new(3)));
    // 11×1.25 + 12×0.125 + 13×1.25 + 14×10 + 3 = 174.5
    assert_eq!(known.cost(good.ratio, &good.tokens), Ok(Units::new(175)));
}

/// Three blocks and a half of records of two accounts over three days: models, channels, kinds and hours of every mix, in
/// batches that do not fit into blocks.
pub(crate) async fn many(fixture: &Fixture) -> [(ApiKey, PoolId); 2] {
    let keys = [key(fixture, "ada", 1, "first").await, key(fixture, "eve", 2, "Second_one").await];
    let mut charges = mixed(&keys);
    while !charges.is_empty() {
        let rest = charges.split_off(charges.len().min(3_001));
        apply(fixture, std::mem::replace(&mut charges, rest)).await;
    }
    keys
}

pub(crate) fn mixed(keys: &[(ApiKey, PoolId); 2]) -> Vec<Charge> {
    let mut charges = Vec::new();
    for seq in 1..=(BLOCK * 7 / 2) {
        let n = i64::try_from(seq).unwrap();
        let mut one = of(seq, if seq % 5 == 0 { &keys[1] } else { &keys[0] }, n % 7);
        one.context.model = match seq % 3 {
            _ if seq % 1_999 == 0 => "rare",
            0 => "gpt-4",
            1 => "gpt-5",
            _ => "opus",
        }
        .to_owned();
        one.context.group = if seq % 11 == 0 { "vip" } else { "default" }.to_owned();
        one.context.channel = ChannelId(n % 4);
        // A few seconds apart, and not quite in order.
        one.outcome.ended = at(DAY + n * 3_500 + (n * 7_919 % 60_000));
        one.context.started = at(one.outcome.ended.millis() - n % 1_000);
        if seq % 13 == 0 {
            one.outcome.units = Units::ZERO;
            one.outcome.error = Some("upstream_error".to_owned());
        }
        charges.push(one);
    }
    charges
}

fn fits(record: &UsageRecord, filter: &UsageFilter) -> bool {
    let like = |text: &str, pattern: &str| match pattern.strip_suffix('%') {
        Some(begin) => text.to_lowercase().starts_with(&begin.to_lowercase()),
        None => text == pattern,
    };
    let found = |keyword: &String| {
        [&record.key_name, &record.model, &record.group]
            .iter()
            .any(|text| text.to_lowercase().contains(&keyword.to_lowercase()))
    };
    filter.account.is_none_or(|account| account == record.account)
        && filter.username.as_ref().is_none_or(|name| like(&record.username, name))
        && filter.key.is_none_or(|key| key == record.key)
        && filter.key_name.as_ref().is_none_or(|name| like(&record.key_name, name))
        && filter.model.as_ref().is_none_or(|name| like(&record.model, name))
        && filter.group.as_ref().is_none_or(|group| *group == record.group)
        && filter.channel.is_none_or(|channel| channel == record.channel)
        && filter.kind.is_none_or(|kind| kind == record.kind)
        && filter.from.is_none_or(|from| record.ended >= from)
        && filter.until.is_none_or(|until| record.ended < until)
        && filter.keyword.as_ref().is_none_or(found)
        && filter.before.is_none_or(|before| record.id < before)
}

pub(crate) fn sums<'a>(records: impl Iterator<Item = &'a UsageRecord>) -> UsageSums {
    records.fold(UsageSums::default(), |sums, record| UsageSums {
        requests: sums.requests + 1,
        errors: sums.errors + i64::from(record.kind == UsageKind::Error),
        units: sums.units + record.units.get(),
        input: sums.input + record.tokens.input as i64,
        cached_input: sums.cached_input + record.tokens.cached_input as i64,
        cache_write: sums.cache_write + record.tokens.cache_write as i64,
        output: sums.output + record.tokens.output as i64,
        reasoning: sums.reasoning + record.tokens.reasoning as i64,
        took: sums.took + record.ended.millis_since(record.started),
    })
}

/// Filters of every kind, and such as cut through blocks.
fn filters(keys: &[(ApiKey, PoolId); 2]) -> Vec<UsageFilter> {
    let any = UsageFilter::default;
    let (ada, eve) = (Some(keys[0].0.account), Some(keys[1].0.account));
    let text = |text: &str| Some(text.to_owned());
    let hour = |hours: i64| Some(at(DAY + hours * HOUR));
    vec![
        UsageFilter { account: ada, ..any() },
        // The number under which the sums of all accounts together stand.
        UsageFilter { account: Some(AccountId(0)), ..any() },
        UsageFilter { account: eve, kind: Some(UsageKind::Error), ..any() },
        UsageFilter { account: eve, model: text("rare"), ..any() },
        UsageFilter { model: text("rare"), ..any() },
        UsageFilter { model: text("GPT%"), channel: Some(ChannelId(2)), ..any() },
        UsageFilter { model: text("gpt_4"), ..any() },
        UsageFilter { group: text("vip"), account: ada, ..any() },
        // Few in each block, and together more than are looked up at once.
        UsageFilter { group: text("vip"), channel: Some(ChannelId(2)), ..any() },
        UsageFilter { key: Some(keys[1].0.id), ..any() },
        UsageFilter { username: text("ada"), model: text("rare"), ..any() },
        UsageFilter { username: text("e%"), ..any() },
        UsageFilter { username: text("eve"), account: ada, ..any() },
        UsageFilter { key_name: text("second_%"), ..any() },
        UsageFilter { key_name: text("nobody"), ..any() },
        UsageFilter { key_name: text("first"), ..any() },
        UsageFilter { key_name: text("%"), from: hour(20), until: hour(22), ..any() },
        UsageFilter { key_name: text("%"), kind: Some(UsageKind::Error), ..any() },
        UsageFilter { key_name: text("first"), model: text("gpt-%"), until: hour(31), ..any() },
        UsageFilter { key_name: text("first"), from: Some(at(DAY + 20 * HOUR + 1_234)), ..any() },
        UsageFilter {
            key_name: text("Second_one"),
            from: Some(at(DAY + 3 * HOUR + 1)),
            until: Some(at(DAY + 41 * HOUR + 99_999)),
            ..any()
        },
        UsageFilter { key_name: text("first"), before: Some(BLOCK as i64 * 2 + 77), ..any() },
        UsageFilter { account: ada, keyword: text("OPUS"), ..any() },
        UsageFilter { account: eve, keyword: text("second_"), kind: Some(UsageKind::Use), ..any() },
        UsageFilter { from: hour(20), until: hour(22), ..any() },
        UsageFilter {
            from: Some(at(DAY + 20 * HOUR + 1_234)),
            until: Some(at(DAY + 31 * HOUR + 5)),
            ..any()
        },
        UsageFilter {
            from: Some(at(DAY + 20 * HOUR + 1)),
            until: Some(at(DAY + 20 * HOUR + 99_999)),
            ..any()
        },
        UsageFilter { account: eve, from: Some(at(DAY + 5 * HOUR + 7)), ..any() },
        UsageFilter { account: eve, until: Some(at(DAY + 5 * HOUR + 7)), model: text("opus"), ..any() },
        UsageFilter { from: hour(22), until: hour(20), ..any() },
        UsageFilter { before: Some(BLOCK as i64 * 2 + 77), model: text("rare"), ..any() },
        UsageFilter { before: Some(BLOCK as i64), account: eve, ..any() },
    ]
}

/// Its pages, counted and not, are those of going through all records.
async fn pages_are_right(store: &Store, filter: &UsageFilter, expected: &[&UsageRecord]) {
    let total = expected.len() as i64;
    for (skip, limit) in [(0, 10), (7, 100), (total / 2, 50), (total - 3, 10), (total, 10)] {
        let skip = skip.max(0);
        let (found, counted) = store.usage(filter, skip, limit).await.unwrap();
        let page: Vec<_> = expected.iter().skip(skip as usize).take(limit as usize).copied().collect();
        assert_eq!(found.iter().collect::<Vec<_>>(), page, "{filter:?} {skip} {limit}");
        assert_eq!(counted, total, "{filter:?}");
        for counted in [0, 1_000] {
            let newest = store.newest_usage(filter, skip, limit, counted).await.unwrap();
            assert_eq!(newest.records, found, "{filter:?} {skip} {limit}");
            let enough = skip + limit.max(counted);
            assert_eq!((newest.total, newest.more), (total.min(enough), total > enough), "{filter:?}");
        }
    }
}

async fn a_walk_is_right(store: &Store, filter: &UsageFilter, expected: &[&UsageRecord]) {
    let mut walk = store.usage_walk(filter.clone()).await.unwrap();
    let mut walked = Vec::new();
    loop {
        let step = walk.step().await.unwrap();
        assert!(step.len() <= 1_024);
        if step.is_empty() {
            break;
        }
        walked.extend(step);
    }
    assert_eq!(walked.iter().collect::<Vec<_>>(), expected, "{filter:?}");
}

async fn sums_are_right(store: &Store, filter: &UsageFilter, all: &[UsageRecord]) {
    let filter = UsageFilter { before: None, ..filter.clone() };
    let expected: Vec<&UsageRecord> = all.iter().filter(|record| fits(record, &filter)).collect();
    let found = store.usage_sums(&filter).await.unwrap();
    assert_eq!(found, sums(expected.iter().copied()), "{filter:?}");
    let hours = store.usage_hours(&filter).await.unwrap();
    assert!(hours.is_sorted_by(|a, b| (a.hour, &a.model) < (b.hour, &b.model)));
    for UsageHour { hour, model, sums: found } in &hours {
        let next = hour.millis() + HOUR;
        let here = |record: &&&UsageRecord| {
            record.model == *model && (hour.millis()..next).contains(&record.ended.millis())
        };
        assert_eq!(*found, sums(expected.iter().filter(here).copied()), "{filter:?} {hour:?}");
    }
    assert_eq!(hours.iter().map(|hour| hour.sums.requests).sum::<i64>(), expected.len() as i64);
}

#[tokio::test]
async fn every_filter_finds_and_sums_what_going_through_all_records_does() {
    let fixture = super::open().await;
    let keys = many(&fixture).await;
    fixture.assert_sound().await;
    let all = list(&fixture, &UsageFilter::default()).await;
    assert_eq!(all.len() as u64, BLOCK * 7 / 2);
    assert!(all.is_sorted_by(|a, b| a.id > b.id));
    for filter in filters(&keys) {
        let expected: Vec<&UsageRecord> = all.iter().filter(|record| fits(record, &filter)).collect();
        pages_are_right(&fixture.store, &filter, &expected).await;
        a_walk_is_right(&fixture.store, &filter, &expected).await;
        sums_are_right(&fixture.store, &filter, &all).await;
    }
}

#[tokio::test]
async fn a_request_id_finds_its_records_in_closed_blocks_and_in_the_open_one() {
    let fixture = super::open().await;
    let keys = many(&fixture).await;
    let found = async |filter: &UsageFilter, id: &str| {
        let found = fixture.store.usage_of_request(filter, id).await.unwrap();
        found.into_iter().map(|record| record.request_id).collect::<Vec<_>>()
    };
    let mine = UsageFilter { account: Some(keys[0].0.account), ..UsageFilter::default() };
    for seq in [1, BLOCK - 1, BLOCK + 3, BLOCK * 2 + 5_001, BLOCK * 3 + 8_001] {
        let id = format!("request {seq}");
        assert_eq!(found(&UsageFilter::default(), &id).await, [id.as_str()]);
        let expected: &[&str] = if seq % 5 == 0 { &[] } else { &[&id] };
        assert_eq!(found(&mine, &id).await, expected);
    }
    assert_eq!(found(&mine, "nothing").await, Vec::<String>::new());
    // A caller may choose one id twice.
    let mut again = of(900_000, &keys[0], 1);
    again.context.request_id = "request 1".to_owned();
    apply(&fixture, vec![again]).await;
    assert_eq!(found(&mine, "request 1").await, ["request 1", "request 1"]);
}

#[tokio::test]
async fn an_absurd_report_does_not_stop_the_books() {
    let fixture = super::open().await;
    let ada = key(&fixture, "ada", 1, "").await;
    let mut charges: Vec<_> = (1..=BLOCK + 1).map(|seq| of(seq, &ada, 1)).collect();
    for one in &mut charges {
        one.outcome.tokens.input = u64::MAX;
    }
    apply(&fixture, charges).await;
    let found = fixture.store.usage_sums(&UsageFilter::default()).await.unwrap();
    assert_eq!(found.units, BLOCK as i64 + 1);
    fixture.assert_sound().await;
}
