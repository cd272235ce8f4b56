//! Videos: held when they are begun, charged when they have ended, each once, and nobody else's.

use std::sync::Arc;

use serde_json::{Value, json};
use testkit::Script;

use crate::app::{App, Reply};

/// A second costs ten units.
const SECOND: i64 = 10;

/// A service with the model `v`, whose jobs are asked about by callers alone.
async fn start() -> App {
    let app = App::with(|settings| settings.job_poll = std::time::Duration::from_secs(3600)).await;
    prepare(&app).await;
    app
}

async fn prepare(app: &App) {
    app.channel(&["v"]).await;
    let price = json!({
        "model": "v", "input": 0, "output": 0, "per_second": SECOND * 1_000_000, "max_output": 1, "confirm": true,
    });
    let put = app.manage("PUT", "/api/price/", Some(price)).await;
    assert_eq!(put.json()["success"], true, "{}", put.text());
}

fn script(app: &App, script: Script) {
    app.provider.script("v", script);
}

async fn call(app: &App, key: &str, method: &str, path: &str, body: Option<Value>) -> Reply {
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    app.call(method, path, &headers, body.map(|body| body.to_string()).unwrap_or_default()).await
}

async fn create(app: &App, key: &str, seconds: &str) -> Reply {
    let body = json!({"model": "v", "prompt": "waves", "seconds": seconds});
    call(app, key, "POST", "/v1/videos", Some(body)).await
}

async fn begun(app: &App, key: &str, seconds: &str) -> String {
    let reply = create(app, key, seconds).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["id"].as_str().unwrap().to_owned()
}

async fn get(app: &App, key: &str, id: &str) -> Value {
    call(app, key, "GET", &format!("/v1/videos/{id}"), None).await.json()
}

/// What a key has used and what it may use.
async fn quota(app: &App, key: &str) -> (i64, i64) {
    let usage = app.usage(key).await;
    (usage["total_used"].as_i64().unwrap(), usage["total_available"].as_i64().unwrap())
}

#[tokio::test]
async fn a_video_is_held_until_it_ends_and_charged_at_what_was_made() {
    let app = start().await;
    let ada = app.account("ada", 1_000).await;
    let key = app.key_of(ada, 100).await;
    script(&app, Script { polls: 1, ..Script::default() });
    let id = begun(&app, &key, "8").await;
    assert!(id.starts_with("video_") && id.len() > 30, "an id that nobody guesses: {id}");
    assert_eq!(quota(&app, &key).await, (0, 100), "nothing is charged yet");
    let refused = create(&app, &key, "4").await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "quota_exhausted"), "80 of 100 are held");
    let waiting = get(&app, &key, &id).await;
    assert_eq!((&waiting["status"], &waiting["id"]), (&json!("in_progress"), &json!(id)));
    let early = call(&app, &key, "DELETE", &format!("/v1/videos/{id}"), None).await;
    assert_eq!(early.status, 200, "asking has ended it: {}", early.text());
    assert_eq!(quota(&app, &key).await, (80, 20));
    assert_eq!(call(&app, &key, "GET", &format!("/v1/videos/{id}"), None).await.status, 404, "deleted");
    app.verified().await;

    let tasks = app.manage_as(&app.token(ada).await, "GET", "/api/task/self", None).await.json();
    let task = &tasks["data"]["items"][0];
    assert_eq!(
        (&task["task_id"], &task["status"], &task["quota"]),
        (&json!(id), &json!("SUCCESS"), &json!(80))
    );
    let own = app.manage_as(&app.token(ada).await, "GET", "/api/log/self", None).await.json();
    let quotas: Vec<i64> =
        own["data"]["items"].as_array().unwrap().iter().filter_map(|log| log["quota"].as_i64()).collect();
    assert_eq!(quotas, [80], "one record: {own}");
}

#[tokio::test]
async fn a_second_costs_what_its_size_does() {
    let app = start().await;
    let sizes = json!({"720p": 20_000_000, "1080p": 70_000_000});
    let price = json!({"model": "v", "input": 0, "output": 0, "per_second": SECOND * 1_000_000, "max_output": 1,
        "per_second_by_size": sizes, "confirm": true});
    assert_eq!(app.manage("PUT", "/api/price/", Some(price)).await.json()["success"], true);
    script(&app, Script { polls: 0, ..Script::default() });
    let asked = |size: Value| json!({"model": "v", "prompt": "waves", "seconds": "4", "size": size});
    for (size, held, charged, kind) in [
        (json!("1920x1080"), 280, 280, "second_1080p"),
        (json!("1280x720"), 80, 80, "second_720p"),
        // Where no size is asked for it may be the dearest; the provider makes 720x1280.
        (Value::Null, 280, 80, "second_720p"),
    ] {
        let key = app.key_of(app.root, 280).await;
        let mut body = asked(size.clone());
        if size.is_null() {
            body.as_object_mut().unwrap().remove("size");
        }
        let begun = call(&app, &key, "POST", "/v1/videos", Some(body)).await;
        assert_eq!(begun.status, 200, "{}", begun.text());
        assert_eq!(quota(&app, &key).await, (0, 280), "{size}");
        let more = create(&app, &key, "4").await;
        assert_eq!(more.status, 403, "{held} of 280 are held: {}", more.text());
        let id = begun.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(get(&app, &key, &id).await["status"], "completed");
        assert_eq!(quota(&app, &key).await, (charged, 280 - charged), "{size}");
        let found = app.manage("GET", "/api/log/self?page_size=1", None).await.json();
        let lines = found["data"]["items"][0]["charge"]["lines"].clone();
        assert_eq!((&lines[0]["kind"], &lines[0]["quantity"]), (&json!(kind), &json!(4)), "{found}");
    }
    let refused = call(&app, &app.key, "POST", "/v1/videos", Some(asked(json!("1792x1024")))).await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "price_unknown"), "{}", refused.text());
    assert_eq!(refused.json()["error"]["param"], "size");
    app.verified().await;
}

/// Whatever the upstream says of the size, and however often it is asked before: what was asked for is charged, and where nothing is
/// known what was held.
#[tokio::test]
async fn a_video_is_not_free_by_its_size() {
    let app = start().await;
    let price = json!({"model": "v", "input": 0, "output": 0, "per_second": 0, "max_output": 1,
        "per_second_by_size": {"720p": 20_000_000, "1080p": 70_000_000}, "confirm": true});
    assert_eq!(app.manage("PUT", "/api/price/", Some(price)).await.json()["success"], true);
    for (size, said, polls, charged) in [
        (json!("1280x720"), Value::Null, 0, 80),
        (json!("1280x720"), Value::Null, 2, 80),
        (json!("1280x720"), json!("auto"), 2, 80),
        (json!("1280x720"), json!("1920x1080"), 1, 80),
        (Value::Null, Value::Null, 2, 280),
        (Value::Null, json!("1792x1024"), 1, 280),
        (Value::Null, json!("1280x720"), 1, 80),
    ] {
        script(&app, Script { polls, job_size: Some(said.clone()), ..Script::default() });
        let key = app.key_of(app.root, 280).await;
        let mut body = json!({"model": "v", "prompt": "waves", "seconds": "4"});
        if !size.is_null() {
            body["size"] = size.clone();
        }
        let begun = call(&app, &key, "POST", "/v1/videos", Some(body)).await.json();
        let id = begun["id"].as_str().unwrap().to_owned();
        for _ in 0..polls {
            assert_eq!(get(&app, &key, &id).await["status"], "in_progress");
        }
        assert_eq!(get(&app, &key, &id).await["status"], "completed");
        assert_eq!(quota(&app, &key).await, (charged, 280 - charged), "{size} {said} {polls}");
    }
    app.verified().await;
}

#[tokio::test]
async fn a_failed_video_costs_nothing() {
    let app = start().await;
    let ada = app.account("ada", 1_000).await;
    let key = app.key_of(ada, 80).await;
    script(&app, Script { job_fails: true, ..Script::default() });
    let id = begun(&app, &key, "8").await;
    assert_eq!(create(&app, &key, "1").await.status, 403);
    let failed = get(&app, &key, &id).await;
    assert_eq!((&failed["status"], &failed["error"]["code"]), (&json!("failed"), &json!("scripted")));
    assert_eq!(quota(&app, &key).await, (0, 80));
    let content = call(&app, &key, "GET", &format!("/v1/videos/{id}/content"), None).await;
    assert_eq!((content.status, content.code().as_str()), (400, "job_not_completed"));
    begun(&app, &key, "8").await;
    app.verified().await;
}

/// The words and the lengths of upstreams that are not OpenAI.
#[tokio::test]
async fn a_video_ends_in_whatever_words_and_is_never_free_by_its_length() {
    for (word, seconds, used) in
        [("succeeded", None, 80), ("canceled", None, 0), ("expired", None, 0), ("done", Some(0), 80)]
    {
        let app = start().await;
        let ada = app.account("ada", 1_000).await;
        let key = app.key_of(ada, 100).await;
        let said = Some(word.to_owned());
        script(&app, Script { job_word: said, job_seconds: seconds, ..Script::default() });
        let id = begun(&app, &key, "8").await;
        let told = get(&app, &key, &id).await;
        let state = if used > 0 { "completed" } else { "failed" };
        assert_eq!(told["status"], state, "{word}: {told}");
        assert_eq!(quota(&app, &key).await, (used, 100 - used), "{word}");
        app.verified().await;
    }
}

#[tokio::test]
async fn a_video_that_has_not_ended_in_a_week_has_failed() {
    let app = start().await;
    let key = app.key_of(app.account("ada", 1_000).await, 100).await;
    script(&app, Script { job_word: Some("thinking".to_owned()), ..Script::default() });
    let id = begun(&app, &key, "8").await;
    assert_eq!(get(&app, &key, &id).await["status"], "in_progress", "no end");
    assert_eq!(create(&app, &key, "8").await.status, 403, "80 of 100 are held");
    app.clock.set_minutes(7 * 24 * 60);
    let told = get(&app, &key, &id).await;
    assert_eq!((&told["status"], &told["error"]["code"]), (&json!("failed"), &json!("job_lost")), "{told}");
    assert_eq!(quota(&app, &key).await, (0, 100));
    app.verified().await;
}

#[tokio::test]
async fn a_video_is_fetched_changed_and_listed() {
    let app = start().await;
    let ada = app.account("ada", 1_000).await;
    let key = app.key_of(ada, 1_000).await;
    let first = begun(&app, &key, "8").await;
    let content = call(&app, &key, "GET", &format!("/v1/videos/{first}/content?variant=video"), None).await;
    assert_eq!((content.status, content.text().as_str()), (200, "moving pictures"));
    assert_eq!(content.header("content-type"), Some("video/mp4"));
    let prompt = Some(json!({"prompt": "more waves"}));
    let remixed = call(&app, &key, "POST", &format!("/v1/videos/{first}/remix"), prompt).await.json();
    assert_eq!((&remixed["remixed_from_video_id"], &remixed["seconds"]), (&json!(first), &json!("8")));
    let second = remixed["id"].as_str().unwrap();
    let ended = get(&app, &key, second).await;
    assert_eq!((&ended["status"], &ended["remixed_from_video_id"]), (&json!("completed"), &json!(first)));
    assert_eq!(quota(&app, &key).await, (160, 840));

    let list = call(&app, &key, "GET", "/v1/videos?limit=1", None).await.json();
    assert_eq!((&list["data"][0]["id"], &list["has_more"]), (&json!(second), &json!(true)));
    let rest = call(&app, &key, "GET", &format!("/v1/videos?limit=1&after={second}"), None).await.json();
    assert_eq!((&rest["data"][0]["id"], &rest["has_more"]), (&json!(first), &json!(false)));
    assert_eq!(call(&app, &key, "GET", "/v1/videos?limit=0", None).await.status, 400);
    app.verified().await;
}

#[tokio::test]
async fn anothers_video_is_as_one_that_never_was() {
    let app = start().await;
    let id = begun(&app, &app.key, "4").await;
    let eve = app.account("eve", 1_000).await;
    let key = app.key_of(eve, 1_000).await;
    for (method, verb) in [("GET", ""), ("GET", "/content"), ("POST", "/remix"), ("DELETE", "")] {
        let mut replies = Vec::new();
        for name in [id.as_str(), "video_00000000000000000000000000000000"] {
            let reply = call(&app, &key, method, &format!("/v1/videos/{name}{verb}"), Some(json!({}))).await;
            let request = reply.header("x-request-id").unwrap().to_owned();
            replies.push((reply.status, reply.text().replace(&request, "")));
        }
        assert_eq!(replies[0], replies[1], "{method} {verb}");
        assert_eq!(replies[0].0, 404, "{method} {verb}");
    }
    assert_eq!(call(&app, &key, "GET", "/v1/videos", None).await.json()["data"], json!([]));
    let tasks = app.manage_as(&app.token(eve).await, "GET", "/api/task/self", None).await.json();
    assert_eq!(tasks["data"]["total"], 0);
    let tasks = app.manage("GET", "/api/task/self?status=QUEUED&action=generate&platform=openai", None).await;
    assert_eq!(tasks.json()["data"]["items"][0]["task_id"], json!(id), "{}", tasks.text());
    let none = app.manage("GET", "/api/task/self?status=FAILURE", None).await.json();
    assert_eq!(none["data"]["total"], 0);
}

#[tokio::test]
async fn a_form_is_sent_with_its_file_and_with_what_is_held() {
    let app = start().await;
    app.provider.record();
    // Larger than what is kept in memory.
    let picture = "\u{1}\r\n-".repeat(200_000);
    let form = format!(
        "--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nv\r\n--x\r\n\
        Content-Disposition: form-data; name=\"input_reference\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n\
        {picture}\r\n--x--\r\n"
    );
    let bearer = format!("Bearer {}", app.key);
    let headers = [("authorization", bearer.as_str()), ("content-type", "multipart/form-data; boundary=x")];
    let reply = app.call("POST", "/v1/videos", &headers, form).await;
    assert_eq!((reply.status, &reply.json()["seconds"]), (200, &json!("4")), "{}", reply.text());
    let seen = app.provider.seen();
    let body = String::from_utf8_lossy(&seen[0].body).into_owned();
    assert!(body.contains("filename=\"a.png\"") && body.contains(&format!("\r\n\r\n{picture}\r\n--")));
    assert_eq!(seen[0].headers["authorization"], "Bearer sk-upstream-secret");
}

#[tokio::test]
async fn what_cannot_begin_costs_nothing_and_says_why() {
    let app = start().await;
    let ada = app.account("ada", 1_000).await;
    let key = app.key_of(ada, 1_000).await;
    for (body, status, code) in [
        (json!({"prompt": "x"}), 400, "model_required"),
        (json!({"model": "v", "seconds": "long"}), 400, "invalid_request"),
        (json!({"model": "m", "prompt": "x"}), 400, "price_unknown"),
        (json!({"model": "nobody", "prompt": "x"}), 503, "model_not_found"),
    ] {
        let reply = call(&app, &key, "POST", "/v1/videos", Some(body.clone())).await;
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{body}: {}", reply.text());
    }
    script(&app, Script { status: Some(400), ..Script::default() });
    assert_eq!(create(&app, &key, "4").await.status, 400);
    script(&app, Script { body: Some("[]".to_owned()), ..Script::default() });
    assert_eq!(create(&app, &key, "4").await.status, 502);
    assert_eq!(quota(&app, &key).await, (0, 1_000));
    let reply = call(&app, &key, "PUT", "/v1/videos", None).await;
    assert_eq!((reply.status, reply.code().as_str()), (405, "method_not_allowed"));
    assert_eq!(call(&app, "sk-nonsense", "GET", "/v1/videos", None).await.status, 401);
    app.verified().await;
}

/// Many callers see the end at the same moment, and one of them settles it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_video_is_charged_once_however_many_ask() {
    let app = Arc::new(start().await);
    let ada = app.account("ada", 1_000).await;
    let key = app.key_of(ada, 100).await;
    let id = begun(&app, &key, "8").await;
    let asking: Vec<_> = (0..24)
        .map(|_| {
            let (app, key, id) = (Arc::clone(&app), key.clone(), id.clone());
            tokio::spawn(async move { get(&app, &key, &id).await["status"].clone() })
        })
        .collect();
    for asked in asking {
        assert_eq!(asked.await.unwrap(), "completed");
    }
    assert_eq!(quota(&app, &key).await, (80, 20));
    app.verified().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_video_that_nobody_asks_for_is_settled_all_the_same() {
    let app = App::with(|settings| settings.job_poll = std::time::Duration::from_millis(5)).await;
    prepare(&app).await;
    script(&app, Script { polls: 3, ..Script::default() });
    let ada = app.account("ada", 1_000).await;
    let key = app.key_of(ada, 100).await;
    begun(&app, &key, "8").await;
    while quota(&app, &key).await != (80, 20) {
        tokio::task::yield_now().await;
    }
    app.verified().await;
}

/// What is set while a video is made remains: its end takes nothing from it and adds nothing to it.
#[tokio::test]
async fn a_quota_that_is_set_while_a_video_is_made_is_exact() {
    let app = start().await;
    let body = json!({"name": "k", "remain_quota": 100});
    let made = app.manage("POST", "/api/token/", Some(body)).await.json()["data"].clone();
    let key = made["key"].as_str().unwrap();
    let id = begun(&app, key, "8").await;
    let set = app.manage("PUT", "/api/token/", Some(json!({"id": made["id"], "remain_quota": 50}))).await;
    assert_eq!(set.json()["data"]["remain_quota"], 50, "{}", set.text());
    begun(&app, key, "5").await;
    assert_eq!(get(&app, key, &id).await["status"], "completed");
    assert_eq!(quota(&app, key).await, (80, 50));
    app.verified().await;
}
