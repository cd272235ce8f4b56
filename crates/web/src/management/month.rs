//! The caller's month, in figures.

use axum::extract::State;
use gateway::usage;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Authenticated, user::dollars};
use crate::{
    envelope::{Envelope, Failed, Reply, ok},
    routes::AppState,
};

/// This month beside the month before, in UTC.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Month {
    /// Requests of this month.
    month_req_count: i64,
    /// By how many percent that is more than up to the same time of the month before; 0 when there were none.
    req_rate: f64,
    /// US dollars used this month.
    month_usage: f64,
    /// By how many percent that is more than up to the same time of the month before; 0 when it was nothing.
    usage_rate: f64,
    /// Percent of this month's requests that did not fail; 100 when there were none.
    month_success_rate: f64,
    /// Whole days that the balance lasts at this month's rate; null when it has no limit or nothing was used.
    predicted_days: Option<i64>,
}

/// By how many percent `now` is more than `before`, to a tenth.
#[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
fn growth(now: i64, before: i64) -> f64 {
    if before == 0 { 0.0 } else { ((now as f64 / before as f64 - 1.0) * 1e3).round() / 10.0 }
}

/// The caller's month.
#[utoipa::path(get, path = "/api/user/self/stats", tag = "Usage",
    responses((status = 200, body = Envelope<Month>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn stats(State(state): State<AppState>, caller: Authenticated) -> Reply<Month> {
    let usage::Month { this, before, days_left } = usage::month(&state.gateway, &caller.0).await?;
    let good = this.requests.saturating_sub(this.errors);
    ok(Month {
        month_req_count: this.requests,
        req_rate: growth(this.requests, before.requests),
        month_usage: dollars(this.units),
        usage_rate: growth(this.units, before.units),
        month_success_rate: if this.requests == 0 { 100.0 } else { 100.0 + growth(good, this.requests) },
        predicted_days: days_left,
    })
}
