//! Several nodes that share pools: grants, wishes, parts that come back, and nodes that are silent.

use std::time::Duration;

use ledger::{Applied, Ask, Book, BookError, Draw, LeaseState, Node, Outlook, Part, Wanted};
use model::{
    id::{JournalId, LeaseId, PoolId},
    key::{ApiKey, Settings, Status},
    money::Units,
};
use store::{AuditFilter, Decision, KeyChange, Page};

use crate::fixture::{self, Fixture, at, batch, charge, lease, node};

const ONE: JournalId = JournalId(7);
const OTHER: JournalId = JournalId(8);
const THIRD: JournalId = JournalId(9);
/// Nobody is dead in this time.
const LONG: Duration = Duration::from_secs(3_600);

/// An account without a limit and a key with 100 units; the journals are open.
async fn begin(journals: &[JournalId]) -> (Fixture, ApiKey, PoolId) {
    let fixture = super::open().await;
    let account = fixture.account("ada", None).await;
    let key = fixture.key(account.id, 1, 100, Settings::default()).await.key;
    for journal in journals {
        fixture.store.open_journal(*journal).await.unwrap();
    }
    (fixture, key, account.pool)
}

async fn wanted(fixture: &Fixture, journal: JournalId) -> Vec<Wanted> {
    fixture.store.heartbeat(node(journal), LONG).await.unwrap()
}

async fn give_back(fixture: &Fixture, journal: JournalId, pool: PoolId, state: &LeaseState, returned: i64) {
    let wish = wanted(fixture, journal).await.iter().map(|wanted| wanted.wish).max().unwrap_or(0);
    let part = Part { lease: Draw { pool, lease: state.lease }, returned: Units::new(returned), wish };
    fixture.store.give_back(node(journal), &[part]).await.unwrap();
    fixture.assert_sound().await;
}

/// Nothing was heard of the journal for long.
async fn silence(fixture: &Fixture, journal: JournalId) {
    let silent = "UPDATE journal SET seen = 1 WHERE name = $1";
    sqlx::query(silent).bind(journal.to_string()).execute(&mut fixture.raw().await).await.unwrap();
}

/// One charge to a lease of the key, at position `seq` of `journal`.
async fn spend(
    fixture: &Fixture,
    journal: JournalId,
    key: &ApiKey,
    of: (LeaseId, PoolId),
    seq: u64,
    units: i64,
) {
    let (lease, balance) = of;
    let mut one = charge(seq, key, [(key.pool, lease), (balance, LeaseId(0))], units);
    one.id.journal = journal;
    let spent = ledger::Batch { journal, ..batch(seq - 1, seq, vec![one]) };
    assert_eq!(fixture.store.apply(&spent).await, Ok(Applied::Now));
    fixture.assert_sound().await;
}

#[tokio::test]
async fn grants_of_many_pools_are_one_answer_in_their_order() {
    let (fixture, key, balance) = begin(&[ONE, OTHER]).await;
    let second = fixture.key(key.account, 2, 5_000, Settings::default()).await.key;
    let ask = |pool, need, spending| {
        let [need, spending] = [need, spending].map(Units::new);
        Ask { pool, need, waiting: need, spending }
    };
    let asks = [ask(second.pool, 1, 900), ask(PoolId(999), 1, 0), ask(balance, 1, 0), ask(key.pool, 7, 900)];
    let states = fixture.store.lease(node(ONE), &asks).await.unwrap();
    let amount = |index: usize| states[index].map(|state| state.amount.get());
    assert_eq!([amount(0), amount(1), amount(2), amount(3)], [Some(50), None, Some(0), Some(7)]);
    assert!(states[2].unwrap().unlimited && states[0].unwrap().shared);
    assert_eq!(states[0].unwrap().available, Units::new(4_950));
    assert_eq!(fixture.pool(second.pool).await, [5_000, 0, 50, 0, 4_950]);
    fixture.assert_sound().await;
}

#[tokio::test]
async fn what_one_node_does_not_use_another_gets() {
    let (fixture, key, balance) = begin(&[ONE]).await;
    let all = lease(&fixture.store, ONE, key.pool, 1).await;
    assert_eq!((all.amount, all.shared), (Units::new(100), false));
    spend(&fixture, ONE, &key, (all.lease, balance), 1, 10).await;
    fixture.store.open_journal(OTHER).await.unwrap();
    assert_eq!(wanted(&fixture, ONE).await, []);

    let none = lease(&fixture.store, OTHER, key.pool, 30).await;
    assert_eq!((none.amount, none.outlook), (Units::ZERO, Outlook::Recalled));
    let mine = Draw { pool: key.pool, lease: all.lease };
    let [wish] = wanted(&fixture, ONE).await[..] else { panic!("one lease is wanted") };
    assert_eq!(wish.lease, mine);
    assert_eq!(wanted(&fixture, OTHER).await, [], "nobody is asked for what it wants itself");

    // 60 units are not held. It is told three times, and once late with less.
    for returned in [60, 60, 20] {
        give_back(&fixture, ONE, key.pool, &all, returned).await;
        assert_eq!(fixture.pool(key.pool).await, [100, 10, 30, 0, 60]);
    }
    assert_eq!(wanted(&fixture, ONE).await, [], "it has answered");
    let some = lease(&fixture.store, OTHER, key.pool, 30).await;
    assert_eq!((some.amount, some.outlook), (Units::new(30), Outlook::Met));
    // What the holder is told stays a total.
    let more = lease(&fixture.store, ONE, key.pool, 5).await;
    assert_eq!((more.lease, more.amount), (all.lease, Units::new(105)));
    spend(&fixture, ONE, &key, (all.lease, balance), 2, 35).await;
    assert_eq!(fixture.pool(key.pool).await, [100, 45, 30, 0, 25]);
    fixture.store.close_leases(node(ONE)).await.unwrap();
    fixture.store.close_leases(node(OTHER)).await.unwrap();
    assert_eq!(fixture.pool(key.pool).await, [100, 45, 0, 0, 55]);
    fixture.assert_sound().await;
}

#[tokio::test]
async fn a_need_that_nobody_can_meet_gets_what_there_is() {
    let (fixture, key, _) = begin(&[ONE, OTHER]).await;
    let held = lease(&fixture.store, ONE, key.pool, 60).await;
    assert_eq!(lease(&fixture.store, OTHER, key.pool, 80).await.outlook, Outlook::Recalled);
    give_back(&fixture, ONE, key.pool, &held, 0).await;
    let rest = lease(&fixture.store, OTHER, key.pool, 80).await;
    assert_eq!((rest.amount, rest.outlook), (Units::new(40), Outlook::Dry), "everybody has answered");
    fixture.assert_sound().await;
}

#[tokio::test]
async fn who_came_first_is_served_first() {
    let (fixture, key, _) = begin(&[ONE, OTHER, THIRD]).await;
    let held = lease(&fixture.store, ONE, key.pool, 100).await;
    assert_eq!(lease(&fixture.store, OTHER, key.pool, 50).await.outlook, Outlook::Recalled);
    assert_eq!(lease(&fixture.store, THIRD, key.pool, 30).await.outlook, Outlook::Recalled);
    give_back(&fixture, ONE, key.pool, &held, 60).await;
    let third = lease(&fixture.store, THIRD, key.pool, 30).await;
    assert_eq!((third.amount, third.outlook), (Units::ZERO, Outlook::Recalled), "50 of 60 are another's");
    assert_eq!(
        lease(&fixture.store, ONE, key.pool, 5).await.amount,
        Units::new(100),
        "it stands behind both"
    );
    assert_eq!(lease(&fixture.store, OTHER, key.pool, 50).await.amount, Units::new(50));
    let third = lease(&fixture.store, THIRD, key.pool, 10).await;
    assert_eq!((third.amount, third.outlook), (Units::new(10), Outlook::Met));
    fixture.assert_sound().await;
}

#[tokio::test]
async fn what_a_silent_node_has_is_nobodys_until_it_is_back() {
    let (fixture, key, balance) = begin(&[ONE, OTHER]).await;
    let held = lease(&fixture.store, ONE, key.pool, 60).await;
    silence(&fixture, ONE).await;
    let beat = async || fixture.store.heartbeat(node(OTHER), Duration::from_secs(60)).await.unwrap();
    assert_eq!(beat().await, []);
    assert_eq!(fixture.pool(key.pool).await, [100, 0, 0, 60, 40]);
    let rest = lease(&fixture.store, OTHER, key.pool, 50).await;
    assert_eq!((rest.amount, rest.outlook, rest.shared), (Units::new(40), Outlook::Dry, false));
    fixture.assert_sound().await;

    // Its journal is brought in, by itself or by its next life.
    spend(&fixture, ONE, &key, (held.lease, balance), 1, 25).await;
    assert_eq!(fixture.pool(key.pool).await, [100, 25, 40, 35, 0]);
    assert_eq!(wanted(&fixture, ONE).await, []);
    assert_eq!(fixture.pool(key.pool).await, [100, 25, 75, 0, 0], "it was only silent");
    silence(&fixture, ONE).await;
    beat().await;
    let again = fixture.store.open_journal(ONE).await.unwrap();
    let life = Node { journal: ONE, epoch: again.epoch };
    fixture.store.close_leases(life).await.unwrap();
    assert_eq!(fixture.pool(key.pool).await, [100, 25, 40, 0, 35]);
    fixture.assert_sound().await;
}

#[tokio::test]
async fn a_life_that_is_over_has_nothing_to_say() {
    let (fixture, key, _) = begin(&[ONE]).await;
    let held = lease(&fixture.store, ONE, key.pool, 60).await;
    assert_eq!(fixture.store.open_journal(ONE).await.unwrap().epoch, 2);
    let draw = Draw { pool: key.pool, lease: held.lease };
    let part = Part { lease: draw, returned: Units::new(1), wish: 0 };
    let (store, old) = (&fixture.store, node(ONE));
    assert_eq!(store.heartbeat(old, LONG).await, Err(BookError::Fenced));
    assert_eq!(store.lease(old, &[]).await, Err(BookError::Fenced));
    assert_eq!(store.give_back(old, &[part]).await, Err(BookError::Fenced));
    assert_eq!(store.return_leases(old, &[draw]).await, Err(BookError::Fenced));
    assert_eq!(store.close_leases(old).await, Err(BookError::Fenced));
    assert_eq!(fixture.pool(key.pool).await, [100, 0, 100, 0, 0]);
}

#[tokio::test]
async fn parts_of_what_was_edited_change_nothing() {
    let (fixture, key, _) = begin(&[ONE, OTHER]).await;
    let held = lease(&fixture.store, ONE, key.pool, 60).await;
    let (settings, status) = (key.settings.clone(), Status::Enabled);
    let change = KeyChange { settings, status, quota: Some(Units::new(40)) };
    fixture.store.update_key(key.account, key.id, &change, at(2)).await.unwrap();
    give_back(&fixture, ONE, key.pool, &held, 60).await;
    assert_eq!(fixture.pool(key.pool).await, [40, 0, 0, 0, 40]);
    assert_ne!(fixture::lease(&fixture.store, ONE, key.pool, 1).await.lease, held.lease);
}

#[tokio::test]
async fn an_operator_decides_about_a_journal_that_is_lost() {
    for (decision, granted, remains) in [(Decision::Charge, 60, 40), (Decision::Return, 100, 80)] {
        let (fixture, key, balance) = begin(&[ONE, OTHER]).await;
        let held = lease(&fixture.store, ONE, key.pool, 60).await;
        spend(&fixture, ONE, &key, (held.lease, balance), 1, 20).await;
        assert_eq!(fixture.store.suspense().await.unwrap(), []);
        let name = ONE.to_string();
        let resolve = async |name: &str| fixture.store.resolve_suspense(name, decision, at(3)).await;
        let alive = resolve(&name).await.unwrap_err();
        assert!(alive.to_string().contains("is alive"), "{alive}");
        silence(&fixture, ONE).await;
        let nothing = resolve(&name).await.unwrap_err();
        assert!(nothing.to_string().contains("nothing stands in suspense"), "{nothing}");
        fixture.store.heartbeat(node(OTHER), Duration::from_secs(60)).await.unwrap();
        let [row] = &fixture.store.suspense().await.unwrap()[..] else { panic!("one pool") };
        assert_eq!((row.journal.as_str(), row.alive, row.pool), (name.as_str(), false, key.pool));
        assert_eq!((row.account, row.key, row.units), (Some(key.account), Some(key.id), Units::new(40)));
        assert!(row.since.is_some());

        assert_eq!(resolve(&name).await.unwrap(), Units::new(40));
        assert_eq!(fixture.pool(key.pool).await, [granted, 20, 0, 0, remains]);
        assert!(resolve(&name).await.is_err(), "once");
        assert!(resolve("jobs").await.unwrap_err().to_string().contains("there is no journal jobs"));
        assert_eq!(fixture.store.suspense().await.unwrap(), []);
        let filter = AuditFilter { object: Some("suspense".to_owned()), ..AuditFilter::default() };
        let page = Page { number: 1, size: 10 };
        let (records, _) = fixture.store.audit_records(&filter, page).await.unwrap();
        assert_eq!((records.len(), records[0].object_id.as_str()), (1, name.as_str()));

        // It was not dead: it has nothing to say any more, and what it spent takes nothing from anybody.
        assert_eq!(fixture.store.heartbeat(node(ONE), LONG).await, Err(BookError::Fenced));
        spend(&fixture, ONE, &key, (held.lease, balance), 2, 15).await;
        assert_eq!(fixture.pool(key.pool).await, [granted + 15, 35, 0, 0, remains]);
    }
}
