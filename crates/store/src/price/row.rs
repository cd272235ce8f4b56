//! A price as the database has it: the usual in columns, the rest as one JSON text.

use model::{
    clock::Timestamp,
    id::PriceId,
    money::Units,
    price::{ListedRates, Price, Rates, SizeRate, TermRatio, Tier, ToolRate, UnitsPerMillion},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::ModelPrice;
use crate::store::StoreError;

/// What a price says beyond its columns.
#[derive(Serialize, Deserialize)]
struct Further {
    cache_write_1h: UnitsPerMillion,
    input_audio: UnitsPerMillion,
    input_image: UnitsPerMillion,
    reasoning: UnitsPerMillion,
    output_audio: UnitsPerMillion,
    output_image: UnitsPerMillion,
    per_second: UnitsPerMillion,
    per_image: UnitsPerMillion,
    tiers: Vec<Tier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tools: Vec<ToolRate>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    terms: Vec<TermRatio>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sizes: Vec<SizeRate>,
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
        let listed = Price::listed(PriceId(self.id), listed.rates());
        let mut price = Price { per_call: Units::new(self.per_call), ..listed };
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
            (price.tiers, price.tools, price.terms) = (further.tiers, further.tools, further.terms);
            price.sizes = further.sizes;
        }
        Ok(price)
    }
}

/// What its columns do not say of a price, if anything.
pub(super) fn further(price: &Price) -> Option<String> {
    let rates = &price.rates;
    let (input, output) = (rates.input, rates.output);
    let said = rates.cache_write_1h == rates.cache_write
        && (rates.input_audio, rates.input_image) == (input, input)
        && (rates.reasoning, rates.output_audio, rates.output_image) == (output, output, output)
        && (price.per_second.0, price.per_image.0) == (0, 0)
        && price.tiers.is_empty()
        && price.tools.is_empty()
        && price.terms.is_empty()
        && price.sizes.is_empty();
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
        tools: price.tools.clone(),
        terms: price.terms.clone(),
        sizes: price.sizes.clone(),
    };
    (!said).then(|| json!(further).to_string())
}

#[derive(sqlx::FromRow)]
pub(super) struct Row {
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
