//! Realtime sessions that only write down what is heard: who does that is said by an event, and nothing begins before.

use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::SinkExt;
use serde_json::{Value, json};
use testkit::{Provider, Script};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    app::App,
    realtime::{Talk, connect, records},
};

pub(crate) const PATH: &str = "/v1/realtime?intent=transcription";

/// A service with models that write down: `t` and `live` by the token, `whisper-1` by the second.
pub(crate) async fn listening() -> App {
    let app = App::start().await;
    app.channel(&["t", "live", "whisper-1", "unpriced"]).await;
    app.price("t", 3_000_000, 5_000_000, 0).await;
    app.price("live", 1_000_000, 1_000_000, 0).await;
    let price = json!({"model": "whisper-1", "input": 0, "output": 0, "per_second": 100_000_000, "max_output": 1, "confirm": true});
    assert_eq!(app.manage("PUT", "/api/price/", Some(price)).await.json()["success"], true);
    app
}

pub(crate) async fn enter(app: &App, key: &str) -> Talk {
    let bearer = format!("Bearer {key}");
    let (mut talk, _) = connect(app, PATH, &[("authorization", &bearer)]).await.ok().unwrap();
    let greeting = talk.event().await;
    assert_eq!(
        (&greeting["type"], &greeting["session"]["type"]),
        (&json!("session.created"), &json!("transcription"))
    );
    talk
}

pub(crate) fn update(model: &str) -> Value {
    let input = json!({"transcription": {"model": model}, "turn_detection": null});
    json!({"type": "session.update", "session": {"type": "transcription", "audio": {"input": input}}})
}

pub(crate) fn second() -> Value {
    json!({"type": "input_audio_buffer.append", "audio": BASE64_STANDARD.encode(vec![0; 48_000])})
}

pub(crate) async fn written(talk: &mut Talk) {
    talk.say(second()).await;
    talk.say(json!({"type": "input_audio_buffer.commit"})).await;
    talk.until("conversation.item.input_audio_transcription.completed").await;
}

#[tokio::test]
async fn the_model_that_an_event_names_is_charged_for_what_it_hears() {
    let app = listening().await;
    app.provider.record();
    let mut talk = enter(&app, &app.key).await;
    assert!(app.provider.seen().is_empty(), "an upstream was asked before there was a model");
    talk.say(update("t")).await;
    // The greeting comes once.
    assert_eq!(talk.event().await["type"], "session.updated");
    written(&mut talk).await;
    written(&mut talk).await;
    talk.leave().await;
    let seen = app.provider.seen().pop().unwrap();
    assert_eq!((seen.path.as_str(), seen.query.as_str()), ("/v1/realtime", "intent=transcription"));
    let found = records(&app).await;
    assert_eq!(found.len(), 1, "{found:?}");
    let record = &found[0];
    assert_eq!((&record["model_name"], &record["charge"]["counted_by"]), (&json!("t"), &json!("reported")));
    // 10 and 20 tokens of sound, and twice four of words.
    assert_eq!(record["quota"], json!(30 * 3 + 8 * 5), "{record}");
}

#[tokio::test]
async fn time_is_charged_where_the_model_counts_time() {
    let app = listening().await;
    let mut talk = enter(&app, &app.key).await;
    talk.say(update("whisper-1")).await;
    assert_eq!(talk.event().await["type"], "session.updated");
    written(&mut talk).await;
    talk.leave().await;
    assert_eq!(records(&app).await[0]["quota"], json!(200));
}

#[tokio::test]
async fn what_no_hold_covers_does_not_begin() {
    let app = listening().await;
    app.provider.record();
    let poor = app.key_of(app.root, 3).await;
    let mut talk = enter(&app, &app.key).await;
    for (event, code) in [
        (second(), "invalid_request"),
        (json!({"type": "session.update", "session": {"type": "transcription"}}), "invalid_request"),
        (
            json!({"type": "session.update", "session": {"type": "realtime", "audio": {"input": {"transcription": {"model": "t"}}}}}),
            "invalid_request",
        ),
        (update("nobody"), "model_not_found"),
        (update("unpriced"), "price_unknown"),
        (update(&"x".repeat(1000)), "invalid_request"),
    ] {
        talk.say(event.clone()).await;
        let told = talk.event().await;
        assert_eq!((&told["type"], &told["error"]["code"]), (&json!("error"), &json!(code)), "{event}");
    }
    talk.socket.send(Message::binary(vec![0; 100])).await.unwrap();
    assert_eq!(talk.event().await["error"]["code"], "invalid_request");
    // It may still be said.
    talk.say(update("t")).await;
    assert_eq!(talk.event().await["type"], "session.updated");
    assert_eq!(app.provider.seen().len(), 1);
    talk.leave().await;
    let mut talk = enter(&app, &poor).await;
    talk.say(update("t")).await;
    assert_eq!(talk.event().await["error"]["code"], "quota_exhausted");
    assert_eq!(app.provider.seen().len(), 1);
    talk.leave().await;
    app.verified().await;
}

#[tokio::test]
async fn nobody_answers_and_the_model_stays() {
    let app = listening().await;
    let mut talk = enter(&app, &app.key).await;
    talk.say(update("t")).await;
    assert_eq!(talk.event().await["type"], "session.updated");
    for event in [json!({"type": "response.create"}), update("live")] {
        talk.say(event.clone()).await;
        let told = talk.event().await;
        assert_eq!(
            (&told["type"], &told["error"]["code"]),
            (&json!("error"), &json!("invalid_request")),
            "{event}"
        );
    }
    written(&mut talk).await;
    talk.leave().await;
    assert_eq!(records(&app).await[0]["quota"], json!(10 * 3 + 4 * 5));
}

#[tokio::test]
async fn a_caller_that_leaves_pays_for_the_words_that_it_got() {
    let app = listening().await;
    let mut talk = enter(&app, &app.key).await;
    talk.say(update("live")).await;
    assert_eq!(talk.event().await["type"], "session.updated");
    for _ in 0..6 {
        talk.say(second()).await;
        talk.until("conversation.item.input_audio_transcription.delta").await;
    }
    drop(talk);
    let record = records(&app).await[0].clone();
    // 72 bytes are 18 tokens of words, which are six seconds with ten tokens of sound each.
    assert_eq!(
        (&record["quota"], &record["charge"]["counted_by"]),
        (&json!(60 + 18), &json!("estimated")),
        "{record}"
    );
}

#[tokio::test]
async fn sound_is_held_before_it_passes() {
    let app = listening().await;
    // A second can cost 50 tokens of sound and 10 of words at most.
    let poor = app.key_of(app.root, 150).await;
    let mut talk = enter(&app, &poor).await;
    talk.say(update("live")).await;
    assert_eq!(talk.event().await["type"], "session.updated");
    talk.say(second()).await;
    talk.until("conversation.item.input_audio_transcription.delta").await;
    for _ in 0..4 {
        talk.say(second()).await;
    }
    let (events, goodbye) = talk.end().await;
    assert_eq!(events.last().unwrap()["error"]["code"], "quota_exhausted");
    assert_eq!(u16::from(goodbye.unwrap().code), 1008);
    app.verified().await;
    let used = app.usage(&poor).await["total_used"].as_i64().unwrap();
    assert!((1..=150).contains(&used), "{used}");
}

/// A thousand bytes for who writes down, with or without an upstream that says itself when a piece is whole.
fn prompted(model: &str, turns: Value) -> Value {
    let transcription = json!({"model": model, "prompt": "p".repeat(1000)});
    let input = json!({"transcription": transcription, "turn_detection": turns});
    json!({"type": "session.update", "session": {"type": "transcription", "audio": {"input": input}}})
}

#[tokio::test]
async fn a_prompt_is_held_with_each_piece_that_it_goes_with() {
    let app = listening().await;
    // A second, and the prompt once, do not fit.
    let poorest = app.key_of(app.root, 1_000).await;
    let mut talk = enter(&app, &poorest).await;
    talk.say(prompted("t", Value::Null)).await;
    assert_eq!(talk.event().await["error"]["code"], "quota_exhausted");
    talk.leave().await;
    // Two pieces are a little more than 2000, and a third would be beyond it.
    for first in [prompted("live", Value::Null), update("live")] {
        let poor = app.key_of(app.root, 2_500).await;
        let mut talk = enter(&app, &poor).await;
        for event in [first, prompted("live", Value::Null)] {
            talk.say(event).await;
            assert_eq!(talk.event().await["type"], "session.updated");
        }
        written(&mut talk).await;
        written(&mut talk).await;
        talk.say(second()).await;
        talk.until("conversation.item.input_audio_transcription.delta").await;
        talk.say(json!({"type": "input_audio_buffer.commit"})).await;
        let (events, goodbye) = talk.end().await;
        let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["error"], "{events:?}");
        assert_eq!(u16::from(goodbye.unwrap().code), 1008);
        nothing_beyond(&app, &poor, 2_500).await;
    }
}

#[tokio::test]
async fn a_piece_that_the_upstream_calls_whole_is_held_before_it_is_told() {
    let app = listening().await;
    let poor = app.key_of(app.root, 1_500).await;
    let mut talk = enter(&app, &poor).await;
    talk.say(prompted("live", json!({"type": "server_vad"}))).await;
    talk.say(second()).await;
    talk.until("conversation.item.input_audio_transcription.completed").await;
    talk.say(second()).await;
    let (events, _) = talk.end().await;
    let whole = events.iter().filter(|event| event["type"] == "input_audio_buffer.committed").count();
    assert_eq!(
        (whole, &events.last().unwrap()["error"]["code"]),
        (0, &json!("quota_exhausted")),
        "{events:?}"
    );
    nothing_beyond(&app, &poor, 1_500).await;
}

/// What was reported was held.
async fn nothing_beyond(app: &App, key: &str, quota: i64) {
    app.verified().await;
    let used = app.usage(key).await["total_used"].as_i64().unwrap();
    assert!((1..quota).contains(&used), "{used}");
    for record in records(app).await {
        assert_eq!(record["charge"]["not_charged"], 0, "{record}");
    }
}

#[tokio::test]
async fn another_channel_serves_where_one_cannot_and_has_its_own_name_for_the_model() {
    let app = App::start().await;
    let dead = Provider::start().await.unwrap();
    let url = dead.url();
    drop(dead);
    for body in [
        json!({"name": "dead", "base_url": url, "key": "k", "models": ["ours"], "priority": 9}),
        json!({"name": "x", "base_url": app.provider.url(), "key": "sk-upstream-secret", "models": ["ours"],
            "model_mapping": {"ours": "their/s"}}),
    ] {
        assert_eq!(app.manage("POST", "/api/channel/", Some(body)).await.json()["success"], true);
    }
    app.price("ours", 1_000_000, 1_000_000, 0).await;
    let mut talk = enter(&app, &app.key).await;
    talk.say(update("ours")).await;
    let updated = talk.event().await;
    assert_eq!(updated["session"]["audio"]["input"]["transcription"]["model"], "their/s");
    written(&mut talk).await;
    talk.leave().await;
    let record = records(&app).await[0].clone();
    assert_eq!((&record["model_name"], &record["quota"]), (&json!("ours"), &json!(14)));
}

#[tokio::test]
async fn an_upstream_that_refuses_ends_it() {
    let app = listening().await;
    // The address names no model.
    app.provider
        .script("", Script { status: Some(429), message: Some("slowly".to_owned()), ..Script::default() });
    let mut talk = enter(&app, &app.key).await;
    talk.say(update("t")).await;
    let (events, goodbye) = talk.end().await;
    assert!(events[0]["error"]["message"].as_str().unwrap().contains("slowly"), "{events:?}");
    assert_eq!(u16::from(goodbye.unwrap().code), 1011);
    assert_eq!(records(&app).await[0]["quota"], 0);
}

#[tokio::test]
async fn a_model_in_the_address_is_refused_before_the_upgrade() {
    let app = listening().await;
    let bearer = format!("Bearer {}", app.key);
    let path = format!("{PATH}&model=t");
    let refused = connect(&app, &path, &[("authorization", &bearer)]).await.err().unwrap();
    let body = refused.body().clone().unwrap_or_default();
    let error = serde_json::from_slice::<Value>(&body).unwrap()["error"].clone();
    assert_eq!((refused.status().as_u16(), &error["code"]), (400, &json!("invalid_request")));
    assert!(error["message"].as_str().unwrap().starts_with("model "), "{error}");
    let beta = [("authorization", bearer.as_str()), ("openai-beta", "realtime=v1")];
    let (mut talk, _) = connect(&app, PATH, &beta).await.ok().unwrap();
    assert_eq!(talk.event().await["type"], "transcription_session.created");
    talk.leave().await;
    app.verified().await;
}
