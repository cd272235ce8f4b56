//! Forgetting old records: the oldest block first, one in a transaction, so that no step takes long.

use super::{BLOCK, DAY, by_name, write::close_open};
use crate::{
    database::Tx,
    sql::Run,
    store::{Store, StoreError},
};

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageLimits {
    /// Days that a record is kept at least; it is gone at most a day later.
    pub days: u32,
    /// Records that are kept at most. They go some sixteen thousand at a time.
    pub records: u64,
    /// Bytes that records may take at most, about. They go some sixteen thousand at a time.
    pub bytes: u64,
}

impl Default for UsageLimits {
    fn default() -> Self {
        Self { days: 90, records: 20_000_000, bytes: 8 << 30 }
    }
}

impl Store {
    /// Forgets one block of records that is too old or one too many at `now`. `false` when there is none. What is
    /// forgotten is added up for each pool, so the books can still be proved.
    ///
    /// # Errors
    /// The database.
    pub async fn retire_usage(
        &self,
        limits: UsageLimits,
        now: model::clock::Timestamp,
    ) -> Result<bool, StoreError> {
        let oldest_kept = now.millis().saturating_sub(i64::from(limits.days).saturating_mul(DAY));
        let mut tx = self.write().await?;
        let open = close_if_stale(&mut tx, now.millis()).await?;
        let oldest: Option<(i64, i64)> =
            tx.query("SELECT block, newest FROM usage_block ORDER BY block LIMIT 1").fetch_optional().await?;
        let (closed, bytes): (i64, i64) = tx
            .query(
                "SELECT CAST(coalesce(sum(requests), 0) AS BIGINT), CAST(coalesce(sum(bytes), 0) AS BIGINT)
                 FROM usage_block",
            )
            .fetch_one()
            .await?;
        let beyond = |is: i64, most: u64| u64::try_from(is).is_ok_and(|is| is > most);
        let much = beyond(closed.saturating_add(open), limits.records) || beyond(bytes, limits.bytes);
        let due = oldest.filter(|(_, newest)| *newest < oldest_kept || much);
        if let Some((block, _)) = due {
            forget(&mut tx, block).await?;
        }
        tx.commit().await?;
        Ok(due.is_some())
    }
}

/// Closes the open block when its first record is a day old: without traffic nothing else does. Returns how many records
/// the open block has.
async fn close_if_stale(tx: &mut Tx, now: i64) -> Result<i64, StoreError> {
    let (next, opened): (i64, i64) =
        tx.query("SELECT id, opened FROM usage_next WHERE one = 1").fetch_one().await?;
    if opened != 0 && now.saturating_sub(opened) >= DAY {
        return Ok(close_open(tx, next).await?.rem_euclid(BLOCK));
    }
    Ok(next.rem_euclid(BLOCK))
}

async fn forget(tx: &mut Tx, block: i64) -> Result<(), StoreError> {
    let (low, high) = (block * BLOCK, (block + 1) * BLOCK);
    for sql in [
        "INSERT INTO usage_retired (pool, units)
         SELECT key_pool, CAST(sum(units) AS BIGINT) FROM usage JOIN usage_payer ON usage_payer.id = payer
         WHERE usage.id >= $1 AND usage.id < $2 GROUP BY key_pool
         ON CONFLICT (pool) DO UPDATE SET units = usage_retired.units + excluded.units",
        "INSERT INTO usage_retired (pool, units)
         SELECT account_pool, CAST(sum(units) AS BIGINT) FROM usage JOIN usage_payer ON usage_payer.id = payer
         WHERE usage.id >= $1 AND usage.id < $2 GROUP BY account_pool
         ON CONFLICT (pool) DO UPDATE SET units = usage_retired.units + excluded.units",
    ] {
        tx.query(sql).bind(low).bind(high).execute().await?;
    }
    for sql in [
        "DELETE FROM usage_part WHERE block = $3 AND account IN (SELECT 0 UNION SELECT usage_payer.account
            FROM usage JOIN usage_payer ON usage_payer.id = payer WHERE usage.id >= $1 AND usage.id < $2)",
        "DELETE FROM usage_request WHERE block = $3 AND shard IN (SELECT DISTINCT request_key / 65536
            FROM usage WHERE id >= $1 AND id < $2)",
    ] {
        tx.query(sql).bind(low).bind(high).bind(block).execute().await?;
    }
    by_name::forget(tx, block, (low, high)).await?;
    tx.query("DELETE FROM usage WHERE id >= $1 AND id < $2").bind(low).bind(high).execute().await?;
    tx.query("DELETE FROM usage_block WHERE block = $1").bind(block).execute().await?;
    Ok(())
}
