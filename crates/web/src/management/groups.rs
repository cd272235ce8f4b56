//! Groups, for administrators.

use axum::extract::State;
use gateway::Group;
use gateway::{Failure, groups};
use model::price::Ratio;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Authenticated, Input, Segment};
use crate::{
    envelope::{Done, Envelope, Failed, Problem, Reply, done, ok},
    routes::AppState,
};

/// A group.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Group)]
pub(crate) struct Record {
    /// Its unique name.
    name: String,
    /// A sentence for people.
    description: String,
    /// What every price is multiplied with, in millionths.
    ratio_millionths: i64,
}

impl From<Group> for Record {
    fn from(group: Group) -> Self {
        Self { name: group.name, description: group.description, ratio_millionths: group.ratio.0 }
    }
}

/// A group to be made or changed.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = GroupInput)]
pub(crate) struct Body {
    /// Its unique name.
    name: Option<String>,
    /// A sentence for people.
    description: Option<String>,
    /// What every price is multiplied with, in millionths; 1000000 when absent.
    ratio_millionths: Option<i64>,
}

/// All groups.
#[utoipa::path(get, path = "/api/group", tag = "Operators",
    responses((status = 200, body = Envelope<Vec<Record>>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
) -> Reply<Vec<Record>> {
    let groups = groups::list(&state.gateway, &caller).await?;
    ok(groups.into_iter().map(Record::from).collect())
}

/// One group.
#[utoipa::path(get, path = "/api/group/{name}", tag = "Operators", params(("name" = String, Path, description = "The group")),
    responses((status = 200, body = Envelope<Record>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn get(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Segment(name): Segment,
) -> Reply<Record> {
    ok(groups::get(&state.gateway, &caller, &name).await?.into())
}

/// Makes a group, or changes the one of this name.
#[utoipa::path(put, path = "/api/group", tag = "Operators", request_body = Body,
    responses((status = 200, body = Done), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn put(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Input(body): Input<Body>,
) -> Result<Done, Problem> {
    let group = Group {
        name: body.name.ok_or_else(|| Failure::Invalid("name is required".to_owned()))?,
        description: body.description.unwrap_or_default(),
        ratio: body.ratio_millionths.map_or(Ratio::ONE, Ratio),
    };
    groups::put(&state.gateway, &caller, &group).await?;
    done()
}

/// Removes a group that nothing names.
#[utoipa::path(delete, path = "/api/group/{name}", tag = "Operators", params(("name" = String, Path, description = "The group")),
    responses((status = 200, body = Done), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn delete(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Segment(name): Segment,
) -> Result<Done, Problem> {
    groups::delete(&state.gateway, &caller, &name).await?;
    done()
}
