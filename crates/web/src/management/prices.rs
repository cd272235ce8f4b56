//! Prices, for administrators. Everybody reads those in force in the catalogue.

use std::collections::BTreeMap;

use axum::extract::State;
use gateway::{Failure, Leaps, ModelPrice, NewPrice, catalogue, prices};
use model::{
    clock::Timestamp,
    id::PriceId,
    price::{ListedRates, Rates, Ratio, Size, SizeRate, Term, TermRatio, Tool, ToolRate, UnitsPerMillion},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Authenticated, Input, Listed, Paging, Segment, id};
use crate::{
    envelope::{Done, Envelope, Failed, Problem, Reply, done, ok},
    routes::AppState,
};

/// What tokens cost, in quota units for a million; 500000 units are one US dollar.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(default)]
#[schema(as = RatesInput)]
pub(crate) struct RatesBody {
    /// Input tokens.
    input: Option<i64>,
    /// Input tokens that a cache served; the price of input when absent.
    cached_input: Option<i64>,
    /// Input tokens written to a cache; the price of input when absent.
    cache_write: Option<i64>,
    /// Input tokens written to a cache that keeps them for an hour; the price of `cache_write` when absent.
    cache_write_1h: Option<i64>,
    /// The part of input that is sound; the price of input when absent.
    input_audio: Option<i64>,
    /// The part of input that is images; the price of input when absent.
    input_image: Option<i64>,
    /// Output tokens.
    output: Option<i64>,
    /// The part of output that is reasoning; the price of output when absent.
    output_reasoning: Option<i64>,
    /// The part of output that is sound; the price of output when absent.
    output_audio: Option<i64>,
    /// The part of output that is images; the price of output when absent.
    output_image: Option<i64>,
}

impl RatesBody {
    fn listed(&self) -> Result<ListedRates, Failure> {
        Ok(ListedRates {
            input: self.input.ok_or_else(|| missing("input"))?,
            cached_input: self.cached_input,
            cache_write: self.cache_write,
            cache_write_1h: self.cache_write_1h,
            input_audio: self.input_audio,
            input_image: self.input_image,
            output: self.output.ok_or_else(|| missing("output"))?,
            reasoning: self.output_reasoning,
            output_audio: self.output_audio,
            output_image: self.output_image,
        })
    }
}

/// What tokens cost when the input is long.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(default)]
#[schema(as = TierInput)]
pub(crate) struct TierBody {
    /// The longest input that this does not apply to, in tokens of every kind.
    above: Option<u64>,
    #[serde(flatten)]
    rates: RatesBody,
}

/// What a model costs from a moment on.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = PriceInput)]
pub(crate) struct Body {
    /// The model.
    model: Option<String>,
    #[serde(flatten)]
    rates: RatesBody,
    /// What tokens cost instead when the input is longer than `above`, shortest first.
    tiers: Option<Vec<TierBody>>,
    /// A call, in quota units; 0 when absent.
    per_call: Option<i64>,
    /// A million seconds of sound or video, in quota units; 0 when absent.
    per_second: Option<i64>,
    /// A million images, in quota units; 0 when absent.
    per_image: Option<i64>,
    /// A million calls of tools that the provider runs itself, in quota units, by their names: `web_search`, `grounding`,
    /// `web_fetch`, `file_search`, `code_execution`, `image_generation`, `maps`, `other_tool`. 0 where one is free; a request for
    /// one that is absent is refused.
    tools: Option<BTreeMap<String, i64>>,
    /// How many times the rates of tokens are charged under terms of service, in millionths, by their names: `flex`, `priority`,
    /// `batch`, `scale`, `fast`, `ultrafast`, `us`. A request for one that is absent is refused.
    service_tiers: Option<BTreeMap<String, i64>>,
    /// A million seconds of video by its size, in quota units: `480p`, `720p`, `1024p`, `1080p`, `1440p`, `2160p`. Where some have a
    /// price, a request for another one is refused, and `per_second` is charged where nobody says a size.
    per_second_by_size: Option<BTreeMap<String, i64>>,
    /// The most output tokens that one answer can have.
    max_output: Option<u64>,
    /// The most tokens that one image of a request can be; 6000 when absent.
    image_tokens: Option<u64>,
    /// Whether output may hide reasoning; false when absent.
    reasoning: Option<bool>,
    /// From when on, in Unix seconds; now when absent or past.
    effective: Option<i64>,
    /// Whether it is meant although it is more than tenfold the price that it follows, or less than a tenth of it; false
    /// when absent.
    confirm: Option<bool>,
}

fn missing(name: &str) -> Failure {
    Failure::Invalid(format!("{name} is required"))
}

fn tools(said: BTreeMap<String, i64>) -> Result<Vec<ToolRate>, Failure> {
    let each = said.into_iter().map(|(name, rate)| {
        let tool =
            Tool::of(&name).ok_or_else(|| Failure::Invalid(format!("tools: there is no tool {name}")))?;
        Ok(ToolRate { tool, rate: UnitsPerMillion(rate) })
    });
    each.collect()
}

fn terms(said: BTreeMap<String, i64>) -> Result<Vec<TermRatio>, Failure> {
    let each = said.into_iter().map(|(name, ratio)| {
        let unknown = || Failure::Invalid(format!("service_tiers: there is no service tier {name}"));
        Ok(TermRatio { term: Term::of(&name).ok_or_else(unknown)?, ratio: Ratio(ratio) })
    });
    each.collect()
}

fn sizes(said: BTreeMap<String, i64>) -> Result<Vec<SizeRate>, Failure> {
    let each = said.into_iter().map(|(name, rate)| {
        let unknown = || Failure::Invalid(format!("per_second_by_size: there is no size {name}"));
        Ok(SizeRate { size: Size::of(&name).ok_or_else(unknown)?, rate: UnitsPerMillion(rate) })
    });
    each.collect()
}

impl Body {
    fn price(self) -> Result<NewPrice, Failure> {
        let mut tiers = Vec::new();
        for tier in self.tiers.unwrap_or_default() {
            tiers.push((tier.above.ok_or_else(|| missing("above"))?, tier.rates.listed()?));
        }
        Ok(NewPrice {
            model: self.model.ok_or_else(|| missing("model"))?,
            rates: self.rates.listed()?,
            tiers,
            per_call: self.per_call.unwrap_or(0),
            per_second: self.per_second.unwrap_or(0),
            per_image: self.per_image.unwrap_or(0),
            tools: tools(self.tools.unwrap_or_default())?,
            terms: terms(self.service_tiers.unwrap_or_default())?,
            sizes: sizes(self.per_second_by_size.unwrap_or_default())?,
            max_output: self.max_output.ok_or_else(|| missing("max_output"))?,
            image_tokens: self.image_tokens,
            reasoning: self.reasoning.unwrap_or(false),
            effective: self.effective.map(Timestamp::from_secs),
        })
    }
}

/// What tokens cost, in quota units for a million.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Rates)]
pub(crate) struct RatesRecord {
    input: i64,
    cached_input: i64,
    cache_write: i64,
    cache_write_1h: i64,
    input_audio: i64,
    input_image: i64,
    output: i64,
    output_reasoning: i64,
    output_audio: i64,
    output_image: i64,
}

impl From<&Rates> for RatesRecord {
    fn from(rates: &Rates) -> Self {
        Self {
            input: rates.input.0,
            cached_input: rates.cached_input.0,
            cache_write: rates.cache_write.0,
            cache_write_1h: rates.cache_write_1h.0,
            input_audio: rates.input_audio.0,
            input_image: rates.input_image.0,
            output: rates.output.0,
            output_reasoning: rates.reasoning.0,
            output_audio: rates.output_audio.0,
            output_image: rates.output_image.0,
        }
    }
}

/// What tokens cost when the input is longer than `above`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tier)]
pub(crate) struct TierRecord {
    above: u64,
    #[serde(flatten)]
    rates: RatesRecord,
}

/// A version of a price.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Price)]
pub(crate) struct Record {
    /// The version, as usage records name it.
    id: i64,
    /// The model.
    model: String,
    /// From when on, in Unix seconds.
    effective: i64,
    #[serde(flatten)]
    rates: RatesRecord,
    /// What tokens cost instead when the input is long.
    tiers: Vec<TierRecord>,
    /// A call, in quota units.
    per_call: i64,
    /// A million seconds, in quota units.
    per_second: i64,
    /// A million images, in quota units.
    per_image: i64,
    /// A million calls of tools that the provider runs itself, in quota units.
    tools: BTreeMap<String, i64>,
    /// How many times the rates of tokens are charged under terms of service, in millionths.
    service_tiers: BTreeMap<String, i64>,
    /// A million seconds of video by its size, in quota units.
    per_second_by_size: BTreeMap<String, i64>,
    /// The most output tokens that one answer can have.
    max_output: u64,
    /// The most tokens that one image of a request can be; null for what is assumed of every model.
    image_tokens: Option<u64>,
    /// Whether output may hide reasoning.
    reasoning: bool,
}

impl From<ModelPrice> for Record {
    fn from(known: ModelPrice) -> Self {
        let price = &known.price;
        let tier = |tier: &model::price::Tier| TierRecord { above: tier.above, rates: (&tier.rates).into() };
        Self {
            id: price.id.0,
            effective: known.effective.secs(),
            rates: (&price.rates).into(),
            tiers: price.tiers.iter().map(tier).collect(),
            per_call: price.per_call.get(),
            per_second: price.per_second.0,
            per_image: price.per_image.0,
            tools: price.tools.iter().map(|tool| (tool.tool.word().to_owned(), tool.rate.0)).collect(),
            service_tiers: price
                .terms
                .iter()
                .map(|term| (term.term.word().to_owned(), term.ratio.0))
                .collect(),
            per_second_by_size: price
                .sizes
                .iter()
                .map(|size| (size.size.word().to_owned(), size.rate.0))
                .collect(),
            max_output: known.max_output,
            image_tokens: known.image_tokens,
            reasoning: known.reasoning,
            model: known.model,
        }
    }
}

/// Which versions, and which part of them.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the shape of the query in the OpenAPI document; Paging reads it leniently")]
pub(crate) struct VersionsQuery {
    /// Of this model.
    model: Option<String>,
    /// The page, from 1.
    #[param(default = 1, minimum = 1)]
    p: Option<i64>,
    /// Entries on a page, 1 to 100.
    #[param(default = 10, minimum = 1, maximum = 100)]
    page_size: Option<i64>,
}

/// Every version of prices: past, in force and to come, the latest first.
#[utoipa::path(get, path = "/api/price", tag = "Operators", params(VersionsQuery),
    responses((status = 200, body = Envelope<Listed<Record>>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Paging { page, query }: Paging,
) -> Reply<Listed<Record>> {
    let model = query.get("model").map(String::as_str).filter(|model| !model.is_empty());
    let (versions, total) = prices::versions(&state.gateway, &caller, model, page).await?;
    ok(Listed::new(page, total, versions.into_iter().map(Record::from).collect()))
}

/// Sets the price of a model from now or from a later moment on.
#[utoipa::path(put, path = "/api/price", tag = "Operators", request_body = Body,
    responses((status = 200, body = Done), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn put(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Input(body): Input<Body>,
) -> Result<Done, Problem> {
    let leaps = Leaps::when(body.confirm.unwrap_or(false));
    prices::put(&state.gateway, &caller, &body.price()?, leaps).await?;
    done()
}

/// Takes back a version that is not in force yet.
#[utoipa::path(delete, path = "/api/price/{id}", tag = "Operators", params(("id" = i64, Path, description = "The version")),
    responses((status = 200, body = Done), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn withdraw(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Segment(version): Segment,
) -> Result<Done, Problem> {
    prices::withdraw(&state.gateway, &caller, PriceId(id(&version)?)).await?;
    done()
}

/// A file of models and prices.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = PriceFile)]
pub(crate) struct FileBody {
    /// Its text, TOML; docs/api.md says what stands in it.
    file: Option<String>,
    /// Whether prices are meant although they are more than tenfold those that they follow, or less than a tenth of them;
    /// false when absent.
    confirm: Option<bool>,
}

/// What came of a file.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PriceFileImported)]
pub(crate) struct ImportedRecord {
    /// Models whose facts are new or others than before.
    models: usize,
    /// New versions of prices.
    prices: usize,
}

/// Takes in a file of models and prices, all of it or nothing; the refusal names the line.
#[utoipa::path(post, path = "/api/price/import", tag = "Operators", request_body = FileBody,
    responses((status = 200, body = Envelope<ImportedRecord>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn import(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Input(body): Input<FileBody>,
) -> Reply<ImportedRecord> {
    let leaps = Leaps::when(body.confirm.unwrap_or(false));
    let done = catalogue::import_file(&state.gateway, &caller, body.file.as_deref(), leaps).await?;
    ok(ImportedRecord { models: done.models, prices: done.prices })
}
