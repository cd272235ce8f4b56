//! The sums of closed blocks by the name of the key, for a question that names no account.
//!
//! A name may be common to a thousand accounts, whose sums would all have to be read. Here they are one.

use std::{collections::BTreeMap, sync::LazyLock};

use super::{HOUR, tally::Part};
use crate::{database::Tx, rows::ManyRows, sql::Run, store::StoreError};

/// What a sum is of: name, hour, way, kind.
type Of<'a> = (&'a str, i64, i64, i64);

static ROWS: LazyLock<ManyRows> = LazyLock::new(|| {
    let before =
        "INSERT INTO usage_name (key_name, block, hour, way, kind, requests, units, input, cached_input,
         cache_write, output, reasoning, took, offsets) VALUES ";
    ManyRows::new(before, 14, "")
});

/// Writes the sums of a whole block.
pub(super) async fn write(tx: &mut Tx, block: i64, sums: &BTreeMap<Of<'_>, Part>) -> Result<(), StoreError> {
    let sums: Vec<_> = sums.iter().collect();
    for (sql, rows) in ROWS.split(tx.engine(), &sums) {
        let mut query = tx.query(sql);
        for ((name, hour, way, kind), part) in rows {
            query = query.bind(*name).bind(block).bind(*hour).bind(*way).bind(*kind);
            for sum in part.sums() {
                query = query.bind(sum);
            }
            query = query.bind(part.offsets());
        }
        query.execute().await?;
    }
    Ok(())
}

/// Sums a block up from its rows.
pub(super) async fn close(tx: &mut Tx, block: i64, (low, high): (i64, i64)) -> Result<(), StoreError> {
    tx.query(
        "INSERT INTO usage_name (key_name, block, hour, way, kind, requests, units, input, cached_input, cache_write,
            output, reasoning, took, offsets)
         SELECT usage_payer.key_name, $1, usage.ended - usage.ended % $4, usage.way, usage.kind, count(*),
            CAST(sum(usage.units) AS BIGINT), CAST(sum(usage.input) AS BIGINT),
            CAST(sum(usage.cached_input) AS BIGINT), CAST(sum(usage.cache_write) AS BIGINT),
            CAST(sum(usage.output) AS BIGINT), CAST(sum(usage.reasoning) AS BIGINT),
            CAST(sum(usage.took) AS BIGINT), string_agg(CAST(usage.id - $2 AS TEXT), ',')
         FROM usage JOIN usage_payer ON usage_payer.id = usage.payer
         WHERE usage.id >= $2 AND usage.id < $3 GROUP BY 1, 3, 4, 5",
    )
    .bind(block)
    .bind(low)
    .bind(high)
    .bind(HOUR)
    .execute()
    .await?;
    Ok(())
}

/// Forgets the sums of a block whose rows are still there.
pub(super) async fn forget(tx: &mut Tx, block: i64, (low, high): (i64, i64)) -> Result<(), StoreError> {
    tx.query(
        "DELETE FROM usage_name WHERE block = $3 AND key_name IN (SELECT usage_payer.key_name
            FROM usage JOIN usage_payer ON usage_payer.id = payer WHERE usage.id >= $1 AND usage.id < $2)",
    )
    .bind(low)
    .bind(high)
    .bind(block)
    .execute()
    .await?;
    Ok(())
}
