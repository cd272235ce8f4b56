//! Routes, for administrators: where a request would go, and why.

use axum::extract::State;
use gateway::{
    routes::{self, Outlook},
    routing::{Candidate, Other},
};
use model::id::KeyId;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::{Authenticated, Paging, id};
use crate::{
    envelope::{Envelope, Failed, Reply, ok},
    routes::AppState,
};

/// What is asked.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the shape of the query in the OpenAPI document")]
pub(crate) struct ExplainQuery {
    /// Id of the API key. Never the key itself.
    key_id: i64,
    /// The model.
    model: String,
    /// The path that is asked, such as `/v1/messages`; chat completions when absent.
    path: Option<String>,
}

/// A channel that will be tried.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlannedChannel {
    /// The channel.
    channel: i64,
    /// Its name.
    name: String,
    /// The group that it serves in.
    group: String,
    /// That group's price ratio, in millionths.
    ratio_millionths: i64,
    /// Its priority.
    priority: i64,
    /// Its weight.
    weight: u32,
}

/// A channel that will not be tried.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AbsentChannel {
    /// The channel.
    channel: i64,
    /// Its name.
    name: String,
    /// Why, as a sentence.
    reason: String,
    /// When it may be used again, in Unix seconds; absent when time alone does not change it.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
}

/// What a request would meet now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoutePlan {
    /// The key's groups, in order.
    groups: Vec<String>,
    /// Whether they come from the account's automatic list.
    auto: bool,
    /// Whether a group whose attempts are used up is left for the next.
    cross_group_retry: bool,
    /// What the caller would be told instead of an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<String>,
    /// The channels that will be tried, each if those before it fail.
    candidates: Vec<PlannedChannel>,
    /// Every other channel.
    others: Vec<AbsentChannel>,
}

impl From<Outlook> for RoutePlan {
    fn from(outlook: Outlook) -> Self {
        let planned = |one: Candidate| PlannedChannel {
            channel: one.channel.0,
            name: one.name,
            group: one.group,
            ratio_millionths: one.ratio.0,
            priority: one.priority,
            weight: one.weight,
        };
        let absent = |other: Other| AbsentChannel {
            channel: other.channel.0,
            name: other.name,
            reason: other.absence.to_string(),
            until: other.absence.until().map(|until| until.secs()),
        };
        Self {
            groups: outlook.plan.groups,
            auto: outlook.plan.auto,
            cross_group_retry: outlook.plan.cross_group,
            refusal: outlook.refusal.map(|refusal| refusal.to_string()),
            candidates: outlook.plan.candidates.into_iter().map(planned).collect(),
            others: outlook.plan.others.into_iter().map(absent).collect(),
        }
    }
}

/// Where a request would go now, and why not elsewhere. Nothing is sent.
#[utoipa::path(get, path = "/api/route/explain", tag = "Operators", params(ExplainQuery),
    responses((status = 200, body = Envelope<RoutePlan>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn explain(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Paging { query, .. }: Paging,
) -> Reply<RoutePlan> {
    let asked = |name: &str| query.get(name).map(String::as_str).filter(|text| !text.is_empty());
    let key = asked("key_id").map(id).transpose()?.map(KeyId);
    ok(routes::explain(&state.gateway, &caller, key, asked("model"), asked("path")).await?.into())
}
