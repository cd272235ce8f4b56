//! What a filter says in SQL: of rows, and of the sums of closed blocks.

use std::ops::Range;

use model::{clock::Timestamp, id::AccountId};

use crate::{build::Sql, sql::Run, store::StoreError};

use super::{HOUR, UsageFilter};

/// A text as a pattern that finds it anywhere.
fn anywhere(text: &str) -> String {
    format!("%{}%", escaped(text))
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('_', "\\_").replace('%', "\\%")
}

fn push_name(sql: &mut Sql, column: &str, name: &str) {
    if name.contains('%') {
        let pattern = name.split('%').map(escaped).collect::<Vec<_>>().join("%");
        push_like(sql, column, pattern);
    } else {
        sql.push(column).push(" = ").push_bind(name.to_owned());
    }
}

/// In any case of ASCII letters: neither database lowers others here.
fn push_like(sql: &mut Sql, column: &str, pattern: String) {
    let pattern = pattern.to_ascii_lowercase();
    sql.push("lower(").push(column).push(") LIKE ").push_bind(pattern).push(" ESCAPE '\\'");
}

impl UsageFilter {
    /// The same, with the account that a whole username names: a database that knows which account it is knows how much that is,
    /// and goes about much in another way than about little.
    pub(super) async fn resolved(&self, on: &mut impl Run) -> Result<Self, StoreError> {
        let mut resolved = self.clone();
        let named = self.username.as_ref().filter(|name| self.account.is_none() && !name.contains('%'));
        if let Some(name) = named {
            let found = on.query("SELECT id FROM account WHERE username = $1").bind(name.as_str());
            if let Some(id) = found.optional_scalar().await? {
                (resolved.account, resolved.username) = (Some(AccountId(id)), None);
            }
        }
        Ok(resolved)
    }

    /// The first and the last moment, in milliseconds: from the one, before the other.
    pub(super) fn times(&self) -> (i64, i64) {
        let millis = |time: Option<Timestamp>| time.map(Timestamp::millis);
        (millis(self.from).unwrap_or(i64::MIN), millis(self.until).unwrap_or(i64::MAX))
    }

    const fn names_a_payer(&self) -> bool {
        self.account.is_some() || self.username.is_some() || self.names_a_key()
    }

    const fn names_a_key(&self) -> bool {
        self.key.is_some() || self.key_name.is_some()
    }

    const fn names_a_way(&self) -> bool {
        self.model.is_some() || self.group.is_some() || self.channel.is_some()
    }

    fn push_payers(&self, sql: &mut Sql, column: &str) {
        sql.push("(SELECT ").push(column).push(" FROM usage_payer WHERE 1 = 1");
        if let Some(account) = self.account {
            sql.push(" AND account = ").push_bind(account.0);
        }
        if let Some(name) = &self.username {
            sql.push(" AND account IN (SELECT id FROM account WHERE ");
            push_name(sql, "username", name);
            sql.push(")");
        }
        if let Some(key) = self.key {
            sql.push(" AND api_key = ").push_bind(key.0);
        }
        self.push_key_name(sql, "key_name");
        sql.push(")");
    }

    pub(super) fn push_key_name(&self, sql: &mut Sql, column: &str) {
        if let Some(name) = &self.key_name {
            sql.push(" AND ");
            push_name(sql, column, name);
        }
    }

    fn push_ways(&self, sql: &mut Sql) {
        sql.push("(SELECT id FROM usage_way WHERE 1 = 1");
        if let Some(model) = &self.model {
            sql.push(" AND ");
            push_name(sql, "model", model);
        }
        if let Some(group) = &self.group {
            sql.push(" AND price_group = ").push_bind(group.clone());
        }
        if let Some(channel) = self.channel {
            sql.push(" AND channel = ").push_bind(channel.0);
        }
        sql.push(")");
    }

    /// Conditions on payer, way and kind, each after an `AND`.
    fn push_kinds(&self, sql: &mut Sql, payer: bool) {
        if payer {
            sql.push(" AND payer IN ");
            self.push_payers(sql, "id");
        }
        self.push_way_and_kind(sql);
        if let Some(keyword) = &self.keyword {
            let pattern = anywhere(keyword);
            sql.push(" AND (payer IN (SELECT id FROM usage_payer WHERE ");
            push_like(sql, "key_name", pattern.clone());
            sql.push(") OR way IN (SELECT id FROM usage_way WHERE ");
            push_like(sql, "model", pattern.clone());
            sql.push(" OR ");
            push_like(sql, "price_group", pattern);
            sql.push("))");
        }
    }

    fn push_way_and_kind(&self, sql: &mut Sql) {
        if self.names_a_way() {
            sql.push(" AND way IN ");
            self.push_ways(sql);
        }
        if let Some(kind) = self.kind {
            sql.push(" AND kind = ").push_bind(kind.number());
        }
    }

    /// Conditions on rows, each after an `AND`.
    pub(super) fn push_rows(&self, sql: &mut Sql) {
        self.push_kinds(sql, self.names_a_payer());
        if let Some(from) = self.from {
            sql.push(" AND ended >= ").push_bind(from.millis());
        }
        if let Some(until) = self.until {
            sql.push(" AND ended < ").push_bind(until.millis());
        }
        if let Some(before) = self.before {
            sql.push(" AND id < ").push_bind(before);
        }
    }

    /// Whether it says of who pays only how the key is called.
    const fn names_no_payer_but_by_key_name(&self) -> bool {
        let another = self.account.is_some() || self.username.is_some() || self.key.is_some();
        self.key_name.is_some() && !another && self.keyword.is_none()
    }

    /// The table of those sums of blocks that answer it.
    pub(super) const fn parts(&self) -> &'static str {
        if self.names_no_payer_but_by_key_name() { "usage_name AS part" } else { "usage_part AS part" }
    }

    /// Whether it says nothing but times.
    pub(super) const fn takes_all(&self) -> bool {
        !self.names_a_payer() && !self.names_a_way() && self.kind.is_none() && self.keyword.is_none()
    }

    /// Whose sums they are, each condition after an `AND`: 0 stands for all accounts together, which know no payer.
    fn push_accounts(&self, sql: &mut Sql) {
        if let Some(account) = self.account {
            sql.push(" AND account <> 0 AND account = ").push_bind(account.0);
        }
        if let Some(name) = &self.username {
            sql.push(" AND account IN (SELECT id FROM account WHERE ");
            push_name(sql, "username", name);
            sql.push(")");
        }
        if self.account.is_some() || self.username.is_some() {
            return;
        }
        if self.names_a_key() || self.keyword.is_some() {
            sql.push(" AND account IN ");
            self.push_payers(sql, "account");
        } else {
            sql.push(" AND account = 0");
        }
    }

    /// Conditions on the sums of those blocks ([`Self::parts`]) that have to do with the filter's hours.
    pub(super) fn push_parts(&self, sql: &mut Sql, blocks: &Range<i64>) {
        sql.push(" WHERE 1 = 1");
        if self.names_no_payer_but_by_key_name() {
            self.push_key_name(sql, "key_name");
            self.push_way_and_kind(sql);
        } else {
            self.push_accounts(sql);
            // Of an account it is all, however many keys it has: its sums are looked through once, not for each of its payers.
            self.push_kinds(sql, self.names_a_key());
        }
        // Hours stand behind blocks in the key: the blocks are what the database can seek.
        sql.push(" AND block >= ").push_bind(blocks.start).push(" AND block < ").push_bind(blocks.end);
        let (from, until) = self.times();
        sql.push(" AND hour > ").push_bind(from.saturating_sub(HOUR));
        sql.push(" AND hour < ").push_bind(until);
    }
}
