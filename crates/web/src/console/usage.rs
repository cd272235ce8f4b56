//! The usage log, and one request explained.

use askama::Template;
use axum::{extract::State, response::Response};
use gateway::{
    Failure, UsageKind, UsageRecord,
    access::Caller,
    usage::{self, Scope, UsageQuery},
};
use http::Uri;
use model::price::Ratio;

use super::{
    errors,
    frame::{self, Frame},
    key_page::number,
    keys::Badge,
    messages::Messages,
    oops::Oops,
    page::{self, Pager, Query},
    show,
    visitor::SignedIn,
};
use crate::{
    management::{Segment, logs},
    routes::AppState,
};

/// A request in a list.
pub(crate) struct Line {
    pub(crate) id: i64,
    pub(crate) ended: String,
    pub(crate) username: String,
    pub(crate) key_name: String,
    pub(crate) model: String,
    pub(crate) status: Badge,
    pub(crate) input: String,
    pub(crate) output: String,
    pub(crate) cost: String,
    pub(crate) first_byte: Option<i64>,
    pub(crate) took: i64,
    pub(crate) error: Option<String>,
    /// Where the error is explained.
    pub(crate) error_page: Option<String>,
}

impl Line {
    pub(crate) fn new(t: &Messages, record: &UsageRecord) -> Self {
        let tokens = &record.tokens;
        let input = [tokens.input, tokens.cached_input, tokens.cache_write].map(i128::from);
        let failed = record.kind == UsageKind::Error || record.error.is_some();
        Self {
            id: record.id,
            ended: show::moment(record.ended),
            username: record.username.clone(),
            key_name: record.key_name.clone(),
            model: record.model.clone(),
            status: match failed {
                true => Badge { class: "bad", text: t.usage_failed },
                false => Badge { class: "good", text: t.usage_answered },
            },
            input: show::grouped(input.iter().sum()),
            output: show::grouped(tokens.output.into()),
            cost: show::dollars(record.units.get()),
            first_byte: record.first_byte_ms,
            took: record.ended.millis_since(record.started),
            error_page: record.error.as_deref().and_then(errors::page_of),
            error: record.error.clone(),
        }
    }
}

/// What is looked for, as it is typed.
struct Filters {
    key: String,
    model: String,
    group: String,
    username: String,
    kind: String,
    from: String,
    until: String,
    request_id: String,
    all: bool,
}

impl Filters {
    /// Whether one of those is used that stand folded.
    fn are_many(&self) -> bool {
        self.all || [&self.group, &self.kind, &self.request_id].into_iter().any(|text| !text.is_empty())
    }

    fn is_kind(&self, kind: &str) -> bool {
        self.kind == kind
    }
}

#[derive(Template)]
#[template(path = "usage.html")]
struct ListPage {
    f: Frame,
    filters: Filters,
    lines: Vec<Line>,
    pager: Pager,
    export: String,
    /// Where a live view ends.
    stop: String,
    /// Where a live view begins.
    live_begin: String,
    /// How a live view goes on.
    live: Live,
    /// What they make together, where it was asked for with the page.
    sums: Option<Sums>,
    /// Where it is asked for.
    sums_part: String,
    /// The page with it, for who has no scripts.
    with_sums: String,
}

/// What the records of a list make together.
struct Sums {
    requests: String,
    errors: String,
    cost: String,
}

impl Sums {
    async fn of(state: &AppState, caller: &Caller, filters: &Filters) -> Result<Self, Failure> {
        let sums = usage::totals(&state.gateway, caller, filters.scope(), &filters.query()?).await?.sums;
        Ok(Self {
            requests: show::grouped(sums.requests.into()),
            errors: show::grouped(sums.errors.into()),
            cost: show::about(sums.units),
        })
    }
}

#[derive(Template)]
#[template(path = "usage_sums.html")]
struct SumsPart {
    t: &'static Messages,
    sums: Sums,
}

/// How often a live view looks: with a pause of 3 seconds, for ten minutes.
const BEATS: i64 = 200;

/// A view that is followed live.
enum Live {
    /// It is not.
    Off,
    /// It looks again, there.
    On(String),
    /// It has looked often enough.
    Over,
}

impl Live {
    /// With `beats` left; the filters stay.
    fn of(beats: Option<i64>, filters: &Filters) -> Self {
        match beats {
            None => Self::Off,
            Some(..1) => Self::Over,
            Some(left) => Self::On(following(filters, left.min(BEATS) - 1)),
        }
    }
}

fn following(filters: &Filters, beats: i64) -> String {
    let beats = beats.to_string();
    page::link("/console/usage", &[&filters.kept()[..], &[("live", beats.as_str())]].concat())
}

fn contains(text: &str) -> Option<String> {
    Some(text).filter(|text| !text.is_empty()).map(|text| format!("%{text}%"))
}

impl Filters {
    fn of(query: &Query, administrator: bool) -> Self {
        let text = |name: &str| query.text(name).chars().take(128).collect::<String>();
        Self {
            key: text("key"),
            model: text("model"),
            group: text("group"),
            username: text("username"),
            kind: text("kind"),
            from: text("from"),
            until: text("until"),
            request_id: text("request_id"),
            // Who names an account does not mean the own one.
            all: administrator && (query.number("all").is_some() || !query.text("username").is_empty()),
        }
    }

    const fn scope(&self) -> Scope {
        if self.all { Scope::All } else { Scope::Own }
    }

    fn query(&self) -> Result<UsageQuery, Failure> {
        let seconds = |name: &str, text: &str| {
            show::read_moment(name, text).map(|moment| moment.map(|moment| moment.secs()))
        };
        Ok(UsageQuery {
            kind: self.kind.parse().ok().filter(|kind| matches!(kind, 2 | 5)),
            key_name: contains(&self.key),
            model: contains(&self.model),
            group: Some(self.group.clone()).filter(|group| !group.is_empty()),
            username: contains(&self.username),
            from: seconds("from", &self.from)?,
            until: seconds("until", &self.until)?,
            request_id: Some(self.request_id.clone()).filter(|id| !id.is_empty()),
            ..UsageQuery::default()
        })
    }

    fn kept(&self) -> [(&'static str, &str); 9] {
        [
            ("key", &self.key),
            ("model", &self.model),
            ("group", &self.group),
            ("username", &self.username),
            ("kind", &self.kind),
            ("from", &self.from),
            ("until", &self.until),
            ("request_id", &self.request_id),
            ("all", if self.all { "1" } else { "" }),
        ]
    }
}

/// Usage records, newest first: own ones, or everybody's for administrators.
pub(crate) async fn list(
    State(state): State<AppState>,
    signed: SignedIn,
    uri: Uri,
) -> Result<Response, Oops> {
    let query = Query::of(&uri);
    let filters = Filters::of(&query, signed.frame.administrator);
    let (asked, scope) = (filters.query()?, filters.scope());
    let found = usage::newest(&state.gateway, &signed.caller, scope, &asked, query.page()).await?;
    let live = Live::of(query.number("live"), &filters);
    // Adding up millions of records takes longer than showing the newest, so the page does not wait for it.
    let sums = match query.number("sums") {
        Some(_) => Some(Sums::of(&state, &signed.caller, &filters).await?),
        None => None,
    };
    let page = ListPage {
        pager: Pager::new("/console/usage", &filters.kept(), query.page(), found.total).beyond(found.more),
        export: page::link("/console/usage/export", &filters.kept()),
        stop: page::link("/console/usage", &filters.kept()),
        live_begin: following(&filters, BEATS),
        live,
        lines: found.records.iter().map(|record| Line::new(signed.frame.t, record)).collect(),
        sums,
        sums_part: page::link("/console/usage/sums", &filters.kept()),
        with_sums: page::link("/console/usage", &[&filters.kept()[..], &[("sums", "1")]].concat()),
        filters,
        f: signed.frame,
    };
    Ok(frame::ok(&page))
}

/// What the records of the list make together: a part of the page that comes after it.
pub(crate) async fn sums(
    State(state): State<AppState>,
    signed: SignedIn,
    uri: Uri,
) -> Result<Response, Oops> {
    let filters = Filters::of(&Query::of(&uri), signed.frame.administrator);
    let sums = Sums::of(&state, &signed.caller, &filters).await?;
    Ok(frame::ok(&SumsPart { t: signed.frame.t, sums }))
}

/// The records of the list, all of them, as CSV.
pub(crate) async fn export(
    State(state): State<AppState>,
    signed: SignedIn,
    uri: Uri,
) -> Result<Response, Oops> {
    let filters = Filters::of(&Query::of(&uri), signed.frame.administrator);
    Ok(logs::as_csv(&state, &signed.caller, filters.scope(), &filters.query()?).await?)
}

/// A part of a charge.
struct ChargeLine {
    kind: String,
    quantity: String,
    price: String,
    cost: String,
}

#[derive(Template)]
#[template(path = "request.html")]
struct RequestPage {
    f: Frame,
    line: Line,
    record: UsageRecord,
    charge: Vec<ChargeLine>,
    ratio: String,
    /// The terms of service that are charged.
    terms: Vec<&'static str>,
    started: String,
    overrun: Option<String>,
    /// Whether the key is one of the reader's.
    is_own: bool,
    /// Who says how many tokens there were.
    provenance: &'static str,
}

/// A ratio as a number.
pub(crate) fn ratio(ratio: Ratio) -> String {
    let (whole, rest) = (ratio.0 / 1_000_000, format!("{:06}", ratio.0 % 1_000_000));
    let rest = rest.trim_end_matches('0');
    if rest.is_empty() { whole.to_string() } else { format!("{whole}.{rest}") }
}

/// How a charge is made up: each kind's quantity, its price for a million, and what they make before the ratio.
fn charge(t: &Messages, record: &UsageRecord) -> Vec<ChargeLine> {
    let Some(price) = &record.price else { return Vec::new() };
    let lines = price.lines(&record.tokens).into_iter();
    lines
        .filter(|(_, quantity, price)| *quantity > 0 && *price > 0)
        .map(|(kind, quantity, price)| ChargeLine {
            kind: t.kinds.name(kind),
            quantity: show::grouped(quantity.into()),
            price: show::dollars(i64::try_from(price).unwrap_or(i64::MAX)),
            cost: show::fine_dollars(i128::from(quantity).saturating_mul(price)),
        })
        .collect()
}

/// One request, explained.
pub(crate) async fn show(
    State(state): State<AppState>,
    signed: SignedIn,
    Segment(record): Segment,
) -> Result<Response, Oops> {
    let scope = if signed.frame.administrator { Scope::All } else { Scope::Own };
    let record = usage::get(&state.gateway, &signed.caller, scope, number(&record)?).await?;
    let page = RequestPage {
        line: Line::new(signed.frame.t, &record),
        charge: charge(signed.frame.t, &record),
        ratio: ratio(record.ratio),
        terms: record.tokens.parts.terms.each().map(model::price::Term::word).collect(),
        started: show::moment(record.started),
        overrun: (record.overrun.get() > 0).then(|| show::dollars(record.overrun.get())),
        is_own: record.account == signed.caller.account.id,
        provenance: signed.frame.t.lists.provenance(&record.provenance),
        record,
        f: signed.frame,
    };
    Ok(frame::ok(&page))
}
