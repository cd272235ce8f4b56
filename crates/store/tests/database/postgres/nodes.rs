//! Several processes on one PostgreSQL database.

use std::time::Duration;

use crate::{
    fixture::{self, Fixture, at, batch, charge},
    server::{Database, url_of},
};
use ledger::{Applied, Batch, Book};
use model::{
    id::{JournalId, LeaseId},
    key::{ApiKey, Settings, Status},
};
use store::{
    Group, KeyChange, KeyView, Leaps, Listing, MasterKey, ModelFacts, PostgresServer, Store, StoreError,
};

fn group(name: &str) -> Group {
    Group { name: name.to_owned(), description: String::new(), ratio: model::price::Ratio::ONE }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_database_is_made_ready_once_by_all_who_come() {
    let database = Database::empty().await;
    let master = MasterKey::generate().unwrap();
    let (server, same) = (database.server(), database.server());
    let (one, other) = tokio::join!(Store::connect(&server, &master), Store::connect(&same, &master));
    let (one, other) = (one.unwrap(), other.unwrap());
    one.create_root("a set-up token", at(1)).await.unwrap().unwrap();
    assert_eq!(other.create_root("another", at(1)).await.unwrap(), None);
    assert!(other.take_setup_token("a set-up token", at(2)).await.unwrap().is_some(), "they digest alike");
    assert_eq!(one.other_processes().await.unwrap(), 1);
    other.close().await;
    one.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_two_of_them_lease_and_spend_adds_up() {
    let fixture = Fixture::on_postgres().await;
    let account = fixture.account("ada", None).await;
    let other = fixture.reopen(&fixture.master).await.unwrap();
    let work = async |store: &Store, journal: JournalId, key: &ApiKey, round: u64| {
        let mut one = charge(round + 1, key, [(account.pool, LeaseId(0)); 2], 1);
        one.id.journal = journal;
        let spent = Batch { journal, ..batch(round * 2, round * 2 + 2, vec![one]) };
        assert_eq!(store.apply(&spent).await, Ok(Applied::Now));
        fixture::lease(store, journal, key.pool, 60).await.amount.get()
    };
    let nodes = [(&fixture.store, JournalId(1)), (&other, JournalId(2))];
    for (store, journal) in nodes {
        store.open_journal(journal).await.unwrap();
    }
    for round in 0..40 {
        let key = fixture.key(account.id, u8::try_from(round).unwrap(), 100, Settings::default()).await.key;
        let [one, two] = nodes.map(|(store, journal)| work(store, journal, &key, round));
        let (one, two) = tokio::join!(one, two);
        assert_eq!((one.min(two), one.max(two)), (0, 60), "what there is was leased once");
    }
    assert_eq!(fixture.pool(account.pool).await[1], 160, "both draws of 80 charges");
    fixture.assert_sound().await;
}

/// Models that are made in one transaction, each with its change.
fn models(count: usize) -> Vec<Listing> {
    let facts = |number: usize| ModelFacts {
        name: format!("model-{number}"),
        provider: String::new(),
        kind: String::new(),
        description: String::new(),
        features: Vec::new(),
        input_modalities: Vec::new(),
        output_modalities: Vec::new(),
        endpoints: Vec::new(),
        context_length: None,
        doc_url: String::new(),
        source: String::new(),
        as_of: String::new(),
        listed: true,
    };
    (0..count).map(|number| Listing { facts: facts(number), prices: Vec::new() }).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_change_is_overtaken_by_a_later_one() {
    let fixture = Fixture::on_postgres().await;
    let other = fixture.reopen(&fixture.master).await.unwrap();
    let mut seen = fixture.store.last_change().await.unwrap();
    let groups = async {
        for number in 0..40 {
            fixture.store.put_group(&group(&format!("group-{number}")), at(1)).await.unwrap();
        }
    };
    let list = models(200);
    let mut writing =
        Box::pin(async { tokio::join!(groups, other.import(&list, Leaps::Confirmed, at(1))).1.unwrap() });
    let mut count = 0;
    loop {
        let done = tokio::select! {
            biased;
            made = &mut writing => Some(made.models),
            () = tokio::task::yield_now() => None,
        };
        for change in fixture.store.changes_since(seen).await.unwrap().list {
            assert!(change.seq > seen);
            (seen, count) = (change.seq, count + 1);
        }
        if done.is_some() {
            break;
        }
    }
    assert_eq!(count, 240);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_edits_at_the_same_moment_both_stay() {
    let fixture = Fixture::on_postgres().await;
    let other = fixture.reopen(&fixture.master).await.unwrap();
    let account = fixture.account("ada", None).await.id;
    let key = fixture.key(account, 1, 100, Settings::default()).await.key;
    let change = |settings: Settings| KeyChange { settings, status: Status::Enabled, quota: None };
    let (inside, entered) = std::sync::mpsc::channel();
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let first = tokio::spawn({
        let (store, id) = (fixture.store.clone(), key.id);
        async move {
            let decide = move |view: &KeyView| {
                inside.send(()).unwrap();
                wait.recv().unwrap();
                Ok::<_, ()>(change(Settings { name: "renamed".to_owned(), ..view.key.settings.clone() }))
            };
            store.edit_key(account, id, at(2), decide).await.unwrap().unwrap();
        }
    });
    tokio::task::spawn_blocking(move || entered.recv().unwrap()).await.unwrap();
    let second = tokio::spawn(async move {
        let decide = |view: &KeyView| {
            Ok::<_, ()>(change(Settings { model_limits: "m".to_owned(), ..view.key.settings.clone() }))
        };
        other.edit_key(account, key.id, at(2), decide).await.unwrap().unwrap();
    });
    // Until the second waits for the first, or has not had to.
    let mut raw = fixture.raw().await;
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while !second.is_finished()
        && sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut raw).await.unwrap() == 0
    {}
    go_on.send(()).unwrap();
    first.await.unwrap();
    second.await.unwrap();
    let settings = fixture.store.key(account, key.id).await.unwrap().unwrap().key.settings;
    assert_eq!((settings.name.as_str(), settings.model_limits.as_str()), ("renamed", "m"));
}

#[tokio::test]
async fn a_writer_that_does_not_end_is_not_waited_for_without_end() {
    let fixture = Fixture::on_postgres().await;
    let mut stuck = fixture.raw().await;
    sqlx::raw_sql("BEGIN; UPDATE usage_next SET one = one").execute(&mut stuck).await.unwrap();
    let server = PostgresServer { statement_timeout: Duration::from_millis(100), ..fixture.server() };
    let hasty = Store::connect(&server, &fixture.master).await.unwrap();
    let refused = hasty.put_group(&group("g"), at(1)).await.unwrap_err();
    assert!(refused.to_string().contains("statement timeout"), "{refused}");
    sqlx::raw_sql("ROLLBACK").execute(&mut stuck).await.unwrap();
    hasty.put_group(&group("g"), at(1)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_falls_silent_is_given_up_and_found_again() {
    let fixture = Fixture::on_postgres().await;
    let (mut relay, url) = fixture.server_behind_a_relay().await;
    relay.come().await.unwrap();
    let server = PostgresServer { url, connections: 2, statement_timeout: Duration::from_millis(200) };
    let store = Store::connect(&server, &fixture.master).await.unwrap();
    store.put_group(&group("before"), at(1)).await.unwrap();
    relay.silence(true);
    let unheard = group("unheard");
    let (written, read) = tokio::join!(store.put_group(&unheard, at(1)), store.list_groups());
    assert!(written.unwrap_err().is_away() && read.unwrap_err().is_away());
    relay.silence(false);
    store.put_group(&group("after"), at(1)).await.unwrap();
    assert!(store.list_groups().await.unwrap().iter().any(|group| group.name == "after"));
}

#[tokio::test]
async fn a_database_that_is_not_there_is_told_from_one_that_is_away() {
    let master = MasterKey::generate().unwrap();
    let connect = async |url: &str| {
        let server = PostgresServer {
            url: url.parse().unwrap(),
            connections: 2,
            statement_timeout: Duration::from_secs(1),
        };
        Store::connect(&server, &master).await.unwrap_err()
    };
    let refused = connect("postgres://nobody@127.0.0.1:1/nowhere").await;
    assert!(refused.is_away(), "{refused}");
    let missing = connect(&url_of("nowhere")).await;
    assert!(!missing.is_away() && missing.to_string().contains("\"nowhere\" does not exist"), "{missing}");
}

#[tokio::test]
async fn a_text_that_the_database_cannot_hold_is_the_caller_s_fault() {
    let fixture = Fixture::on_postgres().await;
    let refused = fixture.store.put_group(&group("a\0b"), at(1)).await;
    assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
    fixture.store.put_group(&group("ab"), at(1)).await.unwrap();
}
