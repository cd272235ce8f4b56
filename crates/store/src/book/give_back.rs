//! What comes back from nodes: parts of open leases that others want, and whole leases that nobody uses.

use std::{collections::HashMap, sync::LazyLock};

use ledger::{Draw, Node, Part};
use model::id::LeaseId;

use super::{
    Refused,
    node::{ENDED, hear},
};
use crate::{
    database::Tx,
    rows::ManyRows,
    sql::Run,
    store::{Store, StoreError},
};

impl Store {
    /// Takes back parts of open leases. A node tells totals, so what it has told before is not counted again.
    pub(super) async fn return_parts(&self, node: Node, parts: &[Part]) -> Result<(), Refused> {
        let mut tx = self.write().await?;
        let journal = hear(&mut tx, node).await?.journal;
        let told: HashMap<LeaseId, &Part> = parts.iter().map(|part| (part.lease.lease, part)).collect();
        let draws: Vec<Draw> = parts.iter().map(|part| part.lease).collect();
        let mut backs = Vec::with_capacity(parts.len());
        for (sql, rows) in FIND.split(tx.engine(), &draws) {
            let mut query = tx.query(sql);
            for draw in rows {
                query = query.bind(draw.pool.0).bind(draw.lease.0).bind(journal);
            }
            for (pool, lease, returned, rest) in query.fetch_all::<(i64, i64, i64, i64)>().await? {
                if let Some(part) = told.get(&LeaseId(lease)) {
                    // No more than there is, whatever a node says.
                    let units = part.returned.get().saturating_sub(returned).clamp(0, rest.max(0));
                    backs.push((lease, pool, units, part.wish));
                }
            }
        }
        for (sql, rows) in SHRINK.split(tx.engine(), &backs) {
            let mut query = tx.query(sql);
            for (lease, _, units, wish) in rows {
                query = query.bind(*lease).bind(*units).bind(*wish);
            }
            query.execute().await?;
        }
        let rests: Vec<_> = backs.iter().map(|(_, pool, units, _)| (*pool, *units)).collect();
        give_back(&mut tx, &rests).await?;
        tx.commit().await?;
        Ok(())
    }

    pub(super) async fn return_some(&self, node: Node, leases: &[Draw]) -> Result<(), Refused> {
        let mut tx = self.write().await?;
        let journal = hear(&mut tx, node).await?.journal;
        let mut rests = Vec::with_capacity(leases.len());
        for (sql, rows) in CLOSE.split(tx.engine(), leases) {
            let mut query = tx.query(sql);
            for draw in rows {
                query = query.bind(draw.pool.0).bind(draw.lease.0).bind(journal);
            }
            rests.extend(query.fetch_all::<(i64, i64)>().await?);
        }
        give_back(&mut tx, &rests).await?;
        // The newest closed lease of a pool is kept, so that a charge that came too late would be named for what it is;
        // those before it would only grow in number.
        for (sql, rows) in OUTLIVED.split(tx.engine(), leases) {
            let mut query = tx.query(sql);
            for draw in rows {
                query = query.bind(draw.pool.0).bind(draw.lease.0).bind(journal);
            }
            query.execute().await?;
        }
        tx.commit().await?;
        Ok(())
    }

    pub(super) async fn return_all(&self, node: Node) -> Result<(), Refused> {
        let mut tx = self.write().await?;
        let journal = hear(&mut tx, node).await?.journal;
        close_all(&mut tx, journal, 0).await?;
        // It ends: nobody waits for its word any more.
        tx.query("UPDATE journal SET life = $2 WHERE id = $1").bind(journal).bind(ENDED).execute().await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Closes all that a journal has leased, and returns what remains of it. With 1 in `lost` nobody knows what that is.
pub(super) async fn close_all(tx: &mut Tx, journal: i64, lost: i64) -> Result<(), StoreError> {
    tx.query(
        "UPDATE pool SET leased = leased - rest.held, suspense = suspense - rest.suspended,
            available = available + rest.held + rest.suspended
         FROM (SELECT pool,
                CAST(sum(CASE WHEN state = 'open' THEN amount - spent ELSE 0 END) AS BIGINT) AS held,
                CAST(sum(CASE WHEN state = 'suspense' THEN amount - spent ELSE 0 END) AS BIGINT) AS suspended
            FROM lease WHERE journal = $1 AND state IN ('open', 'suspense') GROUP BY pool) AS rest
         WHERE rest.pool = pool.id",
    )
    .bind(journal)
    .execute()
    .await?;
    tx.query(
        "UPDATE lease SET state = 'closed', lost = $2 WHERE journal = $1 AND state IN ('open', 'suspense')",
    )
    .bind(journal)
    .bind(lost)
    .execute()
    .await?;
    Ok(())
}

/// Units that go from leases back to their pools; no pool twice.
async fn give_back(tx: &mut Tx, rests: &[(i64, i64)]) -> Result<(), Refused> {
    for (sql, rows) in GIVE_BACK.split(tx.engine(), rests) {
        let mut query = tx.query(sql);
        for (pool, rest) in rows {
            query = query.bind(*pool).bind(*rest);
        }
        query.execute().await?;
    }
    Ok(())
}

static FIND: LazyLock<ManyRows> = LazyLock::new(|| {
    ManyRows::new(
        "WITH part (pool, lease, journal) AS (VALUES ",
        3,
        ") SELECT lease.pool, lease.id, lease.returned, lease.amount - lease.spent FROM part
           JOIN lease ON lease.id = part.lease AND lease.pool = part.pool AND lease.journal = part.journal
           WHERE lease.state = 'open'",
    )
});

static SHRINK: LazyLock<ManyRows> = LazyLock::new(|| {
    ManyRows::new(
        "WITH back (lease, units, wish) AS (VALUES ",
        3,
        ") UPDATE lease SET amount = lease.amount - back.units, returned = lease.returned + back.units,
             answered = CASE WHEN lease.answered < back.wish THEN back.wish ELSE lease.answered END
           FROM back WHERE lease.id = back.lease",
    )
});

static CLOSE: LazyLock<ManyRows> = LazyLock::new(|| {
    ManyRows::new(
        "WITH gone (pool, lease, journal) AS (VALUES ",
        3,
        ") UPDATE lease SET state = 'closed' FROM gone
           WHERE lease.id = gone.lease AND lease.pool = gone.pool AND lease.journal = gone.journal
             AND lease.state = 'open'
           RETURNING lease.pool, lease.amount - lease.spent",
    )
});

static GIVE_BACK: LazyLock<ManyRows> = LazyLock::new(|| {
    ManyRows::new(
        "WITH back (pool, units) AS (VALUES ",
        2,
        ") UPDATE pool SET leased = pool.leased - back.units, available = pool.available + back.units
           FROM back WHERE pool.id = back.pool",
    )
});

static OUTLIVED: LazyLock<ManyRows> = LazyLock::new(|| {
    ManyRows::new(
        "WITH gone (pool, lease, journal) AS (VALUES ",
        3,
        ") DELETE FROM lease WHERE id IN (
             SELECT older.id FROM gone JOIN lease AS older
               ON older.pool = gone.pool AND older.journal = gone.journal AND older.state = 'closed'
             WHERE older.id < gone.lease)",
    )
});
