//! The plan: tables and properties.

use std::{collections::HashMap, time::Duration};

use model::{clock::Timestamp, id::ChannelId};
use proptest::{prelude::*, sample::Index};

use super::{Sketch, at, choice, sketch, snapshot};
use crate::{
    door::Door,
    routing::{Absence, Fitness, Plan, Policy, Snapshot, Table, UpstreamFailure, Want, explain, plan},
};

const NAMES: [&str; 3] = ["a", "b", "c"];

fn planned(snapshot: &Snapshot, groups: &[&str], cross: bool, seed: u64, health: &Table) -> Plan {
    let choice = choice(snapshot, groups, groups.len() > 1, cross);
    plan(snapshot, Want { choice: &choice, door: Door::Chat, model: "m", seed, now: at(0) }, health)
}

fn order(plan: &Plan) -> Vec<(String, Vec<i64>)> {
    let ids = |stage: &crate::routing::Stage| stage.routes.iter().map(|route| route.id.0).collect();
    plan.stages.iter().map(|stage| (stage.group.to_string(), ids(stage))).collect()
}

/// Lets each of `channels` meet `failure` once on each credential, at `now`.
fn meet(
    health: &mut Table,
    snapshot: &Snapshot,
    channels: &[i64],
    failure: UpstreamFailure,
    policy: &Policy,
    now: Timestamp,
) {
    for route in snapshot.channels().iter().filter(|route| channels.contains(&route.id.0)) {
        for _ in &route.ways {
            if let Some((way, pass)) = health.pass(route, policy, now) {
                health.failed(&way, pass, failure, policy, now);
            }
        }
    }
}

#[test]
fn higher_priorities_come_first_and_weight_zero_last() {
    let sketches = [
        Sketch { priority: -1, ..sketch(1) },
        Sketch { priority: 5, weight: 0, ..sketch(2) },
        Sketch { priority: 5, weight: 9, ..sketch(3) },
        Sketch { priority: 7, ..sketch(4) },
        Sketch { enabled: false, priority: 9, ..sketch(5) },
        Sketch { models: vec!["other"], priority: 9, ..sketch(6) },
        Sketch { groups: vec!["b"], priority: 9, ..sketch(7) },
        Sketch { credentials: 0, priority: 9, ..sketch(8) },
    ];
    let snapshot = snapshot(&sketches);
    for seed in 0..100 {
        let plan = planned(&snapshot, &["a"], false, seed, &Table::default());
        assert_eq!(order(&plan), [("a".to_owned(), vec![4, 3, 2, 1])]);
    }
}

#[test]
fn groups_of_an_automatic_list_are_taken_in_order() {
    let sketches =
        [Sketch { groups: vec!["b"], ..sketch(1) }, Sketch { groups: vec!["a", "c"], ..sketch(2) }];
    let snapshot = snapshot(&sketches);
    let stages = |groups: &[&str], cross| {
        let plan = planned(&snapshot, groups, cross, 1, &Table::default());
        let flat = order(&plan)
            .into_iter()
            .flat_map(|(group, ids)| ids.into_iter().map(move |id| (group.clone(), id)));
        flat.map(|(group, id)| format!("{group}{id}")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(stages(&["b", "a", "c"], false), "b1");
    assert_eq!(stages(&["c", "b", "a"], true), "c2 b1 a2");
    let plan = planned(&snapshot, &["c", "b", "a"], true, 1, &Table::default());
    assert_eq!(plan.to_string(), "c: 2; b: 1; a: 2");
    let candidates: Vec<_> = plan.candidates(3).map(|(stage, route)| (stage, route.id.0)).collect();
    assert_eq!(candidates, [(0, 2), (1, 1)], "none twice");
    // A group without a channel for the model is passed over, with and without the flag.
    let elsewhere = super::snapshot(&[Sketch { groups: vec!["c"], ..sketch(3) }]);
    for cross in [false, true] {
        assert_eq!(
            order(&planned(&elsewhere, &NAMES, cross, 1, &Table::default())),
            [("c".to_owned(), vec![3])]
        );
    }
}

#[test]
fn a_group_whose_channels_rest_is_not_left_without_the_flag() {
    let snapshot = snapshot(&[sketch(1), Sketch { groups: vec!["b"], ..sketch(2) }]);
    let mut health = Table::default();
    let resting = UpstreamFailure::Status { status: 503, retry_after: Some(Duration::from_secs(7)) };
    meet(&mut health, &snapshot, &[1], resting, &Policy::default(), at(0));
    assert_eq!(order(&planned(&snapshot, &["a", "b"], false, 1, &health)), [("a".to_owned(), vec![])]);
    let crossing = planned(&snapshot, &["a", "b"], true, 1, &health);
    assert_eq!(order(&crossing), [("a".to_owned(), vec![]), ("b".to_owned(), vec![2])]);
    let choice = choice(&snapshot, &["a", "b"], true, false);
    let want = Want { choice: &choice, door: Door::Chat, model: "m", seed: 1, now: at(500) };
    let refusal = plan(&snapshot, want, &health).refusal(&snapshot, want, &health).unwrap();
    let model::refusal::Refusal::Upstream { status, retry_after, .. } = refusal else {
        panic!("{refusal:?}")
    };
    assert_eq!((status, retry_after), (503, Some(7)), "rounded up");
    let nothing = Want { model: "unknown", ..want };
    let refusal = plan(&snapshot, nothing, &health).refusal(&snapshot, nothing, &health).unwrap();
    assert_eq!(refusal.code(), "model_not_found");
}

#[test]
fn a_channel_whose_upstream_has_no_such_door_is_none() {
    let embeds = Sketch { groups: vec!["a", "b"], ..sketch(1) };
    let sketches = [embeds, Sketch { kind: "anthropic", priority: 9, ..sketch(2) }];
    let snapshot = snapshot(&sketches);
    let choice = choice(&snapshot, &["a", "b"], true, false);
    let want = Want { choice: &choice, door: Door::Embeddings, model: "m", seed: 1, now: at(0) };
    let health = Table::default();
    assert_eq!(order(&plan(&snapshot, want, &health)), [("a".to_owned(), vec![1])]);
    let absence = explain(&snapshot, want, &health, &Policy::default()).others[0].absence;
    assert_eq!(absence, Absence::OtherDoors);
    let talks = Want { door: Door::Messages, ..want };
    assert_eq!(order(&plan(&snapshot, talks, &health)), [("a".to_owned(), vec![2, 1])]);
    let counts = Want { door: Door::EmbedContent, ..want };
    let refusal = plan(&snapshot, counts, &health).refusal(&snapshot, counts, &health).unwrap();
    assert_eq!((refusal.status(), refusal.code()), (404, "endpoint_not_offered"));
}

#[test]
fn a_channel_rests_when_all_of_its_credentials_do_and_they_take_turns() {
    let sketches = [Sketch { credentials: 3, ..sketch(1) }];
    let snapshot = snapshot(&sketches);
    let [route] = snapshot.channels() else { panic!() };
    let (policy, mut health) = (Policy::default(), Table::default());
    let mut used = HashMap::new();
    for _ in 0..30 {
        let (way, pass) = health.pass(route, &policy, at(0)).unwrap();
        health.succeeded(&way, pass, at(0));
        *used.entry(way.credential.0).or_insert(0) += 1;
    }
    assert_eq!(used, HashMap::from([(100, 10), (101, 10), (102, 10)]));
    let limited = UpstreamFailure::Status { status: 429, retry_after: Some(Duration::from_secs(7)) };
    for left in [2, 1, 0] {
        let (way, pass) = health.pass(route, &policy, at(0)).unwrap();
        assert!(!health.failed(&way, pass, limited, &policy, at(0)));
        let fit = health.fitness(route, at(0)) == Fitness::Fit;
        assert_eq!(fit, left > 0);
    }
    assert_eq!(health.fitness(route, at(0)), Fitness::CredentialsResting(at(7_000)));
    assert!(health.pass(route, &policy, at(6_999)).is_none());
    assert_eq!(health.fitness(route, at(7_000)), Fitness::Fit);
}

#[test]
fn a_credential_is_refused_by_one_401_and_by_three_403_in_a_row() {
    let snapshot = snapshot(&[Sketch { credentials: 1, ..sketch(1) }]);
    let [route] = snapshot.channels() else { panic!() };
    let policy = Policy::default();
    let status = |status| UpstreamFailure::Status { status, retry_after: None };
    let mut health = Table::default();
    let (way, pass) = health.pass(route, &policy, at(0)).unwrap();
    assert!(health.failed(&way, pass, status(401), &policy, at(0)));
    assert!(matches!(health.fitness(route, at(0)), Fitness::CredentialsResting(_)), "at once on this node");
    let mut health = Table::default();
    let forbidden = |health: &mut Table| {
        let (way, pass) = health.pass(route, &policy, at(0)).unwrap();
        health.failed(&way, pass, status(403), &policy, at(0))
    };
    assert!(!forbidden(&mut health) && !forbidden(&mut health));
    let (way, pass) = health.pass(route, &policy, at(0)).unwrap();
    health.succeeded(&way, pass, at(0));
    assert!(!forbidden(&mut health) && !forbidden(&mut health), "an answer between them counts anew");
    let (way, pass) = health.pass(route, &policy, at(0)).unwrap();
    assert!(!health.failed(&way, pass, status(400), &policy, at(0)));
    assert!(!forbidden(&mut health) && !forbidden(&mut health), "and so does the caller's own fault");
    assert!(forbidden(&mut health));
    health.forget(route);
    assert_eq!(health.fitness(route, at(0)), Fitness::Fit, "an operator's edit begins anew");
}

#[test]
fn weights_are_honoured_within_statistical_bounds() {
    const DRAWS: u64 = 60_000;
    let weights = [(1, 1), (2, 2), (3, 3)];
    let snapshot = snapshot(&weights.map(|(id, weight)| Sketch { weight, ..sketch(id) }));
    let mut orders: HashMap<Vec<i64>, u64> = HashMap::new();
    for seed in 0..DRAWS {
        let [(_, order)] =
            order(&planned(&snapshot, &["a"], false, seed, &Table::default())).try_into().unwrap();
        *orders.entry(order).or_default() += 1;
    }
    // Without replacement: the first by weight out of 6, the second by weight out of what is left.
    let rows: [(&[i64], u64); 6] = [
        (&[1, 2, 3], 60 * 2 / 5),
        (&[1, 3, 2], 60 * 3 / 5),
        (&[2, 1, 3], 120 / 4),
        (&[2, 3, 1], 120 * 3 / 4),
        (&[3, 1, 2], 180 / 3),
        (&[3, 2, 1], 180 * 2 / 3),
    ];
    for (order, of_360) in rows {
        let expected = DRAWS * of_360 / 360;
        let found = orders.get(order).copied().unwrap_or(0);
        // Five standard deviations, and the seeds are fixed: it passes always or never.
        assert!(found.abs_diff(expected).pow(2) < 25 * expected, "{order:?}: {found}, expected {expected}");
    }
}

#[test]
fn says_why_each_other_channel_is_not_among_them() {
    let sketches = [
        sketch(1),
        Sketch { enabled: false, ..sketch(2) },
        Sketch { models: vec!["other"], ..sketch(3) },
        Sketch { groups: vec!["c"], ..sketch(4) },
        Sketch { groups: vec!["b"], ..sketch(5) },
        Sketch { credentials: 0, ..sketch(6) },
        sketch(7),
        Sketch { priority: -1, ..sketch(8) },
    ];
    let snapshot = snapshot(&sketches);
    let mut health = Table::default();
    let policy = Policy { attempts_per_group: 1, breaker_failures: 1, ..Policy::default() };
    meet(&mut health, &snapshot, &[7], UpstreamFailure::Connect, &policy, at(0));
    let choice = choice(&snapshot, &["a", "b"], true, false);
    let want = Want { choice: &choice, door: Door::Chat, model: "m", seed: 3, now: at(1) };
    let found = explain(&snapshot, want, &health, &policy);
    let candidates: Vec<_> = found.candidates.iter().map(|one| (one.group.as_str(), one.channel.0)).collect();
    assert_eq!(candidates, [("a", 1)]);
    let others: Vec<_> = found.others.iter().map(|other| (other.channel.0, other.absence)).collect();
    let expected = [
        (2, Absence::Disabled),
        (3, Absence::OtherModels),
        (4, Absence::OtherGroups),
        (5, Absence::GroupNotReached),
        (6, Absence::Unfit(Fitness::NoCredential)),
        (7, Absence::Unfit(Fitness::Open(at(1_000)))),
        (8, Absence::BehindOthers),
    ];
    assert_eq!(others, expected);
}

fn sketches() -> impl Strategy<Value = Vec<Sketch>> {
    let groups = prop::sample::subsequence(NAMES.to_vec(), 0..=3);
    let models = prop::sample::subsequence(vec!["m", "other"], 0..=2);
    let one = (groups, models, -2_i64..3, 0_u32..5, any::<bool>(), 0_usize..3);
    prop::collection::vec(one, 0..12).prop_map(|rows| {
        let sketch = |(at, (groups, models, priority, weight, on, credentials)): (usize, _)| Sketch {
            id: i64::try_from(at).unwrap() + 1,
            priority,
            weight,
            enabled: on,
            groups,
            models,
            credentials,
            kind: "openai",
        };
        rows.into_iter().enumerate().map(sketch).collect()
    })
}

/// What channels met, at a moment before 20 s.
fn past() -> impl Strategy<Value = Vec<(Index, u8, i64)>> {
    prop::collection::vec((any::<Index>(), 0_u8..6, 0_i64..20_000), 0..30)
}

fn health_after(past: &[(Index, u8, i64)], snapshot: &Snapshot, policy: &Policy) -> Table {
    let mut health = Table::default();
    let routes = snapshot.channels();
    let mut past = past.to_vec();
    past.sort_by_key(|(_, _, when)| *when);
    for (which, what, when) in past.into_iter().filter(|_| !routes.is_empty()) {
        let route = which.get(routes);
        let Some((way, pass)) = health.pass(route, policy, at(when)) else { continue };
        let status = |status| UpstreamFailure::Status { status, retry_after: Some(Duration::from_secs(9)) };
        let failure = match what {
            0 => UpstreamFailure::Connect,
            1 => status(429),
            2 => status(503),
            3 => status(401),
            4 => status(400),
            _ => {
                health.succeeded(&way, pass, at(when));
                continue;
            }
        };
        health.failed(&way, pass, failure, policy, at(when));
    }
    health
}

proptest! {
    #[test]
    fn is_total_and_stable_and_leaves_out_only_what_it_must(
        sketches in sketches(),
        past in past(),
        groups in prop::sample::subsequence(NAMES.to_vec(), 1..=3).prop_shuffle(),
        (cross, seed, now) in (any::<bool>(), any::<u64>(), 0_i64..30_000),
        attempts in 1_u32..5,
        turn in any::<Index>(),
    ) {
        let policy = Policy { breaker_failures: 2, attempts_per_group: attempts, ..Policy::default() };
        let one = snapshot(&sketches);
        let health = health_after(&past, &one, &policy);
        let choice = choice(&one, &groups, true, cross);
        let want = Want { choice: &choice, door: Door::Chat, model: "m", seed, now: at(now) };
        let plan = plan(&one, want, &health);

        // Stable: the order of the input plays no part.
        let mut turned = sketches.clone();
        if !turned.is_empty() {
            let by = turn.index(turned.len());
            turned.rotate_left(by);
            turned.reverse();
        }
        let other = snapshot(&turned);
        prop_assert_eq!(order(&plan), order(&crate::routing::plan(&other, want, &health)));

        // Each stage has exactly the fit channels of its group, each once, by priority.
        for stage in &plan.stages {
            let serving = one.serving(&stage.group, "m");
            let mut fit: Vec<ChannelId> = serving.iter()
                .filter(|route| health.fitness(route, at(now)) == Fitness::Fit)
                .map(|route| route.id)
                .collect();
            let mut found: Vec<ChannelId> = stage.routes.iter().map(|route| route.id).collect();
            prop_assert!(stage.routes.is_sorted_by(|a, b| a.priority >= b.priority));
            fit.sort();
            found.sort();
            prop_assert_eq!(fit, found);
        }

        // The stages are the groups that have a channel for the model, in order; only the first without the flag.
        let mut expected: Vec<&str> =
            groups.iter().copied().filter(|group| !one.serving(group, "m").is_empty()).collect();
        if !cross {
            expected.truncate(1);
        }
        prop_assert_eq!(plan.stages.iter().map(|stage| &*stage.group).collect::<Vec<_>>(), expected);

        // The explanation has every channel once, and the same candidates.
        let explained = explain(&one, want, &health, &policy);
        let candidates: Vec<ChannelId> = plan.candidates(attempts).map(|(_, route)| route.id).collect();
        prop_assert_eq!(explained.candidates.iter().map(|one| one.channel).collect::<Vec<_>>(), candidates.clone());
        let mut all: Vec<i64> = explained.others.iter().map(|other| other.channel.0).collect();
        all.extend(candidates.iter().map(|id| id.0));
        all.sort_unstable();
        prop_assert_eq!(all, sketches.iter().map(|sketch| sketch.id).collect::<Vec<_>>());
        prop_assert!(explained.others.iter().all(|other| other.absence != Absence::Unfit(Fitness::Fit)));
        // There is a refusal exactly when there is no candidate.
        prop_assert_eq!(plan.refusal(&one, want, &health).is_some(), candidates.is_empty());
    }
}
