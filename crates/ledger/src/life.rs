//! One life of a journal: how it begins after whatever happened before, and how it keeps itself short.
//!
//! Everything here is synchronous; threads, timers and the database are in [`crate::ledger`] and [`crate::applier`].

use std::{collections::BTreeMap, sync::Arc};

use model::{
    clock::Timestamp,
    id::JournalId,
    money::Units,
    usage::{Provenance, Tokens, UsageOutcome},
};

use crate::{
    aside::{self, Aside, Kept},
    disk::Disk,
    flaw::{Flaw, Flaws},
    journal::Journal,
    reader::{ReadError, Reader},
    recovery,
    segment::Segment,
};

/// A journal that is ready for new records, and its reader, placed so that nothing is told twice.
pub(crate) struct Life {
    pub(crate) journal: Journal,
    pub(crate) reader: Reader,
}

/// What a life begins from.
pub(crate) struct Beginning {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) journal: JournalId,
    /// How far the book has applied the journal.
    pub(crate) cursor: u64,
    pub(crate) segment_bytes: u64,
    pub(crate) nonce: u32,
    pub(crate) kept: Kept,
    pub(crate) now: Timestamp,
    pub(crate) flaws: Flaws,
}

impl Life {
    /// Reads what is there, begins a new segment, and settles what a dead process left open at what it had noted as
    /// delivered.
    pub(crate) fn begin(beginning: Beginning) -> Result<Self, ReadError> {
        let Beginning { disk, journal: id, cursor, segment_bytes, nonce, kept, now, flaws } = beginning;
        let mut found = recovery::scan(&disk, id, cursor)?;
        if !found.reaches(cursor) {
            tracing::warn!(cursor, "the database has gone back: what was in it already is applied again");
            aside::fetch_back(&*disk, id)?;
            found = recovery::scan(&disk, id, cursor)?;
            if !found.reaches(cursor) {
                return Err(ReadError::Behind { cursor, begins: found.before + 1 });
            }
        }
        // Every orphan needs its settlement in the first segment.
        let room = (found.open.len() as u64 + 1) * crate::record::SETTLEMENT + crate::segment::START;
        let size = segment_bytes.max(room);
        let segment = Segment::create(&*disk, found.number + 1, size, id, nonce)?;
        let journal = Journal::new(Arc::clone(&disk), Arc::new(segment), found.last, segment_bytes, flaws);
        let aside = Aside::load(Arc::clone(&disk), kept)?;
        let reader = Reader::new(disk, id, found.before, cursor, aside);
        if !flaws.has(Flaw::OrphansForgotten) {
            settle_orphans(&journal, found.open, now);
        }
        journal.sync();
        Ok(Self { journal, reader })
    }
}

fn settle_orphans(journal: &Journal, open: BTreeMap<u64, Option<UsageOutcome>>, now: Timestamp) {
    for (hold, progress) in open {
        journal.adopt(hold);
        let outcome = abandoned(progress, now, "interrupted");
        if let Err(why) = journal.settle(hold, outcome) {
            // The journal remembers its failure; the start fails with it.
            tracing::error!(hold, ?why, "cannot settle what was left open");
        }
    }
}

/// The end of a request that nobody ended: what was delivered is charged.
pub(crate) fn abandoned(progress: Option<UsageOutcome>, now: Timestamp, word: &str) -> UsageOutcome {
    let mut outcome = progress.unwrap_or(UsageOutcome {
        tokens: Tokens::default(),
        provenance: Provenance::Counted,
        units: Units::ZERO,
        overrun: Units::ZERO,
        status: 499,
        error: None,
        first_byte_ms: None,
        ended: now,
    });
    outcome.error = Some(word.to_owned());
    outcome.ended = now;
    outcome
}

/// Carries open holds into the newest segment and lays segments aside that nobody needs.
///
/// # Errors
/// Reading the directory, or moving or removing a file; it is tried again at the next turn.
pub(crate) fn tidy(journal: &Journal, reader: &mut Reader, flaws: Flaws) -> std::io::Result<()> {
    let current = journal.current_segment();
    let regardless = flaws.has(Flaw::CarrySkipped);
    if !regardless {
        for (hold, held, progress) in reader.stranded(current) {
            if journal.carry(hold, held, progress).is_err() {
                reader.not_carried(hold);
            }
        }
    }
    reader.drop_segments(current, regardless)
}
