//! Lists of an account's jobs: for the holder of its keys, and for the account itself.

use model::{clock::Timestamp, refusal::Refusal};
use serde_json::{Value, json};
use store::{Job, JobFilter, JobState, Page};

use super::{Answer, Call, json as answer, unavailable};
use crate::{Failure, Gateway, access::Caller};

/// Jobs on a page, when nothing is said and at most.
const PAGE: i64 = 20;
const LARGEST_PAGE: i64 = 100;

/// What `GET /v1/videos` answers: the account's own, as they were told last.
pub(super) async fn shown(gateway: &Gateway, call: &Call, query: &str) -> Result<Answer, Refusal> {
    let said = |name: &str| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(known, _)| *known == name).map(|(_, value)| value).next_back()
    };
    let limit = match said("limit").map(str::parse) {
        None => PAGE,
        Some(Ok(limit @ 1..=LARGEST_PAGE)) => limit,
        Some(_) => {
            let what = format!("limit must be a number from 1 to {LARGEST_PAGE}");
            return Err(Refusal::InvalidRequest(what));
        }
    };
    let ascending = match said("order") {
        None | Some("desc") => false,
        Some("asc") => true,
        Some(_) => return Err(Refusal::InvalidRequest("order must be asc or desc".to_owned())),
    };
    let after = match said("after") {
        None => None,
        Some(name) => Some(call.job(gateway, name).await?.id),
    };
    let account = call.known.account.id;
    let jobs = gateway.store.jobs_after(account, after, ascending, limit).await;
    let mut jobs = jobs.map_err(|error| unavailable(&error))?;
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = jobs.len() > most;
    jobs.truncate(most);
    let told = |job: &Job| serde_json::from_str::<Value>(&job.told.answer).unwrap_or_default();
    let data: Vec<Value> = jobs.iter().map(told).collect();
    let (first, last) = (jobs.first().map(|job| &job.name), jobs.last().map(|job| &job.name));
    let list = json!({
        "object": "list", "data": data, "first_id": first, "last_id": last, "has_more": has_more,
    });
    Ok(answer(list.to_string()))
}

/// Which of an account's jobs; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct JobQuery {
    /// The id that callers know it by.
    pub name: Option<String>,
    /// `queued`, `in_progress`, `completed` or `failed`.
    pub state: Option<JobState>,
    /// `generate` or `remix`.
    pub action: Option<String>,
    /// The first second.
    pub from: Option<i64>,
    /// The last second.
    pub until: Option<i64>,
}

/// The caller's own jobs, newest first, and how many there are.
///
/// # Errors
/// [`Failure::Unavailable`].
pub async fn own(
    gateway: &Gateway,
    caller: &Caller,
    query: &JobQuery,
    page: Page,
) -> Result<(Vec<Job>, i64), Failure> {
    let filter = JobFilter {
        name: query.name.clone(),
        state: query.state,
        action: query.action.clone(),
        from: query.from.map(Timestamp::from_secs),
        until: query.until.map(|second| Timestamp::from_secs(second.saturating_add(1))),
    };
    let jobs = gateway.store.jobs(caller.account.id, &filter, page).await;
    jobs.map_err(|error| Failure::of(error, "task"))
}
