//! The two schemas say the same.

use std::{collections::BTreeSet, path::Path};

use sqlx::{
    Connection, PgConnection, Row, SqliteConnection, migrate::Migrator, sqlite::SqliteConnectOptions,
};

use super::until_waited_for;
use crate::{fixture::Fixture, server::Database};

/// A column: table, name, type, whether it may be null, whether it is part of the primary key.
type Column = (String, String, &'static str, bool, bool);

/// An index: table, columns, whether it is unique, whether it is of a part of the rows.
type Index = (String, String, bool, bool);

fn kind(text: &str) -> &'static str {
    match text.to_ascii_lowercase().as_str() {
        "integer" | "bigint" => "integer",
        "text" => "text",
        "blob" | "bytea" => "bytes",
        other => panic!("a type that the other database does not have: {other}"),
    }
}

async fn of_sqlite() -> (BTreeSet<Column>, BTreeSet<Index>) {
    let fixture = Fixture::on_sqlite().await;
    let mut raw =
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(fixture.path())).await.unwrap();
    let columns = sqlx::query(
        "SELECT t.name, c.name, c.type, c.\"notnull\" = 0 AND c.pk = 0, c.pk > 0 FROM sqlite_schema t
         JOIN pragma_table_info(t.name) c WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name NOT LIKE '\\_sqlx%' ESCAPE '\\'",
    );
    let columns = columns.fetch_all(&mut raw).await.unwrap();
    let indexes = sqlx::query(
        "SELECT t.name, (SELECT group_concat(coalesce(name, '*'), ',') FROM pragma_index_info(i.name)), i.\"unique\" > 0, i.partial > 0
         FROM sqlite_schema t JOIN pragma_index_list(t.name) i
         WHERE t.type = 'table' AND t.name NOT LIKE '\\_sqlx%' ESCAPE '\\' AND i.origin <> 'pk'",
    );
    let indexes = indexes.fetch_all(&mut raw).await.unwrap();
    (
        columns
            .iter()
            .map(|row| (row.get(0), row.get(1), kind(row.get(2)), row.get(3), row.get(4)))
            .collect(),
        indexes.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect(),
    )
}

async fn of_postgres() -> (BTreeSet<Column>, BTreeSet<Index>) {
    let database = Database::make().await;
    let mut raw = database.connect().await;
    let columns = sqlx::query(
        "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, NULL), NOT a.attnotnull,
            a.attnum = ANY (coalesce((SELECT conkey FROM pg_constraint WHERE conrelid = c.oid AND contype = 'p'), '{}'))
         FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
         WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
            AND c.relname NOT LIKE '\\_sqlx%'",
    );
    let columns = columns.fetch_all(&mut raw).await.unwrap();
    let indexes = sqlx::query(
        "SELECT t.relname::text, (SELECT string_agg(CASE i.indkey[n - 1] WHEN 0 THEN '*' ELSE pg_get_indexdef(i.indexrelid, n::int, false) END, ',' ORDER BY n)
                FROM generate_series(1, i.indnkeyatts) AS n), i.indisunique, i.indpred IS NOT NULL
         FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid
         WHERE t.relnamespace = 'public'::regnamespace AND NOT i.indisprimary AND NOT t.relispartition AND t.relname NOT LIKE '\\_sqlx%'",
    );
    let indexes = indexes.fetch_all(&mut raw).await.unwrap();
    (
        columns
            .iter()
            .map(|row| (row.get(0), row.get(1), kind(row.get(2)), row.get(3), row.get(4)))
            .collect(),
        indexes.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect(),
    )
}

#[tokio::test]
async fn both_databases_have_the_same_tables_and_indexes() {
    let ((columns, indexes), (their_columns, mut their_indexes)) = (of_sqlite().await, of_postgres().await);
    // SQLite keeps these sums in the order of their key and has no use for it.
    let all = their_indexes.len();
    their_indexes.retain(|(table, of, ..)| table != "usage_part" || !of.starts_with("way,"));
    assert_eq!(all - their_indexes.len(), 1);
    assert!(columns.len() > 150 && indexes.len() > 15);
    let differing = |ours: &BTreeSet<Column>, theirs: &BTreeSet<Column>| {
        ours.symmetric_difference(theirs).cloned().collect::<Vec<_>>()
    };
    assert_eq!(differing(&columns, &their_columns), []);
    assert_eq!(indexes.symmetric_difference(&their_indexes).collect::<Vec<_>>(), Vec::<&Index>::new());
}

/// What grows with usage records is partitioned, by what the statements of the program look for it with, and one partition is
/// there ahead.
#[tokio::test]
async fn usage_records_are_partitioned() {
    let database = Database::make().await;
    let mut raw = database.connect().await;
    let partitions = sqlx::query_as::<_, (String, String, String)>(
        "SELECT p.relname::text, c.relname::text, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i
            JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
         WHERE c.relkind = 'r' ORDER BY 1, 2",
    );
    let partitions = partitions.fetch_all(&mut raw).await.unwrap();
    let of = |table: &str, end: i64| {
        [(0, "MINVALUE".to_owned(), end), (1, format!("'{end}'"), 2 * end)].map(|(number, from, to)| {
            (table.to_owned(), format!("{table}_p{number}"), format!("FOR VALUES FROM ({from}) TO ('{to}')"))
        })
    };
    let blocks = ["usage_name", "usage_part", "usage_request"].map(|table| of(table, 256));
    let expected = [of("usage", 256 * 16_384)].into_iter().chain(blocks).flatten().collect::<Vec<_>>();
    assert_eq!(partitions, expected);
}

/// A server of before reads and another writes while the new one partitions the tables: each of the three has its turn.
#[tokio::test]
async fn tables_are_partitioned_under_servers_of_before() {
    let database = Database::empty().await;
    let (mut new, mut reader, mut writer, mut raw) = (
        database.connect().await,
        database.connect().await,
        database.connect().await,
        database.connect().await,
    );
    let steps = Migrator::new(Path::new("migrations/postgres")).await.unwrap();
    steps.run_to(80, &mut new).await.unwrap();
    let run = async |on: &mut PgConnection, sql: &'static str| {
        sqlx::raw_sql(sql).execute(on).await.map(drop).unwrap();
    };
    // One that lists records has asked for sums, and one that writes has its turn.
    run(&mut reader, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT FROM usage_part").await;
    run(&mut writer, "BEGIN; SELECT FROM usage_next WHERE one = 1 FOR UPDATE").await;
    let work = async {
        until_waited_for(&mut raw, "usage_next").await;
        run(&mut writer, "SELECT FROM usage; INSERT INTO usage_request VALUES (1, 1, ''); COMMIT").await;
        until_waited_for(&mut raw, "usage_part").await;
        run(&mut reader, "SELECT FROM usage_next; SELECT FROM usage; COMMIT").await;
    };
    let (taken, ()) = tokio::join!(steps.run(&mut new), work);
    taken.unwrap();
}

/// From its first migration on PostgreSQL has every number that SQLite has.
#[test]
fn both_databases_count_their_migrations_alike() {
    let numbers = |engine: &str| -> BTreeSet<u32> {
        let folder = std::fs::read_dir(Path::new("migrations").join(engine)).unwrap();
        folder.map(|file| file.unwrap().file_name().to_str().unwrap()[..4].parse().unwrap()).collect()
    };
    let (sqlite, postgres) = (numbers("sqlite"), numbers("postgres"));
    let first = *postgres.first().unwrap();
    assert_eq!(sqlite.into_iter().filter(|number| *number >= first).collect::<BTreeSet<_>>(), postgres);
}
