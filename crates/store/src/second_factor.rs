//! The second factor: the secret of an authenticator app, recovery codes, and sign-ins that wait for one of them.
//!
//! A code is good once: the step of an app's code only moves on, and a recovery code is deleted as it is taken, each in
//! the transaction that it opens the way to.

use model::{
    clock::Timestamp,
    id::{AccountId, SessionId},
};
use serde_json::json;
use zeroize::Zeroizing;

use crate::{
    audit::Entry,
    database::Tx,
    session,
    sql::Run,
    store::{Store, StoreError},
    vault::Place,
};

/// What is known of an account's authenticator app.
#[derive(Clone)]
pub struct Totp {
    /// The secret that the app has too, in base32.
    pub secret: Zeroizing<String>,
    /// Since when codes are asked for; `None` while it is being set up.
    pub confirmed: Option<Timestamp>,
}

/// What somebody shows beside the password.
#[derive(Clone, Copy)]
pub enum Proof<'a> {
    /// The time step of a right code of the app.
    Step(i64),
    /// A recovery code, which may be right.
    RecoveryCode(&'a str),
}

/// Where a session begins.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The caller's address.
    pub client: &'a str,
    /// What the browser calls itself.
    pub agent: &'a str,
}

const fn place(account: AccountId) -> Place {
    Place { table: "account_totp", row: account.0, account: account.0 }
}

impl Store {
    /// The authenticator app of an account; `None` when it has none.
    ///
    /// # Errors
    /// The database; a secret that does not open.
    pub async fn totp(&self, account: AccountId) -> Result<Option<Totp>, StoreError> {
        let row: Option<(Vec<u8>, Option<i64>)> = self
            .read()
            .await?
            .query("SELECT sealed, confirmed FROM account_totp WHERE account = $1")
            .bind(account.0)
            .fetch_optional()
            .await?;
        let Some((sealed, confirmed)) = row else { return Ok(None) };
        let secret = self.vault().open_sealed(place(account), &sealed)?;
        Ok(Some(Totp { secret, confirmed: confirmed.map(Timestamp::from_millis) }))
    }

    /// Keeps the secret of an app that is being set up, in the place of one that was never confirmed. `false` when one is
    /// in force.
    ///
    /// # Errors
    /// The database.
    pub async fn begin_totp(
        &self,
        account: AccountId,
        secret: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sealed = self.vault().seal(place(account), secret)?;
        let mut tx = self.write().await?;
        let put = tx.query(
            "INSERT INTO account_totp (account, sealed, created, confirmed, last_step) VALUES ($1, $2, $3, NULL, 0)
             ON CONFLICT (account) DO UPDATE SET sealed = excluded.sealed, created = excluded.created
             WHERE account_totp.confirmed IS NULL",
        )
        .bind(account.0)
        .bind(sealed)
        .bind(now.millis())
        .execute()
        .await?;
        tx.commit().await?;
        Ok(put > 0)
    }

    /// From now on codes are asked for; other sessions than `kept` end. `false` when none is being set up.
    ///
    /// # Errors
    /// The database.
    pub async fn confirm_totp(
        &self,
        account: AccountId,
        step: i64,
        codes: &[Zeroizing<String>],
        kept: SessionId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let confirmed = tx.query(
            "UPDATE account_totp SET confirmed = $2, last_step = $3 WHERE account = $1 AND confirmed IS NULL",
        )
        .bind(account.0)
        .bind(now.millis())
        .bind(step)
        .execute()
        .await?;
        if confirmed == 0 {
            return Ok(false);
        }
        self.put_codes(&mut tx, account, codes).await?;
        session::end_all(&mut tx, account, Some(kept)).await?;
        self.note(&mut tx, account, "create", now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Puts new recovery codes in the place of the old ones. `false` when the proof is none; then nothing has changed.
    ///
    /// # Errors
    /// The database.
    pub async fn renew_recovery_codes(
        &self,
        account: AccountId,
        proof: Proof<'_>,
        codes: &[Zeroizing<String>],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        if !self.take(&mut tx, account, proof).await? {
            return Ok(false);
        }
        self.put_codes(&mut tx, account, codes).await?;
        self.note(&mut tx, account, "update", now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Asks for no codes any more. `false` when the proof is none; then nothing has changed.
    ///
    /// # Errors
    /// The database.
    pub async fn end_totp(
        &self,
        account: AccountId,
        proof: Proof<'_>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        if !self.take(&mut tx, account, proof).await? {
            return Ok(false);
        }
        self.remove(&mut tx, account, now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Takes the second factor from an account without a proof, on behalf of an operator. `false` when it has none.
    ///
    /// # Errors
    /// The database.
    pub async fn remove_totp(&self, account: AccountId, now: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let removed = self.remove(&mut tx, account, now).await?;
        tx.commit().await?;
        Ok(removed)
    }

    /// How many recovery codes of an account were not used.
    ///
    /// # Errors
    /// The database.
    pub async fn recovery_codes_left(&self, account: AccountId) -> Result<i64, StoreError> {
        let mut on = self.read().await?;
        let counted = on.query("SELECT count(*) FROM recovery_code WHERE account = $1");
        Ok(counted.bind(account.0).scalar().await?)
    }

    /// Notes that somebody has given the password behind `password_hash`, and holds `token` until a code comes. `false`
    /// when the password is another one by now. Those from before `forget_before` are forgotten.
    ///
    /// # Errors
    /// The database.
    pub async fn begin_sign_in(
        &self,
        account: AccountId,
        password_hash: &str,
        token: &str,
        forget_before: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        tx.query("DELETE FROM pending_sign_in WHERE created < $1")
            .bind(forget_before.millis())
            .execute()
            .await?;
        let begun = tx
            .query(
                "INSERT INTO pending_sign_in (digest, account, created)
             SELECT $3, account, $4 FROM account_password WHERE account = $1 AND hash = $2",
            )
            .bind(account.0)
            .bind(password_hash)
            .bind(self.vault().digest(token).as_slice())
            .bind(now.millis())
            .execute()
            .await?;
        tx.commit().await?;
        Ok(begun > 0)
    }

    /// Whose sign-in waits behind `token`, if it began at `since` or later.
    ///
    /// # Errors
    /// The database.
    pub async fn pending_sign_in(
        &self,
        token: &str,
        since: Timestamp,
    ) -> Result<Option<AccountId>, StoreError> {
        let found: Option<i64> = self
            .read()
            .await?
            .query("SELECT account FROM pending_sign_in WHERE digest = $1 AND created >= $2")
            .bind(self.vault().digest(token).as_slice())
            .bind(since.millis())
            .optional_scalar()
            .await?;
        Ok(found.map(AccountId))
    }

    /// Ends the wait of a sign-in with a session that `session_token` opens. `None` when it does not wait any more, or the
    /// proof is none; then nothing has changed.
    ///
    /// # Errors
    /// The database.
    pub async fn finish_sign_in(
        &self,
        token: &str,
        proof: Proof<'_>,
        session_token: &str,
        from: Origin<'_>,
        now: Timestamp,
    ) -> Result<Option<SessionId>, StoreError> {
        let mut tx = self.write().await?;
        let account: Option<i64> = tx
            .query("DELETE FROM pending_sign_in WHERE digest = $1 RETURNING account")
            .bind(self.vault().digest(token).as_slice())
            .optional_scalar()
            .await?;
        let Some(account) = account.map(AccountId) else { return Ok(None) };
        if !self.take(&mut tx, account, proof).await? {
            return Ok(None);
        }
        let id: i64 = tx
            .query(
                "INSERT INTO console_session (account, digest, created, used, client, agent)
             VALUES ($1, $2, $3, $3, $4, $5) RETURNING id",
            )
            .bind(account.0)
            .bind(self.vault().digest(session_token).as_slice())
            .bind(now.millis())
            .bind(from.client)
            .bind(from.agent)
            .scalar()
            .await?;
        tx.commit().await?;
        Ok(Some(SessionId(id)))
    }

    /// Uses up a proof; `false` when it is none, or was used before.
    async fn take(&self, tx: &mut Tx, account: AccountId, proof: Proof<'_>) -> Result<bool, StoreError> {
        let taken = match proof {
            Proof::Step(step) => {
                tx.query(
                    "UPDATE account_totp SET last_step = $2
                     WHERE account = $1 AND confirmed IS NOT NULL AND last_step < $2",
                )
                .bind(account.0)
                .bind(step)
                .execute()
                .await?
            }
            Proof::RecoveryCode(code) => {
                tx.query("DELETE FROM recovery_code WHERE account = $1 AND digest = $2")
                    .bind(account.0)
                    .bind(self.code_digest(account, code).as_slice())
                    .execute()
                    .await?
            }
        };
        Ok(taken > 0)
    }

    fn code_digest(&self, account: AccountId, code: &str) -> [u8; 32] {
        self.vault().digest(&format!("recovery code\0{account}\0{code}"))
    }

    async fn put_codes(
        &self,
        tx: &mut Tx,
        account: AccountId,
        codes: &[Zeroizing<String>],
    ) -> Result<(), StoreError> {
        tx.query("DELETE FROM recovery_code WHERE account = $1").bind(account.0).execute().await?;
        for code in codes {
            tx.query("INSERT INTO recovery_code (digest, account) VALUES ($1, $2)")
                .bind(self.code_digest(account, code).as_slice())
                .bind(account.0)
                .execute()
                .await?;
        }
        Ok(())
    }

    async fn remove(&self, tx: &mut Tx, account: AccountId, now: Timestamp) -> Result<bool, StoreError> {
        let gone = tx.query("DELETE FROM account_totp WHERE account = $1").bind(account.0).execute().await?;
        if gone == 0 {
            return Ok(false);
        }
        self.put_codes(tx, account, &[]).await?;
        self.note(tx, account, "delete", now).await?;
        Ok(true)
    }

    async fn note(
        &self,
        tx: &mut Tx,
        account: AccountId,
        action: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let after = (action != "delete").then(|| json!({"kind": "authenticator app"}));
        let entry = Entry { action, object: "second_factor", id: account.to_string(), before: None, after };
        self.audit(tx, entry, now).await
    }
}

/// Forgets sign-ins of an account that wait for a code: the password that began them is no more.
pub(crate) async fn forget_pending(tx: &mut Tx, account: AccountId) -> Result<(), StoreError> {
    tx.query("DELETE FROM pending_sign_in WHERE account = $1").bind(account.0).execute().await?;
    Ok(())
}
