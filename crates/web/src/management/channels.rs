//! Channels, for administrators. A credential goes in and never comes out.

use std::collections::BTreeMap;

use axum::extract::State;
use gateway::{Channel, NewChannel};
use gateway::{
    Failure,
    channel_test::{self, Finding, Trial},
    channels,
};
use model::id::{ChannelId, CredentialId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Authenticated, Input, Paging, Segment, credentials::CredentialRecord, id, required};
use crate::{
    envelope::{Done, Envelope, Failed, Problem, Reply, done, ok},
    routes::AppState,
};

/// A channel.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Channel)]
pub(crate) struct Record {
    /// Its identity.
    id: i64,
    /// A name for people.
    name: String,
    /// What the upstream speaks: a kind of provider.
    kind: String,
    /// The upstream's base URL.
    base_url: String,
    /// The models that it serves.
    models: Vec<String>,
    /// The upstream's names of models that have another name here.
    model_mapping: BTreeMap<String, String>,
    /// The groups that may use it.
    groups: Vec<String>,
    /// Higher comes first.
    priority: i64,
    /// Its share among channels of the same priority.
    weight: u32,
    /// 1 enabled, 2 disabled.
    status: i64,
    /// Its credentials, without their texts.
    credentials: Vec<CredentialRecord>,
}

impl From<Channel> for Record {
    fn from(channel: Channel) -> Self {
        Self {
            id: channel.id.0,
            name: channel.name,
            kind: channel.kind,
            base_url: channel.base_url,
            models: channel.models,
            model_mapping: channel.mapping,
            groups: channel.groups,
            priority: channel.priority,
            weight: channel.weight,
            status: if channel.enabled { 1 } else { 2 },
            credentials: channel.credentials.into_iter().map(CredentialRecord::from).collect(),
        }
    }
}

/// What is said about a channel.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = ChannelInput)]
pub(crate) struct Body {
    /// Which channel; only for an update.
    id: Option<i64>,
    /// A name for people.
    name: Option<String>,
    /// What the upstream speaks: a kind of provider, `openai` when absent.
    kind: Option<String>,
    /// The upstream's base URL, such as `https://api.openai.com/v1`; that of its kind when absent, where there is one.
    base_url: Option<String>,
    /// The upstream's API key, instead of all that the channel has; empty for none. Never shown again.
    key: Option<String>,
    /// The models that it serves.
    models: Option<Vec<String>>,
    /// The upstream's names of models that have another name here.
    model_mapping: Option<BTreeMap<String, String>>,
    /// The groups that may use it.
    groups: Option<Vec<String>>,
    /// Higher comes first.
    priority: Option<i64>,
    /// Its share among channels of the same priority, 0 to 1000000; 1 when absent. A channel of weight 0 comes after
    /// those that have one.
    weight: Option<u32>,
    /// 1 enabled, 2 disabled.
    status: Option<i64>,
}

impl Body {
    /// These values over those of `before`.
    fn over(self, before: Option<Channel>) -> Result<NewChannel, Failure> {
        let missing = |name: &str| Failure::Invalid(format!("{name} is required"));
        let before = before.as_ref();
        let enabled = match self.status {
            None => before.is_none_or(|channel| channel.enabled),
            Some(1) => true,
            Some(2) => false,
            Some(_) => return Err(Failure::Invalid("status must be 1 or 2".to_owned())),
        };
        let kept = |read: fn(&Channel) -> &String| before.map(|channel| read(channel).clone());
        let kind = self.kind.or_else(|| kept(|channel| &channel.kind)).unwrap_or_else(|| "openai".to_owned());
        let given = self.base_url.or_else(|| kept(|channel| &channel.base_url));
        Ok(NewChannel {
            name: self.name.or_else(|| kept(|channel| &channel.name)).ok_or_else(|| missing("name"))?,
            base_url: channels::base_url(&kind, given)?,
            kind,
            credential: self.key.map(Into::into),
            models: self
                .models
                .or_else(|| before.map(|channel| channel.models.clone()))
                .ok_or_else(|| missing("models"))?,
            mapping: self
                .model_mapping
                .or_else(|| before.map(|channel| channel.mapping.clone()))
                .unwrap_or_default(),
            groups: self
                .groups
                .or_else(|| before.map(|channel| channel.groups.clone()))
                .unwrap_or_else(|| vec!["default".to_owned()]),
            priority: self.priority.or(before.map(|channel| channel.priority)).unwrap_or(0),
            weight: self.weight.or(before.map(|channel| channel.weight)).unwrap_or(1),
            enabled,
        })
    }
}

/// All channels.
#[utoipa::path(get, path = "/api/channel", tag = "Operators",
    responses((status = 200, body = Envelope<Vec<Record>>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
) -> Reply<Vec<Record>> {
    let channels = channels::list(&state.gateway, &caller).await?;
    ok(channels.into_iter().map(Record::from).collect())
}

/// One channel.
#[utoipa::path(get, path = "/api/channel/{id}", tag = "Operators", params(("id" = i64, Path, description = "The channel")),
    responses((status = 200, body = Envelope<Record>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn get(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Segment(channel): Segment,
) -> Reply<Record> {
    ok(channels::get(&state.gateway, &caller, ChannelId(id(&channel)?)).await?.into())
}

/// Makes a channel.
#[utoipa::path(post, path = "/api/channel", tag = "Operators", request_body = Body,
    responses((status = 200, body = Envelope<Record>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn create(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Input(body): Input<Body>,
) -> Reply<Record> {
    ok(channels::create(&state.gateway, &caller, &body.over(None)?).await?.into())
}

/// Changes a channel; members that are absent keep their value.
#[utoipa::path(put, path = "/api/channel", tag = "Operators", request_body = Body,
    responses((status = 200, body = Envelope<Record>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn update(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Input(body): Input<Body>,
) -> Reply<Record> {
    let channel = ChannelId(required(body.id)?);
    let decide = |before| body.over(Some(before));
    ok(channels::update(&state.gateway, &caller, channel, decide).await?.into())
}

/// Deletes a channel.
#[utoipa::path(delete, path = "/api/channel/{id}", tag = "Operators", params(("id" = i64, Path, description = "The channel")),
    responses((status = 200, body = Done), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn delete(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Segment(channel): Segment,
) -> Result<Done, Problem> {
    channels::delete(&state.gateway, &caller, ChannelId(id(&channel)?)).await?;
    done()
}

/// Uses a channel again.
#[utoipa::path(post, path = "/api/channel/{id}/enable", tag = "Operators", params(("id" = i64, Path, description = "The channel")),
    responses((status = 200, body = Envelope<Record>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn enable(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Segment(channel): Segment,
) -> Reply<Record> {
    ok(channels::enable(&state.gateway, &caller, ChannelId(id(&channel)?), true).await?.into())
}

/// Uses a channel no more. Requests that it serves already may finish.
#[utoipa::path(post, path = "/api/channel/{id}/disable", tag = "Operators", params(("id" = i64, Path, description = "The channel")),
    responses((status = 200, body = Envelope<Record>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn disable(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Segment(channel): Segment,
) -> Reply<Record> {
    ok(channels::enable(&state.gateway, &caller, ChannelId(id(&channel)?), false).await?.into())
}

/// What is to be tested.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the shape of the query in the OpenAPI document")]
pub(crate) struct TestQuery {
    /// The model; one of the channel's when absent.
    model: Option<String>,
    /// Id of the credential; the first in use when absent.
    credential: Option<i64>,
    /// `embeddings` to ask for those instead of a chat completion.
    endpoint: Option<String>,
}

/// What came of a test.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChannelFinding)]
pub(crate) struct TestRecord {
    /// Whether the channel answered as it should.
    healthy: bool,
    /// The upstream's status; absent when there was no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// Milliseconds until the whole answer was there.
    latency_ms: i64,
    /// The model as the upstream knows it.
    model: String,
    /// The credential that was sent; absent when the channel has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<i64>,
    /// A short sentence.
    reason: String,
}

impl From<Finding> for TestRecord {
    fn from(finding: Finding) -> Self {
        Self {
            healthy: finding.healthy,
            status: finding.status,
            latency_ms: finding.latency_ms,
            model: finding.model,
            credential: Some(finding.credential.0).filter(|id| *id > 0),
            reason: finding.reason,
        }
    }
}

/// Sends one real, minimal request to a channel, enabled or not. Its provider may charge for it.
#[utoipa::path(get, path = "/api/channel/test/{id}", tag = "Operators", params(("id" = i64, Path, description = "The channel"), TestQuery),
    responses((status = 200, body = Envelope<TestRecord>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn test(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Segment(channel): Segment,
    Paging { query, .. }: Paging,
) -> Reply<TestRecord> {
    let asked = |name: &str| query.get(name).filter(|text| !text.is_empty()).cloned();
    let trial = Trial {
        model: asked("model"),
        credential: asked("credential").map(|text| id(&text)).transpose()?.map(CredentialId),
        embeddings: asked("endpoint").as_deref() == Some("embeddings"),
    };
    ok(channel_test::run(&state.gateway, &caller, ChannelId(id(&channel)?), &trial).await?.into())
}
