//! The catalogue: what is known of models, and lists of models with their prices.

mod file;
mod numbers;

use model::clock::Timestamp;
use store::{Imported, Leaps, Listing, ModelFacts, Role, Store, StoreError};

pub use file::{Entry, FileError, moment, read};

use crate::{Failure, Gateway, access::Caller};

const THING: &str = "model";

/// The list that comes with the program: public models of large providers, with the day and the source of their facts.
pub const SHIPPED: &str = include_str!("../../catalogue.toml");

/// Why a list was not taken in. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Something in it is wrong.
    #[error(transparent)]
    File(#[from] FileError),
    /// A price in it is far from the one that it follows.
    #[error(transparent)]
    Leap(FileError),
    /// The database says no.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The list that comes with the program.
///
/// # Errors
/// Never, as its test shows.
pub fn shipped() -> Result<Vec<Listing>, FileError> {
    Ok(read(SHIPPED)?.into_iter().map(|entry| entry.listing).collect())
}

/// Takes in what the database has never heard of from the list that comes with the program.
///
/// # Errors
/// The database.
pub async fn begin(store: &Store, now: Timestamp) -> Result<Imported, ImportError> {
    Ok(store.import_unknown(&shipped()?, now).await?)
}

/// Takes a file in, all of it or nothing. A price that is more than tenfold the one in force, or less than a tenth of it, is
/// refused unless `leaps` are confirmed.
///
/// # Errors
/// What is wrong with the file, and in which line.
pub async fn import(
    store: &Store,
    file: &str,
    leaps: Leaps,
    now: Timestamp,
) -> Result<Imported, ImportError> {
    let entries = read(file)?;
    let list: Vec<Listing> = entries.iter().map(|entry| entry.listing.clone()).collect();
    store.import(&list, leaps, now).await.map_err(|error| match &error {
        StoreError::Leap { model, .. } => {
            let entry = entries.iter().find(|entry| entry.listing.facts.name == *model);
            ImportError::Leap(FileError {
                line: entry.map_or(1, |entry| entry.line),
                what: error.to_string(),
            })
        }
        _ => error.into(),
    })
}

/// Takes a file in.
///
/// # Errors
/// [`Failure::Forbidden`]; [`Failure::Invalid`] or [`Failure::Unconfirmed`] with the line of what is wrong.
pub async fn import_file(
    gateway: &Gateway,
    caller: &Caller,
    file: Option<&str>,
    leaps: Leaps,
) -> Result<Imported, Failure> {
    caller.must_be(Role::Administrator)?;
    let file = file.ok_or_else(|| Failure::Invalid("file is required".to_owned()))?;
    let store = gateway.store.acting(&caller.account);
    let imported = import(&store, file, leaps, gateway.now()).await.map_err(|error| match error {
        ImportError::File(error) => Failure::Invalid(error.to_string()),
        ImportError::Leap(error) => Failure::Unconfirmed(error.to_string()),
        ImportError::Store(error) => Failure::of(error, THING),
    })?;
    gateway.routing_changed().await.map_err(|error| Failure::of(error, THING))?;
    Ok(imported)
}

/// What is known of one model; what a list has never said is empty.
///
/// # Errors
/// [`Failure::Forbidden`]; the database.
pub async fn facts(gateway: &Gateway, caller: &Caller, name: &str) -> Result<ModelFacts, Failure> {
    caller.must_be(Role::Administrator)?;
    let found = gateway.store.model(name).await.map_err(|error| Failure::of(error, THING))?;
    Ok(found.unwrap_or_else(|| ModelFacts::unknown(name)))
}

/// Says what is known of a model.
///
/// # Errors
/// [`Failure::Forbidden`]; a fact that may not be stored.
pub async fn put(gateway: &Gateway, caller: &Caller, facts: &ModelFacts) -> Result<(), Failure> {
    caller.must_be(Role::Administrator)?;
    let put = gateway.store.acting(&caller.account).put_model(facts, gateway.now()).await;
    put.map_err(|error| Failure::of(error, THING))?;
    gateway.routing_changed().await.map_err(|error| Failure::of(error, THING))
}

/// Forgets what is known of a model. Its prices stay.
///
/// # Errors
/// [`Failure::Forbidden`], [`Failure::NotFound`].
pub async fn forget(gateway: &Gateway, caller: &Caller, name: &str) -> Result<(), Failure> {
    caller.must_be(Role::Administrator)?;
    let forgotten = gateway.store.acting(&caller.account).forget_model(name, gateway.now()).await;
    forgotten.map_err(|error| Failure::of(error, THING))?;
    gateway.routing_changed().await.map_err(|error| Failure::of(error, THING))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_that_comes_along_is_whole() {
        let list = shipped().unwrap();
        assert!(list.len() >= 30, "{}", list.len());
        for Listing { facts, prices } in &list {
            let name = &facts.name;
            assert!(facts.source.starts_with("https://") && facts.as_of.len() == 10, "{name}: {facts:?}");
            assert!(!facts.provider.is_empty() && !facts.endpoints.is_empty(), "{name}: {facts:?}");
            assert!(prices.first().is_some_and(|price| price.rates.input > 0), "{name}");
        }
        for provider in ["OpenAI", "Anthropic", "Google", "DeepSeek", "xAI", "Mistral AI"] {
            assert!(list.iter().any(|listing| listing.facts.provider == provider), "{provider}");
        }
    }
}
