//! API keys.

use model::{
    clock::Timestamp,
    credential::Credential,
    id::{AccountId, KeyId, PoolId},
    key::{ApiKey, Settings, Status},
    money::Units,
};
use zeroize::Zeroizing;

use crate::{
    account::Account,
    change::{self, Kind},
    database::Tx,
    group, pool,
    sql::Run,
    store::{Store, StoreError, unique},
    vault::Place,
};

/// A key as its owner sees it.
#[derive(Clone)]
pub struct KeyView {
    /// The key.
    pub key: ApiKey,
    /// Its secret, in the clear; empty where what is stored of it is damaged. Its holder can use it all the same: keys are
    /// found by their digest.
    pub secret: Zeroizing<String>,
    /// What was used, in the book.
    pub used: Units,
    /// What remains, in the book.
    pub remaining: Units,
}

impl KeyView {
    /// Whether its secret cannot be read any more.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.secret.is_empty()
    }

    /// Whether its name contains `keyword`, in any case, as [`Store::search_keys`] reads it.
    #[must_use]
    pub fn name_contains(&self, keyword: &str) -> bool {
        fold(&self.key.settings.name).contains(&fold(keyword))
    }
}

/// A part of a list.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// From 1.
    pub number: i64,
    /// Entries on a page.
    pub size: i64,
}

impl Page {
    pub(crate) const fn offset(self) -> i64 {
        self.number.saturating_sub(1).saturating_mul(self.size)
    }
}

/// What changes about a key.
#[derive(Clone, Debug)]
pub struct KeyChange {
    /// The new settings, whole.
    pub settings: Settings,
    /// The new status, 1 to 4.
    pub status: Status,
    /// What remains from this moment on; `None` keeps.
    pub quota: Option<Units>,
}

macro_rules! key_columns {
    () => {
        "k.id, k.account, k.pool, k.sealed, k.status, k.name, k.expires, k.model_limits_enabled, \
         k.model_limits, k.allow_ips, k.own_group, k.cross_group_retry, k.created, k.accessed, \
         kp.unlimited, kp.granted, kp.used"
    };
}

macro_rules! select_key {
    ($tail:literal) => {
        concat!("SELECT ", key_columns!(), " FROM api_key k JOIN pool kp ON kp.id = k.pool ", $tail)
    };
}

pub(crate) use {key_columns, select_key};

#[derive(sqlx::FromRow)]
pub(crate) struct Row {
    id: i64,
    account: i64,
    pool: i64,
    sealed: Vec<u8>,
    status: i64,
    name: String,
    expires: Option<i64>,
    model_limits_enabled: i64,
    model_limits: String,
    allow_ips: Option<String>,
    own_group: String,
    cross_group_retry: i64,
    created: i64,
    accessed: i64,
    unlimited: i64,
    granted: i64,
    used: i64,
}

const fn place(row: i64, account: i64) -> Place {
    Place { table: "api_key", row, account }
}

impl Row {
    pub(crate) fn view(self, store: &Store) -> Result<KeyView, StoreError> {
        let opened = store.vault().open_sealed(place(self.id, self.account), &self.sealed);
        let secret = opened.unwrap_or_else(|error| {
            // One damaged value must not hide the other keys of a list, nor stop that this one is deleted.
            tracing::error!(key = self.id, %error, "the sealed text of an API key is damaged");
            Zeroizing::default()
        });
        let (used, remaining) = (Units::new(self.used), Units::new(self.granted - self.used));
        Ok(KeyView { key: self.key()?, secret, used, remaining })
    }

    pub(crate) fn key(self) -> Result<ApiKey, StoreError> {
        Ok(ApiKey {
            id: KeyId(self.id),
            account: AccountId(self.account),
            pool: PoolId(self.pool),
            set_status: Status::from_number(self.status).ok_or(StoreError::Corrupt("an unknown status"))?,
            settings: Settings {
                name: self.name,
                expires: self.expires.map(Timestamp::from_millis),
                unlimited_quota: self.unlimited != 0,
                model_limits_enabled: self.model_limits_enabled != 0,
                model_limits: self.model_limits,
                allow_ips: self.allow_ips,
                group: self.own_group,
                cross_group_retry: self.cross_group_retry != 0,
            },
            created: Timestamp::from_millis(self.created),
            accessed: Timestamp::from_millis(self.accessed),
        })
    }
}

impl Store {
    /// Makes a key.
    ///
    /// # Errors
    /// The account does not exist, or may not use the group; the same key is there already.
    pub async fn create_key(
        &self,
        account: AccountId,
        settings: &Settings,
        quota: Units,
        credential: &Credential,
        now: Timestamp,
    ) -> Result<KeyView, StoreError> {
        let digest = self.vault().digest(&credential.canonical());
        let imported = credential.is_imported();
        let mut tx = self.write().await?;
        group::must_be_usable(&mut tx, account, &settings.group).await?;
        let pool = pool::create(&mut tx, quota, settings.unlimited_quota).await?;
        let id: i64 = tx.query(
            "INSERT INTO api_key (account, pool, digest, sealed, status, name, name_folded, expires,
                model_limits_enabled, model_limits, allow_ips, own_group, cross_group_retry, created, accessed,
                imported)
             VALUES ($1, $2, $3, $4, 1, '', '', NULL, 0, '', NULL, '', 0, $5, $5, $6) RETURNING id",
        )
        .bind(account.0)
        .bind(pool.0)
        .bind(digest.as_slice())
        .bind([].as_slice())
        .bind(now.millis())
        .bind(i64::from(imported))
        .scalar()
        .await
        .map_err(unique(|| "this key exists already".to_owned()))?;
        let sealed = self.vault().seal(place(id, account.0), credential.expose())?;
        tx.query("UPDATE api_key SET sealed = $1 WHERE id = $2").bind(sealed).bind(id).execute().await?;
        set(&mut tx, id, settings, Status::Enabled).await?;
        change::record(&mut tx, Kind::Key, id, now).await?;
        tx.commit().await?;
        if imported {
            self.imported().add(&digest);
        }
        self.key(account, KeyId(id)).await?.ok_or(StoreError::NotFound)
    }

    /// One key of an account.
    ///
    /// # Errors
    /// The database.
    pub async fn key(&self, account: AccountId, id: KeyId) -> Result<Option<KeyView>, StoreError> {
        let row: Option<Row> = self
            .read()
            .await?
            .query(select_key!("WHERE k.account = $1 AND k.id = $2"))
            .bind(account.0)
            .bind(id.0)
            .fetch_optional()
            .await?;
        row.map(|row| row.view(self)).transpose()
    }

    /// A key with its account, whoever owns it, without its secret.
    ///
    /// # Errors
    /// The database.
    pub async fn key_with_account(&self, id: KeyId) -> Result<Option<(ApiKey, Account)>, StoreError> {
        let row: Option<Row> =
            self.read().await?.query(select_key!("WHERE k.id = $1")).bind(id.0).fetch_optional().await?;
        let Some(key) = row.map(Row::key).transpose()? else { return Ok(None) };
        let account = self.account(key.account).await?;
        Ok(account.map(|account| (key, account)))
    }

    /// The pool of a key, whoever owns it.
    ///
    /// # Errors
    /// The database.
    pub async fn pool_of_key(&self, id: KeyId) -> Result<Option<PoolId>, StoreError> {
        let pool: Option<i64> = self
            .read()
            .await?
            .query("SELECT pool FROM api_key WHERE id = $1")
            .bind(id.0)
            .optional_scalar()
            .await?;
        Ok(pool.map(PoolId))
    }

    /// Changes a key in one transaction.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], also for somebody else's key.
    pub async fn update_key(
        &self,
        account: AccountId,
        id: KeyId,
        change: &KeyChange,
        now: Timestamp,
    ) -> Result<KeyView, StoreError> {
        let edited = self.edit_key(account, id, now, |_| Ok(change.clone())).await?;
        edited.map_err(|never: std::convert::Infallible| match never {})
    }

    /// Changes a key as `decide` says, which sees it inside the transaction: two edits at the same moment both stay.
    /// The inner error is what `decide` refused; nothing was changed then.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], also for somebody else's key; [`StoreError::NoAccessToGroup`] for a new group. A group
    /// that the key has already may stay: requests with it are refused as long as the account may not use it.
    pub async fn edit_key<E>(
        &self,
        account: AccountId,
        id: KeyId,
        now: Timestamp,
        decide: impl FnOnce(&KeyView) -> Result<KeyChange, E>,
    ) -> Result<Result<KeyView, E>, StoreError> {
        let mut tx = self.write().await?;
        let row: Option<Row> = tx
            .query(select_key!("WHERE k.account = $1 AND k.id = $2"))
            .bind(account.0)
            .bind(id.0)
            .fetch_optional()
            .await?;
        let before = row.ok_or(StoreError::NotFound)?.view(self)?;
        let change = match decide(&before) {
            Ok(change) => change,
            Err(refused) => return Ok(Err(refused)),
        };
        if change.settings.group != before.key.settings.group {
            group::must_be_usable(&mut tx, account, &change.settings.group).await?;
        }
        let unlimited = change.settings.unlimited_quota;
        let flips = before.key.settings.unlimited_quota != unlimited;
        if flips || change.quota.is_some() {
            pool::set(&mut tx, before.key.pool, change.quota, Some(unlimited)).await?;
        }
        set(&mut tx, id.0, &change.settings, change.status).await?;
        change::record(&mut tx, Kind::Key, id.0, now).await?;
        tx.commit().await?;
        self.key(account, id).await?.map(Ok).ok_or(StoreError::NotFound)
    }

    /// Deletes keys of an account for good; others are left alone. Returns how many. Their pools stay: the books
    /// must add up.
    ///
    /// # Errors
    /// The database.
    pub async fn delete_keys(
        &self,
        account: AccountId,
        ids: &[KeyId],
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let mut deleted = 0;
        for id in ids {
            let gone = tx
                .query("DELETE FROM api_key WHERE account = $1 AND id = $2")
                .bind(account.0)
                .bind(id.0)
                .execute()
                .await?;
            if gone > 0 {
                change::record(&mut tx, Kind::Key, id.0, now).await?;
            }
            deleted += gone;
        }
        tx.commit().await?;
        Ok(deleted)
    }
}

/// Writes the settings, all but the limit, which is the pool's.
async fn set(tx: &mut Tx, id: i64, settings: &Settings, status: Status) -> Result<(), StoreError> {
    tx.query(
        "UPDATE api_key SET status = $2, name = $3, name_folded = $4, expires = $5, model_limits_enabled = $6,
            model_limits = $7, allow_ips = $8, own_group = $9, cross_group_retry = $10 WHERE id = $1",
    )
    .bind(id)
    .bind(status.number())
    .bind(&settings.name)
    .bind(fold(&settings.name))
    .bind(settings.expires.map(Timestamp::millis))
    .bind(i64::from(settings.model_limits_enabled))
    .bind(&settings.model_limits)
    .bind(&settings.allow_ips)
    .bind(&settings.group)
    .bind(i64::from(settings.cross_group_retry))
    .execute()
    .await?;
    Ok(())
}

/// A text in the one form that all cases of its letters share, character by character: the lower case of a whole text
/// has another sigma at the end of a word than inside of it, and then a part of a name is not found in the name.
pub(crate) fn fold(text: &str) -> String {
    text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

/// A text that stands for itself in a LIKE pattern.
pub(crate) fn escape(text: &str) -> String {
    text.chars().flat_map(|c| matches!(c, '%' | '_' | '\\').then_some('\\').into_iter().chain([c])).collect()
}
