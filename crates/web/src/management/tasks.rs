//! Asynchronous tasks: videos that a provider makes while nobody waits.

use axum::extract::State;
use gateway::{
    Job, JobState,
    jobs::{self, JobQuery},
};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::{Authenticated, Listed, PageQuery, Paging};
use crate::{
    envelope::{Envelope, Failed, Reply, ok},
    routes::AppState,
};

/// The only platform that there is.
const PLATFORM: &str = "openai";

/// A task.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Task {
    /// Its place in the order.
    id: i64,
    /// When it was begun, in Unix seconds.
    created_at: i64,
    /// Whose kind of job it is.
    platform: &'static str,
    /// The id that the model API knows it by.
    task_id: String,
    /// `generate` or `remix`.
    action: String,
    /// `QUEUED`, `IN_PROGRESS`, `SUCCESS` or `FAILURE`.
    status: &'static str,
    /// The model.
    model_name: String,
    /// The group that serves it.
    group: String,
    /// The request id of what began it.
    request_id: String,
    /// As a percentage.
    progress: String,
    /// What it cost, or what is held for it until it ends, in quota units.
    quota: i64,
    /// The seconds that were made, or that are held for.
    seconds: u64,
    /// When it was begun, in Unix seconds.
    submit_time: i64,
    /// When it ended, in Unix seconds; 0 while it has not.
    finish_time: i64,
}

impl From<Job> for Task {
    fn from(job: Job) -> Self {
        Self {
            id: job.id,
            created_at: job.created.secs(),
            platform: PLATFORM,
            task_id: job.name,
            action: job.action,
            status: status(job.told.state),
            model_name: job.context.model,
            group: job.context.group,
            request_id: job.context.request_id,
            progress: format!("{}%", job.told.progress),
            quota: job.units.unwrap_or(job.held).get(),
            seconds: job.made.unwrap_or(job.seconds),
            submit_time: job.created.secs(),
            finish_time: job.ended.map_or(0, |ended| ended.secs()),
        }
    }
}

const fn status(state: JobState) -> &'static str {
    match state {
        JobState::Queued => "QUEUED",
        JobState::InProgress => "IN_PROGRESS",
        JobState::Completed => "SUCCESS",
        JobState::Failed => "FAILURE",
    }
}

/// Which tasks.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the shape of the query in the OpenAPI document; it is read leniently")]
pub(crate) struct TaskQuery {
    /// With this id.
    task_id: Option<String>,
    /// `QUEUED`, `IN_PROGRESS`, `SUCCESS` or `FAILURE`; there are none of another word.
    status: Option<String>,
    /// `openai`; there are none of another platform.
    platform: Option<String>,
    /// `generate` or `remix`.
    action: Option<String>,
    /// The first second.
    start_timestamp: Option<i64>,
    /// The last second.
    end_timestamp: Option<i64>,
}

/// Own tasks, newest first.
#[utoipa::path(get, path = "/api/task/self", tag = "Usage", params(PageQuery, TaskQuery),
    responses((status = 200, body = Envelope<Listed<Task>>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn own(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    paging: Paging,
) -> Reply<Listed<Task>> {
    let said = |name: &str| paging.query.get(name).filter(|text| !text.is_empty());
    let second =
        |name: &str| said(name).and_then(|text| text.parse::<i64>().ok()).filter(|second| *second > 0);
    let word = said("status");
    let known = word
        .and_then(|word| JobState::ALL.into_iter().find(|state| status(*state).eq_ignore_ascii_case(word)));
    let elsewhere = said("platform").is_some_and(|platform| platform != PLATFORM);
    if elsewhere || word.is_some() != known.is_some() {
        return ok(Listed::new(paging.page, 0, Vec::new()));
    }
    let query = JobQuery {
        name: said("task_id").cloned(),
        state: known,
        action: said("action").cloned(),
        from: second("start_timestamp"),
        until: second("end_timestamp"),
    };
    let (jobs, total) = jobs::own(&state.gateway, &caller, &query, paging.page).await?;
    ok(Listed::new(paging.page, total, jobs.into_iter().map(Task::from).collect()))
}
