//! The ledger's book: leases, and the journal's way into pools and usage records.
//!
//! The files: `node` (who is there), `lease` (grants), `wish` (what a node waits for), `give_back` (what comes back),
//! `draw` (what charges do to leases and pools), `settle` and `lost` (after the database has lost what it had committed).

mod draw;
mod give_back;
mod lease;
pub(crate) mod lost;
mod node;
pub(crate) mod settle;
mod wish;

use std::{collections::BTreeMap, time::Duration};

use ledger::{
    Applied, Ask, Batch, Book, BookError, Charge, Draw, LeaseState, Node, Part, Registered, Standing, Wanted,
};
use model::{
    id::{JournalId, LeaseId, PoolId},
    money::Units,
};
use tokio::sync::Notify;

use crate::{
    database::Tx,
    sql::Run,
    store::{Store, StoreError},
    usage::{self, Learned, Tally},
};
use draw::{draw, touch};
pub(crate) use node::{ALIVE, ENDED};

/// What is wrong with charges whose sum is no number.
pub(crate) const TOO_MANY: &str = "charges that cannot be added up";

/// Why the book does not do what a node asks for.
pub(crate) enum Refused {
    /// The journal has another life now.
    Fenced,
    /// The book has another life now.
    Anew,
    Failed(StoreError),
}

impl<E: Into<StoreError>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Refused> for BookError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Fenced => Self::Fenced,
            Refused::Anew => Self::Anew,
            Refused::Failed(error) => Self::Unavailable(error.to_string()),
        }
    }
}

impl Book for Store {
    async fn open_journal(&self, journal: JournalId) -> Result<Registered, BookError> {
        Ok(self.register(journal).await.map_err(Refused::from)?)
    }

    async fn rejoin(&self, before: Node, now: Node) -> Result<Registered, BookError> {
        Ok(self.register_again(before, now).await?)
    }

    async fn settle(&self, node: Node, applied: u64, leases: &[Standing]) -> Result<Vec<Units>, BookError> {
        Ok(self.restore_leases(node, applied, leases).await?)
    }

    async fn lease(&self, node: Node, asks: &[Ask]) -> Result<Vec<Option<LeaseState>>, BookError> {
        Ok(self.grant(node, asks).await?)
    }

    async fn give_back(&self, node: Node, parts: &[Part]) -> Result<(), BookError> {
        Ok(self.return_parts(node, parts).await?)
    }

    async fn heartbeat(&self, node: Node, dead_after: Duration) -> Result<Vec<Wanted>, BookError> {
        Ok(self.beat(node, dead_after).await?)
    }

    async fn listen(&self, node: Node, heard: &Notify) {
        self.hear_wishes(node, heard).await;
    }

    async fn apply(&self, batch: &Batch) -> Result<Applied, BookError> {
        Ok(self.apply_batch(batch).await.map_err(Refused::from)?)
    }

    async fn return_leases(&self, node: Node, leases: &[Draw]) -> Result<(), BookError> {
        Ok(self.return_some(node, leases).await?)
    }

    async fn close_leases(&self, node: Node) -> Result<(), BookError> {
        Ok(self.return_all(node).await?)
    }
}

impl Store {
    async fn apply_batch(&self, batch: &Batch) -> Result<Applied, StoreError> {
        let mut tx = self.write().await?;
        let moved: Option<i64> = tx
            .query("UPDATE journal SET applied = $3 WHERE name = $1 AND applied = $2 RETURNING id")
            .bind(batch.journal.to_string())
            .bind(position(batch.from))
            .bind(position(batch.to))
            .optional_scalar()
            .await?;
        let Some(journal) = moved else {
            let cursor: Option<i64> = tx
                .query("SELECT applied FROM journal WHERE name = $1")
                .bind(batch.journal.to_string())
                .optional_scalar()
                .await?;
            return Ok(Applied::Already(cursor.unwrap_or(0).unsigned_abs()));
        };
        let booked = self.book_charges(&mut tx, journal, &batch.charges).await?;
        tx.commit().await?;
        self.booked(booked);
        Ok(Applied::Now)
    }

    /// Writes charges: their records, and what they move in their pools.
    pub(crate) async fn book_charges(
        &self,
        tx: &mut Tx,
        journal: i64,
        charges: &[Charge],
    ) -> Result<Booked, StoreError> {
        let mut draws: BTreeMap<(PoolId, LeaseId), i64> = BTreeMap::new();
        let mut used: BTreeMap<i64, i64> = BTreeMap::new();
        let mut overrun = 0_i64;
        for charge in charges {
            add(&mut draws, charge)?;
            let last = used.entry(charge.context.key.0).or_default();
            *last = (*last).max(charge.outcome.ended.millis());
            overrun = overrun.saturating_add(charge.outcome.overrun.get().max(0));
        }
        // Taken out: what a failed transaction has added up must not be gone on with.
        let tally = self.tally().lock().take();
        let (learned, tally) = usage::write::append(tx, self.names(), tally, journal, charges).await?;
        draw(tx, journal, &draws).await?;
        if overrun > 0 {
            usage::write::add_overrun(tx, overrun).await?;
        }
        touch(tx, used).await?;
        Ok(Booked { server: self.server(), learned, tally })
    }

    /// Takes in what a transaction has learnt that is committed now.
    pub(crate) fn booked(&self, booked: Booked) {
        if booked.server != self.server() {
            return;
        }
        self.names().remember(booked.learned);
        *self.tally().lock() = booked.tally;
    }
}

/// What a transaction has learnt, to be remembered once it is committed.
pub(crate) struct Booked {
    server: i64,
    learned: Learned,
    tally: Option<Tally>,
}

/// A position in a journal, as the database has it.
fn position(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

/// The row of a journal, if there is one.
pub(crate) async fn journal_of(tx: &mut Tx, journal: JournalId) -> Result<Option<i64>, StoreError> {
    Ok(tx.query("SELECT id FROM journal WHERE name = $1").bind(journal.to_string()).optional_scalar().await?)
}

fn add(draws: &mut BTreeMap<(PoolId, LeaseId), i64>, charge: &Charge) -> Result<(), StoreError> {
    for draw in &charge.draws {
        let sum = draws.entry((draw.pool, draw.lease)).or_default();
        let units = charge.outcome.units.get();
        *sum = sum.checked_add(units).ok_or(StoreError::Corrupt(TOO_MANY))?;
    }
    Ok(())
}
