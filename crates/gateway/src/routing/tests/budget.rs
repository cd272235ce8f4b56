//! The retry budget: what upstreams get when all of them are down.

use proptest::prelude::*;

use super::at;
use crate::routing::{Bucket, Policy};

/// Attempts for each hundred requests, when `rate` requests a second come for `seconds` and each wants every retry
/// that it may make.
fn amplification(rate: i64, seconds: i64) -> i64 {
    let policy = Policy::default();
    let mut bucket = Bucket::new(at(0));
    let mut attempts = 0;
    for request in 0..rate * seconds {
        let now = at(request * 1_000 / rate);
        bucket.request(&policy, now);
        attempts += 1;
        for _ in 1..policy.attempts_per_group {
            attempts += i64::from(bucket.retry(&policy, now));
        }
    }
    attempts * 100 / (rate * seconds)
}

#[test]
fn two_hundred_requests_a_second_against_nothing_stay_within_a_tenth() {
    for seconds in [10, 60, 600] {
        let found = amplification(200, seconds);
        assert!((108..=110).contains(&found), "{found} attempts for a hundred requests in {seconds} s");
    }
}

#[test]
fn a_quiet_node_may_retry() {
    // In a minute: 20 to begin with, 59 for the seconds, 4 for the requests.
    assert_eq!(amplification(1, 60), 100 * (60 + 20 + 59 + 4) / 60);
    let policy = Policy { retries_per_hundred: 0, retries_per_second: 0, ..Policy::default() };
    let mut bucket = Bucket::new(at(0));
    let taken = (0..100).filter(|_| bucket.retry(&policy, at(1_000_000))).count();
    assert_eq!(taken, 20, "only what it begins with");
    bucket.unused();
    assert!(bucket.retry(&policy, at(1_000_000)));
    assert!(!bucket.retry(&policy, at(1_000_000)));
}

proptest! {
    /// However requests and retries come, retries never exceed what was earned.
    #[test]
    fn never_more_retries_than_earned(
        steps in prop::collection::vec((any::<bool>(), 0_i64..2_000), 1..500),
        hundred in 0_u32..=20,
        second in 0_u32..=5,
    ) {
        let policy = Policy { retries_per_hundred: hundred, retries_per_second: second, ..Policy::default() };
        let mut bucket = Bucket::new(at(0));
        let (mut now, mut requests, mut retries) = (0_i64, 0_i64, 0_i64);
        for (is_request, later) in steps {
            now += later;
            if is_request {
                requests += 1;
                bucket.request(&policy, at(now));
            } else {
                retries += i64::from(bucket.retry(&policy, at(now)));
            }
            let earned = 20 * 1_000 + requests * i64::from(hundred) * 10 + now * i64::from(second);
            prop_assert!(retries * 1_000 <= earned);
        }
    }
}
