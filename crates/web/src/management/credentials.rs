//! The credentials of channels, for administrators. Their texts go in and never come out.

use axum::extract::State;
use gateway::{ChannelCredential, channels};
use model::id::{ChannelId, CredentialId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Authenticated, Input, Segment, id, required};
use crate::{
    envelope::{Done, Envelope, Failed, Problem, Reply, done, ok},
    routes::AppState,
};

/// A credential of a channel, without its text.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChannelCredential)]
pub(crate) struct CredentialRecord {
    /// Its identity.
    id: i64,
    /// The channel that sends it.
    channel: i64,
    /// A name for people.
    name: String,
    /// 1 in use, 2 disabled by an operator, 3 refused by its provider.
    status: i64,
    /// When its provider refused it, in Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused_time: Option<i64>,
    /// The status with which its provider refused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused_status: Option<u16>,
}

impl From<ChannelCredential> for CredentialRecord {
    fn from(credential: ChannelCredential) -> Self {
        Self {
            id: credential.id.0,
            channel: credential.channel.0,
            status: credential.status(),
            name: credential.name,
            refused_time: credential.refused.map(|refused| refused.at.secs()),
            refused_status: credential.refused.map(|refused| refused.status),
        }
    }
}

/// What is said about a credential.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = ChannelCredentialInput)]
pub(crate) struct Body {
    /// Which credential; only for an update.
    id: Option<i64>,
    /// The channel; only for a new one.
    channel: Option<i64>,
    /// A name for people.
    name: Option<String>,
    /// The upstream's API key; only for a new one. Never shown again.
    key: Option<String>,
    /// 1 in use (a provider's refusal is forgotten), 2 disabled; only for an update.
    status: Option<i64>,
}

/// Gives a channel a further credential; they take turns.
#[utoipa::path(post, path = "/api/channel/credential", tag = "Operators", request_body = Body,
    responses((status = 200, body = Envelope<CredentialRecord>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn create(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Input(body): Input<Body>,
) -> Reply<CredentialRecord> {
    let channel = body.channel.map(ChannelId);
    let key = body.key.map(Into::into);
    let name = body.name.unwrap_or_default();
    ok(channels::add_credential(&state.gateway, &caller, channel, &name, key).await?.into())
}

/// Renames, disables or enables a credential.
#[utoipa::path(put, path = "/api/channel/credential", tag = "Operators", request_body = Body,
    responses((status = 200, body = Envelope<CredentialRecord>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn update(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Input(body): Input<Body>,
) -> Reply<CredentialRecord> {
    let credential = CredentialId(required(body.id)?);
    let name = body.name.as_deref();
    ok(channels::update_credential(&state.gateway, &caller, credential, name, body.status).await?.into())
}

/// Deletes a credential.
#[utoipa::path(delete, path = "/api/channel/credential/{id}", tag = "Operators", params(("id" = i64, Path, description = "The credential")),
    responses((status = 200, body = Done), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn delete(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Segment(credential): Segment,
) -> Result<Done, Problem> {
    channels::delete_credential(&state.gateway, &caller, CredentialId(id(&credential)?)).await?;
    done()
}
