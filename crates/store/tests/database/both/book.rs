//! The book: what every move of units leaves in pools, leases and records.

use crate::fixture::{self, Fixture, JOURNAL, at, batch, charge, node, try_lease};
use ledger::{Applied, Book, BookError, Charge, Draw, Registered};
use model::{
    id::{JournalId, LeaseId, PoolId},
    key::{ApiKey, Settings, Status},
    money::Units,
};
use store::{AccountChange, KeyChange, StoreError, UsageFilter, UsageRecord};

const UNLIMITED: LeaseId = LeaseId(0);

/// An account with 1 000 units and a key with 100, and the journal open.
async fn begin() -> (Fixture, ApiKey, PoolId) {
    let fixture = super::open().await;
    let account = fixture.account("ada", Some(1_000)).await;
    let settings = Settings { name: "first".to_owned(), ..Settings::default() };
    let key = fixture.key(account.id, 1, 100, settings).await.key;
    assert_eq!(fixture.store.open_journal(JOURNAL).await.unwrap().applied, 0);
    (fixture, key, account.pool)
}

async fn lease(fixture: &Fixture, pool: PoolId) -> LeaseId {
    fixture::lease(&fixture.store, JOURNAL, pool, 1).await.lease
}

async fn apply(fixture: &Fixture, from: u64, charges: Vec<Charge>) {
    assert_eq!(fixture.store.apply(&batch(from, from + 10, charges)).await, Ok(Applied::Now));
    fixture.assert_sound().await;
}

async fn set_quota(fixture: &Fixture, key: &ApiKey, unlimited: bool, quota: Option<i64>) {
    let settings = Settings { unlimited_quota: unlimited, ..key.settings.clone() };
    let change = KeyChange { settings, status: Status::Enabled, quota: quota.map(Units::new) };
    fixture.store.update_key(key.account, key.id, &change, at(2)).await.unwrap();
    fixture.assert_sound().await;
}

/// The records of a key's account.
async fn usage(fixture: &Fixture, key: &ApiKey) -> Vec<UsageRecord> {
    let filter = UsageFilter { account: Some(key.account), ..UsageFilter::default() };
    fixture.store.usage(&filter, 0, 10).await.unwrap().0
}

#[tokio::test]
async fn a_lease_takes_all_and_returns_the_rest() {
    let (fixture, key, balance) = begin().await;
    let leased = fixture::lease(&fixture.store, JOURNAL, key.pool, 1).await;
    assert_eq!((leased.amount, leased.available, leased.unlimited), (Units::new(100), Units::ZERO, false));
    assert_eq!(fixture.pool(key.pool).await, [100, 0, 100, 0, 0]);

    let account_lease = lease(&fixture, balance).await;
    apply(&fixture, 0, vec![charge(1, &key, [(key.pool, leased.lease), (balance, account_lease)], 30)]).await;
    assert_eq!(fixture.pool(key.pool).await, [100, 30, 70, 0, 0]);
    assert_eq!(fixture.pool(balance).await, [1_000, 30, 970, 0, 0]);

    fixture.store.close_leases(node(JOURNAL)).await.unwrap();
    assert_eq!(fixture.pool(key.pool).await, [100, 30, 0, 0, 70]);
    assert_eq!(fixture.pool(balance).await, [1_000, 30, 0, 0, 970]);
    fixture.assert_sound().await;
}

#[tokio::test]
async fn a_lease_is_extended_and_not_doubled() {
    let (fixture, key, _) = begin().await;
    let first = fixture::lease(&fixture.store, JOURNAL, key.pool, 1).await;
    let again = fixture::lease(&fixture.store, JOURNAL, key.pool, 1).await;
    assert_eq!((again.lease, again.amount), (first.lease, Units::new(100)));
    assert_eq!(fixture.pool(key.pool).await, [100, 0, 100, 0, 0]);
    fixture.assert_sound().await;
}

#[tokio::test]
async fn leases_that_nobody_uses_return_alone_and_once() {
    let (fixture, key, balance) = begin().await;
    let leased = lease(&fixture, key.pool).await;
    let other = lease(&fixture, balance).await;
    apply(&fixture, 0, vec![charge(1, &key, [(key.pool, leased), (balance, other)], 30)]).await;
    let draw = |pool, lease| Draw { pool, lease };
    // A stranger's lease, one of another pool and one that was never opened change nothing.
    let strange = [draw(balance, leased), draw(key.pool, LeaseId(99)), draw(key.pool, UNLIMITED)];
    fixture.store.return_leases(node(JOURNAL), &strange).await.unwrap();
    fixture.store.open_journal(JournalId(8)).await.unwrap();
    fixture.store.return_leases(node(JournalId(8)), &[draw(key.pool, leased)]).await.unwrap();
    assert_eq!(fixture.pool(key.pool).await, [100, 30, 70, 0, 0]);

    for _ in 0..2 {
        fixture.store.return_leases(node(JOURNAL), &[draw(key.pool, leased)]).await.unwrap();
        assert_eq!(fixture.pool(key.pool).await, [100, 30, 0, 0, 70]);
        assert_eq!(fixture.pool(balance).await, [1_000, 30, 970, 0, 0]);
        fixture.assert_sound().await;
    }
    let again = fixture::lease(&fixture.store, JOURNAL, key.pool, 70).await;
    assert_eq!(again.amount, Units::new(70), "nothing that was spent before");
    assert_ne!(again.lease, leased);
    fixture.assert_sound().await;
}

#[tokio::test]
async fn a_pool_keeps_no_more_than_its_newest_returned_lease() {
    let (fixture, key, _) = begin().await;
    let mut newest = LeaseId(0);
    for _ in 0..5 {
        newest = lease(&fixture, key.pool).await;
        fixture.store.return_leases(node(JOURNAL), &[Draw { pool: key.pool, lease: newest }]).await.unwrap();
    }
    let kept: Vec<i64> = sqlx::query_scalar("SELECT id FROM lease WHERE state = 'closed'")
        .fetch_all(&mut fixture.raw().await)
        .await
        .unwrap();
    assert_eq!(kept, [newest.0]);
    fixture.assert_sound().await;
}

#[tokio::test]
async fn an_edited_pool_has_no_lease_to_return() {
    let (fixture, key, _) = begin().await;
    let leased = lease(&fixture, key.pool).await;
    set_quota(&fixture, &key, false, Some(40)).await;
    fixture.store.return_leases(node(JOURNAL), &[Draw { pool: key.pool, lease: leased }]).await.unwrap();
    assert_eq!(fixture.pool(key.pool).await, [40, 0, 0, 0, 40]);
    fixture.assert_sound().await;
}

#[tokio::test]
async fn leases_of_two_journals_share_what_there_is() {
    let (fixture, key, _) = begin().await;
    let other = JournalId(8);
    fixture::lease(&fixture.store, JOURNAL, key.pool, 1).await;
    fixture.store.open_journal(other).await.unwrap();
    let second = fixture::lease(&fixture.store, other, key.pool, 1).await;
    assert_eq!(second.amount, Units::ZERO);

    fixture.store.close_leases(node(JOURNAL)).await.unwrap();
    let second = fixture::lease(&fixture.store, other, key.pool, 30).await;
    assert_eq!((second.amount, second.available), (Units::new(30), Units::new(70)), "nobody takes all");
    fixture.assert_sound().await;
}

#[tokio::test]
async fn an_unknown_pool_has_no_lease() {
    let (fixture, _, _) = begin().await;
    assert_eq!(try_lease(&fixture.store, JOURNAL, PoolId(999), 1).await, None);
}

#[tokio::test]
async fn a_batch_counts_once() {
    let (fixture, key, balance) = begin().await;
    let draws = [(key.pool, lease(&fixture, key.pool).await), (balance, lease(&fixture, balance).await)];
    let first = batch(0, 10, vec![charge(1, &key, draws, 30)]);
    assert_eq!(fixture.store.apply(&first).await, Ok(Applied::Now));
    assert_eq!(fixture.store.apply(&first).await, Ok(Applied::Already(10)));
    assert_eq!(fixture.pool(key.pool).await, [100, 30, 70, 0, 0]);
    fixture.assert_sound().await;
    assert_eq!(fixture.store.open_journal(JOURNAL).await, Ok(Registered { epoch: 2, applied: 10 }));
}

#[tokio::test]
async fn a_batch_that_fails_leaves_nothing() {
    let (fixture, key, balance) = begin().await;
    let draws = [(key.pool, lease(&fixture, key.pool).await), (balance, lease(&fixture, balance).await)];
    let beyond = batch(0, 10, vec![charge(1, &key, draws, i64::MAX), charge(2, &key, draws, 60)]);
    assert!(matches!(fixture.store.apply(&beyond).await, Err(BookError::Unavailable(_))));
    assert_eq!(fixture.pool(key.pool).await, [100, 0, 100, 0, 0]);
    assert_eq!(usage(&fixture, &key).await, []);
    assert_eq!(fixture.store.open_journal(JOURNAL).await.unwrap().applied, 0);
    fixture.assert_sound().await;
}

#[tokio::test]
async fn an_edit_sets_exactly_what_remains_while_a_request_is_under_way() {
    let (fixture, key, balance) = begin().await;
    let draws = [(key.pool, lease(&fixture, key.pool).await), (balance, lease(&fixture, balance).await)];
    apply(&fixture, 0, vec![charge(1, &key, draws, 30)]).await;

    set_quota(&fixture, &key, false, Some(500)).await;
    assert_eq!(fixture.pool(key.pool).await, [530, 30, 0, 0, 500]);

    // Admitted before the edit: it settles against the void lease and takes nothing from the new quota.
    apply(&fixture, 10, vec![charge(11, &key, draws, 7)]).await;
    assert_eq!(fixture.pool(key.pool).await, [537, 37, 0, 0, 500]);

    let fresh = fixture::lease(&fixture.store, JOURNAL, key.pool, 1).await;
    assert_ne!(fresh.lease, draws[0].1);
    assert_eq!(fresh.amount, Units::new(500));
    fixture.store.close_leases(node(JOURNAL)).await.unwrap();
    assert_eq!(fixture.pool(key.pool).await, [537, 37, 0, 0, 500]);
    fixture.assert_sound().await;
}

#[tokio::test]
async fn an_edit_voids_the_leases_of_every_journal() {
    let (fixture, key, _) = begin().await;
    let other = JournalId(8);
    fixture::lease(&fixture.store, JOURNAL, key.pool, 1).await;
    fixture.store.open_journal(other).await.unwrap();
    fixture::lease(&fixture.store, other, key.pool, 1).await;
    set_quota(&fixture, &key, false, Some(40)).await;
    assert_eq!(fixture.pool(key.pool).await, [40, 0, 0, 0, 40]);
    assert_eq!(fixture::lease(&fixture.store, other, key.pool, 40).await.amount, Units::new(40));
}

#[tokio::test]
async fn lifting_and_setting_the_limit_keeps_what_remains() {
    let (fixture, key, balance) = begin().await;
    let draws = [(key.pool, lease(&fixture, key.pool).await), (balance, lease(&fixture, balance).await)];
    set_quota(&fixture, &key, true, None).await;
    assert_eq!(fixture.pool(key.pool).await, [100, 0, 0, 0, 100]);

    let unlimited = fixture::lease(&fixture.store, JOURNAL, key.pool, 1).await;
    assert_eq!((unlimited.unlimited, unlimited.lease), (true, UNLIMITED));
    apply(&fixture, 0, vec![charge(1, &key, [(key.pool, UNLIMITED), draws[1]], 400)]).await;
    assert_eq!(fixture.pool(key.pool).await, [500, 400, 0, 0, 100]);

    set_quota(&fixture, &key, false, None).await;
    assert_eq!(fixture::lease(&fixture.store, JOURNAL, key.pool, 1).await.amount, Units::new(100));
}

#[tokio::test]
async fn a_balance_is_edited_like_a_quota() {
    let (fixture, key, balance) = begin().await;
    let draws = [(key.pool, lease(&fixture, key.pool).await), (balance, lease(&fixture, balance).await)];
    let change = AccountChange { remaining: Some(Units::new(20)), ..AccountChange::default() };
    let account = fixture.store.update_account(key.account, change, at(2)).await.unwrap();
    assert_eq!(account.remaining, Units::new(20));
    apply(&fixture, 0, vec![charge(1, &key, draws, 30)]).await;
    assert_eq!(fixture.pool(balance).await, [50, 30, 0, 0, 20]);
}

#[tokio::test]
async fn a_quota_that_no_pool_can_have_is_refused() {
    let (fixture, key, _) = begin().await;
    for quota in [-1, Units::MAX.get() + 1] {
        let change = KeyChange {
            settings: key.settings.clone(),
            status: Status::Enabled,
            quota: Some(Units::new(quota)),
        };
        let refused = fixture.store.update_key(key.account, key.id, &change, at(2)).await.err();
        assert!(matches!(refused, Some(StoreError::Invalid(_))), "{refused:?}");
    }
    assert_eq!(fixture.pool(key.pool).await, [100, 0, 0, 0, 100]);
}

#[tokio::test]
async fn suspended_leases_pay_from_suspense() {
    let (fixture, key, balance) = begin().await;
    let draws = [(key.pool, lease(&fixture, key.pool).await), (balance, lease(&fixture, balance).await)];
    let mut raw = fixture.raw().await;
    sqlx::query("UPDATE lease SET state = 'suspense' WHERE id = $1")
        .bind(draws[0].1.0)
        .execute(&mut raw)
        .await
        .unwrap();
    sqlx::query("UPDATE pool SET suspense = leased, leased = 0 WHERE id = $1")
        .bind(key.pool.0)
        .execute(&mut raw)
        .await
        .unwrap();
    fixture.assert_sound().await;
    apply(&fixture, 0, vec![charge(1, &key, draws, 30)]).await;
    assert_eq!(fixture.pool(key.pool).await, [100, 30, 0, 70, 0]);
}

#[tokio::test]
async fn a_charge_after_its_lease_was_closed_takes_nothing_from_what_was_returned() {
    let (fixture, key, balance) = begin().await;
    let draws = [(key.pool, lease(&fixture, key.pool).await), (balance, lease(&fixture, balance).await)];
    fixture.store.close_leases(node(JOURNAL)).await.unwrap();
    apply(&fixture, 0, vec![charge(1, &key, draws, 30)]).await;
    assert_eq!(fixture.pool(key.pool).await, [130, 30, 0, 0, 100]);
}

#[tokio::test]
async fn a_lease_pays_for_its_own_pool_alone() {
    let (fixture, key, balance) = begin().await;
    let (wrong, right) = (lease(&fixture, balance).await, lease(&fixture, key.pool).await);
    apply(&fixture, 0, vec![charge(1, &key, [(key.pool, wrong), (balance, right)], 30)]).await;
    assert_eq!(fixture.pool(key.pool).await, [130, 30, 100, 0, 0]);
    assert_eq!(fixture.pool(balance).await, [1_030, 30, 1_000, 0, 0]);
}

#[tokio::test]
async fn a_deleted_key_leaves_its_pool_and_its_records() {
    let (fixture, key, balance) = begin().await;
    let draws = [(key.pool, lease(&fixture, key.pool).await), (balance, lease(&fixture, balance).await)];
    assert_eq!(fixture.store.delete_keys(key.account, &[key.id], at(2)).await.unwrap(), 1);
    apply(&fixture, 0, vec![charge(1, &key, draws, 30)]).await;
    assert_eq!(fixture.pool(key.pool).await, [100, 30, 70, 0, 0]);
    assert_eq!(usage(&fixture, &key).await.len(), 1);
}

#[tokio::test]
async fn the_last_use_of_a_key_only_moves_on_by_the_minute() {
    let (fixture, key, balance) = begin().await;
    let draws = [(key.pool, UNLIMITED), (balance, UNLIMITED)];
    let accessed = async || fixture.store.key(key.account, key.id).await.unwrap().unwrap().key.accessed;
    assert_eq!(accessed().await, at(1));
    let used = async |from, moments: &[i64]| {
        let charges = moments.iter().zip(from..).map(|(moment, seq)| {
            let mut charge = charge(seq, &key, draws, 1);
            charge.outcome.ended = at(*moment);
            charge
        });
        apply(&fixture, from, charges.collect()).await;
    };
    used(0, &[90_000, 70_000]).await;
    assert_eq!(accessed().await, at(90_000));
    used(10, &[80_000]).await;
    assert_eq!(accessed().await, at(90_000));
    used(20, &[149_999]).await;
    assert_eq!(accessed().await, at(90_000), "within the minute nothing is written");
    used(30, &[150_000]).await;
    assert_eq!(accessed().await, at(150_000));
}

#[tokio::test]
async fn overruns_are_added_up_once_and_never_overflow() {
    let (fixture, key, balance) = begin().await;
    let draws = [(key.pool, UNLIMITED), (balance, UNLIMITED)];
    let greedy = |seq, overrun| {
        let mut charge = charge(seq, &key, draws, 1);
        charge.outcome.overrun = Units::new(overrun);
        charge
    };
    assert_eq!(fixture.store.overrun().await.unwrap(), Units::ZERO);
    apply(&fixture, 0, vec![greedy(1, 5), greedy(2, 6)]).await;
    assert_eq!(fixture.store.overrun().await.unwrap(), Units::new(11));
    apply(&fixture, 10, vec![greedy(21, i64::MAX), greedy(22, i64::MAX)]).await;
    assert_eq!(fixture.store.overrun().await.unwrap(), Units::new(i64::MAX));
}
