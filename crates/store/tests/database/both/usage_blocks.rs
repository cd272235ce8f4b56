//! Blocks of usage records: how they are summed up, and how they are forgotten.

use model::clock::Timestamp;
use sqlx::{Row, any::AnyRow};
use store::{UsageFilter, UsageLimits};

use super::usage::{BLOCK, DAY, apply, apply_to, key, list, many, mixed, of, sums};
use crate::fixture::{Fixture, at};

type Parts = Vec<(Vec<i64>, Vec<String>)>;
/// A block: requests, oldest, newest, bytes.
type Block = (i64, i64, i64, i64, i64);
type Lists = Vec<(i64, i64, Vec<String>)>;

/// What closed blocks say, each list in order. Payers and ways are left out: their ids depend on how often they were
/// looked for.
async fn closed(fixture: &Fixture) -> (Parts, Lists, Vec<Block>, Parts) {
    let mut raw = fixture.raw().await;
    let sorted = |list: &str| {
        let mut entries: Vec<String> = list.split(',').map(str::to_owned).collect();
        entries.sort_unstable();
        entries
    };
    let parts: Vec<AnyRow> = sqlx::query(
        "SELECT account, block, hour, kind, requests, units, input, cached_input, cache_write, output, reasoning, took,
            offsets FROM usage_part",
    )
    .fetch_all(&mut raw)
    .await
    .unwrap();
    let part = |row: &AnyRow| ((0..12).map(|column| row.get(column)).collect(), sorted(row.get(12)));
    let mut parts: Parts = parts.iter().map(part).collect();
    parts.sort_unstable();
    let requests: Vec<(i64, i64, String)> =
        sqlx::query_as("SELECT shard, block, offsets FROM usage_request ORDER BY shard, block")
            .fetch_all(&mut raw)
            .await
            .unwrap();
    let requests = requests.into_iter().map(|(shard, block, list)| (shard, block, sorted(&list))).collect();
    let blocks =
        sqlx::query_as("SELECT block, requests, oldest, newest, bytes FROM usage_block ORDER BY block")
            .fetch_all(&mut raw)
            .await
            .unwrap();
    let names: Vec<AnyRow> = sqlx::query(
        "SELECT block, hour, kind, requests, units, input, cached_input, cache_write, output, reasoning, took, key_name,
            offsets FROM usage_name ORDER BY block, key_name",
    )
    .fetch_all(&mut raw)
    .await
    .unwrap();
    let name = |row: &AnyRow| {
        let mut places = sorted(row.get(12));
        places.push(row.get(11));
        ((0..11).map(|column| row.get(column)).collect(), places)
    };
    let mut names: Parts = names.iter().map(name).collect();
    names.sort_unstable();
    (parts, requests, blocks, names)
}

#[tokio::test]
async fn memory_and_the_database_sum_up_a_block_alike() {
    let (known, forgetful) = (super::open().await, super::open().await);
    many(&known).await;
    let keys = [key(&forgetful, "ada", 1, "first").await, key(&forgetful, "eve", 2, "Second_one").await];
    let mut charges = mixed(&keys);
    while !charges.is_empty() {
        let rest = charges.split_off(charges.len().min(3_001));
        // A start knows nothing of the block that it finds open.
        let store = forgetful.reopen(&forgetful.master).await.unwrap();
        apply_to(&store, std::mem::replace(&mut charges, rest)).await;
        store.close().await;
    }
    let said = closed(&known).await;
    assert!(said.0.len() > 500 && said.1.len() > 500 && said.2.len() == 3);
    let same = closed(&forgetful).await;
    assert_eq!(said.2, same.2);
    assert!(said.1 == same.1, "the indexes differ");
    assert!(said.0 == same.0, "the sums differ");
    assert!(said.3 == same.3, "the sums by name differ");
    let names: i64 = said.3.iter().map(|(sums, _)| sums[3]).sum();
    let blocks: i64 = said.2.iter().map(|block| block.1).sum();
    assert_eq!(names, blocks, "every record has a name");
}

#[tokio::test]
async fn old_records_go_a_block_at_a_time_and_the_books_still_add_up() {
    let fixture = super::open().await;
    let keys = many(&fixture).await;
    let keep = |days, records| UsageLimits { days, records, bytes: u64::MAX };
    let retire = async |limits, now: Timestamp| fixture.store.retire_usage(limits, now).await.unwrap();
    let oldest = async || list(&fixture, &UsageFilter::default()).await.last().map(|record| record.id);
    let end = at(4 * DAY);
    assert!(!retire(keep(90, u64::MAX), end).await);
    assert_eq!(oldest().await, Some(0));

    let mut steps = 0;
    while retire(keep(90, BLOCK * 2), end).await {
        steps += 1;
        fixture.assert_sound().await;
    }
    let kept = list(&fixture, &UsageFilter::default()).await.len() as u64;
    assert!(steps > 0 && kept <= BLOCK * 2 && kept > BLOCK, "{steps} {kept}");
    let filter = UsageFilter { account: Some(keys[1].0.account), ..UsageFilter::default() };
    let left = list(&fixture, &filter).await;
    assert_eq!(fixture.store.usage_sums(&filter).await.unwrap(), sums(left.iter()));
    assert_eq!(fixture.store.usage_of_request(&filter, "request 5").await.unwrap(), []);

    let taken = async || {
        let bytes: (i64, i64) =
            sqlx::query_as("SELECT count(*), CAST(coalesce(sum(bytes), 0) AS BIGINT) FROM usage_block")
                .fetch_one(&mut fixture.raw().await)
                .await
                .unwrap();
        bytes
    };
    let (blocks, bytes) = taken().await;
    let by_size = |bytes: i64| UsageLimits { bytes: bytes.unsigned_abs(), ..keep(90, u64::MAX) };
    assert!(!retire(by_size(bytes), end).await, "as many bytes as are allowed");
    assert!(retire(by_size(bytes - 1), end).await);
    assert_eq!(taken().await.0, blocks - 1);
    fixture.assert_sound().await;

    while retire(keep(1, u64::MAX), at(30 * DAY)).await {
        fixture.assert_sound().await;
    }
    assert_eq!(oldest().await, None, "without traffic too, nothing is kept longer");
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM usage_name")
        .fetch_one(&mut fixture.raw().await)
        .await
        .unwrap();
    assert_eq!(left, 0, "the sums by name go with their block");
    apply(&fixture, vec![of(900_001, &keys[0], 4)]).await;
    assert_eq!(list(&fixture, &filter).await, []);
    assert_eq!(list(&fixture, &UsageFilter::default()).await.len(), 1);
    fixture.assert_sound().await;
}

#[tokio::test]
async fn a_block_of_a_day_ago_is_closed_by_the_next_record() {
    let fixture = super::open().await;
    let ada = key(&fixture, "ada", 1, "").await;
    for (seq, day) in [(1, 1), (2, 1), (3, 3), (4, 9)] {
        let mut one = of(seq, &ada, 1);
        one.outcome.ended = at(day * DAY);
        apply(&fixture, vec![one]).await;
    }
    let ids: Vec<i64> =
        list(&fixture, &UsageFilter::default()).await.iter().map(|record| record.id / BLOCK as i64).collect();
    assert_eq!(ids, [2, 1, 0, 0]);
    let filter = UsageFilter { from: Some(at(2 * DAY)), until: Some(at(9 * DAY)), ..UsageFilter::default() };
    assert_eq!(fixture.store.usage_sums(&filter).await.unwrap().requests, 1);
    fixture.assert_sound().await;
}
