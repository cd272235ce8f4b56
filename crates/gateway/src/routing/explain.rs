//! A plan for people: the candidates in order, and why each other channel is not among them.

use std::fmt;

use model::{clock::Timestamp, id::ChannelId, price::Ratio, refusal::Refusal};

use super::{
    health::{Fitness, Table},
    plan::{Plan, Want, plan},
    policy::Policy,
    snapshot::{Route, Snapshot},
};

/// A channel that will be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The group that it serves in.
    pub group: String,
    /// That group's price ratio.
    pub ratio: Ratio,
    /// The channel.
    pub channel: ChannelId,
    /// Its name.
    pub name: String,
    /// Its priority.
    pub priority: i64,
    /// Its weight.
    pub weight: u32,
}

/// Why a channel will not be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// An operator has disabled it.
    Disabled,
    /// It does not serve the model.
    OtherModels,
    /// Its upstream has no such endpoint.
    OtherDoors,
    /// It is in none of the key's groups.
    OtherGroups,
    /// It is only in groups of the automatic list that are not reached.
    GroupNotReached,
    /// It is not fit at the moment.
    Unfit(Fitness),
    /// Enough others of its group come first.
    BehindOthers,
}

impl Absence {
    /// When it may be used again, as far as that is known.
    #[must_use]
    pub const fn until(self) -> Option<Timestamp> {
        match self {
            Self::Unfit(fitness) => fitness.until(),
            _ => None,
        }
    }
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disabled => "it is disabled",
            Self::OtherModels => "it does not serve the model",
            Self::OtherDoors => "its upstream has no such endpoint",
            Self::OtherGroups => "it is in none of the key's groups",
            Self::GroupNotReached => "its group is not reached",
            Self::Unfit(Fitness::NoCredential) => "none of its credentials is in use",
            Self::Unfit(Fitness::Resting(_)) => "its upstream asked for a rest",
            Self::Unfit(Fitness::CredentialsResting(_)) => {
                "each of its credentials rests: its limit is used up, or it is refused"
            }
            Self::Unfit(Fitness::Open(_)) => "it failed; its breaker is open",
            Self::Unfit(Fitness::Probing(_)) => "it failed; a probe is under way",
            Self::Unfit(Fitness::Fit) | Self::BehindOthers => "enough others come first",
        })
    }
}

/// A channel that will not be tried, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// The channel.
    pub channel: ChannelId,
    /// Its name.
    pub name: String,
    /// Why.
    pub absence: Absence,
}

/// The whole plan of a request; every channel is in it once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// The key's groups, in order.
    pub groups: Vec<String>,
    /// Whether they come from the account's automatic list.
    pub auto: bool,
    /// Whether a group whose attempts are used up is left for the next.
    pub cross_group: bool,
    /// The channels that will be tried, each if those before it fail.
    pub candidates: Vec<Candidate>,
    /// Every other channel, by id.
    pub others: Vec<Other>,
    /// What the caller is told when there is no candidate.
    pub refusal: Option<Refusal>,
}

/// Plans a request and says why, without sending anything.
#[must_use]
pub fn explain(snapshot: &Snapshot, want: Want<'_>, health: &Table, policy: &Policy) -> Explanation {
    let plan = plan(snapshot, want, health);
    let candidate = |(stage, route): (usize, &std::sync::Arc<Route>)| {
        let stage = plan.stages.get(stage)?;
        Some(Candidate {
            group: stage.group.to_string(),
            ratio: stage.ratio,
            channel: route.id,
            name: route.name.clone(),
            priority: route.priority,
            weight: route.weight,
        })
    };
    let candidates: Vec<Candidate> =
        plan.candidates(policy.attempts_per_group).filter_map(candidate).collect();
    let mut others: Vec<Other> = snapshot
        .channels()
        .iter()
        .filter(|route| candidates.iter().all(|candidate| candidate.channel != route.id))
        .map(|route| Other {
            channel: route.id,
            name: route.name.clone(),
            absence: absence(route, &plan, want, health),
        })
        .collect();
    others.sort_by_key(|other| other.channel);
    Explanation {
        groups: want.choice.groups.iter().map(|(name, _)| name.to_string()).collect(),
        auto: want.choice.auto,
        cross_group: want.choice.cross_group,
        candidates,
        others,
        refusal: plan.refusal(snapshot, want, health),
    }
}

fn absence(route: &Route, plan: &Plan, want: Want<'_>, health: &Table) -> Absence {
    if !route.enabled {
        return Absence::Disabled;
    }
    if !route.models.contains(want.model) {
        return Absence::OtherModels;
    }
    if !route.provider.serves(want.door) {
        return Absence::OtherDoors;
    }
    if !want.choice.groups.iter().any(|(group, _)| route.groups.contains(&**group)) {
        return Absence::OtherGroups;
    }
    if !plan.stages.iter().any(|stage| route.groups.contains(&*stage.group)) {
        return Absence::GroupNotReached;
    }
    match health.fitness(route, want.now) {
        Fitness::Fit => Absence::BehindOthers,
        unfit => Absence::Unfit(unfit),
    }
}
