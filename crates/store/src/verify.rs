//! Proof that the books add up, on a live or stopped installation.

use sqlx::Connection;

use crate::{
    location::Location,
    postgres,
    sql::Run,
    sqlite,
    store::{Store, StoreError},
    usage::BLOCK,
};

/// Something that does not add up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discrepancy {
    /// The pool; `None` when it is about records as such.
    pub pool: Option<i64>,
    /// What is wrong, with both figures.
    pub what: String,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    /// Whether there is no such pool, but charges to it.
    gone: i64,
    granted: i64,
    used: i64,
    leased: i64,
    suspense: i64,
    available: i64,
    charged: i64,
    open: i64,
    suspended: i64,
}

impl Location {
    /// Every difference in the database, as [`Store::verify`] finds them, without changing anything: it is opened for
    /// reading alone, no schema is brought up to date, and no master key is needed.
    ///
    /// # Errors
    /// The database; a schema that this program does not know.
    pub async fn verify(&self) -> Result<Vec<Discrepancy>, StoreError> {
        match self {
            Self::File(path) => {
                let mut database = sqlite::open_to_read(path).await?;
                let found = find(&mut database).await;
                database.close().await?;
                found
            }
            Self::Server(server) => {
                let mut database = postgres::open_to_read(&server.url).await?;
                let found = find(&mut database).await;
                database.close().await?;
                found
            }
        }
    }
}

impl Store {
    /// Every difference between pools, leases and charges: the equation `granted = used + leased + suspense +
    /// available` with nothing negative (I1), and used against the sum of the charges (I2). Also every lease that is
    /// spent beyond its amount, which a sum would hide behind another lease, every charge to a pool that is not there,
    /// every charge that has two records, and every block of records whose sums are not those of its records. Empty
    /// when all is well.
    ///
    /// # Errors
    /// The database.
    pub async fn verify(&self) -> Result<Vec<Discrepancy>, StoreError> {
        find(&mut self.database().proof().await?).await
    }
}

/// Every difference, as [`Store::verify`] says.
pub(crate) async fn find(database: &mut impl Run) -> Result<Vec<Discrepancy>, StoreError> {
    // The database compares: of millions of pools only those come that are wrong. It reads all records for it, so charges to a
    // pool that is gone are found on the same way.
    let rows: Vec<Row> = database.query(
            "WITH paid AS (
                SELECT payer, sum(units) AS units FROM usage
                WHERE id >= (SELECT kept FROM usage_next WHERE one = 1) * $1 GROUP BY payer
             ), charged AS (
                SELECT pool, CAST(sum(units) AS BIGINT) AS units FROM (
                    SELECT key_pool AS pool, units FROM paid JOIN usage_payer ON usage_payer.id = payer
                    UNION ALL
                    SELECT account_pool, units FROM paid JOIN usage_payer ON usage_payer.id = payer
                    UNION ALL SELECT pool, units FROM usage_retired
                ) AS draws GROUP BY pool
             ), held AS (
                SELECT pool,
                    CAST(sum(CASE WHEN state = 'open' THEN amount - spent ELSE 0 END) AS BIGINT) AS open,
                    CAST(sum(CASE WHEN state = 'suspense' THEN amount - spent ELSE 0 END) AS BIGINT) AS suspended
                FROM lease GROUP BY pool
             )
             SELECT coalesce(pool.id, charged.pool) AS id,
                CASE WHEN pool.id IS NULL THEN CAST(1 AS BIGINT) ELSE 0 END AS gone,
                coalesce(granted, 0) AS granted, coalesce(used, 0) AS used, coalesce(leased, 0) AS leased,
                coalesce(suspense, 0) AS suspense, coalesce(available, 0) AS available,
                coalesce(charged.units, 0) AS charged, coalesce(held.open, 0) AS open,
                coalesce(held.suspended, 0) AS suspended
             FROM pool FULL JOIN charged ON charged.pool = pool.id LEFT JOIN held ON held.pool = pool.id
             WHERE (pool.id IS NULL AND charged.units <> 0)
                OR granted <> used + leased + suspense + available OR used <> coalesce(charged.units, 0)
                OR leased <> coalesce(held.open, 0) OR suspense <> coalesce(held.suspended, 0)
                OR granted < 0 OR used < 0 OR leased < 0 OR suspense < 0 OR available < 0",
        )
        .bind(BLOCK)
        .fetch_all()
        .await?;
    let mut found: Vec<_> = rows.iter().flat_map(differences).collect();
    found.extend(overspent_leases(database).await?);
    found.extend(charges_twice(database).await?);
    found.extend(wrong_sums(database).await?);
    Ok(found)
}

async fn charges_twice(database: &mut impl Run) -> Result<Vec<Discrepancy>, StoreError> {
    let rows: Vec<(i64, i64, i64)> = database
        .query(
            "SELECT journal, seq, count(*) FROM usage GROUP BY journal, seq HAVING count(*) > 1
             ORDER BY journal, seq LIMIT 100",
        )
        .fetch_all()
        .await?;
    let name = |(journal, seq, count)| Discrepancy {
        pool: None,
        what: format!("charge {seq} of journal {journal} has {count} records"),
    };
    Ok(rows.into_iter().map(name).collect())
}

async fn wrong_sums(database: &mut impl Run) -> Result<Vec<Discrepancy>, StoreError> {
    let rows: Vec<(i64, i64, i64, i64, i64)> = database
        .query(
            "WITH part AS (
                SELECT block, CAST(sum(requests) AS BIGINT) AS requests, CAST(sum(units) AS BIGINT) AS units
                FROM usage_part WHERE account <> 0 GROUP BY block
             ), total AS (
                SELECT block, CAST(sum(requests) AS BIGINT) AS requests, CAST(sum(units) AS BIGINT) AS units
                FROM usage_part WHERE account = 0 GROUP BY block
             ), record AS (
                SELECT id / $1 AS block, count(*) AS requests, CAST(sum(units) AS BIGINT) AS units
                FROM usage GROUP BY id / $1
             )
             SELECT usage_block.block, coalesce(record.requests, 0), coalesce(record.units, 0),
                coalesce(part.requests, 0), coalesce(part.units, 0)
             FROM usage_block LEFT JOIN part ON part.block = usage_block.block
                LEFT JOIN total ON total.block = usage_block.block
                LEFT JOIN record ON record.block = usage_block.block
             WHERE coalesce(record.requests, 0) <> coalesce(part.requests, 0)
                OR coalesce(record.units, 0) <> coalesce(part.units, 0)
                OR coalesce(total.requests, 0) <> coalesce(part.requests, 0)
                OR coalesce(total.units, 0) <> coalesce(part.units, 0)
                OR usage_block.requests <> coalesce(part.requests, 0)
             ORDER BY usage_block.block",
        )
        .bind(BLOCK)
        .fetch_all()
        .await?;
    let name = |(block, requests, units, summed, sum)| Discrepancy {
        pool: None,
        what: format!(
            "block {block} has {requests} records of {units} units, its sums say {summed} of {sum}"
        ),
    };
    Ok(rows.into_iter().map(name).collect())
}

async fn overspent_leases(database: &mut impl Run) -> Result<Vec<Discrepancy>, StoreError> {
    let rows: Vec<(i64, i64, i64, i64)> = database
        .query(
            "SELECT pool, id, amount, spent FROM lease
             WHERE state IN ('open', 'suspense') AND (spent < 0 OR spent > amount) ORDER BY pool, id",
        )
        .fetch_all()
        .await?;
    let name = |(pool, lease, amount, spent)| Discrepancy {
        pool: Some(pool),
        what: format!("lease {lease} has the amount {amount}, and {spent} of it is spent"),
    };
    Ok(rows.into_iter().map(name).collect())
}

fn differences(row: &Row) -> Vec<Discrepancy> {
    if row.gone != 0 {
        let what = format!("there is no such pool, its charges are {}", row.charged);
        return vec![Discrepancy { pool: Some(row.id), what }];
    }
    let sum = row.used + row.leased + row.suspense + row.available;
    let checks = [
        ("granted", row.granted, "used + leased + suspense + available", sum),
        ("used", row.used, "its charges", row.charged),
        ("leased", row.leased, "the rest of its open leases", row.open),
        ("suspense", row.suspense, "the rest of its leases in suspense", row.suspended),
    ];
    let unequal = checks.iter().filter(|(_, a, _, b)| a != b).map(|(left, a, right, b)| Discrepancy {
        pool: Some(row.id),
        what: format!("{left} is {a}, {right} {b}"),
    });
    let amounts = [
        ("granted", row.granted),
        ("used", row.used),
        ("leased", row.leased),
        ("suspense", row.suspense),
        ("available", row.available),
    ];
    let negative = amounts.iter().filter(|(_, amount)| *amount < 0).map(|(name, amount)| Discrepancy {
        pool: Some(row.id),
        what: format!("{name} is negative: {amount}"),
    });
    unequal.chain(negative).collect()
}
