//! The retry budget of one node: how much more than its callers it may ask of upstreams.
//!
//! Each request earns a part of a retry, and so does each second; a retry costs a whole one. When every upstream is down,
//! the upstreams get at most the share of requests on top that the policy allows, plus the small floor.
//! Unused retries are kept only up to a short burst.

use model::clock::Timestamp;
use parking_lot::Mutex;

use super::policy::Policy;

/// A whole retry, in the parts that are earned.
const RETRY: u64 = 100_000;
/// Retries that are kept at most, and that a node begins with.
const BURST: u64 = 20;

/// The bucket. Time comes in as a value.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    parts: u64,
    seen: Timestamp,
}

impl Bucket {
    /// Full, at `now`.
    #[must_use]
    pub const fn new(now: Timestamp) -> Self {
        Self { parts: BURST * RETRY, seen: now }
    }

    /// Earns what a request is worth.
    pub fn request(&mut self, policy: &Policy, now: Timestamp) {
        self.pass_time(policy, now);
        self.earn(u64::from(policy.retries_per_hundred) * (RETRY / 100));
    }

    /// Takes one retry; `false` when there is none.
    #[must_use]
    pub fn retry(&mut self, policy: &Policy, now: Timestamp) -> bool {
        self.pass_time(policy, now);
        let Some(rest) = self.parts.checked_sub(RETRY) else { return false };
        self.parts = rest;
        true
    }

    /// Gives back a retry that was not made.
    pub fn unused(&mut self) {
        self.earn(RETRY);
    }

    fn pass_time(&mut self, policy: &Policy, now: Timestamp) {
        let elapsed = now.millis_since(self.seen).unsigned_abs();
        let a_millisecond = u64::from(policy.retries_per_second) * (RETRY / 1_000);
        self.earn(elapsed.saturating_mul(a_millisecond));
        self.seen = now;
    }

    fn earn(&mut self, parts: u64) {
        self.parts = self.parts.saturating_add(parts).min(BURST * RETRY);
    }
}

/// The bucket that all requests of a node share.
#[derive(Debug)]
pub struct Budget {
    bucket: Mutex<Bucket>,
    policy: Policy,
}

impl Budget {
    /// A full one.
    #[must_use]
    pub const fn new(policy: Policy, now: Timestamp) -> Self {
        Self { bucket: Mutex::new(Bucket::new(now)), policy }
    }

    /// A request begins.
    pub fn request(&self, now: Timestamp) {
        self.bucket.lock().request(&self.policy, now);
    }

    /// Asks for a retry.
    #[must_use]
    pub fn retry(&self, now: Timestamp) -> bool {
        self.bucket.lock().retry(&self.policy, now)
    }

    /// A retry that was asked for is not made.
    pub fn unused(&self) {
        self.bucket.lock().unused();
    }
}
