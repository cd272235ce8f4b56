//! Console sessions: only the digest of a session's token is kept.

use model::{
    clock::Timestamp,
    id::{AccountId, SessionId},
};

use crate::{
    account::{self, Account, account_columns},
    database::Tx,
    sql::Run,
    store::{Store, StoreError},
};

/// Somebody who is signed in, without the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its identity.
    pub id: SessionId,
    /// Whose it is.
    pub account: AccountId,
    /// When it began.
    pub created: Timestamp,
    /// When it was last used, to the minute.
    pub used: Timestamp,
    /// When whoever has it last proved who they are: as it began, or since.
    pub proved: Timestamp,
    /// The address that it began at.
    pub client: String,
    /// What the browser called itself then.
    pub agent: String,
}

/// A session to be begun.
#[derive(Clone, Copy, Debug)]
pub struct NewSession<'a> {
    /// Whose it will be.
    pub account: AccountId,
    /// The hash that the password was checked against: a session begins only while it is in force.
    pub password_hash: &'a str,
    /// The caller's address.
    pub client: &'a str,
    /// What the browser calls itself.
    pub agent: &'a str,
    /// Sessions that were last used before this moment are forgotten.
    pub forget_before: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Row {
    session: i64,
    owner: i64,
    began: i64,
    used_at: i64,
    proved: i64,
    client: String,
    agent: String,
}

#[derive(sqlx::FromRow)]
struct OwnedRow {
    #[sqlx(flatten)]
    session: Row,
    #[sqlx(flatten)]
    account: account::Row,
}

impl From<Row> for Session {
    fn from(row: Row) -> Self {
        Self {
            id: SessionId(row.session),
            account: AccountId(row.owner),
            created: Timestamp::from_millis(row.began),
            used: Timestamp::from_millis(row.used_at),
            proved: Timestamp::from_millis(row.proved.max(row.began)),
            client: row.client,
            agent: row.agent,
        }
    }
}

macro_rules! session_columns {
    () => {
        "s.id AS session, s.account AS owner, s.created AS began, s.used AS used_at, s.proved, s.client, s.agent"
    };
}

impl Store {
    /// Begins a session that `token` opens. `None` when the password is another one by now.
    ///
    /// # Errors
    /// The database.
    pub async fn create_session(
        &self,
        new: NewSession<'_>,
        token: &str,
        now: Timestamp,
    ) -> Result<Option<SessionId>, StoreError> {
        let mut tx = self.write().await?;
        tx.query("DELETE FROM console_session WHERE used < $1")
            .bind(new.forget_before.millis())
            .execute()
            .await?;
        let id: Option<i64> = tx
            .query(
                "INSERT INTO console_session (account, digest, created, used, client, agent)
             SELECT account, $3, $4, $4, $5, $6 FROM account_password WHERE account = $1 AND hash = $2
             RETURNING id",
            )
            .bind(new.account.0)
            .bind(new.password_hash)
            .bind(self.vault().digest(token).as_slice())
            .bind(now.millis())
            .bind(new.client)
            .bind(new.agent)
            .optional_scalar()
            .await?;
        tx.commit().await?;
        Ok(id.map(SessionId))
    }

    /// The session that `token` opens, and its owner.
    ///
    /// # Errors
    /// The database.
    pub async fn session_by_token(&self, token: &str) -> Result<Option<(Session, Account)>, StoreError> {
        let row: Option<OwnedRow> = self
            .read()
            .await?
            .query(concat!(
                "SELECT ",
                session_columns!(),
                ", ",
                account_columns!(),
                " FROM console_session s JOIN account a ON a.id = s.account JOIN pool p ON p.id = a.pool \
              WHERE s.digest = $1"
            ))
            .bind(self.vault().digest(token).as_slice())
            .fetch_optional()
            .await?;
        row.map(|row| Ok((row.session.into(), row.account.account()?))).transpose()
    }

    /// Notes that a session is in use.
    ///
    /// # Errors
    /// The database.
    pub async fn session_used(&self, id: SessionId, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        tx.query("UPDATE console_session SET used = $2 WHERE id = $1 AND used < $2")
            .bind(id.0)
            .bind(now.millis())
            .execute()
            .await?;
        Ok(tx.commit().await?)
    }

    /// Notes that whoever has a session has proved again who they are, with the password behind `password_hash`. `false`
    /// when it is another one by now, or the session has ended.
    ///
    /// # Errors
    /// The database.
    pub async fn session_proved(
        &self,
        id: SessionId,
        password_hash: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let noted = tx
            .query(
                "UPDATE console_session SET proved = $3 WHERE id = $1
             AND account IN (SELECT account FROM account_password WHERE hash = $2)",
            )
            .bind(id.0)
            .bind(password_hash)
            .bind(now.millis())
            .execute()
            .await?;
        tx.commit().await?;
        Ok(noted > 0)
    }

    /// The sessions of an account, newest first.
    ///
    /// # Errors
    /// The database.
    pub async fn list_sessions(&self, account: AccountId) -> Result<Vec<Session>, StoreError> {
        let rows: Vec<Row> = self
            .read()
            .await?
            .query(concat!(
                "SELECT ",
                session_columns!(),
                " FROM console_session s WHERE s.account = $1 ORDER BY s.id DESC"
            ))
            .bind(account.0)
            .fetch_all()
            .await?;
        Ok(rows.into_iter().map(Session::from).collect())
    }

    /// Ends a session of an account. `false` when there is none.
    ///
    /// # Errors
    /// The database.
    pub async fn end_session(&self, account: AccountId, id: SessionId) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let gone = tx
            .query("DELETE FROM console_session WHERE account = $1 AND id = $2")
            .bind(account.0)
            .bind(id.0)
            .execute()
            .await?;
        tx.commit().await?;
        Ok(gone > 0)
    }

    /// Ends the sessions of an account, all but `kept`. Returns how many.
    ///
    /// # Errors
    /// The database.
    pub async fn end_sessions(&self, account: AccountId, kept: Option<SessionId>) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let ended = end_all(&mut tx, account, kept).await?;
        tx.commit().await?;
        Ok(ended)
    }
}

/// Ends the sessions of an account, all but `kept`.
pub(crate) async fn end_all(
    tx: &mut Tx,
    account: AccountId,
    kept: Option<SessionId>,
) -> Result<u64, StoreError> {
    let gone = tx
        .query("DELETE FROM console_session WHERE account = $1 AND id <> $2")
        .bind(account.0)
        // No session has the id 0.
        .bind(kept.map_or(0, |id| id.0))
        .execute()
        .await?;
    Ok(gone)
}
