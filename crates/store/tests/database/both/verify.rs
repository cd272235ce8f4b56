//! The proof that the books add up must notice every way in which they do not.

use crate::fixture::{self, Fixture, JOURNAL, batch, charge};
use ledger::{Applied, Book};
use model::{
    id::{LeaseId, PoolId},
    key::Settings,
};
use sqlx::AssertSqlSafe;

/// Books with an open lease and a charge, sound; then `damage` is done to them. Returns what the proof finds in the
/// key's pool, which is `$POOL` in the text.
async fn found_after(damage: &str) -> Vec<String> {
    let fixture = super::open().await;
    let account = fixture.account("ada", Some(1_000)).await;
    let key = fixture.key(account.id, 1, 100, Settings::default()).await.key;
    fixture.store.open_journal(JOURNAL).await.unwrap();
    let leased = |pool| fixture::lease(&fixture.store, JOURNAL, pool, 1);
    let draws = [key.pool, account.pool];
    let leases = [leased(key.pool).await.lease, leased(account.pool).await.lease];
    let charge = charge(1, &key, [(draws[0], leases[0]), (draws[1], leases[1])], 30);
    assert_eq!(fixture.store.apply(&batch(0, 10, vec![charge])).await, Ok(Applied::Now));
    fixture.assert_sound().await;

    let mut raw = fixture.raw_without_rules().await;
    let damage = damage.replace("$POOL", &key.pool.to_string());
    sqlx::raw_sql(AssertSqlSafe(damage)).execute(&mut raw).await.unwrap();
    in_pool(&fixture, key.pool).await
}

async fn in_pool(fixture: &Fixture, pool: PoolId) -> Vec<String> {
    let found = fixture.store.verify().await.unwrap();
    assert_eq!(fixture.location().verify().await.unwrap(), found, "beside a running server");
    found.into_iter().filter(|one| one.pool == Some(pool.0)).map(|one| one.what).collect()
}

#[tokio::test]
async fn notices_units_from_nowhere() {
    assert_eq!(
        found_after("UPDATE pool SET granted = granted + 1 WHERE id = $POOL").await,
        ["granted is 101, used + leased + suspense + available 100"]
    );
}

#[tokio::test]
async fn notices_use_without_a_charge() {
    assert_eq!(
        found_after("UPDATE pool SET used = used + 1, granted = granted + 1 WHERE id = $POOL").await,
        ["used is 31, its charges 30"]
    );
}

#[tokio::test]
async fn notices_a_charge_without_use() {
    assert_eq!(found_after("DELETE FROM usage").await, ["used is 30, its charges 0"]);
}

#[tokio::test]
async fn notices_a_charge_with_two_records() {
    let fixture = super::open().await;
    let key = fixture.key(fixture.account("ada", None).await.id, 1, 100, Settings::default()).await.key;
    fixture.store.open_journal(JOURNAL).await.unwrap();
    let draws = [(key.pool, LeaseId(0)), (key.pool, LeaseId(0))];
    let twice = batch(0, 10, vec![charge(1, &key, draws, 5), charge(1, &key, draws, 5)]);
    assert_eq!(fixture.store.apply(&twice).await, Ok(Applied::Now));
    let found = fixture.store.verify().await.unwrap();
    // Jobs have a journal of their own, so this one is not the first.
    assert!(found.iter().any(|one| one.what == "charge 1 of journal 2 has 2 records"), "{found:?}");
}

#[tokio::test]
async fn notices_a_lease_that_is_gone() {
    assert_eq!(
        found_after("DELETE FROM lease WHERE pool = $POOL").await,
        ["leased is 70, the rest of its open leases 0"]
    );
}

#[tokio::test]
async fn notices_a_suspended_lease_that_the_pool_does_not_know() {
    assert_eq!(
        found_after("UPDATE lease SET state = 'suspense' WHERE pool = $POOL").await,
        [
            "leased is 70, the rest of its open leases 0",
            "suspense is 0, the rest of its leases in suspense 70"
        ]
    );
}

#[tokio::test]
async fn notices_a_negative_amount() {
    assert_eq!(
        found_after("UPDATE pool SET available = -5, granted = granted - 5 WHERE id = $POOL").await,
        ["available is negative: -5"]
    );
}

#[tokio::test]
async fn notices_an_overspent_lease_behind_another() {
    let damage = "UPDATE lease SET spent = 110 WHERE pool = $POOL;
        INSERT INTO journal (id, name, epoch, applied) VALUES (99, 'other', 1, 0);
        INSERT INTO lease (pool, journal, amount, spent, state) VALUES ($POOL, 99, 80, 0, 'open')";
    assert_eq!(found_after(damage).await, ["lease 1 has the amount 100, and 110 of it is spent"]);
}

#[tokio::test]
async fn notices_charges_to_a_pool_that_is_gone() {
    let damage = "DELETE FROM lease WHERE pool = $POOL; DELETE FROM pool WHERE id = $POOL";
    assert_eq!(found_after(damage).await, ["there is no such pool, its charges are 30"]);
}
