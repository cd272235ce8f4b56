//! From a backup to a database.
//!
//! A backup is older than what happened after it, and what happened is in journals that do not come along. So whatever
//! a node had leased when the backup was made may be spent by now. It goes into suspense, where it is neither
//! spent nor can be, until an operator decides; returning it would be giving it twice. And no journal of before may go on
//! with the restored books: its records name leases, pools and keys under numbers that are given anew. So nothing is left
//! under its name that it could open again.

use std::path::Path;

use model::clock::Timestamp;

use super::{ArchiveError, Begin, Piece, Sink, damaged, file::Reader, load::Loader, new::New, new::make};
use crate::{
    book::settle::set_apart,
    location::Location,
    schema::{POSTGRES, SQLITE},
    sql::Run,
    vault::{self, MasterKey},
    verify::{self, Discrepancy},
};

/// Beyond every position of a journal: one that comes to a book that says so lacks what it says, and is refused.
const BEYOND_EVERY_JOURNAL: i64 = 1 << 62;

/// The journal that has what was leased under other names; there is no file of it.
const RESTORED: &str = "restored";

/// What becomes of units that nodes had leased when the backup was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenLeases {
    /// They wait for an operator: they may be spent.
    Suspense,
    /// They can be spent again. What nodes have spent of them since the backup is given for free.
    Returned,
}

/// A database that was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// When its backup was made.
    pub made: Timestamp,
    /// Rows that were read.
    pub rows: u64,
    /// Leases that were open in the backup, and the units in them.
    pub leases: u64,
    /// The units that were left in them.
    pub units: i64,
    /// What does not add up, where that was to be looked for.
    pub found: Vec<Discrepancy>,
}

impl Location {
    /// Makes the database of a backup here, where nothing is yet, for the master key that it was made with. With `prove`
    /// its books are proved at last.
    ///
    /// # Errors
    /// A backup that is damaged, cut or of a newer program; a place that is not empty; another master key; the database.
    /// Then nothing has changed.
    pub async fn restore(
        &self,
        backup: &Path,
        master: &MasterKey,
        leases: OpenLeases,
        prove: bool,
    ) -> Result<Restored, ArchiveError> {
        // All of it is read before anything is made, so that damage costs no time.
        let begin = check(backup).await?;
        make(self, async |new| {
            let made = begin.made();
            let rows = fill(new, &begin, backup).await?;
            vault::opens(new, master).await?;
            new.migrate(None).await?;
            new.settle().await?;
            let (leases, units) = settle_leases(new, leases).await?;
            let found = if prove { verify::find(new).await? } else { Vec::new() };
            Ok(Restored { made, rows, leases, units, found })
        })
        .await
    }
}

/// Reads the whole backup; how it begins.
pub(super) async fn check(backup: &Path) -> Result<Begin, ArchiveError> {
    let mut whole = Whole::default();
    Reader::open(backup)?.all(&mut whole).await?;
    let begin = whole.begin.ok_or_else(|| damaged("it does not say of which schema it is"))?;
    if SQLITE.iter().chain(POSTGRES.iter()).all(|step| step.version < begin.schema) {
        return Err(ArchiveError::Newer(begin.schema));
    }
    if !POSTGRES.version_exists(begin.schema) {
        return Err(damaged(format!("there is no step {} of the schema", begin.schema)));
    }
    Ok(begin)
}

/// The way to see that a backup is whole.
#[derive(Default)]
struct Whole {
    begin: Option<Begin>,
}

impl Sink for Whole {
    async fn take(&mut self, piece: Piece) -> Result<(), ArchiveError> {
        if let Piece::Begin(begin) = piece {
            self.begin = Some(begin);
        }
        Ok(())
    }
}

pub(super) async fn fill(new: &mut New<'_>, begin: &Begin, backup: &Path) -> Result<u64, ArchiveError> {
    new.migrate(Some(begin.schema)).await?;
    let mut reader = Reader::open(backup)?;
    let mut loader = Loader::begin(new).await?;
    if reader.piece()? != Piece::Begin(begin.clone()) {
        return Err(damaged("it has changed while it was read"));
    }
    reader.all(&mut loader).await?;
    Ok(loader.rows())
}

/// Puts everything that nodes had leased, also those that were silent, under a name that no journal has, and shuts out the
/// journals. Leases of jobs settle as ever. Returns how many leases those are, and their units.
async fn settle_leases(on: &mut impl Run, leases: OpenLeases) -> Result<(u64, i64), ArchiveError> {
    let journal: i64 = on
        .query(
            "INSERT INTO journal (name, epoch, applied) VALUES ($1, 1, 0)
             ON CONFLICT (name) DO UPDATE SET epoch = journal.epoch + 1 RETURNING id",
        )
        .bind(RESTORED)
        .scalar()
        .await?;
    // What nodes had not spoken of yet, in a database that had gone back, they may have spent as well.
    let lost = "SELECT DISTINCT journal FROM lease WHERE lost = 1 AND state = 'closed'";
    let lost: Vec<i64> = on.query(lost).scalars().await?;
    for journal in lost {
        set_apart(on, journal).await?;
    }
    // What jobs hold is in suspense and not leased.
    on.query("UPDATE pool SET suspense = suspense + leased, leased = 0 WHERE leased <> 0").execute().await?;
    let moved = on.query(
        "UPDATE lease SET state = 'suspense', journal = $1 WHERE state IN ('open', 'suspense')
            AND journal IN (SELECT id FROM journal WHERE name <> 'jobs') RETURNING amount - spent",
    );
    let moved: Vec<i64> = moved.bind(journal).scalars().await?;
    if leases == OpenLeases::Returned {
        give_back(on, journal).await?;
    }
    on.query("UPDATE journal SET applied = $1, seen = 0, suspended = 0 WHERE name NOT IN ('jobs', $2)")
        .bind(BEYOND_EVERY_JOURNAL)
        .bind(RESTORED)
        .execute()
        .await?;
    on.query("DELETE FROM wish").execute().await?;
    Ok((moved.len() as u64, moved.iter().sum()))
}

async fn give_back(on: &mut impl Run, journal: i64) -> Result<(), ArchiveError> {
    for text in [
        "UPDATE pool SET suspense = suspense - rest.units, available = available + rest.units
         FROM (SELECT pool, CAST(sum(amount - spent) AS BIGINT) AS units FROM lease
            WHERE journal = $1 AND state = 'suspense' GROUP BY pool) AS rest
         WHERE rest.pool = pool.id",
        "UPDATE lease SET state = 'closed' WHERE journal = $1 AND state = 'suspense'",
    ] {
        on.query(text).bind(journal).execute().await?;
    }
    Ok(())
}
