//! The walk of a request along its plan.

use std::{sync::Arc, time::Duration};

use model::clock::{Clock, ManualClock, Timestamp};
use proptest::prelude::*;

use super::{Sketch, at, choice, sketch, snapshot};
use crate::{
    door::Door,
    routing::{Attempt, Attempts, Budget, Health, Over, Plan, Policy, Snapshot, UpstreamFailure, Want, plan},
};

/// A node: its health, its budget and its clock.
struct Node {
    health: Arc<Health>,
    budget: Budget,
    clock: Arc<ManualClock>,
}

fn node(policy: Policy) -> Node {
    let clock = Arc::new(ManualClock::new(at(0)));
    let shared: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
    let health = Arc::new(Health::new(policy.clone(), shared));
    Node { health, budget: Budget::new(policy, at(0)), clock }
}

impl Node {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn plan(&self, snapshot: &Snapshot, groups: &[&str], cross: bool, seed: u64) -> Plan {
        let choice = choice(snapshot, groups, true, cross);
        let want = Want { choice: &choice, door: Door::Chat, model: "m", seed, now: self.now() };
        self.health.with(|table| plan(snapshot, want, table))
    }

    fn attempts(&self, snapshot: &Snapshot, groups: &[&str], cross: bool) -> Attempts {
        Attempts::new(self.plan(snapshot, groups, cross, 1), &self.health, self.now())
    }

    fn next(&self, attempts: &mut Attempts) -> Result<Attempt, Over> {
        attempts.next(&self.health, &self.budget, self.now())
    }
}

fn name(attempt: &Attempt) -> String {
    format!("{}{}", attempt.group, attempt.permit.channel().id)
}

/// Every channel that a request tries when each fails in the same way.
fn all_fail(node: &Node, attempts: &mut Attempts, failure: UpstreamFailure) -> (Vec<String>, Over) {
    let mut tried = Vec::new();
    loop {
        match node.next(attempts) {
            Ok(attempt) => {
                tried.push(name(&attempt));
                assert!(!attempt.permit.failed(failure));
            }
            Err(over) => return (tried, over),
        }
    }
}

fn ranked(id: i64, groups: &[&'static str]) -> Sketch {
    Sketch { priority: -id, groups: groups.to_vec(), ..sketch(id) }
}

#[test]
fn tries_at_most_so_many_of_a_group_and_no_channel_twice() {
    let sketches = [
        ranked(1, &["a", "b"]),
        ranked(2, &["a"]),
        ranked(3, &["a", "b"]),
        ranked(4, &["b"]),
        ranked(5, &["b"]),
    ];
    let snapshot = snapshot(&sketches);
    let rows: [(u32, &[&str], bool, &[&str]); 5] = [
        (3, &["a", "b"], false, &["a1", "a2", "a3"]),
        (2, &["a", "b"], false, &["a1", "a2"]),
        (2, &["a", "b"], true, &["a1", "a2", "b3", "b4"]),
        (3, &["a", "b"], true, &["a1", "a2", "a3", "b4", "b5"]),
        (1, &["c", "b", "a"], true, &["b1", "a2"]),
    ];
    for (attempts_per_group, groups, cross, expected) in rows {
        let node = node(Policy { attempts_per_group, ..Policy::default() });
        let mut attempts = node.attempts(&snapshot, groups, cross);
        let (tried, over) = all_fail(&node, &mut attempts, UpstreamFailure::Connect);
        assert_eq!(
            (tried.as_slice(), over),
            (expected.iter().map(|&s| s.to_owned()).collect::<Vec<_>>().as_slice(), Over::Exhausted)
        );
        assert_eq!(attempts.made() as usize, expected.len());
        assert_eq!(node.next(&mut attempts).unwrap_err(), Over::Exhausted, "and it stays over");
    }
}

#[test]
fn one_deadline_bounds_all_attempts() {
    let snapshot = snapshot(&[ranked(1, &["a"]), ranked(2, &["a"]), ranked(3, &["a"])]);
    let node = node(Policy { deadline: Duration::from_secs(10), ..Policy::default() });
    let mut attempts = node.attempts(&snapshot, &["a"], false);
    assert_eq!(node.next(&mut attempts).unwrap().limit, Duration::from_secs(10));
    node.clock.set(at(7_000));
    assert_eq!(node.next(&mut attempts).unwrap().limit, Duration::from_secs(3));
    node.clock.set(at(10_000));
    assert_eq!(node.next(&mut attempts).unwrap_err(), Over::Deadline);
}

#[test]
fn what_has_become_unfit_since_the_plan_is_passed_over() {
    let snapshot = snapshot(&[ranked(1, &["a"]), ranked(2, &["a"])]);
    let node = node(Policy { breaker_failures: 1, attempts_per_group: 1, ..Policy::default() });
    let mut early = node.attempts(&snapshot, &["a"], false);
    let mut other = node.attempts(&snapshot, &["a"], false);
    assert!(!node.next(&mut other).unwrap().permit.failed(UpstreamFailure::Reset));
    let attempt = node.next(&mut early).unwrap();
    assert_eq!((name(&attempt), attempt.number), ("a2".to_owned(), 1));
}

#[test]
fn a_group_that_is_too_dear_is_left_and_its_attempt_costs_nothing() {
    let snapshot = snapshot(&[ranked(1, &["a", "c"]), ranked(2, &["b", "c"])]);
    let policy = Policy { retries_per_hundred: 0, retries_per_second: 0, ..Policy::default() };
    let node = node(policy);
    for round in 0..40 {
        let mut attempts = node.attempts(&snapshot, &["b", "c"], true);
        let attempt = node.next(&mut attempts).unwrap();
        assert_eq!(name(&attempt), "b2");
        attempts.unaffordable(attempt, &node.budget);
        let attempt = node.next(&mut attempts).unwrap();
        assert_eq!((name(&attempt), attempt.number), ("c1".to_owned(), 1), "round {round}");
        attempt.permit.succeeded();
    }
}

#[test]
fn without_a_retry_left_the_walk_ends() {
    let snapshot = snapshot(&[ranked(1, &["a"]), ranked(2, &["a"])]);
    let policy = Policy { retries_per_hundred: 0, retries_per_second: 0, ..Policy::default() };
    let node = node(policy);
    let busy = UpstreamFailure::Status { status: 409, retry_after: None };
    let mut ends = Vec::new();
    for _ in 0..21 {
        let mut attempts = node.attempts(&snapshot, &["a"], false);
        ends.push(all_fail(&node, &mut attempts, busy).1);
    }
    assert_eq!(ends.iter().filter(|end| **end == Over::Exhausted).count(), 20, "as many as it began with");
    assert_eq!(ends.last(), Some(&Over::Budget));
}

#[test]
fn a_caller_that_leaves_a_probe_gives_it_back() {
    let snapshot = snapshot(&[ranked(1, &["a"])]);
    let node = node(Policy { breaker_failures: 1, ..Policy::default() });
    all_fail(&node, &mut node.attempts(&snapshot, &["a"], false), UpstreamFailure::Timeout);
    node.clock.set(at(1_000));
    let attempt = node.next(&mut node.attempts(&snapshot, &["a"], false)).unwrap();
    assert!(attempt.permit.is_probe());
    assert_eq!(node.next(&mut node.attempts(&snapshot, &["a"], false)).unwrap_err(), Over::Exhausted);
    drop(attempt);
    let attempt = node.next(&mut node.attempts(&snapshot, &["a"], false)).unwrap();
    assert!(attempt.permit.is_probe());
    attempt.permit.succeeded();
    assert!(!node.next(&mut node.attempts(&snapshot, &["a"], false)).unwrap().permit.is_probe());
}

/// An upstream that is wholly down under 200 requests a second, behind three channels of two groups; and its return.
#[test]
fn an_upstream_that_is_down_gets_no_more_than_a_tenth_on_top_and_comes_back_within_one_probe() {
    let sketches = [ranked(1, &["a"]), ranked(2, &["a"]), ranked(3, &["a", "b"]), ranked(4, &["b"])];
    let snapshot = snapshot(&sketches);
    let node = node(Policy::default());
    let (mut sent, mut requests) = (0_u64, 0_u64);
    while requests < 200 * 60 {
        node.clock.set(at(i64::try_from(requests).unwrap() * 5));
        requests += 1;
        let mut attempts = node.attempts(&snapshot, &["a", "b"], true);
        all_fail(&node, &mut attempts, UpstreamFailure::Connect);
        sent += u64::from(attempts.made());
    }
    assert!(sent * 100 <= requests * 110, "{sent} attempts for {requests} requests");
    assert!(sent * 100 <= requests * 5, "the breakers keep most of it away: {sent}");
    let returned = node.now().millis();
    let longest = i64::try_from(node.health.policy().longest_breaker_open.as_millis()).unwrap();
    let served = (0..).step_by(5).find(|later| {
        node.clock.set(at(returned + later));
        let answered = node.next(&mut node.attempts(&snapshot, &["a", "b"], true));
        answered.is_ok_and(|attempt| {
            attempt.permit.succeeded();
            true
        })
    });
    assert!(served.is_some_and(|later| later <= longest), "{served:?}");
}

proptest! {
    /// Whatever fails in whatever way: no channel twice, no more than allowed in a group, groups in order, and never
    /// one that is not fit at that moment.
    #[test]
    fn walks_within_its_bounds(
        rows in prop::collection::vec((prop::sample::subsequence(vec!["a", "b", "c"], 1..=3), 0_i64..3), 1..9),
        outcomes in prop::collection::vec((0_u16..5, 0_i64..5_000), 40),
        per_group in 1_u32..4,
        seed in any::<u64>(),
    ) {
        let sketches: Vec<Sketch> = rows.into_iter().enumerate().map(|(at, (groups, priority))| {
            Sketch { groups, priority, ..sketch(i64::try_from(at).unwrap() + 1) }
        }).collect();
        let snapshot = snapshot(&sketches);
        let node = node(Policy { attempts_per_group: per_group, breaker_failures: 2, ..Policy::default() });
        let mut outcomes = outcomes.into_iter().cycle();
        for request in 0..8 {
            let plan = node.plan(&snapshot, &["b", "a", "c"], true, seed ^ request);
            let mut attempts = Attempts::new(plan, &node.health, node.now());
            let mut tried: Vec<(usize, i64)> = Vec::new();
            loop {
                let fit: Vec<i64> = node.health.with(|table| {
                    let routes = snapshot.channels().iter();
                    routes.filter(|route| table.fitness(route, node.now()) == crate::routing::Fitness::Fit)
                        .map(|route| route.id.0).collect()
                });
                let Ok(attempt) = node.next(&mut attempts) else { break };
                let group = ["b", "a", "c"].iter().position(|name| **name == *attempt.group).unwrap();
                let id = attempt.permit.channel().id.0;
                prop_assert!(fit.contains(&id));
                prop_assert!(tried.iter().all(|(_, before)| *before != id));
                tried.push((group, id));
                let (what, took) = outcomes.next().unwrap();
                node.clock.set(at(node.now().millis() + took));
                let status = |status| UpstreamFailure::Status { status, retry_after: None };
                match what {
                    0 => assert!(!attempt.permit.failed(UpstreamFailure::Connect)),
                    1 => assert!(!attempt.permit.failed(status(429))),
                    2 => assert!(!attempt.permit.failed(status(500))),
                    3 => assert!(!attempt.permit.failed(status(409))),
                    _ => drop(attempt),
                }
            }
            prop_assert!(tried.is_sorted_by(|a, b| a.0 <= b.0));
            for group in 0..3 {
                prop_assert!(tried.iter().filter(|one| one.0 == group).count() <= per_group as usize);
            }
        }
    }
}
