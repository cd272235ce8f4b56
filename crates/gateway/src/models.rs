//! The models that a key may call.

use std::{collections::BTreeSet, net::IpAddr};

use model::refusal::Refusal;

use crate::{Credentials, Gateway, admission, entry::Entry, routing::Choice};

/// The models that the key in `credentials` may call and that some channel serves, in order.
///
/// # Errors
/// The refusal that the caller gets.
pub async fn callable(
    gateway: &Gateway,
    credentials: &Credentials,
    client: IpAddr,
    entry: &Entry,
) -> Result<Vec<String>, Refusal> {
    let known = admission::admit(gateway, credentials, client, gateway.now()).await?;
    entry.note(|facts| (facts.account, facts.key) = (Some(known.account.id), Some(known.key.id)));
    let routing = gateway.routing();
    let choice = Choice::of(&known.account, &known.key.settings, &routing)?;
    let models: BTreeSet<&str> = choice.groups.iter().flat_map(|(group, _)| routing.models(group)).collect();
    let allowed = models.into_iter().filter(|model| known.key.settings.allows_model(model));
    Ok(allowed.map(str::to_owned).collect())
}
