//! Groups: what decides price and route.

use model::{clock::Timestamp, id::AccountId, key::AUTO, price::Ratio};
use serde_json::{Value, json};

use crate::{
    account::split,
    audit::Entry,
    change::{self, Kind},
    database::Tx,
    sql::Run,
    store::{Store, StoreError},
};

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its unique name: 1 to 64 characters, no comma.
    pub name: String,
    /// A sentence for people.
    pub description: String,
    /// What every price is multiplied with.
    pub ratio: Ratio,
}

impl Group {
    /// What the audit record shows of it.
    fn state(&self) -> Value {
        json!({"name": self.name, "description": self.description, "ratio_millionths": self.ratio.0})
    }
}

async fn one(connection: &mut impl Run, name: &str) -> Result<Option<Group>, StoreError> {
    let row: Option<(String, String, i64)> = connection
        .query("SELECT name, description, ratio FROM price_group WHERE name = $1")
        .bind(name)
        .fetch_optional()
        .await?;
    Ok(row.map(|(name, description, ratio)| Group { name, description, ratio: Ratio(ratio) }))
}

pub(crate) async fn must_exist(tx: &mut Tx, group: &str) -> Result<(), StoreError> {
    let found: Option<i64> =
        tx.query("SELECT id FROM price_group WHERE name = $1").bind(group).optional_scalar().await?;
    match found {
        Some(_) => Ok(()),
        None => Err(StoreError::Invalid(format!("there is no group {group}"))),
    }
}

/// Whether a key of `account` may name `group`; empty is the account's own, [`AUTO`] its automatic list. Asked in the transaction that writes the
/// name, so that a group is neither taken away nor deleted in between.
pub(crate) async fn must_be_usable(tx: &mut Tx, account: AccountId, group: &str) -> Result<(), StoreError> {
    if group.is_empty() || group == AUTO {
        return Ok(());
    }
    let lists: Option<(String, String)> = tx.query(
        "SELECT a.own_group, a.usable_groups FROM account a JOIN price_group g ON g.name = $2 WHERE a.id = $1",
    )
    .bind(account.0)
    .bind(group)
    .fetch_optional()
    .await?;
    match lists {
        Some((own, usable)) if own == group || split(&usable).iter().any(|name| name == group) => Ok(()),
        _ => Err(StoreError::NoAccessToGroup(group.to_owned())),
    }
}

/// How many accounts, keys and channels name a group. Lists are compared here and not with LIKE, which takes `_` for
/// any character and, in SQLite, `a` for `A`.
async fn users_of(tx: &mut Tx, group: &str) -> Result<usize, StoreError> {
    let owners: i64 = tx
        .query(
            "SELECT (SELECT count(*) FROM account WHERE own_group = $1)
              + (SELECT count(*) FROM api_key WHERE own_group = $1)",
        )
        .bind(group)
        .scalar()
        .await?;
    let lists: Vec<String> = tx
        .query(
            "SELECT usable_groups FROM account WHERE usable_groups <> '' AND own_group <> $1
         UNION ALL SELECT auto_groups FROM account WHERE auto_groups <> ''
         UNION ALL SELECT groups FROM channel",
        )
        .bind(group)
        .scalars()
        .await?;
    let naming = lists.iter().filter(|list| split(list).iter().any(|name| name == group)).count();
    Ok(usize::try_from(owners).unwrap_or(0) + naming)
}

impl Store {
    /// All groups, in the order of their names.
    ///
    /// # Errors
    /// The database.
    pub async fn list_groups(&self) -> Result<Vec<Group>, StoreError> {
        let rows: Vec<(String, String, i64)> = self
            .read()
            .await?
            .query("SELECT name, description, ratio FROM price_group ORDER BY name")
            .fetch_all()
            .await?;
        let group = |(name, description, ratio)| Group { name, description, ratio: Ratio(ratio) };
        Ok(rows.into_iter().map(group).collect())
    }

    /// Makes a group, or changes the one of this name.
    ///
    /// # Errors
    /// A name or a ratio that is not allowed.
    pub async fn put_group(&self, group: &Group, now: Timestamp) -> Result<(), StoreError> {
        let length = group.name.chars().count();
        if !(1..=64).contains(&length) || group.name.contains(',') || group.name.trim() != group.name {
            return Err(StoreError::Invalid(
                "a group's name must have 1 to 64 characters, no comma and no blanks around it".to_owned(),
            ));
        }
        if group.name == AUTO {
            return Err(StoreError::Invalid(format!(
                "{AUTO} stands for an account's automatic list of groups"
            )));
        }
        if !(0..=Ratio::MAX.0).contains(&group.ratio.0) {
            return Err(StoreError::Invalid("a ratio must be between 0 and 1000".to_owned()));
        }
        let mut tx = self.write().await?;
        let before = one(&mut tx, &group.name).await?;
        let id: i64 = tx
            .query(
                "INSERT INTO price_group (name, description, ratio) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO UPDATE SET description = excluded.description, ratio = excluded.ratio
             RETURNING id",
            )
            .bind(&group.name)
            .bind(&group.description)
            .bind(group.ratio.0)
            .scalar()
            .await?;
        let entry = Entry {
            action: if before.is_some() { "update" } else { "create" },
            object: "group",
            id: group.name.clone(),
            before: before.as_ref().map(Group::state),
            after: Some(group.state()),
        };
        self.audit(&mut tx, entry, now).await?;
        change::record(&mut tx, Kind::Routing, id, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// One group.
    ///
    /// # Errors
    /// The database.
    pub async fn group(&self, name: &str) -> Result<Option<Group>, StoreError> {
        let mut connection = self.read().await?;
        one(&mut connection, name).await
    }

    /// Removes a group that nothing names.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Conflict`] while an account, a key or a channel names it.
    pub async fn delete_group(&self, name: &str, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let before = one(&mut tx, name).await?;
        let users = users_of(&mut tx, name).await?;
        if users > 0 {
            return Err(StoreError::Conflict(format!(
                "group {name} is named by {users} accounts, keys or channels"
            )));
        }
        let id: Option<i64> = tx
            .query("DELETE FROM price_group WHERE name = $1 RETURNING id")
            .bind(name)
            .optional_scalar()
            .await?;
        let id = id.ok_or(StoreError::NotFound)?;
        let before = before.as_ref().map(Group::state);
        let entry = Entry { action: "delete", object: "group", id: name.to_owned(), before, after: None };
        self.audit(&mut tx, entry, now).await?;
        change::record(&mut tx, Kind::Routing, id, now).await?;
        tx.commit().await?;
        Ok(())
    }
}
