//! Accounts: owners of keys, tokens and a balance.

use model::{
    clock::Timestamp,
    id::{AccountId, PoolId},
    money::Units,
};
use serde_json::{Value, json};

use crate::{
    account_list,
    audit::Entry,
    change::{self, Kind},
    database::Tx,
    pool,
    sql::Run,
    store::{Store, StoreError, unique},
};

/// The most characters of a name for people.
pub const MAX_DISPLAY_NAME: usize = 100;
/// The most characters of an address: no mail goes to a longer one (RFC 5321).
pub const MAX_EMAIL: usize = 254;

/// What an account may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// 1: its own things.
    Member,
    /// 10: everybody's things.
    Administrator,
    /// 100: also administrators.
    Root,
}

impl Role {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> i64 {
        match self {
            Self::Member => 1,
            Self::Administrator => 10,
            Self::Root => 100,
        }
    }

    /// The role of a number on the wire.
    #[must_use]
    pub const fn from_number(number: i64) -> Option<Self> {
        match number {
            1 => Some(Self::Member),
            10 => Some(Self::Administrator),
            100 => Some(Self::Root),
            _ => None,
        }
    }
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its identity.
    pub id: AccountId,
    /// Its unique name.
    pub username: String,
    /// Its name for people.
    pub display_name: String,
    /// An address, or nothing.
    pub email: String,
    /// What it may do.
    pub role: Role,
    /// Whether it is shut out.
    pub disabled: bool,
    /// Its own group.
    pub group: String,
    /// Further groups that its keys may name.
    pub groups: Vec<String>,
    /// The groups of its keys whose group is `auto`, in order; empty is its own group.
    pub auto_groups: Vec<String>,
    /// Its balance.
    pub pool: PoolId,
    /// Whether the balance has no limit.
    pub unlimited: bool,
    /// What remains, in the book.
    pub remaining: Units,
    /// What was used, in the book.
    pub used: Units,
    /// When it was made.
    pub created: Timestamp,
}

impl Account {
    /// What the audit record shows of it.
    fn state(&self) -> Value {
        json!({
            "username": self.username,
            "display_name": self.display_name,
            "email": self.email,
            "role": self.role.number(),
            "status": if self.disabled { 2 } else { 1 },
            "group": self.group,
            "groups": self.groups,
            "auto_groups": self.auto_groups,
            "quota": self.remaining.get(),
            "unlimited_quota": self.unlimited,
        })
    }
}

/// A new account.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Its unique name: 1 to 64 characters.
    pub username: String,
    /// Its name for people: at most [`MAX_DISPLAY_NAME`] characters.
    pub display_name: String,
    /// An address, or nothing: at most [`MAX_EMAIL`] characters.
    pub email: String,
    /// What it may do.
    pub role: Role,
    /// Its own group.
    pub group: String,
    /// What it begins with; `None` for no limit.
    pub balance: Option<Units>,
}

/// What changes about an account; `None` keeps.
#[derive(Clone, Debug, Default)]
pub struct AccountChange {
    /// Its name for people: at most [`MAX_DISPLAY_NAME`] characters.
    pub display_name: Option<String>,
    /// An address, or nothing: at most [`MAX_EMAIL`] characters.
    pub email: Option<String>,
    /// What it may do.
    pub role: Option<Role>,
    /// Whether it is shut out.
    pub disabled: Option<bool>,
    /// Its own group.
    pub group: Option<String>,
    /// Further groups that its keys may name.
    pub groups: Option<Vec<String>>,
    /// The groups of its keys whose group is `auto`, in order.
    pub auto_groups: Option<Vec<String>>,
    /// What remains from this moment on.
    pub remaining: Option<Units>,
    /// Whether the balance has no limit.
    pub unlimited: Option<bool>,
    /// Why, for the audit record.
    pub reason: Option<String>,
}

#[derive(sqlx::FromRow)]
pub(crate) struct Row {
    account_id: i64,
    username: String,
    display_name: String,
    email: String,
    role: i64,
    disabled: i64,
    account_group: String,
    usable_groups: String,
    auto_groups: String,
    account_pool: i64,
    account_unlimited: i64,
    account_granted: i64,
    account_used: i64,
    account_created: i64,
}

impl Row {
    pub(crate) fn account(self) -> Result<Account, StoreError> {
        Ok(Account {
            id: AccountId(self.account_id),
            username: self.username,
            display_name: self.display_name,
            email: self.email,
            role: Role::from_number(self.role).ok_or(StoreError::Corrupt("an unknown role"))?,
            disabled: self.disabled != 0,
            group: self.account_group,
            groups: split(&self.usable_groups),
            auto_groups: split(&self.auto_groups),
            pool: PoolId(self.account_pool),
            unlimited: self.account_unlimited != 0,
            remaining: Units::new(self.account_granted - self.account_used),
            used: Units::new(self.account_used),
            created: Timestamp::from_millis(self.account_created),
        })
    }
}

pub(crate) fn split(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
}

/// The account's columns in a query that joins `account a` with its pool `p`.
macro_rules! account_columns {
    () => {
        "a.id AS account_id, a.username, a.display_name, a.email, a.role, a.disabled, \
         a.own_group AS account_group, a.usable_groups, a.auto_groups, a.pool AS account_pool, \
         p.unlimited AS account_unlimited, p.granted AS account_granted, p.used AS account_used, \
         a.created AS account_created"
    };
}
macro_rules! select_account {
    ($tail:literal) => {
        concat!("SELECT ", account_columns!(), " FROM account a JOIN pool p ON p.id = a.pool ", $tail)
    };
}

pub(crate) use {account_columns, select_account};

async fn one(connection: &mut impl Run, id: AccountId) -> Result<Option<Account>, StoreError> {
    let row: Option<Row> =
        connection.query(select_account!("WHERE a.id = $1")).bind(id.0).fetch_optional().await?;
    row.map(Row::account).transpose()
}

impl Store {
    /// Makes an account.
    ///
    /// # Errors
    /// The username is taken; a name or an address that is not allowed; the group does not exist.
    pub async fn create_account(&self, new: NewAccount, now: Timestamp) -> Result<Account, StoreError> {
        let mut tx = self.write().await?;
        let id = insert(&mut tx, &new, now).await?;
        let made = one(&mut tx, id).await?.ok_or(StoreError::NotFound)?;
        if !made.unlimited {
            self.topped_up(&mut tx, id, Units::ZERO, made.remaining, now).await?;
        }
        self.account_changed(&mut tx, "create", (None, &made), None, now).await?;
        tx.commit().await?;
        Ok(made)
    }

    /// One account.
    ///
    /// # Errors
    /// The database.
    pub async fn account(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        let mut connection = self.read().await?;
        one(&mut connection, id).await
    }

    /// One account, by its unique name.
    ///
    /// # Errors
    /// The database.
    pub async fn account_by_username(&self, username: &str) -> Result<Option<Account>, StoreError> {
        let row: Option<Row> = self
            .read()
            .await?
            .query(select_account!("WHERE a.username = $1"))
            .bind(username)
            .fetch_optional()
            .await?;
        row.map(Row::account).transpose()
    }

    /// Whether an account has this name or this address.
    ///
    /// # Errors
    /// The database.
    pub async fn has_account(&self, name_or_address: &str) -> Result<bool, StoreError> {
        let found: Option<i64> = self
            .read()
            .await?
            .query(
                "SELECT id FROM account WHERE username = $1 OR (email <> '' AND lower(email) = $2) LIMIT 1",
            )
            .bind(name_or_address)
            // Neither database lowers other letters here.
            .bind(name_or_address.to_ascii_lowercase())
            .optional_scalar()
            .await?;
        Ok(found.is_some())
    }

    /// Changes an account in one transaction.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; a name or an address that is too long; a group that does not exist.
    pub async fn update_account(
        &self,
        id: AccountId,
        change: AccountChange,
        now: Timestamp,
    ) -> Result<Account, StoreError> {
        check(change.display_name.as_deref(), change.email.as_deref())?;
        let mut tx = self.write().await?;
        let before = one(&mut tx, id).await?;
        let pool: Option<i64> = tx
            .query(
                "UPDATE account SET display_name = coalesce($2, display_name), email = coalesce($3, email),
                role = coalesce($4, role), disabled = coalesce($5, disabled),
                own_group = coalesce($6, own_group), usable_groups = coalesce($7, usable_groups),
                auto_groups = coalesce($8, auto_groups)
             WHERE id = $1 RETURNING pool",
            )
            .bind(id.0)
            .bind(change.display_name)
            .bind(change.email)
            .bind(change.role.map(Role::number))
            .bind(change.disabled.map(i64::from))
            .bind(change.group.clone())
            .bind(change.groups.as_ref().map(|groups| groups.join(",")))
            .bind(change.auto_groups.as_ref().map(|groups| groups.join(",")))
            .optional_scalar()
            .await?;
        let pool = PoolId(pool.ok_or(StoreError::NotFound)?);
        let own = change.group.as_slice();
        let lists = [&change.groups, &change.auto_groups].map(|list| list.as_deref().unwrap_or_default());
        for group in [own, lists.concat().as_slice()].concat() {
            crate::group::must_exist(&mut tx, &group).await?;
        }
        let unlimited: i64 =
            tx.query("SELECT unlimited FROM pool WHERE id = $1").bind(pool.0).scalar().await?;
        // A lease is voided only when something really changes: what is admitted on a void lease is not deducted.
        let flips = change.unlimited.is_some_and(|wanted| wanted != (unlimited != 0));
        if change.remaining.is_some() || flips {
            pool::set(&mut tx, pool, change.remaining, change.unlimited).await?;
        }
        let after = one(&mut tx, id).await?.ok_or(StoreError::NotFound)?;
        account_list::note(&mut tx, &after).await?;
        // A link that was made for another role, or before the account was shut out, is worth nothing.
        if before
            .as_ref()
            .is_some_and(|before| before.role != after.role || before.disabled != after.disabled)
        {
            tx.query("DELETE FROM invitation WHERE account = $1").bind(id.0).execute().await?;
        }
        if change.remaining.is_some() && !after.unlimited {
            let had = before
                .as_ref()
                .filter(|before| !before.unlimited)
                .map_or(Units::ZERO, |before| before.remaining);
            self.topped_up(&mut tx, id, had, after.remaining, now).await?;
        }
        self.account_changed(&mut tx, "update", (before.as_ref(), &after), change.reason.as_deref(), now)
            .await?;
        change::record(&mut tx, Kind::Account, id.0, now).await?;
        tx.commit().await?;
        Ok(after)
    }

    async fn account_changed(
        &self,
        tx: &mut Tx,
        action: &str,
        (before, after): (Option<&Account>, &Account),
        reason: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let before = before.map(Account::state);
        let mut state = after.state();
        if let (Some(reason), true) = (reason, before.as_ref() != Some(&state))
            && let Some(members) = state.as_object_mut()
        {
            members.insert("reason".to_owned(), reason.into());
        }
        let entry = Entry { action, object: "account", id: after.id.to_string(), before, after: Some(state) };
        self.audit(tx, entry, now).await
    }
}

/// Refuses what nobody is called.
fn check(display_name: Option<&str>, email: Option<&str>) -> Result<(), StoreError> {
    for (name, text, most) in [("display_name", display_name, MAX_DISPLAY_NAME), ("email", email, MAX_EMAIL)]
    {
        if text.is_some_and(|text| text.chars().count() > most) {
            return Err(StoreError::Invalid(format!("{name} is too long: at most {most} characters")));
        }
    }
    Ok(())
}

pub(crate) async fn insert(tx: &mut Tx, new: &NewAccount, now: Timestamp) -> Result<AccountId, StoreError> {
    if new.username.is_empty() || new.username.chars().count() > 64 {
        return Err(StoreError::Invalid("username must have 1 to 64 characters".to_owned()));
    }
    check(Some(&new.display_name), Some(&new.email))?;
    crate::group::must_exist(tx, &new.group).await?;
    let pool = pool::create(tx, new.balance.unwrap_or(Units::ZERO), new.balance.is_none()).await?;
    let id = tx.query(
        "INSERT INTO account (username, display_name, email, role, disabled, own_group, usable_groups, pool, created, names)
         VALUES ($1, $2, $3, $4, 0, $5, '', $6, $7, $8) RETURNING id",
    )
    .bind(&new.username)
    .bind(&new.display_name)
    .bind(&new.email)
    .bind(new.role.number())
    .bind(&new.group)
    .bind(pool.0)
    .bind(now.millis())
    .bind(account_list::names(&new.username, &new.display_name, &new.email))
    .scalar()
    .await
    .map_err(unique(|| format!("the username {} is taken", new.username)))?;
    change::record(tx, Kind::Account, id, now).await?;
    Ok(AccountId(id))
}
