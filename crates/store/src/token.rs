//! Personal access tokens: only their digest is kept.

use model::{
    clock::Timestamp,
    credential::Credential,
    id::{AccountId, TokenId},
    key::MAX_NAME,
};

use crate::{
    account::{self, Account, account_columns},
    set_up,
    sql::Run,
    store::{Store, StoreError},
};

/// A personal access token, without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its identity.
    pub id: TokenId,
    /// Whose it is.
    pub account: AccountId,
    /// A name for people.
    pub name: String,
    /// When it ends, or never.
    pub expires: Option<Timestamp>,
    /// When it was made.
    pub created: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    account: i64,
    name: String,
    expires: Option<i64>,
    created: i64,
}

#[derive(sqlx::FromRow)]
struct OwnedRow {
    #[sqlx(flatten)]
    token: Row,
    #[sqlx(flatten)]
    account: account::Row,
}

impl From<Row> for Token {
    fn from(row: Row) -> Self {
        Self {
            id: TokenId(row.id),
            account: AccountId(row.account),
            name: row.name,
            expires: row.expires.map(Timestamp::from_millis),
            created: Timestamp::from_millis(row.created),
        }
    }
}

impl Store {
    /// Makes a token. Whoever has one needs no set-up token any more.
    ///
    /// # Errors
    /// The account does not exist; a name of more than [`MAX_NAME`] characters.
    pub async fn create_token(
        &self,
        account: AccountId,
        name: &str,
        expires: Option<Timestamp>,
        credential: &Credential,
        now: Timestamp,
    ) -> Result<Token, StoreError> {
        if name.chars().count() > MAX_NAME {
            return Err(StoreError::Invalid(format!("name is too long: at most {MAX_NAME} characters")));
        }
        let mut tx = self.write().await?;
        let row: Row = tx
            .query(
                "INSERT INTO personal_access_token (account, digest, name, expires, created)
             VALUES ($1, $2, $3, $4, $5) RETURNING id, account, name, expires, created",
            )
            .bind(account.0)
            .bind(self.vault().digest(credential.expose()).as_slice())
            .bind(name)
            .bind(expires.map(Timestamp::millis))
            .bind(now.millis())
            .fetch_one()
            .await?;
        set_up::end(&mut tx, account).await?;
        tx.commit().await?;
        Ok(row.into())
    }

    /// The tokens of an account, newest first.
    ///
    /// # Errors
    /// The database.
    pub async fn list_tokens(&self, account: AccountId) -> Result<Vec<Token>, StoreError> {
        let rows: Vec<Row> = self
            .read()
            .await?
            .query(
                "SELECT id, account, name, expires, created FROM personal_access_token
             WHERE account = $1 ORDER BY id DESC",
            )
            .bind(account.0)
            .fetch_all()
            .await?;
        Ok(rows.into_iter().map(Token::from).collect())
    }

    /// Ends a token of an account. `false` when there is none.
    ///
    /// # Errors
    /// The database.
    pub async fn revoke_token(&self, account: AccountId, id: TokenId) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let gone = tx
            .query("DELETE FROM personal_access_token WHERE account = $1 AND id = $2")
            .bind(account.0)
            .bind(id.0)
            .execute()
            .await?;
        tx.commit().await?;
        Ok(gone > 0)
    }

    /// The token with this text, and its owner.
    ///
    /// # Errors
    /// The database.
    pub async fn token_by_credential(
        &self,
        credential: &Credential,
    ) -> Result<Option<(Token, Account)>, StoreError> {
        let row: Option<OwnedRow> = self
            .read()
            .await?
            .query(concat!(
                "SELECT t.id, t.account, t.name, t.expires, t.created, ",
                account_columns!(),
                " FROM personal_access_token t JOIN account a ON a.id = t.account \
              JOIN pool p ON p.id = a.pool WHERE t.digest = $1"
            ))
            .bind(self.vault().digest(credential.expose()).as_slice())
            .fetch_optional()
            .await?;
        row.map(|row| Ok((row.token.into(), row.account.account()?))).transpose()
    }
}
