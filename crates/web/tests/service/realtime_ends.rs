//! How realtime sessions end: each end is told to both sides, and settled once.

use std::time::Duration;

use futures_util::SinkExt;
use serde_json::json;
use testkit::Script;
use tokio_tungstenite::tungstenite::Message;

use crate::{
    app::App,
    realtime::{Talk, records, talking, words},
};

/// Waits until the provider converses with nobody.
async fn nobody(app: &App) {
    app.provider.in_flight().wait_for(|count| *count == 0).await.unwrap();
}

#[tokio::test]
async fn a_goodbye_passes_both_ways() {
    let app = talking(words(5)).await;
    let mut talk = Talk::with(&app, &app.key).await;
    talk.say(json!({"type": "goodbye", "code": 4321})).await;
    let (events, frame) = talk.end().await;
    let frame = frame.unwrap();
    assert_eq!((events.len(), u16::from(frame.code), frame.reason.as_str()), (0, 4321, "scripted"));
    assert_eq!(records(&app).await[0]["quota"], 0);
    nobody(&app).await;
}

#[tokio::test]
async fn a_quota_that_ends_is_told_and_nothing_is_delivered_beyond_it() {
    let app = talking(words(900)).await;
    let account = app.account("poor", 1_000_000).await;
    let key = app.key_of(account, 500).await;
    let mut talk = Talk::with(&app, &key).await;
    talk.words("one two three").await;
    talk.say(json!({"type": "response.create"})).await;
    let (events, frame) = talk.end().await;
    let last = events.last().unwrap();
    assert_eq!(
        (&last["type"], &last["error"]["code"]),
        (&json!("error"), &json!("quota_exhausted")),
        "{last}"
    );
    assert!(last["error"]["message"].as_str().unwrap().contains("request id"), "{last}");
    assert_eq!(u16::from(frame.unwrap().code), 1008);
    let delivered = events.iter().filter(|event| event["type"] == "response.output_text.delta").count();
    assert!((100..500).contains(&delivered), "{delivered}");
    nobody(&app).await;
    app.verified().await;
    let usage = app.usage(&key).await;
    let used = usage["total_used"].as_i64().unwrap();
    assert!(used >= delivered as i64 && used <= 500, "{used} for {delivered}");
}

#[tokio::test]
async fn a_response_that_cannot_be_paid_is_not_asked_for() {
    let app = talking(words(5)).await;
    let account = app.account("poor", 1_000_000).await;
    let key = app.key_of(account, 150).await;
    let mut talk = Talk::with(&app, &key).await;
    talk.words(&"many words ".repeat(40)).await;
    talk.say(json!({"type": "response.create"})).await;
    let (events, _) = talk.end().await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["error"]["code"], "quota_exhausted");
    app.verified().await;
    assert_eq!(app.usage(&key).await["total_used"], 0);
}

#[tokio::test]
async fn a_caller_that_leaves_pays_for_what_it_heard() {
    let app = talking(Script { wait_after: Some(40), ..words(100) }).await;
    let mut talk = Talk::with(&app, &app.key).await;
    talk.words("one two three").await;
    talk.say(json!({"type": "response.create"})).await;
    let mut heard = 0;
    while heard < 40 {
        heard += usize::from(talk.event().await["type"] == "response.output_text.delta");
    }
    drop(talk);
    app.ledger.idle().await;
    let record = records(&app).await[0].clone();
    let quota = record["quota"].as_i64().unwrap();
    assert!((20..100).contains(&quota), "{record}");
    assert_eq!(record["charge"]["counted_by"], "estimated", "{record}");
    assert_eq!(record["status"], 499, "{record}");
    app.provider.release();
    nobody(&app).await;
}

#[tokio::test]
async fn an_upstream_that_breaks_is_told() {
    for script in
        [Script { reset_after: Some(20), ..words(100) }, Script { truncate_after: Some(20), ..words(20) }]
    {
        let app = talking(script).await;
        let mut talk = Talk::with(&app, &app.key).await;
        talk.words("one two three").await;
        talk.say(json!({"type": "response.create"})).await;
        let (events, _) = talk.end().await;
        let last = events.last().unwrap();
        assert_eq!(
            (&last["type"], &last["error"]["code"]),
            (&json!("error"), &json!("upstream_error")),
            "{last}"
        );
        let record = records(&app).await[0].clone();
        assert!(record["quota"].as_i64().unwrap() > 0, "{record}");
        assert_eq!(record["charge"]["counted_by"], "estimated", "{record}");
    }
}

#[tokio::test]
async fn usage_that_cannot_be_is_estimated_and_more_than_is_held_is_held_first() {
    for (lie, least, most) in [
        (testkit::Lie::Absent, 20, 200),
        (testkit::Lie::Negative, 20, 200),
        (testkit::Lie::Huge, 20, 200),
        (testkit::Lie::Million, 2_000_000, 2_000_000),
    ] {
        let app = talking(Script { usage: Some(lie), ..words(40) }).await;
        let mut talk = Talk::with(&app, &app.key).await;
        talk.turn().await;
        talk.leave().await;
        let record = records(&app).await[0].clone();
        assert!((least..=most).contains(&record["quota"].as_i64().unwrap()), "{lie:?}: {record}");
        assert_eq!(record["charge"]["not_charged"], 0, "{record}");
    }
}

#[tokio::test]
async fn who_says_nothing_is_said_goodbye_to() {
    let app = App::with(|settings| settings.realtime_idle = Duration::from_millis(300)).await;
    app.channel(&["r"]).await;
    app.price("r", 1_000_000, 1_000_000, 0).await;
    let mut talk = Talk::with(&app, &app.key).await;
    let (events, frame) = talk.end().await;
    assert_eq!((events.len(), u16::from(frame.unwrap().code)), (0, 1000));
    nobody(&app).await;
    app.verified().await;
}

#[tokio::test]
async fn a_server_that_stops_says_goodbye() {
    let app = talking(Script { wait_after: Some(3), ..words(5) }).await;
    let mut quiet = Talk::with(&app, &app.key).await;
    let mut busy = Talk::with(&app, &app.key).await;
    busy.words("one two three").await;
    busy.say(json!({"type": "response.create"})).await;
    busy.until("response.output_text.delta").await;
    app.stop();
    assert_eq!(u16::from(quiet.end().await.1.unwrap().code), 1001);
    // What is on its way may come to its end.
    app.provider.release();
    let (events, frame) = busy.end().await;
    assert_eq!(events.last().unwrap()["type"], "response.done");
    assert_eq!(u16::from(frame.unwrap().code), 1001);
    app.ledger.idle().await;
    app.ledger.flush().await.unwrap();
    assert_eq!(app.store.verify().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_nothing_does_not_keep_its_upstream() {
    let long = Duration::from_secs(3600);
    let limits = web::serve::Limits {
        header: long,
        write: Duration::from_millis(500),
        connections: 16,
        drain: Duration::from_secs(1),
    };
    let app = App::limited(|_| {}, limits).await;
    app.channel(&["r"]).await;
    app.price("r", 1_000_000, 1_000_000, 0).await;
    let mut talk = Talk::with(&app, &app.key).await;
    talk.socket.send(Message::text(r#"{"type":"flood"}"#)).await.unwrap();
    nobody(&app).await;
    drop(talk);
    app.verified().await;
}
