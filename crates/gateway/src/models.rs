//! The models that a key may call.

use std::net::IpAddr;

use model::refusal::Refusal;

use crate::{Credentials, Gateway, admission, entry::Entry};

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
    let (group, _) = admission::group_of(&known, &routing)?;
    let models = routing.models(group).into_iter();
    Ok(models.filter(|model| known.key.settings.allows_model(model)).map(str::to_owned).collect())
}
