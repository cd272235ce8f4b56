//! The plan: which channels a request may try, in order.
//!
//! A pure function of the snapshot, the groups of the key, the model, a seed and what is known of the channels' health at
//! a moment; the same input gives the same plan, whatever the order in which the snapshot was put together.

use std::{collections::HashSet, fmt, sync::Arc};

use model::{clock::Timestamp, id::ChannelId, price::Ratio, refusal::Refusal};

use super::{
    choice::Choice,
    health::{Fitness, Table},
    random::Random,
    snapshot::{Route, Snapshot},
};
use crate::door::Door;

/// One group of a plan.
#[derive(Clone, Debug)]
pub struct Stage {
    /// The group.
    pub group: Arc<str>,
    /// Its price ratio.
    pub ratio: Ratio,
    /// The channels that may be tried, in order; empty when the group has channels for the model and none is fit.
    pub routes: Vec<Arc<Route>>,
}

/// The groups to use, in order, each with its channels in order. A channel that stands in an earlier group as one that
/// will be tried may stand again in a later one; whoever walks the plan tries it once.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The groups; empty when no group has a channel for the model.
    pub stages: Vec<Stage>,
}

/// What a request asks of the routing table.
#[derive(Clone, Copy, Debug)]
pub struct Want<'a> {
    /// Its groups.
    pub choice: &'a Choice,
    /// Where it came in.
    pub door: Door,
    /// Its model.
    pub model: &'a str,
    /// What decides among channels of the same priority.
    pub seed: u64,
    /// When.
    pub now: Timestamp,
}

/// Plans a request.
#[must_use]
pub fn plan(snapshot: &Snapshot, want: Want<'_>, health: &Table) -> Plan {
    let mut random = Random::new(want.seed);
    let mut stages = Vec::with_capacity(1);
    for (group, ratio) in &want.choice.groups {
        let serving = snapshot.serving(group, want.model);
        if serving.is_empty() {
            continue;
        }
        // A group whose upstreams have no such door is passed over like one without a channel.
        if !serving.iter().any(|route| route.provider.serves(want.door)) {
            continue;
        }
        let fit = |route: &&Arc<Route>| {
            route.provider.serves(want.door) && health.fitness(route, want.now) == Fitness::Fit
        };
        let mut routes = Vec::with_capacity(serving.len());
        for same in serving.chunk_by(|a, b| a.priority == b.priority) {
            draw(same.iter().filter(fit).collect(), &mut random, &mut routes);
        }
        stages.push(Stage { group: Arc::clone(group), ratio: *ratio, routes });
        if !want.choice.cross_group {
            break;
        }
    }
    Plan { stages }
}

/// Puts `from` into `order`, drawn by weight without replacement; those of weight 0 come last, equally likely.
fn draw(mut from: Vec<&Arc<Route>>, random: &mut Random, order: &mut Vec<Arc<Route>>) {
    while !from.is_empty() {
        let total: u64 = from.iter().map(|route| u64::from(route.weight)).sum();
        let weight = |route: &Route| if total == 0 { 1 } else { u64::from(route.weight) };
        let mut drawn = random.below(if total == 0 { from.len() as u64 } else { total });
        let found = from.iter().position(|route| {
            let hit = drawn < weight(route);
            drawn = drawn.saturating_sub(weight(route));
            hit
        });
        order.push(Arc::clone(from.remove(found.unwrap_or(0))));
    }
}

impl fmt::Display for Plan {
    /// For the log: each group with the ids of its channels in order.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, stage) in self.stages.iter().enumerate() {
            write!(f, "{}{}:", if number == 0 { "" } else { "; " }, stage.group)?;
            stage.routes.iter().try_for_each(|route| write!(f, " {}", route.id))?;
        }
        Ok(())
    }
}

impl Plan {
    /// The channels that will be tried if each fails, with the number of their stage: in each group at most
    /// `attempts`, and none twice.
    pub fn candidates(&self, attempts: u32) -> impl Iterator<Item = (usize, &Arc<Route>)> {
        let mut tried: HashSet<ChannelId> = HashSet::new();
        let mut candidates = Vec::new();
        for (number, stage) in self.stages.iter().enumerate() {
            let fresh = stage.routes.iter().filter(|route| !tried.contains(&route.id));
            let chosen: Vec<_> = fresh.take(attempts as usize).collect();
            tried.extend(chosen.iter().map(|route| route.id));
            candidates.extend(chosen.into_iter().map(|route| (number, route)));
        }
        candidates.into_iter()
    }

    /// Why nothing can be sent, or `None` when there is a candidate: no group has a channel for the model, or every
    /// channel rests; then the answer says after how long one may be asked again.
    #[must_use]
    pub fn refusal(&self, snapshot: &Snapshot, want: Want<'_>, health: &Table) -> Option<Refusal> {
        if self.stages.iter().any(|stage| !stage.routes.is_empty()) {
            return None;
        }
        let (group, model) = (want.choice.name(), want.model.to_owned());
        if self.stages.is_empty() {
            let mut groups = want.choice.groups.iter();
            if groups.any(|(group, _)| !snapshot.serving(group, want.model).is_empty()) {
                return Some(Refusal::NotOffered { model, path: want.door.path() });
            }
            return Some(Refusal::ModelNotFound { group, model });
        }
        let routes = self.stages.iter().flat_map(|stage| snapshot.serving(&stage.group, want.model));
        let routes = routes.filter(|route| route.provider.serves(want.door));
        let soonest = routes.filter_map(|route| health.fitness(route, want.now).until()).min();
        let seconds = soonest.map(|until| (until.millis_since(want.now) + 999) / 1_000);
        Some(Refusal::Upstream {
            status: 503,
            code: None,
            message: format!(
                "every upstream for model {model} in group {group} fails or rests at the moment"
            ),
            retry_after: seconds.and_then(|seconds| u32::try_from(seconds).ok()),
        })
    }
}
