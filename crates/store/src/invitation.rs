//! Invitations: a link with which its receiver chooses the password of an account, once.

use model::{clock::Timestamp, id::AccountId};

use crate::{
    audit::Entry,
    second_factor, session,
    sql::Run,
    store::{Store, StoreError},
};

impl Store {
    /// Keeps the token of an invitation, in the place of an earlier one of the account.
    ///
    /// # Errors
    /// The database.
    pub async fn invite(
        &self,
        account: AccountId,
        token: &str,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        tx.query(
            "INSERT INTO invitation (account, digest, expires) VALUES ($1, $2, $3)
             ON CONFLICT (account) DO UPDATE SET digest = excluded.digest, expires = excluded.expires",
        )
        .bind(account.0)
        .bind(self.vault().digest(token).as_slice())
        .bind(expires.millis())
        .execute()
        .await?;
        let entry = Entry {
            action: "create",
            object: "invitation",
            id: account.to_string(),
            before: None,
            after: None,
        };
        self.audit(&mut tx, entry, now).await?;
        Ok(tx.commit().await?)
    }

    /// Whether a token is that of an invitation that can be used.
    ///
    /// # Errors
    /// The database.
    pub async fn is_invitation(&self, token: &str, now: Timestamp) -> Result<bool, StoreError> {
        let mut on = self.read().await?;
        let found = on.query(
            "SELECT count(*) FROM invitation JOIN account ON account.id = invitation.account
             WHERE digest = $1 AND expires > $2 AND disabled = 0",
        );
        let found = found.bind(self.vault().digest(token).as_slice()).bind(now.millis());
        Ok(found.scalar::<i64>().await? > 0)
    }

    /// Uses up an invitation and gives its account a password; its sessions end. `None` when it is none, or was used, or
    /// has ended; then nothing has changed.
    ///
    /// # Errors
    /// The database.
    pub async fn accept_invitation(
        &self,
        token: &str,
        hash: &str,
        now: Timestamp,
    ) -> Result<Option<AccountId>, StoreError> {
        let mut tx = self.write().await?;
        let account: Option<i64> = tx
            .query(
                "DELETE FROM invitation WHERE digest = $1 AND expires > $2 AND EXISTS (
                    SELECT 1 FROM account WHERE account.id = invitation.account AND account.disabled = 0
                 ) RETURNING account",
            )
            .bind(self.vault().digest(token).as_slice())
            .bind(now.millis())
            .optional_scalar()
            .await?;
        let Some(account) = account.map(AccountId) else { return Ok(None) };
        self.put_password(&mut tx, account, hash, now).await?;
        session::end_all(&mut tx, account, None).await?;
        second_factor::forget_pending(&mut tx, account).await?;
        tx.commit().await?;
        Ok(Some(account))
    }
}
