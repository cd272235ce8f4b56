//! Which tables a database has, what is in them, and in which order they are filled.

use std::collections::{BTreeMap, BTreeSet};

use super::{ArchiveError, Column, Kind, Table};
use crate::sql::{Engine, Run};

// What a database is asked about itself has no common words. `_sqlx_migrations` is filled by the steps themselves.
const COLUMNS_OF_SQLITE: &str = "SELECT t.name, c.name, c.type, c.pk
    FROM sqlite_schema t JOIN pragma_table_info(t.name) c
    WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite!_%' ESCAPE '!' AND t.name <> '_sqlx_migrations'
    ORDER BY t.name, c.cid";
const COLUMNS_OF_POSTGRES: &str = "SELECT t.relname::text, a.attname::text, format_type(a.atttypid, NULL),
        coalesce(array_position(k.conkey, a.attnum), 0)::bigint
    FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid
        LEFT JOIN pg_constraint k ON k.conrelid = t.oid AND k.contype = 'p'
    WHERE t.relkind IN ('r', 'p') AND NOT t.relispartition AND t.relnamespace = current_schema()::regnamespace
        AND a.attnum > 0 AND NOT a.attisdropped AND t.relname <> '_sqlx_migrations'
    ORDER BY t.relname COLLATE \"C\", a.attnum";

const REFERENCES_OF_SQLITE: &str = "SELECT DISTINCT t.name, f.\"table\"
    FROM sqlite_schema t JOIN pragma_foreign_key_list(t.name) f WHERE t.type = 'table'";
const REFERENCES_OF_POSTGRES: &str =
    "SELECT DISTINCT t.relname::text, other.relname::text FROM pg_constraint k
    JOIN pg_class t ON t.oid = k.conrelid JOIN pg_class other ON other.oid = k.confrelid
    WHERE k.contype = 'f' AND t.relnamespace = current_schema()::regnamespace";

const LAST_IDS_OF_SQLITE: &str = "SELECT name, seq FROM sqlite_sequence";
const LAST_IDS_OF_POSTGRES: &str = "SELECT t.relname::text, coalesce(s.last_value, 0)
    FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attidentity <> ''
    JOIN pg_sequences s ON format('%I.%I', s.schemaname, s.sequencename)
        = pg_get_serial_sequence(quote_ident(t.relname), a.attname)
    WHERE t.relnamespace = current_schema()::regnamespace";

/// The tables of a database, those that others refer to first. None where there is no schema yet.
pub(super) async fn tables(on: &mut impl Run) -> Result<Vec<Table>, ArchiveError> {
    let (columns, references, last_ids) = match on.engine() {
        Engine::Sqlite => (COLUMNS_OF_SQLITE, REFERENCES_OF_SQLITE, LAST_IDS_OF_SQLITE),
        Engine::Postgres => (COLUMNS_OF_POSTGRES, REFERENCES_OF_POSTGRES, LAST_IDS_OF_POSTGRES),
    };
    let columns: Vec<(String, String, String, i64)> = on.query(columns).fetch_all().await?;
    if columns.is_empty() {
        return Ok(Vec::new());
    }
    let references: Vec<(String, String)> = on.query(references).fetch_all().await?;
    let last_ids: BTreeMap<String, i64> =
        on.query(last_ids).fetch_all::<(String, i64)>().await?.into_iter().collect();
    let mut tables: BTreeMap<String, Table> = BTreeMap::new();
    for (table, name, kind, key) in columns {
        let kind = kind_of(&table, &name, kind)?;
        let last_id = last_ids.get(&table).copied().unwrap_or(0);
        let entry = tables.entry(table.clone());
        let entry = entry.or_insert_with(|| Table { name: table, columns: Vec::new(), last_id });
        entry.columns.push(Column { name, kind, key });
    }
    Ok(in_order(tables, &references))
}

fn kind_of(table: &str, column: &str, kind: String) -> Result<Kind, ArchiveError> {
    match kind.to_ascii_lowercase().as_str() {
        "integer" | "bigint" => Ok(Kind::Number),
        "text" => Ok(Kind::Text),
        "blob" | "bytea" => Ok(Kind::Bytes),
        _ => Err(ArchiveError::Kind { table: table.to_owned(), column: column.to_owned(), kind }),
    }
}

/// Each table after those that it refers to. The keys of secrets come first of all.
fn in_order(mut tables: BTreeMap<String, Table>, references: &[(String, String)]) -> Vec<Table> {
    let mut order: Vec<Table> = tables.remove("data_key").into_iter().collect();
    while !tables.is_empty() {
        let waits = |name: &str| {
            references.iter().any(|(from, to)| from == name && to != name && tables.contains_key(to))
        };
        let mut next: BTreeSet<String> = tables.keys().filter(|name| !waits(name)).cloned().collect();
        if next.is_empty() {
            // A circle, which no order serves: the database says which rows it misses.
            next = tables.keys().cloned().collect();
        }
        order.extend(next.iter().filter_map(|name| tables.remove(name)));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_comes_after_those_that_it_refers_to() {
        let table =
            |name: &str| (name.to_owned(), Table { name: name.to_owned(), columns: vec![], last_id: 0 });
        let tables: BTreeMap<_, _> = ["a", "b", "c", "data_key", "d"].map(table).into();
        let references =
            [("a", "d"), ("d", "c"), ("b", "b")].map(|(from, to)| (from.to_owned(), to.to_owned()));
        let names: Vec<_> = in_order(tables, &references).into_iter().map(|table| table.name).collect();
        assert_eq!(names, ["data_key", "b", "c", "d", "a"]);
    }
}
