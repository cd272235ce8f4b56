//! Who may: the checks of a model request, in the contract's order. The first that fails answers.

use std::{net::IpAddr, sync::Arc};

use model::{clock::Timestamp, key::Status, price::Tool, refusal::Refusal};
use store::ModelPrice;
use wire::extras::{Asked, Unpriced};

use crate::{
    door::Door,
    gateway::Gateway,
    key_cache::Known,
    routing::{self, Choice, Plan, Snapshot, Want},
};

/// The credentials of one request: every place where an API key may stand, already taken apart.
#[derive(Clone, Debug, Default)]
pub struct Credentials(Vec<Secret>);

/// A credential as it was sent. It never prints itself.
#[derive(Clone)]
struct Secret(zeroize::Zeroizing<String>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Credentials {
    /// Adds one. An empty text counts as none.
    pub fn add(&mut self, text: &str) {
        let text = text.trim();
        if !text.is_empty() {
            self.0.push(Secret(zeroize::Zeroizing::new(text.to_owned())));
        }
    }

    /// The one credential that was sent.
    fn one(&self) -> Result<&str, Refusal> {
        let [first, rest @ ..] = self.0.as_slice() else { return Err(Refusal::MissingApiKey) };
        let bare = |secret: &Secret| secret.0.strip_prefix("sk-").unwrap_or(&secret.0).to_owned();
        match rest.iter().all(|other| bare(other) == bare(first)) {
            true => Ok(&first.0),
            false => Err(Refusal::ConflictingCredentials),
        }
    }
}

/// The key that was sent, whatever its state: what `GET /api/usage/token` asks for.
///
/// # Errors
/// [`Refusal::MissingApiKey`], [`Refusal::InvalidApiKey`], [`Refusal::ConflictingCredentials`], and
/// [`Refusal::Unavailable`] when the database does not answer for a key that is not in memory.
pub(crate) async fn identify(gateway: &Gateway, credentials: &Credentials) -> Result<Arc<Known>, Refusal> {
    let text = credentials.one()?;
    let Some(digest) = gateway.store.api_key_digest(text) else { return Err(Refusal::InvalidApiKey) };
    let load = || Box::pin(gateway.key_loader.load(&gateway.store, digest));
    gateway.keys.get(&digest, load).await?.ok_or(Refusal::InvalidApiKey)
}

/// The checks that need no body: key, expiry, account, address.
pub(crate) async fn admit(
    gateway: &Gateway,
    credentials: &Credentials,
    client: IpAddr,
    now: Timestamp,
) -> Result<Arc<Known>, Refusal> {
    let known = identify(gateway, credentials).await?;
    match known.key.set_status {
        Status::Enabled => {}
        Status::Expired => return Err(Refusal::KeyExpired),
        Status::Disabled | Status::Exhausted => return Err(Refusal::KeyDisabled),
    }
    if known.key.is_expired(now) {
        return Err(Refusal::KeyExpired);
    }
    if known.account.disabled {
        return Err(Refusal::AccountDisabled);
    }
    if !known.rules.allow(client) {
        return Err(Refusal::IpNotAllowed);
    }
    Ok(known)
}

/// Which ways a request may go and what it costs.
pub(crate) struct Way {
    /// The channels that it may try.
    pub(crate) plan: Plan,
    /// The model's price.
    pub(crate) price: Arc<ModelPrice>,
    /// What the plan was made from.
    pub(crate) snapshot: Arc<Snapshot>,
}

/// The checks that need the model: group, model list, channel, price.
pub(crate) fn way(gateway: &Gateway, known: &Known, door: Door, model: &str) -> Result<Way, Refusal> {
    way_priced(gateway, known, (door, door), model)
}

/// The same where what is charged at the first door is what is charged at the second.
pub(crate) fn way_priced(
    gateway: &Gateway,
    known: &Known,
    (door, priced): (Door, Door),
    model: &str,
) -> Result<Way, Refusal> {
    let snapshot = gateway.routing();
    let choice = Choice::of(&known.account, &known.key.settings, &snapshot)?;
    if !known.key.settings.allows_model(model) {
        return Err(Refusal::ModelNotAllowed(model.to_owned()));
    }
    let want = Want { choice: &choice, door, model, seed: gateway.seeds.next(), now: gateway.now() };
    let (plan, refusal) = gateway.health.with(|table| {
        let plan = routing::plan(&snapshot, want, table);
        let refusal = plan.refusal(&snapshot, want, table);
        (plan, refusal)
    });
    if let Some(refusal) = refusal {
        return Err(refusal);
    }
    // A price of something else says nothing of what this door counts.
    let Some(price) = snapshot.price(model).filter(|price| priced.is_priced_by(&price.price)) else {
        gateway.metrics.price_unknown(model);
        return Err(Refusal::PriceUnknown(model.to_owned()));
    };
    let price = Arc::clone(price);
    Ok(Way { plan, price, snapshot })
}

/// Refuses what a request asks for beside tokens, if nobody has said what it costs with this model: a tool that the provider
/// runs itself, or a term of service.
pub(crate) fn extras(asked: &Asked, price: &ModelPrice) -> Result<(), Refusal> {
    let price_of = &price.price;
    let tool = |tool: Tool| match tool {
        // No vendor charges for a page but by its tokens.
        Tool::WebFetch => true,
        // Some of Google's models are charged by the query, and some by the answer.
        Tool::WebSearch => price_of.tool(tool).or_else(|| price_of.tool(Tool::Grounding)).is_some(),
        _ => price_of.tool(tool).is_some(),
    };
    match asked.unpriced(tool, |term| price_of.term(term).is_some()) {
        Some(Unpriced { param, what }) => {
            Err(Refusal::ExtraUnknown { model: price.model.clone(), param, what: what.clone() })
        }
        None => Ok(()),
    }
}
