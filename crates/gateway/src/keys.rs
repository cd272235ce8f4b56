//! API keys: what their owner can do with them.

use model::{
    clock::Timestamp,
    credential::{Class, Credential},
    id::KeyId,
    key::{self, Settings, Status},
    money::Units,
};
use store::{FoundKeys, KeyChange, KeyFilter, KeyView, Page};

use crate::{Credentials, Failure, Gateway, access::Caller, admission};

const THING: &str = "API key";

/// What a caller says about a key; what is `None` was not said.
#[derive(Clone, Debug, Default)]
pub struct KeyInput {
    /// A name for people.
    pub name: Option<String>,
    /// Unix seconds; -1 and 0 for never.
    pub expired_time: Option<i64>,
    /// What remains from now on.
    pub remain_quota: Option<i64>,
    /// Whether only the account's balance limits it.
    pub unlimited_quota: Option<bool>,
    /// Whether the list of models is in force.
    pub model_limits_enabled: Option<bool>,
    /// The models, comma separated.
    pub model_limits: Option<String>,
    /// The address list; `Some(None)` for none.
    pub allow_ips: Option<Option<String>>,
    /// The group; empty for the account's own, `auto` for its automatic list.
    pub group: Option<String>,
    /// Whether automatic routing may leave a group.
    pub cross_group_retry: Option<bool>,
    /// 1 to 4.
    pub status: Option<i64>,
}

impl KeyInput {
    /// These values over `settings`.
    fn over(self, settings: Settings) -> Result<Settings, Failure> {
        let expires = match self.expired_time {
            None => settings.expires,
            Some(-1 | 0) => None,
            Some(..0) => {
                return Err(Failure::Invalid(
                    "expired_time must be Unix seconds, or -1 for never".to_owned(),
                ));
            }
            Some(seconds) if seconds > MAX_TIME => {
                return Err(Failure::Invalid("expired_time is beyond the year 9999".to_owned()));
            }
            Some(seconds) => Some(Timestamp::from_secs(seconds)),
        };
        let settings = Settings {
            name: self.name.unwrap_or(settings.name),
            expires,
            unlimited_quota: self.unlimited_quota.unwrap_or(settings.unlimited_quota),
            model_limits_enabled: self.model_limits_enabled.unwrap_or(settings.model_limits_enabled),
            model_limits: self.model_limits.unwrap_or(settings.model_limits),
            allow_ips: self.allow_ips.unwrap_or(settings.allow_ips).filter(|list| !list.is_empty()),
            group: self.group.unwrap_or(settings.group),
            cross_group_retry: self.cross_group_retry.unwrap_or(settings.cross_group_retry),
        };
        Ok(settings.validated()?)
    }
}

/// The last second of the year 9999.
const MAX_TIME: i64 = 253_402_300_799;

fn status(number: Option<i64>) -> Result<Option<Status>, Failure> {
    number
        .map(|number| {
            Status::from_number(number)
                .ok_or_else(|| Failure::Invalid("status must be 1, 2, 3 or 4".to_owned()))
        })
        .transpose()
}

/// Makes a key.
///
/// # Errors
/// A value that is not allowed.
pub async fn create(gateway: &Gateway, caller: &Caller, input: KeyInput) -> Result<KeyView, Failure> {
    let quota = key::quota(input.remain_quota.unwrap_or(0))?;
    status(input.status)?;
    let settings = input.over(Settings::default())?;
    let credential = Credential::generate(Class::ApiKey, getrandom::fill).map_err(|error| {
        tracing::error!(%error, "no random numbers");
        Failure::Unavailable
    })?;
    let made =
        gateway.store.create_key(caller.account.id, &settings, quota, &credential, gateway.now()).await;
    made.map_err(|error| Failure::of(error, THING))
}

/// One own key, with what it has used up to now.
///
/// # Errors
/// [`Failure::NotFound`].
pub async fn get(gateway: &Gateway, caller: &Caller, id: KeyId) -> Result<KeyView, Failure> {
    gateway.ledger.flush().await?;
    let found = gateway.store.key(caller.account.id, id).await;
    found.map_err(|error| Failure::of(error, THING))?.ok_or(Failure::NotFound(THING))
}

/// One own key, for somebody who wants to see its text: the audit record says so.
///
/// # Errors
/// [`Failure::NotFound`]; [`Failure::Conflict`] where what is stored of it is damaged.
pub async fn reveal(gateway: &Gateway, caller: &Caller, id: KeyId) -> Result<KeyView, Failure> {
    let view = get(gateway, caller, id).await?;
    if view.is_damaged() {
        let what = "what is stored of this key's text is damaged; who has the key can go on using it";
        return Err(Failure::Conflict(what.to_owned()));
    }
    let noted = gateway.store.acting(&caller.account).key_revealed(id, gateway.now()).await;
    noted.map_err(|error| Failure::of(error, THING))?;
    Ok(view)
}

/// Own keys, newest first, those whose name contains `keyword`; and how many there are in all.
///
/// # Errors
/// The database.
pub async fn list(
    gateway: &Gateway,
    caller: &Caller,
    keyword: &str,
    page: Page,
) -> Result<(Vec<KeyView>, i64), Failure> {
    gateway.ledger.flush().await?;
    let account = caller.account.id;
    let found = match keyword {
        "" => gateway.store.list_keys(account, page).await,
        keyword => gateway.store.search_keys(account, keyword, page).await,
    };
    found.map_err(|error| Failure::of(error, THING))
}

/// Own keys that `filter` wants, in its order.
///
/// # Errors
/// The database.
pub async fn find(
    gateway: &Gateway,
    caller: &Caller,
    filter: &KeyFilter,
    page: Page,
) -> Result<FoundKeys, Failure> {
    gateway.ledger.flush().await?;
    let found = gateway.store.find_keys(caller.account.id, filter, page, gateway.now()).await;
    found.map_err(|error| Failure::of(error, THING))
}

/// Whether the caller has more keys than can be put into an order that no index keeps.
///
/// # Errors
/// The database.
pub async fn are_very_many(gateway: &Gateway, caller: &Caller) -> Result<bool, Failure> {
    let many = gateway.store.has_very_many_keys(caller.account.id).await;
    many.map_err(|error| Failure::of(error, THING))
}

/// The own key whose text is `text`, with `sk-` or without, if its name contains `keyword` too. It must be the whole
/// text: keys are sealed, and found by their digest.
///
/// # Errors
/// The database.
pub async fn with_text(
    gateway: &Gateway,
    caller: &Caller,
    text: &str,
    keyword: &str,
) -> Result<Option<KeyView>, Failure> {
    let Some(digest) = gateway.store.api_key_digest(text) else { return Ok(None) };
    let found = gateway.store.key_by_digest(&digest).await.map_err(|error| Failure::of(error, THING))?;
    let Some((key, _)) = found.filter(|(key, _)| key.account == caller.account.id) else { return Ok(None) };
    gateway.ledger.flush().await?;
    let found = gateway.store.key(caller.account.id, key.id).await;
    Ok(found.map_err(|error| Failure::of(error, THING))?.filter(|view| view.name_contains(keyword)))
}

/// Changes a key; `status_only` changes nothing but the status.
///
/// # Errors
/// [`Failure::NotFound`]; a value that is not allowed.
pub async fn update(
    gateway: &Gateway,
    caller: &Caller,
    id: KeyId,
    input: KeyInput,
    status_only: bool,
) -> Result<KeyView, Failure> {
    let now = gateway.now();
    let set = status(input.status)?;
    if status_only && set.is_none() {
        return Err(Failure::Invalid("status is required".to_owned()));
    }
    let input = if status_only { KeyInput::default() } else { input };
    gateway.ledger.flush().await?;
    // What is not said must keep the value that it has at that moment, not the one that it had a moment before: or a
    // new name would undo somebody's disable.
    let decide = |before: &KeyView| -> Result<KeyChange, Failure> {
        let quota = input.remain_quota.map(key::quota).transpose()?;
        let settings = input.over(before.key.settings.clone())?;
        // Clients send whole records back: the fact that a read showed (3 or 4) is not a wish.
        let shown = status_now(gateway, before);
        let is_wish = |status: &Status| {
            status_only || *status != shown || matches!(status, Status::Enabled | Status::Disabled)
        };
        let wish = set.filter(is_wish);
        let status = wish.unwrap_or_else(|| revived(before, &settings, quota, now));
        Ok(KeyChange { settings, status, quota })
    };
    let edited = gateway.store.edit_key(caller.account.id, id, now, decide).await;
    let updated = edited.map_err(|error| Failure::of(error, THING))??;
    gateway.key_changed(id).await.map_err(|error| Failure::of(error, THING))?;
    Ok(updated)
}

/// A key that was marked expired or exhausted works again when its time or its quota was raised.
fn revived(before: &KeyView, settings: &Settings, quota: Option<Units>, now: Timestamp) -> Status {
    let lives = settings.expires.is_none_or(|expires| expires > now);
    let funded = settings.unlimited_quota || quota.unwrap_or(before.remaining) > Units::ZERO;
    match before.key.set_status {
        Status::Expired | Status::Exhausted if lives && funded => Status::Enabled,
        status => status,
    }
}

/// Deletes own keys for good; returns how many.
///
/// # Errors
/// The database.
pub async fn delete(gateway: &Gateway, caller: &Caller, ids: &[KeyId]) -> Result<u64, Failure> {
    let deleted = gateway.store.delete_keys(caller.account.id, ids, gateway.now()).await;
    let deleted = deleted.map_err(|error| Failure::of(error, THING))?;
    ids.iter().for_each(|id| gateway.keys.forget_key(*id));
    Ok(deleted)
}

/// The key that somebody holds, whatever its state, with what it has used up to now.
///
/// # Errors
/// [`Failure::Unauthenticated`] for everything that is no key.
pub async fn of_holder(gateway: &Gateway, credentials: &Credentials) -> Result<KeyView, Failure> {
    let known = admission::identify(gateway, credentials).await.map_err(|refusal| match refusal {
        model::refusal::Refusal::Unavailable => Failure::Unavailable,
        _ => Failure::Unauthenticated,
    })?;
    gateway.ledger.flush().await?;
    let found = gateway.store.key(known.key.account, known.key.id).await;
    found.map_err(|error| Failure::of(error, THING))?.ok_or(Failure::Unauthenticated)
}

/// The status of a key now.
#[must_use]
pub fn status_now(gateway: &Gateway, view: &KeyView) -> Status {
    view.key.status(gateway.now(), view.remaining)
}
