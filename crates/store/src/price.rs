//! Prices: versions of what a model costs, each in force from a moment on.

use model::{
    clock::Timestamp,
    id::PriceId,
    money::Units,
    price::{Price, UnitsPerMillion},
};
use serde_json::json;

use crate::{
    audit::Entry,
    change::{self, Kind},
    store::{Store, StoreError},
};

/// What a model costs, and how much it can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelPrice {
    /// The model.
    pub model: String,
    /// The price.
    pub price: Price,
    /// The most output tokens that one answer can have.
    pub max_output: u64,
    /// Whether output may hide reasoning that is not seen while it is streamed.
    pub reasoning: bool,
}

/// A price to be set. Units for a million tokens, or for a call.
#[derive(Clone, Debug)]
pub struct NewPrice {
    /// The model.
    pub model: String,
    /// Input tokens.
    pub input: i64,
    /// Input tokens that a cache served; `None` for the price of input.
    pub cached_input: Option<i64>,
    /// Input tokens written to a cache; `None` for the price of input.
    pub cache_write: Option<i64>,
    /// Output tokens.
    pub output: i64,
    /// A call.
    pub per_call: i64,
    /// The most output tokens that one answer can have.
    pub max_output: u64,
    /// Whether output may hide reasoning.
    pub reasoning: bool,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    model: String,
    input: i64,
    cached_input: i64,
    cache_write: i64,
    output: i64,
    per_call: i64,
    max_output: i64,
    reasoning: i64,
}

impl From<Row> for ModelPrice {
    fn from(row: Row) -> Self {
        Self {
            model: row.model,
            price: Price {
                id: PriceId(row.id),
                input: UnitsPerMillion(row.input),
                cached_input: UnitsPerMillion(row.cached_input),
                cache_write: UnitsPerMillion(row.cache_write),
                output: UnitsPerMillion(row.output),
                per_call: Units::new(row.per_call),
            },
            max_output: row.max_output.unsigned_abs(),
            reasoning: row.reasoning != 0,
        }
    }
}

impl Store {
    /// Sets the price of a model from `now` on. Earlier versions stay for the records that name them.
    ///
    /// # Errors
    /// A number that is not allowed.
    pub async fn put_price(&self, new: &NewPrice, now: Timestamp) -> Result<PriceId, StoreError> {
        let numbers = [
            ("input", new.input),
            ("cached_input", new.cached_input.unwrap_or(0)),
            ("cache_write", new.cache_write.unwrap_or(0)),
            ("output", new.output),
            ("per_call", new.per_call),
        ];
        for (name, number) in numbers {
            if !(0..=Units::MAX.get()).contains(&number) {
                return Err(StoreError::Invalid(format!("{name} must be between 0 and {}", Units::MAX)));
            }
        }
        if new.model.is_empty() || new.model.len() > 256 || new.model.contains(',') {
            return Err(StoreError::Invalid(
                "a model's name must have 1 to 256 bytes and no comma".to_owned(),
            ));
        }
        let most = i64::from(u32::MAX);
        let max_output = i64::try_from(new.max_output).ok().filter(|limit| (1..=most).contains(limit));
        let Some(max_output) = max_output else {
            return Err(StoreError::Invalid(format!("max_output must be between 1 and {most}")));
        };
        let mut tx = self.write().await?;
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO price (model, effective, input, cached_input, cache_write, output, per_call,
                max_output, reasoning) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id",
        )
        .bind(&new.model)
        .bind(now.millis())
        .bind(new.input)
        .bind(new.cached_input.unwrap_or(new.input))
        .bind(new.cache_write.unwrap_or(new.input))
        .bind(new.output)
        .bind(new.per_call)
        .bind(max_output)
        .bind(i64::from(new.reasoning))
        .fetch_one(&mut *tx)
        .await?;
        let state = json!({
            "input": new.input,
            "cached_input": new.cached_input.unwrap_or(new.input),
            "cache_write": new.cache_write.unwrap_or(new.input),
            "output": new.output,
            "per_call": new.per_call,
            "max_output": new.max_output,
            "reasoning": new.reasoning,
            "version": id,
        });
        // A price is never changed: a new version follows the one before it.
        let entry = Entry {
            action: "create",
            object: "price",
            id: new.model.clone(),
            before: None,
            after: Some(state),
        };
        self.audit(&mut tx, entry, now).await?;
        change::record(&mut tx, Kind::Routing, id, now).await?;
        tx.commit().await?;
        Ok(PriceId(id))
    }

    /// The prices in force at `now`, in the order of their models.
    ///
    /// # Errors
    /// The database.
    pub async fn prices(&self, now: Timestamp) -> Result<Vec<ModelPrice>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT id, model, input, cached_input, cache_write, output, per_call, max_output, reasoning
             FROM price newest WHERE id = (
                SELECT id FROM price WHERE model = newest.model AND effective <= $1
                ORDER BY effective DESC, id DESC LIMIT 1)
             ORDER BY model",
        )
        .bind(now.millis())
        .fetch_all(self.reader())
        .await?;
        Ok(rows.into_iter().map(ModelPrice::from).collect())
    }
}
