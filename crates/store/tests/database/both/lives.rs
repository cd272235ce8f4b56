//! A database that comes back without what it had committed last: what nodes say, and what is charged meanwhile.

use std::time::Duration;

use ledger::{Applied, Book, BookError, Draw, LeaseState, Node, Outlook, Part, Standing};
use model::{
    id::{JournalId, LeaseId, PoolId},
    key::{ApiKey, Settings, Status},
    money::Units,
};
use store::KeyChange;

use crate::fixture::{Fixture, at, batch, charge, lease, node};

/// The lease of a pool without a limit.
const UNLIMITED: LeaseId = LeaseId(0);
const ONE: JournalId = JournalId(7);
const OTHER: JournalId = JournalId(8);
/// Nobody is dead in this time.
const LONG: Duration = Duration::from_secs(3_600);

/// A key with 10,000 units of an account without a limit, and two nodes.
async fn begin() -> (Fixture, ApiKey, PoolId) {
    let fixture = super::open().await;
    let account = fixture.account("ada", None).await;
    let key = fixture.key(account.id, 1, 10_000, Settings::default()).await.key;
    for journal in [ONE, OTHER] {
        fixture.store.open_journal(journal).await.unwrap();
    }
    (fixture, key, account.pool)
}

/// As if another server had taken the place of this one: everything that nodes have leased is known to them alone.
async fn fail_over(fixture: &Fixture) {
    for text in [
        "UPDATE usage_next SET life = life + 1",
        "UPDATE pool SET available = available + leased, leased = 0",
        "UPDATE lease SET state = 'closed', lost = 1 WHERE state = 'open'",
    ] {
        fixture.run(text).await;
    }
    fixture.assert_sound().await;
}

async fn rejoin(fixture: &Fixture, journal: JournalId, epoch: i64) -> Node {
    let node = Node { journal, epoch };
    fixture.store.rejoin(Node { epoch: 1, ..node }, node).await.unwrap();
    node
}

fn standing(pool: PoolId, lease: LeaseId, given: i64, returned: i64) -> Standing {
    let [given, returned] = [given, returned].map(Units::new);
    Standing { lease: Draw { pool, lease }, given, returned }
}

async fn ask(fixture: &Fixture, node: Node, pool: PoolId, need: i64) -> Result<LeaseState, BookError> {
    let need = Units::new(need);
    let ask = ledger::Ask { pool, need, waiting: need, spending: Units::ZERO };
    Ok(fixture.store.lease(node, &[ask]).await?.remove(0).unwrap())
}

/// One charge at position `seq` of the first node's journal.
async fn spend(fixture: &Fixture, draws: [(PoolId, LeaseId); 2], key: &ApiKey, seq: u64, units: i64) {
    let spent = batch(seq - 1, seq, vec![charge(seq, key, draws, units)]);
    assert_eq!(fixture.store.apply(&spent).await, Ok(Applied::Now));
    fixture.assert_sound().await;
}

#[tokio::test]
async fn nothing_is_leased_before_every_node_has_said_what_it_has() {
    let (fixture, key, _) = begin().await;
    let one = lease(&fixture.store, ONE, key.pool, 60).await;
    let other = lease(&fixture.store, OTHER, key.pool, 40).await;
    fail_over(&fixture).await;
    assert_eq!(ask(&fixture, node(ONE), key.pool, 1).await, Err(BookError::Anew));
    assert_eq!(fixture.store.heartbeat(node(ONE), LONG).await, Err(BookError::Anew));

    let first = rejoin(&fixture, ONE, 2).await;
    let told = [standing(key.pool, one.lease, 60, 10)];
    assert_eq!(fixture.store.settle(first, 0, &told).await, Ok(vec![Units::new(50)]));
    assert_eq!(fixture.pool(key.pool).await, [10_000, 0, 50, 0, 9_950]);
    let withheld = ask(&fixture, first, key.pool, 5).await.unwrap();
    assert_eq!((withheld.lease, withheld.amount), (one.lease, Units::new(60)), "nothing more");
    assert_eq!(withheld.outlook, Outlook::Withheld);
    let stays = ask(&fixture, first, key.pool, 0).await.unwrap();
    assert_eq!((stays.amount, stays.outlook), (Units::new(60), Outlook::Met), "who lacks nothing goes on");

    let second = rejoin(&fixture, OTHER, 2).await;
    assert_eq!(
        fixture.store.settle(second, 0, &[standing(key.pool, other.lease, 40, 0)]).await,
        Ok(vec![Units::new(40)])
    );
    let given = ask(&fixture, first, key.pool, 5).await.unwrap();
    assert_eq!((given.amount, given.outlook), (Units::new(65), Outlook::Met));
    fixture.assert_sound().await;
    assert_eq!(fixture.store.heartbeat(node(ONE), LONG).await, Err(BookError::Fenced), "of the life before");
}

#[tokio::test]
async fn charges_on_leases_that_are_lost_come_from_what_is_available() {
    let (fixture, key, balance) = begin().await;
    let known = lease(&fixture.store, ONE, key.pool, 60).await.lease;
    fail_over(&fixture).await;
    let first = rejoin(&fixture, ONE, 2).await;
    // One lease that the database has, and one that it never heard of.
    let lost = LeaseId(999);
    spend(&fixture, [(key.pool, known), (balance, UNLIMITED)], &key, 1, 25).await;
    spend(&fixture, [(key.pool, lost), (balance, UNLIMITED)], &key, 2, 30).await;
    spend(&fixture, [(key.pool, lost), (balance, UNLIMITED)], &key, 3, 3).await;
    assert_eq!(fixture.pool(key.pool).await, [10_000, 58, 0, 0, 9_942]);
    // Its node says what it was given in all; what was charged is a part of that.
    assert_eq!(
        fixture.store.settle(first, 3, &[standing(key.pool, lost, 100, 0)]).await,
        Ok(vec![Units::new(100)])
    );
    assert_eq!(fixture.pool(key.pool).await, [10_000, 58, 67, 0, 9_875]);
    spend(&fixture, [(key.pool, lost), (balance, UNLIMITED)], &key, 4, 7).await;
    assert_eq!(fixture.pool(key.pool).await, [10_000, 65, 60, 0, 9_875]);
    // A hold on the lease that its node does not have any more settles late.
    spend(&fixture, [(key.pool, known), (balance, UNLIMITED)], &key, 5, 5).await;
    assert_eq!(fixture.pool(key.pool).await, [10_000, 70, 60, 0, 9_870]);
}

#[tokio::test]
async fn a_node_has_no_more_than_is_available() {
    let (fixture, key, balance) = begin().await;
    let one = lease(&fixture.store, ONE, key.pool, 60).await;
    fail_over(&fixture).await;
    let first = rejoin(&fixture, ONE, 2).await;
    // More than the quota, since an edit that had raised it is lost.
    let told = [standing(key.pool, one.lease, 90_000, 0), standing(PoolId(999), LeaseId(998), 5, 0)];
    assert_eq!(fixture.store.settle(first, 0, &told).await, Ok(vec![Units::new(10_000), Units::ZERO]));
    assert_eq!(fixture.pool(key.pool).await, [10_000, 0, 10_000, 0, 0]);
    // What was delivered beyond it raises granted and used together.
    spend(&fixture, [(key.pool, one.lease), (balance, UNLIMITED)], &key, 1, 10_500).await;
    assert_eq!(fixture.pool(key.pool).await, [10_500, 10_500, 0, 0, 0]);
}

#[tokio::test]
async fn what_a_node_had_that_says_nothing_is_set_apart_for_it() {
    let (fixture, key, _) = begin().await;
    let one = lease(&fixture.store, ONE, key.pool, 60).await;
    let other = lease(&fixture.store, OTHER, key.pool, 40).await;
    fail_over(&fixture).await;
    let first = rejoin(&fixture, ONE, 2).await;
    assert_eq!(
        fixture.store.settle(first, 0, &[standing(key.pool, one.lease, 60, 0)]).await,
        Ok(vec![Units::new(60)])
    );
    let silent = "UPDATE journal SET seen = 1 WHERE name = $1";
    sqlx::query(silent).bind(OTHER.to_string()).execute(&mut fixture.raw().await).await.unwrap();
    fixture.store.heartbeat(first, LONG).await.unwrap();
    assert_eq!(fixture.pool(key.pool).await, [10_000, 0, 60, 40, 9_900]);
    assert_eq!(
        ask(&fixture, first, key.pool, 5).await.unwrap().outlook,
        Outlook::Met,
        "it is not waited for"
    );
    fixture.assert_sound().await;

    // It comes back, with more than the database knew it to have.
    let second = rejoin(&fixture, OTHER, 2).await;
    let outlook = ask(&fixture, first, key.pool, 5_000).await.unwrap().outlook;
    assert_ne!(outlook, Outlook::Withheld, "before it has said what it has, it is as good as silent");
    assert_eq!(
        fixture.store.settle(second, 0, &[standing(key.pool, other.lease, 70, 0)]).await,
        Ok(vec![Units::new(40)])
    );
    let [granted, used, leased, suspense, available] = fixture.pool(key.pool).await;
    assert_eq!((granted, used, suspense, leased + available), (10_000, 0, 0, 10_000));
    fixture.assert_sound().await;
}

#[tokio::test]
async fn a_quota_that_is_set_before_all_have_spoken_stays_exact() {
    let (fixture, key, balance) = begin().await;
    let known = lease(&fixture.store, ONE, key.pool, 60).await.lease;
    // One that the database does not know any more.
    let lost = lease(&fixture.store, OTHER, key.pool, 40).await.lease;
    fail_over(&fixture).await;
    let gone = "DELETE FROM lease WHERE id = $1";
    sqlx::query(gone).bind(lost.0).execute(&mut fixture.raw().await).await.unwrap();
    let (settings, status) = (Settings::default(), Status::Enabled);
    let change = KeyChange { settings, status, quota: Some(Units::new(500)) };
    fixture.store.update_key(key.account, key.id, &change, at(2)).await.unwrap();
    let first = rejoin(&fixture, ONE, 2).await;
    spend(&fixture, [(key.pool, known), (balance, UNLIMITED)], &key, 1, 25).await;
    spend(&fixture, [(key.pool, lost), (balance, UNLIMITED)], &key, 2, 30).await;
    let told = [standing(key.pool, lost, 100, 0)];
    assert_eq!(fixture.store.settle(first, 2, &told).await, Ok(vec![Units::ZERO]));
    assert_eq!(fixture.pool(key.pool).await, [555, 55, 0, 0, 500]);
}

#[tokio::test]
async fn a_book_that_went_back_once_more_does_not_take_the_word_of_a_node() {
    let (fixture, key, balance) = begin().await;
    let one = lease(&fixture.store, ONE, key.pool, 60).await.lease;
    fail_over(&fixture).await;
    let first = rejoin(&fixture, ONE, 2).await;
    spend(&fixture, [(key.pool, one), (balance, UNLIMITED)], &key, 1, 25).await;
    let told = [standing(key.pool, one, 60, 0)];
    // It has lost the charge again, and then the registration as well.
    let settle = async |applied| fixture.store.settle(first, applied, &told).await;
    assert_eq!(settle(2).await, Err(BookError::Anew));
    fixture.run("UPDATE journal SET epoch = 1").await;
    assert_eq!(settle(1).await, Err(BookError::Anew));
    fixture.run("UPDATE journal SET epoch = 3").await;
    assert_eq!(settle(1).await, Err(BookError::Fenced), "somebody else goes on with the journal");
    fixture.run("UPDATE journal SET epoch = 2").await;
    assert_eq!(fixture.pool(key.pool).await, [10_000, 25, 0, 0, 9_975], "nothing was done");
    assert_eq!(settle(1).await, Ok(vec![Units::new(60)]));
    let gone = Node { journal: JournalId(99), epoch: 5 };
    assert_eq!(fixture.store.settle(gone, 0, &[]).await, Err(BookError::Anew));
}

#[tokio::test]
async fn what_came_back_of_a_lease_comes_back_once() {
    let (fixture, key, balance) = begin().await;
    let one = lease(&fixture.store, ONE, key.pool, 60).await.lease;
    fail_over(&fixture).await;
    let first = rejoin(&fixture, ONE, 2).await;
    spend(&fixture, [(key.pool, one), (balance, UNLIMITED)], &key, 1, 55).await;
    // More went back than is left: it was taken out of use while holds had it.
    let told = [standing(key.pool, one, 60, 20)];
    assert_eq!(fixture.store.settle(first, 1, &told).await, Ok(vec![Units::new(55)]));
    let part = |returned| Part {
        lease: Draw { pool: key.pool, lease: one },
        returned: Units::new(returned),
        wish: 0,
    };
    fixture.store.give_back(first, &[part(20)]).await.unwrap();
    assert_eq!(fixture.pool(key.pool).await, [10_000, 55, 0, 0, 9_945]);
    // Whatever a node says, no more comes back than is left.
    fixture.store.give_back(first, &[part(9_000)]).await.unwrap();
    assert_eq!(fixture.pool(key.pool).await, [10_000, 55, 0, 0, 9_945]);
    fixture.assert_sound().await;
}

/// A server that cannot start is started again for ever; the others do not wait for it.
#[tokio::test]
async fn a_node_that_never_says_what_it_has_is_not_waited_for() {
    let (fixture, key, _) = begin().await;
    let other = lease(&fixture.store, OTHER, key.pool, 40).await;
    fail_over(&fixture).await;
    let first = rejoin(&fixture, ONE, 2).await;
    fixture.store.settle(first, 0, &[]).await.unwrap();
    fixture.run("UPDATE journal SET seen = 1 WHERE life < (SELECT life FROM usage_next)").await;
    fixture.store.open_journal(OTHER).await.unwrap();
    fixture.store.rejoin(Node { journal: OTHER, epoch: 2 }, Node { journal: OTHER, epoch: 9 }).await.unwrap();
    assert_eq!(ask(&fixture, first, key.pool, 5).await.unwrap().outlook, Outlook::Withheld);
    fixture.store.heartbeat(first, LONG).await.unwrap();
    assert_eq!(fixture.pool(key.pool).await, [10_000, 0, 0, 40, 9_960], "what it had waits for it");
    for epoch in 10..12 {
        assert_eq!(fixture.store.open_journal(OTHER).await.unwrap().epoch, epoch);
        assert_ne!(ask(&fixture, first, key.pool, 5).await.unwrap().outlook, Outlook::Withheld);
    }
    // Once it does say it, nothing stands in suspense any more, and it is as good as any other.
    let again = Node { journal: OTHER, epoch: 11 };
    let told = [standing(key.pool, other.lease, 40, 0)];
    assert_eq!(fixture.store.settle(again, 0, &told).await, Ok(vec![Units::new(40)]));
    let [granted, used, leased, suspense, available] = fixture.pool(key.pool).await;
    assert_eq!((granted, used, suspense, leased + available), (10_000, 0, 0, 10_000));
    assert_eq!(fixture.store.heartbeat(again, LONG).await, Ok(Vec::new()));
    assert_ne!(ask(&fixture, again, key.pool, 5).await.unwrap().outlook, Outlook::Withheld);
    fixture.assert_sound().await;
}

#[tokio::test]
async fn the_pool_of_a_key_that_is_lost_keeps_its_charges() {
    let (fixture, key, balance) = begin().await;
    let mut gone = key.clone();
    gone.pool = PoolId(4_711);
    spend(&fixture, [(gone.pool, LeaseId(999)), (balance, UNLIMITED)], &gone, 1, 30).await;
    assert_eq!(fixture.pool(gone.pool).await, [30, 30, 0, 0, 0]);
}

#[tokio::test]
async fn a_node_that_has_begun_again_elsewhere_does_not_rejoin() {
    let (fixture, ..) = begin().await;
    let store = &fixture.store;
    let node = |epoch| Node { journal: ONE, epoch };
    assert_eq!(store.rejoin(node(1), node(50)).await.unwrap().epoch, 50);
    assert_eq!(store.rejoin(node(1), node(50)).await.unwrap().epoch, 50, "the answer may be lost");
    assert_eq!(store.open_journal(ONE).await.unwrap().epoch, 51);
    assert_eq!(store.rejoin(node(50), node(99)).await, Err(BookError::Fenced));
    let gone = Node { journal: JournalId(99), epoch: 5 };
    assert_eq!(store.heartbeat(gone, LONG).await, Err(BookError::Anew), "its beginning is lost");
    assert_eq!(store.rejoin(gone, Node { epoch: 9, ..gone }).await.unwrap().applied, 0);
}
