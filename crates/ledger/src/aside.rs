//! Segments whose records are all in the book, kept for a while all the same.
//!
//! A database may come back without what it had committed last, such as a stand-by that missed the tail. The next start
//! then finds the book's cursor before what the journal begins with, and takes these segments back. They lie under another
//! name, so that a start that needs none of them does not read them.

use std::{
    collections::VecDeque,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use model::id::JournalId;

use crate::{disk::Disk, segment::Segment};

/// How much of what is in the book already is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    /// For how long after it was brought into the book.
    pub(crate) time: Duration,
    /// Bytes at most.
    pub(crate) bytes: u64,
}

struct Old {
    number: u64,
    bytes: u64,
    since: Instant,
}

/// The segments that are kept, the oldest first.
pub(crate) struct Aside {
    disk: Arc<dyn Disk>,
    kept: Kept,
    segments: VecDeque<Old>,
}

impl Aside {
    /// Those that an earlier life has left. Their time begins anew.
    pub(crate) fn load(disk: Arc<dyn Disk>, kept: Kept) -> io::Result<Self> {
        let since = Instant::now();
        let mut segments = VecDeque::new();
        for number in disk.aside()? {
            segments.push_back(Old { number, bytes: disk.open_aside(number)?.size()?, since });
        }
        Ok(Self { disk, kept, segments })
    }

    /// Lays a segment aside that nobody needs while the book goes on from where it is.
    pub(crate) fn lay(&mut self, number: u64) -> io::Result<()> {
        let bytes = self.disk.open(number)?.size()?;
        self.disk.lay_aside(number)?;
        self.segments.push_back(Old { number, bytes, since: Instant::now() });
        Ok(())
    }

    /// Puts all that is kept of a journal back into it.
    pub(crate) fn fetch_back(&mut self, journal: JournalId) -> io::Result<()> {
        fetch_back(&*self.disk, journal)?;
        self.segments.clear();
        Ok(())
    }

    /// Removes what is older, or more, than what is kept.
    pub(crate) fn forget(&mut self) -> io::Result<()> {
        let mut bytes = self.segments.iter().fold(0_u64, |sum, old| sum.saturating_add(old.bytes));
        while let Some(old) = self.segments.front() {
            if bytes <= self.kept.bytes && old.since.elapsed() < self.kept.time {
                break;
            }
            match self.disk.remove_aside(old.number) {
                // Somebody else has removed it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed?,
            }
            bytes = bytes.saturating_sub(old.bytes);
            self.segments.pop_front();
        }
        Ok(())
    }
}

/// Puts all that is kept of a journal back into it.
pub(crate) fn fetch_back(disk: &dyn Disk, journal: JournalId) -> io::Result<()> {
    // The newest first: should it break off, what there is has no gap.
    for number in disk.aside()?.into_iter().rev() {
        if Segment::of(number, disk.open_aside(number)?)?.is_some_and(|segment| segment.journal == journal) {
            disk.fetch_back(number)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Directory;

    /// Whoever needs room may remove what is kept, and what is left is removed in its turn.
    #[test]
    fn what_somebody_else_has_removed_is_no_hindrance() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(Directory::new(dir.path().to_owned()).unwrap());
        let kept = Kept { time: Duration::MAX, bytes: 0 };
        let mut aside = Aside::load(disk.clone(), kept).unwrap();
        for number in 1..=2 {
            disk.create(number, 64, b"header").unwrap();
            aside.lay(number).unwrap();
        }
        disk.remove_aside(1).unwrap();
        aside.forget().unwrap();
        assert!(disk.aside().unwrap().is_empty() && aside.segments.is_empty());
    }
}
