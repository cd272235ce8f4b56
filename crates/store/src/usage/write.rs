//! Writing usage records, and closing a block: summing it up and indexing it.

use std::sync::LazyLock;

use ledger::Charge;

use super::{
    BLOCK, DAY, HOUR, UsageKind, by_name, detail, name::Learned, name::Names, partition, request_key,
    tally::Tally,
};
use crate::{
    database::Tx,
    rows::ManyRows,
    sql::{Engine, Run},
    store::StoreError,
};

/// Nothing counted in a record is larger, so that the sums of a block stay in range whatever an upstream claims.
const MOST: i64 = 1 << 40;

pub(super) fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(MOST).min(MOST)
}

/// Milliseconds from arrival to end.
pub(super) fn took(charge: &Charge) -> i64 {
    charge.outcome.ended.millis_since(charge.context.started).min(MOST)
}

/// Bytes of a record beside its text: its numbers, and its part of the sums and the index of its block. Measured with
/// `bench/usage` and `bench/scale`. PostgreSQL keeps every number in eight bytes, and 24 with every row.
pub(super) const fn beside(engine: Engine) -> i64 {
    match engine {
        Engine::Sqlite => 130,
        Engine::Postgres => 450,
    }
}

static INSERT: LazyLock<ManyRows> = LazyLock::new(|| {
    let before =
        "INSERT INTO usage (id, journal, seq, payer, way, kind, ended, took, units, input, cached_input,
         cache_write, output, reasoning, request_key, record) VALUES ";
    ManyRows::new(before, 16, "")
});

/// Appends the records of charges, and goes on with the tally of the open block. That each is applied once is for the
/// journal's cursor to guard, which moves in the same transaction.
pub(crate) async fn append(
    tx: &mut Tx,
    names: &Names,
    mut tally: Option<Tally>,
    journal: i64,
    charges: &[Charge],
) -> Result<(Learned, Option<Tally>), StoreError> {
    let mut learned = Learned::default();
    let Some(newest) = charges.iter().map(|charge| charge.outcome.ended.millis()).max() else {
        return Ok((learned, tally));
    };
    let mut full = Vec::new();
    let mut next = open_block(tx, newest).await?;
    let mut rows = Vec::with_capacity(charges.len());
    for charge in charges {
        let (payer, way) = names.of(tx, &mut learned, charge).await?;
        let record = detail::text(charge)?;
        tally = Tally::with(tally, next, payer, way, charge, &record)?;
        rows.push((next, payer, way, charge, record));
        next += 1;
        if next.rem_euclid(BLOCK) == 0 {
            full.extend(tally.take());
        }
    }
    let first = rows.first().map_or(next, |(first, ..)| *first);
    partition::make_room(tx, first, next).await?;
    for (sql, rows) in INSERT.split(tx.engine(), &rows) {
        let mut query = tx.query(sql);
        for (id, payer, way, charge, record) in rows {
            let outcome = &charge.outcome;
            query = query
                .bind(*id)
                .bind(journal)
                .bind(i64::try_from(charge.id.seq).unwrap_or(i64::MAX))
                .bind(*payer)
                .bind(*way)
                .bind(UsageKind::of(charge).number())
                .bind(outcome.ended.millis())
                .bind(took(charge))
                .bind(outcome.units.get())
                .bind(count(outcome.tokens.input))
                .bind(count(outcome.tokens.cached_input))
                .bind(count(outcome.tokens.cache_write))
                .bind(count(outcome.tokens.output))
                .bind(count(outcome.tokens.reasoning))
                .bind(request_key(&charge.context.request_id))
                .bind(record.as_str());
        }
        query.execute().await?;
    }
    close_full(tx, first, next, newest, &full).await?;
    Ok((learned, tally))
}

/// The id of the next record. Closes the open block first when its first record is a day older than `newest`, so
/// that a block can be forgotten by its age.
async fn open_block(tx: &mut Tx, newest: i64) -> Result<i64, StoreError> {
    let (next, opened): (i64, i64) =
        tx.query("SELECT id, opened FROM usage_next WHERE one = 1").fetch_one().await?;
    if opened == 0 || newest - opened < DAY {
        return Ok(next);
    }
    close_open(tx, next).await
}

/// Closes the open block early; the next record begins a new one.
pub(super) async fn close_open(tx: &mut Tx, next: i64) -> Result<i64, StoreError> {
    let block = next.div_euclid(BLOCK);
    close(tx, block).await?;
    let next = (block + 1) * BLOCK;
    tx.query("UPDATE usage_next SET id = $1, opened = 0 WHERE one = 1").bind(next).execute().await?;
    Ok(next)
}

/// Closes every block that is full now, and keeps what is to be known of the open one.
async fn close_full(
    tx: &mut Tx,
    first: i64,
    next: i64,
    newest: i64,
    full: &[Tally],
) -> Result<(), StoreError> {
    for block in first.div_euclid(BLOCK)..next.div_euclid(BLOCK) {
        match full.iter().find(|tally| tally.is_all_of(block)) {
            Some(tally) => tally.close(tx).await?,
            None => close(tx, block).await?,
        }
    }
    let fresh = first.rem_euclid(BLOCK) == 0 || first.div_euclid(BLOCK) < next.div_euclid(BLOCK);
    let opened = match (next.rem_euclid(BLOCK), fresh) {
        (0, _) => Some(0),
        (_, true) => Some(newest),
        (_, false) => None,
    };
    tx.query("UPDATE usage_next SET id = $1, opened = coalesce($2, opened) WHERE one = 1")
        .bind(next)
        .bind(opened)
        .execute()
        .await?;
    Ok(())
}

macro_rules! sum_up {
    ($account:literal, $payer:literal, $by:literal) => {
        concat!(
            "INSERT INTO usage_part (account, block, hour, payer, way, kind, requests, units, input, cached_input,
                cache_write, output, reasoning, took, offsets)
             SELECT ",
            $account,
            ", $1, usage.ended - usage.ended % $4, ",
            $payer,
            ", usage.way, usage.kind, count(*), CAST(sum(usage.units) AS BIGINT),
                CAST(sum(usage.input) AS BIGINT), CAST(sum(usage.cached_input) AS BIGINT),
                CAST(sum(usage.cache_write) AS BIGINT), CAST(sum(usage.output) AS BIGINT),
                CAST(sum(usage.reasoning) AS BIGINT), CAST(sum(usage.took) AS BIGINT),
                string_agg(CAST(usage.id - $2 AS TEXT), ',')
             FROM usage",
            $by
        )
    };
}

async fn close(tx: &mut Tx, block: i64) -> Result<(), StoreError> {
    let (low, high) = (block * BLOCK, (block + 1) * BLOCK);
    let by_payer = sum_up!(
        "usage_payer.account",
        "usage.payer",
        " JOIN usage_payer ON usage_payer.id = usage.payer WHERE usage.id >= $2 AND usage.id < $3
          GROUP BY 1, 3, 4, 5, 6"
    );
    let together = sum_up!("0", "0", " WHERE usage.id >= $2 AND usage.id < $3 GROUP BY 3, 5, 6");
    for sql in [by_payer, together] {
        tx.query(sql).bind(block).bind(low).bind(high).bind(HOUR).execute().await?;
    }
    by_name::close(tx, block, (low, high)).await?;
    tx.query(
        "INSERT INTO usage_request (shard, block, offsets)
         SELECT request_key / 65536, $1,
            string_agg(CAST(request_key % 65536 AS TEXT) || ':' || CAST(id - $2 AS TEXT), ',')
         FROM usage WHERE id >= $2 AND id < $3 GROUP BY 1",
    )
    .bind(block)
    .bind(low)
    .bind(high)
    .execute()
    .await?;
    let beside = beside(tx.engine());
    tx.query(
        "INSERT INTO usage_block (block, requests, oldest, newest, bytes)
         SELECT $1, count(*), coalesce(min(ended), 0), coalesce(max(ended), 0),
            CAST(coalesce(sum(octet_length(record) + $4), 0) AS BIGINT)
         FROM usage WHERE id >= $2 AND id < $3",
    )
    .bind(block)
    .bind(low)
    .bind(high)
    .bind(beside)
    .execute()
    .await?;
    Ok(())
}

/// Adds to what upstreams claimed beyond their holds. The sum stops at the largest number: in SQLite an overflow would
/// turn it into a float.
pub(crate) async fn add_overrun(tx: &mut Tx, units: i64) -> Result<(), StoreError> {
    let before: i64 = tx.query("SELECT units FROM overrun WHERE id = 1").scalar().await?;
    tx.query("UPDATE overrun SET units = $1 WHERE id = 1")
        .bind(before.saturating_add(units))
        .execute()
        .await?;
    Ok(())
}
