//! The breaker as a state machine.

use std::time::Duration;

use proptest::prelude::*;

use super::at;
use crate::routing::{Breaker, Pass, Policy, Stand};

fn policy() -> Policy {
    Policy {
        breaker_failures: 3,
        breaker_open: Duration::from_secs(1),
        longest_breaker_open: Duration::from_secs(8),
        ..Policy::default()
    }
}

/// Lets `count` requests pass and fail at `now`.
fn fail(breaker: &mut Breaker, count: u32, now: i64) {
    for _ in 0..count {
        let pass = breaker.pass(&policy(), at(now)).unwrap();
        breaker.failed(pass, &policy(), at(now));
    }
}

fn succeed(breaker: &mut Breaker, now: i64) {
    let pass = breaker.pass(&policy(), at(now)).unwrap();
    breaker.succeeded(pass, at(now));
}

#[test]
fn failures_in_a_row_open_it_and_an_answer_between_them_does_not() {
    let mut breaker = Breaker::default();
    fail(&mut breaker, 2, 0);
    succeed(&mut breaker, 0);
    fail(&mut breaker, 2, 0);
    assert_eq!(breaker.stand(at(0)), Stand::Closed);
    fail(&mut breaker, 1, 0);
    assert_eq!(breaker.stand(at(0)), Stand::Open(at(1_000)));
    assert_eq!(breaker.pass(&policy(), at(999)), None);
}

#[test]
fn half_of_many_open_it_without_a_row() {
    let mut breaker = Breaker::default();
    for request in 0..19 {
        assert_eq!(breaker.stand(at(0)), Stand::Closed, "{request} outcomes are chance");
        if request % 2 == 0 { fail(&mut breaker, 1, request) } else { succeed(&mut breaker, request) }
    }
    fail(&mut breaker, 1, 20);
    assert!(matches!(breaker.stand(at(20)), Stand::Open(_)));
    // The same failures, but with those of long ago forgotten.
    let mut breaker = Breaker::default();
    for request in 0..40 {
        let now = request * 5_000;
        if request % 2 == 0 {
            fail(&mut breaker, 1, now)
        } else {
            succeed(&mut breaker, now)
        }
        assert_eq!(breaker.stand(at(now)), Stand::Closed);
    }
}

#[test]
fn one_probe_closes_it_and_a_failed_probe_doubles_the_time_up_to_the_longest() {
    let mut breaker = Breaker::default();
    fail(&mut breaker, 3, 0);
    let mut now = 0;
    for open in [1_000, 2_000, 4_000, 8_000, 8_000, 8_000] {
        assert_eq!(breaker.stand(at(now)), Stand::Open(at(now + open)));
        now += open;
        assert_eq!(breaker.stand(at(now)), Stand::Ready);
        let probe = breaker.pass(&policy(), at(now)).unwrap();
        assert!(probe.is_probe());
        assert_eq!(breaker.pass(&policy(), at(now)), None, "one probe at a time");
        breaker.failed(probe, &policy(), at(now));
    }
    now += 8_000;
    succeed(&mut breaker, now);
    assert_eq!(breaker.stand(at(now)), Stand::Closed, "one answer closes it");
    fail(&mut breaker, 3, now + 100);
    assert_eq!(breaker.stand(at(now + 100)), Stand::Open(at(now + 8_100)), "it was not healthy for long");
    now += 8_100;
    succeed(&mut breaker, now);
    now += 10_000;
    fail(&mut breaker, 3, now);
    assert_eq!(breaker.stand(at(now)), Stand::Open(at(now + 1_000)), "now it was");
}

#[test]
fn a_probe_that_is_given_back_or_hangs_makes_room_for_another() {
    let mut breaker = Breaker::default();
    fail(&mut breaker, 3, 0);
    let given_back = breaker.pass(&policy(), at(1_000)).unwrap();
    breaker.returned(given_back, at(1_001));
    let hanging = breaker.pass(&policy(), at(1_001)).unwrap();
    assert_eq!(breaker.stand(at(1_500)), Stand::Probing(at(2_001)));
    let another = breaker.pass(&policy(), at(2_001)).unwrap();
    breaker.succeeded(hanging, at(2_002));
    assert!(matches!(breaker.stand(at(2_002)), Stand::Probing(_)), "the late one says nothing");
    breaker.succeeded(another, at(2_003));
    assert_eq!(breaker.stand(at(2_003)), Stand::Closed);
}

#[test]
fn what_began_before_the_breaker_opened_says_nothing_about_it() {
    let mut breaker = Breaker::default();
    let early: Vec<Pass> = (0..5).map(|_| breaker.pass(&policy(), at(0)).unwrap()).collect();
    fail(&mut breaker, 3, 1);
    for pass in early {
        breaker.succeeded(pass, at(2));
    }
    assert!(matches!(breaker.stand(at(2)), Stand::Open(_)));
}

#[test]
fn a_clock_that_is_set_back_does_not_keep_it_open() {
    let mut breaker = Breaker::default();
    fail(&mut breaker, 3, 10_000_000);
    assert_eq!(breaker.stand(at(5)), Stand::Ready);
}

proptest! {
    /// Whatever happens: while it is not closed there is never a second probe, nobody passes while it is open, and it
    /// always becomes ready again within the longest open time.
    #[test]
    fn never_two_probes_and_never_open_for_ever(steps in prop::collection::vec((0_u8..4, 0_i64..3_000), 1..200)) {
        let mut breaker = Breaker::default();
        let mut under_way: Vec<Pass> = Vec::new();
        let mut probe_until = None;
        let mut now = 0;
        for (step, later) in steps {
            now += later;
            let stand = breaker.stand(at(now));
            match step {
                0 => {
                    let pass = breaker.pass(&policy(), at(now));
                    prop_assert_eq!(pass.is_some(), matches!(stand, Stand::Closed | Stand::Ready));
                    if let Some(pass) = pass {
                        if pass.is_probe() {
                            prop_assert!(probe_until.is_none_or(|until| now >= until), "a second probe");
                            let Stand::Probing(until) = breaker.stand(at(now)) else { panic!("no probe") };
                            probe_until = Some(until.millis());
                        }
                        under_way.push(pass);
                    }
                }
                _ => if let Some(pass) = under_way.pop() {
                    match step {
                        1 => breaker.succeeded(pass, at(now)),
                        2 => breaker.failed(pass, &policy(), at(now)),
                        _ => breaker.returned(pass, at(now)),
                    }
                    if pass.is_probe() {
                        probe_until = None;
                    }
                }
            }
            if let Stand::Open(until) | Stand::Probing(until) = breaker.stand(at(now)) {
                prop_assert!(until.millis() - now <= 8_000);
            }
        }
        prop_assert!(matches!(breaker.stand(at(now + 8_000)), Stand::Closed | Stand::Ready));
    }
}
