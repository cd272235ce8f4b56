//! Backups of a running server and the way back, and the move to PostgreSQL after a death.

use std::path::Path;

use testkit::Provider;

use crate::{
    postgres::{PRIVATE, WORDS, ask, database, message, prepare, server_url, url_file, used, with},
    process::{Caller, Server, printed, run},
};

/// A setting that says what is so anyway, for SQLite.
const SQLITE: &str = "journal.apply_every=200ms";

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_running_server_gives_no_quota_twice() {
    let dir = tempfile::tempdir().unwrap();
    let (data, new) = (dir.path().join("data"), dir.path().join("new"));
    let provider = Provider::start().await.unwrap();
    drop(Server::start(&PRIVATE, &data));
    let key = prepare(SQLITE, &data, &provider);
    let mut server = Server::start(&PRIVATE, &data);
    let caller = Caller::new();
    for _ in 0..3 {
        assert_eq!(ask(&caller, server.address, &key).await, 200);
    }
    while used(SQLITE, &data) < 3 * WORDS {}
    let file = dir.path().join("backup");
    let file = file.to_str().unwrap();
    assert!(printed(&["backup", file], &data).contains("the master key is not in it"));
    assert_eq!(ask(&caller, server.address, &key).await, 200);
    assert_eq!(server.terminate(), Some(0));

    let refused = message(&run(&["restore", file], &new));
    assert!(refused.contains("master.key is missing"), "{refused}");
    std::fs::copy(data.join("master.key"), new.join("master.key")).unwrap();
    let said = printed(&["restore", file, "--verify"], &new);
    assert!(said.contains("leases are in suspense") && said.ends_with("the ledger adds up\n"), "{said}");
    assert_eq!(used(SQLITE, &new), 3 * WORDS);
    let mut restored = Server::start(&PRIVATE, &new);
    let status = ask(&caller, restored.address, &key).await;
    assert!((400..500).contains(&status), "{status}: what was leased may have been spent");
    assert_eq!(restored.terminate(), Some(0));
    assert!(printed(&["ledger", "suspense"], &new).contains("restored\t"));
    printed(&["ledger", "resolve", "restored", "--return"], &new);
    let mut restored = Server::start(&PRIVATE, &new);
    assert_eq!(ask(&caller, restored.address, &key).await, 200, "an operator has decided");
    assert_eq!(restored.terminate(), Some(0));
    assert_eq!(printed(&["ledger", "verify"], &new), "the ledger adds up\n");

    // The journal of before has what the restored books have not.
    std::fs::remove_dir_all(new.join("journal")).unwrap();
    copy(&data.join("journal"), &new.join("journal"));
    let refused = message(&run(&["serve", "--listen", "127.0.0.1:0"], &new));
    assert!(refused.contains("the database has charges that are not in the journal"), "{refused}");
    std::fs::remove_file(new.join("apsis.db")).unwrap();
    let refused = message(&run(&["restore", file], &new));
    assert!(refused.contains("has the journal of a database"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_installation_moves_to_postgres_with_all_that_its_journal_has() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let name = database().await;
    let url = url_file(dir.path(), &server_url().replacen("/postgres?", &format!("/{name}?"), 1));
    let provider = Provider::start().await.unwrap();
    drop(Server::start(&PRIVATE, &data));
    let key = prepare(SQLITE, &data, &provider);
    let caller = Caller::new();
    let mut server = Server::start(&PRIVATE, &data);
    for _ in 0..5 {
        assert_eq!(ask(&caller, server.address, &key).await, 200);
    }
    let refused = message(&run(&with(&url, &["move"]), &data));
    assert!(refused.contains("another apsis process uses the data directory"), "{refused}");
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    let refused = message(&run(&["move"], &data));
    assert!(refused.contains("`database_url`"), "{refused}");
    let said = printed(&with(&url, &["move"]), &data);
    assert!(said.contains("the ledger adds up on both sides"), "{said}");

    let refused = message(&run(&["serve", "--listen", "127.0.0.1:0"], &data));
    assert!(refused.contains("was moved to PostgreSQL"), "{refused}");
    assert_eq!(used(&url, &data), 5 * WORDS);
    let mut server = Server::start(&with(&url, &PRIVATE), &data);
    assert_eq!(ask(&caller, server.address, &key).await, 200);
    assert_eq!(server.terminate(), Some(0));
    assert_eq!(used(&url, &data), 6 * WORDS);
    assert_eq!(printed(&with(&url, &["ledger", "verify"]), &data), "the ledger adds up\n");

    // Once more to the same place.
    std::fs::rename(data.join("apsis.db.moved"), data.join("apsis.db")).unwrap();
    let refused = message(&run(&with(&url, &["move"]), &data));
    assert!(refused.contains("is not empty") || refused.contains("not in the journal"), "{refused}");
}
