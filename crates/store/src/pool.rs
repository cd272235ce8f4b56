//! Pools: making them, and setting what remains in one while traffic flows.

use model::{id::PoolId, money::Units};

use crate::{
    database::Tx,
    sql::{Engine, Run},
    store::StoreError,
};

/// An amount that a pool may be given: nothing else survives a JSON number or keeps the sums in range.
fn check(units: Units) -> Result<(), StoreError> {
    if (Units::ZERO..=Units::MAX).contains(&units) {
        return Ok(());
    }
    Err(StoreError::Invalid(format!("a quota must be between 0 and {}", Units::MAX)))
}

pub(crate) async fn create(tx: &mut Tx, units: Units, unlimited: bool) -> Result<PoolId, StoreError> {
    check(units)?;
    let id = tx
        .query(
            "INSERT INTO pool (granted, used, leased, suspense, available, unlimited)
         VALUES ($1, 0, 0, 0, $1, $2) RETURNING id",
        )
        .bind(units.get())
        .bind(i64::from(unlimited))
        .scalar()
        .await?;
    Ok(PoolId(id))
}

/// Sets what remains from this moment on, and whether there is a limit; `None` keeps.
///
/// Open leases are voided: what was admitted before the edit settles against them, which raises granted and used
/// together, so it takes nothing from what is set here. What is held for jobs is voided where the quota itself is set, for
/// nothing of it may come back to what is set here.
pub(crate) async fn set(
    tx: &mut Tx,
    pool: PoolId,
    remaining: Option<Units>,
    unlimited: Option<bool>,
) -> Result<(), StoreError> {
    remaining.map_or(Ok(()), check)?;
    let leased: i64 = tx.query(
        "SELECT CAST(coalesce(sum(amount - spent), 0) AS BIGINT) FROM lease WHERE pool = $1 AND state = 'open'",
    )
    .bind(pool.0)
    .scalar()
    .await?;
    tx.query("UPDATE lease SET state = 'void' WHERE pool = $1 AND state = 'open'")
        .bind(pool.0)
        .execute()
        .await?;
    let suspended: i64 = tx
        .query(
            "SELECT CAST(coalesce(sum(amount - spent), 0) AS BIGINT) FROM lease
         WHERE pool = $1 AND state = 'suspense' AND $2",
        )
        .bind(pool.0)
        .bind(remaining.is_some())
        .scalar()
        .await?;
    tx.query("UPDATE lease SET state = 'void' WHERE pool = $1 AND state = 'suspense' AND $2")
        .bind(pool.0)
        .bind(remaining.is_some())
        .execute()
        .await?;
    let newest = newest_lease(tx).await?;
    // What its node has not spoken of yet is part of what was available, and nothing of what is set here.
    tx.query(
        "UPDATE lease SET state = 'void', lost = 0 WHERE pool = $1 AND lost = 1 AND state = 'closed' AND $2",
    )
    .bind(pool.0)
    .bind(remaining.is_some())
    .execute()
    .await?;
    tx.query(
        "UPDATE pool SET
            edited = CASE WHEN $2 IS NULL THEN edited ELSE $6 END,
            available = coalesce($2, available + $3),
            granted = used + (suspense - $5) + (leased - $3) + coalesce($2, available + $3),
            leased = leased - $3,
            suspense = suspense - $5,
            unlimited = coalesce($4, unlimited)
         WHERE id = $1",
    )
    .bind(pool.0)
    .bind(remaining.map(Units::get))
    .bind(leased)
    .bind(unlimited.map(i64::from))
    .bind(suspended)
    .bind(newest)
    .execute()
    .await?;
    Ok(())
}

/// The newest number that a lease was given, also by a server of the database that is lost: what has that or an older one was
/// leased before now.
async fn newest_lease(tx: &mut Tx) -> Result<i64, StoreError> {
    let text = match tx.engine() {
        Engine::Sqlite => "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'lease'",
        Engine::Postgres => {
            "SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence('lease', 'id')::regclass), 0)"
        }
    };
    Ok(tx.query(text).scalar().await?)
}
