//! Filling the tables of an empty database.

use std::collections::BTreeSet;

use sqlx::AssertSqlSafe;

use super::{ArchiveError, Cell, Column, Kind, Piece, Sink, Table, catalog, damaged, read::quoted};
use crate::{
    build::numbered,
    sql::{Engine, Query, Run},
    usage::partition,
};

/// The most rows of one statement, and the most values: both databases take as many.
const ROWS: usize = 256;
const VALUES: usize = 8_192;

const REMEMBER_ID_IN_SQLITE: [&str; 2] = [
    "DELETE FROM sqlite_sequence WHERE name = $1",
    "INSERT INTO sqlite_sequence (name, seq) VALUES ($1, $2)",
];
const REMEMBER_ID_IN_POSTGRES: &str =
    "SELECT setval(pg_get_serial_sequence(quote_ident(t.relname), a.attname), $2)
    FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attidentity <> ''
    WHERE t.relname = $1 AND t.relnamespace = current_schema()::regnamespace";

/// Takes a copy into the tables of a database, which has the schema of the copy.
pub(super) struct Loader<'c, R> {
    on: &'c mut R,
    /// The tables that are to come, as the database has them.
    awaited: Vec<Table>,
    now: Option<Table>,
    rows: u64,
    /// The partitions of usage records that there are; `None` where they have none.
    partitions: Option<BTreeSet<i64>>,
}

impl<'c, R: Run> Loader<'c, R> {
    /// Takes away what the steps of the schema have put into the tables: the copy has it, too.
    pub(super) async fn begin(on: &'c mut R) -> Result<Self, ArchiveError> {
        let awaited = catalog::tables(on).await?;
        for table in awaited.iter().rev() {
            let text = format!("DELETE FROM {}", quoted(&table.name));
            // The name comes from the database's own catalogue.
            on.query(AssertSqlSafe(text)).once().execute().await?;
        }
        let partitions = partition::all(on).await?;
        Ok(Self { on, awaited, now: None, rows: 0, partitions })
    }

    /// How many rows it has taken.
    pub(super) const fn rows(&self) -> u64 {
        self.rows
    }

    async fn table(&mut self, table: Table) -> Result<(), ArchiveError> {
        let Some(at) = self.awaited.iter().position(|awaited| awaited.name == table.name) else {
            return Err(damaged(format!("its schema has no table {}, or that comes twice", table.name)));
        };
        let here = self.awaited.remove(at);
        let columns = |table: &Table| {
            let columns = table.columns.iter().map(|column| format!("{} {:?}", column.name, column.kind));
            columns.collect::<BTreeSet<_>>()
        };
        if columns(&here) != columns(&table) || here.columns.len() != table.columns.len() {
            return Err(damaged(format!("table {} has other columns than its schema says", table.name)));
        }
        self.remember_id(&table).await?;
        self.now = Some(table);
        Ok(())
    }

    async fn remember_id(&mut self, table: &Table) -> Result<(), ArchiveError> {
        if table.last_id <= 0 {
            return Ok(());
        }
        match self.on.engine() {
            Engine::Sqlite => {
                let [forget, put] = REMEMBER_ID_IN_SQLITE;
                self.on.query(forget).bind(table.name.as_str()).execute().await?;
                self.on.query(put).bind(table.name.as_str()).bind(table.last_id).execute().await?;
            }
            Engine::Postgres => {
                let set = self.on.query(REMEMBER_ID_IN_POSTGRES);
                set.bind(table.name.as_str()).bind(table.last_id).scalars::<i64>().await?;
            }
        }
        Ok(())
    }

    async fn insert(&mut self, rows: Vec<Vec<Cell>>) -> Result<(), ArchiveError> {
        let table = self.now.as_ref().ok_or_else(|| damaged("there are rows before the first table"))?;
        if rows.iter().any(|row| row.len() != table.columns.len()) {
            return Err(damaged(format!("a row of table {} has too many or too few values", table.name)));
        }
        make_room(self.on, &mut self.partitions, table, &rows).await?;
        let together = (VALUES / table.columns.len().max(1)).clamp(1, ROWS);
        let engine = self.on.engine();
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let now: Vec<Vec<Cell>> = rows.by_ref().take(together).collect();
            let text = statement(table, now.len(), engine);
            // The names are those of the database's own catalogue: `table` has looked.
            let mut query = self.on.query(AssertSqlSafe(text));
            if now.len() < together {
                query = query.once();
            }
            self.rows += now.len() as u64;
            for row in now {
                for (cell, column) in row.into_iter().zip(&table.columns) {
                    query = bind(query, cell, column)?;
                }
            }
            query.execute().await?;
        }
        Ok(())
    }
}

impl<R: Run> Sink for Loader<'_, R> {
    async fn take(&mut self, piece: Piece) -> Result<(), ArchiveError> {
        match piece {
            Piece::Begin(_) => Ok(()),
            Piece::Table(table) => self.table(table).await,
            Piece::Rows(rows) => self.insert(rows).await,
            Piece::End => match self.awaited.first() {
                None => Ok(()),
                Some(table) => Err(damaged(format!("table {} is not in it", table.name))),
            },
        }
    }
}

/// Makes the partitions of rows that are to come.
async fn make_room(
    on: &mut impl Run,
    there: &mut Option<BTreeSet<i64>>,
    table: &Table,
    rows: &[Vec<Cell>],
) -> Result<(), ArchiveError> {
    let (Some(there), Some((column, size))) = (there, partition::of_table(&table.name)) else {
        return Ok(());
    };
    let at = table.columns.iter().position(|named| named.name == column);
    let cells = rows.iter().filter_map(|row| row.get(at?));
    let needed = cells.filter_map(|cell| match cell {
        Cell::Number(number) => Some(number.div_euclid(size)),
        _ => None,
    });
    for number in needed.collect::<BTreeSet<_>>() {
        if there.insert(number) {
            partition::make(on, number).await?;
        }
    }
    Ok(())
}

fn statement(table: &Table, rows: usize, engine: Engine) -> String {
    let columns: Vec<String> = table.columns.iter().map(|column| quoted(&column.name)).collect();
    let row = format!("({})", vec!["?"; columns.len()].join(", "));
    let rows = vec![row.as_str(); rows].join(", ");
    let text = format!("INSERT INTO {} ({}) VALUES {rows}", quoted(&table.name), columns.join(", "));
    match engine {
        Engine::Sqlite => text,
        Engine::Postgres => numbered(&text),
    }
}

fn bind<'q>(query: Query<'q>, cell: Cell, column: &Column) -> Result<Query<'q>, ArchiveError> {
    Ok(match (column.kind, cell) {
        (Kind::Number, Cell::Null) => query.bind(None::<i64>),
        (Kind::Text, Cell::Null) => query.bind(None::<String>),
        (Kind::Bytes, Cell::Null) => query.bind(None::<Vec<u8>>),
        (Kind::Number, Cell::Number(number)) => query.bind(number),
        (Kind::Text, Cell::Text(text)) => query.bind(text),
        (Kind::Bytes, Cell::Bytes(bytes)) => query.bind(bytes),
        _ => return Err(damaged(format!("a value of column {} is of the wrong kind", column.name))),
    })
}
