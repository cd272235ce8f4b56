//! Wishes: what nodes wait for, in the order in which they began to wait.

use std::collections::BTreeMap;

use ledger::{Ask, Draw, Node, Outlook, Wanted};
use model::{
    id::{LeaseId, PoolId},
    money::Units,
};

use super::{Refused, node::ALIVE};
use crate::{
    database::{Database, Tx},
    postgres,
    sql::Run,
    store::{Store, StoreError},
};

/// How long a wish lasts that its node does not repeat, in milliseconds.
const LASTS: i64 = 500;

/// The wishes at one moment, as one node sees them.
#[derive(Default)]
pub(super) struct Wishes {
    /// Its own, by pool.
    own: BTreeMap<PoolId, i64>,
    /// Those of others: pool, number and units.
    others: Vec<(PoolId, i64, i64)>,
}

impl Wishes {
    pub(super) async fn load(tx: &mut Tx, journal: i64) -> Result<Self, StoreError> {
        let rows: Vec<(i64, i64, i64, i64)> = tx
            .query("SELECT id, pool, journal, units FROM wish, clock WHERE until > clock.millis ORDER BY id")
            .fetch_all()
            .await?;
        let mut wishes = Self::default();
        for (id, pool, of, units) in rows {
            if of == journal {
                wishes.own.insert(PoolId(pool), id);
            } else {
                wishes.others.push((PoolId(pool), id, units));
            }
        }
        Ok(wishes)
    }

    /// What others wait for who came before.
    pub(super) fn reserved(&self, pool: PoolId) -> Units {
        let own = self.own.get(&pool).copied().unwrap_or(i64::MAX);
        let older = self.others.iter().filter(|(of, id, _)| *of == pool && *id < own);
        Units::new(older.fold(0, |sum, (_, _, units)| sum.saturating_add(*units)))
    }

    /// Forgets a wish that is fulfilled, or cannot be.
    pub(super) async fn fulfil(&self, tx: &mut Tx, pool: PoolId) -> Result<(), StoreError> {
        if let Some(id) = self.own.get(&pool) {
            tx.query("DELETE FROM wish WHERE id = $1").bind(*id).execute().await?;
        }
        Ok(())
    }

    /// Writes down what a node wants, if anybody who lives may have it, or waits for it and may not need it.
    pub(super) async fn want(&self, tx: &mut Tx, journal: i64, ask: &Ask) -> Result<Outlook, StoreError> {
        let own = self.own.get(&ask.pool).copied();
        let unanswered: i64 = tx
            .query(
                "SELECT count(*) FROM lease JOIN journal ON journal.id = lease.journal, clock
                 WHERE lease.pool = $1 AND lease.state = 'open' AND lease.journal <> $2
                    AND lease.amount > lease.spent AND lease.answered < $3 AND journal.seen > clock.millis - $4",
            )
            .bind(ask.pool.0)
            .bind(journal)
            .bind(own.unwrap_or(i64::MAX))
            .bind(ALIVE)
            .scalar()
            .await?;
        if unanswered == 0 && self.reserved(ask.pool) == Units::ZERO {
            self.fulfil(tx, ask.pool).await?;
            return Ok(Outlook::Dry);
        }
        match own {
            Some(id) => {
                tx.query("UPDATE wish SET units = $2, until = (SELECT millis FROM clock) + $3 WHERE id = $1")
                    .bind(id)
                    .bind(ask.need.get())
                    .bind(LASTS)
                    .execute()
                    .await?;
            }
            None => begin(tx, journal, ask).await?,
        }
        Ok(Outlook::Recalled)
    }
}

/// A new wish stands behind all others; one that has lapsed does not keep its place.
async fn begin(tx: &mut Tx, journal: i64, ask: &Ask) -> Result<(), StoreError> {
    tx.query("DELETE FROM wish WHERE until <= (SELECT millis FROM clock) OR (pool = $1 AND journal = $2)")
        .bind(ask.pool.0)
        .bind(journal)
        .execute()
        .await?;
    tx.query(
        "INSERT INTO wish (pool, journal, units, until) VALUES ($1, $2, $3, (SELECT millis FROM clock) + $4)",
    )
    .bind(ask.pool.0)
    .bind(journal)
    .bind(ask.need.get())
    .bind(LASTS)
    .execute()
    .await?;
    Ok(())
}

/// The leases of a node that others want and that it has not answered for.
pub(super) async fn of_others(on: &mut impl Run, journal: i64) -> Result<Vec<Wanted>, Refused> {
    let rows: Vec<(i64, i64, i64)> = on
        .query(
            "SELECT lease.pool, lease.id, max(wish.id) FROM wish, clock, lease
             WHERE wish.journal <> $1 AND wish.until > clock.millis AND lease.pool = wish.pool
                AND lease.journal = $1 AND lease.state = 'open' AND lease.answered < wish.id
             GROUP BY lease.pool, lease.id",
        )
        .bind(journal)
        .fetch_all()
        .await?;
    let wanted = |(pool, lease, wish)| {
        let lease = Draw { pool: PoolId(pool), lease: LeaseId(lease) };
        Wanted { lease, wish }
    };
    Ok(rows.into_iter().map(wanted).collect())
}

impl Store {
    /// Tells the other nodes that something is wanted. They would learn it anyway, a second later.
    pub(super) async fn tell_wish(&self, node: Node) {
        if let Database::Postgres(..) = self.database()
            && let Err(error) = postgres::notify(self, &node.journal.to_string()).await
        {
            tracing::debug!(%error, "other nodes are not told what is wanted; they will ask");
        }
    }

    pub(super) async fn hear_wishes(&self, node: Node, heard: &tokio::sync::Notify) {
        if let Database::Postgres(pools, _) = self.database() {
            postgres::listen(&pools.reader, &node.journal.to_string(), heard).await;
        }
    }
}
