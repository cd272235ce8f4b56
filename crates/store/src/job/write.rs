//! Beginning jobs, and ending each once.

use ledger::{Charge, Draw};
use model::{
    clock::Timestamp,
    id::{ChargeId, JournalId, LeaseId},
    money::Units,
};

use super::{Job, JobEnd, NewJob, Told};
use crate::{
    book::{journal_of, lost::Lost},
    database::Tx,
    sql::Run,
    store::{Store, StoreError},
};

fn text<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError::Corrupt("a job that is no JSON"))
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Store {
    /// Begins a job: takes over the units of its hold, once however often it is called.
    ///
    /// # Errors
    /// The database; whether it happened is then not known, and another call makes it so.
    pub async fn begin_job(&self, job: &NewJob) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let charge = job.charge.to_string();
        let there: Option<i64> =
            tx.query("SELECT id FROM job WHERE charge = $1").bind(&charge).optional_scalar().await?;
        if there.is_some() {
            return Ok(());
        }
        let journal = jobs_journal(&mut tx).await?;
        let ([of_key, of_account], of) = (job.draws, job.charge.journal);
        let key_lease = set_apart(&mut tx, journal, of, of_key, job.held).await?;
        let account_lease = set_apart(&mut tx, journal, of, of_account, job.held).await?;
        tx.query(
            "INSERT INTO job (name, charge, account, channel, credential, upstream, key_pool, key_lease, account_pool,
                account_lease, held, seconds, context, price, model, action, state, progress, answer, created,
                next_poll, polls, misses, deleted)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
                0, 0, 0)",
        )
        .bind(&job.name)
        .bind(charge)
        .bind(job.context.account.0)
        .bind(job.context.channel.0)
        .bind(job.credential.0)
        .bind(&job.upstream)
        .bind(of_key.pool.0)
        .bind(key_lease.0)
        .bind(of_account.pool.0)
        .bind(account_lease.0)
        .bind(job.held.get())
        .bind(count(job.seconds))
        .bind(text(&job.context)?)
        .bind(text(&job.price)?)
        .bind(&job.context.model)
        .bind(job.action)
        .bind(job.told.state.word())
        .bind(job.told.progress)
        .bind(&job.told.answer)
        .bind(job.context.started.millis())
        .bind(job.next_poll.millis())
        .execute()
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Notes what an upstream has said of a job that goes on, and when it is to be asked about next.
    ///
    /// # Errors
    /// The database.
    pub async fn note_job(&self, id: i64, told: &Told, next_poll: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        tx.query(
            "UPDATE job SET state = $2, progress = $3, answer = $4, next_poll = $5, polls = polls + 1, misses = 0
             WHERE id = $1 AND ended IS NULL",
        )
        .bind(id)
        .bind(told.state.word())
        .bind(told.progress)
        .bind(&told.answer)
        .bind(next_poll.millis())
        .execute()
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Notes that nothing was learnt of a job: `missed` when the upstream says that it has no such job.
    ///
    /// # Errors
    /// The database.
    pub async fn miss_job(&self, id: i64, missed: bool, next_poll: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        tx.query(
            "UPDATE job SET next_poll = $2, polls = polls + 1, misses = misses + $3 WHERE id = $1 AND ended IS NULL",
        )
        .bind(id)
        .bind(next_poll.millis())
        .bind(i64::from(missed))
        .execute()
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Ends a job: charges it, and returns the rest of what was held. `false` when somebody else has ended it.
    ///
    /// # Errors
    /// The database; then nothing or all of it happened, and another call tells which.
    pub async fn end_job(&self, job: &Job, end: &JobEnd) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let ended = tx
            .query(
                "UPDATE job SET state = $2, progress = $3, answer = $4, made = $5, units = $6, ended = $7
             WHERE id = $1 AND ended IS NULL",
            )
            .bind(job.id)
            .bind(end.told.state.word())
            .bind(end.told.progress)
            .bind(&end.told.answer)
            .bind(count(end.made))
            .bind(end.outcome.units.get())
            .bind(end.outcome.ended.millis())
            .execute()
            .await?;
        if ended == 0 {
            return Ok(false);
        }
        let journal = jobs_journal(&mut tx).await?;
        let charge = Charge {
            id: ChargeId { journal: JournalId(0), seq: job.id.unsigned_abs() },
            draws: job.draws.to_vec(),
            context: job.context.clone(),
            outcome: end.outcome.clone(),
        };
        let booked = self.book_charges(&mut tx, journal, std::slice::from_ref(&charge)).await?;
        for draw in job.draws {
            give_back(&mut tx, draw).await?;
        }
        tx.commit().await?;
        self.booked(booked);
        Ok(true)
    }

    /// Hides a job that has ended from its account.
    ///
    /// # Errors
    /// The database.
    pub async fn delete_job(&self, id: i64) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        tx.query("UPDATE job SET deleted = 1 WHERE id = $1").bind(id).execute().await?;
        tx.commit().await?;
        Ok(())
    }
}

/// What charges of jobs have for a journal; its positions are the ids of the jobs.
async fn jobs_journal(tx: &mut Tx) -> Result<i64, StoreError> {
    Ok(tx.query("SELECT id FROM journal WHERE name = 'jobs'").scalar().await?)
}

/// Moves units of a hold into a lease of their own; no lease where the pool has no limit. The units of a pool that was
/// edited since the hold was taken are reserved nowhere, and a lease that says so is made.
async fn set_apart(
    tx: &mut Tx,
    journal: i64,
    of: JournalId,
    draw: Draw,
    units: Units,
) -> Result<LeaseId, StoreError> {
    if draw.lease == LeaseId(0) {
        return Ok(draw.lease);
    }
    let (amount, state) = reserve(tx, of, draw, units.get()).await?;
    let lease = tx
        .query(
            "INSERT INTO lease (pool, journal, amount, spent, state) VALUES ($1, $2, $3, 0, $4) RETURNING id",
        )
        .bind(draw.pool.0)
        .bind(journal)
        .bind(amount)
        .bind(state)
        .scalar()
        .await?;
    Ok(LeaseId(lease))
}

/// Takes units out of a lease, and puts them in suspense where they were reserved. Returns how many there are, and the state of
/// a lease that has them.
async fn reserve(
    tx: &mut Tx,
    of: JournalId,
    draw: Draw,
    units: i64,
) -> Result<(i64, &'static str), StoreError> {
    // A database that has gone back may not know it before its node has spoken.
    let of = journal_of(tx, of).await?.ok_or(StoreError::Away)?;
    let lease: Option<(String, i64, i64)> = tx
        .query(
            "UPDATE lease SET spent = spent + $3 WHERE id = $2 AND pool = $1 AND journal = $4
             RETURNING state, spent - amount, lost",
        )
        .bind(draw.pool.0)
        .bind(draw.lease.0)
        .bind(units)
        .bind(of)
        .fetch_optional()
        .await?;
    let (leased, beyond) = match &lease {
        Some((state, beyond, _)) if state == "open" => (true, (*beyond).clamp(0, units)),
        Some((state, beyond, _)) if state == "suspense" => (false, (*beyond).clamp(0, units)),
        Some((_, _, 0)) => return Ok((units, "void")),
        _ => (false, units),
    };
    let known = lease.is_some();
    let taken = match beyond {
        0 => 0,
        _ => match (Lost { pool: draw.pool, lease: draw.lease, units: beyond, known }).take(tx, of).await? {
            Some(taken) => taken,
            None => return Ok((units, "void")),
        },
    };
    let reserved = units - beyond;
    tx.query(
        "UPDATE pool SET leased = leased - $2, suspense = suspense + $2 + $3, granted = granted + $3 WHERE id = $1",
    )
    .bind(draw.pool.0)
    .bind(if leased { reserved } else { 0 })
    .bind(taken)
    .execute()
    .await?;
    Ok((reserved + taken, "suspense"))
}

/// Removes a lease that has been charged, and returns what is left of it.
async fn give_back(tx: &mut Tx, draw: Draw) -> Result<(), StoreError> {
    let left: Option<(String, i64)> = tx
        .query("DELETE FROM lease WHERE id = $2 AND pool = $1 RETURNING state, amount - spent")
        .bind(draw.pool.0)
        .bind(draw.lease.0)
        .fetch_optional()
        .await?;
    if let Some((state, rest)) = left
        && state == "suspense"
    {
        tx.query("UPDATE pool SET suspense = suspense - $2, available = available + $2 WHERE id = $1")
            .bind(draw.pool.0)
            .bind(rest)
            .execute()
            .await?;
    }
    Ok(())
}
