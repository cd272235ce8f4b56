//! What charges do to leases and pools.

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use model::id::{LeaseId, PoolId};

use super::TOO_MANY;
use crate::{database::Tx, rows::ManyRows, sql::Run, store::StoreError};

static SPEND: LazyLock<ManyRows> = LazyLock::new(|| {
    ManyRows::new(
        "WITH draw (pool, lease, units) AS (VALUES ",
        3,
        ") UPDATE lease SET spent = spent + draw.units FROM draw
           WHERE lease.id = draw.lease AND lease.pool = draw.pool RETURNING lease.id, lease.pool, lease.state",
    )
});

static MOVE: LazyLock<ManyRows> = LazyLock::new(|| {
    ManyRows::new(
        "WITH move (pool, used, leased, suspense, granted) AS (VALUES ",
        5,
        ") UPDATE pool SET used = pool.used + move.used, leased = pool.leased - move.leased,
             suspense = pool.suspense - move.suspense, granted = pool.granted + move.granted
           FROM move WHERE pool.id = move.pool RETURNING pool.id",
    )
});

static TOUCH: LazyLock<ManyRows> = LazyLock::new(|| {
    ManyRows::new(
        "WITH touch (api_key, at) AS (VALUES ",
        2,
        ") UPDATE api_key SET accessed = touch.at FROM touch
           WHERE api_key.id = touch.api_key AND api_key.accessed <= touch.at - 60000",
    )
});

/// What charges do to one pool.
#[derive(Default)]
struct Move {
    used: i64,
    leased: i64,
    suspense: i64,
    granted: i64,
}

/// Moves what was charged from where it was reserved to used.
pub(super) async fn draw(tx: &mut Tx, draws: &BTreeMap<(PoolId, LeaseId), i64>) -> Result<(), StoreError> {
    let rows: Vec<_> = draws.iter().map(|((pool, lease), units)| (*pool, *lease, *units)).collect();
    let mut states = HashMap::with_capacity(rows.len());
    // A pool without a limit is only counted: 0 is never a lease.
    let leased: Vec<_> = rows.iter().filter(|(_, lease, _)| lease.0 != 0).copied().collect();
    for (sql, rows) in SPEND.split(tx.engine(), &leased) {
        let mut query = tx.query(sql);
        for (pool, lease, units) in rows {
            query = query.bind(pool.0).bind(lease.0).bind(*units);
        }
        for (lease, pool, state) in query.fetch_all::<(i64, i64, String)>().await? {
            states.insert((PoolId(pool), LeaseId(lease)), state);
        }
    }
    let mut moves: BTreeMap<PoolId, Move> = BTreeMap::new();
    for (pool, lease, units) in rows {
        let state = states.get(&(pool, lease)).map(String::as_str);
        if state == Some("closed") {
            tracing::error!(
                pool = pool.0,
                lease = lease.0,
                units,
                "a charge came after its lease was closed"
            );
        }
        let to = moves.entry(pool).or_default();
        let from = match state {
            Some("open") => &mut to.leased,
            Some("suspense") => &mut to.suspense,
            // The pool was edited or has no limit: nothing was reserved in what it is now.
            _ => &mut to.granted,
        };
        let sum = |sum: i64| sum.checked_add(units).ok_or(StoreError::Corrupt(TOO_MANY));
        *from = sum(*from)?;
        to.used = sum(to.used)?;
    }
    let moves: Vec<(PoolId, Move)> = moves.into_iter().collect();
    for (sql, rows) in MOVE.split(tx.engine(), &moves) {
        let mut query = tx.query(sql);
        for (pool, to) in rows {
            query = query.bind(pool.0).bind(to.used).bind(to.leased).bind(to.suspense).bind(to.granted);
        }
        let there: Vec<i64> = query.scalars().await?;
        if there.len() < rows.len() {
            for (pool, to) in rows.iter().filter(|(pool, _)| !there.contains(&pool.0)) {
                // Refusing it would stop every later charge; the record is kept, and `verify` names the difference.
                tracing::error!(pool = pool.0, units = to.used, "a charge names a pool that is not there");
            }
        }
    }
    Ok(())
}

/// Notes when keys were used last, to the minute: a page written for each key in use, several times a second, would cost
/// more than the records.
pub(super) async fn touch(tx: &mut Tx, used: BTreeMap<i64, i64>) -> Result<(), StoreError> {
    let used: Vec<(i64, i64)> = used.into_iter().collect();
    for (sql, rows) in TOUCH.split(tx.engine(), &used) {
        let mut query = tx.query(sql);
        for (key, at) in rows {
            query = query.bind(*key).bind(*at);
        }
        query.execute().await?;
    }
    Ok(())
}
