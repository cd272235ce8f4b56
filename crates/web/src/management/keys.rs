//! API keys.

use std::collections::HashMap;

use axum::extract::{Query, State};
use gateway::KeyView;
use gateway::{
    Failure, Gateway,
    keys::{self, KeyInput},
};
use model::id::KeyId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Authenticated, Input, Listed, PageQuery, Paging, Segment, id, required, seconds};
use crate::{
    envelope::{Done, Envelope, Failed, Reply, done, ok},
    json::present,
    routes::AppState,
};

/// An API key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(crate) struct Record {
    /// Its identity.
    id: i64,
    /// Its account.
    user_id: i64,
    /// The key itself. Treat it as a secret.
    key: String,
    /// 1 enabled, 2 disabled, 3 expired, 4 exhausted.
    status: i64,
    /// A name for people.
    name: String,
    /// Unix seconds.
    created_time: i64,
    /// Last use, in Unix seconds.
    accessed_time: i64,
    /// Unix seconds, -1 for never.
    expired_time: i64,
    /// Quota units that remain.
    remain_quota: i64,
    /// Whether only the account's balance limits it.
    unlimited_quota: bool,
    /// Whether `model_limits` is in force.
    model_limits_enabled: bool,
    /// The models that it may call, comma separated.
    model_limits: String,
    /// Addresses and ranges that it may be used from, one a line.
    allow_ips: Option<String>,
    /// Quota units that were used.
    used_quota: i64,
    /// The group; empty for the account's own.
    group: String,
    /// Whether automatic routing may leave a group.
    cross_group_retry: bool,
}

fn record(gateway: &Gateway, view: KeyView) -> Record {
    let status = keys::status_now(gateway, &view).number();
    let KeyView { key, secret, used, remaining } = view;
    Record {
        id: key.id.0,
        user_id: key.account.0,
        key: secret.to_string(),
        status,
        name: key.settings.name,
        created_time: key.created.secs(),
        accessed_time: key.accessed.secs(),
        expired_time: seconds(key.settings.expires),
        remain_quota: remaining.get(),
        unlimited_quota: key.settings.unlimited_quota,
        model_limits_enabled: key.settings.model_limits_enabled,
        model_limits: key.settings.model_limits,
        allow_ips: key.settings.allow_ips,
        used_quota: used.get(),
        group: key.settings.group,
        cross_group_retry: key.settings.cross_group_retry,
    }
}

/// What is said about an API key; members that are not named here are ignored.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = ApiKeyInput)]
pub(crate) struct Body {
    /// Which key; only for an update.
    id: Option<i64>,
    /// At most 50 characters.
    #[schema(max_length = 50)]
    name: Option<String>,
    /// Unix seconds, -1 for never.
    expired_time: Option<i64>,
    /// Quota units that remain from now on.
    #[schema(minimum = 0, maximum = 9007199254740991_i64)]
    remain_quota: Option<i64>,
    /// Whether only the account's balance limits it.
    unlimited_quota: Option<bool>,
    /// Whether `model_limits` is in force.
    model_limits_enabled: Option<bool>,
    /// The models that it may call, comma separated.
    model_limits: Option<String>,
    /// Addresses and ranges that it may be used from, one a line.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    allow_ips: Option<Option<String>>,
    /// The group; empty for the account's own.
    group: Option<String>,
    /// Whether automatic routing may leave a group.
    cross_group_retry: Option<bool>,
    /// 1 enabled, 2 disabled.
    #[schema(minimum = 1, maximum = 4)]
    status: Option<i64>,
}

impl From<Body> for KeyInput {
    fn from(body: Body) -> Self {
        Self {
            name: body.name,
            expired_time: body.expired_time,
            remain_quota: body.remain_quota,
            unlimited_quota: body.unlimited_quota,
            model_limits_enabled: body.model_limits_enabled,
            model_limits: body.model_limits,
            allow_ips: body.allow_ips,
            group: body.group,
            cross_group_retry: body.cross_group_retry,
            status: body.status,
        }
    }
}

async fn page(
    state: &AppState,
    Authenticated(caller): Authenticated,
    paging: Paging,
    keyword: &str,
) -> Reply<Listed<Record>> {
    let (views, total) = keys::list(&state.gateway, &caller, keyword, paging.page).await?;
    let items = views.into_iter().map(|view| record(&state.gateway, view)).collect();
    ok(Listed::new(paging.page, total, items))
}

/// Own API keys, newest first.
#[utoipa::path(get, path = "/api/token", tag = "API keys", params(PageQuery),
    responses((status = 200, body = Envelope<Listed<Record>>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: Authenticated,
    paging: Paging,
) -> Reply<Listed<Record>> {
    page(&state, caller, paging, "").await
}

/// Own API keys whose name contains a text, or the one that has this text itself.
#[utoipa::path(get, path = "/api/token/search", tag = "API keys",
    params(("keyword" = Option<String>, Query, description = "A part of the name"),
        ("token" = Option<String>, Query, description = "The whole text of a key"), PageQuery),
    responses((status = 200, body = Envelope<Listed<Record>>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn search(
    State(state): State<AppState>,
    caller: Authenticated,
    paging: Paging,
) -> Reply<Listed<Record>> {
    let said = |name: &str| paging.query.get(name).cloned().unwrap_or_default();
    let (keyword, text) = (said("keyword"), said("token"));
    if text.is_empty() {
        return page(&state, caller, paging, &keyword).await;
    }
    let found = keys::with_text(&state.gateway, &caller.0, &text, &keyword).await?;
    let total = i64::from(found.is_some());
    let first = found.filter(|_| paging.page.number == 1);
    let items = first.into_iter().map(|view| record(&state.gateway, view)).collect();
    ok(Listed::new(paging.page, total, items))
}

/// One own API key.
#[utoipa::path(get, path = "/api/token/{id}", tag = "API keys", params(("id" = i64, Path, description = "The key")),
    responses((status = 200, body = Envelope<Record>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn get(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Segment(key): Segment,
) -> Reply<Record> {
    let view = keys::get(&state.gateway, &caller, KeyId(id(&key)?)).await?;
    ok(record(&state.gateway, view))
}

/// Makes an API key.
#[utoipa::path(post, path = "/api/token", tag = "API keys", request_body = Body,
    responses((status = 200, body = Envelope<Record>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn create(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Input(body): Input<Body>,
) -> Reply<Record> {
    let view = keys::create(&state.gateway, &caller, body.into()).await?;
    ok(record(&state.gateway, view))
}

/// Changes an API key; members that are absent keep their value.
#[utoipa::path(put, path = "/api/token", tag = "API keys", request_body = Body,
    params(("status_only" = Option<bool>, Query, description = "Change nothing but the status")),
    responses((status = 200, body = Envelope<Record>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn update(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Query(query): Query<HashMap<String, String>>,
    Input(body): Input<Body>,
) -> Reply<Record> {
    let status_only =
        query.get("status_only").is_some_and(|text| !matches!(text.as_str(), "" | "false" | "0"));
    let key = KeyId(required(body.id)?);
    let view = keys::update(&state.gateway, &caller, key, body.into(), status_only).await?;
    ok(record(&state.gateway, view))
}

/// Deletes an API key for good.
#[utoipa::path(delete, path = "/api/token/{id}", tag = "API keys", params(("id" = i64, Path, description = "The key")),
    responses((status = 200, body = Done), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn delete(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Segment(key): Segment,
) -> Result<Done, crate::envelope::Problem> {
    match keys::delete(&state.gateway, &caller, &[KeyId(id(&key)?)]).await? {
        0 => Err(Failure::NotFound("API key").into()),
        _ => done(),
    }
}

/// Which API keys.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub(crate) struct Ids {
    /// Their ids; at most 100.
    ids: Option<Vec<i64>>,
}

/// Deletes several own API keys for good; says how many.
#[utoipa::path(post, path = "/api/token/batch", tag = "API keys", request_body = Ids,
    responses((status = 200, body = Envelope<u64>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn delete_batch(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Input(body): Input<Ids>,
) -> Reply<u64> {
    let ids = body.ids.ok_or_else(|| Failure::Invalid("ids is required".to_owned()))?;
    if ids.is_empty() || ids.len() > 100 {
        return Err(Failure::Invalid("ids must have 1 to 100 entries".to_owned()).into());
    }
    let ids: Vec<KeyId> = ids.into_iter().map(KeyId).collect();
    ok(keys::delete(&state.gateway, &caller, &ids).await?)
}
