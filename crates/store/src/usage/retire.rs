//! Forgetting old records: the oldest block first, one in a transaction, so that no step takes long.
//!
//! A block is forgotten once what it charged is added up for each pool and `usage_next.kept` has gone beyond it. Its rows go
//! with it, unless it is on PostgreSQL in a partition that will have nothing but forgotten blocks within a day: that is
//! dropped whole ([`partition`]).

use super::{BLOCK, DAY, by_name, partition, write::close_open};
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
    /// Forgets one block of records that is too old or one too many at `now`; where there is none, drops a partition that is
    /// wholly forgotten. `false` when there is nothing to do, or when somebody reads that partition: then others waited behind
    /// this, so the next call is better a minute later. What is forgotten is added up for each pool, so the books can still
    /// be proved.
    ///
    /// # Errors
    /// The database.
    pub async fn retire_usage(
        &self,
        limits: UsageLimits,
        now: model::clock::Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(self.forget_block(limits, now.millis()).await? || self.drop_forgotten_partition().await?)
    }

    async fn forget_block(&self, limits: UsageLimits, now: i64) -> Result<bool, StoreError> {
        let oldest_kept = now.saturating_sub(i64::from(limits.days).saturating_mul(DAY));
        let mut tx = self.write().await?;
        let open = close_if_stale(&mut tx, now).await?;
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
        if let Some((block, newest)) = due {
            forget(&mut tx, block, newest).await?;
        }
        tx.commit().await?;
        Ok(due.is_some())
    }

    async fn drop_forgotten_partition(&self) -> Result<bool, StoreError> {
        let Some(number) = partition::forgotten(&mut self.read().await?).await? else { return Ok(false) };
        let mut tx = self.write().await?;
        let dropped = partition::drop(&mut tx, number).await?;
        if dropped {
            tx.commit().await?;
        }
        Ok(dropped)
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

async fn forget(tx: &mut Tx, block: i64, newest: i64) -> Result<(), StoreError> {
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
    if !goes_with_its_partition(tx, block, newest).await? {
        delete(tx, block).await?;
    }
    tx.query("DELETE FROM usage_block WHERE block = $1").bind(block).execute().await?;
    tx.query("UPDATE usage_next SET kept = $1 WHERE one = 1").bind(block + 1).execute().await?;
    Ok(())
}

/// Whether all of a block's partition is at most a day younger than the block.
async fn goes_with_its_partition(tx: &mut Tx, block: i64, newest: i64) -> Result<bool, StoreError> {
    let Some(end) = partition::end(tx, block).await? else { return Ok(false) };
    let next: i64 = tx.query("SELECT id FROM usage_next WHERE one = 1").scalar().await?;
    let youngest: i64 = tx
        .query("SELECT coalesce(max(newest), 0) FROM usage_block WHERE block >= $1 AND block < $2")
        .bind(block)
        .bind(end)
        .scalar()
        .await?;
    Ok(end * BLOCK <= next && youngest.saturating_sub(newest) <= DAY)
}

async fn delete(tx: &mut Tx, block: i64) -> Result<(), StoreError> {
    let (low, high) = (block * BLOCK, (block + 1) * BLOCK);
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
    Ok(())
}

/// Deletes the rows of forgotten blocks that a copy of a database has brought along.
pub(crate) async fn clear_away(on: &mut impl Run) -> Result<(), StoreError> {
    let kept: i64 = on.query("SELECT kept FROM usage_next WHERE one = 1").scalar().await?;
    let left: i64 = on.query("SELECT count(*) FROM usage WHERE id < $1").bind(kept * BLOCK).scalar().await?;
    if left == 0 {
        return Ok(());
    }
    for sql in [
        "DELETE FROM usage_part WHERE block < $1",
        "DELETE FROM usage_name WHERE block < $1",
        "DELETE FROM usage_request WHERE block < $1",
    ] {
        on.query(sql).bind(kept).execute().await?;
    }
    on.query("DELETE FROM usage WHERE id < $1").bind(kept * BLOCK).execute().await?;
    Ok(())
}
