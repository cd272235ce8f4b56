//! Another server of the database in the place of one, as the first transaction that writes there sees it.

use std::time::Duration;

use ledger::{Book, BookError, Draw, Node, Standing};
use model::{
    id::{JournalId, LeaseId},
    key::Settings,
    money::Units,
};

use crate::fixture::{Fixture, batch, charge, lease, node};

/// The lease of a pool without a limit.
const UNLIMITED: LeaseId = LeaseId(0);
const ONE: JournalId = JournalId(7);
const OTHER: JournalId = JournalId(8);
const LONG: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn the_first_word_on_another_server_begins_a_life() {
    let fixture = Fixture::on_postgres().await;
    let account = fixture.account("ada", None).await;
    let key = fixture.key(account.id, 1, 10_000, Settings::default()).await.key;
    for journal in [ONE, OTHER] {
        fixture.store.open_journal(journal).await.unwrap();
    }
    let leased = lease(&fixture.store, ONE, key.pool, 60).await.lease;
    let mut before = charge(1, &key, [(key.pool, leased), (account.pool, UNLIMITED)], 9);
    before.id.journal = ONE;
    fixture.store.apply(&ledger::Batch { journal: ONE, ..batch(0, 1, vec![before.clone()]) }).await.unwrap();
    let seen = fixture.store.last_change().await.unwrap();
    assert!(fixture.store.heartbeat(node(ONE), LONG).await.unwrap().is_empty(), "the server is the same");

    // Another one, without the last charge, its record and all that it taught.
    for text in [
        "UPDATE usage_next SET server = server - 1, id = 0, opened = 0",
        "DELETE FROM usage",
        "DELETE FROM usage_payer",
        "DELETE FROM usage_way",
        "UPDATE journal SET applied = 0",
        "UPDATE lease SET spent = 0",
        "UPDATE pool SET leased = leased + 9, used = 0 WHERE leased > 0",
        "UPDATE pool SET granted = 0, used = 0 WHERE unlimited = 1",
    ] {
        fixture.run(text).await;
    }
    fixture.run("CREATE TABLE stranger (id SERIAL)").await;
    assert_eq!(fixture.store.heartbeat(node(ONE), LONG).await, Err(BookError::Anew));
    // The life has begun, although the word that began it was refused.
    assert_eq!(fixture.pool(key.pool).await, [10_000, 0, 0, 0, 10_000], "nobody knows what is leased");
    let stranger =
        "SELECT count(*) FROM pg_sequences WHERE sequencename LIKE 'stranger%' AND last_value IS NULL";
    let unused: i64 = sqlx::query_scalar(stranger).fetch_one(&mut fixture.raw().await).await.unwrap();
    assert_eq!(unused, 1, "what is not ours stays as it is");
    let again = Node { journal: ONE, epoch: 2 };
    assert_eq!(fixture.store.rejoin(node(ONE), again).await.unwrap().applied, 0);
    assert_eq!(fixture.pool(key.pool).await, [10_000, 0, 0, 0, 10_000], "nobody knows what is leased");
    assert!(!fixture.store.changes_since(seen).await.unwrap().reaches_back, "everything is read again");
    let next = fixture.key(account.id, 2, 5, Settings::default()).await.key;
    assert!((100_000..200_000).contains(&next.id.0), "no number that was given is given again");
    let server: i64 =
        sqlx::query_scalar("SELECT number FROM server").fetch_one(&mut fixture.raw().await).await.unwrap();
    assert!(next.pool.0 > server, "also where two take the place of the same one");

    // What this process remembers of the other server is not used: the charge has its payer and its way.
    fixture.store.apply(&ledger::Batch { journal: ONE, ..batch(0, 1, vec![before]) }).await.unwrap();
    let [given, returned] = [60, 0].map(Units::new);
    let told = Standing { lease: Draw { pool: key.pool, lease: leased }, given, returned };
    assert_eq!(fixture.store.settle(again, 1, &[told]).await, Ok(vec![Units::new(60)]));
    assert_eq!(fixture.pool(key.pool).await, [10_000, 9, 51, 0, 9_940]);
    fixture.assert_sound().await;
    assert!(fixture.store.heartbeat(again, LONG).await.unwrap().is_empty());
}
