//! Passwords: only their hashes are kept, and every change of one ends the sessions that began with the one before.

use model::{
    clock::Timestamp,
    id::{AccountId, SessionId},
};

use crate::{
    audit::Entry,
    database::Tx,
    second_factor, session, set_up,
    sql::Run,
    store::{Store, StoreError},
};

impl Store {
    /// The hash of an account's password; `None` when it has none.
    ///
    /// # Errors
    /// The database.
    pub async fn password_hash(&self, account: AccountId) -> Result<Option<String>, StoreError> {
        let mut connection = self.read().await?;
        let found = connection.query("SELECT hash FROM account_password WHERE account = $1");
        Ok(found.bind(account.0).optional_scalar().await?)
    }

    /// Sets the hash of an account's password, and ends its sessions but `kept`.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn set_password(
        &self,
        account: AccountId,
        hash: &str,
        kept: Option<SessionId>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let found: Option<i64> =
            tx.query("SELECT id FROM account WHERE id = $1").bind(account.0).optional_scalar().await?;
        found.ok_or(StoreError::NotFound)?;
        self.put_password(&mut tx, account, hash, now).await?;
        session::end_all(&mut tx, account, kept).await?;
        second_factor::forget_pending(&mut tx, account).await?;
        Ok(tx.commit().await?)
    }

    pub(crate) async fn put_password(
        &self,
        tx: &mut Tx,
        account: AccountId,
        hash: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        tx.query(
            "INSERT INTO account_password (account, hash, changed) VALUES ($1, $2, $3)
             ON CONFLICT (account) DO UPDATE SET hash = excluded.hash, changed = excluded.changed",
        )
        .bind(account.0)
        .bind(hash)
        .bind(now.millis())
        .execute()
        .await?;
        // A link that was made before must not take the account again.
        tx.query("DELETE FROM invitation WHERE account = $1").bind(account.0).execute().await?;
        set_up::end(tx, account).await?;
        let entry = Entry {
            action: "update",
            object: "password",
            id: account.to_string(),
            before: None,
            after: None,
        };
        self.audit(tx, entry, now).await
    }
}
