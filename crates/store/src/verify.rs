//! Proof that the books add up, on a live or stopped installation.

use crate::store::{Store, StoreError};

/// Something that does not add up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discrepancy {
    /// The pool, or 0 for the installation as a whole.
    pub pool: i64,
    /// What is wrong, with both figures.
    pub what: String,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    granted: i64,
    used: i64,
    leased: i64,
    suspense: i64,
    available: i64,
    charged: i64,
    open: i64,
    suspended: i64,
}

impl Store {
    /// Every difference between pools, leases and charges: the equation `granted = used + leased + suspense +
    /// available` with nothing negative (I1), and used against the sum of the charges (I2; that no request is charged
    /// twice is the primary key of the records). Empty when all is well.
    ///
    /// # Errors
    /// The database.
    pub async fn verify(&self) -> Result<Vec<Discrepancy>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "WITH charged AS (
                SELECT pool, sum(units) AS units FROM (
                    SELECT key_pool AS pool, units FROM usage UNION ALL SELECT account_pool, units FROM usage
                ) AS draws GROUP BY pool
             ), held AS (
                SELECT pool,
                    sum(CASE WHEN state = 'open' THEN amount - spent ELSE 0 END) AS open,
                    sum(CASE WHEN state = 'suspense' THEN amount - spent ELSE 0 END) AS suspended
                FROM lease GROUP BY pool
             )
             SELECT pool.id, granted, used, leased, suspense, available, coalesce(charged.units, 0) AS charged,
                coalesce(held.open, 0) AS open, coalesce(held.suspended, 0) AS suspended
             FROM pool LEFT JOIN charged ON charged.pool = pool.id LEFT JOIN held ON held.pool = pool.id",
        )
        .fetch_all(self.reader())
        .await?;
        Ok(rows.iter().flat_map(differences).collect())
    }
}

fn differences(row: &Row) -> Vec<Discrepancy> {
    let sum = row.used + row.leased + row.suspense + row.available;
    let checks = [
        ("granted", row.granted, "used + leased + suspense + available", sum),
        ("used", row.used, "its charges", row.charged),
        ("leased", row.leased, "the rest of its open leases", row.open),
        ("suspense", row.suspense, "the rest of its leases in suspense", row.suspended),
    ];
    let unequal = checks
        .iter()
        .filter(|(_, a, _, b)| a != b)
        .map(|(left, a, right, b)| Discrepancy { pool: row.id, what: format!("{left} is {a}, {right} {b}") });
    let amounts = [
        ("granted", row.granted),
        ("used", row.used),
        ("leased", row.leased),
        ("suspense", row.suspense),
        ("available", row.available),
    ];
    let negative = amounts
        .iter()
        .filter(|(_, amount)| *amount < 0)
        .map(|(name, amount)| Discrepancy { pool: row.id, what: format!("{name} is negative: {amount}") });
    unequal.chain(negative).collect()
}
