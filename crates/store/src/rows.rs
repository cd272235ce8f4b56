//! Statements that carry many rows.
//!
//! Each statement is a trip to the database, so many rows share one. A statement exists in few sizes, so that the database
//! prepares each of them once.

use std::sync::Arc;

use sqlx::AssertSqlSafe;

use crate::{build::numbered, sql::Engine};

/// Rows in one statement, largest first.
const SIZES: [usize; 3] = [128, 16, 1];

/// A statement with a list of rows in it, in all its sizes.
pub(crate) struct ManyRows {
    sqlite: Vec<(usize, Arc<str>)>,
    postgres: Vec<(usize, Arc<str>)>,
}

impl ManyRows {
    /// `before (?, ?), (?, ?), … after`, with as many parameters to a row as there are `columns`.
    pub(crate) fn new(before: &str, columns: usize, after: &str) -> Self {
        let row = format!("({})", vec!["?"; columns].join(", "));
        let text = |rows: usize| format!("{before}{}{after}", vec![row.as_str(); rows].join(", "));
        let sizes = |of: fn(String) -> String| SIZES.map(|rows| (rows, Arc::from(of(text(rows))))).to_vec();
        Self { sqlite: sizes(|text| text), postgres: sizes(|text| numbered(&text)) }
    }

    /// The statements for `rows`, each with the rows that it takes.
    pub(crate) fn split<'a, T>(
        &self,
        engine: Engine,
        mut rows: &'a [T],
    ) -> impl Iterator<Item = (AssertSqlSafe<Arc<str>>, &'a [T])> {
        let texts = match engine {
            Engine::Sqlite => &self.sqlite,
            Engine::Postgres => &self.postgres,
        };
        std::iter::from_fn(move || {
            let (size, text) = texts.iter().find(|(size, _)| *size <= rows.len())?;
            let (now, later) = rows.split_at(*size);
            rows = later;
            // The text is made of literals alone.
            Some((AssertSqlSafe(Arc::clone(text)), now))
        })
    }
}

#[cfg(test)]
mod tests {
    use sqlx::SqlSafeStr;

    use super::*;

    #[test]
    fn every_row_is_in_one_statement() {
        let many = ManyRows::new("WITH v AS (VALUES ", 2, ") SELECT 1");
        let rows: Vec<usize> = (0..147).collect();
        let split: Vec<_> = many.split(Engine::Sqlite, &rows).collect();
        assert_eq!(split.iter().map(|(_, rows)| rows.len()).collect::<Vec<_>>(), [128, 16, 1, 1, 1]);
        let back: Vec<_> = split.iter().flat_map(|(_, rows)| rows.iter().copied()).collect();
        assert_eq!(back, rows);
        let texts: Vec<_> = split.into_iter().map(|(sql, _)| sql.into_sql_str()).collect();
        assert!(texts[1].as_str().starts_with("WITH v AS (VALUES (?, ?), (?, ?), "));
        assert!(texts[1].as_str().ends_with(", (?, ?)) SELECT 1"));
        assert_eq!(texts[2].as_str(), "WITH v AS (VALUES (?, ?)) SELECT 1");
    }

    #[test]
    fn postgres_numbers_its_parameters() {
        let many = ManyRows::new("WITH v AS (VALUES ", 2, ") SELECT 1");
        let texts: Vec<_> =
            many.split(Engine::Postgres, &[0; 17]).map(|(sql, _)| sql.into_sql_str()).collect();
        assert!(texts[0].as_str().ends_with(", ($31, $32)) SELECT 1"));
        assert_eq!(texts[1].as_str(), "WITH v AS (VALUES ($1, $2)) SELECT 1");
    }
}
