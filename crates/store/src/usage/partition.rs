//! Partitions: what grows with records lies in tables of [`BLOCKS`] blocks each on PostgreSQL, so that old records go by
//! dropping tables, whatever their number. SQLite has one table of each.
//!
//! A partition is known by its number, which its tables have in their names. It is made long before it is needed, by the
//! transaction that begins the one before it, and dropped once all of its blocks are forgotten. Where an installation was
//! there before partitions, its records are in one that is larger and has the number of the last that it covers; so
//! a block is in the first partition that has its number or a larger one.

use std::collections::BTreeSet;

use sqlx::AssertSqlSafe;

use super::BLOCK;
use crate::{
    sql::{Engine, Run},
    store::StoreError,
};

/// Blocks in one partition.
const BLOCKS: i64 = 256;

/// What is partitioned, by which column, and how far a partition reaches in it.
const TABLES: [(&str, &str, i64); 4] = [
    ("usage", "id", BLOCK * BLOCKS),
    ("usage_part", "block", BLOCKS),
    ("usage_name", "block", BLOCKS),
    ("usage_request", "block", BLOCKS),
];

/// How long dropping waits for those who read. Whoever comes meanwhile waits too, so it is not long.
const PATIENCE: &str = "SET LOCAL lock_timeout = 300";

/// The column by which a table is partitioned, and how far a partition reaches in it.
pub(crate) fn of_table(table: &str) -> Option<(&'static str, i64)> {
    TABLES.iter().find(|(name, ..)| *name == table).map(|(_, column, size)| (*column, *size))
}

/// The partitions that there are, by their numbers; `None` where nothing is partitioned.
pub(crate) async fn all(on: &mut impl Run) -> Result<Option<BTreeSet<i64>>, StoreError> {
    if on.engine() == Engine::Sqlite {
        return Ok(None);
    }
    let partitioned: i64 = on
        .query("SELECT count(*) FROM pg_partitioned_table WHERE partrelid = to_regclass('usage')")
        .scalar()
        .await?;
    if partitioned == 0 {
        return Ok(None);
    }
    let names: Vec<String> = on
        .query(
            "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
             WHERE i.inhparent = to_regclass('usage')",
        )
        .scalars()
        .await?;
    let number = |name: &String| name.strip_prefix("usage_p").and_then(|number| number.parse().ok());
    Ok(Some(names.iter().filter_map(number).collect()))
}

/// Makes a partition where it is not there yet. Nobody who reads or writes waits for it.
pub(crate) async fn make(on: &mut impl Run, number: i64) -> Result<(), StoreError> {
    for (table, _, size) in TABLES {
        let part = format!("{table}_p{number}");
        let there: i64 = on
            .query("SELECT count(*) FROM pg_class WHERE oid = to_regclass($1)")
            .bind(part.as_str())
            .scalar()
            .await?;
        if there > 0 {
            continue;
        }
        let (low, high) = (number * size, (number + 1) * size);
        // Attached, since one that is made as a partition would wait for everybody who reads. Names and numbers are ours.
        for text in [
            format!("CREATE TABLE {part} (LIKE {table} INCLUDING ALL)"),
            format!("ALTER TABLE {table} ATTACH PARTITION {part} FOR VALUES FROM ({low}) TO ({high})"),
        ] {
            on.query(AssertSqlSafe(text)).once().execute().await?;
        }
    }
    Ok(())
}

/// Has room for records from `first` up to `next`: whoever writes the first record of a partition makes the one behind it.
pub(super) async fn make_room(on: &mut impl Run, first: i64, next: i64) -> Result<(), StoreError> {
    let number = (next - 1).div_euclid(BLOCK * BLOCKS);
    if on.engine() == Engine::Postgres && number * BLOCK * BLOCKS >= first {
        make(on, number).await?;
        make(on, number + 1).await?;
    }
    Ok(())
}

/// Makes the partition of the next record, and the one behind it, in a database that was filled from a copy.
pub(crate) async fn make_next(on: &mut impl Run) -> Result<(), StoreError> {
    if all(on).await?.is_some() {
        let next: i64 = on.query("SELECT id FROM usage_next WHERE one = 1").scalar().await?;
        let number = next.div_euclid(BLOCK * BLOCKS);
        make(on, number).await?;
        make(on, number + 1).await?;
    }
    Ok(())
}

/// The blocks that are in one partition with `block`: up to the one that is returned. `None` without partitions.
pub(super) async fn end(on: &mut impl Run, block: i64) -> Result<Option<i64>, StoreError> {
    let number = block.div_euclid(BLOCKS);
    let there = all(on).await?.unwrap_or_default();
    Ok(there.range(number..).next().map(|number| (number + 1) * BLOCKS))
}

/// The oldest partition, where all of its blocks are forgotten.
pub(super) async fn forgotten(on: &mut impl Run) -> Result<Option<i64>, StoreError> {
    let Some(oldest) = all(on).await?.and_then(|there| there.first().copied()) else { return Ok(None) };
    let (next, kept): (i64, i64) =
        on.query("SELECT id, kept FROM usage_next WHERE one = 1").fetch_one().await?;
    let end = (oldest + 1) * BLOCKS;
    Ok((end <= kept && end * BLOCK <= next).then_some(oldest))
}

/// Until the transaction ends no partition is dropped. Asked for before its first query: what a transaction sees is settled by
/// that, and a table that is dropped later is gone all the same.
pub(crate) async fn keep(on: &mut impl Run) -> Result<(), StoreError> {
    let tables = TABLES.map(|(table, ..)| table).join(", ");
    // The names are ours.
    on.query(AssertSqlSafe(format!("LOCK TABLE {tables} IN ACCESS SHARE MODE"))).once().execute().await?;
    Ok(())
}

/// Drops a partition; `false` where somebody reads for so long that this must wait for another time. Then the transaction
/// is of no use any more.
pub(super) async fn drop(on: &mut impl Run, number: i64) -> Result<bool, StoreError> {
    on.query(PATIENCE).execute().await?;
    let tables = TABLES.map(|(table, ..)| format!("{table}_p{number}")).join(", ");
    // The names are ours.
    match on.query(AssertSqlSafe(format!("DROP TABLE IF EXISTS {tables}"))).once().execute().await {
        Ok(_) => Ok(true),
        Err(error) if is_busy(&error) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A lock that was not to be had in time.
fn is_busy(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == "55P03")
}
