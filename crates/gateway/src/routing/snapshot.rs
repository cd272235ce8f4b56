//! The routing snapshot: groups, channels and prices as one immutable value that requests read without a lock.
//!
//! It is rebuilt whole when something in it changes, and a request uses the one that it began with.

use std::{collections::HashSet, fmt, sync::Arc};

use model::{
    clock::Timestamp,
    id::{ChannelId, CredentialId},
    price::Ratio,
};
use rustc_hash::FxHashMap;
use store::{Group, ModelFacts, ModelPrice, Opened, Store, StoreError};
use zeroize::Zeroizing;

use crate::{
    provider::Provider,
    upstream::{Secret, Target},
};

/// One way to an upstream with one credential, ready to be used.
pub struct Channel {
    /// Its identity.
    pub id: ChannelId,
    /// The credential that it sends; minus the channel's own id for an upstream that asks for none.
    pub credential: CredentialId,
    /// Where the upstream is.
    pub(crate) target: Target,
    /// What it speaks.
    pub(crate) provider: &'static Provider,
    /// What proves who asks.
    pub(crate) secret: Secret,
    /// The upstream's names of models that have another name here.
    pub(crate) mapping: FxHashMap<String, String>,
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Channel({}, credential {})", self.id, self.credential)
    }
}

impl Channel {
    /// What the upstream calls `model`.
    pub(crate) fn upstream_model<'a>(&'a self, model: &'a str) -> &'a str {
        self.mapping.get(model).map_or(model, String::as_str)
    }
}

/// A channel as the plan sees it: when it may be used, and the ways that it offers, one for each credential.
#[derive(Debug)]
pub struct Route {
    /// The channel.
    pub id: ChannelId,
    /// Its name for people.
    pub name: String,
    /// Higher comes first.
    pub priority: i64,
    /// Its share among channels of the same priority; one of weight 0 comes after those that have one.
    pub weight: u32,
    /// Whether it is used.
    pub enabled: bool,
    /// The models that it serves.
    pub models: HashSet<String>,
    /// The groups that may use it.
    pub groups: HashSet<String>,
    /// What its upstream speaks.
    pub provider: &'static Provider,
    /// The ways that it offers; none when each of its credentials is refused or switched off.
    pub ways: Vec<Arc<Channel>>,
}

/// Groups, channels and prices at one moment.
#[derive(Default)]
pub struct Snapshot {
    ratios: FxHashMap<Arc<str>, Ratio>,
    /// Every channel, enabled or not, by priority, highest first, then by id.
    all: Vec<Arc<Route>>,
    /// The enabled ones by group and model, in the same order.
    serving: FxHashMap<String, FxHashMap<String, Vec<Arc<Route>>>>,
    prices: FxHashMap<String, Arc<ModelPrice>>,
    facts: FxHashMap<String, ModelFacts>,
    /// When the next price begins, and this snapshot ends.
    ends: Option<Timestamp>,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot({} groups, {} channels)", self.ratios.len(), self.all.len())
    }
}

impl Snapshot {
    /// Puts a snapshot together. The order of what is given plays no part.
    #[must_use]
    pub fn new(groups: Vec<Group>, prices: Vec<ModelPrice>, routes: Vec<Route>) -> Self {
        let mut all: Vec<Arc<Route>> = routes.into_iter().map(Arc::new).collect();
        all.sort_by_key(|route| (std::cmp::Reverse(route.priority), route.id));
        let mut serving: FxHashMap<String, FxHashMap<String, Vec<Arc<Route>>>> = FxHashMap::default();
        for route in all.iter().filter(|route| route.enabled) {
            for group in &route.groups {
                let of_group = serving.entry(group.clone()).or_default();
                for model in &route.models {
                    of_group.entry(model.clone()).or_default().push(Arc::clone(route));
                }
            }
        }
        Self {
            ratios: groups.into_iter().map(|group| (group.name.into(), group.ratio)).collect(),
            all,
            serving,
            prices: prices.into_iter().map(|price| (price.model.clone(), Arc::new(price))).collect(),
            facts: FxHashMap::default(),
            ends: None,
        }
    }

    /// Reads everything from the store.
    ///
    /// # Errors
    /// What the store says; the last good snapshot then stays.
    pub async fn load(store: &Store, now: Timestamp) -> Result<Self, StoreError> {
        let mut routes = Vec::new();
        for row in store.list_channels().await? {
            let Some(target) = Target::parse(&row.base_url) else {
                tracing::error!(channel = %row.id, "a channel's address is not one; it is left out");
                continue;
            };
            let Some(provider) = Provider::of(&row.kind) else {
                tracing::error!(channel = %row.id, kind = row.kind, "a channel's kind is unknown; it is left out");
                continue;
            };
            let mapping: FxHashMap<String, String> = row.mapping.into_iter().collect();
            let way = |(credential, text): (CredentialId, Zeroizing<String>)| {
                let secret = Secret::read(provider.credential, &text, &target);
                Arc::new(Channel {
                    id: row.id,
                    credential,
                    target: target.clone(),
                    provider,
                    secret,
                    mapping: mapping.clone(),
                })
            };
            let opened = |(id, text): Opened| {
                let left_out = |error: &StoreError| {
                    tracing::error!(channel = %row.id, credential = %id, %error, "a credential is left out");
                };
                Some((id, text.inspect_err(left_out).ok()?))
            };
            let ways = match row.credentials.as_slice() {
                // No row of the table of credentials has this id.
                [] => vec![way((CredentialId(-row.id.0), Zeroizing::default()))],
                _ => {
                    store.usable_credentials(row.id).await?.into_iter().filter_map(opened).map(way).collect()
                }
            };
            routes.push(Route {
                id: row.id,
                name: row.name,
                priority: row.priority,
                weight: row.weight,
                enabled: row.enabled,
                models: row.models.into_iter().collect(),
                groups: row.groups.into_iter().collect(),
                provider,
                ways,
            });
        }
        // Asked first: a price that is set meanwhile is a change, and brings the next snapshot by itself.
        let ends = store.next_price(now).await?;
        let facts = store.models().await?.into_iter().map(|facts| (facts.name.clone(), facts)).collect();
        let snapshot = Self::new(store.list_groups().await?, store.prices(now).await?, routes);
        Ok(Self { facts, ends, ..snapshot })
    }

    /// Whether a price has begun by `now` that is not in here.
    #[must_use]
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.ends.is_some_and(|ends| ends <= now)
    }

    /// What is known of `model` beside its price.
    #[must_use]
    pub fn facts(&self, model: &str) -> Option<&ModelFacts> {
        self.facts.get(model)
    }

    /// Every model with a price, in order.
    #[must_use]
    pub fn priced(&self) -> Vec<&Arc<ModelPrice>> {
        let mut models: Vec<&Arc<ModelPrice>> = self.prices.values().collect();
        models.sort_unstable_by(|one, other| one.model.cmp(&other.model));
        models
    }

    /// Whether some enabled channel serves `model`, in whatever group.
    #[must_use]
    pub fn is_served(&self, model: &str) -> bool {
        self.serving.values().any(|models| models.contains_key(model))
    }

    /// How many models some enabled channel serves whose price is not known, so that each request for them is refused.
    #[must_use]
    pub fn unpriced(&self) -> usize {
        let served: HashSet<&String> = self.serving.values().flat_map(FxHashMap::keys).collect();
        served.into_iter().filter(|model| !self.prices.contains_key(*model)).count()
    }

    /// A group by its name, with its price ratio.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<(&Arc<str>, Ratio)> {
        self.ratios.get_key_value(name).map(|(name, ratio)| (name, *ratio))
    }

    /// The price ratio of a group, or `None` when there is no such group.
    #[must_use]
    pub fn ratio(&self, group: &str) -> Option<Ratio> {
        self.ratios.get(group).copied()
    }

    /// The enabled channels that serve `model` in `group`, by priority, highest first.
    #[must_use]
    pub fn serving(&self, group: &str, model: &str) -> &[Arc<Route>] {
        let found = self.serving.get(group).and_then(|models| models.get(model));
        found.map_or(&[], Vec::as_slice)
    }

    /// Every channel, enabled or not, by priority, highest first, then by id.
    #[must_use]
    pub fn channels(&self) -> &[Arc<Route>] {
        &self.all
    }

    /// The price of `model`.
    #[must_use]
    pub fn price(&self, model: &str) -> Option<&Arc<ModelPrice>> {
        self.prices.get(model)
    }

    /// The models that some channel serves in `group` and whose price is known, in order.
    #[must_use]
    pub fn models(&self, group: &str) -> Vec<&str> {
        let mut models: Vec<&str> = self
            .serving
            .get(group)
            .into_iter()
            .flat_map(FxHashMap::keys)
            .map(String::as_str)
            .filter(|model| self.prices.contains_key(*model))
            .collect();
        models.sort_unstable();
        models
    }
}
