//! Usage records go by whole partitions, and the books are the same.

use std::{cell::Cell, collections::BTreeSet};

use ledger::Charge;
use model::{id::PoolId, key::ApiKey};
use sqlx::{Connection, PgConnection};
use store::{Location, OpenLeases, UsageFilter, UsageLimits, UsageSums};
use tempfile::TempDir;

use super::{
    both::usage::{DAY, apply, key, list, of, sums},
    until_waited_for,
};
use crate::{
    fixture::{Fixture, at},
    server::Database,
};

/// Blocks of a partition, and ids of a block.
const BLOCKS: i64 = 256;
const BLOCK: i64 = 16_384;
/// Of a scene whose records are a second apart: when the first of its blocks is a week old, when the second is, and when the
/// last is.
const FIRST_IS_OLD: i64 = 8 * DAY + BLOCK * 1_000 + 1;
const SECOND_IS_OLD: i64 = 8 * DAY + 2 * BLOCK * 1_000 + 1;
const THIRD_IS_OLD: i64 = 8 * DAY + (2 * BLOCK + 100) * 1_000 + 1;
const LIMITS: UsageLimits = UsageLimits { days: 7, records: u64::MAX, bytes: u64::MAX };

/// The tables of each partition, by its number.
async fn partitions(raw: &mut PgConnection) -> BTreeSet<(i64, String)> {
    let names: Vec<(String, String)> = sqlx::query_as(
        "SELECT p.relname::text, c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            JOIN pg_class p ON p.oid = i.inhparent WHERE c.relkind = 'r'",
    )
    .fetch_all(raw)
    .await
    .unwrap();
    let number = |(parent, name): (String, String)| {
        let number = name.strip_prefix(&format!("{parent}_p")).unwrap().parse().unwrap();
        (number, parent)
    };
    names.into_iter().map(number).collect()
}

fn all_of(numbers: &[i64]) -> BTreeSet<(i64, String)> {
    let tables = ["usage", "usage_part", "usage_name", "usage_request"];
    numbers.iter().flat_map(|number| tables.map(|table| (*number, table.to_owned()))).collect()
}

async fn rows(raw: &mut PgConnection) -> [i64; 4] {
    let counts: (i64, i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM usage), (SELECT count(DISTINCT block) FROM usage_part),
            (SELECT count(DISTINCT block) FROM usage_name), (SELECT count(DISTINCT block) FROM usage_request)",
    )
    .fetch_one(raw)
    .await
    .unwrap();
    counts.into()
}

/// The last two blocks of the first partition and a few records of the second, a second apart.
async fn filled(ended: impl Fn(i64) -> i64) -> (Fixture, (ApiKey, PoolId), PgConnection) {
    let fixture = super::open().await;
    let ada = key(&fixture, "ada", 1, "first").await;
    let mut raw = PgConnection::connect(&fixture.url()).await.unwrap();
    let begin = (BLOCKS - 2) * BLOCK;
    sqlx::query("UPDATE usage_next SET id = $1").bind(begin).execute(&mut raw).await.unwrap();
    let charge = |n: i64| {
        let mut one = of(n.unsigned_abs(), &ada, n % 7);
        one.outcome.ended = at(DAY + ended(n));
        one
    };
    let mut charges: Vec<Charge> = (1..=2 * BLOCK + 100).map(charge).collect();
    while !charges.is_empty() {
        let rest = charges.split_off(charges.len().min(4_096));
        apply(&fixture, std::mem::replace(&mut charges, rest)).await;
    }
    (fixture, ada, raw)
}

async fn retire(fixture: &Fixture, millis: i64) -> bool {
    fixture.store.retire_usage(LIMITS, at(millis)).await.unwrap()
}

/// What a user sees of the records: their number in a list, and their sums.
async fn seen(store: &store::Store) -> (usize, UsageSums) {
    let any = UsageFilter::default();
    let found = store.usage(&any, 0, i64::MAX).await.unwrap();
    let all = store.usage_sums(&any).await.unwrap();
    assert_eq!((i64::try_from(found.0.len()).unwrap(), sums(found.0.iter())), (found.1, all));
    let named = UsageFilter { key_name: Some("first".to_owned()), ..any };
    assert_eq!(store.usage_sums(&named).await.unwrap(), all);
    (found.0.len(), all)
}

#[tokio::test]
async fn a_partition_goes_when_all_of_it_is_forgotten() {
    let (fixture, ada, mut raw) = filled(|n| n * 1_000).await;
    assert_eq!(partitions(&mut raw).await, all_of(&[0, 1, 2]), "the first record makes the next one's room");
    let all = usize::try_from(2 * BLOCK + 100).unwrap();
    assert_eq!(seen(&fixture.store).await.0, all);
    assert!(!retire(&fixture, DAY + 7 * DAY).await);

    // The block of the last records is closed now. The first does not count any more, and its rows are left to their partition.
    assert!(retire(&fixture, FIRST_IS_OLD).await);
    assert!(!retire(&fixture, FIRST_IS_OLD).await, "the second block is younger");
    fixture.assert_sound().await;
    assert_eq!(seen(&fixture.store).await.0, all - 16_384);
    assert_eq!(rows(&mut raw).await, [2 * BLOCK + 100, 3, 3, 3]);
    let any = UsageFilter::default();
    assert_eq!(fixture.store.usage_of_request(&any, "request 5").await.unwrap(), []);
    assert_eq!(fixture.store.usage_of_request(&any, "request 16390").await.unwrap().len(), 1);
    let mut walk = fixture.store.usage_walk(any).await.unwrap();
    let mut walked = 0;
    while let Some(step) = Some(walk.step().await.unwrap()).filter(|step| !step.is_empty()) {
        walked += step.len();
    }
    assert_eq!(walked, all - 16_384);

    assert!(retire(&fixture, SECOND_IS_OLD).await);
    assert_eq!(rows(&mut raw).await, [2 * BLOCK + 100, 3, 3, 3]);
    assert_eq!(seen(&fixture.store).await.0, 100);
    assert!(retire(&fixture, SECOND_IS_OLD).await, "the partition itself");
    assert_eq!(partitions(&mut raw).await, all_of(&[1, 2]));
    assert_eq!(rows(&mut raw).await, [100, 1, 1, 1]);
    assert!(!retire(&fixture, SECOND_IS_OLD).await);
    fixture.assert_sound().await;
    apply(&fixture, vec![of(900_001, &ada, 4)]).await;
    assert_eq!(list(&fixture, &UsageFilter::default()).await.len(), 101);
    fixture.assert_sound().await;
}

#[tokio::test]
async fn a_partition_waits_for_those_who_read_it_and_holds_nobody_up_for_long() {
    let (fixture, ada, mut raw) = filled(|n| n * 1_000).await;
    for _ in 0..2 {
        assert!(retire(&fixture, SECOND_IS_OLD).await);
    }
    let mut reader = raw.begin().await.unwrap();
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM usage").fetch_one(&mut *reader).await.unwrap();
    assert_eq!(count, 2 * BLOCK + 100);
    let given_up = Cell::new(false);
    let drop = async {
        assert!(!retire(&fixture, SECOND_IS_OLD).await);
        given_up.set(true);
    };
    // Writers and readers who come while it waits wait too, until it gives up.
    let work = async {
        let mut written = 0;
        while !given_up.get() {
            written += 1;
            apply(&fixture, vec![of(900_000 + written, &ada, 4)]).await;
            assert_eq!(seen(&fixture.store).await.0, 100 + usize::try_from(written).unwrap());
        }
    };
    tokio::join!(drop, work);
    reader.rollback().await.unwrap();
    assert!(retire(&fixture, SECOND_IS_OLD).await);
    assert_eq!(partitions(&mut raw).await, all_of(&[1, 2]));
    fixture.assert_sound().await;
}

/// So that with many blocks to forget nobody waits again and again for a partition that somebody reads.
#[tokio::test]
async fn a_partition_is_dropped_when_no_block_is_to_be_forgotten() {
    let (fixture, _, mut raw) = filled(|n| n * 1_000).await;
    for _ in 0..2 {
        assert!(retire(&fixture, SECOND_IS_OLD).await);
    }
    assert!(retire(&fixture, THIRD_IS_OLD).await, "the block of the last records");
    assert_eq!(seen(&fixture.store).await.0, 0);
    assert_eq!(partitions(&mut raw).await, all_of(&[0, 1, 2]));
    assert!(retire(&fixture, THIRD_IS_OLD).await, "the partition");
    assert_eq!(partitions(&mut raw).await, all_of(&[1, 2]));
    assert!(!retire(&fixture, THIRD_IS_OLD).await);
    fixture.assert_sound().await;
}

#[tokio::test]
async fn a_backup_has_all_of_a_partition_that_is_forgotten_under_it() {
    let (fixture, _, mut raw) = filled(|n| n * 1_000).await;
    let was = seen(&fixture.store).await;
    let directory = TempDir::new().unwrap();
    let (file, other) = (directory.path().join("backup"), Database::empty().await);
    let mut gate = PgConnection::connect(&fixture.url()).await.unwrap();
    let mut gate = gate.begin().await.unwrap();
    // The first table of a copy: the moment of the backup is settled, and it has read no records yet.
    sqlx::raw_sql("LOCK TABLE data_key").execute(&mut *gate).await.unwrap();
    let place = fixture.location();
    let forget = async {
        until_waited_for(&mut raw, "data_key").await;
        for _ in 0..2 {
            assert!(retire(&fixture, SECOND_IS_OLD).await);
        }
        let dropped = retire(&fixture, SECOND_IS_OLD).await;
        gate.rollback().await.unwrap();
        dropped
    };
    let (made, dropped) = tokio::join!(place.backup(&file, at(5)), forget);
    made.unwrap();
    assert!(!dropped, "the backup will read it");
    let target = Location::Server(other.server());
    let restored = target.restore(&file, &fixture.master, OpenLeases::Suspense, true).await.unwrap();
    assert_eq!(restored.found, []);
    let store = target.open(&fixture.master).await.unwrap();
    assert_eq!(seen(&store).await, was);
    store.close().await;
    assert!(retire(&fixture, SECOND_IS_OLD).await, "nobody reads it any more");
    fixture.assert_sound().await;
}

#[tokio::test]
async fn where_a_partition_takes_days_its_blocks_go_one_by_one() {
    // A second block that is two days younger.
    let (fixture, _, mut raw) = filled(|n| if n <= BLOCK { n } else { 2 * DAY + n }).await;
    assert!(retire(&fixture, 9 * DAY).await);
    assert!(!retire(&fixture, 9 * DAY).await);
    assert_eq!(rows(&mut raw).await, [BLOCK + 100, 2, 2, 2]);
    fixture.assert_sound().await;
}

#[tokio::test]
async fn a_copy_has_room_for_every_record_and_none_of_those_that_are_forgotten() {
    let (fixture, ..) = filled(|n| n * 1_000).await;
    assert!(retire(&fixture, FIRST_IS_OLD).await);
    let was = seen(&fixture.store).await;
    let (directory, server, other) =
        (TempDir::new().unwrap(), Database::empty().await, Database::empty().await);
    let file = directory.path().join("backup");
    fixture.location().backup(&file, at(5)).await.unwrap();
    let places = [Location::File(directory.path().join("apsis.db")), Location::Server(server.server())];
    for place in &places {
        let restored = place.restore(&file, &fixture.master, OpenLeases::Suspense, true).await.unwrap();
        assert_eq!(restored.found, []);
    }
    let moved = Location::Server(other.server());
    places[0].copy_to(&moved).await.unwrap();
    for place in places.iter().chain([&moved]) {
        let store = place.open(&fixture.master).await.unwrap();
        assert_eq!(seen(&store).await, was);
        store.close().await;
    }
    for database in [&server, &other] {
        let mut raw = database.connect().await;
        assert_eq!(rows(&mut raw).await, [BLOCK + 100, 2, 2, 2]);
        assert_eq!(partitions(&mut raw).await, all_of(&[0, 1, 2]));
    }
}
