//! The attempts of one request: a walk along its plan.
//!
//! Each step gives the next channel to try or says why there is none. At most `attempts_per_group` channels of a
//! group are tried, none twice in a request, all of them before one deadline, and every attempt after the first costs
//! a retry of the node's budget. A channel that has become unfit since the plan was made is passed over and costs
//! nothing.

use std::{sync::Arc, time::Duration};

use model::{clock::Timestamp, id::ChannelId, price::Ratio};

use super::{
    budget::Budget,
    health::{Health, Permit},
    plan::Plan,
    span::Span,
};

/// One attempt to make.
#[derive(Debug)]
pub struct Attempt {
    /// The group that serves.
    pub group: Arc<str>,
    /// Its price ratio.
    pub ratio: Ratio,
    /// Leave to make it; the channel is in it.
    pub permit: Permit,
    /// The most time that is left for it, up to the first byte.
    pub limit: Duration,
    /// Its number in the request, from 1.
    pub number: u32,
}

/// Why there is no further attempt. The caller gets the last real failure of an upstream, if there was one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Everything that may be tried was tried.
    Exhausted,
    /// The time for all attempts has passed.
    Deadline,
    /// Too many requests of this node are retried already.
    Budget,
}

/// The walk.
#[derive(Debug)]
pub struct Attempts {
    plan: Plan,
    deadline: Span,
    stage: usize,
    at: usize,
    in_stage: u32,
    begun: bool,
    made: u32,
    /// Few: a group has a handful of attempts.
    tried: Vec<ChannelId>,
}

impl Attempts {
    /// Begins a walk along `plan`.
    #[must_use]
    pub fn new(plan: Plan, health: &Health, now: Timestamp) -> Self {
        let deadline = Span::new(now, health.policy().deadline);
        Self { plan, deadline, stage: 0, at: 0, in_stage: 0, begun: false, made: 0, tried: Vec::new() }
    }

    /// How many attempts were made.
    #[must_use]
    pub const fn made(&self) -> u32 {
        self.made
    }

    /// The next attempt.
    ///
    /// # Errors
    /// [`Over`] when there is none.
    pub fn next(&mut self, health: &Arc<Health>, budget: &Budget, now: Timestamp) -> Result<Attempt, Over> {
        let limit = self.deadline.left(now);
        if limit.is_zero() {
            return Err(Over::Deadline);
        }
        while let Some(stage) = self.plan.stages.get(self.stage) {
            let spent = self.in_stage >= health.policy().attempts_per_group;
            let Some(route) = stage.routes.get(self.at).filter(|_| !spent) else {
                self.leave_group();
                continue;
            };
            self.at += 1;
            if self.tried.contains(&route.id) {
                continue;
            }
            let Some(permit) = health.permit(route, now) else { continue };
            if !self.begun {
                self.begun = true;
                budget.request(now);
            }
            if self.made > 0 && !budget.retry(now) {
                return Err(Over::Budget);
            }
            self.tried.push(route.id);
            (self.in_stage, self.made) = (self.in_stage + 1, self.made + 1);
            let (group, ratio) = (Arc::clone(&stage.group), stage.ratio);
            return Ok(Attempt { group, ratio, permit, limit, number: self.made });
        }
        Err(Over::Exhausted)
    }

    /// Gives back an attempt that cannot be afforded in its group; the walk goes on in the next one.
    pub fn unaffordable(&mut self, attempt: Attempt, budget: &Budget) {
        if attempt.number > 1 {
            budget.unused();
        }
        let id = attempt.permit.channel().id;
        self.tried.retain(|tried| *tried != id);
        self.made = self.made.saturating_sub(1);
        self.leave_group();
    }

    const fn leave_group(&mut self) {
        self.stage += 1;
        (self.at, self.in_stage) = (0, 0);
    }
}
