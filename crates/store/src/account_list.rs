//! Lists of accounts: all of them, or those that are called somehow.
//!
//! What an account is found by stands in one column, and an index has nothing but that and the id: a list passes the places
//! before its page, and looks for a part of a name, without reading an account.

use crate::{
    account::{Account, Row, account_columns, select_account},
    build::Sql,
    database::{Database, Tx},
    key::{Page, escape, fold},
    sql::Run,
    store::{Store, StoreError},
};

/// Accounts behind a page that are counted at most.
const COUNTED: i64 = 1_000;
/// The longest part of a name that is looked for, in bytes: no name is longer, and SQLite refuses long patterns.
const LONGEST: usize = 10_000;
/// The most bytes that an account is found by. PostgreSQL refuses rows of an index of more than some 2,700 bytes, and names
/// that are there from before they had bounds must stop neither a start nor a change.
const FOUND_BY: usize = 2_000;
/// Accounts that one transaction writes down by what they are found.
const TOGETHER: i64 = 1_000;

/// A page of accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundAccounts {
    /// The accounts of the page, newest first.
    pub accounts: Vec<Account>,
    /// How many there are in all, as far as they were counted.
    pub total: i64,
    /// Whether there are more than that.
    pub more: bool,
}

/// What an account is found by: its names and its address, a line each, in the one form that all cases of letters share, as
/// far as [`FOUND_BY`] goes.
pub(crate) fn names(username: &str, display_name: &str, email: &str) -> String {
    let mut names = fold(&[username, display_name, email].join("\n"));
    names.truncate(names.floor_char_boundary(FOUND_BY));
    names
}

/// Writes down what an account is found by.
pub(crate) async fn note(tx: &mut Tx, account: &Account) -> Result<(), StoreError> {
    let names = names(&account.username, &account.display_name, &account.email);
    tx.query("UPDATE account SET names = $2 WHERE id = $1").bind(account.id.0).bind(names).execute().await?;
    Ok(())
}

/// Writes down what those accounts are found by that a program made which did not know of it.
pub(crate) async fn note_all(database: &Database) -> Result<(), StoreError> {
    loop {
        let unknown: Vec<(i64, String, String, String)> = database
            .read()
            .await?
            .query("SELECT id, username, display_name, email FROM account WHERE names IS NULL LIMIT $1")
            .bind(TOGETHER)
            .fetch_all()
            .await?;
        if unknown.is_empty() {
            return Ok(());
        }
        let (mut tx, _) = database.write().await?;
        for (account, username, display_name, email) in unknown {
            // Somebody may have changed it, and written them down, since it was read.
            tx.query("UPDATE account SET names = $2 WHERE id = $1 AND names IS NULL")
                .bind(account)
                .bind(names(&username, &display_name, &email))
                .execute()
                .await?;
        }
        tx.commit().await?;
    }
}

/// Accounts whose names contain a text, or all.
fn push_found(sql: &mut Sql, keyword: &str) {
    sql.push(" FROM account");
    if !keyword.is_empty() {
        let pattern = format!("%{}%", escape(&fold(keyword)));
        sql.push(" WHERE names LIKE ").push_bind(pattern).push(" ESCAPE '\\'");
    }
}

/// The ids of a part of them, newest first.
fn push_ids(sql: &mut Sql, keyword: &str, offset: i64, limit: i64) {
    sql.push("SELECT id");
    push_found(sql, keyword);
    sql.push(" ORDER BY id DESC LIMIT ").push_bind(limit).push(" OFFSET ").push_bind(offset);
}

impl Store {
    /// Accounts whose username, display name or address contains `keyword`, in any case, newest first, and how many there are.
    ///
    /// # Errors
    /// The database.
    pub async fn list_accounts(&self, keyword: &str, page: Page) -> Result<(Vec<Account>, i64), StoreError> {
        if keyword.len() > LONGEST {
            return Ok((Vec::new(), 0));
        }
        let mut sql = Sql::new("SELECT count(*)");
        push_found(&mut sql, keyword);
        let total = self.read().await?.built(sql).scalar().await?;
        let mut sql = Sql::new(select_account!("WHERE a.id IN ("));
        push_ids(&mut sql, keyword, page.offset(), page.size);
        Ok((self.accounts(sql).await?, total))
    }

    /// The same for people: those behind the page are counted up to a thousand.
    ///
    /// # Errors
    /// The database.
    pub async fn find_accounts(&self, keyword: &str, page: Page) -> Result<FoundAccounts, StoreError> {
        let mut ids: Vec<i64> = Vec::new();
        if keyword.len() <= LONGEST {
            let mut sql = Sql::new("");
            push_ids(&mut sql, keyword, page.offset(), COUNTED + 1);
            ids = self.read().await?.built(sql).scalars().await?;
        }
        let found = i64::try_from(ids.len()).unwrap_or(i64::MAX);
        ids.truncate(usize::try_from(page.size).unwrap_or(0));
        let before = if found > 0 || page.number == 1 { page.offset() } else { 0 };
        let mut sql = Sql::new(select_account!("WHERE a.id IN ("));
        sql.push_list(&ids);
        Ok(FoundAccounts {
            accounts: if ids.is_empty() { Vec::new() } else { self.accounts(sql).await? },
            total: before.saturating_add(found.min(COUNTED)),
            more: found > COUNTED,
        })
    }

    /// The accounts whose ids a statement has listed up to here, newest first.
    async fn accounts(&self, mut listed: Sql) -> Result<Vec<Account>, StoreError> {
        listed.push(") ORDER BY a.id DESC");
        let rows: Vec<Row> = self.read().await?.built(listed).fetch_all().await?;
        rows.into_iter().map(Row::account).collect()
    }
}
