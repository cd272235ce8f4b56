//! The program on PostgreSQL: its schema, a counted request, death, a master key that is elsewhere, and a database that is
//! away at the start and later.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use testkit::{Provider, Relay, Script};

use crate::process::{Caller, Server, apsis, printed, run};

/// Words in an answer: tokens at one unit.
pub(crate) const WORDS: i64 = 9;

static NEXT: AtomicU32 = AtomicU32::new(0);

pub(crate) fn server_url() -> String {
    #[expect(clippy::disallowed_methods, reason = "the test command says where the server is")]
    let url = std::env::var("TEST_POSTGRES_URL");
    url.unwrap_or_else(|_| {
        panic!(
            "TEST_POSTGRES_URL is not set: run the tests as `tests/postgres/run cargo test`, or run ./test"
        )
    })
}

/// An empty database of the server; its name.
pub(crate) async fn database() -> String {
    let name = format!("program_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let mut admin = PgConnection::connect(&server_url()).await.unwrap();
    let made = sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut admin).await;
    made.unwrap();
    name
}

/// The configuration key that names a file with the URL, as an argument.
pub(crate) fn url_file(dir: &Path, url: &str) -> String {
    let file = dir.join("url");
    std::fs::write(&file, format!("{url}\n")).unwrap();
    format!("database_url_file={}", file.display())
}

pub(crate) fn with<'a>(url: &'a str, arguments: &[&'a str]) -> Vec<&'a str> {
    [arguments, &["--set", url]].concat()
}

pub(crate) const PRIVATE: [&str; 2] = ["--set", "upstream.allow_private=127.0.0.0/8"];

pub(crate) fn message(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A model with a price, and a key for it.
pub(crate) fn prepare(url: &str, data: &Path, provider: &Provider) -> String {
    provider.script("m", Script { words: Some(WORDS.unsigned_abs()), ..Script::default() });
    let base = provider.url();
    for command in [
        &["channel", "add", "--name", "c", "--base-url", &base, "--models", "m"][..],
        &["price", "set", "m", "--input", "0", "--output", "1000000", "--max-output", "50"],
        &["account", "set-balance", "root", "100000"],
    ] {
        printed(&with(url, command), data);
    }
    printed(&with(url, &["key", "create", "--quota", "90000"]), data).trim().to_owned()
}

/// Asks once; the status.
pub(crate) async fn ask(caller: &Caller, address: SocketAddr, key: &str) -> u16 {
    let (url, bearer) = (format!("http://{address}/v1/chat/completions"), format!("Bearer {key}"));
    let body = r#"{"model":"m","messages":[]}"#;
    caller.text("POST", &url, &[("authorization", &bearer)], body).await.0
}

/// What the only key has used, in the book.
pub(crate) fn used(url: &str, data: &Path) -> i64 {
    let list = printed(&with(url, &["key", "list"]), data);
    list.lines().nth(1).unwrap().split('\t').nth(3).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_is_charged_once_and_the_master_key_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let url =
        url_file(dir.path(), &server_url().replacen("/postgres?", &format!("/{}?", database().await), 1));
    let steps = printed(&with(&url, &["migrate", "status"]), &data);
    assert!(steps.starts_with("0012\tpending\tbegin\n"), "{steps}");
    assert!(printed(&with(&url, &["migrate", "apply"]), &data).ends_with("the schema is up to date\n"));
    assert_eq!(printed(&with(&url, &["migrate", "plan"]), &data), "");

    let provider = Provider::start().await.unwrap();
    let arguments = with(&url, &PRIVATE);
    drop(Server::start(&arguments, &data));
    let key = prepare(&url, &data, &provider);
    let caller = Caller::new();
    for round in 1..=3 {
        let mut server = Server::start(&arguments, &data);
        for _ in 0..4 {
            assert_eq!(ask(&caller, server.address, &key).await, 200, "round {round}");
        }
        server.child.kill().unwrap();
        server.child.wait().unwrap();
    }
    let mut server = Server::start(&arguments, &data);
    let refused = message(&run(&with(&url, &["key", "rotate-master"]), &dir.path().join("other")));
    assert!(refused.contains("was made with a master key that is not here"), "{refused}");
    assert!(!dir.path().join("other/master.key").exists());
    std::fs::copy(data.join("master.key"), dir.path().join("other/master.key")).unwrap();
    let refused = message(&run(&with(&url, &["key", "rotate-master"]), &dir.path().join("other")));
    assert!(refused.contains("other apsis processes use the database"), "{refused}");
    assert_eq!(server.terminate(), Some(0));
    assert_eq!(printed(&with(&url, &["ledger", "verify"]), &data), "the ledger adds up\n");
    assert_eq!(used(&url, &data), 12 * WORDS);
    assert!(!data.join("apsis.db").exists());
    assert!(printed(&with(&url, &["key", "rotate-master"]), &data).contains("1 values"));
    assert_eq!(used(&url, &data), 12 * WORDS);
}

/// A proof of very many records takes minutes; here it waits for one who has taken their table.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_does_not_wait_for_its_proof() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let place = server_url().replacen("/postgres?", &format!("/{}?", database().await), 1);
    let url = url_file(dir.path(), &place);
    let mut server = Server::start(&with(&url, &["--set", "ledger.verify_every=1s"]), &data);
    let (mut taken, mut raw) =
        (PgConnection::connect(&place).await.unwrap(), PgConnection::connect(&place).await.unwrap());
    sqlx::raw_sql("BEGIN; LOCK TABLE usage IN ACCESS EXCLUSIVE MODE").execute(&mut taken).await.unwrap();
    let waiting = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'WITH paid%'";
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut raw).await.unwrap() == 0 {}
    assert_eq!(server.terminate(), Some(0));
}

#[tokio::test]
async fn a_data_directory_belongs_to_one_database() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    drop(Server::start(&[], &data));
    let url = url_file(dir.path(), "postgres://nobody:s3cret@127.0.0.1:1/nowhere");
    let refused = message(&run(&with(&url, &["serve", "--listen", "127.0.0.1:0"]), &data));
    assert!(refused.contains("belongs to a SQLite database"), "{refused}");
    let refused = message(&run(&with(&url, &["account", "list"]), &dir.path().join("new")));
    assert!(refused.contains("master.key is missing"), "{refused}");
    let refused = message(&run(&with(&url, &["migrate", "status"]), &dir.path().join("new")));
    assert!(refused.contains("cannot read the PostgreSQL database nowhere at 127.0.0.1:1"), "{refused}");
    assert!(!refused.contains("s3cret"), "{refused}");
}

/// A port that leads to the server.
async fn relay() -> Relay {
    let url = server_url();
    let directory = url.split("host=").nth(1).unwrap().split('&').next().unwrap();
    Relay::to(Path::new(directory).join(".s.PGSQL.5432")).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_is_waited_for_and_warm_keys_do_not_notice() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut relay = relay().await;
    let name = database().await;
    let url = format!("postgres://postgres@{}/{name}?sslmode=disable", relay.address());
    let url = url_file(dir.path(), &url);

    let arguments = with(&url, &["serve", "--listen", "127.0.0.1:0"]);
    let mut child = apsis(&arguments, &data).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(log.any(|line| line.unwrap().contains("the database is away")));
    relay.come().await.unwrap();
    let mut greeting = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut greeting).unwrap();
    assert!(greeting.contains("http://"), "{greeting}");
    child.kill().unwrap();
    child.wait().unwrap();

    let provider = Provider::start().await.unwrap();
    let key = prepare(&url, &data, &provider);
    let token = printed(&with(&url, &["pat", "create"]), &data).trim().to_owned();
    let mut server = Server::start(&with(&url, &PRIVATE), &data);
    let caller = Caller::new();
    assert_eq!(ask(&caller, server.address, &key).await, 200);
    relay.go().await;
    for _ in 0..10 {
        assert_eq!(ask(&caller, server.address, &key).await, 200, "what the node has leased it may spend");
    }
    let own = format!("http://{}/api/user/self", server.address);
    let asked = async || caller.text("GET", &own, &[("authorization", &token)], "").await.0;
    assert_eq!(asked().await, 503);
    relay.come().await.unwrap();
    while asked().await != 200 {}
    assert_eq!(server.terminate(), Some(0));
    assert_eq!(printed(&with(&url, &["ledger", "verify"]), &data), "the ledger adds up\n");
    assert_eq!(used(&url, &data), 11 * WORDS);
}
