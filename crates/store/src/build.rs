//! Statements that are put together from parts, each with the values that stand in it.

use std::fmt::{Display, Write};

use sqlx::AssertSqlSafe;

use crate::sql::{Engine, Query};

/// A statement in the making. A `?` in its text is a parameter and nothing else.
#[derive(Debug)]
pub(crate) struct Sql {
    text: String,
    values: Vec<Held>,
}

/// A value of a statement in the making.
#[derive(Debug)]
pub(crate) enum Held {
    Number(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl From<i64> for Held {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<Vec<u8>> for Held {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<String> for Held {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl Held {
    pub(crate) fn bind_to<'c>(self, query: Query<'c>) -> Query<'c> {
        match self {
            Self::Number(number) => query.bind(number),
            Self::Text(text) => query.bind(text),
            Self::Bytes(bytes) => query.bind(bytes),
        }
    }
}

impl Sql {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), values: Vec::new() }
    }

    pub(crate) fn push(&mut self, text: impl Display) -> &mut Self {
        // Writing to a string cannot fail.
        let written = write!(self.text, "{text}");
        debug_assert!(written.is_ok());
        self
    }

    pub(crate) fn push_bind(&mut self, value: impl Into<Held>) -> &mut Self {
        self.values.push(value.into());
        self.push('?')
    }

    /// A list of numbers with commas between them.
    pub(crate) fn push_list(&mut self, numbers: &[i64]) -> &mut Self {
        for (index, number) in numbers.iter().enumerate() {
            if index > 0 {
                self.push(", ");
            }
            self.push_bind(*number);
        }
        self
    }

    /// The text as the database reads it, and the values.
    pub(crate) fn finish(self, engine: Engine) -> (AssertSqlSafe<String>, Vec<Held>) {
        let text = match engine {
            Engine::Sqlite => self.text,
            Engine::Postgres => numbered(&self.text),
        };
        // What is pushed are literals; what comes from outside is bound.
        (AssertSqlSafe(text), self.values)
    }
}

/// The text with `$1`, `$2`, … in the place of every `?`, as PostgreSQL knows them.
///
/// SQLite knows both, but finds each name by going through all of them: in a statement of thousands of parameters that was
/// two thirds of the cost of writing.
pub(crate) fn numbered(text: &str) -> String {
    let mut parts = text.split('?');
    let mut numbered = parts.next().unwrap_or_default().to_owned();
    for (index, part) in parts.enumerate() {
        numbered.push('$');
        numbered.push_str(&(index + 1).to_string());
        numbered.push_str(part);
    }
    numbered
}

#[cfg(test)]
mod tests {
    use sqlx::SqlSafeStr;

    use super::*;

    fn text(engine: Engine) -> String {
        let mut sql = Sql::new("SELECT id FROM t WHERE id IN (");
        sql.push_list(&[1, 2]).push(") AND name = ").push_bind("n".to_owned()).push(" ORDER BY id");
        let (text, values) = sql.finish(engine);
        assert_eq!(values.len(), 3);
        text.into_sql_str().as_str().to_owned()
    }

    #[test]
    fn parameters_are_written_as_each_database_reads_them() {
        assert_eq!(text(Engine::Sqlite), "SELECT id FROM t WHERE id IN (?, ?) AND name = ? ORDER BY id");
        assert_eq!(text(Engine::Postgres), "SELECT id FROM t WHERE id IN ($1, $2) AND name = $3 ORDER BY id");
        assert_eq!(numbered("SELECT 1"), "SELECT 1");
    }
}
