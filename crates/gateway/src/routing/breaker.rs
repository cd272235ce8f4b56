//! The breaker of one channel: whether it may be asked at all, learned from what requests met.
//!
//! Closed, it lets everybody pass. Failures in a row, or a high rate of them in the last seconds, open it; nobody passes then.
//! After the open time one request passes as a probe, and only one at a time: its success closes the breaker, its
//! failure opens it again for twice as long. What began before the last change of state says nothing about the
//! state now and is not counted. Time comes in as a value; nothing here looks at a clock.

use std::time::Duration;

use model::clock::Timestamp;

use super::{policy::Policy, span::Span};

/// The time over which a failure rate is looked at, as two halves of which the older is dropped.
const HALF_WINDOW: Duration = Duration::from_secs(10);
/// Outcomes that make a rate; fewer are chance.
const ENOUGH: u32 = 20;
/// Failures in a hundred outcomes that open a breaker.
const TOO_MANY: u32 = 50;

/// What a breaker says to somebody who wants to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// Everybody passes.
    Closed,
    /// The next one passes as a probe.
    Ready,
    /// Nobody passes before this moment.
    Open(Timestamp),
    /// A probe is under way; another passes after this moment.
    Probing(Timestamp),
}

/// Leave to pass, handed back with the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    epoch: u64,
    probe: bool,
}

impl Pass {
    /// Whether it is the one probe.
    #[must_use]
    pub const fn is_probe(self) -> bool {
        self.probe
    }
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Closed,
    Open(Span),
    Probing(Span),
}

/// The breaker.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    state: State,
    /// Counts changes of state, so that late outcomes are known as such.
    epoch: u64,
    /// Openings since it was last healthy for long.
    openings: u32,
    closed_at: Timestamp,
    in_a_row: u32,
    window: Window,
}

impl Breaker {
    /// What it says now.
    #[must_use]
    pub fn stand(&self, now: Timestamp) -> Stand {
        match self.state {
            State::Closed => Stand::Closed,
            State::Open(span) if span.covers(now) => Stand::Open(span.end()),
            State::Probing(span) if span.covers(now) => Stand::Probing(span.end()),
            State::Open(_) | State::Probing(_) => Stand::Ready,
        }
    }

    /// Takes leave to pass; `None` when nobody passes.
    pub fn pass(&mut self, policy: &Policy, now: Timestamp) -> Option<Pass> {
        match self.stand(now) {
            Stand::Closed => Some(Pass { epoch: self.epoch, probe: false }),
            Stand::Ready => {
                // A probe that hangs makes room for another when the open time has passed once more.
                self.turn(State::Probing(Span::new(now, self.open_time(policy))));
                Some(Pass { epoch: self.epoch, probe: true })
            }
            Stand::Open(_) | Stand::Probing(_) => None,
        }
    }

    /// Takes in that a request got an answer.
    pub fn succeeded(&mut self, pass: Pass, now: Timestamp) {
        if pass.epoch != self.epoch {
            return;
        }
        self.in_a_row = 0;
        if pass.probe {
            self.closed_at = now;
            self.window = Window::default();
            self.turn(State::Closed);
        }
        self.window.count(false, now);
    }

    /// Takes in that a request met a broken channel.
    pub fn failed(&mut self, pass: Pass, policy: &Policy, now: Timestamp) {
        if pass.epoch != self.epoch {
            return;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.window.count(true, now);
        if pass.probe || self.in_a_row >= policy.breaker_failures || self.window.is_bad() {
            self.open(policy, now);
        }
    }

    /// Takes in that a request that had passed was not made, or ended without saying anything about the channel.
    pub fn returned(&mut self, pass: Pass, now: Timestamp) {
        if pass.probe && pass.epoch == self.epoch {
            self.turn(State::Open(Span::new(now, Duration::ZERO)));
        }
    }

    fn open(&mut self, policy: &Policy, now: Timestamp) {
        let healthy = Span::new(self.closed_at, policy.longest_breaker_open);
        if matches!(self.state, State::Closed) && !healthy.covers(now) {
            self.openings = 0;
        }
        self.openings = self.openings.saturating_add(1);
        self.in_a_row = 0;
        self.window = Window::default();
        let span = Span::new(now, self.open_time(policy));
        self.turn(State::Open(span));
    }

    /// The first opening's time, doubled with each further one, up to the longest.
    fn open_time(&self, policy: &Policy) -> Duration {
        let doubled = 2_u32.saturating_pow(self.openings.saturating_sub(1));
        policy.breaker_open.saturating_mul(doubled).min(policy.longest_breaker_open)
    }

    const fn turn(&mut self, state: State) {
        self.epoch += 1;
        self.state = state;
    }
}

/// Outcomes of the last seconds.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    began: Timestamp,
    now: Tally,
    before: Tally,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    all: u32,
    failed: u32,
}

impl Window {
    fn count(&mut self, failed: bool, now: Timestamp) {
        if !Span::new(self.began, HALF_WINDOW).covers(now) {
            let follows = Span::new(self.began, HALF_WINDOW * 2).covers(now);
            self.before = if follows { self.now } else { Tally::default() };
            (self.now, self.began) = (Tally::default(), now);
        }
        self.now.all = self.now.all.saturating_add(1);
        self.now.failed = self.now.failed.saturating_add(u32::from(failed));
    }

    fn is_bad(&self) -> bool {
        let all = u64::from(self.now.all) + u64::from(self.before.all);
        let failed = u64::from(self.now.failed) + u64::from(self.before.failed);
        all >= u64::from(ENOUGH) && failed * 100 >= all * u64::from(TOO_MANY)
    }
}
