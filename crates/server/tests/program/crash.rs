//! kill -9 at random moments under load: every answer that a caller saw whole is charged once, at its price.

use std::{collections::HashMap, path::Path, sync::Arc, time::Duration};

use http_body_util::BodyExt;
use model::money::Units;
use parking_lot::Mutex;
use store::{MasterKey, Store, UsageFilter};
use testkit::{Provider, Script};

use crate::process::{Caller, Server, printed};

const DEATHS: u64 = 100;
const CALLERS: usize = 6;
/// Words in an answer: tokens at one unit.
const WORDS: i64 = 9;

fn prepare(data: &Path, provider: &Provider) -> String {
    drop(Server::start(&[], data));
    let models = ["--models", "m"];
    printed(&[&["channel", "add", "--name", "c", "--base-url", &provider.url()], &models[..]].concat(), data);
    printed(&["price", "set", "m", "--input", "0", "--output", "1000000", "--max-output", "50"], data);
    printed(&["account", "set-balance", "root", "100000000"], data);
    printed(&["key", "create", "--quota", "90000000"], data).trim().to_owned()
}

/// Asks until the server dies; notes the requests whose answers came whole.
async fn ask_on(base: String, key: String, name: String, whole: Arc<Mutex<Vec<String>>>) {
    let caller = Caller::new();
    let bearer = format!("Bearer {key}");
    for index in 0_u64.. {
        let id = format!("{name}-{index}");
        let stream = index % 2 == 0;
        let body = format!(r#"{{"model":"m","stream":{stream},"messages":[]}}"#);
        let headers = [("authorization", bearer.as_str()), ("x-request-id", id.as_str())];
        let Ok(response) = caller.send("POST", &base, &headers, &body).await else { return };
        let status = response.status();
        let Ok(body) = response.into_body().collect().await else { return };
        let text = String::from_utf8(body.to_bytes().to_vec()).unwrap();
        let end = if stream { "data: [DONE]\n\n" } else { "}" };
        assert!(status == 200 && text.ends_with(end), "{id}: {status} {text}");
        whole.lock().push(id);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_that_was_seen_whole_is_charged_once() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let provider = Provider::start().await.unwrap();
    provider.script("m", Script { words: Some(WORDS.unsigned_abs()), ..Script::default() });
    let key = prepare(&data, &provider);
    let whole = Arc::new(Mutex::new(Vec::new()));
    let mut moment = 0x5eed_u64;
    for death in 0..DEATHS {
        let mut server = Server::start(
            &[
                "--set",
                "journal.segment_bytes=1048576",
                "--set",
                "journal.apply_every=20ms",
                "--set",
                "upstream.allow_private=127.0.0.0/8",
            ],
            &data,
        );
        let base = format!("http://{}/v1/chat/completions", server.address);
        let before = whole.lock().len();
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                tokio::spawn(ask_on(
                    base.clone(),
                    key.clone(),
                    format!("d{death}c{caller}"),
                    Arc::clone(&whole),
                ))
            })
            .collect();
        // A moment of the load, not of the clock: after so many answers, and a few microseconds.
        moment = moment.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let answers = usize::try_from(moment >> 59).unwrap();
        while whole.lock().len() < before + answers {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_micros((moment >> 40) % 3_000)).await;
        server.child.kill().unwrap();
        server.child.wait().unwrap();
        for caller in callers {
            caller.await.unwrap();
        }
    }
    let mut server = Server::start(&[], &data);
    assert_eq!(server.terminate(), Some(0));
    assert_eq!(printed(&["ledger", "verify"], &data), "the ledger adds up\n");
    let whole = whole.lock().clone();
    check(&data, &whole).await;
}

async fn check(data: &Path, whole: &[String]) {
    let master = MasterKey::from_hex(&std::fs::read_to_string(data.join("master.key")).unwrap()).unwrap();
    let store = Store::open(&data.join("apsis.db"), &master).await.unwrap();
    let root = store.account_by_username("root").await.unwrap().unwrap();
    let mut charges: HashMap<String, Vec<Units>> = HashMap::new();
    let mut sum = 0;
    let of_root = UsageFilter { account: Some(root.id), ..UsageFilter::default() };
    for record in store.usage(&of_root, 0, i64::MAX).await.unwrap().0 {
        assert!(record.units <= Units::new(WORDS), "{record:?}");
        assert_eq!(record.overrun, Units::ZERO);
        sum += record.units.get();
        charges.entry(record.request_id).or_default().push(record.units);
    }
    assert!(whole.len() > 500, "{} answers are too few to mean anything", whole.len());
    for id in whole {
        assert_eq!(charges.get(id), Some(&vec![Units::new(WORDS)]), "{id}");
    }
    assert!(charges.values().all(|units| units.len() == 1), "a request is charged twice");
    assert_eq!(root.used, Units::new(sum));
}
