//! Top-ups: what operators have put on accounts. Written in the transaction that raises the balance.

use model::{clock::Timestamp, id::AccountId, money::Units};

use crate::{
    build::Sql,
    database::Tx,
    key::Page,
    sql::Run,
    store::{Store, StoreError},
};

/// One top-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopUp {
    /// Its place in the order.
    pub id: i64,
    /// Whose balance.
    pub account: AccountId,
    /// The account's name today; empty when it is gone.
    pub username: String,
    /// The account's address today.
    pub email: String,
    /// When.
    pub at: Timestamp,
    /// By how much.
    pub units: Units,
    /// Who did it: a username, or what it is.
    pub actor: String,
}

/// Which top-ups. What is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopUpFilter {
    /// This one.
    pub id: Option<i64>,
    /// Whose.
    pub account: Option<AccountId>,
    /// Of the account with this address.
    pub email: Option<String>,
    /// At this moment or later.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    account: i64,
    username: Option<String>,
    email: Option<String>,
    at: i64,
    units: i64,
    actor: String,
}

impl From<Row> for TopUp {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            account: AccountId(row.account),
            username: row.username.unwrap_or_default(),
            email: row.email.unwrap_or_default(),
            at: Timestamp::from_millis(row.at),
            units: Units::new(row.units),
            actor: row.actor,
        }
    }
}

impl Store {
    /// Notes that a balance went from `before` to `after`; nothing when it was not raised.
    pub(crate) async fn topped_up(
        &self,
        tx: &mut Tx,
        account: AccountId,
        before: Units,
        after: Units,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let units = after.get().saturating_sub(before.get());
        if units <= 0 {
            return Ok(());
        }
        tx.query("INSERT INTO top_up (account, at, units, actor) VALUES ($1, $2, $3, $4)")
            .bind(account.0)
            .bind(now.millis())
            .bind(units)
            .bind(&*self.actor().name)
            .execute()
            .await?;
        Ok(())
    }

    /// Top-ups that fit, newest first, and how many there are.
    ///
    /// # Errors
    /// The database.
    pub async fn top_ups(&self, filter: &TopUpFilter, page: Page) -> Result<(Vec<TopUp>, i64), StoreError> {
        let mut tx = self.snapshot().await?;
        let mut count = Sql::new("SELECT count(*)");
        push(&mut count, filter);
        let total: i64 = tx.built(count).scalar().await?;
        let mut list = Sql::new(
            "SELECT top_up.id, top_up.account, account.username, account.email, top_up.at, top_up.units, top_up.actor",
        );
        push(&mut list, filter);
        let offset = page.number.saturating_sub(1).saturating_mul(page.size);
        list.push(" ORDER BY top_up.id DESC LIMIT ").push_bind(page.size).push(" OFFSET ").push_bind(offset);
        let rows: Vec<Row> = tx.built(list).fetch_all().await?;
        Ok((rows.into_iter().map(TopUp::from).collect(), total))
    }
}

fn push(sql: &mut Sql, filter: &TopUpFilter) {
    sql.push(" FROM top_up LEFT JOIN account ON account.id = top_up.account WHERE 1 = 1");
    if let Some(id) = filter.id {
        sql.push(" AND top_up.id = ").push_bind(id);
    }
    if let Some(account) = filter.account {
        sql.push(" AND top_up.account = ").push_bind(account.0);
    }
    if let Some(email) = &filter.email {
        sql.push(" AND account.email = ").push_bind(email.clone());
    }
    if let Some(from) = filter.from {
        sql.push(" AND top_up.at >= ").push_bind(from.millis());
    }
    if let Some(until) = filter.until {
        sql.push(" AND top_up.at < ").push_bind(until.millis());
    }
}
