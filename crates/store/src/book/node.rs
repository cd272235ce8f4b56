//! Who is there: nodes that are heard of, and those that are silent for long.
//!
//! All times are the database's, and they decide about liveness alone: what a silent node has leased is kept for it, in
//! suspense, until its journal comes back or an operator decides. A node that has not said in this life of the book what it
//! has is not listened to before it does ([`super::settle`]).

use std::time::Duration;

use ledger::{Node, Registered, Wanted};
use model::id::JournalId;

use super::{Refused, settle::set_apart, wish};
use crate::{
    database::Tx,
    sql::{Engine, Run},
    store::{Store, StoreError},
};

/// How long after its last word a node is taken for alive, in milliseconds.
pub(crate) const ALIVE: i64 = 5_000;

/// The life of the book that a node is in which has ended: it has nothing that it could say.
pub(crate) const ENDED: i64 = -1;

/// What a heartbeat learns at once: the node's row and since when its leases are in suspense, how many wishes of others
/// there are, whatever they are about, how many nodes are silent for long, and the newest change.
macro_rules! pulse {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            "id, suspended,
                (SELECT count(*) FROM wish, clock WHERE wish.journal <> journal.id AND wish.until > clock.millis),
                (SELECT count(*) FROM journal AS other, clock WHERE other.id <> journal.id AND other.suspended = 0
                    AND other.seen > 0 AND other.seen < clock.millis - $3),
                (SELECT coalesce(max(seq), 0) FROM change)",
            $after
        )
    };
}

/// A node that has just been heard of.
pub(super) struct Heard {
    /// Its row.
    pub(super) journal: i64,
    /// How many other nodes are alive.
    pub(super) others: i64,
    /// How many others may be alive and have not said in this life of the book what they have.
    pub(super) unsettled: i64,
}

/// Notes that the node is alive. What stood in suspense for it is open again.
pub(super) async fn hear(tx: &mut Tx, node: Node) -> Result<Heard, Refused> {
    let found: Option<(i64, i64, i64, i64)> = tx
        .query(
            "UPDATE journal SET seen = (SELECT millis FROM clock)
             WHERE name = $1 AND epoch = $2 AND life = (SELECT life FROM usage_next)
             RETURNING id, suspended, (SELECT count(*) FROM journal AS other, clock
                WHERE other.id <> journal.id AND other.seen > clock.millis - $3),
                (SELECT count(*) FROM journal AS other WHERE other.id <> journal.id AND other.seen > 0
                    AND other.suspended = 0 AND other.life NOT IN ($4, journal.life))",
        )
        .bind(node.journal.to_string())
        .bind(node.epoch)
        .bind(ALIVE)
        .bind(ENDED)
        .fetch_optional()
        .await?;
    let Some((journal, suspended, others, unsettled)) = found else { return Err(refusal(tx, node).await?) };
    if suspended != 0 {
        revive(tx, journal).await?;
    }
    Ok(Heard { journal, others, unsettled })
}

/// Why a node is not listened to.
pub(super) async fn refusal(tx: &mut Tx, node: Node) -> Result<Refused, StoreError> {
    let epoch: Option<i64> = tx
        .query("SELECT epoch FROM journal WHERE name = $1")
        .bind(node.journal.to_string())
        .optional_scalar()
        .await?;
    Ok(if epoch.is_some_and(|epoch| epoch > node.epoch) { Refused::Fenced } else { Refused::Anew })
}

/// Opens again what stood in suspense for a node. Of two leases of one pool, which an older version of the program may
/// have made, the older stays there until the node closes all that it has.
pub(super) async fn revive(tx: &mut Tx, journal: i64) -> Result<(), StoreError> {
    let revived: Vec<(i64, i64)> = tx
        .query(
            "UPDATE lease SET state = 'open' WHERE id IN (
                SELECT max(id) FROM lease WHERE journal = $1 AND state IN ('open', 'suspense') GROUP BY pool
             ) AND state = 'suspense' RETURNING pool, amount - spent",
        )
        .bind(journal)
        .fetch_all()
        .await?;
    for (pool, rest) in &revived {
        tx.query("UPDATE pool SET suspense = suspense - $2, leased = leased + $2 WHERE id = $1")
            .bind(*pool)
            .bind(*rest)
            .execute()
            .await?;
    }
    tx.query("UPDATE journal SET suspended = 0 WHERE id = $1").bind(journal).execute().await?;
    if !revived.is_empty() {
        tracing::info!(journal, leases = revived.len(), "a node that was silent is back");
    }
    Ok(())
}

impl Store {
    /// Registers a journal for another life of it. A node that had leases when the book began anew, and has not said yet what
    /// became of them, is no more alive for that: one that fails at each start must not be waited for without end.
    pub(super) async fn register(&self, journal: JournalId) -> Result<Registered, StoreError> {
        let mut tx = self.write().await?;
        let (id, epoch, applied, suspended): (i64, i64, i64, i64) = tx
            .query(
                "INSERT INTO journal (name, epoch, applied, seen, life)
             VALUES ($1, 1, 0, (SELECT millis FROM clock), (SELECT life FROM usage_next))
             ON CONFLICT (name) DO UPDATE SET epoch = journal.epoch + 1,
                seen = CASE WHEN journal.life IN ($2, excluded.life) THEN excluded.seen ELSE journal.seen END,
                life = CASE WHEN journal.life = $2 THEN excluded.life ELSE journal.life END
             RETURNING id, epoch, applied, CASE WHEN life = (SELECT life FROM usage_next) THEN suspended ELSE 0 END",
            )
            .bind(journal.to_string())
            .bind(ENDED)
            .fetch_one()
            .await?;
        if suspended != 0 {
            revive(&mut tx, id).await?;
        }
        tx.commit().await?;
        Ok(Registered { epoch, applied: applied.unsigned_abs() })
    }

    pub(super) async fn beat(&self, node: Node, dead_after: Duration) -> Result<Vec<Wanted>, Refused> {
        let dead_after = i64::try_from(dead_after.as_millis()).unwrap_or(i64::MAX / 2);
        // No turn to write is waited for: it moves no units. In SQLite nobody else lives who could ask, so nothing is
        // written with each beat.
        let mut on = self.read().await?;
        let text = match on.engine() {
            Engine::Sqlite => pulse!(
                "SELECT ",
                " FROM journal WHERE name = $1 AND epoch = $2 AND life = (SELECT life FROM usage_next)"
            ),
            Engine::Postgres => pulse!(
                "UPDATE journal SET seen = (SELECT millis FROM clock) WHERE name = $1 AND epoch = $2
                    AND life = (SELECT life FROM usage_next, server WHERE usage_next.server = server.number) RETURNING ",
                ""
            ),
        };
        let found: Option<(i64, i64, i64, i64, i64)> = on
            .query(text)
            .bind(node.journal.to_string())
            .bind(node.epoch)
            .bind(dead_after)
            .fetch_optional()
            .await?;
        drop(on);
        let Some((journal, suspended, wishes, silent, newest)) = found else {
            // The first word on another server of the database begins a life.
            let mut tx = self.write().await?;
            hear(&mut tx, node).await?;
            tx.commit().await?;
            return Ok(Vec::new());
        };
        self.tell_newest_change(newest);
        if suspended != 0 || silent > 0 {
            self.bury(node, dead_after).await?;
        }
        if wishes == 0 {
            return Ok(Vec::new());
        }
        wish::of_others(&mut self.read().await?, journal).await
    }

    /// Moves to suspense what nodes have leased that are silent for long.
    async fn bury(&self, node: Node, dead_after: i64) -> Result<(), Refused> {
        let mut tx = self.write().await?;
        hear(&mut tx, node).await?;
        let silent: Vec<(i64, String)> = tx
            .query(
                "UPDATE journal SET suspended = (SELECT millis FROM clock)
                 WHERE suspended = 0 AND seen > 0 AND seen < (SELECT millis FROM clock) - $1 RETURNING id, name",
            )
            .bind(dead_after)
            .fetch_all()
            .await?;
        for (journal, name) in silent {
            suspend(&mut tx, journal, &name).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

async fn suspend(tx: &mut Tx, journal: i64, name: &str) -> Result<(), StoreError> {
    tx.query(
        "UPDATE pool SET leased = leased - rest.units, suspense = suspense + rest.units
         FROM (SELECT pool, amount - spent AS units FROM lease WHERE journal = $1 AND state = 'open') AS rest
         WHERE rest.pool = pool.id",
    )
    .bind(journal)
    .execute()
    .await?;
    let leases = tx
        .query("UPDATE lease SET state = 'suspense' WHERE journal = $1 AND state = 'open'")
        .bind(journal)
        .execute()
        .await?;
    let leases = leases + set_apart(tx, journal).await?;
    if leases > 0 {
        tracing::warn!(
            journal = name,
            leases,
            "a node is silent: what it has leased is in suspense until it is back"
        );
    }
    Ok(())
}
