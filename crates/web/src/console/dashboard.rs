//! The first page: what is left, what was used, and what needs attention.

use std::collections::BTreeMap;

use askama::Template;
use axum::{extract::State, response::Response};
use gateway::{
    Failure, Gateway, KeyFilter, Page, UsageHour,
    access::Caller,
    accounts, keys,
    usage::{self, Scope, UsageQuery},
};
use http::Uri;
use model::{
    calendar::{DAY_MILLIS, Date},
    clock::Timestamp,
};

use super::{
    attention::{self, Attention},
    frame::{self, Frame},
    oops::Oops,
    page::Query,
    show,
    usage::Line,
    visitor::SignedIn,
};
use crate::routes::AppState;

/// Days that the chart may have; the first is what it has unless another is chosen.
const RANGES: [i64; 3] = [30, 7, 90];
/// The width of the chart, which each of the ranges divides.
const WIDTH: i64 = 6_300;
/// Models in the table.
const MODELS: usize = 8;
/// A day's bar. The chart is [`WIDTH`] wide and 120 high.
pub(crate) struct Bar {
    pub(crate) x: i64,
    /// The width of its place.
    pub(crate) width: i64,
    /// What of it is left free on each side.
    pub(crate) gap: i64,
    pub(crate) y: i64,
    pub(crate) height: i64,
    pub(crate) day: String,
    pub(crate) cost: String,
    pub(crate) requests: i64,
}

struct ModelLine {
    name: String,
    requests: String,
    errors: Option<String>,
    tokens: String,
    cost: String,
}

/// What was used, added up.
struct Spent {
    days_left: Option<i64>,
    month_cost: String,
    month_requests: String,
    month_errors: String,
    /// The first and the last day of the chart.
    first_day: String,
    last_day: String,
    bars: Vec<Bar>,
    most: String,
    models: Vec<ModelLine>,
}

impl Spent {
    /// What the caller has used in the month and in the last `days` days.
    async fn of(gateway: &Gateway, caller: &Caller, days: i64) -> Result<Self, Failure> {
        let month = usage::month(gateway, caller).await?;
        let now = gateway.now();
        let since = (now.millis().div_euclid(DAY_MILLIS) - days + 1) * DAY_MILLIS;
        let from = Some(Timestamp::from_millis(since).secs());
        let query = UsageQuery { from, ..UsageQuery::default() };
        let hours = usage::by_hour(gateway, caller, Scope::Own, &query).await?;
        let mut of_day: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
        for hour in &hours {
            let (units, requests) = of_day.entry(hour.hour.millis().div_euclid(DAY_MILLIS)).or_default();
            *units += hour.sums.units;
            *requests += hour.sums.requests;
        }
        let (bars, most) = bars(now, days, &of_day);
        Ok(Self {
            days_left: month.days_left,
            month_cost: show::about(month.this.units),
            month_requests: show::grouped(month.this.requests.into()),
            month_errors: show::grouped(month.this.errors.into()),
            first_day: bars.first().map(|bar| bar.day.clone()).unwrap_or_default(),
            last_day: bars.last().map(|bar| bar.day.clone()).unwrap_or_default(),
            bars,
            most: show::about(most),
            models: models(&hours),
        })
    }
}

/// Requests that are shown.
const RECENT: i64 = 6;

#[derive(Template)]
#[template(path = "dashboard.html")]
struct Dashboard {
    f: Frame,
    balance: Option<String>,
    used: String,
    /// What was used, where it was asked for with the page.
    spent: Option<Spent>,
    attention: Vec<Attention>,
    days: i64,
    ranges: Vec<i64>,
    keys: String,
    has_no_key: bool,
    recent: Vec<Line>,
}

/// The bars of `days` days up to `today`.
pub(crate) fn bars(today: Timestamp, days: i64, of_day: &BTreeMap<i64, (i64, i64)>) -> (Vec<Bar>, i64) {
    let most = of_day.values().map(|(units, _)| *units).max().unwrap_or(0).max(1);
    let last = today.millis().div_euclid(DAY_MILLIS);
    let bar = |number: i64| {
        let day = last - days + 1 + number;
        let (units, requests) = of_day.get(&day).copied().unwrap_or((0, 0));
        let part = i64::try_from(i128::from(units) * 110 / i128::from(most)).unwrap_or(0);
        let height = if requests > 0 { part.max(2) } else { 0 };
        let Date { year, month, day: of_month } = Date::of(Timestamp::from_millis(day * DAY_MILLIS));
        Bar {
            x: number * (WIDTH / days),
            width: WIDTH / days,
            gap: WIDTH / days / 7,
            y: 120 - height,
            height,
            day: format!("{year:04}-{month:02}-{of_month:02}"),
            cost: show::dollars(units),
            requests,
        }
    };
    ((0..days).map(bar).collect(), most)
}

fn models(hours: &[UsageHour]) -> Vec<ModelLine> {
    let mut sums: BTreeMap<&str, [i64; 4]> = BTreeMap::new();
    for hour in hours {
        let [requests, errors, tokens, units] = sums.entry(&hour.model).or_default();
        *requests += hour.sums.requests;
        *errors += hour.sums.errors;
        *tokens += hour.sums.tokens();
        *units += hour.sums.units;
    }
    let mut lines: Vec<_> = sums.into_iter().collect();
    lines.sort_by_key(|(_, [requests, _, _, units])| std::cmp::Reverse((*units, *requests)));
    let line = |(name, [requests, errors, tokens, units]): (&str, [i64; 4])| ModelLine {
        name: name.to_owned(),
        requests: show::grouped(requests.into()),
        errors: (errors > 0).then(|| show::grouped(errors.into())),
        tokens: show::grouped(tokens.into()),
        cost: show::about(units),
    };
    lines.into_iter().take(MODELS).map(line).collect()
}

/// The dashboard.
pub(crate) async fn show(
    State(state): State<AppState>,
    signed: SignedIn,
    uri: Uri,
) -> Result<Response, Oops> {
    let [usual, ..] = RANGES;
    let query = Query::of(&uri);
    let days = query.number("days").filter(|days| RANGES.contains(days)).unwrap_or(usual);
    let (gateway, caller, t) = (&state.gateway, &signed.caller, signed.frame.t);
    let account = accounts::own(gateway, caller).await?;
    // Adding up millions of records takes longer than everything else here, so the page does not wait for it.
    let spent = match query.number("whole") {
        Some(_) => Some(Spent::of(gateway, caller, days).await?),
        None => None,
    };
    let newest = KeyFilter { descending: true, ..KeyFilter::default() };
    let own = keys::find(gateway, caller, &newest, Page { number: 1, size: 1 }).await?;
    let attention = attention::find(gateway, caller, t).await?;
    let recent = usage::latest(gateway, caller, &UsageQuery::default(), RECENT).await?;
    let page = Dashboard {
        balance: (!account.unlimited).then(|| show::dollars(account.remaining.get())),
        used: show::about(account.used.get()),
        spent,
        attention,
        keys: if own.more { format!("{}+", own.total) } else { own.total.to_string() },
        has_no_key: own.total == 0,
        days,
        ranges: vec![7, 30, 90],
        recent: recent.iter().map(|record| Line::new(t, record)).collect(),
        f: signed.frame,
    };
    Ok(frame::ok(&page))
}
