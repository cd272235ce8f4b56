//! More records than there is time to write one by one: copies of a month, as the months before it, made by the database.
//!
//! What is written honestly comes last. Its closed blocks are copied with their sums and lists, each copy 30 days and as many
//! partitions earlier as the month has, and the pools are charged for them, so the books can be proved.

use std::time::Instant;

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::{DAY, DAYS, Outcome};

/// Ids of a block, blocks of a partition.
const BLOCK: u64 = 16_384;
const BLOCKS: u64 = 256;
const PARTITION: u64 = BLOCK * BLOCKS;

/// Copies of a month on PostgreSQL.
pub(crate) struct Copies {
    url: String,
    count: u64,
    /// Partitions that the month takes.
    partitions: u64,
}

impl Copies {
    pub(crate) fn of(url: &str, records: u64, count: u64) -> Self {
        Self { url: url.to_owned(), count, partitions: records.div_ceil(PARTITION) }
    }

    /// Leaves room for the copies before the first record.
    pub(crate) async fn make_room(&self) -> Outcome<()> {
        let first = self.count * self.partitions * PARTITION;
        run(&mut PgConnection::connect(&self.url).await?, format!("UPDATE usage_next SET id = {first}")).await
    }

    /// Makes them.
    pub(crate) async fn make(&self) -> Outcome<()> {
        let mut on = PgConnection::connect(&self.url).await?;
        for number in 1..self.count * self.partitions {
            for (table, size) in [
                ("usage", PARTITION),
                ("usage_part", BLOCKS),
                ("usage_name", BLOCKS),
                ("usage_request", BLOCKS),
            ] {
                let (low, high) = (number * size, (number + 1) * size);
                let text = format!(
                    "CREATE TABLE IF NOT EXISTS {table}_p{number} PARTITION OF {table} FOR VALUES FROM ({low}) TO ({high})"
                );
                run(&mut on, text).await?;
            }
        }
        let first = self.count * self.partitions * BLOCKS;
        for copy in 1..=self.count {
            let begun = Instant::now();
            self.copy(&mut on, copy, first).await?;
            println!("copy {copy}: {:.0} s", begun.elapsed().as_secs_f64());
        }
        self.charge(&mut on, first).await?;
        run(&mut on, "VACUUM (ANALYZE)".to_owned()).await
    }

    async fn copy(&self, on: &mut PgConnection, copy: u64, first: u64) -> Outcome<()> {
        let blocks = copy * self.partitions * BLOCKS;
        let (ids, time) = (blocks * BLOCK, i64::try_from(copy)? * DAYS * DAY);
        let closed = "SELECT max(block) FROM usage_block";
        for text in [
            format!(
                "INSERT INTO usage SELECT id - {ids}, journal, seq + {copy} * 10000000000, payer, way, kind, ended - {time}, took,
                    units, input, cached_input, cache_write, output, reasoning, request_key, record
                 FROM usage WHERE id >= {first} * {BLOCK} AND id < (({closed}) + 1) * {BLOCK}"
            ),
            format!(
                "INSERT INTO usage_part SELECT account, block - {blocks}, hour - {time}, payer, way, kind, requests, units,
                    input, cached_input, cache_write, output, reasoning, took, offsets
                 FROM usage_part WHERE block >= {first}"
            ),
            format!(
                "INSERT INTO usage_name SELECT key_name, block - {blocks}, hour - {time}, way, kind, requests, units,
                    input, cached_input, cache_write, output, reasoning, took, offsets
                 FROM usage_name WHERE block >= {first}"
            ),
            format!(
                "INSERT INTO usage_request SELECT shard, block - {blocks}, offsets
                 FROM usage_request WHERE block >= {first}"
            ),
            format!(
                "INSERT INTO usage_block SELECT block - {blocks}, requests, oldest - {time}, newest - {time}, bytes
                 FROM usage_block WHERE block >= {first}"
            ),
        ] {
            run(on, text).await?;
        }
        Ok(())
    }

    /// Each pool is charged what the copies of its records say.
    async fn charge(&self, on: &mut PgConnection, first: u64) -> Outcome<()> {
        let text = format!(
            "WITH paid AS (
                SELECT payer, sum(units) AS units FROM usage_part WHERE account <> 0 AND block < {first} GROUP BY payer
             ), charged AS (
                SELECT pool, sum(units)::bigint AS units FROM (
                    SELECT key_pool AS pool, units FROM paid JOIN usage_payer ON usage_payer.id = payer
                    UNION ALL SELECT account_pool, units FROM paid JOIN usage_payer ON usage_payer.id = payer
                ) AS draws GROUP BY pool
             )
             UPDATE pool SET used = used + charged.units, granted = granted + charged.units
             FROM charged WHERE charged.pool = pool.id"
        );
        run(on, text).await
    }
}

async fn run(on: &mut PgConnection, text: String) -> Outcome<()> {
    sqlx::raw_sql(AssertSqlSafe(text)).execute(on).await?;
    Ok(())
}
