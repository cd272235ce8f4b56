//! Lists of an account's keys: as the API has them, counted whole; and as people look at them, by a part of the name, by
//! status, in an order of their own.
//!
//! None of the latter reads all keys of an account that has very many: an index has each order, and counting stops at [`COUNTED`].

use model::{
    clock::Timestamp,
    id::{AccountId, KeyId},
    key::Status,
};

use crate::{
    build::Sql,
    key::{KeyView, Page, Row, escape, fold, key_columns, select_key},
    sql::Run,
    store::{Store, StoreError},
};

/// No name comes near a longer one, in bytes, and SQLite refuses long LIKE patterns.
const LONGEST: usize = 10_000;
/// Keys behind a page that are counted at most.
const COUNTED: i64 = 1_000;
/// An account with more keys has no orders that no index keeps.
pub const SORTED: i64 = 20_000;

/// What keys are in order of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyOrder {
    /// When they were made.
    #[default]
    Created,
    /// Their name.
    Name,
    /// When they end; those that never do come last.
    Expires,
    /// What they have used.
    Used,
    /// What remains; what has no limit comes last.
    Remaining,
    /// When they were last used.
    Accessed,
}

impl KeyOrder {
    /// Whether an index keeps it, so that it is there for any number of keys.
    #[must_use]
    pub const fn is_kept(self) -> bool {
        matches!(self, Self::Created | Self::Name | Self::Expires)
    }

    const fn column(self) -> &'static str {
        match self {
            Self::Created => "k.id",
            Self::Name => "k.name_folded",
            Self::Expires => "coalesce(k.expires, 9007199254740991)",
            Self::Used => "p.used",
            Self::Remaining => "CASE WHEN p.unlimited <> 0 THEN 9007199254740991 ELSE p.granted - p.used END",
            Self::Accessed => "k.accessed",
        }
    }
}

/// Which keys are asked for, and in which order.
#[derive(Clone, Debug, Default)]
pub struct KeyFilter {
    /// A part of the name, in any case; empty for all.
    pub keyword: String,
    /// The status that the wire shows.
    pub status: Option<Status>,
    /// The order.
    pub order: KeyOrder,
    /// Whether the order is turned round.
    pub descending: bool,
}

/// A page of keys.
#[derive(Clone)]
pub struct FoundKeys {
    /// The keys of the page.
    pub keys: Vec<KeyView>,
    /// How many there are in all, as far as they were counted.
    pub total: i64,
    /// Whether there are more than that.
    pub more: bool,
}

/// The ids of an account's keys that do not live at `now`, by the reason; `false` where that is no reason.
///
/// A `+` before a column says that its index is not the way: without statistics a database takes it for the shorter one.
fn push_lifeless(sql: &mut Sql, account: AccountId, status: Status, now: Timestamp) -> bool {
    if status == Status::Enabled {
        return false;
    }
    sql.push("SELECT id FROM api_key WHERE account = ").push_bind(account.0);
    sql.push(" AND status <> 1 AND status = ").push_bind(status.number());
    match status {
        Status::Enabled | Status::Disabled => {}
        Status::Expired => {
            sql.push(" UNION ALL SELECT id FROM api_key WHERE account = ").push_bind(account.0);
            sql.push(" AND status = 1 AND coalesce(expires, 9007199254740991) <= ").push_bind(now.millis());
        }
        Status::Exhausted => {
            sql.push(
                " UNION ALL SELECT id FROM api_key WHERE status = 1
                  AND pool IN (SELECT id FROM pool WHERE unlimited = 0 AND granted <= used) AND +account = ",
            );
            sql.push_bind(account.0).push(" AND (expires IS NULL OR expires > ");
            sql.push_bind(now.millis()).push(")");
        }
    }
    true
}

/// Keys of `status` at `now`.
fn push_status(sql: &mut Sql, account: AccountId, status: Status, now: Timestamp) {
    if status == Status::Enabled {
        sql.push(" AND k.status = 1 AND (k.expires IS NULL OR k.expires > ").push_bind(now.millis());
        sql.push(") AND +k.pool NOT IN (SELECT id FROM pool WHERE unlimited = 0 AND granted <= used)");
        return;
    }
    sql.push(" AND k.id IN (");
    push_lifeless(sql, account, status, now);
    sql.push(")");
}

impl KeyFilter {
    fn push_keyword(&self, sql: &mut Sql) {
        if self.keyword.is_empty() {
            return;
        }
        let folded = fold(&self.keyword);
        if folded.len() > LONGEST {
            sql.push(" AND 1 = 0");
            return;
        }
        sql.push(" AND k.name_folded LIKE ").push_bind(format!("%{}%", escape(&folded))).push(" ESCAPE '\\'");
    }

    /// The ids of the keys from `offset` on, of those that have a status at a moment, or of all. Where `few` have the status, one begins with them; else with the order.
    fn ids(&self, account: AccountId, offset: i64, few: bool, status: Option<(Status, Timestamp)>) -> Sql {
        let mut sql = Sql::new("SELECT k.id FROM api_key k");
        if matches!(self.order, KeyOrder::Used | KeyOrder::Remaining) {
            sql.push(" JOIN pool p ON p.id = k.pool");
        }
        sql.push(if few { " WHERE +k.account = " } else { " WHERE k.account = " }).push_bind(account.0);
        self.push_keyword(&mut sql);
        if let Some((status, now)) = status {
            push_status(&mut sql, account, status, now);
        }
        let way = if self.descending { " DESC" } else { "" };
        sql.push(" ORDER BY ").push(self.order.column()).push(way);
        if self.order != KeyOrder::Created {
            sql.push(", k.id").push(way);
        }
        sql.push(" LIMIT ").push_bind(COUNTED + 1).push(" OFFSET ").push_bind(offset);
        sql
    }
}

impl Store {
    /// Keys of an account whose name contains `keyword`, in any case, newest first, and how many there are.
    ///
    /// # Errors
    /// The database.
    pub async fn search_keys(
        &self,
        account: AccountId,
        keyword: &str,
        page: Page,
    ) -> Result<(Vec<KeyView>, i64), StoreError> {
        let filter = KeyFilter { keyword: keyword.to_owned(), descending: true, ..KeyFilter::default() };
        let found = self.ordered(account, page, filter.ids(account, page.offset(), false, None)).await?;
        // What was looked through behind the page is not looked through again.
        let is_counted = !found.more && (page.number == 1 || !found.keys.is_empty());
        let total = if is_counted { found.total } else { self.count_keys(account, &filter).await? };
        Ok((found.keys, total))
    }

    async fn count_keys(&self, account: AccountId, filter: &KeyFilter) -> Result<i64, StoreError> {
        let mut sql = Sql::new("SELECT count(*) FROM api_key k WHERE k.account = ");
        sql.push_bind(account.0);
        filter.push_keyword(&mut sql);
        Ok(self.read().await?.built(sql).once().scalar().await?)
    }

    /// Keys of an account, newest first, and how many there are.
    ///
    /// # Errors
    /// The database.
    pub async fn list_keys(&self, account: AccountId, page: Page) -> Result<(Vec<KeyView>, i64), StoreError> {
        let total = self
            .read()
            .await?
            // Not remembered: a plan for any account is none for one that has nearly all keys.
            .query("SELECT count(*) FROM api_key WHERE account = $1")
            .once()
            .bind(account.0)
            .scalar()
            .await?;
        let rows: Vec<Row> =
            // The places before the page are passed in the index alone, without a row.
            self.read().await?.query(select_key!(
                "WHERE k.id IN (SELECT id FROM api_key WHERE account = $1 ORDER BY id DESC LIMIT $2 OFFSET $3)
                 ORDER BY k.id DESC"
            ))
            .bind(account.0)
            .bind(page.size)
            .bind(page.offset())
            .fetch_all()
            .await?;
        Ok((rows.into_iter().map(|row| row.view(self)).collect::<Result<_, _>>()?, total))
    }

    /// A page of an account's keys that `filter` wants. An order that no index keeps, of an account with more than
    /// [`SORTED`] keys, is that in which they were made.
    ///
    /// # Errors
    /// The database.
    pub async fn find_keys(
        &self,
        account: AccountId,
        filter: &KeyFilter,
        page: Page,
        now: Timestamp,
    ) -> Result<FoundKeys, StoreError> {
        let mut filter = filter.clone();
        if !filter.order.is_kept() && self.has_very_many_keys(account).await? {
            filter = KeyFilter { order: KeyOrder::Created, descending: true, ..filter };
        }
        let few = self.have_few(account, filter.status, now).await?;
        let status = filter.status.map(|status| (status, now));
        self.ordered(account, page, filter.ids(account, page.offset(), few, status)).await
    }

    /// The keys of a page, of the ids from its first one on, in their order.
    async fn ordered(&self, account: AccountId, page: Page, ids: Sql) -> Result<FoundKeys, StoreError> {
        let mut ids: Vec<i64> = self.read().await?.built(ids).once().scalars().await?;
        let found = i64::try_from(ids.len()).unwrap_or(i64::MAX);
        ids.truncate(usize::try_from(page.size).unwrap_or(0));
        let before = if found > 0 || page.number == 1 { page.offset() } else { 0 };
        Ok(FoundKeys {
            keys: self.keys_in_order(account, &ids).await?,
            total: before.saturating_add(found.min(COUNTED)),
            more: found > COUNTED,
        })
    }

    /// Whether an account has more keys than are sorted for a page.
    ///
    /// # Errors
    /// The database.
    pub async fn has_very_many_keys(&self, account: AccountId) -> Result<bool, StoreError> {
        let counted: i64 = self
            .read()
            .await?
            .query("SELECT count(*) FROM (SELECT 1 FROM api_key WHERE account = $1 LIMIT $2) AS counted")
            .bind(account.0)
            .bind(SORTED + 1)
            .scalar()
            .await?;
        Ok(counted > SORTED)
    }

    /// Whether a status is one that few keys have: then they are put in order, and not looked for among all in that order.
    async fn have_few(
        &self,
        account: AccountId,
        status: Option<Status>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut sql = Sql::new("SELECT count(*) FROM (SELECT id FROM (");
        if !status.is_some_and(|status| push_lifeless(&mut sql, account, status, now)) {
            return Ok(false);
        }
        sql.push(") AS lifeless LIMIT ").push_bind(SORTED + 1).push(") AS counted");
        let counted: i64 = self.read().await?.built(sql).scalar().await?;
        Ok(counted <= SORTED)
    }

    async fn keys_in_order(&self, account: AccountId, ids: &[i64]) -> Result<Vec<KeyView>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut sql = Sql::new(select_key!("WHERE k.account = "));
        sql.push_bind(account.0).push(" AND k.id IN (");
        sql.push_list(ids).push(")");
        let rows: Vec<Row> = self.read().await?.built(sql).fetch_all().await?;
        let mut keys = rows.into_iter().map(|row| row.view(self)).collect::<Result<Vec<_>, _>>()?;
        keys.sort_by_key(|view: &KeyView| ids.iter().position(|id| KeyId(*id) == view.key.id));
        Ok(keys)
    }
}
