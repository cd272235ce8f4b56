//! Keys by what they are looked up by, many at a time where many are asked for.

use model::{
    credential::{Class, Credential},
    key::ApiKey,
};

use crate::{
    account::{self, Account, account_columns},
    build::Sql,
    key::{self, key_columns},
    sql::Run,
    store::{Store, StoreError},
};

/// What an API key is looked up by.
pub type Digest = [u8; 32];

/// A key with its owner.
pub type Owned = (ApiKey, Account);

macro_rules! select_owned {
    ($tail:literal) => {
        concat!(
            "SELECT ",
            key_columns!(),
            ", ",
            account_columns!(),
            ", k.digest FROM api_key k JOIN pool kp ON kp.id = k.pool JOIN account a ON a.id = k.account \
              JOIN pool p ON p.id = a.pool WHERE k.digest ",
            $tail
        )
    };
}

#[derive(sqlx::FromRow)]
struct Row {
    #[sqlx(flatten)]
    key: key::Row,
    #[sqlx(flatten)]
    account: account::Row,
    digest: Vec<u8>,
}

impl Row {
    fn owned(self) -> Result<Owned, StoreError> {
        Ok((self.key.key()?, self.account.account()?))
    }
}

impl Store {
    /// What an API key is looked up by; `None` for a text that no key here can be, told without the database.
    #[must_use]
    pub fn api_key_digest(&self, text: &str) -> Option<[u8; 32]> {
        if let Some(credential) = Credential::parse(Class::ApiKey, text) {
            return Some(self.vault().digest(credential.expose()));
        }
        if self.imported().is_empty() {
            return None;
        }
        let digest = self.vault().digest(&Credential::imported(text)?.canonical());
        self.imported().may_contain(&digest).then_some(digest)
    }

    /// The key that `digest` stands for, with its owner.
    ///
    /// # Errors
    /// The database.
    pub async fn key_by_digest(&self, digest: &Digest) -> Result<Option<Owned>, StoreError> {
        let query = select_owned!("= $1");
        let row: Option<Row> =
            self.read().await?.query(query).bind(digest.as_slice()).fetch_optional().await?;
        row.map(Row::owned).transpose()
    }

    /// The keys that some digests stand for, each with its digest, or an error for one that cannot be read.
    ///
    /// # Errors
    /// The database.
    pub async fn keys_by_digests(
        &self,
        digests: &[Digest],
    ) -> Result<Vec<(Digest, Result<Owned, StoreError>)>, StoreError> {
        let mut sql = Sql::new(select_owned!("IN ("));
        for (index, digest) in digests.iter().enumerate() {
            sql.push(if index > 0 { ", " } else { "" }).push_bind(digest.to_vec());
        }
        sql.push(")");
        let rows: Vec<Row> = self.read().await?.built(sql).once().fetch_all().await?;
        let with_digest = |row: Row| {
            let digest = row.digest.as_slice().try_into().ok().filter(|digest| digests.contains(digest))?;
            Some((digest, row.owned()))
        };
        Ok(rows.into_iter().filter_map(with_digest).collect())
    }
}
