//! Routing as values: snapshots are made here, time and seeds are given.

mod attempts;
mod breaker;
mod budget;
mod choice;
mod failure;
mod plan;

use std::sync::Arc;

use model::{
    clock::Timestamp,
    id::{ChannelId, CredentialId},
    price::Ratio,
};
use rustc_hash::FxHashMap;
use store::Group;

use crate::{
    provider::Provider,
    upstream::{Secret, Target},
};

use super::{Channel, Choice, Route, Snapshot};

pub(super) const fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// What a test says about a channel.
#[derive(Clone, Debug)]
pub(super) struct Sketch {
    pub(super) id: i64,
    pub(super) priority: i64,
    pub(super) weight: u32,
    pub(super) enabled: bool,
    pub(super) groups: Vec<&'static str>,
    pub(super) models: Vec<&'static str>,
    pub(super) credentials: usize,
    pub(super) kind: &'static str,
}

/// An enabled channel with one credential for model `m` in group `a`.
pub(super) fn sketch(id: i64) -> Sketch {
    let (groups, models) = (vec!["a"], vec!["m"]);
    Sketch { id, priority: 0, weight: 1, enabled: true, groups, models, credentials: 1, kind: "openai" }
}

impl Sketch {
    pub(super) fn route(&self) -> Route {
        let provider = Provider::of(self.kind).unwrap();
        let way = |number: usize| Channel {
            id: ChannelId(self.id),
            credential: CredentialId(self.id * 100 + i64::try_from(number).unwrap()),
            target: Target::parse("http://127.0.0.1:1").unwrap(),
            provider,
            secret: Secret::None,
            mapping: FxHashMap::default(),
        };
        let strings = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
        Route {
            id: ChannelId(self.id),
            name: format!("channel {}", self.id),
            priority: self.priority,
            weight: self.weight,
            enabled: self.enabled,
            models: strings(&self.models),
            groups: strings(&self.groups),
            provider,
            ways: (0..self.credentials).map(|number| Arc::new(way(number))).collect(),
        }
    }
}

pub(super) fn snapshot(sketches: &[Sketch]) -> Snapshot {
    let group = |(name, ratio): (&str, i64)| Group {
        name: name.to_owned(),
        description: String::new(),
        ratio: Ratio(ratio),
    };
    let groups = [("a", 1_000_000), ("b", 2_000_000), ("c", 500_000)].map(group);
    Snapshot::new(groups.into(), Vec::new(), sketches.iter().map(Sketch::route).collect())
}

/// The groups `names`, as an automatic list or as the one group of a key.
pub(super) fn choice(snapshot: &Snapshot, names: &[&str], auto: bool, cross_group: bool) -> Choice {
    let groups = names.iter().map(|name| snapshot.group(name).unwrap());
    Choice { groups: groups.map(|(name, ratio)| (Arc::clone(name), ratio)).collect(), auto, cross_group }
}
