//! The first account, and the token that lets its owner in once.

use model::{clock::Timestamp, id::AccountId};

use crate::{
    account::{NewAccount, Role, insert},
    sql::Run,
    store::{Store, StoreError},
};

/// How long a set-up token works, in milliseconds: an hour.
pub const SETUP_MILLIS: i64 = 3_600_000;

const fn setup_ends(now: Timestamp) -> i64 {
    now.millis().saturating_add(SETUP_MILLIS)
}

impl Store {
    /// Makes the root account of an empty database, with the digest of a one-time set-up token. `None` when there
    /// is an account already.
    ///
    /// The token works for [`SETUP_MILLIS`], and until root has a personal access token.
    ///
    /// # Errors
    /// The database.
    pub async fn create_root(
        &self,
        setup_token: &str,
        now: Timestamp,
    ) -> Result<Option<AccountId>, StoreError> {
        let mut tx = self.write().await?;
        let accounts: i64 = tx.query("SELECT count(*) FROM account").scalar().await?;
        if accounts > 0 {
            return Ok(None);
        }
        let root = NewAccount {
            username: "root".to_owned(),
            display_name: "Root".to_owned(),
            email: String::new(),
            role: Role::Root,
            group: "default".to_owned(),
            balance: None,
        };
        let id = insert(&mut tx, &root, now).await?;
        tx.query("INSERT INTO setup_token (digest, account, expires) VALUES ($1, $2, $3)")
            .bind(self.vault().digest(setup_token).as_slice())
            .bind(id.0)
            .bind(setup_ends(now))
            .execute()
            .await?;
        tx.commit().await?;
        Ok(Some(id))
    }

    /// Puts a new set-up token in the place of one that nobody has used. `false` when there is none.
    ///
    /// # Errors
    /// The database.
    pub async fn renew_setup_token(&self, setup_token: &str, now: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let renewed = tx
            .query("UPDATE setup_token SET digest = $1, expires = $2")
            .bind(self.vault().digest(setup_token).as_slice())
            .bind(setup_ends(now))
            .execute()
            .await?;
        tx.commit().await?;
        Ok(renewed > 0)
    }

    /// Uses up the set-up token. `None` when it is not the one, or was used, or has ended.
    ///
    /// # Errors
    /// The database.
    pub async fn take_setup_token(
        &self,
        setup_token: &str,
        now: Timestamp,
    ) -> Result<Option<AccountId>, StoreError> {
        let mut tx = self.write().await?;
        let account: Option<i64> = tx
            .query("DELETE FROM setup_token WHERE digest = $1 AND expires > $2 RETURNING account")
            .bind(self.vault().digest(setup_token).as_slice())
            .bind(now.millis())
            .optional_scalar()
            .await?;
        tx.commit().await?;
        Ok(account.map(AccountId))
    }
}
