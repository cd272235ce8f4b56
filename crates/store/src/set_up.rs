//! The first account, and the tokens that let its owner in once.
//!
//! Each start of a server offers one as long as none was used, and all of them work until they end: the database has their
//! digests alone, so no server can print the token of another again. The first that is used ends them all.

use model::{clock::Timestamp, id::AccountId};

use crate::{
    account::{NewAccount, Role, insert},
    database::Tx,
    sql::Run,
    store::{Store, StoreError},
};

/// How long a set-up token works, in milliseconds: an hour.
pub const SETUP_MILLIS: i64 = 3_600_000;

const fn setup_ends(now: Timestamp) -> i64 {
    now.millis().saturating_add(SETUP_MILLIS)
}

impl Store {
    /// Makes the root account of an empty database, with the digest of its first set-up token. `None` when there
    /// is an account already.
    ///
    /// The token works for [`SETUP_MILLIS`], and until root has a password or a personal access token.
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
        self.offer(&mut tx, setup_token, id, now).await?;
        tx.commit().await?;
        Ok(Some(id))
    }

    /// Offers a further set-up token as long as nobody has used one; those from before work until they end, for somebody
    /// may hold the link that another server, or an earlier start, has printed. `false` when there is nothing to set up.
    ///
    /// # Errors
    /// The database.
    pub async fn offer_setup_token(&self, setup_token: &str, now: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        // One that has ended still says that nobody has used one.
        let account: Option<i64> =
            tx.query("SELECT account FROM setup_token LIMIT 1").optional_scalar().await?;
        let Some(account) = account.map(AccountId) else { return Ok(false) };
        tx.query("DELETE FROM setup_token WHERE expires <= $1").bind(now.millis()).execute().await?;
        self.offer(&mut tx, setup_token, account, now).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn offer(
        &self,
        tx: &mut Tx,
        setup_token: &str,
        account: AccountId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        tx.query("INSERT INTO setup_token (digest, account, expires) VALUES ($1, $2, $3)")
            .bind(self.vault().digest(setup_token).as_slice())
            .bind(account.0)
            .bind(setup_ends(now))
            .execute()
            .await?;
        Ok(())
    }

    /// Uses up a set-up token, and with it all others. `None` when it is none, or one was used, or it has ended.
    ///
    /// # Errors
    /// The database.
    pub async fn take_setup_token(
        &self,
        setup_token: &str,
        now: Timestamp,
    ) -> Result<Option<AccountId>, StoreError> {
        let mut tx = self.write().await?;
        let account = self.use_up(&mut tx, setup_token, now).await?;
        tx.commit().await?;
        Ok(account)
    }

    /// Uses up a set-up token, and with it all others, and gives its account a password. `None` when it is none, or one was
    /// used, or it has ended; then nothing has changed.
    ///
    /// # Errors
    /// The database.
    pub async fn set_up(
        &self,
        setup_token: &str,
        hash: &str,
        now: Timestamp,
    ) -> Result<Option<AccountId>, StoreError> {
        let mut tx = self.write().await?;
        let Some(account) = self.use_up(&mut tx, setup_token, now).await? else { return Ok(None) };
        self.put_password(&mut tx, account, hash, now).await?;
        tx.commit().await?;
        Ok(Some(account))
    }

    async fn use_up(
        &self,
        tx: &mut Tx,
        setup_token: &str,
        now: Timestamp,
    ) -> Result<Option<AccountId>, StoreError> {
        let account: Option<i64> = tx
            .query("SELECT account FROM setup_token WHERE digest = $1 AND expires > $2")
            .bind(self.vault().digest(setup_token).as_slice())
            .bind(now.millis())
            .optional_scalar()
            .await?;
        let Some(account) = account.map(AccountId) else { return Ok(None) };
        end(tx, account).await?;
        Ok(Some(account))
    }

    /// Whether a token is a set-up token, and can be used.
    ///
    /// # Errors
    /// The database.
    pub async fn is_setup_token(&self, token: &str, now: Timestamp) -> Result<bool, StoreError> {
        let mut on = self.read().await?;
        let found = on.query("SELECT count(*) FROM setup_token WHERE digest = $1 AND expires > $2");
        let found = found.bind(self.vault().digest(token).as_slice()).bind(now.millis());
        Ok(found.scalar::<i64>().await? > 0)
    }

    /// Whether a set-up token waits to be used.
    ///
    /// # Errors
    /// The database.
    pub async fn awaits_set_up(&self, now: Timestamp) -> Result<bool, StoreError> {
        let waiting: i64 = self
            .read()
            .await?
            .query("SELECT count(*) FROM setup_token WHERE expires > $1")
            .bind(now.millis())
            .scalar()
            .await?;
        Ok(waiting > 0)
    }
}

/// Ends all set-up tokens of an account: whoever has a way in needs none.
pub(crate) async fn end(tx: &mut Tx, account: AccountId) -> Result<(), StoreError> {
    tx.query("DELETE FROM setup_token WHERE account = $1").bind(account.0).execute().await?;
    Ok(())
}
