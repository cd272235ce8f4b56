//! Prices: what administrators set.

use store::{ModelPrice, NewPrice, Role};

use crate::{Failure, Gateway, access::Caller};

const THING: &str = "price";

/// The prices in force.
///
/// # Errors
/// The database.
pub async fn list(gateway: &Gateway) -> Result<Vec<ModelPrice>, Failure> {
    gateway.store.prices(gateway.now()).await.map_err(|error| Failure::of(error, THING))
}

/// Sets the price of a model from now on.
///
/// # Errors
/// [`Failure::Forbidden`]; a value that is not allowed.
pub async fn put(gateway: &Gateway, caller: &Caller, new: &NewPrice) -> Result<(), Failure> {
    caller.must_be(Role::Administrator)?;
    let put = gateway.store.acting(&caller.account).put_price(new, gateway.now()).await;
    put.map_err(|error| Failure::of(error, THING))?;
    gateway.routing_changed().await.map_err(|error| Failure::of(error, THING))
}
