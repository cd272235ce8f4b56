//! What was paid is what was given, whatever callers and upstreams do.

use std::sync::Arc;

use crate::app::{App, Reply, question};
use http_body_util::BodyExt;
use serde_json::json;
use testkit::{Lie, Script};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_affords_ten_is_answered_ten_times() {
    let app = Arc::new(App::start().await);
    let owner = app.account("ada", 1_000_000).await;
    let key = app.key_of(owner, 100).await;
    let tasks: Vec<_> = (0..1000)
        .map(|index| {
            let (app, key) = (Arc::clone(&app), key.clone());
            tokio::spawn(async move {
                let mut body = question("calls");
                body["stream"] = json!(index % 2 == 0);
                app.chat(&key, &body).await.status
            })
        })
        .collect();
    let mut statuses = Vec::new();
    for task in tasks {
        statuses.push(task.await.unwrap());
    }
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 10);
    assert_eq!(statuses.iter().filter(|status| **status == 403).count(), 990);
    app.verified().await;
    let usage = app.usage(&key).await;
    assert_eq!((usage["total_used"].as_i64(), usage["total_available"].as_i64()), (Some(100), Some(0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_leaves_pays_for_what_it_got() {
    let app = App::start().await;
    for words in 0..12 {
        let model = format!("leave-{words}");
        app.channel(&[&model]).await;
        app.price(&model, 0, 1_000_000, 0).await;
        // After so many words the upstream says nothing more: whatever ends this, it is the caller.
        app.provider
            .script(&model, Script { words: Some(20), stall_after: Some(words), ..Script::default() });
        let key = app.key_of(app.root, 10_000).await;
        let body = json!({"model": model, "stream": true, "messages": []}).to_string();
        let bearer = format!("Bearer {key}");
        let response = app.send("POST", "/v1/chat/completions", &[("authorization", &bearer)], body).await;
        let mut in_flight = app.provider.in_flight();
        let mut answer = response.into_body();
        let mut got = 0;
        while got < words {
            let frame = answer.frame().await.unwrap().unwrap().into_data().unwrap();
            got += String::from_utf8_lossy(&frame).matches("\"content\"").count() as u64;
        }
        drop(answer);
        in_flight.wait_for(|count| *count == 0).await.unwrap();
        app.verified().await;
        // Each word is one token at one unit, by our own count.
        assert_eq!(app.usage(&key).await["total_used"].as_u64(), Some(words), "{words} words");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_lies_cannot_charge_more_than_was_held() {
    let app = App::start().await;
    for (lie, most) in [
        (Lie::Absent, 1_000),
        (Lie::Negative, 1_000),
        (Lie::Huge, 1_000),
        (Lie::NotANumber, 1_000),
        (Lie::Text, 1_000),
        (Lie::Twice, 1_000),
        (Lie::Million, 2_000),
    ] {
        for stream in [false, true] {
            let script = Script { usage: Some(lie), words: Some(5), ..Script::default() };
            app.provider.script("m", script);
            let key = app.key_of(app.root, 2_000).await;
            let mut body = question("m");
            (body["stream"], body["max_tokens"]) = (json!(stream), json!(50));
            let reply = app.chat(&key, &body).await;
            assert_eq!(reply.status, 200, "{lie:?} {}", reply.text());
            app.verified().await;
            let used = app.usage(&key).await["total_used"].as_i64().unwrap();
            assert!((1..=most).contains(&used), "{lie:?}, stream {stream}: {used}");
            if lie == Lie::Twice {
                assert_eq!(used, 8, "three words in, five out");
            }
        }
    }
}

/// What a caller gets whose only upstream answers with `script`. Each gets a service of its own, because a failure is
/// remembered: channels rest, breakers open, credentials are disabled.
async fn failing(script: Script, stream: bool) -> Reply {
    let app = App::start().await;
    let key = app.key_of(app.root, 5_000).await;
    app.provider.script("m", script);
    let mut body = question("m");
    body["stream"] = json!(stream);
    let reply = app.chat(&key, &body).await;
    app.verified().await;
    assert_eq!(app.usage(&key).await["total_used"], 0);
    reply
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusing_upstream_costs_nothing() {
    for stream in [false, true] {
        for (status, retry_after) in
            [(400, None), (401, None), (404, None), (429, Some("7")), (500, None), (503, None)]
        {
            let script = Script {
                status: Some(status),
                retry_after: retry_after.map(str::to_owned),
                message: Some("no: sk-upstream-secret at http://10.0.0.1/".to_owned()),
                ..Script::default()
            };
            let reply = failing(script, stream).await;
            assert_eq!((reply.status, reply.code().as_str()), (status, "scripted"));
            let secret = reply.text().contains("sk-upstream") || reply.text().contains("10.0.0.1");
            assert!(!secret, "{}", reply.text());
            if let Some(seconds) = retry_after {
                assert_eq!(reply.header("retry-after"), Some(seconds));
            }
        }
        for script in [
            Script { status: Some(302), ..Script::default() },
            Script {
                body: Some("<html>".to_owned()),
                content_type: Some("text/html".to_owned()),
                ..Script::default()
            },
        ] {
            let reply = failing(script, stream).await;
            assert_eq!((reply.status, reply.code().as_str()), (502, "upstream_error"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_upstream_costs_nothing() {
    let app = App::start().await;
    let key = app.key_of(app.root, 5_000).await;
    let fail = |script: Script| app.provider.script("m", script);
    let error = r#"{"error":{"message":"overloaded at http://10.0.0.1/","code":"busy"}}"#.to_owned();
    fail(Script { body: Some(error), ..Script::default() });
    let reply = app.chat(&key, &question("m")).await;
    assert_eq!((reply.status, reply.code().as_str()), (502, "busy"), "an error with status 200 is an error");
    fail(Script { reset_after: Some(0), ..Script::default() });
    let mut body = question("m");
    body["stream"] = json!(true);
    let reply = app.chat(&key, &body).await;
    assert!(reply.text().contains("upstream_error") && !reply.text().contains("[DONE]"), "{}", reply.text());
    app.verified().await;
    assert_eq!(app.usage(&key).await["total_used"], 0);
    for cut in [
        Script { reset_after: Some(3), chunk_ms: 5, ..Script::default() },
        Script { truncate_after: Some(3), ..Script::default() },
    ] {
        fail(cut);
        let before = app.usage(&key).await["total_used"].as_i64().unwrap();
        let reply = app.chat(&key, &body).await;
        assert!(
            reply.text().contains("upstream_error") && !reply.text().contains("[DONE]"),
            "{}",
            reply.text()
        );
        app.verified().await;
        let after = app.usage(&key).await["total_used"].as_i64().unwrap();
        assert!(after > before, "three words were delivered");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_is_set_exactly_while_traffic_flows() {
    let app = Arc::new(App::start().await);
    let key = app.key_of(app.root, 100_000).await;
    let list = app.manage("GET", "/api/token/?page_size=100", None).await.json();
    let id = list["data"]["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["key"] == key.as_str())
        .unwrap()["id"]
        .clone();
    app.provider.script("calls", Script { delay_ms: 2, ..Script::default() });
    let ask = |count: usize| {
        (0..count)
            .map(|_| {
                let (app, key) = (Arc::clone(&app), key.clone());
                tokio::spawn(async move { app.chat(&key, &question("calls")).await.status })
            })
            .collect::<Vec<_>>()
    };
    let mut during = ask(60);
    let put = app.manage("PUT", "/api/token/", Some(json!({"id": id, "remain_quota": 50}))).await.json();
    assert_eq!(put["data"]["remain_quota"], 50, "{put}");
    during.extend(ask(60));
    let mut answered = 0;
    for task in during {
        answered += i64::from(task.await.unwrap() == 200);
    }
    app.verified().await;
    let usage = app.usage(&key).await;
    assert_eq!(usage["total_used"].as_i64(), Some(answered * 10));
    // At most five of those that were admitted after the edit were answered, and nothing is left over or short.
    let left = usage["total_available"].as_i64().unwrap();
    assert!((0..=50).contains(&left) && left % 10 == 0, "{left}");
    while app.chat(&key, &question("calls")).await.status == 200 {}
    app.verified().await;
    assert_eq!(app.usage(&key).await["total_available"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_balance_becomes_the_output_limit() {
    let app = App::start().await;
    app.provider.record();
    app.provider.script("m", Script { words: Some(900), ..Script::default() });
    for stream in [false, true] {
        let key = app.key_of(app.root, 400).await;
        let mut body = question("m");
        body["stream"] = json!(stream);
        let reply = app.chat(&key, &body).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert!(reply.text().contains("\"length\""), "{}", reply.text());
        let sent: serde_json::Value =
            serde_json::from_slice(&app.provider.seen().last().unwrap().body).unwrap();
        let limit = sent["max_completion_tokens"].as_i64().unwrap();
        app.verified().await;
        assert_eq!(app.usage(&key).await["total_used"].as_i64(), Some(3 + limit));
        let poor = app.key_of(app.root, 20).await;
        let reply = app.chat(&poor, &body).await;
        assert_eq!((reply.status, reply.code().as_str()), (403, "quota_exhausted"));
        assert_eq!(reply.header("x-should-retry"), Some("false"));
    }
}

/// Some 4,000 bytes of English are fewer than 1,000 tokens, whoever has a tokenizer to say so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_balance_below_the_bytes_of_a_request_pays_for_its_tokens() {
    let app = App::start().await;
    app.channel(&["gpt-4o"]).await;
    app.price("gpt-4o", 1_000_000, 1_000_000, 0).await;
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(90);
    for (model, status) in [("m", 403), ("gpt-4o", 200)] {
        let key = app.key_of(app.root, 2_000).await;
        let body = json!({"model": model, "max_tokens": 20, "messages": [{"role": "user", "content": text}]});
        let reply = app.chat(&key, &body).await;
        assert_eq!(reply.status, status, "{}", reply.text());
        app.verified().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_ends_in_the_middle_of_an_event_ends_the_stream() {
    let app = App::with(|settings| settings.stream_step = 16).await;
    for finish in ["null", "\"stop\""] {
        let text = "x".repeat(400);
        let event = format!(
            r#"data: {{"choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":{finish}}}]}}"#
        );
        let kind = Some("text/event-stream".to_owned());
        app.provider.script("m", Script { body: Some(event), content_type: kind, ..Script::default() });
        let key = app.key_of(app.root, 5_000).await;
        let mut body = question("m");
        body["stream"] = json!(true);
        let reply = app.chat(&key, &body).await;
        assert!(reply.text().contains(&text), "{}", reply.text());
        assert_eq!(reply.text().contains("upstream_error"), finish == "null");
        app.verified().await;
        let used = app.usage(&key).await["total_used"].as_i64().unwrap();
        assert!((100..300).contains(&used), "100 tokens out and some in: {used}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_that_changes_no_balance_makes_nothing_free() {
    let app = App::start().await;
    let account = app.account("ada", 1_000).await;
    let key = app.key_of(account, 1_000).await;
    assert_eq!(app.chat(&key, &question("calls")).await.status, 200);
    app.provider.script("calls", Script { stall_after: Some(0), ..Script::default() });
    let mut body = question("calls");
    body["stream"] = json!(true);
    let bearer = format!("Bearer {key}");
    let mut in_flight = app.provider.in_flight();
    let open =
        app.send("POST", "/v1/chat/completions", &[("authorization", &bearer)], body.to_string()).await;
    let edit = json!({"id": account.0, "display_name": "Ada", "unlimited_quota": false});
    assert_eq!(app.manage("PUT", "/api/user/", Some(edit)).await.json()["success"], true);
    drop(open);
    in_flight.wait_for(|count| *count == 0).await.unwrap();
    app.provider.script("calls", Script::default());
    assert_eq!(app.chat(&key, &question("calls")).await.status, 200);
    app.verified().await;
    let owner = app.store.account(account).await.unwrap().unwrap();
    assert_eq!((owner.used.get(), owner.remaining.get()), (20, 980));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_top_up_is_spent_once_however_many_wait_for_it() {
    let app = Arc::new(App::start().await);
    let key = app.key_of(app.root, 0).await;
    let list = app.manage("GET", "/api/token/?page_size=100", None).await.json();
    let items = list["data"]["items"].as_array().unwrap();
    let id = items.iter().find(|item| item["key"] == key.as_str()).unwrap()["id"].clone();
    for round in 1..=5_i64 {
        let tasks: Vec<_> = (0..80)
            .map(|_| {
                let (app, key) = (Arc::clone(&app), key.clone());
                tokio::spawn(async move { app.chat(&key, &question("calls")).await.status })
            })
            .collect();
        let put = app.manage("PUT", "/api/token/", Some(json!({"id": id, "remain_quota": 50}))).await.json();
        assert_eq!(put["success"], true, "{put}");
        for task in tasks {
            assert!([200, 403].contains(&task.await.unwrap()));
        }
        while app.chat(&key, &question("calls")).await.status == 200 {}
        app.verified().await;
        let usage = app.usage(&key).await;
        assert_eq!(
            (usage["total_used"].as_i64(), usage["total_available"].as_i64()),
            (Some(50 * round), Some(0))
        );
    }
}

/// Others spend the rest of the balance while a stream is under way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_cannot_be_paid_ends_as_itself_with_the_usage() {
    let app = App::with(|settings| settings.stream_step = 16).await;
    app.provider.script("m", Script { words: Some(900), chunk_ms: 5, ..Script::default() });
    app.price("unpriced", 0, 0, 400).await;
    for (username, asked) in [("ada", true), ("bob", false)] {
        let key = app.key_of(app.account(username, 1_500).await, 1_500).await;
        let mut body = question("m");
        body["stream"] = json!(true);
        body["stream_options"] = json!({"include_usage": asked});
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str())];
        let open = app.send("POST", "/v1/chat/completions", &headers, body.to_string()).await;
        while app.chat(&key, &question("unpriced")).await.status == 200 {}
        let whole = String::from_utf8(open.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
        app.verified().await;
        let events: Vec<&str> = whole.trim_end().split("\n\n").collect();
        let (words, tail) = events.split_at(events.len() - if asked { 3 } else { 2 });
        assert!(words.iter().all(|event| event.contains("\"content\"")), "{whole}");
        let null = if asked { ",\"usage\":null" } else { "" };
        let (id, _) = words[0].split_once("\",").unwrap();
        let end = format!(
            r#"{id}","object":"chat.completion.chunk","created":1,"model":"m","choices":[{{"index":0,"delta":{{}},"finish_reason":"length"}}]{null}}}"#
        );
        assert_eq!((tail.first(), tail.last()), (Some(&end.as_str()), Some(&"data: [DONE]")));
        let used = app.usage(&key).await["total_used"].as_i64().unwrap();
        let told = tail[1].strip_prefix("data: ").unwrap();
        let told: serde_json::Value = serde_json::from_str(told).unwrap_or_default();
        assert!(!asked || told["usage"]["total_tokens"].as_i64() == Some(used % 400), "{used}: {whole}");
    }
}
