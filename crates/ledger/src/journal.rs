//! The journal's writing end.
//!
//! Every record gets its position under one short lock. A hold is appended to a buffer and made durable by the sync
//! thread, many at a time; a settlement is written to the file before the call returns. What it keeps true:
//!
//! - whatever has a position below [`Journal::durable`] survives a crash of the machine;
//! - a settlement always has room: every open hold reserves it ([`SETTLEMENT`]);
//! - after a failed write or sync nothing is admitted any more and nothing more is called durable.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use model::{id::JournalId, usage::UsageOutcome};
use parking_lot::{Mutex, MutexGuard};
use rustc_hash::FxHashSet;
use tokio::sync::Notify;

use crate::{
    alarm::Alarm,
    disk::Disk,
    flaw::{Flaw, Flaws},
    record::{self, Fresh, HEADER, Held, HeldRef, Record, SETTLEMENT},
    segment::{START, Segment},
    waiters::Waiters,
};

/// Longest error word in a settlement; see [`SETTLEMENT`].
const MAX_WORD: usize = 64;

/// Why a record was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// There is no room until a new segment can be made.
    Full,
    /// The journal has failed for good, or takes no new holds any more.
    Closed,
}

/// The writing end.
pub(crate) struct Journal {
    id: JournalId,
    disk: Arc<dyn Disk>,
    segment_bytes: u64,
    tail: Mutex<Tail>,
    alarm: Alarm,
    last: AtomicU64,
    roomy: AtomicBool,
    /// Told when the segment that was ready is begun, and when there was none.
    pub(crate) wants_room: Notify,
    pub(crate) waiters: Arc<Waiters>,
    syncs: AtomicU64,
    failure: Mutex<Option<String>>,
    failed: AtomicBool,
    flaws: Flaws,
}

struct Tail {
    segment: Arc<Segment>,
    /// Where the buffer begins in the segment.
    at: u64,
    buffer: Vec<u8>,
    next: Option<Arc<Segment>>,
    numbered: u64,
    seq: u64,
    /// Holds without a settlement.
    open: FxHashSet<u64>,
    /// Segments that were left with bytes that are not synced.
    unsynced: Vec<Arc<Segment>>,
    dirty: bool,
    closed: bool,
    stopped: bool,
}

impl Tail {
    fn room(&self) -> u64 {
        self.segment.size.saturating_sub(self.at + self.buffer.len() as u64)
    }

    /// Whether `length` more bytes leave every open hold, and one more, its settlement.
    fn fits(&self, length: u64) -> bool {
        let needed = length + SETTLEMENT * (self.open.len() as u64 + 1);
        self.room() >= needed || self.next.as_ref().is_some_and(|next| next.size - START >= needed)
    }
}

impl Journal {
    /// Begins to write into `segment`, after position `seq`, which is durable.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        segment: Arc<Segment>,
        seq: u64,
        segment_bytes: u64,
        flaws: Flaws,
    ) -> Self {
        Self {
            id: segment.journal,
            disk,
            segment_bytes,
            alarm: Alarm::default(),
            last: AtomicU64::new(seq),
            roomy: AtomicBool::new(true),
            wants_room: Notify::new(),
            waiters: Arc::new(Waiters::new(seq)),
            syncs: AtomicU64::new(0),
            failure: Mutex::default(),
            failed: AtomicBool::new(false),
            flaws,
            tail: Mutex::new(Tail {
                numbered: segment.number,
                segment,
                at: START,
                buffer: Vec::new(),
                next: None,
                seq,
                open: FxHashSet::default(),
                unsynced: Vec::new(),
                dirty: false,
                closed: false,
                stopped: false,
            }),
        }
    }

    pub(crate) const fn id(&self) -> JournalId {
        self.id
    }

    /// Everything up to here survives a crash of the machine.
    pub(crate) fn durable(&self) -> u64 {
        self.waiters.durable()
    }

    /// The newest position.
    pub(crate) fn last(&self) -> u64 {
        self.last.load(Ordering::Acquire)
    }

    pub(crate) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    pub(crate) fn open_holds(&self) -> usize {
        self.tail.lock().open.len()
    }

    /// Whether a hold would be taken now.
    pub(crate) fn is_admitting(&self) -> bool {
        self.roomy.load(Ordering::Acquire) && !self.failed.load(Ordering::Acquire) && !self.tail.lock().closed
    }

    /// What went wrong for good, if anything did.
    pub(crate) fn failure(&self) -> Option<String> {
        self.failure.lock().clone()
    }

    /// Takes no new holds from here on; open ones may settle.
    pub(crate) fn close(&self) {
        self.tail.lock().closed = true;
    }

    /// Appends a hold, which becomes durable when somebody hurries. Returns its position, which is its identity.
    pub(crate) fn hold(&self, held: HeldRef<'_>) -> Result<u64, NotTaken> {
        let body = record::body(&Fresh::Hold(held)).map_err(|_| NotTaken::Full)?;
        let mut tail = self.tail.lock();
        if tail.closed {
            return Err(NotTaken::Closed);
        }
        let seq = self.append(&mut tail, &body, true)?;
        tail.open.insert(seq);
        tail.dirty = true;
        Ok(seq)
    }

    /// Takes over a hold that an earlier life left open, so that it can be settled here.
    pub(crate) fn adopt(&self, hold: u64) {
        self.tail.lock().open.insert(hold);
    }

    /// Appends what is good to know but may be lost: progress, or another way.
    pub(crate) fn remark(&self, record: &Record) -> Result<(), NotTaken> {
        let body = record::body(record).map_err(|_| NotTaken::Full)?;
        let mut tail = self.tail.lock();
        self.append(&mut tail, &body, true)?;
        self.flush(&mut tail)
    }

    /// Writes an open hold again; nothing if it was settled meanwhile.
    pub(crate) fn carry(
        &self,
        hold: u64,
        held: Held,
        progress: Option<UsageOutcome>,
    ) -> Result<(), NotTaken> {
        let progress = progress.map(Box::new);
        let body = record::body(&Record::Carry { hold, held, progress }).map_err(|_| NotTaken::Full)?;
        let mut tail = self.tail.lock();
        if tail.open.contains(&hold) {
            self.append(&mut tail, &body, true)?;
        }
        Ok(())
    }

    /// Writes the end of a hold to the file before it returns.
    pub(crate) fn settle(&self, hold: u64, mut outcome: UsageOutcome) -> Result<u64, NotTaken> {
        if let Some(word) = &mut outcome.error {
            let end = (0..=MAX_WORD.min(word.len())).rev().find(|end| word.is_char_boundary(*end));
            word.truncate(end.unwrap_or(0));
        }
        self.end(hold, &Record::Settle { hold, outcome })
    }

    /// Writes that the book keeps what a hold held.
    pub(crate) fn hand_over(&self, hold: u64) -> Result<u64, NotTaken> {
        self.end(hold, &Record::HandOver { hold })
    }

    fn end(&self, hold: u64, record: &Record) -> Result<u64, NotTaken> {
        let body = record::body(record).map_err(|_| NotTaken::Closed)?;
        let mut tail = self.tail.lock();
        let seq = self.append(&mut tail, &body, false)?;
        tail.open.remove(&hold);
        if !self.flaws.has(Flaw::SettleUnwritten) {
            self.flush(&mut tail)?;
        }
        Ok(seq)
    }

    /// Gives a record its position and puts it into the buffer.
    fn append(&self, tail: &mut Tail, body: &[u8], leave_reserve: bool) -> Result<u64, NotTaken> {
        if self.failed.load(Ordering::Acquire) {
            return Err(NotTaken::Closed);
        }
        let length = (HEADER + body.len()) as u64;
        if leave_reserve && !tail.fits(length) {
            self.roomy.store(false, Ordering::Release);
            self.wants_room.notify_one();
            return Err(NotTaken::Full);
        }
        if tail.room() < length {
            self.roll(tail)?;
        }
        tail.seq += 1;
        let Tail { buffer, segment, seq, .. } = &mut *tail;
        record::append(buffer, segment.nonce, *seq, self.durable(), body);
        self.last.store(*seq, Ordering::Release);
        Ok(tail.seq)
    }

    /// What is new is made durable soon: somebody will wait for it.
    pub(crate) fn sync_soon(&self) {
        self.alarm.soon(&self.tail);
    }

    /// Waits until everything up to now is durable. `None` when it will never be.
    pub(crate) async fn synced(&self) -> Option<u64> {
        let seq = {
            let mut tail = self.tail.lock();
            tail.dirty |= self.durable() < tail.seq;
            tail.seq
        };
        self.wait_durable(seq).await.then_some(seq)
    }

    /// Goes on in the segment that is ready.
    fn roll(&self, tail: &mut Tail) -> Result<(), NotTaken> {
        self.flush(tail)?;
        let next = tail.next.take().ok_or(NotTaken::Full)?;
        let old = std::mem::replace(&mut tail.segment, next);
        tail.unsynced.push(old);
        tail.at = START;
        self.wants_room.notify_one();
        Ok(())
    }

    fn flush(&self, tail: &mut Tail) -> Result<(), NotTaken> {
        if tail.buffer.is_empty() {
            return Ok(());
        }
        if let Err(error) = tail.segment.file.write_at(&tail.buffer, tail.at) {
            self.fail(&format!("cannot write the journal: {error}"));
            return Err(NotTaken::Closed);
        }
        tail.at += tail.buffer.len() as u64;
        tail.buffer.clear();
        Ok(())
    }

    /// Makes everything up to now durable. Only the sync thread calls it.
    pub(crate) fn sync(&self) {
        let mut tail = self.tail.lock();
        self.sync_from(&mut tail);
    }

    fn sync_from(&self, tail: &mut MutexGuard<'_, Tail>) {
        tail.dirty = false;
        if self.failed.load(Ordering::Acquire) || self.flush(tail).is_err() {
            return;
        }
        let mut segments = std::mem::take(&mut tail.unsynced);
        segments.push(Arc::clone(&tail.segment));
        let seq = tail.seq;
        let synced =
            MutexGuard::unlocked(tail, || segments.iter().try_for_each(|segment| segment.file.sync()));
        self.syncs.fetch_add(1, Ordering::Relaxed);
        match synced {
            Ok(()) => self.waiters.publish(seq),
            Err(error) if self.flaws.has(Flaw::SyncFailureIgnored) => {
                drop::<io::Error>(error);
                self.waiters.publish(seq);
            }
            Err(error) => self.fail(&format!("cannot sync the journal: {error}")),
        }
    }

    fn fail(&self, what: &str) {
        tracing::error!(what, "the journal failed; nothing more is admitted");
        self.failure.lock().get_or_insert_with(|| what.to_owned());
        self.failed.store(true, Ordering::Release);
        self.waiters.end();
    }

    /// Waits until `seq` is durable. `false` when it will never be.
    pub(crate) async fn wait_durable(&self, seq: u64) -> bool {
        if self.durable() >= seq {
            return true;
        }
        self.alarm.hurry(&self.tail);
        self.waiters.wait(seq).await
    }

    /// The sync thread: sleeps while nothing is new, else syncs all that came in the meantime at once.
    pub(crate) fn run_sync(&self) {
        let mut begun = Instant::now();
        let mut tail = self.tail.lock();
        loop {
            while !tail.dirty && !tail.stopped {
                self.alarm.sleep(&mut tail);
            }
            if !tail.dirty && tail.stopped {
                self.waiters.end();
                return;
            }
            self.alarm.doze(&mut tail, begun, |tail| tail.stopped);
            begun = Instant::now();
            self.sync_from(&mut tail);
        }
    }

    /// Ends the sync thread once everything is synced.
    pub(crate) fn stop(&self) {
        self.tail.lock().stopped = true;
        self.alarm.ring();
    }

    /// Makes the next segment ready if there is none. An error means that there is no room now; admission resumes
    /// with the first call that succeeds.
    pub(crate) fn prepare(&self, nonce: u32) -> io::Result<()> {
        let number = {
            let mut tail = self.tail.lock();
            if tail.next.is_some() {
                return Ok(());
            }
            tail.numbered += 1;
            tail.numbered
        };
        let segment = Segment::create(&*self.disk, number, self.segment_bytes, self.id, nonce)?;
        self.tail.lock().next = Some(Arc::new(segment));
        self.roomy.store(true, Ordering::Release);
        Ok(())
    }

    /// The number of the segment that is written now: older ones may go when all in them is applied.
    pub(crate) fn current_segment(&self) -> u64 {
        self.tail.lock().segment.number
    }
}
