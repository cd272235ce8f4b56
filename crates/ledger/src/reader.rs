//! The journal's reading end: joins each settlement with its hold and makes batches for the book.
//!
//! It is the same for the living and for what a dead process left, so what every request exercises is what runs
//! after a crash. It reads only what is durable: otherwise the book's cursor could run ahead of a journal that loses
//! its unsynced tail, and later records would be taken for applied.

use std::{collections::VecDeque, io, sync::Arc};

use model::{
    id::{ChargeId, JournalId},
    usage::UsageOutcome,
};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::{
    aside::Aside,
    book::{Batch, Charge},
    disk::Disk,
    record::{self, HEADER, Held, MAX_BODY, Record},
    segment::{START, Segment},
};

/// Bytes that are read at a time; at least one whole record.
const WINDOW: usize = 4 * (HEADER + MAX_BODY);

/// Why the journal cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The operating system says no.
    #[error("cannot read the journal: {0}")]
    Io(#[from] io::Error),
    /// The database was taken back to before what the journal still has.
    #[error(
        "the database has this journal at position {cursor}, and what is left of it begins at {begins}, or with requests \
         that began before: the database has gone back further than journal.kept_for and journal.kept_bytes reach. Bring \
         back a newer copy of the database; or, to give up the charges between, move all files out of the directory"
    )]
    Behind {
        /// The book's cursor.
        cursor: u64,
        /// The first position that is still there.
        begins: u64,
    },
    /// Something that was durable is not there any more.
    #[error(
        "journal segment {segment} is damaged at byte {position}: {what}. Restore this file from a copy; \
         or, to give up the charges after this point, move it and every later segment out of the directory"
    )]
    Corrupt {
        /// Number of the segment; the file is `<number>.journal`.
        segment: u64,
        /// Where in it.
        position: u64,
        /// What is wrong.
        what: &'static str,
    },
}

/// A hold without a settlement, as the journal tells it.
#[derive(Debug)]
pub(crate) struct OpenHold {
    /// The segment of its newest full record.
    segment: u64,
    pub(crate) held: Held,
    /// What was delivered so far; few holds ever note it.
    pub(crate) progress: Option<Box<UsageOutcome>>,
}

/// The reading end.
pub(crate) struct Reader {
    disk: Arc<dyn Disk>,
    journal: JournalId,
    segment: Option<Segment>,
    at: u64,
    window: Vec<u8>,
    window_at: u64,
    seq: u64,
    applied: u64,
    /// Whether a batch was made that the book has not taken yet.
    ahead: bool,
    /// The furthest position that anybody can have brought the book to who read here.
    furthest: u64,
    /// Where what is left begins, once it was gone back to.
    begins: Option<u64>,
    open: FxHashMap<u64, OpenHold>,
    /// Segments that were read to their end, with their last position.
    finished: VecDeque<(u64, u64)>,
    carried: FxHashSet<u64>,
    aside: Aside,
}

impl Reader {
    /// Reads on after position `seq`, with the book's cursor at `applied`. What was read and is in the book goes `aside`.
    pub(crate) fn new(disk: Arc<dyn Disk>, journal: JournalId, seq: u64, applied: u64, aside: Aside) -> Self {
        Self {
            disk,
            aside,
            journal,
            segment: None,
            at: START,
            window: Vec::new(),
            window_at: 0,
            seq,
            applied,
            ahead: false,
            furthest: applied,
            begins: None,
            open: FxHashMap::default(),
            finished: VecDeque::new(),
            carried: FxHashSet::default(),
        }
    }

    /// Reads again what comes after position `cursor`: the book has gone back to it. What was laid aside is read too.
    pub(crate) fn go_back(&mut self, cursor: u64) -> Result<(), ReadError> {
        self.aside.fetch_back(self.journal)?;
        let before = self.first()?.saturating_sub(1);
        if before > cursor {
            return Err(ReadError::Behind { cursor, begins: before + 1 });
        }
        (self.segment, self.at, self.window_at) = (None, START, 0);
        self.window.clear();
        (self.seq, self.applied, self.ahead, self.begins) = (before, cursor, false, Some(before + 1));
        self.open.clear();
        self.finished.clear();
        self.carried.clear();
        Ok(())
    }

    /// The first position that is there.
    fn first(&self) -> Result<u64, ReadError> {
        for number in self.disk.list()? {
            let Some(segment) = Segment::open(&*self.disk, number)? else { continue };
            let bytes = segment.file.read_at(START, WINDOW)?;
            if let Some(found) = record::find(&bytes, segment.nonce) {
                return Ok(found.seq);
            }
        }
        Ok(self.seq.saturating_add(1))
    }

    /// Notes that the book's cursor stands at `to`.
    pub(crate) fn set_applied(&mut self, to: u64) {
        (self.applied, self.ahead) = (to, false);
    }

    /// Where the book's cursor stands.
    pub(crate) const fn applied(&self) -> u64 {
        self.applied
    }

    /// Whether the book can stand at `cursor` by what was read here.
    pub(crate) const fn may_have_brought_it_to(&self, cursor: u64) -> bool {
        cursor <= self.furthest
    }

    /// Whether what comes next is what a book needs whose cursor stands at `cursor`.
    pub(crate) const fn goes_on_from(&self, cursor: u64) -> bool {
        self.applied == cursor && !self.ahead
    }

    /// The next batch: records up to `limit`, at most about `records` of them. `None` when there is nothing new to
    /// tell the book.
    pub(crate) fn batch(&mut self, limit: u64, records: usize) -> Result<Option<Batch>, ReadError> {
        // Of two records one settles.
        let most = usize::try_from(limit.saturating_sub(self.seq)).unwrap_or(records).min(records);
        let mut charges = Vec::with_capacity(most / 2 + 1);
        let mut read = 0;
        while self.seq < limit && read < records {
            let record = self.next()?;
            read += 1;
            if let Some(charge) = self.take_in(record)? {
                charges.push(charge);
            }
        }
        if charges.is_empty() {
            return Ok(None);
        }
        (self.ahead, self.furthest) = (true, self.furthest.max(self.seq));
        Ok(Some(Batch { journal: self.journal, from: self.applied, to: self.seq, charges }))
    }

    /// Whether everything up to `limit` was read.
    pub(crate) const fn has_read(&self, limit: u64) -> bool {
        self.seq >= limit
    }

    fn take_in(&mut self, record: Record) -> Result<Option<Charge>, ReadError> {
        let segment = self.segment.as_ref().map_or(0, |segment| segment.number);
        match record {
            Record::Hold(held) => {
                self.open.insert(self.seq, OpenHold { segment, held, progress: None });
            }
            Record::Carry { hold, held, progress } => {
                self.carried.remove(&hold);
                self.open.insert(hold, OpenHold { segment, held, progress });
            }
            Record::Retarget { hold, context } => {
                if let Some(open) = self.open.get_mut(&hold) {
                    open.held.context = context;
                }
            }
            Record::Progress { hold, outcome } => {
                if let Some(open) = self.open.get_mut(&hold) {
                    open.progress = Some(Box::new(outcome));
                }
            }
            Record::HandOver { hold } => drop(self.open.remove(&hold)),
            Record::Settle { hold, outcome } => {
                let open = self.open.remove(&hold);
                if self.seq <= self.applied {
                    return Ok(None);
                }
                let Some(OpenHold { held, .. }) = open else {
                    let behind = |begins| ReadError::Behind { cursor: self.applied, begins };
                    return Err(self.begins.map_or_else(|| self.corrupt("a settlement has no hold"), behind));
                };
                let id = ChargeId { journal: self.journal, seq: hold };
                return Ok(Some(Charge { id, draws: held.draws.to_vec(), context: held.context, outcome }));
            }
        }
        Ok(None)
    }

    fn next(&mut self) -> Result<Record, ReadError> {
        loop {
            if let Some(record) = self.record_here()? {
                return Ok(record);
            }
            let here = self.segment.as_ref().map_or(0, |segment| segment.number);
            let next = self.disk.list()?.into_iter().find(|number| *number > here);
            let Some(number) = next else { return Err(self.corrupt("records are missing")) };
            let segment = Segment::open(&*self.disk, number)?;
            let Some(segment) = segment.filter(|segment| segment.journal == self.journal) else {
                return Err(self.corrupt("the next segment's header is not ours"));
            };
            if self.segment.is_some() {
                self.finished.push_back((here, self.seq));
            }
            (self.segment, self.at, self.window_at) = (Some(segment), START, 0);
            self.window.clear();
        }
    }

    /// The record at the present place, if it is the next one.
    fn record_here(&mut self) -> Result<Option<Record>, ReadError> {
        let Some(segment) = &self.segment else { return Ok(None) };
        let nonce = segment.nonce;
        for fresh in [false, true] {
            if fresh {
                self.window = segment.file.read_at(self.at, WINDOW)?;
                self.window_at = self.at;
            }
            let offset = usize::try_from(self.at - self.window_at).unwrap_or(usize::MAX);
            let bytes = self.window.get(offset..).unwrap_or_default();
            let Some(found) = record::find(bytes, nonce) else { continue };
            // A record of another position is what an earlier life lost; it counts as nothing. A window may be older
            // than the record, so only a fresh one decides.
            if found.seq != self.seq + 1 {
                continue;
            }
            let Some(record) = record::read(found.body) else {
                return Err(self.corrupt("a record of an unknown kind; was it written by a newer version?"));
            };
            self.at += found.len() as u64;
            self.seq += 1;
            return Ok(Some(record));
        }
        Ok(None)
    }

    fn corrupt(&self, what: &'static str) -> ReadError {
        let segment = self.segment.as_ref().map_or(0, |segment| segment.number);
        ReadError::Corrupt { segment, position: self.at, what }
    }

    /// Open holds whose only full record is in a segment that could go otherwise; each is named once.
    pub(crate) fn stranded(&mut self, current: u64) -> Vec<(u64, Held, Option<UsageOutcome>)> {
        let applied = self.applied;
        let ready = self.finished.iter().take_while(|(number, last)| *number < current && *last <= applied);
        let Some((newest, _)) = ready.last().copied() else { return Vec::new() };
        let mut carry = Vec::new();
        for (hold, open) in &self.open {
            if open.segment <= newest && self.carried.insert(*hold) {
                carry.push((*hold, open.held.clone(), open.progress.as_deref().cloned()));
            }
        }
        carry
    }

    /// A hold that could not be carried now may be named again.
    pub(crate) fn not_carried(&mut self, hold: u64) {
        self.carried.remove(&hold);
    }

    /// Lays segments aside that nobody needs: all applied, and no open hold in them unless `regardless`.
    pub(crate) fn drop_segments(&mut self, current: u64, regardless: bool) -> io::Result<()> {
        let needed = self.open.values().map(|open| open.segment).min().unwrap_or(u64::MAX);
        while let Some((number, last)) = self.finished.front().copied() {
            if number >= current || last > self.applied || (number >= needed && !regardless) {
                break;
            }
            self.aside.lay(number)?;
            self.finished.pop_front();
        }
        self.aside.forget()
    }
}
