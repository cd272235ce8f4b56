//! What a start finds: how far the journal goes, what is damaged, and which holds a dead process left open.
//!
//! A record that is not right, followed by one that says the place was durable, is corruption: the start is refused.
//! Any other record that is not right is the end: it was never promised to anybody.

use std::{collections::BTreeMap, sync::Arc};

use model::{id::JournalId, usage::UsageOutcome};

use crate::{
    disk::Disk,
    reader::ReadError,
    record::{self, Record},
    segment::{START, Segment},
};

/// What was found.
#[derive(Debug)]
pub(crate) struct Found {
    /// The position before the first record.
    pub(crate) before: u64,
    /// The last position.
    pub(crate) last: u64,
    /// The newest segment.
    pub(crate) number: u64,
    /// Open holds with what was delivered, as far as it was noted.
    pub(crate) open: BTreeMap<u64, Option<UsageOutcome>>,
    /// Whether something is settled that is not in the book, and whose hold is not there.
    unheld: bool,
    /// Segments behind the end, with nothing in them that was promised.
    lost: Vec<u64>,
}

impl Found {
    /// Whether all is there that a book needs whose cursor stands at `cursor`.
    pub(crate) const fn reaches(&self, cursor: u64) -> bool {
        self.before <= cursor && !self.unheld
    }
}

/// The journal that `disk` holds, if any.
pub(crate) fn identify(disk: &dyn Disk) -> Result<Option<JournalId>, ReadError> {
    match disk.list()?.first() {
        None => Ok(None),
        Some(first) => Ok(Some(open(disk, *first)?.journal)),
    }
}

fn open(disk: &dyn Disk, number: u64) -> Result<Segment, ReadError> {
    Segment::open(disk, number)?.ok_or(ReadError::Corrupt {
        segment: number,
        position: 0,
        what: "its header is not that of a journal of this version",
    })
}

/// Reads the whole journal once. `cursor` is how far the book has applied it.
pub(crate) fn scan(disk: &Arc<dyn Disk>, journal: JournalId, cursor: u64) -> Result<Found, ReadError> {
    let (open_holds, lost) = (BTreeMap::new(), Vec::new());
    let mut found = Found { before: 0, last: 0, number: 0, open: open_holds, unheld: false, lost };
    let mut begun = false;
    let mut place = (0, START);
    let mut broken = false;
    for number in disk.list()? {
        let segment = open(&**disk, number)?;
        if segment.journal != journal {
            let what = "it belongs to another journal";
            return Err(ReadError::Corrupt { segment: number, position: 0, what });
        }
        found.number = number;
        let bytes = segment.file.read_at(0, usize::try_from(segment.size).unwrap_or(usize::MAX))?;
        // What a process wrote and did not sync is still there after its death, but not after a power cut; from here
        // on it is called durable.
        segment.file.sync()?;
        let read = read_segment(&mut found, &mut begun, cursor, &segment, &bytes)?;
        // Where the next record should stand: here, unless the segment before ends in something that is not right.
        if read > START || !broken {
            (place, broken) = ((number, read), false);
        }
        let rest = bytes.get(usize::try_from(read).unwrap_or(usize::MAX)..).unwrap_or_default();
        broken |= rest.iter().any(|byte| *byte != 0);
        let expected = if begun { found.last + 1 } else { cursor + 1 };
        match witness(rest, segment.nonce, expected) {
            Witness::Durable => return Err(corrupt(place, "a record that was durable is not right")),
            // A segment of only unpromised records: the next life goes on without them.
            Witness::Unpromised if read == START => found.lost.push(number),
            Witness::Unpromised | Witness::None => {}
        }
    }
    if begun && found.last < cursor {
        return Err(corrupt(place, "the database has charges that are not in the journal"));
    }
    if !begun {
        (found.before, found.last) = (cursor, cursor);
    }
    for number in &found.lost {
        disk.remove(*number)?;
    }
    Ok(found)
}

fn corrupt((segment, position): (u64, u64), what: &'static str) -> ReadError {
    ReadError::Corrupt { segment, position, what }
}

/// Takes in the records of one segment up to the first that is not the next one. Returns where that is.
fn read_segment(
    found: &mut Found,
    begun: &mut bool,
    cursor: u64,
    segment: &Segment,
    bytes: &[u8],
) -> Result<u64, ReadError> {
    let mut at = START;
    loop {
        let rest = bytes.get(usize::try_from(at).unwrap_or(usize::MAX)..).unwrap_or_default();
        let Some(next) = record::find(rest, segment.nonce) else { return Ok(at) };
        if *begun && next.seq != found.last + 1 {
            return Ok(at);
        }
        if !*begun {
            (found.before, *begun) = (next.seq.saturating_sub(1), true);
        }
        let record = record::read(next.body).ok_or_else(|| {
            corrupt(
                (segment.number, at),
                "a record of an unknown kind; is the program older than the journal?",
            )
        })?;
        found.last = next.seq;
        match record {
            Record::Hold(_) => drop(found.open.insert(next.seq, None)),
            Record::Carry { hold, progress, .. } => {
                found.open.insert(hold, progress.map(|outcome| *outcome));
            }
            Record::Progress { hold, outcome } => {
                found.open.entry(hold).and_modify(|progress| *progress = Some(outcome));
            }
            Record::Settle { hold, .. } => {
                let held = found.open.remove(&hold).is_some();
                found.unheld |= !held && next.seq > cursor;
            }
            Record::HandOver { hold } => drop(found.open.remove(&hold)),
            Record::Retarget { .. } => {}
        }
        at += next.len() as u64;
    }
}

enum Witness {
    None,
    Unpromised,
    Durable,
}

/// Whether a right record stands anywhere in `bytes`, and whether it says that `expected` was durable.
fn witness(bytes: &[u8], nonce: u32, expected: u64) -> Witness {
    let mut rest = bytes;
    let mut witness = Witness::None;
    // Zeros are where nothing was ever written: no record begins there.
    while let Some(skip) = rest.iter().position(|byte| *byte != 0) {
        // The first byte of a record's length may be zero, so begin up to three bytes earlier.
        let start = bytes.len() - rest.len() + skip;
        for begin in start.saturating_sub(3)..=start {
            let Some(found) = bytes.get(begin..).and_then(|bytes| record::find(bytes, nonce)) else {
                continue;
            };
            if found.seq < expected {
                continue;
            }
            if found.durable >= expected {
                return Witness::Durable;
            }
            witness = Witness::Unpromised;
        }
        rest = rest.get(skip + 1..).unwrap_or_default();
    }
    witness
}
