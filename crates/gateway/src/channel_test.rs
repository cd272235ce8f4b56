//! Testing a channel: one real, minimal request, and what came of it in a sentence.
//!
//! The provider may charge the operator for it; nobody else pays. A disabled channel can be tested too. A channel that
//! answers is taken for healthy from then on.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::{BodyExt, Limited};
use model::{
    clock::Clock,
    id::{ChannelId, CredentialId},
};
use serde_json::json;
use store::{Role, Store};
use wire::{openai::upstream_error, request};

use crate::{
    Failure, Gateway, Settings,
    access::Caller,
    attempt::{Failed, Request},
    door::{Door, Entrance},
    measure::Measured,
    provider::Provider,
    routing::{Channel, Route, Snapshot},
    sent::{self, Said, Sent},
    upstream::{NoAnswer, Upstream, UpstreamBody},
};

const THING: &str = "channel";
/// How much of an answer is read.
const MOST: usize = 256 << 10;
/// Output tokens that are asked for.
const MOST_OUTPUT: u64 = 16;
/// The longest that a test may take.
const LONGEST: Duration = Duration::from_secs(60);

/// What an operator wants to be tested.
#[derive(Clone, Debug, Default)]
pub struct Trial {
    /// The model; the first of the channel's when nothing is said.
    pub model: Option<String>,
    /// The credential; the first that is in use when nothing is said.
    pub credential: Option<CredentialId>,
    /// Whether embeddings are asked for instead of a chat completion.
    pub embeddings: bool,
}

/// What came of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether the channel answered as it should.
    pub healthy: bool,
    /// The upstream's status, if it answered at all.
    pub status: Option<u16>,
    /// Milliseconds until the whole answer was there.
    pub latency_ms: i64,
    /// The model as the upstream knows it.
    pub model: String,
    /// The credential that was sent.
    pub credential: CredentialId,
    /// A short sentence.
    pub reason: String,
}

/// Tests a channel of a running gateway.
///
/// # Errors
/// [`Failure::Forbidden`], [`Failure::NotFound`]; a channel without a model or a credential to try.
pub async fn run(
    gateway: &Gateway,
    caller: &Caller,
    id: ChannelId,
    trial: &Trial,
) -> Result<Finding, Failure> {
    caller.must_be(Role::Administrator)?;
    let snapshot = gateway.routing();
    let route = find(&snapshot, id)?;
    let limit = gateway.settings.first_byte.min(LONGEST);
    let finding = attempt(&gateway.upstream, &snapshot, route, trial, limit, &*gateway.clock).await?;
    if finding.healthy {
        gateway.health().forget(route);
    }
    Ok(finding)
}

/// Tests a channel without a running gateway.
///
/// # Errors
/// [`Failure::NotFound`]; the database; a channel without a model or a credential to try.
pub async fn run_stored(
    store: &Store,
    settings: &Settings,
    id: ChannelId,
    trial: &Trial,
    clock: &Arc<dyn Clock>,
) -> Result<Finding, Failure> {
    let snapshot = Snapshot::load(store, clock.now()).await.map_err(|error| Failure::of(error, THING))?;
    let upstream = Upstream::new(settings, Arc::clone(clock));
    attempt(&upstream, &snapshot, find(&snapshot, id)?, trial, settings.first_byte.min(LONGEST), &**clock)
        .await
}

fn find(snapshot: &Snapshot, id: ChannelId) -> Result<&Route, Failure> {
    let found = snapshot.channels().iter().find(|route| route.id == id);
    found.map(|route| &**route).ok_or(Failure::NotFound(THING))
}

async fn attempt(
    upstream: &Upstream,
    snapshot: &Snapshot,
    route: &Route,
    trial: &Trial,
    limit: Duration,
    clock: &dyn Clock,
) -> Result<Finding, Failure> {
    let way = way(route, trial)?;
    let asked = match &trial.model {
        Some(model) => model.as_str(),
        None => route.models.iter().min().ok_or_else(|| Failure::Invalid("model is required".to_owned()))?,
    };
    let model = way.upstream_model(asked).to_owned();
    let (entrance, body) = question(way.provider, asked, trial.embeddings)?;
    let scan = request::scan(entrance.door.format(), entrance.model.as_deref(), &body)
        .map_err(|error| Failure::Invalid(error.to_string()))?;
    let headers = HeaderMap::new();
    let request = Request {
        entrance: &entrance,
        headers: &headers,
        body: &body,
        scan: &scan,
        facts: snapshot.facts(asked),
        limit: None,
        max_output: MOST_OUTPUT,
        form: None,
        measured: Measured::default(),
        now: clock.now(),
    };
    let sent = match sent::say(&request, way) {
        Ok(Said::Sent(sent)) => sent,
        Ok(Said::Known(_)) | Err(_) => {
            return Err(Failure::Conflict("its upstream has no such endpoint".to_owned()));
        }
    };
    let began = clock.now();
    let heard = async {
        let outgoing = sent.outgoing();
        let response = upstream.send(way, &headers, outgoing, limit).await?;
        Ok::<_, NoAnswer>(listen(response, &sent, &request).await)
    };
    let (status, problem) = match tokio::time::timeout(limit, heard).await {
        Ok(Ok((status, problem))) => (Some(status), problem),
        Ok(Err(no_answer)) => (None, Some(told(no_answer))),
        Err(_) => (None, Some("the upstream took too long to answer".to_owned())),
    };
    Ok(Finding {
        healthy: problem.is_none(),
        status,
        latency_ms: clock.now().millis_since(began),
        model,
        credential: way.credential,
        reason: problem.unwrap_or_else(|| "it answers".to_owned()),
    })
}

/// Why there was no answer, for the operator who asked: callers are told no more than the first half.
fn told(no_answer: NoAnswer) -> String {
    let why = match &no_answer {
        NoAnswer::Unreached { why, .. } => Some(why.clone()),
        // Nothing was sent, so the half for callers would not be true.
        NoAnswer::Credential(why) => return why.clone(),
        NoAnswer::Failed(_) => None,
    };
    let refusal = Failed::from(no_answer).refusal;
    why.map_or_else(|| refusal.to_string(), |why| format!("{refusal}: {why}"))
}

fn way<'a>(route: &'a Route, trial: &Trial) -> Result<&'a Arc<Channel>, Failure> {
    let wanted = |way: &&Arc<Channel>| trial.credential.is_none_or(|wanted| way.credential == wanted);
    let none = || Failure::Conflict("there is no such credential in use: enable it first".to_owned());
    route.ways.iter().find(wanted).ok_or_else(none)
}

/// The smallest question that has an answer.
fn question(provider: &Provider, model: &str, embeddings: bool) -> Result<(Entrance, Bytes), Failure> {
    let door = match embeddings {
        false => Door::Chat,
        true if provider.serves(Door::Embeddings) => Door::Embeddings,
        true => Door::EmbedContent,
    };
    if !provider.serves(door) {
        return Err(Failure::Conflict("its upstream has no such endpoint".to_owned()));
    }
    let body = match door {
        Door::Embeddings => json!({"model": model, "input": "ping"}),
        Door::EmbedContent => json!({"content": {"parts": [{"text": "ping"}]}}),
        _ => json!({
            "model": model, "messages": [{"role": "user", "content": "ping"}], "max_tokens": MOST_OUTPUT,
        }),
    };
    let named = (door == Door::EmbedContent).then(|| model.to_owned());
    Ok((Entrance { door, model: named, sse: true }, Bytes::from(body.to_string())))
}

/// The status of an answer, and what is wrong with it.
async fn listen(
    response: http::Response<UpstreamBody>,
    sent: &Sent,
    request: &Request<'_>,
) -> (u16, Option<String>) {
    let status = response.status();
    let body = match Limited::new(response.into_body(), MOST).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return (status.as_u16(), Some("the answer broke off or is too large".to_owned())),
    };
    let words = |status: u16| Some(upstream_error::read(status, &body).message);
    if !status.is_success() {
        return (status.as_u16(), words(status.as_u16()));
    }
    let (_, read) = sent.answer(request, body.clone());
    let problem = match (read.is_error, read.is_whole) {
        (true, _) => words(502),
        (false, false) => Some("the answer is not what this kind of provider says".to_owned()),
        (false, true) => None,
    };
    (status.as_u16(), problem)
}
