//! Usage records: one for each settled request, written by the journal's applier alone.

use std::collections::HashSet;

use ledger::Charge;
use model::{
    clock::Timestamp,
    id::{AccountId, ChannelId, KeyId},
    money::Units,
    usage::{Provenance, Tokens},
};

use sqlx::{QueryBuilder, Sqlite, query_builder::Separated};

use crate::store::{Store, StoreError, Tx};

/// One settled request, as its account sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageRecord {
    /// Its place in a list of records.
    pub position: UsagePosition,
    /// The request id that the caller saw.
    pub request_id: String,
    /// The key.
    pub key: KeyId,
    /// The name of the key at that moment.
    pub key_name: String,
    /// The group that served.
    pub group: String,
    /// The channel that served.
    pub channel: ChannelId,
    /// The model that the caller named.
    pub model: String,
    /// Whether the answer was a stream.
    pub stream: bool,
    /// What was used.
    pub tokens: Tokens,
    /// Who says so: `reported`, `counted` or `estimated`.
    pub provenance: String,
    /// What it cost.
    pub units: Units,
    /// What the upstream claimed beyond the hold.
    pub overrun: Units,
    /// The HTTP status that the caller got.
    pub status: i64,
    /// A stable word for what went wrong.
    pub error: Option<String>,
    /// Milliseconds from arrival to the first byte of the answer.
    pub first_byte_ms: Option<i64>,
    /// When it arrived.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
}

/// The place of a record in a list, newest first: what the next page begins behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsagePosition {
    ended: i64,
    journal: i64,
    seq: i64,
}

impl UsagePosition {
    /// Before all records.
    pub const NEWEST: Self = Self { ended: i64::MAX, journal: i64::MAX, seq: i64::MAX };
}

/// The stable word of a provenance.
const fn word(provenance: Provenance) -> &'static str {
    match provenance {
        Provenance::Reported => "reported",
        Provenance::Counted => "counted",
        Provenance::Estimated => "estimated",
    }
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Rows in one statement: each statement is a trip to the database's thread, so many rows share one.
const ROWS: usize = 128;

/// Inserts the records of charges. Returns the positions of those that were not there already.
pub(crate) async fn insert(
    tx: &mut Tx,
    journal: i64,
    charges: &[Charge],
) -> Result<HashSet<u64>, StoreError> {
    let mut inserted = HashSet::with_capacity(charges.len());
    for charges in charges.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO usage (journal, seq, account, api_key, key_name, key_pool, account_pool, request_id,
                price_group, channel, model, upstream_model, door, stream, price, ratio, client, started, ended,
                first_byte_ms, input, cached_input, cache_write, output, reasoning, provenance, units, overrun,
                status, error) ",
        );
        query.push_values(charges, |mut row, charge| bind(&mut row, journal, charge));
        query.push(" ON CONFLICT (journal, seq) DO NOTHING RETURNING seq");
        let seqs: Vec<i64> = query.build_query_scalar().fetch_all(&mut **tx).await?;
        inserted.extend(seqs.into_iter().map(i64::unsigned_abs));
    }
    Ok(inserted)
}

fn bind(row: &mut Separated<'_, Sqlite, &'static str>, journal: i64, charge: &Charge) {
    let Charge { id, draws, context, outcome } = charge;
    let pool = |index: usize| draws.get(index).map_or(0, |draw| draw.pool.0);
    row.push_bind(journal)
        .push_bind(number(id.seq))
        .push_bind(context.account.0)
        .push_bind(context.key.0)
        .push_bind(context.key_name.clone())
        .push_bind(pool(0))
        .push_bind(pool(1))
        .push_bind(context.request_id.clone())
        .push_bind(context.group.clone())
        .push_bind(context.channel.0)
        .push_bind(context.model.clone())
        .push_bind(context.upstream_model.clone())
        .push_bind(context.door.clone())
        .push_bind(i64::from(context.stream))
        .push_bind(context.price.0)
        .push_bind(context.ratio.0)
        .push_bind(context.client.to_string())
        .push_bind(context.started.millis())
        .push_bind(outcome.ended.millis())
        .push_bind(outcome.first_byte_ms)
        .push_bind(number(outcome.tokens.input))
        .push_bind(number(outcome.tokens.cached_input))
        .push_bind(number(outcome.tokens.cache_write))
        .push_bind(number(outcome.tokens.output))
        .push_bind(number(outcome.tokens.reasoning))
        .push_bind(word(outcome.provenance))
        .push_bind(outcome.units.get())
        .push_bind(outcome.overrun.get())
        .push_bind(i64::from(outcome.status))
        .push_bind(outcome.error.clone());
}

/// Adds to what upstreams claimed beyond their holds. The sum stops at the largest number: in SQLite an overflow would
/// turn it into a float.
pub(crate) async fn add_overrun(tx: &mut Tx, units: i64) -> Result<(), StoreError> {
    let before: i64 =
        sqlx::query_scalar("SELECT units FROM overrun WHERE id = 1").fetch_one(&mut **tx).await?;
    sqlx::query("UPDATE overrun SET units = $1 WHERE id = 1")
        .bind(before.saturating_add(units))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct Row {
    journal: i64,
    seq: i64,
    request_id: String,
    api_key: i64,
    key_name: String,
    price_group: String,
    channel: i64,
    model: String,
    stream: i64,
    input: i64,
    cached_input: i64,
    cache_write: i64,
    output: i64,
    reasoning: i64,
    provenance: String,
    units: i64,
    overrun: i64,
    status: i64,
    error: Option<String>,
    first_byte_ms: Option<i64>,
    started: i64,
    ended: i64,
}

impl From<Row> for UsageRecord {
    fn from(row: Row) -> Self {
        Self {
            position: UsagePosition { ended: row.ended, journal: row.journal, seq: row.seq },
            request_id: row.request_id,
            key: KeyId(row.api_key),
            key_name: row.key_name,
            group: row.price_group,
            channel: ChannelId(row.channel),
            model: row.model,
            stream: row.stream != 0,
            tokens: Tokens {
                input: row.input.unsigned_abs(),
                cached_input: row.cached_input.unsigned_abs(),
                cache_write: row.cache_write.unsigned_abs(),
                output: row.output.unsigned_abs(),
                reasoning: row.reasoning.unsigned_abs(),
            },
            provenance: row.provenance,
            units: Units::new(row.units),
            overrun: Units::new(row.overrun),
            status: row.status,
            error: row.error,
            first_byte_ms: row.first_byte_ms,
            started: Timestamp::from_millis(row.started),
            ended: Timestamp::from_millis(row.ended),
        }
    }
}

macro_rules! select_usage {
    ($condition:literal) => {
        concat!(
            "SELECT journal, seq, request_id, api_key, key_name, price_group, channel, model, stream, input, \
             cached_input, cache_write, output, reasoning, provenance, units, overrun, status, error, \
             first_byte_ms, started, ended FROM usage \
             WHERE account = $1 AND (ended, journal, seq) < ($2, $3, $4) ",
            $condition,
            " ORDER BY ended DESC, journal DESC, seq DESC LIMIT $5"
        )
    };
}

impl Store {
    /// The newest records of an account.
    ///
    /// # Errors
    /// The database.
    pub async fn usage_of(&self, account: AccountId, limit: i64) -> Result<Vec<UsageRecord>, StoreError> {
        self.usage_before(account, UsagePosition::NEWEST, limit).await
    }

    /// The records of an account behind a position, newest first.
    ///
    /// # Errors
    /// The database.
    pub async fn usage_before(
        &self,
        account: AccountId,
        before: UsagePosition,
        limit: i64,
    ) -> Result<Vec<UsageRecord>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(select_usage!(""))
            .bind(account.0)
            .bind(before.ended)
            .bind(before.journal)
            .bind(before.seq)
            .bind(limit)
            .fetch_all(self.reader())
            .await?;
        Ok(rows.into_iter().map(UsageRecord::from).collect())
    }

    /// The records of one key of an account behind a position, newest first; also those of a key that is deleted.
    ///
    /// # Errors
    /// The database.
    pub async fn usage_of_key(
        &self,
        account: AccountId,
        key: KeyId,
        before: UsagePosition,
        limit: i64,
    ) -> Result<Vec<UsageRecord>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(select_usage!("AND api_key = $6"))
            .bind(account.0)
            .bind(before.ended)
            .bind(before.journal)
            .bind(before.seq)
            .bind(limit)
            .bind(key.0)
            .fetch_all(self.reader())
            .await?;
        Ok(rows.into_iter().map(UsageRecord::from).collect())
    }

    /// What upstreams claimed beyond their holds, of the whole installation. 0 with honest upstreams.
    ///
    /// # Errors
    /// The database.
    pub async fn overrun(&self) -> Result<Units, StoreError> {
        let units =
            sqlx::query_scalar("SELECT units FROM overrun WHERE id = 1").fetch_one(self.reader()).await?;
        Ok(Units::new(units))
    }
}
