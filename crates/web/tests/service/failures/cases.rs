//! The failures: what an upstream does, and what the gateway must make of it.

use std::{fmt::Write, time::Duration};

use serde_json::json;
use testkit::Act;

/// What the gateway makes of a failure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Made {
    /// Another channel is asked; where there is none, the caller gets this status, code and `retry-after`.
    MovesOn(u16, &'static str, Option<&'static str>),
    /// The caller gets this status.
    Answers(u16),
    /// The stream has begun and ends with this code; whether something was delivered, and is charged.
    Breaks(&'static str, bool),
    /// The stream is ended as if it had met its limit, at no more than its hold.
    IsEnded,
}

pub(super) struct Case {
    pub(super) name: String,
    /// `None` for an upstream that refuses connections.
    pub(super) acts: Option<Vec<Act>>,
    pub(super) made: Made,
}

fn case(name: &str, acts: impl Into<Vec<Act>>, made: Made) -> Case {
    Case { name: name.to_owned(), acts: Some(acts.into()), made }
}

const RESET: Made = Made::MovesOn(502, "upstream_error", None);
pub(super) const TIMEOUT: Made = Made::MovesOn(504, "upstream_timeout", None);

/// The head of an answer.
fn head(status: u16, kind: &str, more: &str) -> Act {
    Act::send(format!("HTTP/1.1 {status} Status\r\ncontent-type: {kind}\r\n{more}\r\n"))
}

fn status(status: u16, retry_after: Option<&str>) -> Vec<Act> {
    let body = json!({"error": {"message": "the upstream's words", "code": "scripted"}}).to_string();
    let mut more = format!("content-length: {}\r\n", body.len());
    if let Some(after) = retry_after {
        write!(more, "retry-after: {after}\r\n").unwrap();
    }
    vec![Act::Request, head(status, "application/json", &more), Act::send(body)]
}

/// Failures up to the head, the same for whole answers and streams.
pub(super) fn up_to_the_head() -> Vec<Case> {
    let refused = Case { name: "refused".to_owned(), acts: None, made: RESET };
    let half = || Act::send("HTTP/1.1 200 OK\r\ncontent-ty");
    let json = "application/json";
    let mut cases = vec![
        refused,
        case("reset at once", [Act::Reset], RESET),
        case("closed at once", [Act::Close], RESET),
        case("reset in the request", [Act::Read(10), Act::Reset], RESET),
        case("reset after the request", [Act::Request, Act::Reset], RESET),
        case("closed after the request", [Act::Request, Act::Close], RESET),
        case("reset in the head", [Act::Request, half(), Act::Reset], RESET),
        case("closed in the head", [Act::Request, half(), Act::Close], RESET),
        case("no HTTP", [Act::Request, Act::send("SSH-2.0-OpenSSH_9.9\r\n\r\n"), Act::Stall], RESET),
        case("a head without an end", [Act::Request, half(), endless("x", 0)], RESET),
        case("stall before the head", [Act::Request, Act::Stall], TIMEOUT),
        case("stall in the head", [Act::Request, half(), Act::Stall], TIMEOUT),
        case("a head that drips", [Act::Request, half(), endless("x", 20)], TIMEOUT),
        case("a redirect", [Act::Request, head(302, json, "location: /\r\ncontent-length: 0\r\n")], RESET),
        case("wrong content type", [Act::Request, head(200, "text/html", ""), endless("<b>", 0)], RESET),
        case(
            "gzip bomb",
            [
                Act::Request,
                head(200, json, "content-encoding: gzip\r\n"),
                Act::Send(vec![0x1f, 0x8b, 8, 0].into()),
                endless("\0\0\0\0", 0),
            ],
            RESET,
        ),
        case(
            "an error without an end",
            [Act::Request, head(500, json, ""), endless("x", 0)],
            Made::MovesOn(500, "upstream_error", None),
        ),
        case(
            "an error that drips",
            [Act::Request, head(503, json, "content-length: 9999\r\n"), endless("x", 20)],
            Made::MovesOn(503, "upstream_error", None),
        ),
    ];
    for number in [400, 404, 413, 422] {
        cases.push(case(&number.to_string(), status(number, None), Made::Answers(number)));
    }
    for number in [401, 402, 403, 408, 409, 429, 500, 501, 502, 503, 504, 529] {
        let made = Made::MovesOn(number, "scripted", None);
        cases.push(case(&number.to_string(), status(number, None), made));
    }
    let good = Made::MovesOn(429, "scripted", Some("7"));
    cases.push(case("429, again after 7", status(429, Some("7")), good));
    for absurd in ["-1", "soon", "99999999999999999999", "NaN", ""] {
        let made = Made::MovesOn(429, "scripted", None);
        cases.push(case(&format!("429, again after {absurd:?}"), status(429, Some(absurd)), made));
    }
    cases
}

fn endless(text: &str, millis: u64) -> Act {
    Act::Endless(text.repeat(if millis == 0 { 4096 } else { 1 }).into(), Duration::from_millis(millis))
}

/// Failures in the body of a whole answer. The caller has not had a byte of it.
pub(super) fn in_a_whole_body() -> Vec<Case> {
    let begin = |more: &str| {
        let mut acts = vec![Act::Request, head(200, "application/json", more)];
        acts.push(Act::send(r#"{"choices":[{"message":{"content":"w"#));
        acts
    };
    let with = |more: &str, act: Act| [begin(more), vec![act]].concat();
    let sized = "content-length: 9999\r\n";
    let complete = |body: &str| {
        let more = format!("content-length: {}\r\n", body.len());
        vec![Act::Request, head(200, "application/json", &more), Act::send(body)]
    };
    let error = r#"{"error":{"message":"overloaded","code":"busy"}}"#;
    vec![
        case("reset in the body", with(sized, Act::Reset), RESET),
        case("a truncated body", with(sized, Act::Close), RESET),
        case("a truncated body without a length", with("", Act::Close), RESET),
        case("a stall in the body", with(sized, Act::Stall), TIMEOUT),
        case("a body without an end", with("", endless("x", 0)), RESET),
        case("a body that drips", with("", endless("x", 20)), TIMEOUT),
        case("broken chunks", with("transfer-encoding: chunked\r\n", endless("x", 0)), RESET),
        case("no JSON", complete("<html>an answer</html>"), RESET),
        case("an empty body", complete(""), RESET),
        case("an error as an answer", complete(error), Made::MovesOn(502, "busy", None)),
    ]
}

/// Failures of a stream whose head has gone to the caller.
pub(super) fn in_a_stream() -> Vec<Case> {
    let chunk = r#"{"id":"c","choices":[{"index":0,"delta":{"content":"word"},"finish_reason":null}]}"#;
    let event = format!("data: {chunk}\n\n");
    let end = |more: &str, text: &str, act: Act| {
        let mut acts = vec![Act::Request, head(200, "text/event-stream", more)];
        acts.extend((!text.is_empty()).then(|| Act::send(text)));
        acts.push(act);
        acts
    };
    let sized = "content-length: 99999999\r\n";
    let two = event.repeat(2);
    let [error, timeout] = ["upstream_error", "upstream_timeout"];
    vec![
        case("reset before an event", end(sized, "", Act::Reset), Made::Breaks(error, false)),
        case("reset after two events", end(sized, &two, Act::Reset), Made::Breaks(error, true)),
        case("truncated before an event", end(sized, "", Act::Close), Made::Breaks(error, false)),
        case("truncated after two events", end(sized, &two, Act::Close), Made::Breaks(error, true)),
        case("no end mark", end("", &two, Act::Close), Made::Breaks(error, true)),
        case("a stall before an event", end(sized, "", Act::Stall), Made::Breaks(timeout, false)),
        case("a stall after two events", end(sized, &two, Act::Stall), Made::Breaks(timeout, true)),
        case("an event without an end", end("", "data: ", endless("x", 0)), Made::Breaks(error, false)),
        case("comments for ever", end("", "", endless(": wait\n\n", 20)), Made::Breaks(timeout, false)),
        case("events without an end", end("", "", endless(&event, 0)), Made::IsEnded),
        case(
            "broken chunks",
            end("transfer-encoding: chunked\r\n", "", endless("x", 0)),
            Made::Breaks(error, false),
        ),
        case(
            "an error as an event",
            end(sized, &format!("{event}data: {{\"error\":{{\"code\":\"busy\"}}}}\n\n"), Act::Stall),
            Made::Breaks("busy", true),
        ),
    ]
}
