//! Room in memory: large bodies have so much of it together, and small ones are served whatever becomes of them.

use serde_json::json;
use testkit::Script;

use crate::app::{App, question};

const MIB: usize = 1 << 20;

#[tokio::test]
async fn what_there_is_no_room_for_is_refused_and_costs_nothing() {
    let app = App::with(|settings| settings.bodies = 4 << 20).await;
    let large =
        |size: usize| json!({"model": "m", "messages": [{"role": "user", "content": "x".repeat(size)}]});
    let reply = app.chat(&app.key, &large(5 * MIB)).await;
    assert_eq!((reply.status, reply.code().as_str()), (503, "unavailable"), "{}", reply.text());
    assert_eq!(reply.header("retry-after"), Some("1"));

    // Another channel would make the same answer again, at the operator's cost.
    app.channel(&["m"]).await;
    app.provider.script("m", Script { words: Some(1_000_000), ..Script::default() });
    app.provider.record();
    let reply = app.chat(&app.key, &question("m")).await;
    assert_eq!((reply.status, reply.code().as_str()), (503, "unavailable"), "{:.300}", reply.text());
    assert_eq!(app.usage(&app.key).await["total_used"], 0);
    assert_eq!(app.provider.seen().len(), 1);

    app.provider.script("m", Script::default());
    for _ in 0..3 {
        let reply = app.chat(&app.key, &large(MIB * 3 / 2)).await;
        assert_eq!(reply.status, 200, "what was taken is free again: {:.300}", reply.text());
    }
    app.verified().await;
}
