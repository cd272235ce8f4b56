//! Copies of a whole database: backups, and the move from one database to another.
//!
//! Everything goes in pieces ([`Piece`]), from one reader, of tables ([`read`]) or of a file ([`file`]), to one taker, which
//! fills tables ([`load`]) or a file. So a copy is never in memory as a whole, and what fits one database fits the other:
//! their columns are numbers, texts and bytes alike. Which tables there are, the database says itself ([`catalog`]), so no
//! table is forgotten here when a step of the schema makes it.

mod catalog;
mod digest;
mod file;
mod load;
mod new;
mod read;
mod restore;
mod transfer;
#[cfg(test)]
mod upgrade;

use std::{io, path::PathBuf};

use model::clock::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{store::StoreError, verify::Discrepancy};

pub use file::Backup;
pub use restore::{OpenLeases, Restored};
pub use transfer::Moved;

/// Why a database could not be copied. The one that it was to be copied to is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file system says no.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What it says.
        error: io::Error,
    },
    /// The file is no backup, or not as it was written.
    #[error("the backup is damaged or cut, and nothing of it was taken: {0}")]
    Damaged(String),
    /// A newer program made the backup.
    #[error(
        "the backup has step {0:04} of the schema, which this program does not know: restore it with the program that made \
         it, or a newer one"
    )]
    Newer(i64),
    /// There is nothing that could be copied.
    #[error("the database has no tables of Apsis, so there is nothing to copy: is it the right one?")]
    Empty,
    /// There is something where the copy should be.
    #[error("{0} is not empty: a copy goes only where nothing is")]
    NotEmpty(String),
    /// The database has a column that is neither a number nor a text nor bytes.
    #[error("column {column} of table {table} is of a kind that cannot be copied: {kind}")]
    Kind {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// What the database calls its kind.
        kind: String,
    },
    /// The copy is not what it was made of.
    #[error("table {0} is not the same in both databases after it was copied; nothing was changed")]
    Unequal(String),
    /// The books of what was to be copied do not add up.
    #[error("the books of {place} do not add up, so nothing was copied; `apsis ledger verify` prints all {} differences", found.len())]
    Unsound {
        /// Which database.
        place: String,
        /// What does not add up.
        found: Vec<Discrepancy>,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for ArchiveError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// What a copy begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Begin {
    /// The newest step of the schema that the database had.
    pub(crate) schema: i64,
    /// When it was made, in milliseconds since the Unix epoch.
    made: i64,
}

impl Begin {
    const fn made(&self) -> Timestamp {
        Timestamp::from_millis(self.made)
    }
}

/// A table, before its rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
    /// The last id that the database gave; 0 when it gives none. What was deleted must not come again under its number.
    pub(crate) last_id: i64,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Its place in the primary key, from 1 on; 0 when it is not in it.
    key: i64,
}

/// What a column has in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Number,
    Text,
    Bytes,
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Cell {
    Null,
    Number(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// A part of a copy, in the order: the beginning, then each table with its rows, a table after those that it refers to,
/// then the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Piece {
    Begin(Begin),
    Table(Table),
    /// Rows of the last table.
    Rows(Vec<Vec<Cell>>),
    End,
}

/// What takes the pieces of a copy.
pub(crate) trait Sink {
    async fn take(&mut self, piece: Piece) -> Result<(), ArchiveError>;
}

fn damaged(what: impl Into<String>) -> ArchiveError {
    ArchiveError::Damaged(what.into())
}
