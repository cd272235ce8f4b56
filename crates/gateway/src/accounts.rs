//! Accounts: what administrators do with them.

use model::{credential::Class, id::AccountId, key, money::Units};
use store::{Account, AccountChange, FoundAccounts, NewAccount, Page, Role};

use crate::{Failure, Gateway, access::Caller};

const THING: &str = "account";

/// The caller's own account, with what it has used up to now.
///
/// # Errors
/// The database.
pub async fn own(gateway: &Gateway, caller: &Caller) -> Result<Account, Failure> {
    find(gateway, caller.account.id).await
}

async fn find(gateway: &Gateway, id: AccountId) -> Result<Account, Failure> {
    gateway.ledger.flush().await?;
    let found = gateway.store.account(id).await;
    found.map_err(|error| Failure::of(error, THING))?.ok_or(Failure::NotFound(THING))
}

/// Any account.
///
/// # Errors
/// [`Failure::Forbidden`], [`Failure::NotFound`].
pub async fn get(gateway: &Gateway, caller: &Caller, id: AccountId) -> Result<Account, Failure> {
    caller.must_be(Role::Administrator)?;
    find(gateway, id).await
}

/// Accounts whose username, display name or address contains `keyword`, in any case, newest first, and how many there are.
///
/// # Errors
/// [`Failure::Forbidden`]; a credential, which has no business in an address.
pub async fn list(
    gateway: &Gateway,
    caller: &Caller,
    keyword: &str,
    page: Page,
) -> Result<(Vec<Account>, i64), Failure> {
    let keyword = looked_for(gateway, caller, keyword).await?;
    gateway.store.list_accounts(keyword, page).await.map_err(|error| Failure::of(error, THING))
}

/// The same for people: those behind the page are counted up to a thousand.
///
/// # Errors
/// [`Failure::Forbidden`]; a credential, which has no business in an address.
pub async fn search(
    gateway: &Gateway,
    caller: &Caller,
    keyword: &str,
    page: Page,
) -> Result<FoundAccounts, Failure> {
    let keyword = looked_for(gateway, caller, keyword).await?;
    gateway.store.find_accounts(keyword, page).await.map_err(|error| Failure::of(error, THING))
}

/// What a list is asked for, by somebody who may; what was used up to now is in the book.
async fn looked_for<'a>(gateway: &Gateway, caller: &Caller, keyword: &'a str) -> Result<&'a str, Failure> {
    caller.must_be(Role::Administrator)?;
    let keyword = keyword.trim();
    must_be_no_credential("keyword", keyword)?;
    gateway.ledger.flush().await?;
    Ok(keyword)
}

fn must_be_no_credential(name: &str, text: &str) -> Result<(), Failure> {
    if [Class::ApiKey, Class::PersonalAccessToken].iter().any(|class| text.starts_with(class.prefix())) {
        return Err(Failure::Invalid(format!(
            "{name} is a username or an e-mail address, never a credential: those do not belong in an address"
        )));
    }
    Ok(())
}

/// Whether an account has this username or e-mail address. Only administrators may ask: anybody else could find out who has
/// an account.
///
/// # Errors
/// [`Failure::Forbidden`]; nothing that is asked for, or a credential, which has no business in an address.
pub async fn exists(gateway: &Gateway, caller: &Caller, key: Option<&str>) -> Result<bool, Failure> {
    caller.must_be(Role::Administrator)?;
    let key = key.map(str::trim).filter(|key| !key.is_empty());
    let key =
        key.ok_or_else(|| Failure::Invalid("key is required: a username or an e-mail address".to_owned()))?;
    must_be_no_credential("key", key)?;
    gateway.store.has_account(key).await.map_err(|error| Failure::of(error, THING))
}

/// What an administrator says about an account; what is `None` was not said.
#[derive(Clone, Debug, Default)]
pub struct AccountInput {
    /// Its unique name; only when it is made.
    pub username: Option<String>,
    /// Its name for people.
    pub display_name: Option<String>,
    /// An address, or nothing.
    pub email: Option<String>,
    /// 1, 10 or 100.
    pub role: Option<i64>,
    /// 1 enabled, 2 disabled.
    pub status: Option<i64>,
    /// Its own group.
    pub group: Option<String>,
    /// Further groups that its keys may name.
    pub groups: Option<Vec<String>>,
    /// The groups of its keys whose group is `auto`, in order.
    pub auto_groups: Option<Vec<String>>,
    /// What remains from now on.
    pub quota: Option<i64>,
    /// Whether its balance has no limit.
    pub unlimited_quota: Option<bool>,
    /// Why, for the audit record: at most [`REASON`] characters.
    pub reason: Option<String>,
}

/// The most characters of a reason.
pub const REASON: usize = 500;

fn role(caller: &Caller, number: Option<i64>) -> Result<Option<Role>, Failure> {
    let Some(number) = number else { return Ok(None) };
    let role =
        Role::from_number(number).ok_or_else(|| Failure::Invalid("role must be 1, 10 or 100".to_owned()))?;
    // Nobody makes somebody as mighty as themselves, but root.
    if role >= caller.account.role && caller.account.role < Role::Root {
        return Err(Failure::Forbidden);
    }
    Ok(Some(role))
}

fn quota(units: Option<i64>) -> Result<Option<Units>, Failure> {
    let checked = units.map(key::quota).transpose();
    checked.map_err(|error| Failure::Invalid(error.to_string().replace("remain_quota", "quota")))
}

/// Makes an account.
///
/// # Errors
/// [`Failure::Forbidden`]; a value that is not allowed; a name that is taken.
pub async fn create(gateway: &Gateway, caller: &Caller, input: AccountInput) -> Result<Account, Failure> {
    caller.must_be(Role::Administrator)?;
    let balance = quota(input.quota)?.unwrap_or(Units::ZERO);
    let new = NewAccount {
        username: input.username.ok_or_else(|| Failure::Invalid("username is required".to_owned()))?,
        display_name: input.display_name.unwrap_or_default(),
        email: input.email.unwrap_or_default(),
        role: role(caller, input.role)?.unwrap_or(Role::Member),
        group: input.group.unwrap_or_else(|| "default".to_owned()),
        balance: (!input.unlimited_quota.unwrap_or(false)).then_some(balance),
    };
    gateway
        .store
        .acting(&caller.account)
        .create_account(new, gateway.now())
        .await
        .map_err(|error| Failure::of(error, THING))
}

/// Changes an account.
///
/// # Errors
/// [`Failure::Forbidden`] also for an account as mighty as the caller; [`Failure::NotFound`]; a value that is not
/// allowed.
pub async fn update(
    gateway: &Gateway,
    caller: &Caller,
    id: AccountId,
    input: AccountInput,
) -> Result<Account, Failure> {
    caller.must_be(Role::Administrator)?;
    let before = find(gateway, id).await?;
    if before.role >= caller.account.role && caller.account.role < Role::Root {
        return Err(Failure::Forbidden);
    }
    let disabled = match input.status {
        None => None,
        Some(1) => Some(false),
        Some(2) => Some(true),
        Some(_) => return Err(Failure::Invalid("status must be 1 or 2".to_owned())),
    };
    let role = role(caller, input.role)?;
    // Else the last root could lock everybody out.
    let falls = disabled == Some(true) || role.is_some_and(|role| role != caller.account.role);
    if falls && id == caller.account.id {
        let what = "nobody can disable their own account or change its role";
        return Err(Failure::Conflict(what.to_owned()));
    }
    let reason = input.reason.filter(|reason| !reason.trim().is_empty());
    if reason.as_ref().is_some_and(|reason| reason.chars().count() > REASON) {
        return Err(Failure::Invalid(format!("reason is too long: at most {REASON} characters")));
    }
    let change = AccountChange {
        reason,
        display_name: input.display_name,
        email: input.email,
        role,
        disabled,
        group: input.group,
        groups: input.groups,
        auto_groups: input.auto_groups,
        remaining: quota(input.quota)?,
        unlimited: input.unlimited_quota,
    };
    let updated = gateway.store.acting(&caller.account).update_account(id, change, gateway.now()).await;
    let updated = updated.map_err(|error| Failure::of(error, THING))?;
    gateway.account_changed(id).await.map_err(|error| Failure::of(error, THING))?;
    Ok(updated)
}
