//! Prices: versions of what a model costs, each in force from a moment on.

use model::{
    clock::Timestamp,
    id::PriceId,
    money::Units,
    price::{ListedRates, Price, Rates, Tier, UnitsPerMillion},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    audit::Entry,
    change::{self, Kind},
    key::Page,
    store::{Store, StoreError, Tx},
};

/// The most lengths of input at which a price may change.
const MOST_TIERS: usize = 8;

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
            max_output: self.max_output,
            image_tokens: self.image_tokens,
            reasoning: self.reasoning,
            effective: None,
        }
    }
}

/// A price to be set. Units for a million tokens, seconds or images, or for a call.
#[derive(Clone, Debug, Default)]
pub struct NewPrice {
    /// The model.
    pub model: String,
    /// What tokens cost.
    pub rates: ListedRates,
    /// What they cost instead above a length of the input, in ascending order.
    pub tiers: Vec<(u64, ListedRates)>,
    /// A call.
    pub per_call: i64,
    /// A million seconds.
    pub per_second: i64,
    /// A million images.
    pub per_image: i64,
    /// The most output tokens that one answer can have.
    pub max_output: u64,
    /// The most tokens that one image of a request can be; `None` for what is assumed of every model.
    pub image_tokens: Option<u64>,
    /// Whether output may hide reasoning.
    pub reasoning: bool,
    /// From when on; now when absent or past.
    pub effective: Option<Timestamp>,
}

impl NewPrice {
    /// Whether every number is one that may be set.
    ///
    /// # Errors
    /// A sentence that names the first that is not.
    pub fn check(&self) -> Result<(), String> {
        let others =
            [("per_call", self.per_call), ("per_second", self.per_second), ("per_image", self.per_image)];
        for (name, number) in others {
            if !(0..=Units::MAX.get()).contains(&number) {
                return Err(format!("{name} must be between 0 and {}", Units::MAX));
            }
        }
        for rates in std::iter::once(&self.rates).chain(self.tiers.iter().map(|(_, rates)| rates)) {
            for (kind, rate) in rates.rates().by_kind() {
                if !(0..=Units::MAX.get()).contains(&rate.0) {
                    return Err(format!("{} must be between 0 and {}", kind.word(), Units::MAX));
                }
            }
        }
        if self.tiers.len() > MOST_TIERS || !self.tiers.is_sorted_by(|(before, _), (after, _)| before < after)
        {
            return Err(format!(
                "there may be {MOST_TIERS} tiers, each above a longer input than the one before it"
            ));
        }
        if self.tiers.iter().any(|(above, _)| *above == 0 || *above > u64::from(u32::MAX)) {
            return Err(format!("above must be between 1 and {}", u32::MAX));
        }
        if self.model.is_empty() || self.model.len() > 256 || self.model.contains(',') {
            return Err("a model's name must have 1 to 256 bytes and no comma".to_owned());
        }
        for (name, count) in [("max_output", Some(self.max_output)), ("image_tokens", self.image_tokens)] {
            if count.is_some_and(|count| !(1..=u64::from(u32::MAX)).contains(&count)) {
                return Err(format!("{name} must be between 1 and {}", u32::MAX));
            }
        }
        Ok(())
    }

    /// The price that it will be.
    #[must_use]
    pub fn price(&self, id: PriceId) -> Price {
        let tier = |(above, rates): &(u64, ListedRates)| Tier { above: *above, rates: rates.rates() };
        Price {
            id,
            rates: self.rates.rates(),
            tiers: self.tiers.iter().map(tier).collect(),
            per_call: Units::new(self.per_call),
            per_second: UnitsPerMillion(self.per_second),
            per_image: UnitsPerMillion(self.per_image),
        }
    }

    /// Whether `known` says the same of the same model.
    fn is(&self, known: &ModelPrice) -> bool {
        self.price(known.price.id) == known.price
            && (self.max_output, self.image_tokens, self.reasoning)
                == (known.max_output, known.image_tokens, known.reasoning)
    }
}

/// What a price says beyond its columns.
#[derive(Serialize, Deserialize)]
pub(crate) struct Further {
    cache_write_1h: UnitsPerMillion,
    input_audio: UnitsPerMillion,
    input_image: UnitsPerMillion,
    reasoning: UnitsPerMillion,
    output_audio: UnitsPerMillion,
    output_image: UnitsPerMillion,
    per_second: UnitsPerMillion,
    per_image: UnitsPerMillion,
    tiers: Vec<Tier>,
}

/// The columns of a price.
pub(crate) struct Columns<'a> {
    pub(crate) id: i64,
    pub(crate) input: i64,
    pub(crate) cached_input: i64,
    pub(crate) cache_write: i64,
    pub(crate) output: i64,
    pub(crate) per_call: i64,
    pub(crate) further: Option<&'a str>,
}

impl Columns<'_> {
    pub(crate) fn price(&self) -> Result<Price, StoreError> {
        let listed = ListedRates {
            cached_input: Some(self.cached_input),
            cache_write: Some(self.cache_write),
            ..ListedRates::of(self.input, self.output)
        };
        let mut price = Price {
            id: PriceId(self.id),
            rates: listed.rates(),
            tiers: Vec::new(),
            per_call: Units::new(self.per_call),
            per_second: UnitsPerMillion(0),
            per_image: UnitsPerMillion(0),
        };
        if let Some(further) = self.further {
            let further: Further = serde_json::from_str(further)
                .map_err(|_| StoreError::Corrupt("the further part of a price"))?;
            price.rates = Rates {
                cache_write_1h: further.cache_write_1h,
                input_audio: further.input_audio,
                input_image: further.input_image,
                reasoning: further.reasoning,
                output_audio: further.output_audio,
                output_image: further.output_image,
                ..price.rates
            };
            (price.per_second, price.per_image) = (further.per_second, further.per_image);
            price.tiers = further.tiers;
        }
        Ok(price)
    }
}

/// What its columns do not say of a price, if anything.
fn further(price: &Price) -> Option<String> {
    let rates = &price.rates;
    let (input, output) = (rates.input, rates.output);
    let said = rates.cache_write_1h == rates.cache_write
        && (rates.input_audio, rates.input_image) == (input, input)
        && (rates.reasoning, rates.output_audio, rates.output_image) == (output, output, output)
        && (price.per_second.0, price.per_image.0) == (0, 0)
        && price.tiers.is_empty();
    let further = Further {
        cache_write_1h: rates.cache_write_1h,
        input_audio: rates.input_audio,
        input_image: rates.input_image,
        reasoning: rates.reasoning,
        output_audio: rates.output_audio,
        output_image: rates.output_image,
        per_second: price.per_second,
        per_image: price.per_image,
        tiers: price.tiers.clone(),
    };
    (!said).then(|| json!(further).to_string())
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    model: String,
    effective: i64,
    input: i64,
    cached_input: i64,
    cache_write: i64,
    output: i64,
    per_call: i64,
    max_output: i64,
    image_tokens: Option<i64>,
    reasoning: i64,
    further: Option<String>,
}

impl TryFrom<Row> for ModelPrice {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let columns = Columns {
            id: row.id,
            input: row.input,
            cached_input: row.cached_input,
            cache_write: row.cache_write,
            output: row.output,
            per_call: row.per_call,
            further: row.further.as_deref(),
        };
        Ok(Self {
            price: columns.price()?,
            model: row.model,
            max_output: row.max_output.unsigned_abs(),
            image_tokens: row.image_tokens.map(i64::unsigned_abs),
            reasoning: row.reasoning != 0,
            effective: Timestamp::from_millis(row.effective),
        })
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
    /// A number that is not allowed.
    pub async fn put_price(&self, new: &NewPrice, now: Timestamp) -> Result<PriceId, StoreError> {
        let mut tx = self.write().await?;
        let id = self.put_price_in(&mut tx, new, now).await?;
        tx.commit().await?;
        Ok(id)
    }

    pub(crate) async fn put_price_in(
        &self,
        tx: &mut Tx,
        new: &NewPrice,
        now: Timestamp,
    ) -> Result<PriceId, StoreError> {
        new.check().map_err(StoreError::Invalid)?;
        let effective = new.effective.map_or(now, |effective| effective.max(now));
        let price = new.price(PriceId(0));
        let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let id: i64 = sqlx::query_scalar(
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
        .fetch_one(&mut **tx)
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
        let from = new.effective.map_or(now, |effective| effective.max(now));
        let row: Option<Row> = sqlx::query_as(select!(
            "WHERE model = $1 AND effective <= $2 ORDER BY effective DESC, id DESC LIMIT 1"
        ))
        .bind(&new.model)
        .bind(from.millis())
        .fetch_optional(&mut **tx)
        .await?;
        Ok(row.map(ModelPrice::try_from).transpose()?.is_some_and(|known| new.is(&known)))
    }

    /// The prices in force at `now`, in the order of their models.
    ///
    /// # Errors
    /// The database.
    pub async fn prices(&self, now: Timestamp) -> Result<Vec<ModelPrice>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(select!(
            "newest WHERE id = (
                SELECT id FROM price WHERE model = newest.model AND effective <= $1
                ORDER BY effective DESC, id DESC LIMIT 1)
             ORDER BY model"
        ))
        .bind(now.millis())
        .fetch_all(self.reader())
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
        let total =
            sqlx::query_scalar("SELECT count(*) FROM price WHERE CAST($1 AS TEXT) IS NULL OR model = $1")
                .bind(model)
                .fetch_one(self.reader())
                .await?;
        let rows: Vec<Row> = sqlx::query_as(select!(
            "WHERE CAST($1 AS TEXT) IS NULL OR model = $1 ORDER BY effective DESC, id DESC LIMIT $2 OFFSET $3"
        ))
        .bind(model)
        .bind(page.size)
        .bind(page.number.saturating_sub(1).saturating_mul(page.size))
        .fetch_all(self.reader())
        .await?;
        Ok((rows.into_iter().map(ModelPrice::try_from).collect::<Result<_, _>>()?, total))
    }

    /// When the next version of a price begins, after `now`.
    ///
    /// # Errors
    /// The database.
    pub async fn next_price(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let next: Option<i64> = sqlx::query_scalar("SELECT min(effective) FROM price WHERE effective > $1")
            .bind(now.millis())
            .fetch_one(self.reader())
            .await?;
        Ok(next.map(Timestamp::from_millis))
    }

    /// Takes back a version that is not in force yet.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Conflict`] for one that has begun: records may name it.
    pub async fn withdraw_price(&self, id: PriceId, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let row: Option<Row> =
            sqlx::query_as(select!("WHERE id = $1")).bind(id.0).fetch_optional(&mut *tx).await?;
        let price = ModelPrice::try_from(row.ok_or(StoreError::NotFound)?)?;
        if price.effective <= now {
            return Err(StoreError::Conflict(format!(
                "version {id} has begun; set another price instead of taking it back"
            )));
        }
        sqlx::query("DELETE FROM price WHERE id = $1").bind(id.0).execute(&mut *tx).await?;
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
