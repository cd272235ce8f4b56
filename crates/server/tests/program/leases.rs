//! Three servers on one database, and a key that affords exactly a thousand requests: that many succeed, on whichever
//! server, also when one of them dies on the way.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use testkit::{Provider, Script};
use tokio::task::JoinSet;

use crate::{
    postgres::{PRIVATE, WORDS, database, server_url, url_file, used, with},
    process::{Caller, Server, printed},
};

const AFFORDED: usize = 1_000;
/// Each server gets as many requests as the key affords.
const SERVERS: usize = 3;

struct Cluster {
    dir: TempDir,
    url: String,
    servers: Vec<Server>,
    key: String,
    /// It answers as long as it is kept.
    _provider: Provider,
}

fn data(dir: &Path, number: usize) -> PathBuf {
    dir.join(format!("data-{number}"))
}

impl Cluster {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url =
            url_file(dir.path(), &server_url().replacen("/postgres?", &format!("/{}?", database().await), 1));
        let provider = Provider::start().await.unwrap();
        provider.script("m", Script { words: Some(WORDS.unsigned_abs()), ..Script::default() });
        let first = data(dir.path(), 0);
        printed(&with(&url, &["migrate", "apply"]), &first);
        let arguments = with(&url, &PRIVATE);
        let servers = vec![Server::start(&arguments, &first)];
        let base = provider.url();
        for command in [
            &["channel", "add", "--name", "c", "--base-url", &base, "--models", "m"][..],
            &["price", "set", "m", "--input", "0", "--output", "1000000", "--max-output", "50"],
            &["account", "set-balance", "root", "1000000"],
        ] {
            printed(&with(&url, command), &first);
        }
        let quota = (AFFORDED as i64 * WORDS).to_string();
        let key = printed(&with(&url, &["key", "create", "--quota", &quota]), &first).trim().to_owned();
        let mut cluster = Self { dir, url, servers, key, _provider: provider };
        for number in 1..SERVERS {
            let data = data(cluster.dir.path(), number);
            std::fs::create_dir(&data).unwrap();
            std::fs::copy(first.join("master.key"), data.join("master.key")).unwrap();
            cluster.servers.push(Server::start(&with(&cluster.url, &PRIVATE), &data));
        }
        cluster
    }

    fn address(&self, number: usize) -> SocketAddr {
        self.servers.iter().cycle().nth(number).unwrap().address
    }

    /// Asks `count` times at once, one server after the other. The statuses; 0 where there was no answer.
    fn ask(&self, count: usize) -> JoinSet<u16> {
        let caller = Caller::new();
        let mut asked = JoinSet::new();
        for number in 0..count {
            let url = format!("http://{}/v1/chat/completions", self.address(number));
            let (caller, bearer) = (caller.clone(), format!("Bearer {}", self.key));
            asked.spawn(async move {
                let body = format!(r#"{{"model":"m","messages":[],"max_tokens":{WORDS}}}"#);
                let answer = caller.send("POST", &url, &[("authorization", &bearer)], &body).await;
                answer.map_or(0, |answer| answer.status().as_u16())
            });
        }
        asked
    }

    /// Asks every server until none affords a request any more. How many succeeded.
    async fn drain(&self) -> usize {
        let mut succeeded = 0;
        let mut refused_since = Instant::now();
        // A refusal that is false ends within a second and a half.
        while refused_since.elapsed() < Duration::from_millis(1_500) {
            let statuses = self.ask(SERVERS).join_all().await;
            let good = statuses.iter().filter(|status| **status == 200).count();
            if good > 0 {
                succeeded += good;
                refused_since = Instant::now();
            }
        }
        succeeded
    }

    /// Stops every server, and proves the books.
    fn end(mut self) -> i64 {
        for server in &mut self.servers {
            assert_eq!(server.terminate(), Some(0));
        }
        let first = data(self.dir.path(), 0);
        assert_eq!(printed(&with(&self.url, &["ledger", "verify"]), &first), "the ledger adds up\n");
        used(&self.url, &first)
    }
}

fn count(statuses: &[u16], status: u16) -> usize {
    statuses.iter().filter(|is| **is == status).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_of_three_thousand_requests_succeed_on_three_servers() {
    let cluster = Cluster::start().await;
    let statuses = cluster.ask(AFFORDED * SERVERS).join_all().await;
    let late = cluster.drain().await;
    let succeeded = count(&statuses, 200);
    let mut others = statuses.clone();
    others.sort_unstable();
    others.dedup();
    assert_eq!((succeeded, late), (AFFORDED, 0), "{others:?}");
    assert_eq!(cluster.end(), AFFORDED as i64 * WORDS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_on_the_way_takes_nothing_along() {
    let mut cluster = Cluster::start().await;
    let mut asked = cluster.ask(AFFORDED * SERVERS);
    let mut statuses = Vec::new();
    while let Some(status) = asked.join_next().await {
        statuses.push(status.unwrap());
        if statuses.len() == AFFORDED / 4 {
            cluster.servers[1].child.kill().unwrap();
            cluster.servers[1].child.wait().unwrap();
        }
    }
    let restarted = Server::start(&with(&cluster.url, &PRIVATE), &data(cluster.dir.path(), 1));
    cluster.servers[1] = restarted;
    let succeeded = count(&statuses, 200) + cluster.drain().await;
    // What the dead server had sent to nobody any more is charged all the same, if it was delivered.
    assert!(succeeded <= AFFORDED, "{succeeded}");
    let used = cluster.end();
    assert!(used >= succeeded as i64 * WORDS, "{used} for {succeeded}");
    assert_eq!(used, AFFORDED as i64 * WORDS, "after {succeeded} that were seen to succeed");
}
