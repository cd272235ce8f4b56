//! From one database to another, with the proof that both have the same.

use super::{
    ArchiveError, Piece, Sink,
    digest::Adder,
    load::Loader,
    new::{New, make},
    read,
};
use crate::{location::Location, postgres, schema, sql::Run, sqlite, verify};

/// A database that was copied into another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Rows that were copied.
    pub rows: u64,
}

impl Location {
    /// Copies everything into `target`, where nothing is yet, and compares both. Nobody may write here meanwhile, and the
    /// books must add up here as there.
    ///
    /// # Errors
    /// Books that do not add up; a place that is not empty; tables that differ afterwards; a database. Then nothing has
    /// changed on either side.
    pub async fn copy_to(&self, target: &Self) -> Result<Moved, ArchiveError> {
        match self {
            Self::File(path) => {
                let mut database = sqlite::open_to_read(path).await?;
                let mut moment = sqlx::Connection::begin(&mut database).await?;
                copy(&mut *moment, self, target).await
            }
            Self::Server(server) => {
                let mut database = postgres::open_to_read(&server.url).await?;
                let mut moment = read::moment(&mut database).await?;
                copy(&mut *moment, self, target).await
            }
        }
    }
}

async fn copy(on: &mut impl Run, place: &Location, target: &Location) -> Result<Moved, ArchiveError> {
    prove(on, place).await?;
    make(target, async |new| {
        let steps = schema::applied(on).await?;
        new.migrate(steps.into_iter().max()).await?;
        let mut both = Both { loader: Loader::begin(new).await?, adder: Adder::default() };
        read::all(on, 0, &mut both).await?;
        let (rows, was) = (both.loader.rows(), both.adder.finish());
        let mut again = Adder::default();
        read::all(new, 0, &mut again).await?;
        if let Some(table) = was.differing(&again.finish()) {
            return Err(ArchiveError::Unequal(table.to_owned()));
        }
        new.migrate(None).await?;
        new.settle().await?;
        prove(new, target).await?;
        Ok(Moved { rows })
    })
    .await
}

async fn prove(on: &mut impl Run, place: &Location) -> Result<(), ArchiveError> {
    let found = verify::find(on).await?;
    if found.is_empty() {
        return Ok(());
    }
    Err(ArchiveError::Unsound { place: place.to_string(), found })
}

/// What is loaded is added up as it passes.
struct Both<'c, 'n> {
    loader: Loader<'c, New<'n>>,
    adder: Adder,
}

impl Sink for Both<'_, '_> {
    async fn take(&mut self, piece: Piece) -> Result<(), ArchiveError> {
        self.adder.add(&piece);
        self.loader.take(piece).await
    }
}
