//! Which of the reader's keys need attention, and why.

use std::collections::BTreeMap;

use gateway::{
    Failure, Gateway, KeyFilter, KeyOrder, KeyView, Page,
    access::Caller,
    keys, models,
    usage::{self, UsageQuery},
};
use model::{calendar::DAY_MILLIS, clock::Timestamp, id::KeyId, key::Status, money::Units};

use super::{
    keys::{Row, row},
    messages::Messages,
};

/// Keys that are shown.
const SHOWN: usize = 8;
/// Keys that are looked at for each reason.
const LOOKED_AT: i64 = 50;
/// A key that ends within a week needs attention.
const SOON: i64 = 7 * DAY_MILLIS;
/// Failures that are looked at: the newest of a day.
const FAILURES: i64 = 100;
/// So many of them are often.
const OFTEN: usize = 5;
/// The kind of usage records that failed.
const FAILED: i64 = 5;

/// A key, and why it is here.
pub(crate) struct Attention {
    pub(crate) row: Row,
    pub(crate) why: Vec<&'static str>,
}

fn filter(status: Status, order: KeyOrder) -> KeyFilter {
    KeyFilter { status: Some(status), order, ..KeyFilter::default() }
}

/// What is known of a key beside itself.
struct Seen {
    status: Status,
    /// How often requests of it have failed in the last day.
    refused: usize,
    /// What a request of it holds at least that asks for no shorter answer than is worth sending.
    least: Option<Units>,
}

/// What is to be said of a key.
fn why(t: &Messages, view: &KeyView, seen: Seen, now: Timestamp) -> Vec<&'static str> {
    let Seen { status, refused, least } = seen;
    let (left, used) = (view.remaining.get(), view.used.get());
    let is_limited = status == Status::Enabled && !view.key.settings.unlimited_quota;
    // It is not used up, and hardly ever will be: whoever does not ask for a handful of tokens is refused.
    let is_stuck = is_limited && least.is_some_and(|least| view.remaining < least);
    let ends = view.key.settings.expires.map(|end| end.millis_since(now));
    let reasons = [
        (status == Status::Exhausted, t.why_exhausted),
        (is_stuck, t.lists.why_stuck),
        (is_limited && !is_stuck && left < left.saturating_add(used) / 10, t.why_nearly),
        (status == Status::Expired && ends.is_some_and(|since| since > -SOON), t.why_ended),
        (status == Status::Enabled && ends.is_some_and(|left| left < SOON), t.why_soon),
        (status != Status::Disabled && refused >= OFTEN, t.why_refused),
    ];
    reasons.into_iter().filter(|(holds, _)| *holds).map(|(_, text)| text).collect()
}

/// How often requests of each key have failed in the last day.
async fn failures(gateway: &Gateway, caller: &Caller) -> Result<BTreeMap<KeyId, usize>, Failure> {
    let since = gateway.now().millis().saturating_sub(DAY_MILLIS);
    let from = Some(Timestamp::from_millis(since).secs());
    let query = UsageQuery { kind: Some(FAILED), from, ..UsageQuery::default() };
    let records = usage::latest(gateway, caller, &query, FAILURES).await?;
    let mut counts = BTreeMap::new();
    for record in records {
        *counts.entry(record.key).or_default() += 1;
    }
    Ok(counts)
}

/// The keys that need attention: those that are used up or nearly, or cover no usual request, those that end, those that are refused.
pub(crate) async fn find(
    gateway: &Gateway,
    caller: &Caller,
    t: &Messages,
) -> Result<Vec<Attention>, Failure> {
    let page = Page { number: 1, size: LOOKED_AT };
    let failures = failures(gateway, caller).await?;
    let mut seen: BTreeMap<KeyId, KeyView> = BTreeMap::new();
    // The order by remainder is that of making where there are too many keys for it.
    for wanted in [
        filter(Status::Enabled, KeyOrder::Expires),
        filter(Status::Enabled, KeyOrder::Remaining),
        filter(Status::Exhausted, KeyOrder::Created),
        KeyFilter { descending: true, ..filter(Status::Expired, KeyOrder::Expires) },
    ] {
        let found = keys::find(gateway, caller, &wanted, page).await?;
        seen.extend(found.keys.into_iter().map(|view| (view.key.id, view)));
    }
    for id in failures.iter().filter(|(_, count)| **count >= OFTEN).map(|(id, _)| *id) {
        match keys::get(gateway, caller, id).await {
            Ok(view) => _ = seen.insert(id, view),
            // It was deleted since.
            Err(Failure::NotFound(_)) => {}
            Err(failure) => return Err(failure),
        }
    }
    let now = gateway.now();
    let shown = seen.values().rev().map(|view| {
        let seen = Seen {
            status: keys::status_now(gateway, view),
            refused: failures.get(&view.key.id).copied().unwrap_or(0),
            least: models::least(gateway, &caller.account, &view.key.settings),
        };
        (view, why(t, view, seen, now))
    });
    let shown = shown.filter(|(_, why)| !why.is_empty()).take(SHOWN);
    Ok(shown.map(|(view, why)| Attention { row: row(gateway, t, view), why }).collect())
}
