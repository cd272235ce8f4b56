//! Accounts, for administrators.

use axum::extract::State;
use gateway::Account;
use gateway::accounts::{self, AccountInput};
use model::id::AccountId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Authenticated, Input, Listed, PageQuery, Paging, Segment, id, required};
use crate::{
    envelope::{Envelope, Failed, Reply, ok},
    routes::AppState,
};

/// An account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Account)]
pub(crate) struct Record {
    /// Its identity.
    id: i64,
    /// Its unique name.
    username: String,
    /// Its name for people.
    display_name: String,
    /// An address, or nothing.
    email: String,
    /// 1 member, 10 administrator, 100 root.
    role: i64,
    /// 1 enabled, 2 disabled.
    status: i64,
    /// Quota units that remain.
    quota: i64,
    /// Quota units that were used.
    used_quota: i64,
    /// Whether the balance has no limit.
    unlimited_quota: bool,
    /// Its own group.
    group: String,
    /// Further groups that its keys may name.
    groups: Vec<String>,
    /// The groups of its keys whose group is `auto`, in order; empty is its own group.
    auto_groups: Vec<String>,
    /// Unix seconds.
    created_time: i64,
}

impl From<Account> for Record {
    fn from(account: Account) -> Self {
        Self {
            id: account.id.0,
            username: account.username,
            display_name: account.display_name,
            email: account.email,
            role: account.role.number(),
            status: if account.disabled { 2 } else { 1 },
            quota: account.remaining.get(),
            used_quota: account.used.get(),
            unlimited_quota: account.unlimited,
            group: account.group,
            groups: account.groups,
            auto_groups: account.auto_groups,
            created_time: account.created.secs(),
        }
    }
}

/// What is said about an account.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = AccountInput)]
pub(crate) struct Body {
    /// Which account; only for an update.
    id: Option<i64>,
    /// Its unique name; only when it is made.
    #[schema(min_length = 1, max_length = 64)]
    username: Option<String>,
    /// Its name for people.
    #[schema(max_length = 100)]
    display_name: Option<String>,
    /// An address, or nothing.
    #[schema(max_length = 254)]
    email: Option<String>,
    /// 1 member, 10 administrator, 100 root.
    role: Option<i64>,
    /// 1 enabled, 2 disabled.
    status: Option<i64>,
    /// Its own group.
    group: Option<String>,
    /// Further groups that its keys may name.
    groups: Option<Vec<String>>,
    /// The groups of its keys whose group is `auto`, in order; empty is its own group.
    auto_groups: Option<Vec<String>>,
    /// Quota units that remain from now on.
    quota: Option<i64>,
    /// Whether the balance has no limit.
    unlimited_quota: Option<bool>,
    /// Why, for the audit record.
    reason: Option<String>,
}

impl From<Body> for AccountInput {
    fn from(body: Body) -> Self {
        Self {
            username: body.username,
            display_name: body.display_name,
            email: body.email,
            role: body.role,
            status: body.status,
            group: body.group,
            groups: body.groups,
            auto_groups: body.auto_groups,
            quota: body.quota,
            unlimited_quota: body.unlimited_quota,
            reason: body.reason,
        }
    }
}

/// What accounts are looked for by.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the shape of the query in the OpenAPI document; Paging reads it leniently")]
pub(crate) struct SearchQuery {
    /// A part of the username, the display name or the e-mail address, in any case. Never a credential.
    keyword: Option<String>,
}

async fn page(
    state: &AppState,
    Authenticated(caller): Authenticated,
    Paging { page, query }: Paging,
) -> Reply<Listed<Record>> {
    let keyword = query.get("keyword").map_or("", String::as_str);
    let (accounts, total) = accounts::list(&state.gateway, &caller, keyword, page).await?;
    ok(Listed::new(page, total, accounts.into_iter().map(Record::from).collect()))
}

/// Accounts, newest first: all, or those that contain a text.
#[utoipa::path(get, path = "/api/user", tag = "Operators", params(SearchQuery, PageQuery),
    responses((status = 200, body = Envelope<Listed<Record>>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: Authenticated,
    paging: Paging,
) -> Reply<Listed<Record>> {
    page(&state, caller, paging).await
}

/// The same under the path that the family of gateways has for it.
#[utoipa::path(get, path = "/api/user/search", tag = "Operators", params(SearchQuery, PageQuery),
    responses((status = 200, body = Envelope<Listed<Record>>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn search(
    State(state): State<AppState>,
    caller: Authenticated,
    paging: Paging,
) -> Reply<Listed<Record>> {
    page(&state, caller, paging).await
}

/// Which name.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the shape of the query in the OpenAPI document; Paging reads it leniently")]
pub(crate) struct CheckQuery {
    /// A username or an e-mail address. Never a credential.
    key: String,
}

/// Whether there is such an account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccountCheck {
    /// Whether an account has this username or e-mail address.
    exists: bool,
}

/// Whether an account has this username or e-mail address.
#[utoipa::path(get, path = "/api/user/check", tag = "Operators", params(CheckQuery),
    responses((status = 200, body = Envelope<AccountCheck>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn check(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Paging { query, .. }: Paging,
) -> Reply<AccountCheck> {
    let key = query.get("key").map(String::as_str);
    ok(AccountCheck { exists: accounts::exists(&state.gateway, &caller, key).await? })
}

/// One account.
#[utoipa::path(get, path = "/api/user/{id}", tag = "Operators", params(("id" = i64, Path, description = "The account")),
    responses((status = 200, body = Envelope<Record>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn get(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Segment(account): Segment,
) -> Reply<Record> {
    ok(accounts::get(&state.gateway, &caller, AccountId(id(&account)?)).await?.into())
}

/// Makes an account.
#[utoipa::path(post, path = "/api/user", tag = "Operators", request_body = Body,
    responses((status = 200, body = Envelope<Record>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn create(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Input(body): Input<Body>,
) -> Reply<Record> {
    ok(accounts::create(&state.gateway, &caller, body.into()).await?.into())
}

/// Changes an account; members that are absent keep their value.
#[utoipa::path(put, path = "/api/user", tag = "Operators", request_body = Body,
    responses((status = 200, body = Envelope<Record>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn update(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Input(body): Input<Body>,
) -> Reply<Record> {
    let account = AccountId(required(body.id)?);
    ok(accounts::update(&state.gateway, &caller, account, body.into()).await?.into())
}
