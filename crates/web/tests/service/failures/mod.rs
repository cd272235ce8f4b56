//! Every way in which an upstream can fail: the right next step, the right answer, always settled, charged by the group
//! that served.

mod cases;

use std::{sync::Arc, time::Duration};

use model::{id::AccountId, key::Settings as KeySettings, money::Units};
use serde_json::{Value, json};
use testkit::{Act, Raw, Script};
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet};

use cases::{Case, Made, TIMEOUT, in_a_stream, in_a_whole_body, up_to_the_head};

use crate::app::{App, now, question};

/// Longest pause and longest wait for a head in cases that stall; long enough for the healthy upstream on a busy machine.
const PATIENCE: Duration = Duration::from_secs(8);

/// What a healthy upstream's answer costs at a ratio of 1: three words in, ten words out.
const COST: i64 = 13;
/// The ratio of the group whose channel fails, and that of the next.
const NEAR: i64 = 2;
const FAR: i64 = 5;

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
