//! A database that is made where nothing is: the whole of it, or nothing.

use std::{fs::File, io::ErrorKind, path::Path};

use sqlx::{Connection, PgConnection, Postgres, Sqlite, Transaction};

use super::{
    ArchiveError,
    file::{beside, sync_directory},
};
use crate::{
    location::Location,
    postgres, schema,
    sql::{On, Run},
    sqlite,
    usage::{partition, retire},
};

const THINGS: &str = "SELECT count(*) FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')";

/// A database in the making: one transaction, from its first table on.
pub(super) enum New<'c> {
    Sqlite(Transaction<'c, Sqlite>),
    Postgres(Transaction<'c, Postgres>),
}

impl Run for New<'_> {
    fn on(&mut self) -> On<'_> {
        match self {
            Self::Sqlite(tx) => On::Sqlite(tx),
            Self::Postgres(tx) => tx.on(),
        }
    }
}

impl New<'_> {
    /// Takes the steps of the schema up to `last`; all that there are without one.
    pub(super) async fn migrate(&mut self, last: Option<i64>) -> Result<(), ArchiveError> {
        let done = match self {
            Self::Sqlite(tx) => schema::SQLITE.run_direct(last, &mut **tx, false).await,
            Self::Postgres(tx) => schema::POSTGRES.run_direct(last, &mut **tx, false).await,
        };
        Ok(done.map_err(crate::StoreError::from)?)
    }

    /// Makes what was filled from a copy ready to be used, at the newest step of the schema.
    pub(super) async fn settle(&mut self) -> Result<(), ArchiveError> {
        retire::clear_away(self).await?;
        partition::make_next(self).await?;
        if let Self::Postgres(_) = self {
            // Nothing of it is lost, wherever it was before.
            self.query("UPDATE usage_next SET server = (SELECT number FROM server)").once().execute().await?;
            // Until the database has looked at its tables by itself it would look for a row by reading them whole.
            self.query("ANALYZE").once().execute().await?;
        }
        Ok(())
    }
}

/// Makes a database at `place` and lets `work` fill it.
pub(super) async fn make<T>(
    place: &Location,
    work: impl AsyncFnOnce(&mut New<'_>) -> Result<T, ArchiveError>,
) -> Result<T, ArchiveError> {
    match place {
        Location::File(path) => {
            let of_file = |error| ArchiveError::File { path: path.clone(), error };
            if path.try_exists().map_err(of_file)? {
                return Err(ArchiveError::NotEmpty(place.to_string()));
            }
            let part = beside(path, ".part");
            remove(&part).map_err(of_file)?;
            let made = make_file(&part, work).await;
            if made.is_err() {
                // What is not whole is of no use; the error says why.
                drop(remove(&part));
            }
            let made = made?;
            File::open(&part).and_then(|file| file.sync_all()).map_err(of_file)?;
            std::fs::rename(&part, path).map_err(of_file)?;
            sync_directory(path).map_err(of_file)?;
            Ok(made)
        }
        Location::Server(server) => {
            let mut database = postgres::open_alone(&server.url).await?;
            let made = make_tables(&mut database, place, work).await?;
            database.close().await?;
            Ok(made)
        }
    }
}

async fn make_file<T>(
    path: &Path,
    work: impl AsyncFnOnce(&mut New<'_>) -> Result<T, ArchiveError>,
) -> Result<T, ArchiveError> {
    let mut database = sqlite::create(path).await?;
    let mut new = New::Sqlite(database.begin().await?);
    let made = work(&mut new).await;
    if let (Ok(_), New::Sqlite(tx)) = (&made, new) {
        tx.commit().await?;
    }
    database.close().await?;
    made
}

async fn make_tables<T>(
    database: &mut PgConnection,
    place: &Location,
    work: impl AsyncFnOnce(&mut New<'_>) -> Result<T, ArchiveError>,
) -> Result<T, ArchiveError> {
    let mut new = New::Postgres(database.begin().await?);
    let things: i64 = new.query(THINGS).scalar().await?;
    if things > 0 {
        return Err(ArchiveError::NotEmpty(place.to_string()));
    }
    let made = work(&mut new).await?;
    if let New::Postgres(tx) = new {
        tx.commit().await?;
    }
    Ok(made)
}

fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
