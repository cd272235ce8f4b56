//! Channels: what administrators do with them. A credential goes in and never comes out.

use model::id::ChannelId;
use store::{Channel, NewChannel, Role};

use crate::{Failure, Gateway, access::Caller};

const THING: &str = "channel";

/// All channels.
///
/// # Errors
/// [`Failure::Forbidden`].
pub async fn list(gateway: &Gateway, caller: &Caller) -> Result<Vec<Channel>, Failure> {
    caller.must_be(Role::Administrator)?;
    gateway.store.list_channels().await.map_err(|error| Failure::of(error, THING))
}

/// One channel.
///
/// # Errors
/// [`Failure::Forbidden`], [`Failure::NotFound`].
pub async fn get(gateway: &Gateway, caller: &Caller, id: ChannelId) -> Result<Channel, Failure> {
    caller.must_be(Role::Administrator)?;
    let found = gateway.store.channel(id).await.map_err(|error| Failure::of(error, THING))?;
    found.ok_or(Failure::NotFound(THING))
}

/// Makes a channel.
///
/// # Errors
/// [`Failure::Forbidden`]; a value that is not allowed.
pub async fn create(gateway: &Gateway, caller: &Caller, new: &NewChannel) -> Result<Channel, Failure> {
    caller.must_be(Role::Administrator)?;
    let made = gateway.store.create_channel(new, gateway.now()).await;
    let made = made.map_err(|error| Failure::of(error, THING))?;
    gateway.routing_changed().await.map_err(|error| Failure::of(error, THING))?;
    Ok(made)
}

/// Changes a channel as `decide` says, which sees it as it is at that moment.
///
/// # Errors
/// [`Failure::Forbidden`], [`Failure::NotFound`]; a value that is not allowed; what `decide` returns.
pub async fn update(
    gateway: &Gateway,
    caller: &Caller,
    id: ChannelId,
    decide: impl FnOnce(Channel) -> Result<NewChannel, Failure>,
) -> Result<Channel, Failure> {
    caller.must_be(Role::Administrator)?;
    // A credential that nobody may read must not be sent to an address of the caller's choice either.
    let decide = |before: Channel| {
        let place = before.base_url.clone();
        let new = decide(before)?;
        if new.base_url != place && new.credential.is_none() {
            return Err(Failure::Invalid("key is required with a new base_url".to_owned()));
        }
        Ok(new)
    };
    let edited = gateway.store.edit_channel(id, gateway.now(), decide).await;
    let updated = edited.map_err(|error| Failure::of(error, THING))??;
    gateway.routing_changed().await.map_err(|error| Failure::of(error, THING))?;
    Ok(updated)
}

/// Deletes a channel.
///
/// # Errors
/// [`Failure::Forbidden`], [`Failure::NotFound`].
pub async fn delete(gateway: &Gateway, caller: &Caller, id: ChannelId) -> Result<(), Failure> {
    caller.must_be(Role::Administrator)?;
    let deleted = gateway.store.delete_channel(id, gateway.now()).await;
    if !deleted.map_err(|error| Failure::of(error, THING))? {
        return Err(Failure::NotFound(THING));
    }
    gateway.routing_changed().await.map_err(|error| Failure::of(error, THING))
}
