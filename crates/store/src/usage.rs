//! Usage records: one for each settled request, written by the journal's applier alone.

use ledger::Charge;
use model::{
    clock::Timestamp,
    id::{AccountId, ChannelId, KeyId},
    money::Units,
    usage::{Provenance, Tokens},
};

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

/// Inserts the record of a charge. `false` when it is there already.
pub(crate) async fn insert(tx: &mut Tx, journal: i64, charge: &Charge) -> Result<bool, StoreError> {
    let Charge { id, draws, context, outcome } = charge;
    let pool = |index: usize| draws.get(index).map_or(0, |draw| draw.pool.0);
    let inserted = sqlx::query(
        "INSERT INTO usage (journal, seq, account, api_key, key_name, key_pool, account_pool, request_id,
            price_group, channel, model, upstream_model, door, stream, price, ratio, client, started, ended,
            first_byte_ms, input, cached_input, cache_write, output, reasoning, provenance, units, overrun,
            status, error)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
            $21, $22, $23, $24, $25, $26, $27, $28, $29, $30)
         ON CONFLICT (journal, seq) DO NOTHING",
    )
    .bind(journal)
    .bind(number(id.seq))
    .bind(context.account.0)
    .bind(context.key.0)
    .bind(&context.key_name)
    .bind(pool(0))
    .bind(pool(1))
    .bind(&context.request_id)
    .bind(&context.group)
    .bind(context.channel.0)
    .bind(&context.model)
    .bind(&context.upstream_model)
    .bind(&context.door)
    .bind(i64::from(context.stream))
    .bind(context.price.0)
    .bind(context.ratio.0)
    .bind(context.client.to_string())
    .bind(context.started.millis())
    .bind(outcome.ended.millis())
    .bind(outcome.first_byte_ms)
    .bind(number(outcome.tokens.input))
    .bind(number(outcome.tokens.cached_input))
    .bind(number(outcome.tokens.cache_write))
    .bind(number(outcome.tokens.output))
    .bind(number(outcome.tokens.reasoning))
    .bind(word(outcome.provenance))
    .bind(outcome.units.get())
    .bind(outcome.overrun.get())
    .bind(i64::from(outcome.status))
    .bind(&outcome.error)
    .execute(&mut **tx)
    .await?;
    Ok(inserted.rows_affected() > 0)
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
