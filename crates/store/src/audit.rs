//! The audit record: who changed what, when, and from what to what. Written in the transaction of the change.
//!
//! It holds no secret: a credential's text is never part of a state.

use std::sync::Arc;

use model::{
    clock::Timestamp,
    id::{AccountId, KeyId},
};
use serde_json::Value;

use crate::{
    account::Account,
    database::Tx,
    key::Page,
    sql::Run,
    store::{Store, StoreError},
};

/// On whose behalf a store changes things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The account, or `None` for the command line and for the gateway itself.
    pub account: Option<AccountId>,
    /// Its username, or what it is.
    pub name: Arc<str>,
}

impl Actor {
    /// Somebody who works on the database itself.
    #[must_use]
    pub fn command_line() -> Self {
        Self { account: None, name: "command line".into() }
    }

    /// The gateway, which acts on what providers say.
    #[must_use]
    pub fn gateway() -> Self {
        Self { account: None, name: "gateway".into() }
    }
}

impl From<&Account> for Actor {
    fn from(account: &Account) -> Self {
        Self { account: Some(account.id), name: account.username.as_str().into() }
    }
}

/// One recorded change.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditRecord {
    /// Its place in the order.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What was done: `create`, `update`, `delete`, `refuse`, `reveal`, `resolve`.
    pub action: String,
    /// The kind of thing: `account`, `api_key`, `channel`, `credential`, `group`, `invitation`, `model`, `passkey`, `password`, `price`, `second_factor`,
    /// `suspense`.
    pub object: String,
    /// Which one.
    pub object_id: String,
    /// What it was; `None` for something new.
    pub before: Option<Value>,
    /// What it is; `None` for something deleted.
    pub after: Option<Value>,
}

/// Which records are asked for; what is `None` matches all.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// The kind of thing.
    pub object: Option<String>,
    /// Which one.
    pub object_id: Option<String>,
    /// Who.
    pub account: Option<AccountId>,
}

/// A change to be recorded.
pub(crate) struct Entry<'a> {
    pub(crate) action: &'a str,
    pub(crate) object: &'a str,
    pub(crate) id: String,
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    at: i64,
    account: Option<i64>,
    actor: String,
    action: String,
    object: String,
    object_id: String,
    state_before: Option<String>,
    state_after: Option<String>,
}

impl Row {
    fn record(self) -> Result<AuditRecord, StoreError> {
        let state = |text: Option<String>| {
            let read = text.map(|text| serde_json::from_str(&text)).transpose();
            read.map_err(|_| StoreError::Corrupt("an audited state"))
        };
        Ok(AuditRecord {
            id: self.id,
            at: Timestamp::from_millis(self.at),
            actor: Actor { account: self.account.map(AccountId), name: self.actor.into() },
            action: self.action,
            object: self.object,
            object_id: self.object_id,
            before: state(self.state_before)?,
            after: state(self.state_after)?,
        })
    }
}

impl Store {
    /// Records a change; one that changed nothing is none.
    pub(crate) async fn audit(
        &self,
        tx: &mut Tx,
        entry: Entry<'_>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if entry.before.is_some() && entry.before == entry.after {
            return Ok(());
        }
        tx.query(
            "INSERT INTO audit (at, account, actor, action, object, object_id, state_before, state_after)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(now.millis())
        .bind(self.actor().account.map(|account| account.0))
        .bind(&*self.actor().name)
        .bind(entry.action)
        .bind(entry.object)
        .bind(entry.id)
        .bind(entry.before.map(|state| state.to_string()))
        .bind(entry.after.map(|state| state.to_string()))
        .execute()
        .await?;
        Ok(())
    }

    /// Records that the text of an API key was shown to somebody.
    ///
    /// # Errors
    /// The database.
    pub async fn key_revealed(&self, key: KeyId, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let entry =
            Entry { action: "reveal", object: "api_key", id: key.to_string(), before: None, after: None };
        self.audit(&mut tx, entry, now).await?;
        Ok(tx.commit().await?)
    }

    /// Recorded changes, newest first, and how many match.
    ///
    /// # Errors
    /// The database.
    pub async fn audit_records(
        &self,
        filter: &AuditFilter,
        page: Page,
    ) -> Result<(Vec<AuditRecord>, i64), StoreError> {
        let total = self
            .read()
            .await?
            .query(
                "SELECT count(*) FROM audit WHERE (CAST($1 AS TEXT) IS NULL OR object = $1)
                AND (CAST($2 AS TEXT) IS NULL OR object_id = $2)
                AND (CAST($3 AS BIGINT) IS NULL OR account = $3)",
            )
            .bind(filter.object.as_deref())
            .bind(filter.object_id.as_deref())
            .bind(filter.account.map(|account| account.0))
            .scalar()
            .await?;
        let rows: Vec<Row> = self.read().await?.query(
            "SELECT id, at, account, actor, action, object, object_id, state_before, state_after FROM audit
             WHERE (CAST($1 AS TEXT) IS NULL OR object = $1) AND (CAST($2 AS TEXT) IS NULL OR object_id = $2)
                AND (CAST($3 AS BIGINT) IS NULL OR account = $3)
             ORDER BY id DESC LIMIT $4 OFFSET $5",
        )
        .bind(filter.object.as_deref())
        .bind(filter.object_id.as_deref())
        .bind(filter.account.map(|account| account.0))
        .bind(page.size)
        .bind(page.number.saturating_sub(1).saturating_mul(page.size))
        .fetch_all()
        .await?;
        Ok((rows.into_iter().map(Row::record).collect::<Result<_, _>>()?, total))
    }
}
