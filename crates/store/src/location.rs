//! Where a database is, and what can be done with it as a whole.

use std::{fmt, path::PathBuf};

use crate::{
    postgres::PostgresServer,
    store::{Store, StoreError},
    vault::MasterKey,
};

/// Where a database is.
#[derive(Clone, Debug)]
pub enum Location {
    /// A file of SQLite.
    File(PathBuf),
    /// A database of a PostgreSQL server.
    Server(PostgresServer),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Server(server) => f.write_str(&server.url.place()),
        }
    }
}

impl Location {
    /// Opens it as [`Store::open`] or [`Store::connect`] does.
    ///
    /// # Errors
    /// Theirs.
    pub async fn open(&self, master: &MasterKey) -> Result<Store, StoreError> {
        match self {
            Self::File(path) => Store::open(path, master).await,
            Self::Server(server) => Store::connect(server, master).await,
        }
    }
}
