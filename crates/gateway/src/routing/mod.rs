//! Which way a request goes: everything that decides it, without sending anything.
//!
//! - [`Snapshot`]: groups, channels and prices at one moment; a request uses the one that it began with.
//! - [`Choice`]: the groups of a key, in order, with `auto` and `cross_group_retry`.
//! - [`plan`](plan()): the channels that a request may try, in order; a pure function. [`explain`](explain()) says why.
//! - [`Health`]: breakers, rests and the rotation of credentials, shared by the requests of a node.
//! - [`Budget`]: how many retries a node may make.
//! - [`UpstreamFailure`]: what follows from a failed attempt.
//! - [`Attempts`]: the walk of one request along its plan.
//!
//! A request uses them like this:
//!
//! ```text
//! let choice = Choice::of(&account, &key.settings, &snapshot)?;
//! let want = Want { choice: &choice, door, model, seed: seeds.next(), now };
//! let plan = health.with(|table| plan(&snapshot, want, table));
//! if let Some(refusal) = health.with(|table| plan.refusal(&snapshot, want, table)) { return Err(refusal) }
//! let mut attempts = Attempts::new(plan, &health, now);
//! let mut last = None;                                // the last real failure, for the caller
//! loop {
//!     let Ok(attempt) = attempts.next(&health, &budget, clock.now()) else { return Err(last) };
//!     if dearer(attempt.ratio) && !raise(&mut hold, attempt.ratio) {
//!         attempts.unaffordable(attempt, &budget);    // not made; the next group may be cheaper
//!         continue;
//!     }
//!     match send(attempt.permit.channel(), …, attempt.limit.min(first_byte)).await {
//!         Ok(response) if response.is_success() => { attempt.permit.succeeded(); return relay(response) }
//!         failed => {
//!             let failure = UpstreamFailure::…;       // with `retry_after(headers, now)` for a status
//!             last = Some(failed);
//!             let next = failure.verdict(policy).next;
//!             let channel = Arc::clone(attempt.permit.channel());
//!             if attempt.permit.failed(failure) { channels::credential_refused(channel, status) }
//!             if next == Next::Answer { return Err(last) }
//!         }
//!     }
//! }
//! ```
//!
//! A permit that is dropped (the caller has left) gives its place back and says nothing about the channel. Nothing may be
//! tried again once the first byte has gone to the caller.

mod attempts;
mod breaker;
mod budget;
mod choice;
mod explain;
mod failure;
mod health;
mod plan;
mod policy;
mod random;
mod recent;
mod snapshot;
mod span;
#[cfg(test)]
mod tests;

pub use attempts::{Attempt, Attempts, Over};
pub use breaker::{Breaker, Pass, Stand};
pub use budget::{Bucket, Budget};
pub use choice::Choice;
pub use explain::{Absence, Candidate, Explanation, Other, explain};
pub use failure::{CredentialVerdict, Next, UpstreamFailure, Verdict, retry_after};
pub use health::{Fitness, Health, Permit, Table};
pub use plan::{Plan, Stage, Want, plan};
pub use policy::Policy;
pub use random::Seeds;
pub use recent::Record;
pub use snapshot::{Channel, Route, Snapshot};
pub use span::Span;
