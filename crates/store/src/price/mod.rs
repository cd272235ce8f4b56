//! Prices: versions of what a model costs, each in force from a moment on.

mod new;
mod row;

use model::{
    clock::Timestamp,
    id::PriceId,
    price::{Price, Tier},
};
use serde_json::{Value, json};

pub use new::{Leaps, NewPrice};
pub(crate) use row::Columns;
use row::{Row, further};

use crate::{
    audit::Entry,
    change::{self, Kind},
    database::Tx,
    key::Page,
    sql::Run,
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
    /// The most tokens that one image of a request can be; `None` for what is assumed of every model.
    pub image_tokens: Option<u64>,
    /// Whether output may hide reasoning that is not seen while it is streamed.
    pub reasoning: bool,
    /// From when on.
    pub effective: Timestamp,
}

impl ModelPrice {
    /// The same price to be set once more, from now on.
    #[must_use]
    pub fn again(&self) -> NewPrice {
        let tier = |tier: &Tier| (tier.above, tier.rates.into());
        NewPrice {
            model: self.model.clone(),
            rates: self.price.rates.into(),
            tiers: self.price.tiers.iter().map(tier).collect(),
            per_call: self.price.per_call.get(),
            per_second: self.price.per_second.0,
            per_image: self.price.per_image.0,
            tools: self.price.tools.clone(),
            terms: self.price.terms.clone(),
            sizes: self.price.sizes.clone(),
            max_output: self.max_output,
            image_tokens: self.image_tokens,
            reasoning: self.reasoning,
            effective: None,
        }
    }
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, model, effective, input, cached_input, cache_write, output, per_call, max_output, image_tokens,
                reasoning, further FROM price ",
            $rest
        )
    };
}

fn state(price: &ModelPrice) -> Value {
    let mut state = serde_json::Map::new();
    for (kind, rate) in price.price.rates.by_kind() {
        state.insert(kind.word().to_owned(), rate.0.into());
    }
    let tiers = price.price.tiers.iter().map(|tier| {
        let rates =
            tier.rates.by_kind().into_iter().map(|(kind, rate)| (kind.word().to_owned(), rate.0.into()));
        let above = ("above".to_owned(), tier.above.into());
        Value::Object(std::iter::once(above).chain(rates).collect())
    });
    state.insert("tiers".to_owned(), tiers.collect());
    let tools = price.price.tools.iter().map(|tool| (tool.tool.word().to_owned(), tool.rate.0.into()));
    let terms = price.price.terms.iter().map(|term| (term.term.word().to_owned(), term.ratio.0.into()));
    state.insert("tools".to_owned(), Value::Object(tools.collect()));
    state.insert("service_tiers".to_owned(), Value::Object(terms.collect()));
    let sizes = price.price.sizes.iter().map(|size| (size.size.word().to_owned(), size.rate.0.into()));
    state.insert("per_second_by_size".to_owned(), Value::Object(sizes.collect()));
    let others = json!({
        "per_call": price.price.per_call.get(),
        "per_second": price.price.per_second.0,
        "per_image": price.price.per_image.0,
        "max_output": price.max_output,
        "image_tokens": price.image_tokens,
        "reasoning": price.reasoning,
        "effective": price.effective.secs(),
        "version": price.price.id.0,
    });
    if let Value::Object(others) = others {
        state.extend(others);
    }
    Value::Object(state)
}

impl Store {
    /// Sets the price of a model from now or from a later moment on. Earlier versions stay for the records that name them.
    ///
    /// # Errors
    /// A number that is not allowed; [`StoreError::Leap`].
    pub async fn put_price(
        &self,
        new: &NewPrice,
        leaps: Leaps,
        now: Timestamp,
    ) -> Result<PriceId, StoreError> {
        let mut tx = self.write().await?;
        let id = self.put_price_in(&mut tx, new, leaps, now).await?;
        tx.commit().await?;
        Ok(id)
    }

    pub(crate) async fn put_price_in(
        &self,
        tx: &mut Tx,
        new: &NewPrice,
        leaps: Leaps,
        now: Timestamp,
    ) -> Result<PriceId, StoreError> {
        new.check().map_err(StoreError::Invalid)?;
        let effective = new.effective.map_or(now, |effective| effective.max(now));
        let price = new.price(PriceId(0));
        let before = followed(tx, new, now).await?;
        let leap = before.and_then(|before| price.leap(&before.price)).filter(|_| leaps == Leaps::Refused);
        if let Some(leap) = leap {
            return Err(StoreError::Leap { model: new.model.clone(), leap });
        }
        let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let id: i64 = tx
            .query(
                "INSERT INTO price (model, effective, input, cached_input, cache_write, output, per_call,
                max_output, image_tokens, reasoning, further)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING id",
            )
            .bind(&new.model)
            .bind(effective.millis())
            .bind(price.rates.input.0)
            .bind(price.rates.cached_input.0)
            .bind(price.rates.cache_write.0)
            .bind(price.rates.output.0)
            .bind(price.per_call.get())
            .bind(count(new.max_output))
            .bind(new.image_tokens.map(count))
            .bind(i64::from(new.reasoning))
            .bind(further(&price))
            .scalar()
            .await?;
        let made = ModelPrice {
            model: new.model.clone(),
            price: Price { id: PriceId(id), ..price },
            max_output: new.max_output,
            image_tokens: new.image_tokens,
            reasoning: new.reasoning,
            effective,
        };
        // A price is never changed: a new version follows the one before it.
        let entry = Entry {
            action: "create",
            object: "price",
            id: new.model.clone(),
            before: None,
            after: Some(state(&made)),
        };
        self.audit(tx, entry, now).await?;
        change::record(tx, Kind::Routing, id, now).await?;
        Ok(PriceId(id))
    }

    /// Whether a version that `new` asks for is there: the one in force, or the one that begins at the same moment.
    pub(crate) async fn has_price(tx: &mut Tx, new: &NewPrice, now: Timestamp) -> Result<bool, StoreError> {
        Ok(followed(tx, new, now).await?.is_some_and(|known| new.is(&known)))
    }

    /// The prices in force at `now`, in the order of their models.
    ///
    /// # Errors
    /// The database.
    pub async fn prices(&self, now: Timestamp) -> Result<Vec<ModelPrice>, StoreError> {
        let rows: Vec<Row> = self
            .read()
            .await?
            .query(select!(
                "newest WHERE id = (
                SELECT id FROM price WHERE model = newest.model AND effective <= $1
                ORDER BY effective DESC, id DESC LIMIT 1)
             ORDER BY model"
            ))
            .bind(now.millis())
            .fetch_all()
            .await?;
        rows.into_iter().map(ModelPrice::try_from).collect()
    }

    /// Versions of prices, of one model or of all, the latest first, and how many there are.
    ///
    /// # Errors
    /// The database.
    pub async fn price_versions(
        &self,
        model: Option<&str>,
        page: Page,
    ) -> Result<(Vec<ModelPrice>, i64), StoreError> {
        let total = self
            .read()
            .await?
            .query("SELECT count(*) FROM price WHERE CAST($1 AS TEXT) IS NULL OR model = $1")
            .bind(model)
            .scalar()
            .await?;
        let rows: Vec<Row> = self.read().await?.query(select!(
            "WHERE CAST($1 AS TEXT) IS NULL OR model = $1 ORDER BY effective DESC, id DESC LIMIT $2 OFFSET $3"
        ))
        .bind(model)
        .bind(page.size)
        .bind(page.number.saturating_sub(1).saturating_mul(page.size))
        .fetch_all()
        .await?;
        Ok((rows.into_iter().map(ModelPrice::try_from).collect::<Result<_, _>>()?, total))
    }

    /// When the next version of a price begins, after `now`.
    ///
    /// # Errors
    /// The database.
    pub async fn next_price(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let next: Option<i64> = self
            .read()
            .await?
            .query("SELECT min(effective) FROM price WHERE effective > $1")
            .bind(now.millis())
            .scalar()
            .await?;
        Ok(next.map(Timestamp::from_millis))
    }

    /// Takes back a version that is not in force yet.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Conflict`] for one that has begun: records may name it.
    pub async fn withdraw_price(&self, id: PriceId, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let row: Option<Row> = tx.query(select!("WHERE id = $1")).bind(id.0).fetch_optional().await?;
        let price = ModelPrice::try_from(row.ok_or(StoreError::NotFound)?)?;
        if price.effective <= now {
            return Err(StoreError::Conflict(format!(
                "version {id} has begun; set another price instead of taking it back"
            )));
        }
        tx.query("DELETE FROM price WHERE id = $1").bind(id.0).execute().await?;
        let entry = Entry {
            action: "delete",
            object: "price",
            id: price.model.clone(),
            before: Some(state(&price)),
            after: None,
        };
        self.audit(&mut tx, entry, now).await?;
        change::record(&mut tx, Kind::Routing, id.0, now).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// The version that `new` follows: the one in force, or the one that is when it begins.
async fn followed(tx: &mut Tx, new: &NewPrice, now: Timestamp) -> Result<Option<ModelPrice>, StoreError> {
    let from = new.effective.map_or(now, |effective| effective.max(now));
    let row: Option<Row> = tx
        .query(select!("WHERE model = $1 AND effective <= $2 ORDER BY effective DESC, id DESC LIMIT 1"))
        .bind(&new.model)
        .bind(from.millis())
        .fetch_optional()
        .await?;
    row.map(ModelPrice::try_from).transpose()
}
