//! The catalogue: models, what is known of them, and their prices. Everybody reads it; administrators say what is in it.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use gateway::{Failure, ModelFacts, ModelPrice, catalogue, door::Door, routing::Snapshot};
use model::price::{Rates, Ratio, UnitsPerMillion};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{Authenticated, Input, Segment, user::dollars};
use crate::{
    envelope::{Done, Failed, Problem, done},
    routes::AppState,
};

/// What a million tokens cost, in US dollars. A part that costs what its whole costs is not named.
fn rates(rates: &Rates) -> Map<String, Value> {
    let (input, output) = (rates.input, rates.output);
    let mut shown = Map::new();
    for (name, rate, whole) in [
        ("input", input, None),
        ("output", output, None),
        ("cached_input", rates.cached_input, Some(input)),
        ("cache_write", rates.cache_write, Some(input)),
        ("cache_write_1h", rates.cache_write_1h, Some(rates.cache_write)),
        ("input_audio", rates.input_audio, Some(input)),
        ("input_image", rates.input_image, Some(input)),
        ("output_reasoning", rates.reasoning, Some(output)),
        ("output_audio", rates.output_audio, Some(output)),
        ("output_image", rates.output_image, Some(output)),
    ] {
        if whole != Some(rate) {
            shown.insert(name.to_owned(), dollars(rate.0).into());
        }
    }
    shown
}

#[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
fn times(ratio: Ratio) -> f64 {
    ratio.0 as f64 / 1e6
}

fn pricing(known: &ModelPrice) -> Value {
    let price = &known.price;
    // Of a million, in units.
    let each = |rate: UnitsPerMillion| (rate.0 > 0).then(|| dollars(rate.0) / 1e6);
    let tiers = price.tiers.iter().map(|tier| {
        let mut shown = rates(&tier.rates);
        shown.insert("above".to_owned(), tier.above.into());
        Value::Object(shown)
    });
    let tools =
        price.tools.iter().map(|tool| (tool.tool.word().to_owned(), (dollars(tool.rate.0) / 1e6).into()));
    let terms = price.terms.iter().map(|term| (term.term.word().to_owned(), (times(term.ratio)).into()));
    let sizes =
        price.sizes.iter().map(|size| (size.size.word().to_owned(), (dollars(size.rate.0) / 1e6).into()));
    let mut shown = rates(&price.rates);
    let others = json!({
        "currency": "USD / M Tokens",
        "per_request": (price.per_call.get() > 0).then(|| dollars(price.per_call.get())),
        "per_second": each(price.per_second),
        "per_second_by_size": Value::Object(sizes.collect()),
        "per_image": each(price.per_image),
        "tiers": tiers.collect::<Vec<_>>(),
        "tools": Value::Object(tools.collect()),
        "service_tiers": Value::Object(terms.collect()),
        "version": price.id.0,
        "effective": known.effective.secs(),
    });
    if let Value::Object(others) = others {
        shown.extend(others);
    }
    Value::Object(shown)
}

fn record(known: &ModelPrice, routing: &Snapshot) -> Value {
    let facts = routing.facts(&known.model);
    let nothing = ModelFacts::unknown(&known.model);
    let said = facts.unwrap_or(&nothing);
    let text = |text: &String| (!text.is_empty()).then(|| text.clone());
    let doors = Door::ALL.into_iter().filter(|door| door.is_of(facts));
    let endpoints: Map<String, Value> = doors
        .filter_map(|door| {
            Some((door.endpoint()?.to_owned(), json!({"path": door.path(), "method": "POST"})))
        })
        .collect();
    json!({
        "id": known.model,
        "code": code(&known.model),
        "name": known.model,
        "description": said.description,
        "provider": said.provider,
        "provider_code": word(&said.provider),
        "model_type": said.kind,
        "features": said.features,
        "input_modalities": said.input_modalities,
        "output_modalities": said.output_modalities,
        "endpoints": endpoints,
        "pricing": pricing(known),
        "context_length": said.context_length,
        "max_completion_tokens": known.max_output,
        "available": routing.is_served(&known.model),
        "api_doc_url": text(&said.doc_url),
        "source": text(&said.source),
        "as_of": text(&said.as_of),
    })
}

/// How a model is named in a path.
fn code(model: &str) -> String {
    model.replace(['.', '/'], "-")
}

/// A name as one word in lower case.
fn word(name: &str) -> String {
    let letter = |letter: char| if letter.is_alphanumeric() { letter.to_ascii_lowercase() } else { '-' };
    name.chars().map(letter).collect()
}

/// All models, with their prices in US dollars for a million tokens.
#[utoipa::path(get, path = "/api/models", tag = "Catalogue", responses((status = 200, body = serde_json::Value)))]
pub(crate) async fn list(State(state): State<AppState>) -> Response {
    let routing = state.gateway.routing();
    let listed = |known: &&ModelPrice| routing.facts(&known.model).is_none_or(|facts| facts.listed);
    let models = routing.priced();
    let data: Vec<Value> =
        models.iter().map(|known| &***known).filter(listed).map(|known| record(known, &routing)).collect();
    let body =
        json!({"success": true, "message": "", "page": 0, "page_size": 0, "total": data.len(), "data": data});
    Json(body).into_response()
}

/// One model, by its id or its code.
#[utoipa::path(get, path = "/api/model/{code}", tag = "Catalogue",
    params(("code" = String, Path, description = "The model's code, or its id")),
    responses((status = 200, body = serde_json::Value)))]
pub(crate) async fn get(
    State(state): State<AppState>,
    Segment(wanted): Segment,
) -> Result<Response, Problem> {
    let routing = state.gateway.routing();
    let models = routing.priced();
    let by_code = || models.iter().find(|known| code(&known.model) == wanted).copied();
    let found = routing.price(&wanted).or_else(by_code).ok_or(Failure::NotFound("model"))?;
    let mut data = record(found, &routing);
    let overview = routing.facts(&found.model).map_or("", |facts| facts.description.as_str());
    if let Some(object) = data.as_object_mut() {
        object.insert("overview".to_owned(), Value::from(overview));
    }
    Ok(Json(json!({"success": true, "message": "", "data": data})).into_response())
}

/// What is known of a model beside its price. What is absent keeps its value.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = ModelInput)]
pub(crate) struct Body {
    /// The model.
    model: Option<String>,
    /// Who makes it.
    provider: Option<String>,
    /// What it is for: `text`, `embedding`, `image`, `audio`, `video`.
    model_type: Option<String>,
    /// A sentence for people.
    description: Option<String>,
    /// What it can do, such as `vision` or `tools`.
    features: Option<Vec<String>>,
    /// What it takes, such as `text` or `image`.
    input_modalities: Option<Vec<String>>,
    /// What it gives.
    output_modalities: Option<Vec<String>>,
    /// The dialects in which it may be asked, such as `openai` or `embeddings`.
    endpoints: Option<Vec<String>>,
    /// The most tokens of input and output together.
    context_length: Option<u64>,
    /// The provider's page about it.
    api_doc_url: Option<String>,
    /// Where these facts are from.
    source: Option<String>,
    /// The day that they are of.
    as_of: Option<String>,
    /// Whether the public catalogue shows it.
    listed: Option<bool>,
}

impl Body {
    fn over(self, before: ModelFacts) -> ModelFacts {
        ModelFacts {
            name: before.name,
            provider: self.provider.unwrap_or(before.provider),
            kind: self.model_type.unwrap_or(before.kind),
            description: self.description.unwrap_or(before.description),
            features: self.features.unwrap_or(before.features),
            input_modalities: self.input_modalities.unwrap_or(before.input_modalities),
            output_modalities: self.output_modalities.unwrap_or(before.output_modalities),
            endpoints: self.endpoints.unwrap_or(before.endpoints),
            context_length: self.context_length.or(before.context_length),
            doc_url: self.api_doc_url.unwrap_or(before.doc_url),
            source: self.source.unwrap_or(before.source),
            as_of: self.as_of.unwrap_or(before.as_of),
            listed: self.listed.unwrap_or(before.listed),
        }
    }
}

/// Says what is known of a model.
#[utoipa::path(put, path = "/api/model", tag = "Operators", request_body = Body,
    responses((status = 200, body = Done), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn put(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Input(body): Input<Body>,
) -> Result<Done, Problem> {
    let name = body.model.clone().ok_or_else(|| Failure::Invalid("model is required".to_owned()))?;
    let before = catalogue::facts(&state.gateway, &caller, &name).await?;
    catalogue::put(&state.gateway, &caller, &body.over(before)).await?;
    done()
}

/// Forgets what is known of a model, named by its id. Its prices stay.
#[utoipa::path(delete, path = "/api/model/{code}", tag = "Operators",
    params(("code" = String, Path, description = "The model's id")),
    responses((status = 200, body = Done), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn forget(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Segment(name): Segment,
) -> Result<Done, Problem> {
    catalogue::forget(&state.gateway, &caller, &name).await?;
    done()
}
