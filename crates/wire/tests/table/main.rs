//! The table of docs/dialects.md: what becomes of each member on its way into each other dialect, found out by asking.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail by panicking"
)]

mod chat;
mod google;
mod messages;
mod responses;

use std::fmt::Write;

use serde_json::{Value, json};
use wire::{
    convert::{self, ConvertError, Target},
    dialect::Dialect,
};

const DOCUMENT: &str = include_str!("../../../../docs/dialects.md");
const BEGIN: &str = "<!-- the table begins -->\n";
const END: &str = "<!-- the table ends -->\n";

/// The least that a request must say.
fn base(dialect: Dialect) -> Value {
    match dialect {
        Dialect::Chat => json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]}),
        Dialect::Responses => json!({"model": "m", "input": "Hi"}),
        Dialect::Messages => {
            json!({"model": "m", "max_tokens": 4096, "messages": [{"role": "user", "content": "Hi"}]})
        }
        Dialect::Google => json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}),
    }
}

/// Each member with a request that says it, as members that replace those of the least request.
fn probes(dialect: Dialect) -> Vec<(&'static str, Value)> {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    match dialect {
        Dialect::Chat => chat::probes(&schema),
        Dialect::Responses => responses::probes(&schema),
        Dialect::Messages => messages::probes(&schema),
        Dialect::Google => google::probes(&schema),
    }
}

/// What becomes of a request.
fn outcome(from: Dialect, to: Dialect, probe: &Value) -> String {
    let mut body = base(from);
    for (name, value) in probe.as_object().unwrap() {
        body[name] = value.clone();
    }
    let target = Target {
        dialect: to,
        model: "m",
        stream: false,
        default_output_limit: 4096,
        affordable_output: None,
    };
    match convert::request(body.to_string().as_bytes(), from, target) {
        Ok(converted) if converted.dropped.is_empty() => "carried".to_owned(),
        Ok(_) => "left out".to_owned(),
        Err(ConvertError::Uncarried(_)) => "**refused**".to_owned(),
        Err(error) => panic!("{from:?} to {to:?}: {body}: {error}"),
    }
}

fn table() -> String {
    let mut table = String::new();
    for from in Dialect::ALL {
        let others = || Dialect::ALL.into_iter().filter(|to| *to != from);
        let names: Vec<&str> = others().map(Dialect::name).collect();
        writeln!(table, "\n### From {}\n\n| member | to {} |", from.name(), names.join(" | to ")).unwrap();
        writeln!(table, "|---|---|---|---|").unwrap();
        for (member, probe) in probes(from) {
            let outcomes: Vec<String> = others().map(|to| outcome(from, to, &probe)).collect();
            writeln!(table, "| {member} | {} |", outcomes.join(" | ")).unwrap();
        }
    }
    table.push('\n');
    table
}

#[test]
fn the_document_says_what_the_converters_do() {
    let (before, rest) = DOCUMENT.split_once(BEGIN).unwrap();
    let (documented, after) = rest.split_once(END).unwrap();
    let table = table();
    if documented != table {
        let path = concat!(env!("CARGO_TARGET_TMPDIR"), "/dialects.md");
        std::fs::write(path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        panic!("docs/dialects.md is not what the converters do; what it should be is in {path}");
    }
}

#[test]
fn what_is_refused_is_named() {
    for from in Dialect::ALL {
        for to in Dialect::ALL {
            let mut body = base(from);
            body["never_heard_of"] = json!({"a": 1});
            body["null_says_nothing"] = Value::Null;
            let target = Target {
                dialect: to,
                model: "m",
                stream: false,
                default_output_limit: 4096,
                affordable_output: None,
            };
            let refused = convert::request(body.to_string().as_bytes(), from, target);
            assert_eq!(refused, Err(ConvertError::Uncarried(vec!["never_heard_of".to_owned()])));
        }
    }
}
