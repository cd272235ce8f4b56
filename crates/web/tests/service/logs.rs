//! Usage records as their account and operators see them: what each says of its charge, every filter, the sums, and a CSV
//! that a spreadsheet opens safely.

use serde_json::{Value, json};
use testkit::{Lie, Script};

use crate::app::{App, Reply, now, question};

async fn get(app: &App, pat: &str, path: &str) -> Value {
    let reply = app.manage_as(pat, "GET", path, None).await;
    assert_eq!((reply.status, reply.json()["success"] == true), (200, true), "{path}: {}", reply.text());
    reply.json()["data"].clone()
}

async fn items(app: &App, pat: &str, path: &str) -> Vec<Value> {
    let data = get(app, pat, path).await;
    let items = data["items"].as_array().unwrap().clone();
    assert_eq!(data["total"].as_u64().unwrap() as usize, items.len(), "{path}");
    items
}

const PLENTY: i64 = 10_000_000;

/// Σ quantity × price × ratio ÷ 10^12, rounded up once.
fn cost(charge: &Value) -> i128 {
    let number = |value: &Value| i128::from(value.as_i64().unwrap());
    let lines = charge["lines"].as_array().unwrap().iter();
    let sum: i128 = lines.map(|line| number(&line["quantity"]) * number(&line["units_per_million"])).sum();
    let scaled = sum * number(&charge["ratio_millionths"]);
    (scaled + 999_999_999_999).div_euclid(1_000_000_000_000)
}

/// A member with keys of two names, and what they called: uses of two models, one of them streamed, in two groups, an upstream
/// that claims too much, and a failure.
async fn used(app: &App, balance: i64) -> (String, String) {
    let member = app.account("ada", balance).await;
    let pat = app.token(member).await;
    let vip = json!({"name": "vip", "description": "", "ratio_millionths": 333_333});
    app.manage("PUT", "/api/group/", Some(vip)).await;
    let grant = json!({"id": member.0, "groups": ["vip"]});
    assert_eq!(app.manage("PUT", "/api/user/", Some(grant)).await.json()["success"], true);
    let models = json!({"name": "v", "base_url": app.provider.url(), "key": "k", "models": ["m", "fails", "lies"],
        "groups": ["vip", "default"]});
    app.manage("POST", "/api/channel/", Some(models)).await;
    app.price("m", 1_234_567, 7_654_321, 3).await;
    app.price("fails", 1_000_000, 1_000_000, 5).await;
    app.price("lies", 1_000_000, 1_000_000, 0).await;
    app.provider.script("fails", Script { status: Some(400), ..Script::default() });
    app.provider.script("lies", Script { usage: Some(Lie::Million), ..Script::default() });
    let key = async |name: &str, group: &str| {
        let body = json!({"name": name, "group": group, "unlimited_quota": true});
        let made = app.manage_as(&pat, "POST", "/api/token/", Some(body)).await;
        made.json()["data"]["key"].as_str().unwrap().to_owned()
    };
    let (plain, vip) = (key("=1+1", "").await, key("vip key", "vip").await);
    for (key, model, stream) in [
        (&plain, "m", false),
        (&vip, "m", true),
        (&plain, "calls", false),
        (&plain, "fails", false),
        (&vip, "lies", false),
    ] {
        let mut body = question(model);
        body["stream"] = json!(stream);
        body["max_tokens"] = json!(50);
        let reply = app.chat(key, &body).await;
        assert_eq!(reply.status, if model == "fails" { 400 } else { 200 }, "{model}: {}", reply.text());
        app.ledger.idle().await;
    }
    (pat, plain)
}

#[tokio::test]
async fn every_record_explains_its_charge_to_the_last_unit() {
    let app = App::start().await;
    // Not enough for what the last upstream claims.
    let (pat, _) = used(&app, 300_000).await;
    let records = items(&app, &pat, "/api/log/self").await;
    let models: Vec<&str> = records.iter().map(|record| record["model_name"].as_str().unwrap()).collect();
    assert_eq!(models, ["lies", "fails", "calls", "m", "m"], "newest first");
    let mut sum = 0;
    for record in &records {
        let charge = &record["charge"];
        let (units, beyond) = (charge["units"].as_i64().unwrap(), charge["not_charged"].as_i64().unwrap());
        assert_eq!(cost(charge), i128::from(units + beyond), "{record}");
        assert_eq!(record["quota"], units);
        assert_eq!(beyond > 0, record["model_name"] == "lies", "{record}");
        assert_eq!(charge["lines"].as_array().unwrap().is_empty(), record["type"] == 5, "{record}");
        assert_eq!(record["channel"], Value::Null, "that is for operators");
        let other: Value = serde_json::from_str(record["other"].as_str().unwrap()).unwrap();
        assert_eq!(other["request_path"], "/v1/chat/completions");
        sum += units;
    }
    assert_eq!(get(&app, &pat, "/api/user/self").await["used_quota"], sum);
    let vip = &records[3];
    assert_eq!(
        (&vip["group"], &vip["is_stream"], &vip["token_name"]),
        (&json!("vip"), &json!(true), &json!("vip key"))
    );
    assert_eq!(vip["charge"]["ratio_millionths"], 333_333);
    let failed = &records[1];
    assert_eq!((&failed["type"], &failed["quota"], &failed["status"]), (&json!(5), &json!(0), &json!(400)));

    // A new price changes nothing of what was charged.
    app.price("m", 1, 1, 1).await;
    assert_eq!(items(&app, &pat, "/api/log/self").await, records);
    app.verified().await;
}

#[tokio::test]
async fn each_filter_finds_its_records_and_sums_them() {
    let app = App::start().await;
    let (pat, plain) = used(&app, PLENTY).await;
    let all = items(&app, &pat, "/api/log/self/?page_size=100").await;
    let now = now().secs();
    let id = all[2]["request_id"].as_str().unwrap();
    let rows: [(String, &[usize]); 17] = [
        ("type=2".to_owned(), &[0, 2, 3, 4]),
        ("type=5".to_owned(), &[1]),
        ("type=0".to_owned(), &[0, 1, 2, 3, 4]),
        ("type=1".to_owned(), &[]),
        ("model_name=m".to_owned(), &[3, 4]),
        ("model_name=%25l%25s".to_owned(), &[0, 1, 2]),
        ("token_name=vip%20key".to_owned(), &[0, 3]),
        ("group=vip".to_owned(), &[0, 3]),
        ("group=vip&model_name=m&type=2".to_owned(), &[3]),
        (format!("request_id={id}"), &[2]),
        ("request_id=nothing".to_owned(), &[]),
        ("response_id=chatcmpl-1".to_owned(), &[]),
        (format!("start_timestamp={}", now + 60), &[]),
        (format!("start_timestamp={}&end_timestamp={now}", now - 60), &[0, 1, 2, 3, 4]),
        (format!("end_timestamp={}", now - 60), &[]),
        ("start_timestamp=0&end_timestamp=0&model_name=&token_name=".to_owned(), &[0, 1, 2, 3, 4]),
        ("user_id=1&username=root".to_owned(), &[0, 1, 2, 3, 4]),
    ];
    for (query, expected) in rows {
        let expected: Vec<Value> = expected.iter().map(|index| all[*index].clone()).collect();
        assert_eq!(items(&app, &pat, &format!("/api/log/self?{query}")).await, expected, "{query}");
        let stat = get(&app, &pat, &format!("/api/log/self/stat?{query}")).await;
        let sum = |member: &str| expected.iter().map(|record| record[member].as_i64().unwrap()).sum::<i64>();
        assert_eq!(stat["requests"], expected.len(), "{query}");
        assert_eq!(stat["quota"], sum("quota"), "{query}");
        assert_eq!(stat["prompt_tokens"], sum("prompt_tokens"), "{query}");
        assert_eq!(stat["completion_tokens"], sum("completion_tokens"), "{query}");
        let csv = app.manage_as(&pat, "GET", &format!("/api/log/self/export?{query}"), None).await;
        assert_eq!(csv.text().lines().count(), expected.len() + 1, "{query}");
    }
    for (path, expected) in [
        ("/api/log/self/search?keyword=VIP", vec![0, 3]),
        ("/api/log/self/search?keyword=fail", vec![1]),
        ("/api/log/self/search?keyword=1%2B1", vec![1, 2, 4]),
        ("/api/log/self/search", vec![0, 1, 2, 3, 4]),
    ] {
        let expected: Vec<Value> = expected.iter().map(|index| all[*index].clone()).collect();
        assert_eq!(items(&app, &pat, path).await, expected, "{path}");
    }
    let found = items(&app, &pat, &format!("/api/log/self/search?keyword={id}")).await;
    assert_eq!(found, [all[2].clone()]);

    let second = get(&app, &pat, "/api/log/self?p=2&page_size=2").await;
    assert_eq!((&second["total"], &second["items"]), (&json!(5), &json!([all[2], all[3]])));
    let behind = format!("/api/log/self?before={}&page_size=2", all[1]["id"]);
    assert_eq!(get(&app, &pat, &behind).await["items"], json!([all[2], all[3]]));
    // A record is there as soon as its request has ended.
    app.chat(&plain, &question("calls")).await;
    assert_eq!(get(&app, &pat, "/api/log/self?page_size=1").await["total"], 6);
}

#[tokio::test]
async fn values_that_are_no_numbers_are_refused_by_name() {
    let app = App::start().await;
    for path in ["/api/log/self", "/api/log/self/stat", "/api/log/self/export", "/api/log", "/api/data"] {
        for (query, expected) in [
            ("type=consume", "type must be an integer"),
            ("type=7", "type must be between 0 and 6"),
            ("type=-1", "type must be between 0 and 6"),
            ("start_timestamp=today", "start_timestamp must be an integer"),
            ("end_timestamp=99999999999999999999", "end_timestamp must be an integer"),
        ] {
            let reply = app.manage("GET", &format!("{path}?{query}"), None).await;
            assert_eq!((reply.status, &reply.json()["success"]), (200, &json!(false)), "{path}?{query}");
            assert_eq!(reply.json()["message"], expected, "{path}?{query}");
        }
        let long = format!("{path}?model_name={}", "%25".repeat(257));
        assert_eq!(
            app.manage("GET", &long, None).await.json()["message"],
            "model_name must have at most 256 bytes"
        );
        let extreme = format!("{path}?start_timestamp={}&end_timestamp={}", i64::MIN, i64::MAX);
        assert_eq!(app.manage("GET", &extreme, None).await.status, 200);
    }
}

#[tokio::test]
async fn an_account_sees_its_own_records_and_an_operator_all() {
    let app = App::start().await;
    let (pat, _) = used(&app, PLENTY).await;
    app.chat(&app.key, &question("m")).await;
    assert_eq!(items(&app, &app.pat, "/api/log/self").await.len(), 1);
    assert_eq!(items(&app, &pat, "/api/log/self?user_id=1&username=setup").await.len(), 5);
    let all = items(&app, &app.pat, "/api/log/").await;
    assert_eq!(all.len(), 6);
    assert!(all.iter().all(|record| record["channel"].is_number() && record["upstream_model"].is_string()));
    let ada = all[1]["user_id"].clone();
    for (query, expected) in [
        ("username=ada".to_owned(), 5),
        ("username=a%25".to_owned(), 5),
        ("username=nobody".to_owned(), 0),
        (format!("user_id={ada}&model_name=m"), 2),
        ("token_name=%3D1%2B1".to_owned(), 3),
        ("channel=999".to_owned(), 0),
        (format!("request_id={}", all[3]["request_id"].as_str().unwrap()), 1),
    ] {
        assert_eq!(items(&app, &app.pat, &format!("/api/log?{query}")).await.len(), expected, "{query}");
        let stat = get(&app, &app.pat, &format!("/api/log/stat?{query}")).await;
        assert_eq!(stat["requests"], expected, "{query}");
        let csv = app.manage("GET", &format!("/api/log/export?{query}"), None).await;
        assert_eq!(csv.text().lines().count(), expected + 1, "{query}");
    }
    let stat = get(&app, &app.pat, "/api/log/stat").await;
    assert_eq!((&stat["requests"], &stat["rpm"]), (&json!(6), &json!(6)));
    let count = |hours: &Value| {
        hours.as_array().unwrap().iter().map(|hour| hour["count"].as_i64().unwrap()).sum::<i64>()
    };
    assert_eq!(count(&get(&app, &app.pat, "/api/data/?default_time=day").await), 6);
    assert_eq!(count(&get(&app, &app.pat, "/api/data?username=ada&model_name=m").await), 2);
    assert_eq!(count(&get(&app, &pat, "/api/data/self").await), 5);
}

#[tokio::test]
async fn an_export_holds_nothing_that_a_spreadsheet_would_run() {
    let app = App::start().await;
    let (pat, _) = used(&app, PLENTY).await;
    let Reply { status, headers, body } = app.manage_as(&pat, "GET", "/api/log/self/export", None).await;
    assert_eq!((status, &headers["content-type"]), (200, &"text/csv; charset=utf-8".parse().unwrap()));
    assert!(headers["content-disposition"].to_str().unwrap().starts_with("attachment"));
    let text = String::from_utf8(body.to_vec()).unwrap();
    let lines: Vec<&str> = text.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 6);
    assert!(lines[0].starts_with("time,type,request_id,"));
    let columns = lines[0].split(',').count();
    for line in &lines[1..] {
        assert_eq!(line.split(',').count(), columns, "{line}");
    }
    assert!(lines[2].contains(",\"'=1+1\","), "{}", lines[2]);
}

#[tokio::test]
async fn the_month_is_added_up() {
    let app = App::start().await;
    let (pat, _) = used(&app, PLENTY).await;
    let stats = get(&app, &pat, "/api/user/self/stats").await;
    assert_eq!((&stats["month_req_count"], &stats["month_success_rate"]), (&json!(5), &json!(80.0)));
    let account = get(&app, &pat, "/api/user/self").await;
    let dollars = account["used_quota"].as_f64().unwrap() / 500_000.0;
    assert!((stats["month_usage"].as_f64().unwrap() - dollars).abs() < 1e-9, "{stats}");
    assert_eq!((&stats["req_rate"], &stats["usage_rate"]), (&json!(0.0), &json!(0.0)));
    assert!(stats["predicted_days"].as_i64().unwrap() >= 0);
    let idle = app.token(app.account("idle", 5).await).await;
    let stats = get(&app, &idle, "/api/user/self/stats").await;
    assert_eq!((&stats["month_req_count"], &stats["predicted_days"]), (&json!(0), &Value::Null));
}
