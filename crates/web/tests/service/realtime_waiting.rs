//! Realtime sessions before they have a model: nothing is held for them, so little is given.

use std::time::Duration;

use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    app::App,
    realtime::connect,
    realtime_written::{PATH, enter, listening, update},
};

#[tokio::test]
async fn who_names_no_model_soon_is_said_goodbye_to() {
    let app = App::with(|settings| settings.body_idle = Duration::from_millis(300)).await;
    let mut silent = enter(&app, &app.key).await;
    let (events, frame) = silent.end().await;
    assert_eq!((events.len(), u16::from(frame.unwrap().code)), (0, 1000));
    // What names none does not make it longer.
    let mut chatty = enter(&app, &app.key).await;
    for _ in 0..5 {
        chatty.say(json!({"type": "x"})).await;
    }
    let (events, frame) = chatty.end().await;
    assert_eq!((events.len(), u16::from(frame.unwrap().code)), (5, 1000));
    app.verified().await;
}

#[tokio::test]
async fn little_is_read_before_a_model_is_named() {
    let app = listening().await;
    let mut named = enter(&app, &app.key).await;
    named.say(update("t")).await;
    assert_eq!(named.event().await["type"], "session.updated");
    let long = json!({"type": "echo", "text": "x".repeat(1 << 20)});
    named.say(long.clone()).await;
    assert_eq!(named.event().await, long);
    named.leave().await;
    let mut unnamed = enter(&app, &app.key).await;
    // It may be closed before all is sent.
    drop(unnamed.socket.send(Message::text(long.to_string())).await);
    assert_eq!(u16::from(unnamed.end().await.1.unwrap().code), 1009);
    app.verified().await;
}

#[tokio::test]
async fn who_has_nothing_left_does_not_enter() {
    let app = listening().await;
    let broke = app.account("broke", 0).await;
    for (key, code) in [
        (app.key_of(app.root, 0).await, "quota_exhausted"),
        (app.key_of(broke, 100).await, "insufficient_balance"),
    ] {
        let bearer = format!("Bearer {key}");
        let refused = connect(&app, PATH, &[("authorization", &bearer)]).await.err().unwrap();
        let error = serde_json::from_slice::<Value>(&refused.body().clone().unwrap_or_default()).unwrap();
        assert_eq!((refused.status().as_u16(), &error["error"]["code"]), (403, &json!(code)), "{error}");
    }
    app.verified().await;
}

#[tokio::test]
async fn a_key_that_was_edited_meanwhile_is_looked_at_again() {
    let app = listening().await;
    app.provider.record();
    let edits = [
        (json!({"status": 2}), "key_disabled", true),
        (json!({"expired_time": 1}), "key_expired", true),
        (json!({"model_limits_enabled": true, "model_limits": "live"}), "model_not_allowed", false),
    ];
    for (mut edit, code, over) in edits {
        let new = json!({"name": "k", "remain_quota": 100_000});
        let made = app.manage("POST", "/api/token/", Some(new)).await.json()["data"].clone();
        let mut talk = enter(&app, made["key"].as_str().unwrap()).await;
        edit["id"] = made["id"].clone();
        let edited = app.manage("PUT", "/api/token/", Some(edit)).await;
        assert_eq!(edited.json()["success"], true, "{}", edited.text());
        talk.say(update("t")).await;
        assert_eq!(talk.event().await["error"]["code"], code);
        match over {
            true => assert_eq!(u16::from(talk.end().await.1.unwrap().code), 1008, "{code}"),
            false => talk.leave().await,
        }
    }
    assert!(app.provider.seen().is_empty(), "an upstream was asked for a key that may not");
    app.verified().await;
}
