//! Reading jobs.

use ledger::Draw;
use model::{
    clock::Timestamp,
    id::{AccountId, ChannelId, CredentialId, LeaseId, PoolId},
    money::Units,
};

use super::{Job, JobFilter, JobState, Told};
use crate::{
    build::Sql,
    key::Page,
    sql::Run,
    store::{Store, StoreError},
};

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

impl Store {
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
