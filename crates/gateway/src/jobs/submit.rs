//! Beginning a job: held like every request, sent, and handed to the book once an upstream has taken it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method};
use hyper::body::Body;
use ledger::Hold;
use model::{
    money::Units,
    price::{Ratio, Size},
    refusal::Refusal,
    usage::{Provenance, Tokens, UsageContext, UsageOutcome},
};
use serde_json::Value;
use store::{Job, ModelPrice, NewJob};

use super::{
    Answer, Call,
    ask::{self, path},
    form::{self, Asked},
    json, later, not_completed, refusal,
    said::{self, Said},
    used,
};
use crate::{
    admission::{self, Way},
    attempt::{self, Failed, Why},
    body::{self, Cut, Patience},
    bound,
    door::Door,
    gateway::Gateway,
    routing::{Attempt, Channel, UpstreamFailure},
    upstream::Ask,
    walk::Walk,
};

/// Largest answer of an upstream about a job, in bytes.
const MOST_ANSWER: u64 = 1 << 20;
/// How long a caller waits until a job that an upstream has begun is written down.
const KEEPING: Duration = Duration::from_secs(60);
/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(250);

/// Begins a video.
pub(super) async fn create<B>(gateway: &Arc<Gateway>, call: &Call, body: B) -> Result<Answer, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let asked = Asked::receive(&gateway.settings, &call.headers, body, &gateway.rooms.requests).await?;
    let way = call.way(gateway, &asked.model)?;
    let mut walk = Walk::begin(gateway, way.plan, &call.entry)?;
    let size = asked.sizes.priced(&asked.model, &way.price.price)?;
    let order = Order { call, price: &way.price, model: &asked.model, seconds: asked.seconds, size };
    let mut hold = order.hold(gateway, order.attempted(walk.attempt())).await?;
    let said = loop {
        let attempt = walk.attempt();
        let failed = match begin(gateway, attempt.permit.channel(), &asked, attempt.limit).await {
            Ok(said) => break said,
            Err(failed) => failed,
        };
        walk = match walk.next(failed, &mut hold, |ratio| order.cost(ratio).ok()).await {
            Ok(next) => next,
            Err(refusal) => return Err(free(gateway, hold, refusal)),
        };
        hold.retarget(order.attempted(walk.attempt()));
    };
    let channel = Arc::clone(walk.attempt().permit.channel());
    walk.succeeded();
    order.keep(gateway, hold, &channel, said, None).await
}

/// Begins a video that changes another one: where that was made, with its length.
pub(super) async fn remix<B>(
    gateway: &Arc<Gateway>,
    call: &Call,
    name: &str,
    body: B,
) -> Result<Answer, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let earlier = call.job(gateway, name).await?;
    let earlier = ask::refresh(gateway, earlier).await?;
    let mut members =
        form::json(&form::whole(&gateway.settings, &call.headers, body, &gateway.rooms.requests).await?)?;
    // Whatever else was said could make something longer than what is held.
    members.retain(|name, _| name == "prompt");
    if earlier.told.state != store::JobState::Completed {
        return Err(not_completed(&earlier));
    }
    let model = earlier.context.model.clone();
    let way = call.way(gateway, &model)?;
    let stage = way
        .plan
        .stages
        .iter()
        .find(|stage| stage.routes.iter().any(|route| route.id == earlier.channel))
        .ok_or_else(|| {
            let what = "the channel that made this video cannot be used now";
            refusal(503, "channel_not_available", what.to_owned())
        })?;
    let channel = ask::way(gateway, &earlier).ok_or(Refusal::UpstreamError)?;
    let seconds = earlier.made.unwrap_or(earlier.seconds);
    let size = said::size_in(&earlier.told.answer);
    let order = Order { call, price: &way.price, model: &model, seconds, size };
    let hold = order.hold(gateway, order.context(&channel, &stage.group, stage.ratio, 1)).await?;
    let body = Bytes::from(Value::Object(members).to_string());
    let content = Some((HeaderValue::from_static("application/json"), body.into()));
    let at = path(&channel, Some((&earlier.upstream, "/remix")));
    let sent = match at {
        Some(at) => {
            let ask = Ask { method: Method::POST, path: &at, content };
            exchange(gateway, &channel, ask, gateway.settings.first_byte).await
        }
        None => Err(UpstreamFailure::Connect.into()),
    };
    match sent {
        Ok(said) => order.keep(gateway, hold, &channel, said, Some(name)).await,
        Err(failed) => Err(free(gateway, hold, failed.refusal)),
    }
}

impl Call {
    fn way(&self, gateway: &Gateway, model: &str) -> Result<Way, Refusal> {
        self.entry.note(|facts| facts.model = Some(model.to_owned()));
        let way = admission::way(gateway, &self.known, Door::Videos, model)?;
        tracing::debug!(request_id = self.request_id, plan = %way.plan, "planned");
        Ok(way)
    }
}

/// Sends a request to the upstream that begins a video.
async fn begin(gateway: &Gateway, channel: &Channel, asked: &Asked, limit: Duration) -> Result<Said, Failed> {
    let upstream_model = channel.upstream_model(&asked.model);
    let content = asked.said(upstream_model).map_err(|refusal| Failed { why: Why::Unsaid, refusal })?;
    let at = path(channel, None).ok_or(UpstreamFailure::Connect)?;
    let ask = Ask { method: Method::POST, path: &at, content: Some(content) };
    exchange(gateway, channel, ask, limit.min(gateway.settings.first_byte)).await
}

/// Asks an upstream, and reads what it says of a job.
pub(super) async fn exchange(
    gateway: &Gateway,
    channel: &Channel,
    ask: Ask<'_>,
    limit: Duration,
) -> Result<Said, Failed> {
    let response = gateway.upstream.ask(channel, ask, limit).await?;
    if !response.status().is_success() {
        return Err(attempt::refused(gateway, channel.provider, response).await);
    }
    let patience = Patience { idle: gateway.settings.idle, whole: gateway.settings.first_byte };
    let whole = body::collect(response.into_body(), MOST_ANSWER, patience, &gateway.rooms.answers).await;
    let whole = whole.map_err(|cut| match cut {
        Cut::NoRoom => Failed { why: Why::NoRoom, refusal: Refusal::Unavailable },
        Cut::Slow => UpstreamFailure::Timeout.into(),
        Cut::Broken => UpstreamFailure::Reset.into(),
        Cut::TooLarge => UpstreamFailure::Malformed.into(),
    })?;
    Ok(Said::read(&whole)?)
}

/// Ends a hold for nothing, because no job has begun. Returns the refusal, for the caller.
fn free(gateway: &Gateway, hold: Hold, refusal: Refusal) -> Refusal {
    let outcome = UsageOutcome {
        tokens: Tokens::default(),
        provenance: Provenance::Counted,
        units: Units::ZERO,
        overrun: Units::ZERO,
        status: refusal.status(),
        error: Some(refusal.code().to_owned()),
        first_byte_ms: None,
        ended: gateway.now(),
    };
    drop(hold.settle(outcome));
    refusal
}

/// What is ordered, and what it costs.
struct Order<'a> {
    call: &'a Call,
    price: &'a ModelPrice,
    model: &'a str,
    seconds: u64,
    /// Its size, where that is said.
    size: Option<Size>,
}

impl Order<'_> {
    fn cost(&self, ratio: Ratio) -> Result<Units, Refusal> {
        let price = &self.price.price;
        // What is not said, or has no price, may be the dearest.
        let size = self.size.filter(|size| price.size(*size).is_some()).or_else(|| price.dearest_size());
        let cost = price.cost(ratio, &used(self.seconds, size));
        cost.map_err(|error| Refusal::InvalidRequest(error.to_string()))
    }

    async fn hold(&self, gateway: &Gateway, context: UsageContext) -> Result<Hold, Refusal> {
        let known = &self.call.known;
        let units = self.cost(context.ratio)?;
        let pools = [known.key.pool, known.account.pool];
        gateway.ledger.hold(pools, units, context).await.map_err(|error| bound::refusal(known, error))
    }

    fn attempted(&self, attempt: &Attempt) -> UsageContext {
        self.context(attempt.permit.channel(), &attempt.group, attempt.ratio, attempt.number)
    }

    fn context(&self, channel: &Channel, group: &str, ratio: Ratio, attempt: u32) -> UsageContext {
        let Call { known, client, request_id, started, .. } = self.call;
        UsageContext {
            request_id: request_id.clone(),
            account: known.account.id,
            key: known.key.id,
            key_name: known.key.settings.name.clone(),
            group: group.to_owned(),
            channel: channel.id,
            attempt,
            model: self.model.to_owned(),
            upstream_model: channel.upstream_model(self.model).to_owned(),
            door: Door::Videos.path().to_owned(),
            stream: false,
            price: self.price.price.id,
            ratio,
            client: *client,
            started: *started,
        }
    }

    /// Writes down a job that an upstream has begun, and answers. The caller may leave: the job is kept all the same.
    async fn keep(
        &self,
        gateway: &Arc<Gateway>,
        hold: Hold,
        channel: &Arc<Channel>,
        said: Said,
        from: Option<&str>,
    ) -> Result<Answer, Refusal> {
        let Ok(name) = name() else { return Err(free(gateway, hold, Refusal::Internal)) };
        let upstream = said.id.clone();
        let told = said.sized(self.size).told(&name, self.model, from.map(Value::from).as_ref());
        let answer = told.answer.clone();
        let job = NewJob {
            name,
            charge: hold.id(),
            draws: hold.draws(),
            held: hold.units(),
            seconds: self.seconds,
            context: hold.context().clone(),
            price: self.price.price.clone(),
            credential: channel.credential,
            upstream,
            action: if from.is_some() { "remix" } else { "generate" },
            told,
            next_poll: later(gateway, ask::pause(gateway, 0)),
        };
        let keeping = tokio::spawn(keep(Arc::clone(gateway), hold, job, Arc::clone(channel)));
        match tokio::time::timeout(KEEPING, keeping).await {
            Ok(Ok(Ok(()))) => Ok(json(answer)),
            Ok(Ok(Err(refusal))) => Err(refusal),
            Ok(Err(error)) => {
                tracing::error!(%error, "a job could not be kept");
                Err(Refusal::Internal)
            }
            // It is kept when the database is back, and is listed then.
            Err(_) => Err(Refusal::Unavailable),
        }
    }
}

/// Hands a job and what is held for it to the book. While the database is away nobody knows whether it has them already, so
/// this goes on until it says. When it says no there is no job: its upstream is asked to forget it, and nothing is charged.
async fn keep(gateway: Arc<Gateway>, hold: Hold, job: NewJob, channel: Arc<Channel>) -> Result<(), Refusal> {
    let mut kept = hold.durable().await.map_err(|error| error.to_string());
    while kept.is_ok() {
        match gateway.store.begin_job(&job).await {
            Ok(()) => {
                hold.hand_over();
                return Ok(());
            }
            Err(error) if error.is_away() => {
                tracing::warn!(%error, job = job.name, "a job waits for the database");
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => kept = Err(error.to_string()),
        }
    }
    let error = kept.err().unwrap_or_default();
    tracing::error!(error, job = job.name, channel = %channel.id, "a job that has begun cannot be kept");
    ask::forget(&gateway, &channel, &job.upstream).await;
    Err(free(&gateway, hold, Refusal::Unavailable))
}

/// An id that nobody can guess.
fn name() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(format!("video_{:032x}", u128::from_be_bytes(bytes)))
}

/// What a remix says of the video that it came from.
pub(super) fn origin(job: &Job) -> Option<Value> {
    said::member(&job.told.answer, "remixed_from_video_id").filter(|origin| !origin.is_null())
}
