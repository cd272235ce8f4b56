//! What the holder of an API key may see of it.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use gateway::KeyView;
use gateway::{Failure, keys};
use http::{HeaderMap, StatusCode, Uri};
use model::clock::Timestamp;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::user::dollars;
use crate::{credentials, routes::AppState};

/// What a key had, used and has.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenUsage {
    /// Always `token_usage`.
    object: String,
    /// The key's name.
    name: String,
    /// Units that it was given: used and available.
    total_granted: i64,
    /// Units used.
    total_used: i64,
    /// Units that remain.
    total_available: i64,
    /// Whether only the account's balance limits it.
    unlimited_quota: bool,
    /// The models that it may call.
    model_limits: BTreeMap<String, bool>,
    /// Whether `model_limits` is in force.
    model_limits_enabled: bool,
    /// Unix seconds, 0 for never.
    expires_at: i64,
}

/// The answer to the holder of a key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenUsageReply {
    /// Always true.
    code: bool,
    /// Always `ok`.
    message: String,
    /// The key.
    data: TokenUsage,
}

/// Why the holder of a key gets no answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenUsageFailed {
    /// Always false.
    code: bool,
    /// A sentence.
    message: String,
}

async fn holder(state: &AppState, headers: &HeaderMap, uri: &Uri) -> Result<KeyView, Response> {
    let credentials = credentials::of(headers, uri);
    keys::of_holder(&state.gateway, &credentials).await.map_err(|failure| {
        let status = StatusCode::from_u16(failure.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let message = match failure {
            Failure::Unauthenticated => "invalid API key".to_owned(),
            failure => failure.to_string(),
        };
        (status, Json(TokenUsageFailed { code: false, message })).into_response()
    })
}

/// What a key had, used and has; also for a key that is disabled, expired or exhausted.
#[utoipa::path(get, path = "/api/usage/token", tag = "API keys",
    responses((status = 200, body = TokenUsageReply), (status = 401, body = TokenUsageFailed)), security(("api_key" = [])))]
pub(crate) async fn of_key(
    State(state): State<AppState>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Json<TokenUsageReply>, Response> {
    let view = holder(&state, &headers, &uri).await?;
    let settings = &view.key.settings;
    let data = TokenUsage {
        object: "token_usage".to_owned(),
        name: settings.name.clone(),
        total_granted: view.used.get().saturating_add(view.remaining.get()),
        total_used: view.used.get(),
        total_available: view.remaining.get(),
        unlimited_quota: settings.unlimited_quota,
        model_limits: settings.models().map(|model| (model.to_owned(), true)).collect(),
        model_limits_enabled: settings.model_limits_enabled,
        expires_at: settings.expires.map_or(0, Timestamp::secs),
    };
    Ok(Json(TokenUsageReply { code: true, message: "ok".to_owned(), data }))
}

/// The limit of a key in US dollars, as old OpenAI clients ask for it. 100000000 and more is no limit.
#[utoipa::path(get, path = "/v1/dashboard/billing/subscription", tag = "API keys",
    responses((status = 200, body = serde_json::Value), (status = 401, body = TokenUsageFailed)), security(("api_key" = [])))]
pub(crate) async fn subscription(
    State(state): State<AppState>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Response> {
    let view = holder(&state, &headers, &uri).await?;
    let granted = view.used.get().saturating_add(view.remaining.get());
    let limit = if view.key.settings.unlimited_quota { 100_000_000.0 } else { dollars(granted) };
    let body = json!({
        "object": "billing_subscription", "has_payment_method": true, "soft_limit_usd": limit,
        "hard_limit_usd": limit, "system_hard_limit_usd": limit,
        "access_until": view.key.settings.expires.map_or(0, Timestamp::secs),
    });
    Ok(Json(body).into_response())
}

/// What a key used, in US cents, as old OpenAI clients ask for it.
#[utoipa::path(get, path = "/v1/dashboard/billing/usage", tag = "API keys",
    responses((status = 200, body = serde_json::Value), (status = 401, body = TokenUsageFailed)), security(("api_key" = [])))]
pub(crate) async fn billing_usage(
    State(state): State<AppState>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Response> {
    let view = holder(&state, &headers, &uri).await?;
    Ok(Json(json!({"object": "list", "total_usage": dollars(view.used.get()) * 100.0})).into_response())
}
