//! The models that a key may call.

use std::{collections::BTreeSet, net::IpAddr};

use model::{key::Settings, money::Units, price::Most, refusal::Refusal};

use crate::{Account, Credentials, Gateway, admission, door::Door, entry::Entry, routing::Choice};

/// A model that a key may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callable {
    /// Its name.
    pub id: String,
    /// Who makes it; `None` when nobody said.
    pub provider: Option<String>,
    /// Where it may be asked.
    pub doors: Vec<Door>,
    /// The largest input and output in tokens, where they are known.
    pub largest: (Option<u64>, u64),
}

/// The models that the key in `credentials` may call and that some channel serves, in order.
///
/// # Errors
/// The refusal that the caller gets.
pub async fn callable(
    gateway: &Gateway,
    credentials: &Credentials,
    client: IpAddr,
    entry: &Entry,
) -> Result<Vec<Callable>, Refusal> {
    let known = admission::admit(gateway, credentials, client, gateway.now()).await?;
    entry.note(|facts| (facts.account, facts.key) = (Some(known.account.id), Some(known.key.id)));
    let routing = gateway.routing();
    let choice = Choice::of(&known.account, &known.key.settings, &routing)?;
    let models: BTreeSet<&str> = choice.groups.iter().flat_map(|(group, _)| routing.models(group)).collect();
    let allowed = models.into_iter().filter(|model| known.key.settings.allows_model(model));
    let callable = |id: &str| {
        let facts = routing.facts(id);
        let provider = facts.map(|facts| facts.provider.clone()).filter(|provider| !provider.is_empty());
        let doors = Door::ALL.into_iter().filter(|door| door.is_of(facts)).collect();
        let input = facts.and_then(|facts| facts.context_length);
        let output = routing.price(id).map_or(0, |price| price.max_output);
        Callable { id: id.to_owned(), provider, doors, largest: (input, output) }
    };
    Ok(allowed.map(callable).collect())
}

/// The least that a request of a key of `account` holds, whichever model it asks for that its groups serve: a token, and the
/// smallest answer that is worth asking for. A caller that limits its answer to less holds less. `None` where it has none to
/// ask for.
#[must_use]
pub fn least(gateway: &Gateway, account: &Account, settings: &Settings) -> Option<Units> {
    let routing = gateway.routing();
    let choice = Choice::of(account, settings, &routing).ok()?;
    let models = choice.groups.iter().flat_map(|(group, ratio)| {
        let allowed = routing.models(group).into_iter().filter(|model| settings.allows_model(model));
        allowed.map(|model| (model, *ratio))
    });
    let least = models.filter_map(|(model, ratio)| {
        let price = routing.price(model)?;
        let output = gateway.settings.minimum_output.min(price.max_output);
        price.price.bound_of(ratio, &Most { input: 1, output, ..Most::default() }).ok()
    });
    least.min()
}
