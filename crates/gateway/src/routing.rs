//! The routing snapshot: groups, channels and prices as one immutable value that requests read without a lock.
//!
//! It is rebuilt whole when something in it changes, and a request uses the one that it began with.

use std::{collections::HashMap, sync::Arc};

use model::{clock::Timestamp, id::ChannelId, price::Ratio};
use store::{ModelPrice, Store, StoreError};
use zeroize::Zeroizing;

use crate::upstream::Target;

/// One way to an upstream, ready to be used.
pub(crate) struct Channel {
    /// Its identity.
    pub(crate) id: ChannelId,
    /// Where the upstream is.
    pub(crate) target: Target,
    /// The whole value of the `authorization` header; `None` for an upstream that asks for none.
    pub(crate) authorization: Option<http::HeaderValue>,
    /// The upstream's names of models that have another name here.
    pub(crate) mapping: HashMap<String, String>,
    priority: i64,
}

impl Channel {
    /// What the upstream calls `model`.
    pub(crate) fn upstream_model<'a>(&'a self, model: &'a str) -> &'a str {
        self.mapping.get(model).map_or(model, String::as_str)
    }
}

/// Groups, channels and prices at one moment.
#[derive(Default)]
pub(crate) struct Snapshot {
    ratios: HashMap<String, Ratio>,
    ways: HashMap<String, HashMap<String, Vec<Arc<Channel>>>>,
    prices: HashMap<String, Arc<ModelPrice>>,
}

impl Snapshot {
    /// Reads everything from the store.
    ///
    /// # Errors
    /// What the store says; the last good snapshot then stays.
    pub(crate) async fn load(store: &Store, now: Timestamp) -> Result<Self, StoreError> {
        let mut snapshot = Self::default();
        for group in store.list_groups().await? {
            snapshot.ratios.insert(group.name, group.ratio);
        }
        for price in store.prices(now).await? {
            snapshot.prices.insert(price.model.clone(), Arc::new(price));
        }
        for row in store.list_channels().await? {
            if !row.enabled {
                continue;
            }
            let Some(target) = Target::parse(&row.base_url) else {
                tracing::error!(channel = %row.id, "a channel's address is not one; it is left out");
                continue;
            };
            let credential = store.channel_credential(row.id).await?;
            let channel = Arc::new(Channel {
                id: row.id,
                target,
                authorization: authorization(&credential),
                mapping: row.mapping.into_iter().collect(),
                priority: row.priority,
            });
            for group in &row.groups {
                let ways = snapshot.ways.entry(group.clone()).or_default();
                for model in &row.models {
                    ways.entry(model.clone()).or_default().push(Arc::clone(&channel));
                }
            }
        }
        for channels in snapshot.ways.values_mut().flat_map(HashMap::values_mut) {
            channels.sort_by_key(|channel| (std::cmp::Reverse(channel.priority), channel.id));
        }
        Ok(snapshot)
    }

    /// The price ratio of a group, or `None` when there is no such group.
    pub(crate) fn ratio(&self, group: &str) -> Option<Ratio> {
        self.ratios.get(group).copied()
    }

    /// The channel to use for `model` in `group`.
    pub(crate) fn channel(&self, group: &str, model: &str) -> Option<&Arc<Channel>> {
        self.ways.get(group)?.get(model)?.first()
    }

    /// The price of `model`.
    pub(crate) fn price(&self, model: &str) -> Option<&Arc<ModelPrice>> {
        self.prices.get(model)
    }

    /// The models that some channel serves in `group` and whose price is known, in order.
    pub(crate) fn models(&self, group: &str) -> Vec<&str> {
        let mut models: Vec<&str> = self
            .ways
            .get(group)
            .into_iter()
            .flat_map(HashMap::keys)
            .map(String::as_str)
            .filter(|model| self.prices.contains_key(*model))
            .collect();
        models.sort_unstable();
        models
    }
}

/// `Bearer` and the credential, marked so that nothing prints it. The store refuses to save a credential that is no
/// header value.
fn authorization(credential: &str) -> Option<http::HeaderValue> {
    if credential.is_empty() {
        return None;
    }
    let text = Zeroizing::new(format!("Bearer {credential}"));
    let mut value = http::HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
