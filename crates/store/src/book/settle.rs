//! A new life of the book: nodes say what they have of their leases, and what those had that say nothing is set apart.
//!
//! A lease that its node has not spoken of since is `lost`: what is left of it is counted with what is available. What keeps
//! it for its node is that nothing is leased to anybody before all have spoken who may be alive ([`super::node::Heard`]).

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use ledger::{Node, Registered, Standing};
use model::money::Units;

use super::{
    Refused,
    give_back::close_all,
    lease::give,
    node::{ENDED, refusal, revive},
    position,
};
use crate::{
    database::Tx,
    rows::ManyRows,
    sql::Run,
    store::{Store, StoreError},
};

/// A lease as the database has it.
struct Known {
    pool: i64,
    journal: i64,
    spent: i64,
    lost: bool,
}

/// A lease as it is from now on.
struct Restored {
    lease: i64,
    pool: i64,
    amount: i64,
    spent: i64,
    returned: i64,
    state: &'static str,
}

impl Store {
    /// Registers the journal of a node that goes on; not if somebody else has begun another life of it. As long as it has not
    /// said what it has, it is no more alive for that: one that never comes to say it must not be waited for without end.
    pub(super) async fn register_again(&self, before: Node, now: Node) -> Result<Registered, Refused> {
        let mut tx = self.write().await?;
        let found: Option<(i64, i64, i64, i64)> = tx
            .query(
                "INSERT INTO journal (name, epoch, applied, seen, life)
                 VALUES ($1, $2, 0, (SELECT millis FROM clock), 0)
                 ON CONFLICT (name) DO UPDATE SET epoch = excluded.epoch,
                    seen = CASE WHEN journal.life IN ($4, (SELECT life FROM usage_next)) THEN excluded.seen
                        ELSE journal.seen END,
                    life = CASE WHEN journal.life = $4 THEN excluded.life ELSE journal.life END
                    WHERE journal.epoch <= $3 OR journal.epoch = excluded.epoch
                 RETURNING id, epoch, applied, CASE WHEN life = (SELECT life FROM usage_next) THEN suspended ELSE 0 END",
            )
            .bind(now.journal.to_string())
            .bind(now.epoch)
            .bind(before.epoch)
            .bind(ENDED)
            .fetch_optional()
            .await?;
        let Some((id, epoch, applied, suspended)) = found else { return Err(Refused::Fenced) };
        if suspended != 0 {
            revive(&mut tx, id).await?;
        }
        tx.commit().await?;
        Ok(Registered { epoch, applied: applied.unsigned_abs() })
    }

    /// Makes a node's leases what it says, as far as that is available.
    pub(super) async fn restore_leases(
        &self,
        node: Node,
        applied: u64,
        told: &[Standing],
    ) -> Result<Vec<Units>, Refused> {
        let mut tx = self.write().await?;
        let found: Option<i64> = tx
            .query(
                "UPDATE journal SET seen = (SELECT millis FROM clock), suspended = 0,
                    life = (SELECT life FROM usage_next)
                 WHERE name = $1 AND epoch = $2 AND applied = $3 RETURNING id",
            )
            .bind(node.journal.to_string())
            .bind(node.epoch)
            .bind(position(applied))
            .optional_scalar()
            .await?;
        let Some(journal) = found else { return Err(refusal(&mut tx, node).await?) };
        close_all(&mut tx, journal, 1).await?;
        let known = known(&mut tx, told).await?;
        let mut pools = pools(&mut tx, told).await?;
        let restored: Vec<Restored> =
            told.iter().map(|standing| restore(journal, standing, &known, &mut pools)).collect();
        // A node has one lease of a pool.
        let given = restored.iter().filter(|lease| lease.amount > lease.spent);
        give(&mut tx, &given.map(|lease| (lease.pool, lease.amount - lease.spent)).collect::<Vec<_>>())
            .await?;
        write(&mut tx, journal, &restored).await?;
        tx.query("DELETE FROM lease WHERE journal = $1 AND lost = 1 AND state = 'closed'")
            .bind(journal)
            .execute()
            .await?;
        tx.commit().await?;
        Ok(restored
            .iter()
            .map(|lease| Units::new(if lease.state == "open" { lease.amount } else { 0 }))
            .collect())
    }
}

/// What becomes of one lease. `pools` has what is available in each, and the newest lease of all when its quota was
/// set last.
fn restore(
    journal: i64,
    standing: &Standing,
    known: &HashMap<i64, Known>,
    pools: &mut BTreeMap<i64, (i64, i64)>,
) -> Restored {
    let (lease, pool) = (standing.lease.lease.0, standing.lease.pool.0);
    let given = standing.given.get();
    let left = Restored { lease, pool, amount: 0, spent: 0, returned: 0, state: "left" };
    let Some((available, edited)) = pools.get_mut(&pool) else { return left };
    let returned = standing.returned.get();
    let spent = match known.get(&lease) {
        Some(known) if known.lost && known.journal == journal && known.pool == pool => known.spent,
        Some(_) => return left,
        // It was leased before the quota was set, and takes nothing of that.
        None if lease <= *edited => return Restored { returned, state: "void", ..left },
        None => 0,
    };
    let has = given.saturating_sub(returned);
    let rest = has.saturating_sub(spent).clamp(0, *available);
    *available -= rest;
    let amount = spent.saturating_add(rest);
    Restored {
        lease,
        pool,
        amount,
        spent,
        returned: given.saturating_sub(amount).max(returned),
        state: "open",
    }
}

/// What the database has of leases that a node speaks of.
async fn known(tx: &mut Tx, told: &[Standing]) -> Result<HashMap<i64, Known>, StoreError> {
    let mut leases = HashMap::with_capacity(told.len());
    for (sql, rows) in KNOWN.split(tx.engine(), told) {
        let mut query = tx.query(sql);
        for standing in rows {
            query = query.bind(standing.lease.lease.0);
        }
        for (id, pool, journal, spent, lost) in query.fetch_all::<(i64, i64, i64, i64, i64)>().await? {
            leases.insert(id, Known { pool, journal, spent, lost: lost != 0 });
        }
    }
    Ok(leases)
}

async fn pools(tx: &mut Tx, told: &[Standing]) -> Result<BTreeMap<i64, (i64, i64)>, StoreError> {
    let mut pools = BTreeMap::new();
    for (sql, rows) in POOLS.split(tx.engine(), told) {
        let mut query = tx.query(sql);
        for standing in rows {
            query = query.bind(standing.lease.pool.0);
        }
        for (id, available, edited) in query.fetch_all::<(i64, i64, i64)>().await? {
            pools.insert(id, (available, edited));
        }
    }
    Ok(pools)
}

async fn write(tx: &mut Tx, journal: i64, restored: &[Restored]) -> Result<(), StoreError> {
    let spoken: Vec<&Restored> = restored.iter().filter(|lease| lease.state != "left").collect();
    for (sql, rows) in WRITE.split(tx.engine(), &spoken) {
        let mut query = tx.query(sql);
        for lease in rows {
            query = query
                .bind(lease.lease)
                .bind(lease.pool)
                .bind(journal)
                .bind(lease.amount)
                .bind(lease.spent)
                .bind(lease.returned)
                .bind(lease.state);
        }
        query.execute().await?;
    }
    Ok(())
}

/// Puts what a silent node had, as far as it is known and there, in suspense. Returns how many leases those are.
pub(crate) async fn set_apart(tx: &mut impl Run, journal: i64) -> Result<u64, StoreError> {
    // What was charged without a lease of its own has nothing left; so there is one of each pool.
    let apart: Vec<(i64, i64)> = tx
        .query(
            "UPDATE lease SET state = 'suspense', lost = 0, amount = spent +
                CASE WHEN amount - spent < pool.available THEN amount - spent ELSE pool.available END
             FROM pool WHERE pool.id = lease.pool AND lease.journal = $1 AND lease.lost = 1 AND lease.state = 'closed'
                AND lease.amount > lease.spent
             RETURNING lease.pool, lease.amount - lease.spent",
        )
        .bind(journal)
        .fetch_all()
        .await?;
    for (sql, rows) in SET_APART.split(tx.engine(), &apart) {
        let mut query = tx.query(sql);
        for (pool, units) in rows {
            query = query.bind(*pool).bind(*units);
        }
        query.execute().await?;
    }
    Ok(apart.len() as u64)
}

static KNOWN: LazyLock<ManyRows> = LazyLock::new(|| {
    ManyRows::new(
        "WITH told (lease) AS (VALUES ",
        1,
        ") SELECT lease.id, lease.pool, lease.journal, lease.spent, lease.lost FROM told
           JOIN lease ON lease.id = told.lease",
    )
});

static POOLS: LazyLock<ManyRows> = LazyLock::new(|| {
    ManyRows::new(
        "WITH told (pool) AS (VALUES ",
        1,
        ") SELECT pool.id, pool.available, pool.edited FROM told JOIN pool ON pool.id = told.pool",
    )
});

static WRITE: LazyLock<ManyRows> = LazyLock::new(|| {
    ManyRows::new(
        "INSERT INTO lease (id, pool, journal, amount, spent, returned, state) VALUES ",
        7,
        " ON CONFLICT (id) DO UPDATE SET amount = excluded.amount, returned = excluded.returned,
            state = excluded.state, lost = 0",
    )
});

static SET_APART: LazyLock<ManyRows> = LazyLock::new(|| {
    ManyRows::new(
        "WITH apart (pool, units) AS (VALUES ",
        2,
        ") UPDATE pool SET suspense = pool.suspense + apart.units, available = pool.available - apart.units
           FROM apart WHERE pool.id = apart.pool",
    )
});
