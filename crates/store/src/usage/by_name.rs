//! The sums of closed blocks by the name of the key, for a question about nothing but a name and times.
//!
//! A name may be common to a thousand accounts. Here it is one row for each block.

use std::{collections::HashMap, sync::LazyLock};

use ledger::Charge;

use super::UsageFilter;
use crate::{build::Sql, database::Tx, rows::ManyRows, sql::Run, store::StoreError};

/// Requests, errors, units, input, cached input, cache writes, output, reasoning, milliseconds.
type Sums = [i64; 9];

/// The open block's sums by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(HashMap<String, Sums>);

static ROWS: LazyLock<ManyRows> = LazyLock::new(|| {
    let before =
        "INSERT INTO usage_name (key_name, block, requests, errors, units, input, cached_input, cache_write, output,
         reasoning, took) VALUES ";
    ManyRows::new(before, 11, "")
});

impl Names {
    /// Adds one record; `sums` are its requests, units, and what stands behind them.
    pub(super) fn add(&mut self, charge: &Charge, error: bool, sums: [i64; 8]) -> Result<(), StoreError> {
        let name = charge.context.key_name.as_str();
        if !self.0.contains_key(name) {
            self.0.insert(name.to_owned(), Sums::default());
        }
        let Some(sum) = self.0.get_mut(name) else { return Ok(()) };
        let [requests, rest @ ..] = sums;
        let added = [requests, i64::from(error)].into_iter().chain(rest);
        for (sum, more) in sum.iter_mut().zip(added) {
            *sum = sum.checked_add(more).ok_or(StoreError::Corrupt("usage that cannot be added up"))?;
        }
        Ok(())
    }

    /// Writes the sums of a whole block.
    pub(super) async fn close(&self, tx: &mut Tx, block: i64) -> Result<(), StoreError> {
        let mut rows: Vec<(&String, &Sums)> = self.0.iter().collect();
        rows.sort_unstable();
        for (sql, rows) in ROWS.split(tx.engine(), &rows) {
            let mut query = tx.query(sql);
            for (name, sums) in rows {
                query = query.bind(name.as_str()).bind(block);
                for sum in *sums {
                    query = query.bind(*sum);
                }
            }
            query.execute().await?;
        }
        Ok(())
    }
}

/// Sums a block up from its rows.
pub(super) async fn close(tx: &mut Tx, block: i64, (low, high): (i64, i64)) -> Result<(), StoreError> {
    tx.query(
        "INSERT INTO usage_name (key_name, block, requests, errors, units, input, cached_input, cache_write, output,
            reasoning, took)
         SELECT key_name, $1, count(*), CAST(sum(CASE WHEN kind = 5 THEN 1 ELSE 0 END) AS BIGINT),
            CAST(sum(units) AS BIGINT), CAST(sum(input) AS BIGINT), CAST(sum(cached_input) AS BIGINT),
            CAST(sum(cache_write) AS BIGINT), CAST(sum(output) AS BIGINT), CAST(sum(reasoning) AS BIGINT),
            CAST(sum(took) AS BIGINT)
         FROM usage JOIN usage_payer ON usage_payer.id = usage.payer
         WHERE usage.id >= $2 AND usage.id < $3 GROUP BY key_name",
    )
    .bind(block)
    .bind(low)
    .bind(high)
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

impl UsageFilter {
    /// Whether it asks for nothing but the name of a key, and times.
    pub(super) fn is_of_names_alone(&self) -> bool {
        let rest = Self { key_name: None, from: None, until: None, before: None, ..self.clone() };
        self.key_name.is_some() && rest == Self::default()
    }

    /// The closed blocks that have to do with the names and times, as a table `n` joined with `b`.
    pub(super) fn push_named_blocks(&self, sql: &mut Sql) {
        let (from, until) = self.times();
        sql.push(" FROM usage_name AS n JOIN usage_block AS b ON b.block = n.block WHERE b.newest >= ");
        sql.push_bind(from).push(" AND b.oldest < ").push_bind(until);
        self.push_key_name(sql, "n.key_name");
    }
}

/// Closed blocks with records of such a name, newest first: how many, and whether the times cut through the block.
pub(super) async fn blocks(
    connection: &mut impl Run,
    filter: &UsageFilter,
) -> Result<Vec<(i64, i64, i64)>, StoreError> {
    let (from, until) = filter.times();
    let mut sql = Sql::new("SELECT n.block, CAST(sum(n.requests) AS BIGINT), max(CASE WHEN b.oldest < ");
    sql.push_bind(from).push(" OR b.newest >= ").push_bind(until).push(" THEN CAST(1 AS BIGINT) ELSE 0 END)");
    filter.push_named_blocks(&mut sql);
    sql.push(" GROUP BY n.block ORDER BY n.block DESC");
    Ok(connection.built(sql).fetch_all().await?)
}
