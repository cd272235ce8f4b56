//! Two processes of the program on one PostgreSQL database, each with a data directory and an address of its own.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use testkit::{Provider, Script};

use crate::{
    postgres::{PRIVATE, ask, database, server_url, url_file, with},
    process::{Caller, Server, printed},
};

/// Two nodes, and what their tests need.
struct Nodes {
    _dir: tempfile::TempDir,
    nodes: [Server; 2],
    caller: Caller,
    /// A personal access token of root.
    pat: String,
    url: String,
    data: std::path::PathBuf,
    database: String,
}

async fn start() -> Nodes {
    let dir = tempfile::tempdir().unwrap();
    let database = server_url().replacen("/postgres?", &format!("/{}?", database().await), 1);
    let url = url_file(dir.path(), &database);
    let arguments = with(&url, &PRIVATE);
    let (first, second) = (dir.path().join("a"), dir.path().join("b"));
    let one = Server::start(&arguments, &first);
    std::fs::create_dir(&second).unwrap();
    std::fs::copy(first.join("master.key"), second.join("master.key")).unwrap();
    let other = Server::start(&arguments, &second);
    let pat = printed(&with(&url, &["pat", "create"]), &first).trim().to_owned();
    Nodes { _dir: dir, nodes: [one, other], caller: Caller::new(), pat, url, data: first, database }
}

impl Nodes {
    /// A call of the management API of the first node, which must succeed.
    async fn manage(&self, method: &str, path: &str, body: &str) -> serde_json::Value {
        let url = format!("http://{}{path}", self.nodes[0].address);
        let headers = [("authorization", self.pat.as_str()), ("content-type", "application/json")];
        let (_, text) = self.caller.text(method, &url, &headers, body).await;
        let reply: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(reply["success"], true, "{method} {path} {body}: {text}");
        reply
    }

    /// Something happens to the database that no server did.
    async fn happens(&self, statements: &str) {
        let mut database = PgConnection::connect(&self.database).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut database).await.unwrap();
    }

    /// A model that the nodes serve, and a key for it with its id.
    async fn prepare(&self, provider: &Provider) -> (serde_json::Value, String) {
        provider.script("m", Script { words: Some(1), ..Script::default() });
        let channel =
            format!(r#"{{"name":"c","base_url":"{}","key":"sk-up","models":["m"]}}"#, provider.url());
        self.manage("POST", "/api/channel/", &channel).await;
        self.manage("PUT", "/api/price/", r#"{"model":"m","input":1,"output":1,"max_output":50}"#).await;
        let made = self.manage("POST", "/api/token/", r#"{"name":"k","unlimited_quota":true}"#).await;
        let key = made["data"]["key"].as_str().unwrap().to_owned();
        self.until(&key, 200).await;
        (made["data"]["id"].clone(), key)
    }

    /// How long it takes from a change until the second node answers with `status`.
    async fn until(&self, key: &str, status: u16) -> Duration {
        let changed = Instant::now();
        while ask(&self.caller, self.nodes[1].address, key).await != status {
            assert!(changed.elapsed() < Duration::from_secs(30), "it never answers with {status}");
        }
        changed.elapsed()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_changes_is_live_on_the_other_within_a_second() {
    let nodes = start().await;
    let provider = Provider::start().await.unwrap();
    let (id, key) = nodes.prepare(&provider).await;
    let key = key.as_str();
    let channel = nodes.manage("GET", "/api/channel/", "").await["data"][0]["id"].clone();
    let mut took = Vec::new();
    for round in 0..5 {
        let status = format!(r#"{{"id":{id},"status":{}}}"#, if round % 2 == 0 { 2 } else { 1 });
        nodes.manage("PUT", "/api/token/?status_only=true", &status).await;
        took.push(("a key", nodes.until(key, if round % 2 == 0 { 401 } else { 200 }).await));
    }
    nodes.manage("PUT", "/api/token/?status_only=true", &format!(r#"{{"id":{id},"status":1}}"#)).await;
    nodes.until(key, 200).await;
    for enabled in [2, 1] {
        let edit = format!(r#"{{"id":{channel},"status":{enabled}}}"#);
        nodes.manage("PUT", "/api/channel/", &edit).await;
        took.push(("a channel", nodes.until(key, if enabled == 1 { 200 } else { 503 }).await));
    }
    nodes.manage("DELETE", &format!("/api/token/{id}"), "").await;
    took.push(("a deleted key", nodes.until(key, 401).await));
    // A heartbeat tells every 600 ms, and nodes look after 700 ms without one; the rest is the machine's.
    let mut times: Vec<Duration> = took.iter().map(|(_, time)| *time).collect();
    times.sort();
    assert!(times[times.len() / 2] < Duration::from_secs(1), "{took:?}");
    assert!(times.iter().all(|time| *time < Duration::from_secs(5)), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_cannot_be_read_keeps_no_other_change_back() {
    let nodes = start().await;
    let provider = Provider::start().await.unwrap();
    let (id, key) = nodes.prepare(&provider).await;
    let broken = r#"{"name":"broken","base_url":"http://127.0.0.1:9","key":"sk-other","models":["other"]}"#;
    let broken = nodes.manage("POST", "/api/channel/", broken).await["data"]["id"].clone();
    nodes.happens(&format!("UPDATE channel_credential SET sealed = '\\x00' WHERE channel = {broken}")).await;
    nodes.manage("PUT", "/api/group/", r#"{"name":"new","ratio_millionths":1000000}"#).await;
    nodes.manage("PUT", "/api/token/?status_only=true", &format!(r#"{{"id":{id},"status":2}}"#)).await;
    nodes.until(&key, 401).await;
    nodes.manage("PUT", "/api/token/?status_only=true", &format!(r#"{{"id":{id},"status":1}}"#)).await;
    nodes.until(&key, 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_was_forgotten_before_it_was_heard_of_is_found() {
    let nodes = start().await;
    let provider = Provider::start().await.unwrap();
    let (id, key) = nodes.prepare(&provider).await;
    // As a server finds it that heard nothing for more than an hour: this change is gone, and there is a later one.
    nodes
        .happens(&format!(
            "BEGIN; UPDATE api_key SET status = 2 WHERE id = {id};
             SELECT nextval(pg_get_serial_sequence('change', 'seq'));
             INSERT INTO change (kind, id, at) VALUES (2, 1, 0); DELETE FROM change WHERE seq < (SELECT max(seq) FROM change); COMMIT"
        ))
        .await;
    nodes.until(&key, 401).await;
}

/// A form of the console without a browser: the page's cookie and its token.
async fn sign_in(nodes: &Nodes, node: usize, username: &str, password: &str) -> u16 {
    use http_body_util::BodyExt;
    let origin = format!("http://{}", nodes.nodes[node].address);
    let url = format!("{origin}/console/sign-in");
    let page = nodes.caller.send("GET", &url, &[], "").await.unwrap();
    let cookie = page.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let page = page.into_body().collect().await.unwrap().to_bytes();
    let page = String::from_utf8_lossy(&page).into_owned();
    let token = page.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let headers = [
        ("cookie", cookie.as_str()),
        ("origin", &origin),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let form = format!("csrf={token}&username={username}&password={password}");
    nodes.caller.text("POST", &url, &headers, &form).await.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_passwords_are_counted_by_all_nodes_together() {
    let nodes = start().await;
    password(&nodes.url, &nodes.data, "correct-horse");
    for _ in 0..7 {
        assert_eq!(sign_in(&nodes, 0, "root", "wrong").await, 422);
    }
    // The other node does not know of them, until it counts one of its own: then there are eight.
    assert_eq!(sign_in(&nodes, 1, "root", "wrong").await, 422);
    assert_eq!(sign_in(&nodes, 1, "root", "correct-horse").await, 429);
    // The first one has room for its eighth, and learns that it was the ninth.
    assert_eq!(sign_in(&nodes, 0, "root", "wrong").await, 422);
    assert_eq!(sign_in(&nodes, 0, "root", "correct-horse").await, 429);
    assert_eq!(sign_in(&nodes, 0, "ada", "wrong").await, 422, "others are not shut out");
}

fn password(url: &str, data: &Path, text: &str) {
    let file = data.join("password");
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    printed(&with(url, &["account", "set-password", "root", "--password-file", file]), data);
}
