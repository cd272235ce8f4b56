//! Reading every table of one moment of a database.

use futures_util::{Stream, StreamExt, pin_mut};
use sqlx::{AssertSqlSafe, ColumnIndex, Connection, Decode, PgConnection, Postgres, Row, Transaction, Type};

use super::{ArchiveError, Begin, Cell, Kind, Piece, Sink, Table, catalog};
use crate::{
    database::BEGIN_READING,
    schema,
    sql::{Query, Run},
    usage::partition,
};

/// Bytes of rows that go together, about.
const TOGETHER: usize = 128 * 1024;

/// One moment of a database on a server, of which nothing is dropped until it has been read.
pub(super) async fn moment(database: &mut PgConnection) -> Result<Transaction<'_, Postgres>, ArchiveError> {
    let partitioned = partition::all(database).await?.is_some();
    let mut moment = database.begin_with(BEGIN_READING).await?;
    if partitioned {
        partition::keep(&mut *moment).await?;
    }
    Ok(moment)
}

/// Reads all tables; `on` must see one moment of the database for as long as that takes.
pub(super) async fn all(on: &mut impl Run, made: i64, sink: &mut impl Sink) -> Result<(), ArchiveError> {
    let schema = schema::applied(on).await?.into_iter().max().ok_or(ArchiveError::Empty)?;
    sink.take(Piece::Begin(Begin { schema, made })).await?;
    for table in catalog::tables(on).await? {
        sink.take(Piece::Table(table.clone())).await?;
        rows(on, &table, sink).await?;
    }
    sink.take(Piece::End).await
}

async fn rows(on: &mut impl Run, table: &Table, sink: &mut impl Sink) -> Result<(), ArchiveError> {
    // The names come from the database's own catalogue.
    match on.query(AssertSqlSafe(select(table))).once() {
        Query::Sqlite(bound, on) => each(bound.fetch(on), table, sink).await,
        // However long it takes: what it waits for is who takes the rows.
        Query::Postgres(bound, on, _) => each(bound.fetch(on), table, sink).await,
    }
}

/// In the order of the primary key, which is the same in both databases.
fn select(table: &Table) -> String {
    let columns: Vec<String> = table.columns.iter().map(|column| quoted(&column.name)).collect();
    let mut key: Vec<_> = table.columns.iter().filter(|column| column.key > 0).collect();
    key.sort_by_key(|column| column.key);
    let key: Vec<String> = key.into_iter().map(|column| quoted(&column.name)).collect();
    let order = if key.is_empty() { String::new() } else { format!(" ORDER BY {}", key.join(", ")) };
    format!("SELECT {} FROM {}{order}", columns.join(", "), quoted(&table.name))
}

/// A name as SQL has it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

async fn each<R: Row>(
    rows: impl Stream<Item = Result<R, sqlx::Error>>,
    table: &Table,
    sink: &mut impl Sink,
) -> Result<(), ArchiveError>
where
    usize: ColumnIndex<R>,
    for<'r> i64: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> String: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
{
    pin_mut!(rows);
    let (mut together, mut size) = (Vec::new(), 0);
    while let Some(row) = rows.next().await {
        let row = row?;
        let mut cells = Vec::with_capacity(table.columns.len());
        for (index, column) in table.columns.iter().enumerate() {
            let cell = match column.kind {
                Kind::Number => row.try_get::<Option<i64>, _>(index)?.map(Cell::Number),
                Kind::Text => row.try_get::<Option<String>, _>(index)?.map(Cell::Text),
                Kind::Bytes => row.try_get::<Option<Vec<u8>>, _>(index)?.map(Cell::Bytes),
            };
            let cell = cell.unwrap_or(Cell::Null);
            size += weight(&cell);
            cells.push(cell);
        }
        together.push(cells);
        if size >= TOGETHER {
            sink.take(Piece::Rows(std::mem::take(&mut together))).await?;
            size = 0;
        }
    }
    if together.is_empty() { Ok(()) } else { sink.take(Piece::Rows(together)).await }
}

const fn weight(cell: &Cell) -> usize {
    8 + match cell {
        Cell::Null | Cell::Number(_) => 0,
        Cell::Text(text) => text.len(),
        Cell::Bytes(bytes) => bytes.len(),
    }
}
