//! The ledger's book: leases, and the journal's way into pools and usage records.

use std::collections::BTreeMap;

use ledger::{Applied, Batch, Book, BookError, Charge, LeaseState};
use model::{
    id::{JournalId, LeaseId, PoolId},
    money::Units,
};

use crate::{
    store::{Store, StoreError, Tx},
    usage,
};

fn unavailable(error: impl Into<StoreError>) -> BookError {
    BookError::Unavailable(error.into().to_string())
}

impl Book for Store {
    async fn open_journal(&self, journal: JournalId) -> Result<u64, BookError> {
        self.register(journal).await.map_err(unavailable)
    }

    async fn lease(&self, journal: JournalId, pool: PoolId, _: Units) -> Result<LeaseState, BookError> {
        self.extend_lease(journal, pool).await.map_err(unavailable)?.ok_or(BookError::UnknownPool)
    }

    async fn apply(&self, batch: &Batch) -> Result<Applied, BookError> {
        self.apply_batch(batch).await.map_err(unavailable)
    }

    async fn close_leases(&self, journal: JournalId) -> Result<(), BookError> {
        self.return_leases(journal).await.map_err(unavailable)
    }
}

impl Store {
    async fn register(&self, journal: JournalId) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let applied: i64 = sqlx::query_scalar(
            "INSERT INTO journal (name, epoch, applied) VALUES ($1, 1, 0)
             ON CONFLICT (name) DO UPDATE SET epoch = journal.epoch + 1 RETURNING applied",
        )
        .bind(journal.to_string())
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(applied.unsigned_abs())
    }

    async fn extend_lease(&self, journal: JournalId, pool: PoolId) -> Result<Option<LeaseState>, StoreError> {
        let mut tx = self.write().await?;
        let found: Option<(i64, i64)> = sqlx::query_as("SELECT available, unlimited FROM pool WHERE id = $1")
            .bind(pool.0)
            .fetch_optional(&mut *tx)
            .await?;
        let Some((available, unlimited)) = found else { return Ok(None) };
        if unlimited != 0 {
            let lease = LeaseId(0);
            return Ok(Some(LeaseState {
                lease,
                amount: Units::ZERO,
                unlimited: true,
                available: Units::new(available),
            }));
        }
        let journal = journal_row(&mut tx, journal).await?;
        sqlx::query("UPDATE pool SET available = 0, leased = leased + $2 WHERE id = $1")
            .bind(pool.0)
            .bind(available)
            .execute(&mut *tx)
            .await?;
        let (lease, amount): (i64, i64) = sqlx::query_as(
            "INSERT INTO lease (pool, journal, amount, spent, state) VALUES ($1, $2, $3, 0, 'open')
             ON CONFLICT (pool, journal) WHERE state = 'open'
             DO UPDATE SET amount = lease.amount + excluded.amount RETURNING id, amount",
        )
        .bind(pool.0)
        .bind(journal)
        .bind(available)
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(Some(LeaseState {
            lease: LeaseId(lease),
            amount: Units::new(amount),
            unlimited: false,
            available: Units::ZERO,
        }))
    }

    async fn apply_batch(&self, batch: &Batch) -> Result<Applied, StoreError> {
        let mut tx = self.write().await?;
        let number = |seq| i64::try_from(seq).unwrap_or(i64::MAX);
        let moved = sqlx::query("UPDATE journal SET applied = $3 WHERE name = $1 AND applied = $2")
            .bind(batch.journal.to_string())
            .bind(number(batch.from))
            .bind(number(batch.to))
            .execute(&mut *tx)
            .await?;
        if moved.rows_affected() == 0 {
            let cursor: i64 = sqlx::query_scalar("SELECT applied FROM journal WHERE name = $1")
                .bind(batch.journal.to_string())
                .fetch_one(&mut *tx)
                .await?;
            return Ok(Applied::Already(cursor.unsigned_abs()));
        }
        let journal = journal_row(&mut tx, batch.journal).await?;
        let mut draws: BTreeMap<(PoolId, LeaseId), i64> = BTreeMap::new();
        let mut used: BTreeMap<i64, i64> = BTreeMap::new();
        let mut overrun = 0_i64;
        let inserted = usage::insert(&mut tx, journal, &batch.charges).await?;
        for charge in batch.charges.iter().filter(|charge| inserted.contains(&charge.id.seq)) {
            add(&mut draws, charge)?;
            let last = used.entry(charge.context.key.0).or_default();
            *last = (*last).max(charge.outcome.ended.millis());
            overrun = overrun.saturating_add(charge.outcome.overrun.get().max(0));
        }
        for ((pool, lease), units) in draws {
            draw(&mut tx, pool, lease, units).await?;
        }
        if overrun > 0 {
            usage::add_overrun(&mut tx, overrun).await?;
        }
        for (key, at) in used {
            sqlx::query("UPDATE api_key SET accessed = $2 WHERE id = $1 AND accessed < $2")
                .bind(key)
                .bind(at)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(Applied::Now)
    }

    async fn return_leases(&self, journal: JournalId) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let journal = journal_row(&mut tx, journal).await?;
        sqlx::query(
            "UPDATE pool SET
                leased = leased - (SELECT amount - spent FROM lease
                    WHERE lease.pool = pool.id AND journal = $1 AND state = 'open'),
                available = available + (SELECT amount - spent FROM lease
                    WHERE lease.pool = pool.id AND journal = $1 AND state = 'open')
             WHERE id IN (SELECT pool FROM lease WHERE journal = $1 AND state = 'open')",
        )
        .bind(journal)
        .execute(&mut *tx)
        .await?;
        sqlx::query("UPDATE lease SET state = 'closed' WHERE journal = $1 AND state = 'open'")
            .bind(journal)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }
}

async fn journal_row(tx: &mut Tx, journal: JournalId) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("SELECT id FROM journal WHERE name = $1")
        .bind(journal.to_string())
        .fetch_one(&mut **tx)
        .await?)
}

fn add(draws: &mut BTreeMap<(PoolId, LeaseId), i64>, charge: &Charge) -> Result<(), StoreError> {
    for draw in &charge.draws {
        let sum = draws.entry((draw.pool, draw.lease)).or_default();
        let units = charge.outcome.units.get();
        *sum = sum.checked_add(units).ok_or(StoreError::Corrupt("charges that cannot be added up"))?;
    }
    Ok(())
}

/// Moves what was charged from where it was reserved to used.
async fn draw(tx: &mut Tx, pool: PoolId, lease: LeaseId, units: i64) -> Result<(), StoreError> {
    let state: Option<String> =
        sqlx::query_scalar("UPDATE lease SET spent = spent + $2 WHERE id = $1 AND pool = $3 RETURNING state")
            .bind(lease.0)
            .bind(units)
            .bind(pool.0)
            .fetch_optional(&mut **tx)
            .await?;
    if state.as_deref() == Some("closed") {
        tracing::error!(pool = pool.0, lease = lease.0, units, "a charge came after its lease was closed");
    }
    let sql = match state.as_deref() {
        Some("open") => "UPDATE pool SET used = used + $2, leased = leased - $2 WHERE id = $1",
        Some("suspense") => "UPDATE pool SET used = used + $2, suspense = suspense - $2 WHERE id = $1",
        // The pool was edited or has no limit: nothing was reserved in what it is now.
        _ => "UPDATE pool SET used = used + $2, granted = granted + $2 WHERE id = $1",
    };
    let drawn = sqlx::query(sql).bind(pool.0).bind(units).execute(&mut **tx).await?;
    if drawn.rows_affected() == 0 {
        // Refusing it would stop every later charge; the record is kept, and `verify` names the difference.
        tracing::error!(pool = pool.0, units, "a charge names a pool that is not there");
    }
    Ok(())
}
