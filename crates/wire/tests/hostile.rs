//! What callers and upstreams may send who mean harm, or whose bytes were damaged: nothing panics, what comes out is
//! bounded by what goes in, and so is the time.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail by panicking"
)]

mod arbitrary;

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use arbitrary::{arbitrary, dialect};
use bytes::Bytes;
use model::usage::Tokens;
use proptest::prelude::*;
use wire::{
    convert::{self, Caller, Target},
    dialect::Dialect,
    google::array,
    openai::{upstream_error, usage::Reported},
    passage::{Framing, Passage},
    request::{
        self, Format,
        edit::{Edits, edit},
    },
    sse::{self, MAX_EVENT},
};

const FORMATS: [Format; 6] =
    [Format::Chat, Format::Completions, Format::Responses, Format::Messages, Format::Google, Format::Plain];

/// The golden inputs of a folder.
fn fixtures(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// One damage: where, as a share of the whole, and what.
#[derive(Clone, Debug)]
enum Damage {
    Flip(u8),
    Cut(usize),
    Repeat(usize),
    Insert(&'static [u8]),
}

fn damage() -> impl Strategy<Value = (prop::sample::Index, Damage)> {
    let words: Vec<&[u8]> = vec![
        b"null",
        b"{}",
        b"[]",
        b"-1",
        b"1e999",
        b"18446744073709551616",
        b"\"\\ud800\"",
        b"\"",
        b"\\",
        b",",
        b":",
        b"{",
        b"[",
        b"}",
        b"]",
        b"\n\n",
        b"\r",
        b"data: ",
        b"event: error\n",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\0",
        b"true",
        b"\"model\":\"x\",",
    ];
    let kind = prop_oneof![
        any::<u8>().prop_map(Damage::Flip),
        (1_usize..200).prop_map(Damage::Cut),
        (1_usize..200).prop_map(Damage::Repeat),
        prop::sample::select(words).prop_map(Damage::Insert),
    ];
    (any::<prop::sample::Index>(), kind)
}

/// A golden input with a few damages.
fn damaged(folder: &str) -> impl Strategy<Value = Vec<u8>> {
    let inputs = prop::sample::select(fixtures(folder));
    (inputs, prop::collection::vec(damage(), 0..6)).prop_map(|(mut bytes, damages)| {
        for (at, damage) in damages {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            let end = |length: usize| (at + length).min(bytes.len());
            match damage {
                Damage::Flip(mask) => bytes[at] ^= mask,
                Damage::Cut(length) => drop(bytes.drain(at..end(length))),
                Damage::Repeat(length) => {
                    let again = bytes[at..end(length)].to_vec();
                    bytes.splice(at..at, again);
                }
                Damage::Insert(word) => drop(bytes.splice(at..at, word.iter().copied())),
            }
        }
        bytes
    })
}

fn target(dialect: Dialect) -> Target<'static> {
    Target { dialect, model: "m", stream: false, default_output_limit: 4096, affordable_output: Some(7) }
}

fn caller(dialect: Dialect, sse: bool) -> Caller {
    Caller { dialect, model: "m".to_owned(), now: 1, include_usage: true, input_tokens: 1, sse }
}

/// What comes out of `bytes` is at most this long: a name may grow, and a word may become an event.
fn bound(bytes: usize) -> usize {
    64 * bytes + 16_384
}

/// Every reader of a request, and what is made of it.
fn read_request(body: &[u8]) {
    for format in FORMATS {
        let Ok(scan) = request::scan(format, None, body) else { continue };
        let edits =
            Edits { model: Some("another"), output_limit: Some(7), max_tokens: true, ask_usage: true };
        let edited = edit(&Bytes::copy_from_slice(body), &scan, edits);
        let again = request::scan(format, None, &edited)
            .unwrap_or_else(|error| panic!("{format:?}: {error}: {}", String::from_utf8_lossy(&edited)));
        assert_eq!(again.model, "another", "{format:?}");
        if format != Format::Plain {
            assert_eq!(again.output_limit, Some(7), "{format:?}: {}", String::from_utf8_lossy(&edited));
        }
        assert!(again.include_usage, "{format:?}");
        assert!(scan.input_bound(None) > 0);
    }
    for from in Dialect::ALL {
        for to in Dialect::ALL {
            if let Ok(converted) = convert::request(body, from, target(to)) {
                assert!(converted.body.len() <= bound(body.len()), "{from:?} to {to:?}");
            }
        }
    }
}

/// Every reader of an answer or of an error.
fn read_answer(body: &[u8]) {
    assert!(upstream_error::read(500, body).message.len() <= bound(body.len()));
    for from in Dialect::ALL {
        let read = wire::whole::answer(from, body);
        if let Reported::Good(tokens) = read.reported {
            assert!(tokens.reasoning <= tokens.output);
        }
        for to in Dialect::ALL {
            if let Ok(answered) = convert::answer(body, from, &caller(to, true)) {
                assert!(answered.body.len() <= bound(body.len()), "{from:?} to {to:?}");
            }
        }
    }
}

/// The events of a stream that comes in chunks of these sizes, or `None` where one is too long.
fn events(bytes: &[u8], of_events: bool, sizes: &[usize]) -> Option<Vec<Bytes>> {
    let (mut sse, mut array) = (sse::Splitter::default(), array::Splitter::default());
    let (mut found, mut rest, mut sizes) = (Vec::new(), bytes, sizes.iter().copied().cycle());
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(sizes.next().unwrap_or(rest.len()).clamp(1, rest.len()));
        rest = after;
        if of_events {
            sse.push(Bytes::copy_from_slice(chunk))
        } else {
            array.push(chunk)
        }
        while let Some(event) = if of_events { sse.next_event() } else { array.next_piece() }.ok()? {
            found.push(event);
        }
    }
    found.extend(if of_events { sse.finish() } else { array.finish() });
    Some(found)
}

/// What the caller gets of a stream.
fn passed(mut passage: Passage, bytes: &[u8], sizes: &[usize]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for event in events(bytes, passage.framing() == Framing::Events, sizes)? {
        let pass = passage.event(event);
        out.extend(pass.bytes.unwrap_or_default());
        if pass.done || pass.error {
            return Some(out);
        }
    }
    out.extend(passage.end().bytes.unwrap_or_default());
    out.extend(passage.stop(Tokens::default()));
    Some(out)
}

/// Every way of a stream, however it is cut.
fn read_stream(bytes: &[u8], sizes: &[usize]) {
    for of_events in [true, false] {
        let whole = events(bytes, of_events, &[]);
        assert_eq!(whole, events(bytes, of_events, sizes));
        assert!(whole.is_none_or(|whole| whole.concat() == bytes));
    }
    for from in Dialect::ALL {
        for sse in [true, false] {
            let native = || Passage::native(from, "m", true, sse || from != Dialect::Google);
            assert_eq!(passed(native(), bytes, &[]), passed(native(), bytes, sizes), "{from:?}");
            for to in Dialect::ALL {
                let converted = || Passage::converted(from, caller(to, sse));
                let whole = passed(converted(), bytes, &[]);
                assert!(
                    whole.as_ref().is_none_or(|out| out.len() <= bound(bytes.len())),
                    "{from:?} to {to:?}"
                );
                assert_eq!(whole, passed(converted(), bytes, sizes), "{from:?} to {to:?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn a_damaged_request_is_read_or_refused(body in damaged("request")) {
        read_request(&body);
    }

    #[test]
    fn a_damaged_answer_is_read_or_refused(body in damaged("answer")) {
        read_answer(&body);
    }

    #[test]
    fn a_damaged_stream_is_the_same_however_it_is_cut(
        bytes in damaged("stream"), sizes in prop::collection::vec(1_usize..90, 1..5),
    ) {
        read_stream(&bytes, &sizes);
    }

    #[test]
    fn any_value_is_read_or_refused(body in arbitrary(), format in dialect()) {
        let text = body.to_string();
        read_answer(text.as_bytes());
        let body = serde_json::json!({"model": "m", "messages": body, "max_tokens": body, "stream_options": body, "n": body});
        read_request(body.to_string().as_bytes());
        let event = format!("data: {text}\n\n");
        read_stream(event.as_bytes(), &[format.name().len()]);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read_request(&bytes);
        read_answer(&bytes);
        read_stream(&bytes, &[3]);
    }
}

/// What grows without an end: anything that is looked through again for each of its pieces would take minutes.
#[test]
fn what_is_long_takes_no_longer_than_its_length() {
    const LENGTH: usize = 64 << 10;
    let repeated = |head: &str, piece: &str, tail: &str| {
        let count = LENGTH / piece.len();
        format!("{head}{}{tail}", piece.repeat(count))
    };
    let cases = [
        repeated("", "[", ""),
        repeated("", "{\"a\":", ""),
        repeated("", "\n", ""),
        repeated("", "\r", ""),
        repeated("data: ", "1", "\n\n"),
        repeated("", "data:\n", "\n"),
        repeated("\"", "\\\\", "\""),
        repeated("{\"model\":\"", "m", "\"}"),
        repeated("{\"model\":\"m\",\"messages\":[", "{\"role\":\"user\",\"content\":\"a\"},", "{}]}"),
        repeated(
            "{\"model\":\"m\",\"messages\":[",
            "{\"role\":\"tool\",\"tool_call_id\":\"c\",\"content\":\"a\"},",
            "{}]}",
        ),
        repeated("{\"contents\":[{\"parts\":[", "{\"functionCall\":{\"name\":\"f\"}},", "{}]}]}"),
        repeated("", "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n", ""),
        repeated(
            "",
            "data: {\"type\":\"content_block_start\",\"content_block\":{\"type\":\"tool_use\"}}\n\n",
            "",
        ),
        repeated("[", "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]},", ""),
    ];
    for case in cases {
        let begun = Instant::now();
        read_request(case.as_bytes());
        read_answer(case.as_bytes());
        read_stream(case.as_bytes(), &[1024]);
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(30), "{took:?}: {}…", &case[..case.len().min(80)]);
    }
}

#[test]
fn an_event_without_an_end_is_refused_in_time() {
    for of_events in [true, false] {
        let endless = vec![b'{'; MAX_EVENT + 2];
        assert_eq!(events(&endless, of_events, &[4096]), None);
        assert!(events(&endless[..MAX_EVENT], of_events, &[4096]).is_some());
    }
}
