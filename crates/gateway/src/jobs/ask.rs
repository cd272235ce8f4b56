//! Asking an upstream about a job, and settling it when it has ended.

use std::{sync::Arc, time::Duration};

use http::Method;
use model::{
    money::Units,
    price::Size,
    refusal::Refusal,
    usage::{Provenance, UsageOutcome},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use store::{Job, JobEnd, JobState, StoreError, Told};

use super::{
    Answer, json as answer, later, missing, not_completed,
    said::{self, Said},
    submit, unavailable, used,
};
use crate::{
    attempt::{self, Why},
    door::Door,
    gateway::Gateway,
    provider::Speech,
    routing::{Channel, UpstreamFailure},
    upstream::Ask,
};

/// What stands in one part of a path as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The longest pause between two questions about one job.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How often in a row an upstream must say that there is no such job, until that is believed.
const MISSES: i64 = 3;
/// A job that has not ended for so long has failed: no upstream works for a week.
const LOST_MILLIS: i64 = 7 * 24 * 3_600_000;

/// How long until a job is asked about again, in milliseconds.
pub(super) fn pause(gateway: &Gateway, polls: i64) -> i64 {
    let first = i64::try_from(gateway.settings.job_poll.as_millis()).unwrap_or(i64::MAX);
    let longest = i64::try_from(LONGEST_PAUSE.as_millis()).unwrap_or(i64::MAX);
    first.saturating_mul(1 + polls / 4).clamp(1, longest.max(first))
}

/// The channel with the credential that a job was begun with: another one may not see it.
pub(super) fn way(gateway: &Gateway, job: &Job) -> Option<Arc<Channel>> {
    let routing = gateway.routing();
    let route = routing.channels().iter().find(|route| route.id == job.channel)?;
    route.ways.iter().find(|way| way.credential == job.credential).cloned()
}

/// Where videos are at an upstream, or one of them and what is asked of it.
pub(super) fn path(channel: &Channel, job: Option<(&str, &str)>) -> Option<String> {
    let Some(Speech::Native(path)) = channel.provider.speech(Door::Videos, false, None) else { return None };
    Some(match job {
        None => path.to_owned(),
        Some((id, verb)) => format!("{path}/{}{verb}", utf8_percent_encode(id, PLAIN)),
    })
}

/// The job as it is now: its upstream is asked when it has not ended, and it is settled when it has. When nothing can be
/// learnt it is as it was.
///
/// # Errors
/// The database; or it was deleted meanwhile.
pub(super) async fn refresh(gateway: &Gateway, job: Job) -> Result<Job, Refusal> {
    if job.ended.is_some() {
        return Ok(job);
    }
    let (account, name) = (job.account, job.name.clone());
    look(gateway, job).await.map_err(|error| unavailable(&error))?;
    let job = gateway.store.job(account, &name).await.map_err(|error| unavailable(&error))?;
    job.ok_or_else(missing)
}

/// Asks about a job that has not ended.
///
/// # Errors
/// The database.
pub(super) async fn look(gateway: &Gateway, job: Job) -> Result<(), StoreError> {
    let next = later(gateway, pause(gateway, job.polls.saturating_add(1)));
    let lost = gateway.now().millis_since(job.created) >= LOST_MILLIS;
    let missed = match question(gateway, &job).await {
        Ok(said) => {
            let said = said.sized(said::size_in(&job.told.answer));
            let (ended, made) = (said.state.is_end(), Made { seconds: said.seconds, size: said.size });
            let told = said.told(&job.name, &job.context.model, submit::origin(&job).as_ref());
            return match ended {
                true => end(gateway, &job, told, made).await,
                false if lost => lose(gateway, &job, "the upstream has not ended this video in a week").await,
                false => gateway.store.note_job(job.id, &told, next).await,
            };
        }
        Err(failure) => matches!(failure, UpstreamFailure::Status { status: 404 | 410, .. }),
    };
    if lost || missed && job.misses + 1 >= MISSES {
        return lose(gateway, &job, "the upstream does not know this video any more").await;
    }
    gateway.store.miss_job(job.id, missed, next).await
}

/// Ends a job of which nothing more can be expected.
async fn lose(gateway: &Gateway, job: &Job, why: &str) -> Result<(), StoreError> {
    tracing::warn!(job = job.name, channel = %job.channel, why, "a job is lost");
    let told = said::failed(&job.told.answer, "job_lost", why);
    end(gateway, job, told, Made::default()).await
}

async fn question(gateway: &Gateway, job: &Job) -> Result<Said, UpstreamFailure> {
    let channel = way(gateway, job).ok_or(UpstreamFailure::Connect)?;
    let path = path(&channel, Some((&job.upstream, ""))).ok_or(UpstreamFailure::Connect)?;
    let ask = Ask { method: Method::GET, path: &path, content: None };
    let said = submit::exchange(gateway, &channel, ask, gateway.settings.first_byte).await;
    said.map_err(|failed| match failed.why {
        Why::Upstream(failure) => failure,
        Why::Unsaid | Why::NoRoom => UpstreamFailure::Malformed,
    })
}

/// What an upstream says that it has made.
#[derive(Default)]
struct Made {
    seconds: Option<u64>,
    size: Option<Size>,
}

/// Settles a job: at the seconds that were made and their size, or for nothing when it has failed.
async fn end(gateway: &Gateway, job: &Job, told: Told, made: Made) -> Result<(), StoreError> {
    let Made { seconds, size } = made;
    // What the end does not say is what was said at the beginning. Where that has no price, seconds of no size are charged, or
    // what was held for where those have none: never nothing.
    let price = &job.price;
    let priced = |size: &Size| price.size(*size).is_some();
    let known = size.filter(priced).or_else(|| said::size_in(&job.told.answer).filter(priced));
    let size = known.or_else(|| price.dearest_size().filter(|_| price.per_second.0 == 0));
    let done = told.state == JobState::Completed;
    let made = if done { seconds.unwrap_or(job.seconds) } else { 0 };
    let cost = match done {
        // What cannot be counted is beyond every hold, which caps it.
        true => job.price.cost(job.context.ratio, &used(made, size)).unwrap_or(Units::MAX),
        false => Units::ZERO,
    };
    let outcome = UsageOutcome {
        tokens: used(made, size),
        provenance: if seconds.is_some() || !done { Provenance::Reported } else { Provenance::Estimated },
        units: cost.min(job.held),
        overrun: Units::new(cost.get().saturating_sub(job.held.get()).max(0)),
        status: 200,
        error: (!done).then(|| "job_failed".to_owned()),
        first_byte_ms: None,
        ended: gateway.now(),
    };
    let (units, overrun) = (outcome.units.get(), outcome.overrun.get());
    if gateway.store.end_job(job, &JobEnd { told, made, outcome }).await? {
        tracing::info!(job = job.name, units, made, "a job has ended");
        gateway.metrics.settled(units, overrun);
        // What was returned is in the book.
        job.pools().into_iter().for_each(|pool| gateway.ledger.forget(pool));
    }
    Ok(())
}

/// Deletes a job that has ended, at its upstream too.
pub(super) async fn delete(gateway: &Gateway, job: Job) -> Result<Answer, Refusal> {
    if job.ended.is_none() {
        return Err(not_completed(&job));
    }
    if let Some(channel) = way(gateway, &job)
        && let Some(path) = path(&channel, Some((&job.upstream, "")))
    {
        let ask = Ask { method: Method::DELETE, path: &path, content: None };
        let response = gateway.upstream.ask(&channel, ask, gateway.settings.first_byte).await;
        let response = response.map_err(|no_answer| attempt::Failed::from(no_answer).refusal)?;
        // What its upstream has forgotten already is deleted.
        if !response.status().is_success() && !matches!(response.status().as_u16(), 404 | 410) {
            return Err(attempt::refused(gateway, channel.provider, response).await.refusal);
        }
    }
    gateway.store.delete_job(job.id).await.map_err(|error| unavailable(&error))?;
    Ok(answer(json!({"id": job.name, "object": "video.deleted", "deleted": true}).to_string()))
}

/// Asks an upstream to forget a job that nobody knows of. It may not do so: then it works for nothing.
pub(super) async fn forget(gateway: &Gateway, channel: &Channel, upstream: &str) {
    let Some(path) = path(channel, Some((upstream, ""))) else { return };
    let ask = Ask { method: Method::DELETE, path: &path, content: None };
    if let Err(failure) = gateway.upstream.ask(channel, ask, gateway.settings.first_byte).await {
        tracing::warn!(channel = %channel.id, ?failure, "an upstream cannot be asked to forget a job");
    }
}
