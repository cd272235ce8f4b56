//! Jobs: work that an upstream does after the request that began it has ended.
//!
//! What a job may cost at most is held in leases of its own, in suspense: the transaction that begins it takes the units
//! out of the leases of the request's hold, and the one that ends it charges what was made and returns the rest. Each
//! happens once, whoever asks for it and however often.

use crate::{
    build::Sql,
    database::Tx,
    key::Page,
    sql::Run,
    store::{Store, StoreError},
};
use ledger::{Charge, Draw};
use model::{
    clock::Timestamp,
    id::{AccountId, ChannelId, ChargeId, CredentialId, JournalId, LeaseId, PoolId},
    money::Units,
    price::Price,
    usage::{UsageContext, UsageOutcome},
};

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// It waits.
    Queued,
    /// It is worked on.
    InProgress,
    /// It has made what was asked for.
    Completed,
    /// It has made nothing, and never will.
    Failed,
}

impl JobState {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Queued, Self::InProgress, Self::Completed, Self::Failed];

    /// Its stable word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    /// The state of this word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// Whether nothing more will come of it.
    #[must_use]
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

/// What an upstream has said of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// How far it is.
    pub state: JobState,
    /// In hundredths.
    pub progress: i64,
    /// The answer that a caller gets, as JSON.
    pub answer: String,
}

/// A job that an upstream has begun.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// The id that callers know it by; nobody else's job has it.
    pub name: String,
    /// The hold that it was begun under.
    pub charge: ChargeId,
    /// What the hold is drawn from: the key's pool and the account's.
    pub draws: [Draw; 2],
    /// What is held.
    pub held: Units,
    /// The seconds that are held.
    pub seconds: u64,
    /// Who, what and by which way.
    pub context: UsageContext,
    /// What it is charged by.
    pub price: Price,
    /// The credential that it was begun with.
    pub credential: CredentialId,
    /// The upstream's id of it.
    pub upstream: String,
    /// What was asked for, in one word.
    pub action: &'static str,
    /// What the upstream has said first.
    pub told: Told,
    /// When it is to be asked about.
    pub next_poll: Timestamp,
}

/// A job.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its place in the order.
    pub id: i64,
    /// The id that callers know it by.
    pub name: String,
    /// Whose it is.
    pub account: AccountId,
    /// The channel that it was begun at.
    pub channel: ChannelId,
    /// The credential that it was begun with.
    pub credential: CredentialId,
    /// The upstream's id of it.
    pub upstream: String,
    /// What is held.
    pub held: Units,
    /// The seconds that are held.
    pub seconds: u64,
    /// Who, what and by which way.
    pub context: UsageContext,
    /// What it is charged by.
    pub price: Price,
    /// What was asked for, in one word.
    pub action: String,
    /// What the upstream said last.
    pub told: Told,
    /// The seconds that were made, once it has ended.
    pub made: Option<u64>,
    /// What it cost, once it has ended.
    pub units: Option<Units>,
    /// When it was begun.
    pub created: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// How often it was asked about.
    pub polls: i64,
    /// How often in a row the upstream said that there is no such job.
    pub misses: i64,
    draws: [Draw; 2],
}

impl Job {
    /// The pools that pay.
    #[must_use]
    pub fn pools(&self) -> [PoolId; 2] {
        self.draws.map(|draw| draw.pool)
    }
}

/// How a job ended.
#[derive(Clone, Debug)]
pub struct JobEnd {
    /// What the upstream said.
    pub told: Told,
    /// The seconds that were made.
    pub made: u64,
    /// What is charged; at most what is held.
    pub outcome: UsageOutcome,
}

/// Which jobs. What is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// With this id.
    pub name: Option<String>,
    /// In this state.
    pub state: Option<JobState>,
    /// Of this action.
    pub action: Option<String>,
    /// Begun at this moment or later.
    pub from: Option<Timestamp>,
    /// Begun before this moment.
    pub until: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    name: String,
    account: i64,
    channel: i64,
    credential: i64,
    upstream: String,
    key_pool: i64,
    key_lease: i64,
    account_pool: i64,
    account_lease: i64,
    held: i64,
    seconds: i64,
    context: String,
    price: String,
    action: String,
    state: String,
    progress: i64,
    answer: String,
    made: Option<i64>,
    units: Option<i64>,
    created: i64,
    ended: Option<i64>,
    polls: i64,
    misses: i64,
}

impl TryFrom<Row> for Job {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let corrupt = StoreError::Corrupt("a job that cannot be read");
        let (Ok(context), Ok(price), Some(state)) =
            (serde_json::from_str(&row.context), serde_json::from_str(&row.price), JobState::of(&row.state))
        else {
            return Err(corrupt);
        };
        let draw = |pool, lease| Draw { pool: PoolId(pool), lease: LeaseId(lease) };
        Ok(Self {
            id: row.id,
            name: row.name,
            account: AccountId(row.account),
            channel: ChannelId(row.channel),
            credential: CredentialId(row.credential),
            upstream: row.upstream,
            held: Units::new(row.held),
            seconds: row.seconds.unsigned_abs(),
            context,
            price,
            action: row.action,
            told: Told { state, progress: row.progress, answer: row.answer },
            made: row.made.map(i64::unsigned_abs),
            units: row.units.map(Units::new),
            created: Timestamp::from_millis(row.created),
            ended: row.ended.map(Timestamp::from_millis),
            polls: row.polls,
            misses: row.misses,
            draws: [draw(row.key_pool, row.key_lease), draw(row.account_pool, row.account_lease)],
        })
    }
}

macro_rules! select {
    ($tail:literal) => {
        concat!(
            "SELECT id, name, account, channel, credential, upstream, key_pool, key_lease, account_pool, account_lease,
                held, seconds, context, price, action, state, progress, answer, made, units, created, ended, polls,
                misses FROM job ",
            $tail
        )
    };
}

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
        let [of_key, of_account] = job.draws;
        let key_lease = set_apart(&mut tx, journal, of_key, job.held).await?;
        let account_lease = set_apart(&mut tx, journal, of_account, job.held).await?;
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

    /// A job of an account; somebody else's is none.
    ///
    /// # Errors
    /// The database.
    pub async fn job(&self, account: AccountId, name: &str) -> Result<Option<Job>, StoreError> {
        let mut on = self.read().await?;
        let query = on.query(select!("WHERE account = $1 AND name = $2 AND deleted = 0"));
        let row: Option<Row> = query.bind(account.0).bind(name).fetch_optional().await?;
        row.map(Job::try_from).transpose()
    }

    /// Jobs of an account that are not deleted, beginning behind the one with the place `after`, and one more than
    /// `limit` where there are as many.
    ///
    /// # Errors
    /// The database.
    pub async fn jobs_after(
        &self,
        account: AccountId,
        after: Option<i64>,
        ascending: bool,
        limit: i64,
    ) -> Result<Vec<Job>, StoreError> {
        let mut sql = Sql::new(select!("WHERE deleted = 0 AND account = "));
        sql.push_bind(account.0);
        if let Some(after) = after {
            sql.push(if ascending { " AND id > " } else { " AND id < " }).push_bind(after);
        }
        sql.push(if ascending { " ORDER BY id" } else { " ORDER BY id DESC" });
        sql.push(" LIMIT ").push_bind(limit.saturating_add(1));
        let rows: Vec<Row> = self.read().await?.built(sql).fetch_all().await?;
        rows.into_iter().map(Job::try_from).collect()
    }

    /// Jobs of an account, deleted ones too, newest first, and how many there are.
    ///
    /// # Errors
    /// The database.
    pub async fn jobs(
        &self,
        account: AccountId,
        filter: &JobFilter,
        page: Page,
    ) -> Result<(Vec<Job>, i64), StoreError> {
        let mut tx = self.snapshot().await?;
        let mut total = Sql::new("SELECT count(*) FROM job WHERE account = ");
        push(&mut total, account, filter);
        let total: i64 = tx.built(total).scalar().await?;
        let mut sql = Sql::new(select!("WHERE account = "));
        push(&mut sql, account, filter);
        let offset = page.number.saturating_sub(1).saturating_mul(page.size);
        sql.push(" ORDER BY id DESC LIMIT ").push_bind(page.size).push(" OFFSET ").push_bind(offset);
        let rows: Vec<Row> = tx.built(sql).fetch_all().await?;
        Ok((rows.into_iter().map(Job::try_from).collect::<Result<_, _>>()?, total))
    }

    /// Takes at most `limit` jobs that are due, so that nobody else asks about them before `until`.
    ///
    /// # Errors
    /// The database.
    pub async fn take_due_jobs(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: i64,
    ) -> Result<Vec<Job>, StoreError> {
        let mut on = self.read().await?;
        let due = on.query("SELECT id FROM job WHERE ended IS NULL AND next_poll <= $1 LIMIT 1");
        let due: Option<i64> = due.bind(now.millis()).optional_scalar().await?;
        drop(on);
        if due.is_none() {
            return Ok(Vec::new());
        }
        let mut tx = self.write().await?;
        let rows: Vec<Row> = tx.query(
            "UPDATE job SET next_poll = $2 WHERE id IN (
                SELECT id FROM job WHERE ended IS NULL AND next_poll <= $1 ORDER BY next_poll LIMIT $3
             ) RETURNING id, name, account, channel, credential, upstream, key_pool, key_lease, account_pool,
                account_lease, held, seconds, context, price, action, state, progress, answer, made, units, created,
                ended, polls, misses",
        )
        .bind(now.millis())
        .bind(until.millis())
        .bind(limit)
        .fetch_all()
        .await?;
        tx.commit().await?;
        rows.into_iter().map(Job::try_from).collect()
    }
}

fn push(sql: &mut Sql, account: AccountId, filter: &JobFilter) {
    sql.push_bind(account.0);
    if let Some(name) = &filter.name {
        sql.push(" AND name = ").push_bind(name.clone());
    }
    if let Some(state) = filter.state {
        sql.push(" AND state = ").push_bind(state.word().to_owned());
    }
    if let Some(action) = &filter.action {
        sql.push(" AND action = ").push_bind(action.clone());
    }
    if let Some(from) = filter.from {
        sql.push(" AND created >= ").push_bind(from.millis());
    }
    if let Some(until) = filter.until {
        sql.push(" AND created < ").push_bind(until.millis());
    }
}

/// What charges of jobs have for a journal; its positions are the ids of the jobs.
async fn jobs_journal(tx: &mut Tx) -> Result<i64, StoreError> {
    Ok(tx.query("SELECT id FROM journal WHERE name = 'jobs'").scalar().await?)
}

/// Moves units of a hold into a lease of their own; no lease where the pool has no limit. The units of a pool that was
/// edited since the hold was taken are reserved nowhere, and a lease that says so is made.
async fn set_apart(tx: &mut Tx, journal: i64, draw: Draw, units: Units) -> Result<LeaseId, StoreError> {
    if draw.lease == LeaseId(0) {
        return Ok(draw.lease);
    }
    let state: Option<String> = tx
        .query("UPDATE lease SET spent = spent + $3 WHERE id = $2 AND pool = $1 RETURNING state")
        .bind(draw.pool.0)
        .bind(draw.lease.0)
        .bind(units.get())
        .optional_scalar()
        .await?;
    let state = match state.as_deref() {
        Some("open") => {
            tx.query("UPDATE pool SET leased = leased - $2, suspense = suspense + $2 WHERE id = $1")
                .bind(draw.pool.0)
                .bind(units.get())
                .execute()
                .await?;
            "suspense"
        }
        Some("suspense") => "suspense",
        _ => "void",
    };
    let lease = tx
        .query(
            "INSERT INTO lease (pool, journal, amount, spent, state) VALUES ($1, $2, $3, 0, $4) RETURNING id",
        )
        .bind(draw.pool.0)
        .bind(journal)
        .bind(units.get())
        .bind(state)
        .scalar()
        .await?;
    Ok(LeaseId(lease))
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
