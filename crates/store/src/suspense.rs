//! What silent nodes have leased: it waits in suspense for their journals, or for an operator.
//!
//! Leases of jobs stand in suspense too; they end with their jobs and are none of this.

use model::{
    clock::Timestamp,
    id::{AccountId, KeyId, PoolId},
    money::Units,
};
use serde_json::json;

use crate::{
    audit::Entry,
    book::ALIVE,
    database::Tx,
    sql::Run,
    store::{Store, StoreError},
};

/// What one journal has of one pool, in suspense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspended {
    /// The journal: the node that leased it.
    pub journal: String,
    /// Since when the node is taken for dead; `None` when that is not known.
    pub since: Option<Timestamp>,
    /// Whether the node is heard of: then it takes back what it has by itself.
    pub alive: bool,
    /// The pool.
    pub pool: PoolId,
    /// Whose pool it is, or whose key's; `None` when it was deleted.
    pub account: Option<AccountId>,
    /// The key whose pool it is.
    pub key: Option<KeyId>,
    /// What is left of the lease.
    pub units: Units,
}

/// What an operator decides about a journal that does not come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// All of it counts as spent: the pools have it no more.
    Charge,
    /// All of it goes back to its pools: what the node spent of it is free.
    Return,
}

impl Decision {
    const fn word(self) -> &'static str {
        match self {
            Self::Charge => "charge",
            Self::Return => "return",
        }
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    name: String,
    suspended: i64,
    alive: i64,
    pool: i64,
    account: Option<i64>,
    api_key: Option<i64>,
    units: i64,
}

impl Row {
    fn suspended(self) -> Suspended {
        Suspended {
            journal: self.name,
            since: (self.suspended != 0).then(|| Timestamp::from_millis(self.suspended)),
            alive: self.alive != 0,
            pool: PoolId(self.pool),
            account: self.account.map(AccountId),
            key: self.api_key.map(KeyId),
            units: Units::new(self.units),
        }
    }
}

impl Store {
    /// What stands in suspense for nodes, journal by journal.
    ///
    /// # Errors
    /// The database.
    pub async fn suspense(&self) -> Result<Vec<Suspended>, StoreError> {
        let rows: Vec<Row> = self
            .read()
            .await?
            .query(
                "SELECT journal.name, journal.suspended,
                    CAST(CASE WHEN journal.seen > clock.millis - $1 THEN 1 ELSE 0 END AS BIGINT) AS alive, lease.pool,
                    coalesce(account.id, api_key.account) AS account, api_key.id AS api_key,
                    lease.amount - lease.spent AS units
                 FROM clock, lease JOIN journal ON journal.id = lease.journal
                    LEFT JOIN account ON account.pool = lease.pool LEFT JOIN api_key ON api_key.pool = lease.pool
                 WHERE lease.state = 'suspense' AND journal.name <> 'jobs' AND lease.amount > lease.spent
                 ORDER BY journal.id, lease.pool, lease.id",
            )
            .bind(ALIVE)
            .fetch_all()
            .await?;
        Ok(rows.into_iter().map(Row::suspended).collect())
    }

    /// Decides about everything that stands in suspense for a journal that is lost, and shuts that journal out. What it
    /// should charge all the same, if it comes back, takes nothing more from anybody. Returns the units.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when there is no such journal; [`StoreError::Conflict`] while its node is alive, or when
    /// nothing stands in suspense for it; the database.
    pub async fn resolve_suspense(
        &self,
        journal: &str,
        decision: Decision,
        now: Timestamp,
    ) -> Result<Units, StoreError> {
        let mut tx = self.write().await?;
        let id = dead(&mut tx, journal).await?;
        let rests: Vec<(i64, i64)> = tx
            .query(
                "UPDATE lease SET state = 'closed' WHERE journal = $1 AND state = 'suspense'
                 RETURNING pool, amount - spent",
            )
            .bind(id)
            .fetch_all()
            .await?;
        let units = rests.iter().fold(0_i64, |sum, (_, rest)| sum.saturating_add(*rest));
        if units == 0 {
            return Err(StoreError::Conflict(format!("nothing stands in suspense for journal {journal}")));
        }
        let text = match decision {
            Decision::Charge => {
                "UPDATE pool SET suspense = suspense - $2, granted = granted - $2 WHERE id = $1"
            }
            Decision::Return => {
                "UPDATE pool SET suspense = suspense - $2, available = available + $2 WHERE id = $1"
            }
        };
        for (pool, rest) in &rests {
            tx.query(text).bind(*pool).bind(*rest).execute().await?;
        }
        tx.query("UPDATE journal SET epoch = epoch + 1, seen = 0 WHERE id = $1").bind(id).execute().await?;
        let pools: Vec<_> =
            rests.iter().map(|(pool, units)| json!({ "pool": pool, "units": units })).collect();
        let entry = Entry {
            action: "resolve",
            object: "suspense",
            id: journal.to_owned(),
            before: Some(json!(pools)),
            after: Some(json!({ "decision": decision.word(), "units": units })),
        };
        self.audit(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(Units::new(units))
    }
}

/// The row of a journal whose node is not alive.
async fn dead(tx: &mut Tx, journal: &str) -> Result<i64, StoreError> {
    let found: Option<(i64, i64)> = tx
        .query(
            "SELECT id, CAST(CASE WHEN seen > millis - $2 THEN 1 ELSE 0 END AS BIGINT) FROM journal, clock
             WHERE name = $1 AND name <> 'jobs'",
        )
        .bind(journal)
        .bind(ALIVE)
        .fetch_optional()
        .await?;
    match found {
        None => Err(StoreError::Invalid(format!("there is no journal {journal}"))),
        Some((_, 1)) => Err(StoreError::Conflict(format!(
            "the node of journal {journal} is alive: it takes back by itself what stands in suspense for it"
        ))),
        Some((id, _)) => Ok(id),
    }
}
