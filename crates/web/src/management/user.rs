//! The caller's own account.

use std::collections::BTreeMap;

use axum::extract::State;
use gateway::{accounts, groups};
use model::{money::UNITS_PER_USD, price::Ratio};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Authenticated, accounts::Record};
use crate::{
    envelope::{Envelope, Failed, Reply, ok},
    routes::AppState,
};

/// The caller's own account.
#[utoipa::path(get, path = "/api/user/self", tag = "Account",
    responses((status = 200, body = Envelope<Record>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn own(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
) -> Reply<Record> {
    ok(accounts::own(&state.gateway, &caller).await?.into())
}

/// A group that the account's keys may name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Usable {
    /// What every price is multiplied with.
    ratio: f64,
    /// A sentence for people.
    desc: String,
}

/// Units in US dollars for people. Charges are computed in units.
#[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
pub(crate) fn dollars(units: i64) -> f64 {
    units as f64 / UNITS_PER_USD as f64
}

/// A ratio for people. Charges are computed from the millionths themselves.
#[expect(clippy::cast_precision_loss, reason = "at most 10^9, which a float holds exactly")]
pub(crate) fn shown(ratio: Ratio) -> f64 {
    ratio.0 as f64 / 1e6
}

/// The groups that the account's keys may name.
#[utoipa::path(get, path = "/api/user/self/groups", tag = "Account",
    responses((status = 200, body = Envelope<BTreeMap<String, Usable>>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn groups(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
) -> Reply<BTreeMap<String, Usable>> {
    let groups = groups::usable(&state.gateway, &caller).await?;
    let usable =
        |group: gateway::Group| (group.name, Usable { ratio: shown(group.ratio), desc: group.description });
    ok(groups.into_iter().map(usable).collect())
}
