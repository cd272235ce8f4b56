//! Routes: what administrators ask about them, without sending anything.

use model::{clock::Timestamp, id::KeyId, key::ApiKey, refusal::Refusal};
use store::{Account, Role, Store};

use crate::{
    Failure, Gateway,
    access::Caller,
    door::Door,
    routing::{Choice, Explanation, Health, Policy, Snapshot, Table, Want, explain as explain_plan},
};

const THING: &str = "API key";

/// What a request with a key for a model would meet now.
#[derive(Clone, Debug)]
pub struct Outlook {
    /// What the caller would be told instead of an answer, as far as routes decide that.
    pub refusal: Option<Refusal>,
    /// The channels, in order, and why each other is not among them.
    pub plan: Explanation,
}

/// Explains with the health of channels that this node knows.
///
/// # Errors
/// [`Failure::Forbidden`], [`Failure::NotFound`]; a key or a model that is not said, a path without a door.
pub async fn explain(
    gateway: &Gateway,
    caller: &Caller,
    key: Option<KeyId>,
    model: Option<&str>,
    path: Option<&str>,
) -> Result<Outlook, Failure> {
    caller.must_be(Role::Administrator)?;
    let missing = |name: &str| Failure::Invalid(format!("{name} is required"));
    let key = key.ok_or_else(|| missing("key_id"))?;
    let model = model.ok_or_else(|| missing("model"))?;
    let door = door(path)?;
    let (key, account) = find(&gateway.store, key).await?;
    let snapshot = gateway.routing();
    let (seed, now) = (gateway.seeds().next(), gateway.now());
    let asked = Asked { key: &key, account: &account, door, model, seed, now };
    let health: &Health = gateway.health();
    Ok(health.with(|table| outlook(&snapshot, asked, table, health.policy())))
}

/// Explains with what is in the database alone: no running server's health is known.
///
/// # Errors
/// [`Failure::NotFound`]; a path without a door; the database.
pub async fn explain_stored(
    store: &Store,
    policy: &Policy,
    (key, model, path): (KeyId, &str, Option<&str>),
    seed: u64,
    now: Timestamp,
) -> Result<Outlook, Failure> {
    let door = door(path)?;
    let (key, account) = find(store, key).await?;
    let snapshot = Snapshot::load(store, now).await.map_err(|error| Failure::of(error, "channel"))?;
    let asked = Asked { key: &key, account: &account, door, model, seed, now };
    Ok(outlook(&snapshot, asked, &Table::default(), policy))
}

async fn find(store: &Store, key: KeyId) -> Result<(ApiKey, Account), Failure> {
    let found = store.key_with_account(key).await.map_err(|error| Failure::of(error, THING))?;
    found.ok_or(Failure::NotFound(THING))
}

/// The door at a path as documents write it; chat completions when nothing is said.
fn door(path: Option<&str>) -> Result<Door, Failure> {
    let Some(path) = path else { return Ok(Door::Chat) };
    let found = Door::ALL.into_iter().find(|door| door.path() == path);
    found.ok_or_else(|| {
        Failure::Invalid(format!("path must be one of {}", Door::ALL.map(Door::path).join(", ")))
    })
}

#[derive(Clone, Copy)]
struct Asked<'a> {
    key: &'a ApiKey,
    account: &'a Account,
    door: Door,
    model: &'a str,
    seed: u64,
    now: Timestamp,
}

fn outlook(snapshot: &Snapshot, asked: Asked<'_>, health: &Table, policy: &Policy) -> Outlook {
    let Asked { key, account, door, model, seed, now } = asked;
    let choice = match Choice::of(account, &key.settings, snapshot) {
        Ok(choice) => choice,
        Err(refusal) => return Outlook { refusal: Some(refusal), plan: Explanation::default() },
    };
    let want = Want { choice: &choice, door, model, seed, now };
    let plan = explain_plan(snapshot, want, health, policy);
    let not_allowed = (!key.settings.allows_model(model)).then(|| Refusal::ModelNotAllowed(model.to_owned()));
    let unpriced = || snapshot.price(model).is_none().then(|| Refusal::PriceUnknown(model.to_owned()));
    // In the order in which a request meets them.
    let no_way = plan.refusal.clone();
    let missing = no_way
        .clone()
        .filter(|refusal| matches!(refusal, Refusal::ModelNotFound { .. } | Refusal::NotOffered { .. }));
    Outlook { refusal: not_allowed.or(missing).or_else(unpriced).or(no_way), plan }
}
