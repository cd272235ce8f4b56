//! The schema's steps: numbered SQL files for each database, applied in order, each in a transaction.

use std::collections::BTreeSet;

use sqlx::{Connection, migrate::Migrator};

use crate::{
    location::Location,
    postgres,
    sql::{Engine, Run},
    sqlite,
    store::StoreError,
};

pub(crate) static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
pub(crate) static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// A step of the schema, as a database stands to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// Its number.
    pub number: i64,
    /// What it is about; `None` for one that this program does not know: a newer one was here.
    pub name: Option<String>,
    /// Whether the database has it.
    pub applied: bool,
}

impl Location {
    /// Every step that this program knows or the database has, in order. Nothing is changed.
    ///
    /// # Errors
    /// The database, also one that is not there.
    pub async fn migrations(&self) -> Result<Vec<Migration>, StoreError> {
        let (applied, known) = match self {
            Self::File(path) => {
                let mut database = sqlite::open_to_read(path).await?;
                let applied = applied(&mut database).await;
                database.close().await?;
                (applied?, &SQLITE)
            }
            Self::Server(server) => {
                let mut database = postgres::open_to_read(&server.url).await?;
                let applied = applied(&mut database).await;
                database.close().await?;
                (applied?, &POSTGRES)
            }
        };
        let name = |number: i64| {
            let step = known.iter().find(|step| step.version == number);
            step.map(|step| step.description.clone().into_owned())
        };
        let numbers: BTreeSet<i64> =
            known.iter().map(|step| step.version).chain(applied.iter().copied()).collect();
        let migration = |number| Migration { number, name: name(number), applied: applied.contains(&number) };
        Ok(numbers.into_iter().map(migration).collect())
    }

    /// Brings the schema up to date; a new file is made where there is none.
    ///
    /// # Errors
    /// The database; one that a newer program has changed.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let database = match self {
            Self::File(path) => sqlite::open(path).await?,
            Self::Server(server) => postgres::open(server).await?,
        };
        database.close().await;
        Ok(())
    }
}

/// The numbers of the steps that a database has.
pub(crate) async fn applied(database: &mut impl Run) -> Result<BTreeSet<i64>, StoreError> {
    let begun = match database.engine() {
        Engine::Sqlite => "SELECT count(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'",
        Engine::Postgres => "SELECT count(*) FROM pg_class WHERE oid = to_regclass('_sqlx_migrations')",
    };
    let begun: i64 = database.query(begun).scalar().await?;
    if begun == 0 {
        return Ok(BTreeSet::new());
    }
    Ok(database.query("SELECT version FROM _sqlx_migrations").scalars().await?.into_iter().collect())
}
