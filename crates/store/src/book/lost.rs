//! Charges on units that the database does not know to be leased: it came back without a grant that it had committed.
//!
//! They are taken from what is available: nothing of that is leased until every node has said what it has. What is not
//! available either makes the quota grow, since it was delivered: that happens where what an operator or a server that has
//! died did is lost.

use model::id::{LeaseId, PoolId};

use crate::{database::Tx, sql::Run, store::StoreError};

/// Units that are not leased.
pub(crate) struct Lost {
    pub(crate) pool: PoolId,
    pub(crate) lease: LeaseId,
    pub(crate) units: i64,
    /// Whether the database has the lease itself.
    pub(crate) known: bool,
}

impl Lost {
    /// Charges them.
    pub(super) async fn charge(&self, tx: &mut Tx, journal: i64) -> Result<(), StoreError> {
        let taken = self.take(tx, journal).await?.unwrap_or(0);
        tx.query("UPDATE pool SET granted = granted + $2, used = used + $2 WHERE id = $1")
            .bind(self.pool.0)
            .bind(self.units)
            .execute()
            .await?;
        tracing::warn!(
            pool = self.pool.0,
            units = self.units,
            beyond = self.units - taken,
            "charged what the database did not know to be leased"
        );
        Ok(())
    }

    /// Takes them out of their pool, as far as they are available, for the caller to put them where they belong; the lease has
    /// had them then. `None` where it was leased before the quota was set: it takes nothing of that, and is void.
    pub(crate) async fn take(&self, tx: &mut Tx, journal: i64) -> Result<Option<i64>, StoreError> {
        let found: Option<(i64, i64)> = tx
            .query("SELECT available, edited FROM pool WHERE id = $1")
            .bind(self.pool.0)
            .fetch_optional()
            .await?;
        let Some((available, edited)) = found else {
            make_pool(tx, self.pool).await?;
            return Ok(Some(0));
        };
        if !self.known && self.lease.0 <= edited {
            self.write(tx, journal, ("void", 0)).await?;
            return Ok(None);
        }
        let taken = self.units.min(available);
        tx.query("UPDATE pool SET available = available - $2, granted = granted - $2 WHERE id = $1")
            .bind(self.pool.0)
            .bind(taken)
            .execute()
            .await?;
        self.note(tx, journal).await?;
        Ok(Some(taken))
    }

    async fn note(&self, tx: &mut Tx, journal: i64) -> Result<(), StoreError> {
        if self.known {
            tx.query(
                "UPDATE lease SET amount = spent WHERE id = $1 AND amount < spent AND state <> 'closed'",
            )
            .bind(self.lease.0)
            .execute()
            .await?;
            return Ok(());
        }
        // What was spent of it counts when its node says how much that is in all.
        self.write(tx, journal, ("closed", 1)).await
    }

    /// Writes down a lease that the database does not have.
    async fn write(&self, tx: &mut Tx, journal: i64, (state, lost): (&str, i64)) -> Result<(), StoreError> {
        tx.query(
            "INSERT INTO lease (id, pool, journal, amount, spent, state, lost) VALUES ($1, $2, $3, $4, $4, $5, $6)
             ON CONFLICT (id) DO NOTHING",
        )
        .bind(self.lease.0)
        .bind(self.pool.0)
        .bind(journal)
        .bind(self.units)
        .bind(state)
        .bind(lost)
        .execute()
        .await?;
        Ok(())
    }
}

/// The pool of a key or an account that is lost: nobody has it, and the books have what was charged to it.
pub(super) async fn make_pool(tx: &mut Tx, pool: PoolId) -> Result<(), StoreError> {
    tracing::error!(
        pool = pool.0,
        "a charge names a pool that is not there; it is kept under a new one of that number"
    );
    tx.query(
        "INSERT INTO pool (id, granted, used, leased, suspense, available, unlimited) VALUES ($1, 0, 0, 0, 0, 0, 0)",
    )
    .bind(pool.0)
    .execute()
    .await?;
    Ok(())
}
