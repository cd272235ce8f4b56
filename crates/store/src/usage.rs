//! Usage records: one for each settled request, written by the journal's applier alone.

use ledger::Charge;
use model::{
    clock::Timestamp,
    id::{AccountId, KeyId},
    money::Units,
    usage::{Provenance, Tokens},
};

use crate::store::{Store, StoreError, Tx};

/// One settled request, as its account sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageRecord {
    /// The request id that the caller saw.
    pub request_id: String,
    /// The key.
    pub key: KeyId,
    /// The model that the caller named.
    pub model: String,
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
    /// When it ended.
    pub ended: Timestamp,
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

#[derive(sqlx::FromRow)]
struct Row {
    request_id: String,
    api_key: i64,
    model: String,
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
    ended: i64,
}

impl From<Row> for UsageRecord {
    fn from(row: Row) -> Self {
        Self {
            request_id: row.request_id,
            key: KeyId(row.api_key),
            model: row.model,
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
            ended: Timestamp::from_millis(row.ended),
        }
    }
}

impl Store {
    /// The newest records of an account.
    ///
    /// # Errors
    /// The database.
    pub async fn usage_of(&self, account: AccountId, limit: i64) -> Result<Vec<UsageRecord>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT request_id, api_key, model, input, cached_input, cache_write, output, reasoning, provenance,
                units, overrun, status, error, ended
             FROM usage WHERE account = $1 ORDER BY journal DESC, seq DESC LIMIT $2",
        )
        .bind(account.0)
        .bind(limit)
        .fetch_all(self.reader())
        .await?;
        Ok(rows.into_iter().map(UsageRecord::from).collect())
    }
}
