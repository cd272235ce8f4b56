//! Channels: what administrators do with them. A credential goes in and never comes out.

use model::id::{ChannelId, CredentialId};
use store::{Actor, Channel, ChannelCredential, NewChannel, Role, Store, StoreError};
use zeroize::Zeroizing;

use crate::{
    Failure, Gateway,
    access::Caller,
    provider::{PROVIDERS, Provider},
    upstream::{Secret, Target},
};

const THING: &str = "channel";
const CREDENTIAL: &str = "credential";

/// The store, on behalf of an administrator.
fn store(gateway: &Gateway, caller: &Caller) -> Result<Store, Failure> {
    caller.must_be(Role::Administrator)?;
    Ok(gateway.store.acting(&caller.account))
}

/// Makes an edit live on this node; what was known of the channel's health was known of another one.
async fn live(gateway: &Gateway, channel: ChannelId) -> Result<(), Failure> {
    gateway.routing_changed().await.map_err(|error| Failure::of(error, THING))?;
    let snapshot = gateway.routing();
    if let Some(route) = snapshot.channels().iter().find(|route| route.id == channel) {
        gateway.health().forget(route);
    }
    Ok(())
}

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

/// The provider of a kind that a channel may have.
///
/// # Errors
/// [`Failure::Invalid`] names all of them.
pub fn provider(kind: &str) -> Result<&'static Provider, Failure> {
    Provider::of(kind).ok_or_else(|| {
        let kinds: Vec<&str> = PROVIDERS.iter().map(|provider| provider.kind).collect();
        Failure::Invalid(format!("kind must be one of {}", kinds.join(", ")))
    })
}

/// The base URL of a channel: what is given, else that of its provider.
///
/// # Errors
/// An unknown kind; nothing is given, and the provider has one for each customer.
pub fn base_url(kind: &str, given: Option<String>) -> Result<String, Failure> {
    let provider = provider(kind)?;
    let known = || provider.base_url.map(str::to_owned);
    let found = given.filter(|given| !given.is_empty()).or_else(known);
    found.ok_or_else(|| Failure::Invalid("base_url is required".to_owned()))
}

/// Whether a credential is what a channel of this kind takes; nothing is asked of the provider.
///
/// # Errors
/// An unknown kind, an address that is none; what is wrong with the credential, without any part of it.
pub fn check_credential(kind: &str, base_url: &str, text: &str) -> Result<(), Failure> {
    let invalid = |why: &str| Failure::Invalid(why.to_owned());
    let target = Target::parse(base_url).ok_or_else(|| invalid("base_url is no address"))?;
    match Secret::read(provider(kind)?.credential, text, &target).fault() {
        Some(why) => Err(invalid(&format!("key is not what {kind} takes: {why}"))),
        None => Ok(()),
    }
}

/// Whether the credentials of a channel may stay when it becomes of another kind: a secret that signs must not be sent as it is.
///
/// # Errors
/// An unknown kind; the other kind uses a credential in another way.
pub fn check_kept(before: &str, after: &str) -> Result<(), Failure> {
    let way = |kind: &str| Provider::of(kind).map(|provider| provider.credential.keeps_secret());
    if way(before) == Some(true) && before != after && way(after) != Some(true) {
        return Err(Failure::Invalid(format!("key is required when {before} becomes {after}")));
    }
    provider(after).map(drop)
}

/// The same as [`check_credential`] of a channel that is to be made or changed.
fn check(new: &NewChannel) -> Result<(), Failure> {
    provider(&new.kind)?;
    match &new.credential {
        Some(text) if Target::parse(&new.base_url).is_some() => {
            check_credential(&new.kind, &new.base_url, text)
        }
        // What is wrong with the address the store says better.
        _ => Ok(()),
    }
}

/// Makes a channel.
///
/// # Errors
/// [`Failure::Forbidden`]; a value that is not allowed.
pub async fn create(gateway: &Gateway, caller: &Caller, new: &NewChannel) -> Result<Channel, Failure> {
    check(new)?;
    let made = store(gateway, caller)?.create_channel(new, gateway.now()).await;
    let made = made.map_err(|error| Failure::of(error, THING))?;
    live(gateway, made.id).await?;
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
    let store = store(gateway, caller)?;
    // A credential that nobody may read must not be sent to an address of the caller's choice either.
    let decide = |before: Channel| {
        let (place, kind) = (before.base_url.clone(), before.kind.clone());
        let new = decide(before)?;
        check(&new)?;
        if new.credential.is_none() {
            check_kept(&kind, &new.kind)?;
        }
        if new.base_url != place && new.credential.is_none() {
            return Err(Failure::Invalid("key is required with a new base_url".to_owned()));
        }
        Ok(new)
    };
    let edited = store.edit_channel(id, gateway.now(), decide).await;
    let updated = edited.map_err(|error| Failure::of(error, THING))??;
    live(gateway, id).await?;
    Ok(updated)
}

/// Enables or disables a channel.
///
/// # Errors
/// [`Failure::Forbidden`], [`Failure::NotFound`].
pub async fn enable(
    gateway: &Gateway,
    caller: &Caller,
    id: ChannelId,
    enabled: bool,
) -> Result<Channel, Failure> {
    update(gateway, caller, id, |before| Ok(NewChannel { enabled, ..before.to_change() })).await
}

/// Deletes a channel.
///
/// # Errors
/// [`Failure::Forbidden`], [`Failure::NotFound`].
pub async fn delete(gateway: &Gateway, caller: &Caller, id: ChannelId) -> Result<(), Failure> {
    let deleted = store(gateway, caller)?.delete_channel(id, gateway.now()).await;
    if !deleted.map_err(|error| Failure::of(error, THING))? {
        return Err(Failure::NotFound(THING));
    }
    gateway.routing_changed().await.map_err(|error| Failure::of(error, THING))
}

/// Gives a channel a further credential.
///
/// # Errors
/// [`Failure::Forbidden`], [`Failure::NotFound`]; a value that is not allowed.
pub async fn add_credential(
    gateway: &Gateway,
    caller: &Caller,
    channel: Option<ChannelId>,
    name: &str,
    text: Option<Zeroizing<String>>,
) -> Result<ChannelCredential, Failure> {
    let store = store(gateway, caller)?;
    let missing = |name: &str| Failure::Invalid(format!("{name} is required"));
    let channel = channel.ok_or_else(|| missing("channel"))?;
    let text = text.ok_or_else(|| missing("key"))?;
    let of = get(gateway, caller, channel).await?;
    check_credential(&of.kind, &of.base_url, &text)?;
    let made = store.add_credential(channel, name, &text, gateway.now()).await;
    let made = made.map_err(|error| Failure::of(error, THING))?;
    live(gateway, channel).await?;
    Ok(made)
}

/// Renames a credential, or sets its status: 1 in use, 2 disabled. In use, its provider's refusal is forgotten.
///
/// # Errors
/// [`Failure::Forbidden`], [`Failure::NotFound`]; a value that is not allowed.
pub async fn update_credential(
    gateway: &Gateway,
    caller: &Caller,
    id: CredentialId,
    name: Option<&str>,
    status: Option<i64>,
) -> Result<ChannelCredential, Failure> {
    let store = store(gateway, caller)?;
    let enabled = match status {
        // Clients send whole records back: the fact that a read showed is not a wish.
        None | Some(3) => None,
        Some(1) => Some(true),
        Some(2) => Some(false),
        Some(_) => return Err(Failure::Invalid("status must be 1 or 2".to_owned())),
    };
    let updated = store.update_credential(id, name, enabled, gateway.now()).await;
    let updated = updated.map_err(|error| Failure::of(error, CREDENTIAL))?;
    live(gateway, updated.channel).await?;
    Ok(updated)
}

/// Deletes a credential.
///
/// # Errors
/// [`Failure::Forbidden`], [`Failure::NotFound`].
pub async fn delete_credential(gateway: &Gateway, caller: &Caller, id: CredentialId) -> Result<(), Failure> {
    let deleted = store(gateway, caller)?.delete_credential(id, gateway.now()).await;
    deleted.map_err(|error| Failure::of(error, CREDENTIAL))?;
    gateway.routing_changed().await.map_err(|error| Failure::of(error, CREDENTIAL))
}

/// Disables a credential that its provider has refused with `status`, for all nodes. A request need not wait for it: on
/// this node the credential rests already.
///
/// # Errors
/// The database; the credential then rests only for a while, and the next refusal tries again.
pub async fn credential_refused(gateway: &Gateway, id: CredentialId, status: u16) -> Result<(), StoreError> {
    let store = gateway.store.acting(Actor::gateway());
    if store.refuse_credential(id, status, gateway.now()).await? {
        tracing::warn!(credential = %id, status, "a provider refuses a credential; it is disabled");
        gateway.routing_changed().await?;
    }
    Ok(())
}
