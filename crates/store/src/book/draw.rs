//! What charges do to leases and pools.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, LazyLock},
};

use model::id::{LeaseId, PoolId};
use sqlx::AssertSqlSafe;

use super::{
    TOO_MANY,
    lost::{self, Lost},
};
use crate::{database::Tx, rows::ManyRows, sql::Run, store::StoreError};

static SPEND: LazyLock<ManyRows> = LazyLock::new(|| {
    ManyRows::new(
        "WITH draw (pool, lease, units, journal) AS (VALUES ",
        4,
        ") UPDATE lease SET spent = spent + draw.units FROM draw
           WHERE lease.id = draw.lease AND lease.pool = draw.pool AND lease.journal = draw.journal
           RETURNING lease.id, lease.pool, lease.state, lease.spent - lease.amount, lease.lost",
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

/// A lease after a charge.
struct Charged {
    state: String,
    /// How much more is spent of it than it has.
    beyond: i64,
    /// Whether nobody knows what is left of it.
    lost: bool,
}

type Rows = Vec<(PoolId, LeaseId, i64)>;

/// Moves what was charged from where it was reserved to used.
pub(super) async fn draw(
    tx: &mut Tx,
    journal: i64,
    draws: &BTreeMap<(PoolId, LeaseId), i64>,
) -> Result<(), StoreError> {
    let rows: Rows = draws.iter().map(|((pool, lease), units)| (*pool, *lease, *units)).collect();
    let leases = spend(tx, journal, &rows).await?;
    let mut moves: BTreeMap<PoolId, Move> = BTreeMap::new();
    let mut lost = Vec::new();
    for (pool, lease, units) in rows {
        let charged = leases.get(&(pool, lease));
        let missing = charged.map_or(if lease.0 == 0 { 0 } else { units }, |charged| charged.missing(units));
        if missing > 0 {
            lost.push(Lost { pool, lease, units: missing, known: charged.is_some() });
        }
        if missing == units && units > 0 {
            continue;
        }
        let to = moves.entry(pool).or_default();
        let from = match charged {
            Some(charged) if charged.state == "open" => &mut to.leased,
            Some(charged) if charged.state == "suspense" => &mut to.suspense,
            // The pool was edited or has no limit: nothing was reserved in what it is now.
            charged => {
                if charged.is_some_and(|charged| charged.state == "closed") {
                    let (pool, lease) = (pool.0, lease.0);
                    tracing::error!(pool, lease, units, "a charge came after its lease was closed");
                }
                &mut to.granted
            }
        };
        let sum = |sum: i64| sum.checked_add(units - missing).ok_or(StoreError::Corrupt(TOO_MANY));
        *from = sum(*from)?;
        to.used = sum(to.used)?;
    }
    apply(tx, moves).await?;
    for lost in &lost {
        lost.charge(tx, journal).await?;
    }
    Ok(())
}

impl Charged {
    /// Units of a charge that the lease does not have.
    fn missing(&self, units: i64) -> i64 {
        match self.state.as_str() {
            "open" | "suspense" => self.beyond.clamp(0, units),
            "closed" if self.lost => units,
            _ => 0,
        }
    }
}

/// Notes what was spent of leases; a pool without a limit is only counted: 0 is never a lease.
async fn spend(
    tx: &mut Tx,
    journal: i64,
    rows: &Rows,
) -> Result<HashMap<(PoolId, LeaseId), Charged>, StoreError> {
    let mut leases = HashMap::with_capacity(rows.len());
    let leased: Rows = rows.iter().filter(|(_, lease, _)| lease.0 != 0).copied().collect();
    for (sql, rows) in SPEND.split(tx.engine(), &leased) {
        let mut query = tx.query(sql);
        for (pool, lease, units) in rows {
            query = query.bind(pool.0).bind(lease.0).bind(*units).bind(journal);
        }
        for (lease, pool, state, beyond, lost) in query.fetch_all::<(i64, i64, String, i64, i64)>().await? {
            leases.insert((PoolId(pool), LeaseId(lease)), Charged { state, beyond, lost: lost != 0 });
        }
    }
    Ok(leases)
}

async fn apply(tx: &mut Tx, moves: BTreeMap<PoolId, Move>) -> Result<(), StoreError> {
    let moves: Vec<(PoolId, Move)> = moves.into_iter().collect();
    for (sql, rows) in MOVE.split(tx.engine(), &moves) {
        let there = moved(tx, sql, rows).await?;
        for one in rows.iter().filter(|(pool, _)| !there.contains(&pool.0)) {
            // Refusing it would stop every later charge.
            lost::make_pool(tx, one.0).await?;
            for (sql, rows) in MOVE.split(tx.engine(), std::slice::from_ref(one)) {
                moved(tx, sql, rows).await?;
            }
        }
    }
    Ok(())
}

async fn moved(
    tx: &mut Tx,
    sql: AssertSqlSafe<Arc<str>>,
    rows: &[(PoolId, Move)],
) -> Result<Vec<i64>, StoreError> {
    let mut query = tx.query(sql);
    for (pool, to) in rows {
        query = query.bind(pool.0).bind(to.used).bind(to.leased).bind(to.suspense).bind(to.granted);
    }
    Ok(query.scalars().await?)
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
