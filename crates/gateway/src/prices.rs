//! Prices: what administrators set.

use model::id::PriceId;
use store::{Leaps, ModelPrice, NewPrice, Page, Role};

use crate::{Failure, Gateway, access::Caller};

const THING: &str = "price";

/// The prices in force.
///
/// # Errors
/// The database.
pub async fn list(gateway: &Gateway) -> Result<Vec<ModelPrice>, Failure> {
    gateway.store.prices(gateway.now()).await.map_err(|error| Failure::of(error, THING))
}

/// Every version, of one model or of all, the latest first, and how many there are.
///
/// # Errors
/// [`Failure::Forbidden`]; the database.
pub async fn versions(
    gateway: &Gateway,
    caller: &Caller,
    model: Option<&str>,
    page: Page,
) -> Result<(Vec<ModelPrice>, i64), Failure> {
    caller.must_be(Role::Administrator)?;
    gateway.store.price_versions(model, page).await.map_err(|error| Failure::of(error, THING))
}

/// Sets the price of a model from now or from a later moment on.
///
/// # Errors
/// [`Failure::Forbidden`]; a value that is not allowed; [`Failure::Unconfirmed`].
pub async fn put(gateway: &Gateway, caller: &Caller, new: &NewPrice, leaps: Leaps) -> Result<(), Failure> {
    caller.must_be(Role::Administrator)?;
    let put = gateway.store.acting(&caller.account).put_price(new, leaps, gateway.now()).await;
    put.map_err(|error| Failure::of(error, THING))?;
    gateway.routing_changed().await.map_err(|error| Failure::of(error, THING))
}

/// Takes back a version that is not in force yet.
///
/// # Errors
/// [`Failure::Forbidden`], [`Failure::NotFound`]; [`Failure::Conflict`] for one that has begun.
pub async fn withdraw(gateway: &Gateway, caller: &Caller, id: PriceId) -> Result<(), Failure> {
    caller.must_be(Role::Administrator)?;
    let withdrawn = gateway.store.acting(&caller.account).withdraw_price(id, gateway.now()).await;
    withdrawn.map_err(|error| Failure::of(error, THING))?;
    gateway.routing_changed().await.map_err(|error| Failure::of(error, THING))
}
