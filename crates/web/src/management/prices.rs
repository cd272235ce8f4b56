//! Prices, for administrators. Everybody reads them in the catalogue.

use axum::extract::State;
use gateway::NewPrice;
use gateway::{Failure, prices};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Authenticated, Input};
use crate::{
    envelope::{Done, Failed, Problem, done},
    routes::AppState,
};

/// What a model costs from now on. Token prices are quota units for a million tokens; 500000 units are one US dollar.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = PriceInput)]
pub(crate) struct Body {
    /// The model.
    model: Option<String>,
    /// Input tokens.
    input: Option<i64>,
    /// Input tokens that a cache served; the price of input when absent.
    cached_input: Option<i64>,
    /// Input tokens written to a cache; the price of input when absent.
    cache_write: Option<i64>,
    /// Output tokens.
    output: Option<i64>,
    /// A call, in quota units; 0 when absent.
    per_call: Option<i64>,
    /// The most output tokens that one answer can have.
    max_output: Option<u64>,
    /// Whether output may hide reasoning; false when absent.
    reasoning: Option<bool>,
}

/// Sets the price of a model from now on.
#[utoipa::path(put, path = "/api/price", tag = "Operators", request_body = Body,
    responses((status = 200, body = Done), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn put(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Input(body): Input<Body>,
) -> Result<Done, Problem> {
    let missing = |name: &str| Failure::Invalid(format!("{name} is required"));
    let new = NewPrice {
        model: body.model.ok_or_else(|| missing("model"))?,
        input: body.input.ok_or_else(|| missing("input"))?,
        cached_input: body.cached_input,
        cache_write: body.cache_write,
        output: body.output.ok_or_else(|| missing("output"))?,
        per_call: body.per_call.unwrap_or(0),
        max_output: body.max_output.ok_or_else(|| missing("max_output"))?,
        reasoning: body.reasoning.unwrap_or(false),
    };
    prices::put(&state.gateway, &caller, &new).await?;
    done()
}
