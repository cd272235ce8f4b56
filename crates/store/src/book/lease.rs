//! Grants: what nodes are given of pools, many in one transaction.

use std::{collections::HashMap, sync::LazyLock};

use ledger::{Ask, LeaseState, Node, Outlook, grant};
use model::{
    id::{LeaseId, PoolId},
    money::Units,
};

use super::{
    Refused,
    node::{Heard, hear},
    wish::Wishes,
};
use crate::{
    database::Tx,
    rows::ManyRows,
    sql::Run,
    store::{Store, StoreError},
};

/// What a node is given of one pool.
struct Grant {
    pool: PoolId,
    units: Units,
    outlook: Outlook,
}

impl Store {
    pub(super) async fn grant(&self, node: Node, asks: &[Ask]) -> Result<Vec<Option<LeaseState>>, Refused> {
        let mut tx = self.write().await?;
        let heard = hear(&mut tx, node).await?;
        let shared = heard.others > 0;
        let balances = balances(&mut tx, asks).await?;
        let wishes = if shared { Wishes::load(&mut tx, heard.journal).await? } else { Wishes::default() };
        let mut grants = Vec::with_capacity(asks.len());
        for ask in asks {
            if let Some((available, false)) = balances.get(&ask.pool).copied() {
                grants.push(decide(&mut tx, &heard, &wishes, ask, available).await?);
            }
        }
        let given = grants.iter().filter(|grant| grant.units > Units::ZERO);
        give(&mut tx, &given.map(|grant| (grant.pool.0, grant.units.get())).collect::<Vec<_>>()).await?;
        let leases = extend(&mut tx, heard.journal, &grants).await?;
        tx.commit().await?;
        if grants.iter().any(|grant| grant.outlook == Outlook::Recalled) {
            self.tell_wish(node).await;
        }
        let outlooks: HashMap<PoolId, &Grant> = grants.iter().map(|grant| (grant.pool, grant)).collect();
        let state = |ask: &Ask| {
            let (available, unlimited) = *balances.get(&ask.pool)?;
            let mut state = LeaseState {
                lease: LeaseId(0),
                amount: Units::ZERO,
                unlimited,
                available,
                shared,
                outlook: Outlook::Met,
            };
            if let (Some(grant), Some((lease, amount))) = (outlooks.get(&ask.pool), leases.get(&ask.pool)) {
                (state.lease, state.amount, state.outlook) = (*lease, *amount, grant.outlook);
                state.available = Units::new(available.get().saturating_sub(grant.units.get()));
            }
            Some(state)
        };
        Ok(asks.iter().map(state).collect())
    }
}

/// How much of one pool the node gets. What it cannot get now is written down as wanted.
async fn decide(
    tx: &mut Tx,
    heard: &Heard,
    wishes: &Wishes,
    ask: &Ask,
    available: Units,
) -> Result<Grant, StoreError> {
    let pool = ask.pool;
    if heard.unsettled > 0 {
        let outlook = if ask.need > Units::ZERO { Outlook::Withheld } else { Outlook::Met };
        return Ok(Grant { pool, units: Units::ZERO, outlook });
    }
    let reserved = wishes.reserved(pool);
    let units = grant::size(available, reserved, heard.others, ask);
    if units >= ask.need {
        wishes.fulfil(tx, pool).await?;
        return Ok(Grant { pool, units, outlook: Outlook::Met });
    }
    if heard.others == 0 {
        return Ok(Grant { pool, units, outlook: Outlook::Dry });
    }
    let outlook = wishes.want(tx, heard.journal, ask).await?;
    let units = match outlook {
        Outlook::Dry => grant::rest(available, reserved, ask),
        Outlook::Met | Outlook::Recalled | Outlook::Withheld => units,
    };
    Ok(Grant { pool, units, outlook })
}

/// What is available in each pool that there is, and whether it has no limit.
async fn balances(tx: &mut Tx, asks: &[Ask]) -> Result<HashMap<PoolId, (Units, bool)>, StoreError> {
    let mut balances = HashMap::with_capacity(asks.len());
    for (sql, rows) in LOOK.split(tx.engine(), asks) {
        let mut query = tx.query(sql);
        for ask in rows {
            query = query.bind(ask.pool.0);
        }
        for (pool, available, unlimited) in query.fetch_all::<(i64, i64, i64)>().await? {
            balances.insert(PoolId(pool), (Units::new(available), unlimited != 0));
        }
    }
    Ok(balances)
}

/// Takes units out of what is available in their pools, for leases to have; no pool twice.
pub(super) async fn give(tx: &mut Tx, given: &[(i64, i64)]) -> Result<(), StoreError> {
    for (sql, rows) in GIVE.split(tx.engine(), given) {
        let mut query = tx.query(sql);
        for (pool, units) in rows {
            query = query.bind(*pool).bind(*units);
        }
        query.execute().await?;
    }
    Ok(())
}

/// The open lease of each pool, with all that it was ever given.
async fn extend(
    tx: &mut Tx,
    journal: i64,
    grants: &[Grant],
) -> Result<HashMap<PoolId, (LeaseId, Units)>, StoreError> {
    let mut leases = HashMap::with_capacity(grants.len());
    for (sql, rows) in EXTEND.split(tx.engine(), grants) {
        let mut query = tx.query(sql);
        for grant in rows {
            query = query.bind(grant.pool.0).bind(journal).bind(grant.units.get()).bind(0_i64).bind("open");
        }
        for (pool, lease, amount) in query.fetch_all::<(i64, i64, i64)>().await? {
            leases.insert(PoolId(pool), (LeaseId(lease), Units::new(amount)));
        }
    }
    Ok(leases)
}

static LOOK: LazyLock<ManyRows> = LazyLock::new(|| {
    ManyRows::new(
        "WITH ask (pool) AS (VALUES ",
        1,
        ") SELECT pool.id, pool.available, pool.unlimited FROM ask JOIN pool ON pool.id = ask.pool",
    )
});

static GIVE: LazyLock<ManyRows> = LazyLock::new(|| {
    ManyRows::new(
        "WITH given (pool, units) AS (VALUES ",
        2,
        ") UPDATE pool SET leased = pool.leased + given.units, available = pool.available - given.units
           FROM given WHERE pool.id = given.pool",
    )
});

static EXTEND: LazyLock<ManyRows> = LazyLock::new(|| {
    ManyRows::new(
        "INSERT INTO lease (pool, journal, amount, spent, state) VALUES ",
        5,
        " ON CONFLICT (pool, journal) WHERE state = 'open'
          DO UPDATE SET amount = lease.amount + excluded.amount
          RETURNING pool, id, amount + returned",
    )
});
