//! The ledger and the node, for administrators: how the books stand, and how large everything is.

use std::collections::BTreeSet;

use askama::Template;
use axum::{extract::State, response::Response};
use gateway::{
    groups,
    system::{self, Books},
};
use model::clock::Timestamp;

use super::{
    form::Form,
    frame::{self, Frame, go},
    oops::Oops,
    show,
    visitor::SignedIn,
};
use crate::routes::AppState;

/// A proof as it is shown.
struct ProofLine {
    ended: String,
    took_ms: i64,
    found: Option<usize>,
    /// The pool, if it is about one, and what is wrong.
    named: Vec<(Option<i64>, String)>,
}

#[derive(Template)]
#[template(path = "ledger.html")]
struct LedgerPage {
    f: Frame,
    books: Books,
    overrun: String,
    proving_since: Option<String>,
    last: Option<ProofLine>,
}

/// How the books stand.
pub(crate) async fn show(State(state): State<AppState>, signed: SignedIn) -> Result<Response, Oops> {
    let books = system::books(&state.gateway, &signed.caller)?;
    let line = |proof: &gateway::Proof| ProofLine {
        ended: show::moment(proof.ended),
        took_ms: proof.ended.millis_since(proof.began),
        found: proof.found,
        named: proof.named.iter().map(|one| (one.pool, one.what.clone())).collect(),
    };
    let page = LedgerPage {
        overrun: show::dollars(i64::try_from(books.overrun).unwrap_or(i64::MAX)),
        proving_since: books.proving_since.map(show::moment),
        last: books.last.as_ref().map(line),
        books,
        f: signed.frame,
    };
    Ok(frame::ok(&page))
}

/// Proves the books; it goes on when the page is left.
pub(crate) async fn prove(
    State(state): State<AppState>,
    signed: SignedIn,
    _: Form,
) -> Result<Response, Oops> {
    system::prove(&state.gateway, &signed.caller)?;
    Ok(go("/console/ledger"))
}

#[derive(Template)]
#[template(path = "system.html")]
struct SystemPage {
    f: Frame,
    version: &'static str,
    node: String,
    started: String,
    uptime: String,
    memory: Option<String>,
    database: String,
    journal: Option<String>,
    answered: String,
    failed: String,
    channels: usize,
    models: usize,
}

/// A size for people.
fn bytes(number: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let found = units.into_iter().find(|(unit, _)| number >= *unit);
    found.map_or_else(
        || format!("{number} B"),
        |(unit, name)| format!("{}.{} {name}", number / unit, number % unit * 10 / unit),
    )
}

/// A time for people, in days, hours and minutes.
fn span(from: Timestamp, to: Timestamp) -> String {
    let minutes = to.millis_since(from) / 60_000;
    let (days, hours, minutes) = (minutes / 1_440, minutes / 60 % 24, minutes % 60);
    match days {
        0 if hours == 0 => format!("{minutes} min"),
        0 => format!("{hours} h {minutes} min"),
        days => format!("{days} d {hours} h {minutes} min"),
    }
}

/// The node.
pub(crate) async fn system(State(state): State<AppState>, signed: SignedIn) -> Result<Response, Oops> {
    let found = system::system(&state.gateway, &signed.caller).await?;
    let routing = state.gateway.routing();
    let groups = groups::list(&state.gateway, &signed.caller).await?;
    let served: BTreeSet<&str> = groups.iter().flat_map(|group| routing.models(&group.name)).collect();
    let (answered, failed) = found.requests;
    let page = SystemPage {
        version: env!("CARGO_PKG_VERSION"),
        node: found.journal.to_string(),
        started: show::moment(found.started),
        uptime: span(found.started, state.gateway.now()),
        memory: found.memory_bytes.map(bytes),
        database: bytes(found.database_bytes.unsigned_abs()),
        journal: found.journal_bytes.map(bytes),
        answered: show::grouped(answered.into()),
        failed: show::grouped(failed.into()),
        channels: routing.channels().len(),
        models: served.len(),
        f: signed.frame,
    };
    Ok(frame::ok(&page))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_spans_are_for_people() {
        for (number, text) in [(0, "0 B"), (1_023, "1023 B"), (1_536, "1.5 KiB"), (5 << 30, "5.0 GiB")] {
            assert_eq!(bytes(number), text);
        }
        let at = |minutes: i64| Timestamp::from_secs(minutes * 60);
        assert_eq!(span(at(0), at(61)), "1 h 1 min");
        assert_eq!(span(at(0), at(1_500)), "1 d 1 h 0 min");
    }
}
