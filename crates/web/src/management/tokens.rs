//! Personal access tokens, and the set-up of a new installation.

use axum::extract::State;
use gateway::Token;
use gateway::{Failure, tokens};
use model::{clock::Timestamp, id::TokenId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Authenticated, Input, Segment, id, seconds};
use crate::{
    envelope::{Done, Envelope, Failed, Problem, Reply, done, ok},
    routes::AppState,
};

/// A personal access token.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PersonalAccessToken)]
pub(crate) struct Record {
    /// Its identity.
    id: i64,
    /// A name for people.
    name: String,
    /// Unix seconds.
    created_time: i64,
    /// Unix seconds, -1 for never.
    expired_time: i64,
}

fn record(token: Token) -> Record {
    Record {
        id: token.id.0,
        name: token.name,
        created_time: token.created.secs(),
        expired_time: seconds(token.expires),
    }
}

/// A token that was just made, with its text, which is shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Made {
    #[serde(flatten)]
    token: Record,
    /// The token itself.
    access_token: String,
}

/// A token to be made.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = PersonalAccessTokenInput)]
pub(crate) struct Body {
    /// At most 50 characters.
    #[schema(max_length = 50)]
    name: Option<String>,
    /// Unix seconds, -1 for never.
    expired_time: Option<i64>,
}

/// Own personal access tokens, newest first.
#[utoipa::path(get, path = "/api/pat", tag = "Account",
    responses((status = 200, body = Envelope<Vec<Record>>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
) -> Reply<Vec<Record>> {
    let tokens = tokens::list(&state.gateway, &caller).await?;
    ok(tokens.into_iter().map(record).collect())
}

/// Makes a personal access token. Its text is shown this once.
#[utoipa::path(post, path = "/api/pat", tag = "Account", request_body = Body,
    responses((status = 200, body = Envelope<Made>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn create(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Input(body): Input<Body>,
) -> Reply<Made> {
    let expires = match body.expired_time {
        None | Some(-1) => None,
        Some(seconds @ 0..=253_402_300_799) => Some(Timestamp::from_secs(seconds)),
        Some(_) => {
            return Err(Failure::Invalid("expired_time must be Unix seconds, or -1".to_owned()).into());
        }
    };
    let name = body.name.unwrap_or_default();
    let (token, credential) = tokens::create(&state.gateway, &caller, &name, expires).await?;
    ok(Made { token: record(token), access_token: credential.expose().to_owned() })
}

/// Ends a personal access token.
#[utoipa::path(delete, path = "/api/pat/{id}", tag = "Account", params(("id" = i64, Path, description = "The token")),
    responses((status = 200, body = Done), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn revoke(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Segment(token): Segment,
) -> Result<Done, Problem> {
    tokens::revoke(&state.gateway, &caller, TokenId(id(&token)?)).await?;
    done()
}

/// The one-time token of the first start.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub(crate) struct SetUp {
    /// As it was printed.
    setup_token: Option<String>,
}

/// Trades the one-time set-up token for a personal access token of the root account.
#[utoipa::path(post, path = "/api/setup", tag = "Account", request_body = SetUp,
    responses((status = 200, body = Envelope<Made>), (status = 401, body = Failed)))]
pub(crate) async fn set_up(State(state): State<AppState>, Input(body): Input<SetUp>) -> Reply<Made> {
    let text = body.setup_token.ok_or_else(|| Failure::Invalid("setup_token is required".to_owned()))?;
    let (token, credential) = tokens::set_up(&state.gateway, &text).await?;
    ok(Made { token: record(token), access_token: credential.expose().to_owned() })
}
