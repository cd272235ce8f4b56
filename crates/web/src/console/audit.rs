//! The audit record, for administrators.

use askama::Template;
use axum::{extract::State, response::Response};
use gateway::{AuditFilter, AuditRecord, audit};
use http::Uri;

use super::{
    frame::{self, Frame},
    oops::Oops,
    page::{Pager, Query},
    show,
    visitor::SignedIn,
};
use crate::routes::AppState;

/// The kinds of things that are recorded.
const OBJECTS: [&str; 12] = [
    "account",
    "api_key",
    "channel",
    "credential",
    "group",
    "invitation",
    "model",
    "passkey",
    "password",
    "price",
    "second_factor",
    "suspense",
];

struct Line {
    at: String,
    actor: String,
    action: String,
    object: String,
    object_id: String,
    changes: Vec<(String, String, String)>,
}

impl Line {
    /// Whether what has changed is folded: a new price has two dozen members.
    fn is_long(&self) -> bool {
        self.changes.len() > 3
    }
}

#[derive(Template)]
#[template(path = "audit.html")]
struct ListPage {
    f: Frame,
    object: String,
    objects: [&'static str; 12],
    lines: Vec<Line>,
    pager: Pager,
}

/// The members that differ, as (name, before, after).
fn changes(record: &AuditRecord) -> Vec<(String, String, String)> {
    let before = record.before.as_ref().and_then(|state| state.as_object());
    let after = record.after.as_ref().and_then(|state| state.as_object());
    let text = |state: Option<&serde_json::Map<String, serde_json::Value>>, name: &str| {
        let value = state.and_then(|state| state.get(name));
        value.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).unwrap_or_default()
    };
    let names = before.into_iter().chain(after).flat_map(|state| state.keys());
    let mut seen: Vec<&String> = Vec::new();
    let mut changes = Vec::new();
    for name in names {
        let (old, new) = (text(before, name), text(after, name));
        if !seen.contains(&name) && old != new {
            changes.push((name.clone(), old, new));
        }
        seen.push(name);
    }
    changes
}

/// Recorded changes, newest first.
pub(crate) async fn list(
    State(state): State<AppState>,
    signed: SignedIn,
    uri: Uri,
) -> Result<Response, Oops> {
    let query = Query::of(&uri);
    let page = query.page();
    let object = query.text("object").to_owned();
    let filter = AuditFilter { object: query.given("object"), ..AuditFilter::default() };
    let (records, total) = audit::list(&state.gateway, &signed.caller, &filter, page).await?;
    let pager = Pager::new("/console/audit", &[("object", &object)], page, total);
    let line = |record: AuditRecord| Line {
        changes: changes(&record),
        at: show::moment(record.at),
        actor: record.actor.name.to_string(),
        action: record.action,
        object: record.object,
        object_id: record.object_id,
    };
    let lines = records.into_iter().map(line).collect();
    Ok(frame::ok(&ListPage { f: signed.frame, object, objects: OBJECTS, lines, pager }))
}
