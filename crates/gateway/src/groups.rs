//! Groups.

use store::{Group, Role};

use crate::{Failure, Gateway, access::Caller};

const THING: &str = "group";

/// All groups.
///
/// # Errors
/// [`Failure::Forbidden`].
pub async fn list(gateway: &Gateway, caller: &Caller) -> Result<Vec<Group>, Failure> {
    caller.must_be(Role::Administrator)?;
    gateway.store.list_groups().await.map_err(|error| Failure::of(error, THING))
}

/// One group.
///
/// # Errors
/// [`Failure::Forbidden`], [`Failure::NotFound`].
pub async fn get(gateway: &Gateway, caller: &Caller, name: &str) -> Result<Group, Failure> {
    caller.must_be(Role::Administrator)?;
    let found = gateway.store.group(name).await.map_err(|error| Failure::of(error, THING))?;
    found.ok_or(Failure::NotFound(THING))
}

/// The groups that the caller's keys may name.
///
/// # Errors
/// The database.
pub async fn usable(gateway: &Gateway, caller: &Caller) -> Result<Vec<Group>, Failure> {
    let groups = gateway.store.list_groups().await.map_err(|error| Failure::of(error, THING))?;
    let account = &caller.account;
    let usable = |group: &Group| group.name == account.group || account.groups.contains(&group.name);
    Ok(groups.into_iter().filter(usable).collect())
}

/// Makes a group, or changes the one of this name.
///
/// # Errors
/// [`Failure::Forbidden`]; a value that is not allowed.
pub async fn put(gateway: &Gateway, caller: &Caller, group: &Group) -> Result<(), Failure> {
    caller.must_be(Role::Administrator)?;
    let put = gateway.store.acting(&caller.account).put_group(group, gateway.now()).await;
    put.map_err(|error| Failure::of(error, THING))?;
    gateway.routing_changed().await.map_err(|error| Failure::of(error, THING))
}

/// Removes a group that nothing names.
///
/// # Errors
/// [`Failure::Forbidden`], [`Failure::NotFound`], [`Failure::Conflict`].
pub async fn delete(gateway: &Gateway, caller: &Caller, name: &str) -> Result<(), Failure> {
    caller.must_be(Role::Administrator)?;
    let deleted = gateway.store.acting(&caller.account).delete_group(name, gateway.now()).await;
    deleted.map_err(|error| Failure::of(error, THING))?;
    gateway.routing_changed().await.map_err(|error| Failure::of(error, THING))
}
