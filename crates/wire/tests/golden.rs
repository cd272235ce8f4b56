//! Inputs of every dialect, and what they are in every other, as snapshots.
//!
//! `golden/request`, `golden/answer` and `golden/stream` hold the inputs, named `<case>.<dialect>.<json or sse>`.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::{fmt::Write, fs, path::Path};

use bytes::Bytes;
use model::usage::Tokens;
use serde_json::Value;
use wire::{
    convert::{self, Caller, Converter, Target},
    dialect::Dialect,
    sse::Splitter,
};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");

fn word(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Chat => "chat",
        Dialect::Responses => "responses",
        Dialect::Messages => "messages",
        Dialect::Google => "google",
    }
}

fn upstream_model(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Chat | Dialect::Responses => "gpt-5.1",
        Dialect::Messages => "claude-sonnet-4-5",
        Dialect::Google => "gemini-2.5-pro",
    }
}

fn caller(dialect: Dialect) -> Caller {
    Caller {
        dialect,
        model: "asked".to_owned(),
        now: 1_700_000_001,
        include_usage: true,
        input_tokens: 77,
        sse: true,
    }
}

fn target(dialect: Dialect, stream: bool) -> Target<'static> {
    Target {
        dialect,
        model: upstream_model(dialect),
        stream,
        default_output_limit: 32_000,
        affordable_output: None,
    }
}

/// Every input of a kind: its case, its dialect and its bytes.
fn inputs(kind: &str) -> Vec<(String, Dialect, Vec<u8>)> {
    let mut inputs = Vec::new();
    for entry in fs::read_dir(Path::new(GOLDEN).join(kind)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let (case, dialect) = name.split_once('.').unwrap();
        let dialect = Dialect::ALL.into_iter().find(|one| word(*one) == dialect).unwrap();
        inputs.push((case.to_owned(), dialect, fs::read(&path).unwrap()));
    }
    assert!(!inputs.is_empty());
    inputs
}

fn snapshot(kind: &str, case: &str, from: Dialect, to: Dialect, text: &str) {
    insta::with_settings!({snapshot_path => "golden/expected", prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(format!("{kind}-{case}-{}-as-{}", word(from), word(to)), text);
    });
}

fn pretty(body: &[u8]) -> String {
    serde_json::to_string_pretty(&serde_json::from_slice::<Value>(body).unwrap()).unwrap()
}

/// The other dialects.
fn others(from: Dialect) -> impl Iterator<Item = Dialect> {
    Dialect::ALL.into_iter().filter(move |to| *to != from)
}

#[test]
fn requests() {
    for (case, from, body) in inputs("request") {
        let stream = serde_json::from_slice::<Value>(&body).unwrap()["stream"] == true;
        for to in others(from) {
            let text = match convert::request(&body, from, target(to, stream)) {
                Ok(converted) => format!("dropped: {:?}\n{}", converted.dropped, pretty(&converted.body)),
                Err(error) => format!("refused: {error}"),
            };
            snapshot("request", &case, from, to, &text);
        }
    }
}

#[test]
fn answers() {
    for (case, from, body) in inputs("answer") {
        for to in others(from) {
            let text = match convert::answer(&body, from, &caller(to)) {
                Ok(answered) => format!("{:?}\n{}", answered.report, pretty(&answered.body)),
                Err(error) => format!("no answer: {error}"),
            };
            snapshot("answer", &case, from, to, &text);
        }
    }
}

/// What a caller gets of a stream that comes in these pieces.
fn converted<'a>(converter: &mut Converter, pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
    let (mut splitter, mut out) = (Splitter::default(), Vec::new());
    for piece in pieces {
        splitter.push(Bytes::copy_from_slice(piece));
        while let Some(event) = splitter.next_event().unwrap() {
            out.extend(converter.event(&event));
        }
    }
    if let Some(rest) = splitter.finish() {
        out.extend(converter.event(&rest));
    }
    out.extend(converter.end());
    String::from_utf8(out).unwrap()
}

#[test]
fn streams() {
    for (case, from, stream) in inputs("stream") {
        for to in others(from) {
            let mut converter = Converter::new(from, caller(to));
            let mut text = converted(&mut converter, [stream.as_slice()]);
            write!(text, "report: {:?}\ndelivered: {}", converter.report(), converter.delivered()).unwrap();
            snapshot("stream", &case, from, to, &text);
        }
    }
}

#[test]
fn a_stream_gives_the_same_however_it_is_cut() {
    for (case, from, stream) in inputs("stream") {
        for to in Dialect::ALL {
            let whole = converted(&mut Converter::new(from, caller(to)), [stream.as_slice()]);
            for size in [1, 2, 7, 61] {
                let cut = converted(&mut Converter::new(from, caller(to)), stream.chunks(size));
                assert_eq!(cut, whole, "{case}, {from:?} as {to:?}, in pieces of {size}");
            }
        }
    }
}

#[test]
fn a_stream_that_is_stopped_ends_as_if_at_its_limit() {
    for (case, from, stream) in inputs("stream") {
        if case != "tools" {
            continue;
        }
        for to in Dialect::ALL {
            let mut splitter = Splitter::default();
            splitter.push(Bytes::copy_from_slice(&stream));
            let (mut converter, mut out) = (Converter::new(from, caller(to)), Vec::new());
            for _ in 0..5 {
                let event = splitter.next_event().unwrap().unwrap();
                out.extend(converter.event(&event));
            }
            out.extend(converter.stop(Tokens { input: 5, output: 4, ..Tokens::default() }));
            assert!(converter.is_over() && !converter.has_failed());
            assert!(converter.end().is_empty());
            snapshot("stopped", &case, from, to, &String::from_utf8(out).unwrap());
        }
    }
}
