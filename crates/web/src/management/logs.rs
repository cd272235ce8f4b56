//! Usage records, for their account and for operators.

use std::collections::HashMap;

use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use gateway::{
    Failure, StoreError, UsageHour, UsageWalk,
    access::Caller,
    usage::{self, Scope, UsageQuery},
};
use http::header;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    Authenticated, Listed, PageQuery, Paging, csv,
    log_record::{Record, record},
};
use crate::{
    envelope::{Envelope, Failed, Problem, Reply, ok},
    routes::AppState,
};

/// Which of the own records.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the shape of the query in the OpenAPI document; `query` reads it")]
pub(crate) struct OwnQuery {
    /// 2 uses, 5 failures that cost nothing, 0 both. There are no records of 1, 3, 4 and 6.
    #[param(minimum = 0, maximum = 6)]
    r#type: Option<i64>,
    /// The model's name; `%` stands for any text.
    model_name: Option<String>,
    /// The name that the key had; `%` stands for any text.
    token_name: Option<String>,
    /// The group that served.
    group: Option<String>,
    /// The first second, in Unix time.
    start_timestamp: Option<i64>,
    /// The last second, in Unix time.
    end_timestamp: Option<i64>,
}

/// The request id.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the shape of the query in the OpenAPI document; `query` reads it")]
pub(crate) struct RequestId {
    /// The request id that the caller saw.
    request_id: Option<String>,
}

/// Where a list goes on.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the shape of the query in the OpenAPI document; `query` reads it")]
pub(crate) struct Before {
    /// Only what follows the record with this id: paging that new records do not shift.
    before: Option<i64>,
}

/// Whose records.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the shape of the query in the OpenAPI document; `query` reads it")]
pub(crate) struct AllQuery {
    /// The account's number.
    user_id: Option<i64>,
    /// The account's name; `%` stands for any text.
    username: Option<String>,
    /// The channel that served.
    channel: Option<i64>,
}

/// What is looked for.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the shape of the query in the OpenAPI document; `query` reads it")]
pub(crate) struct Keyword {
    /// A request id, or a text in the name of the key, the model or the group.
    keyword: Option<String>,
}

/// Bytes of a text that is looked for: no name and no request id is longer.
const LONGEST: usize = 256;

/// Reads a query. An empty value says nothing; a number that is none is refused.
fn query(given: &HashMap<String, String>) -> Result<UsageQuery, Failure> {
    if let Some((name, _)) = given.iter().find(|(_, text)| text.len() > LONGEST) {
        return Err(Failure::Invalid(format!("{name} must have at most {LONGEST} bytes")));
    }
    let text = |name: &str| given.get(name).filter(|text| !text.is_empty()).cloned();
    let number = |name: &str| {
        let read = |text: String| text.parse::<i64>().map_err(|_| invalid(name));
        text(name).map(read).transpose()
    };
    // The upstream's own ids are not kept: nothing has one.
    let kind = if text("response_id").is_some() { Some(NOTHING) } else { number("type")? };
    Ok(UsageQuery {
        kind,
        model: text("model_name"),
        key: None,
        key_name: text("token_name"),
        group: text("group"),
        channel: number("channel")?,
        account: number("user_id")?,
        username: text("username"),
        from: number("start_timestamp")?,
        until: number("end_timestamp")?,
        request_id: text("request_id"),
        keyword: None,
        before: number("before")?,
    })
}

/// A type of which there are no records.
const NOTHING: i64 = 1;

fn invalid(name: &str) -> Failure {
    Failure::Invalid(format!("{name} must be an integer"))
}

async fn page(
    state: &AppState,
    caller: &Authenticated,
    scope: Scope,
    paging: &Paging,
) -> Reply<Listed<Record>> {
    list(state, caller, scope, paging, query(&paging.query)?).await
}

async fn list(
    state: &AppState,
    caller: &Authenticated,
    scope: Scope,
    paging: &Paging,
    query: UsageQuery,
) -> Reply<Listed<Record>> {
    let (records, total) = usage::list(&state.gateway, &caller.0, scope, &query, paging.page).await?;
    let records = records.into_iter().map(|one| record(one, scope == Scope::All)).collect();
    ok(Listed::new(paging.page, total, records))
}

/// Own usage records, newest first.
#[utoipa::path(get, path = "/api/log/self", tag = "Usage", params(PageQuery, Before, RequestId, OwnQuery),
    responses((status = 200, body = Envelope<Listed<Record>>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn own(
    State(state): State<AppState>,
    caller: Authenticated,
    paging: Paging,
) -> Reply<Listed<Record>> {
    page(&state, &caller, Scope::Own, &paging).await
}

/// Own usage records with a text, newest first.
#[utoipa::path(get, path = "/api/log/self/search", tag = "Usage", params(PageQuery, Before, Keyword, OwnQuery),
    responses((status = 200, body = Envelope<Listed<Record>>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn search(
    State(state): State<AppState>,
    caller: Authenticated,
    paging: Paging,
) -> Reply<Listed<Record>> {
    let keyword = paging.query.get("keyword").filter(|text| !text.is_empty()).cloned();
    let query = UsageQuery { keyword, ..query(&paging.query)? };
    list(&state, &caller, Scope::Own, &paging, query).await
}

/// The usage records of all accounts, newest first.
#[utoipa::path(get, path = "/api/log", tag = "Operators", params(PageQuery, Before, RequestId, AllQuery, OwnQuery),
    responses((status = 200, body = Envelope<Listed<Record>>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn all(
    State(state): State<AppState>,
    caller: Authenticated,
    paging: Paging,
) -> Reply<Listed<Record>> {
    page(&state, &caller, Scope::All, &paging).await
}

/// What records add up to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Stat {
    /// Units charged.
    quota: i64,
    /// Requests of the last minute.
    rpm: i64,
    /// Tokens of the last minute.
    tpm: i64,
    /// Records.
    requests: i64,
    /// Those of failures that cost nothing.
    errors: i64,
    /// Input tokens, cached ones and those written to a cache included.
    prompt_tokens: i64,
    /// Output tokens.
    completion_tokens: i64,
    /// Input tokens that a cache served.
    cache_tokens: i64,
    /// Input tokens written to a cache.
    cache_write_tokens: i64,
    /// Output tokens that were reasoning.
    reasoning_tokens: i64,
    /// Milliseconds from arrival to end, added up.
    total_ms: i64,
}

async fn totals(state: &AppState, caller: &Authenticated, scope: Scope, paging: &Paging) -> Reply<Stat> {
    let totals = usage::totals(&state.gateway, &caller.0, scope, &query(&paging.query)?).await?;
    let sums = totals.sums;
    ok(Stat {
        quota: sums.units,
        rpm: totals.last_minute.requests,
        tpm: totals.last_minute.tokens(),
        requests: sums.requests,
        errors: sums.errors,
        prompt_tokens: sums.input.saturating_add(sums.cached_input).saturating_add(sums.cache_write),
        completion_tokens: sums.output,
        cache_tokens: sums.cached_input,
        cache_write_tokens: sums.cache_write,
        reasoning_tokens: sums.reasoning,
        total_ms: sums.took,
    })
}

/// What own usage records add up to.
#[utoipa::path(get, path = "/api/log/self/stat", tag = "Usage", params(RequestId, OwnQuery),
    responses((status = 200, body = Envelope<Stat>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn own_stat(
    State(state): State<AppState>,
    caller: Authenticated,
    paging: Paging,
) -> Reply<Stat> {
    totals(&state, &caller, Scope::Own, &paging).await
}

/// What the usage records of all accounts add up to.
#[utoipa::path(get, path = "/api/log/stat", tag = "Operators", params(RequestId, AllQuery, OwnQuery),
    responses((status = 200, body = Envelope<Stat>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn all_stat(
    State(state): State<AppState>,
    caller: Authenticated,
    paging: Paging,
) -> Reply<Stat> {
    totals(&state, &caller, Scope::All, &paging).await
}

/// What the records of one hour and one model add up to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Hour {
    /// When the hour begins, in Unix seconds.
    created_at: i64,
    /// The model.
    model_name: String,
    /// Records.
    count: i64,
    /// Units charged.
    quota: i64,
    /// All tokens.
    token_used: i64,
    /// Records of failures that cost nothing.
    errors: i64,
}

async fn hours(state: &AppState, caller: &Authenticated, scope: Scope, paging: &Paging) -> Reply<Vec<Hour>> {
    let hours = usage::by_hour(&state.gateway, &caller.0, scope, &query(&paging.query)?).await?;
    let hour = |one: UsageHour| Hour {
        created_at: one.hour.secs(),
        model_name: one.model,
        count: one.sums.requests,
        quota: one.sums.units,
        token_used: one.sums.tokens(),
        errors: one.sums.errors,
    };
    ok(hours.into_iter().map(hour).collect())
}

/// Own use by hour and model, oldest first; of the last 30 days if no time is given.
#[utoipa::path(get, path = "/api/data/self", tag = "Usage", params(OwnQuery),
    responses((status = 200, body = Envelope<Vec<Hour>>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn own_hours(
    State(state): State<AppState>,
    caller: Authenticated,
    paging: Paging,
) -> Reply<Vec<Hour>> {
    hours(&state, &caller, Scope::Own, &paging).await
}

/// The use of all accounts by hour and model, oldest first; of the last 30 days if no time is given.
#[utoipa::path(get, path = "/api/data", tag = "Operators", params(AllQuery, OwnQuery),
    responses((status = 200, body = Envelope<Vec<Hour>>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn all_hours(
    State(state): State<AppState>,
    caller: Authenticated,
    paging: Paging,
) -> Reply<Vec<Hour>> {
    hours(&state, &caller, Scope::All, &paging).await
}

async fn export(
    state: &AppState,
    caller: &Authenticated,
    scope: Scope,
    paging: &Paging,
) -> Result<Response, Problem> {
    Ok(as_csv(state, &caller.0, scope, &query(&paging.query)?).await?)
}

/// Usage records as CSV, newest first, as long as somebody reads.
pub(crate) async fn as_csv(
    state: &AppState,
    caller: &Caller,
    scope: Scope,
    query: &UsageQuery,
) -> Result<Response, Failure> {
    let walk = usage::walk(&state.gateway, caller, scope, query).await?;
    let rows = stream::try_unfold((walk, true), |(walk, first)| async move { step(walk, first).await });
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"usage.csv\""),
    ];
    Ok((headers, Body::from_stream(rows)).into_response())
}

type Step = Option<(String, (Option<UsageWalk>, bool))>;

/// The next part of an export: its head first, then as many records as are read at once.
async fn step(walk: Option<UsageWalk>, first: bool) -> Result<Step, StoreError> {
    if first {
        return Ok(Some((csv::HEAD.to_owned(), (walk, false))));
    }
    let Some(mut walk) = walk else { return Ok(None) };
    let records =
        walk.step().await.inspect_err(|error| tracing::error!(%error, "an export was cut short"))?;
    if records.is_empty() {
        return Ok(None);
    }
    Ok(Some((records.iter().map(csv::line).collect(), (Some(walk), false))))
}

/// Own usage records as CSV, newest first.
#[utoipa::path(get, path = "/api/log/self/export", tag = "Usage", params(RequestId, OwnQuery),
    responses((status = 200, content((String = "text/csv"), (Failed = "application/json"))), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn own_export(
    State(state): State<AppState>,
    caller: Authenticated,
    paging: Paging,
) -> Result<Response, Problem> {
    export(&state, &caller, Scope::Own, &paging).await
}

/// The usage records of all accounts as CSV, newest first.
#[utoipa::path(get, path = "/api/log/export", tag = "Operators", params(RequestId, AllQuery, OwnQuery),
    responses((status = 200, content((String = "text/csv"), (Failed = "application/json"))), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn all_export(
    State(state): State<AppState>,
    caller: Authenticated,
    paging: Paging,
) -> Result<Response, Problem> {
    export(&state, &caller, Scope::All, &paging).await
}
