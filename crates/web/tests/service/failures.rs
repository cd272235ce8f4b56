//! Every way in which an upstream can fail: the right next step, the right answer, always settled, charged by the group
//! that served.

use std::{fmt::Write, sync::Arc, time::Duration};

use model::{id::AccountId, key::Settings as KeySettings, money::Units};
use serde_json::{Value, json};
use testkit::{Act, Raw, Script};
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet};

use crate::app::{App, now, question};

/// Longest pause and longest wait for a head in cases that stall; long enough for the healthy upstream on a busy machine.
const PATIENCE: Duration = Duration::from_secs(8);

/// What a healthy upstream's answer costs at a ratio of 1: three words in, ten words out.
const COST: i64 = 13;
/// The ratio of the group whose channel fails, and that of the next.
const NEAR: i64 = 2;
const FAR: i64 = 5;

/// What the gateway makes of a failure.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Made {
    /// Another channel is asked; where there is none, the caller gets this status, code and `retry-after`.
    MovesOn(u16, &'static str, Option<&'static str>),
    /// The caller gets this status.
    Answers(u16),
    /// The stream has begun and ends with this code; whether something was delivered, and is charged.
    Breaks(&'static str, bool),
    /// The stream is ended as if it had met its limit, at no more than its hold.
    IsEnded,
}

struct Case {
    name: String,
    /// `None` for an upstream that refuses connections.
    acts: Option<Vec<Act>>,
    made: Made,
}

fn case(name: &str, acts: impl Into<Vec<Act>>, made: Made) -> Case {
    Case { name: name.to_owned(), acts: Some(acts.into()), made }
}

const RESET: Made = Made::MovesOn(502, "upstream_error", None);
const TIMEOUT: Made = Made::MovesOn(504, "upstream_timeout", None);

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
fn up_to_the_head() -> Vec<Case> {
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
fn in_a_whole_body() -> Vec<Case> {
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
fn in_a_stream() -> Vec<Case> {
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

/// One request's circumstances.
#[derive(Clone, Copy, Debug)]
struct Way {
    /// Whether the failing channel's group has another.
    several: bool,
    /// Whether the key goes on to the next group.
    cross: bool,
    /// Whether the caller leaves while the upstream fails.
    leaves: bool,
}

const WAYS: [Way; 8] = {
    let mut ways = [Way { several: false, cross: false, leaves: false }; 8];
    let mut bits = 0;
    while bits < 8 {
        ways[bits] = Way { several: bits & 1 > 0, cross: bits & 2 > 0, leaves: bits & 4 > 0 };
        bits += 1;
    }
    ways
};

/// A service with a failing channel of its own for each way: a failure is remembered.
struct World {
    app: App,
    raw: Option<Raw>,
}

async fn done(app: &App, method: &str, path: &str, body: Value) {
    let reply = app.manage(method, path, Some(body)).await;
    assert_eq!(reply.json()["success"], true, "{path}: {}", reply.text());
}

async fn world(case: &Case, stream: bool) -> World {
    let stalls = matches!(case.made, TIMEOUT | Made::Breaks("upstream_timeout", _));
    let stalls = stalls || case.name.contains("drips");
    let app = App::with(|settings| {
        settings.answer_limit = 256 << 10;
        if stalls {
            (settings.first_byte, settings.idle) = (PATIENCE, PATIENCE);
            settings.answer = PATIENCE;
        }
    })
    .await;
    let (raw, url) = match &case.acts {
        Some(acts) => {
            let raw = Raw::start(acts.clone()).await.unwrap();
            let url = raw.url();
            (Some(raw), url)
        }
        // Nobody listens at the port of a provider that has ended.
        None => (None, Raw::start(Vec::new()).await.unwrap().url()),
    };
    for (name, ratio) in [("near", NEAR), ("far", FAR)] {
        done(&app, "PUT", "/api/group", json!({"name": name, "ratio_millionths": ratio * 1_000_000})).await;
    }
    let lists = json!({"id": app.root.0, "groups": ["near", "far"], "auto_groups": ["near", "far"]});
    done(&app, "PUT", "/api/user", lists).await;
    let names: Vec<String> = (0..WAYS.len()).map(model).collect();
    for (index, name) in names.iter().enumerate() {
        app.provider.script(name, Script { words: Some(10), ..Script::default() });
        app.price(name, 1_000_000, 1_000_000, 0).await;
        let failing = json!({"name": index.to_string(), "base_url": url, "key": "sk-failing", "models": [name],
            "groups": ["near"], "priority": 9});
        done(&app, "POST", "/api/channel", failing).await;
    }
    let several: Vec<&String> =
        names.iter().zip(WAYS).filter(|(_, way)| way.several).map(|(name, _)| name).collect();
    for (group, models) in [("near", json!(several)), ("far", json!(names))] {
        let healthy =
            json!({"name": group, "base_url": app.provider.url(), "models": models, "groups": [group]});
        done(&app, "POST", "/api/channel", healthy).await;
    }
    assert!(stream || !matches!(case.made, Made::Breaks(..) | Made::IsEnded));
    World { app, raw }
}

fn model(way: usize) -> String {
    format!("way-{way}")
}

async fn key(app: &App, account: AccountId, cross: bool) -> String {
    let settings =
        KeySettings { group: "auto".to_owned(), cross_group_retry: cross, ..KeySettings::default() };
    let class = model::credential::Class::ApiKey;
    let credential = model::credential::Credential::generate(class, getrandom::fill).unwrap();
    app.store.create_key(account, &settings, Units::new(1_000_000), &credential, now()).await.unwrap();
    credential.expose().to_owned()
}

/// A caller that stays gets this, and pays for it.
async fn stays(world: &World, case: &Case, way: Way, key: &str, body: &Value, what: &str) {
    let reply = world.app.chat(key, body).await;
    let (text, used) = (reply.text(), world.app.usage(key).await["total_used"].as_i64().unwrap());
    let another = match case.made {
        Made::MovesOn(..) if way.several => Some(NEAR),
        Made::MovesOn(..) if way.cross => Some(FAR),
        _ => None,
    };
    if let Some(ratio) = another {
        assert_eq!((reply.status, used), (200, COST * ratio), "{what}: {text}");
        return;
    }
    match case.made {
        Made::MovesOn(status, code, retry_after) => {
            assert_eq!((reply.status, reply.code().as_str(), used), (status, code, 0), "{what}: {text}");
            // Where the upstream says nothing that makes sense, what time cures is worth another try soon.
            let soon = [429, 503].contains(&status).then_some("1");
            assert_eq!(reply.header("retry-after"), retry_after.or(soon), "{what}");
        }
        Made::Answers(status) => {
            assert_eq!((reply.status, reply.code().as_str(), used), (status, "scripted", 0), "{what}");
            assert_eq!(reply.header("x-should-retry"), Some("false"), "{what}");
        }
        Made::Breaks(code, delivered) => {
            assert_eq!(reply.status, 200, "{what}");
            let last = text.trim_end().rsplit("\n\n").next().unwrap();
            assert!(last.contains(&format!(r#""code":"{code}""#)), "{what}: {last:.300}");
            assert_eq!(
                text.matches("word").count(),
                if code == "busy" { 1 } else { 2 } * usize::from(delivered)
            );
            // Some tokens in, one for each word out, at the ratio of the group that served.
            assert!(used % NEAR == 0 && (used > 0) == delivered, "{what}: {used}");
        }
        Made::IsEnded => {
            assert!(text.ends_with("data: [DONE]\n\n"), "{what}");
            // Somewhat more than the model's longest output, and not more than was delivered.
            let most = text.matches("word").count() as i64 + 100;
            assert!(used % NEAR == 0 && (1_000..most.min(10_000)).contains(&(used / NEAR)), "{what}: {used}");
        }
    }
}

/// A caller that leaves as soon as the upstream has its request. Whatever had become of that by then, it is settled.
async fn leaves(world: &World, case: &Case, key: &str, body: &Value, what: &str) {
    let body = body.to_string();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut reached = world.raw.as_ref().map(|raw| (raw.accepted(), raw.requests(), raw.open()));
    if let Some((accepted, requests, _)) = &mut reached {
        accepted.mark_unchanged();
        requests.mark_unchanged();
    }
    let mut caller = TcpStream::connect(world.app.address).await.unwrap();
    caller.write_all((head + &body).as_bytes()).await.unwrap();
    if let Some((mut accepted, mut requests, mut open)) = reached {
        // On a fresh connection or on one that was kept.
        tokio::select! {
            changed = accepted.changed() => changed.unwrap(),
            changed = requests.changed() => changed.unwrap(),
        }
        drop(caller);
        let endless = |act: &Act| matches!(act, Act::Stall | Act::Endless(..));
        if case.acts.iter().flatten().any(endless) {
            // What does not end by itself is ended, and the upstream sees it.
            open.wait_for(|open| *open == 0).await.unwrap();
        }
    }
    world.app.ledger.idle().await;
    let used = world.app.usage(key).await["total_used"].as_i64().unwrap();
    assert!((0..=5_000 * FAR).contains(&used), "{what}: {used}");
}

/// Tries a failure in every way.
async fn try_out(case: Case, stream: bool) {
    let (world, case) = (Arc::new(world(&case, stream).await), Arc::new(case));
    let mut staying = JoinSet::new();
    let mut leaving = Vec::new();
    for (index, way) in WAYS.into_iter().enumerate() {
        let what = format!("{}, {}, {way:?}", case.name, if stream { "streamed" } else { "whole" });
        let key = key(&world.app, world.app.root, way.cross).await;
        let mut body = question(&model(index));
        body["stream"] = json!(stream);
        if way.leaves {
            leaving.push((key, body, what));
            continue;
        }
        let (world, case) = (Arc::clone(&world), Arc::clone(&case));
        staying.spawn(async move { stays(&world, &case, way, &key, &body, &what).await });
    }
    while let Some(stayed) = staying.join_next().await {
        stayed.unwrap();
    }
    for (key, body, what) in leaving {
        leaves(&world, &case, &key, &body, &what).await;
    }
    world.app.verified().await;
}

/// Tries failures, several at a time.
async fn try_all(cases: Vec<Case>, stream: bool) {
    let mut running = JoinSet::new();
    let mut wrong = Vec::new();
    let mut cases = cases.into_iter();
    loop {
        if running.len() < 8
            && let Some(case) = cases.next()
        {
            running.spawn(try_out(case, stream));
            continue;
        }
        let Some(ended) = running.join_next().await else { break };
        wrong.extend(ended.err().map(|error| error.to_string()));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_before_the_answer_to_a_whole_request() {
    try_all(up_to_the_head(), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_before_the_answer_to_a_streamed_request() {
    try_all(up_to_the_head(), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_in_a_whole_answer() {
    try_all(in_a_whole_body(), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_in_a_stream() {
    try_all(in_a_stream(), true).await;
}
