//! Claims of background work, and failures that all nodes count together.

use std::time::Duration;

use crate::fixture::at;

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn work_is_claimed_by_one_until_its_time_is_over() {
    let fixture = super::open().await;
    let other = fixture.reopen(&fixture.master).await.unwrap();
    let store = &fixture.store;
    assert!(store.claim("proof", "a", HOUR).await.unwrap());
    assert!(!other.claim("proof", "b", HOUR).await.unwrap());
    assert!(other.claim("retention", "b", HOUR).await.unwrap(), "another work");
    assert!(store.claim("proof", "a", HOUR).await.unwrap(), "renewed");
    assert!(store.claim("proof", "a", Duration::ZERO).await.unwrap(), "given up");
    assert!(other.claim("proof", "b", HOUR).await.unwrap());
    assert!(!store.claim("proof", "a", HOUR).await.unwrap());
}

#[tokio::test]
async fn failures_are_counted_by_all_and_begin_anew_when_they_are_stale() {
    let fixture = super::open().await;
    let other = fixture.reopen(&fixture.master).await.unwrap();
    let counts = async |store: &store::Store, names: [&str; 3], stale: i64, now: i64| {
        let counted = store.count_failures(names, at(stale), at(now)).await.unwrap();
        counted.map(|count| (count.began.millis(), count.attempts))
    };
    assert_eq!(counts(&fixture.store, ["a", "b", "c"], 0, 10).await, [(10, 1); 3]);
    assert_eq!(counts(&other, ["c", "x", "a"], 0, 20).await, [(10, 2), (20, 1), (10, 2)]);
    assert_eq!(counts(&other, ["c", "x", "y"], 10, 30).await, [(30, 1), (20, 2), (30, 1)], "c is stale");
    fixture.store.forget_failures(at(20)).await.unwrap();
    assert_eq!(counts(&other, ["c", "x", "a"], 10, 40).await, [(30, 2), (40, 1), (40, 1)]);
    let contents = fixture.contents().await;
    let new = "a name that nobody is to read";
    counts(&fixture.store, [new, "2", "3"], 0, 50).await;
    assert!(!contents.has(new.as_bytes()) && !fixture.contents().await.has(new.as_bytes()));
}
