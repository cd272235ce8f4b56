//! Moves the journal into the book: every 200 ms, less often where there is much of it, or at once when somebody waits. It
//! never gives up.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use crate::{
    book::{Applied, Batch, BookError},
    error::OpenError,
    flaw::Flaws,
    ledger::Ledger,
    life,
    reader::{ReadError, Reader},
};

/// A transaction at start takes this many times as many records: nobody else waits for the database then.
const REPLAY_FACTOR: usize = 8;
/// Records after which a turn is sat out: a few large transactions cost the database less than many small ones.
const MANY: u64 = 128;
/// Turns that are sat out in a row at most.
const SAT_OUT: usize = 2;
/// The longest pause between two tries while the book is away.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What became of a batch.
enum Outcome {
    /// It is in the book.
    Done,
    /// The book's cursor stands where it should not.
    Elsewhere,
}

/// The one reader of the journal and its way into the book.
pub(crate) struct Applier {
    ledger: Arc<Ledger>,
    reader: Reader,
}

impl Applier {
    pub(crate) const fn new(ledger: Arc<Ledger>, reader: Reader) -> Self {
        Self { ledger, reader }
    }

    /// Brings everything that is durable into the book. Returns how far that is.
    ///
    /// # Errors
    /// The journal cannot be read; the book does not answer, or has gone back once more ([`BookError::Anew`]).
    pub(crate) async fn replay(&mut self) -> Result<u64, OpenError> {
        let limit = self.ledger.journal.durable();
        let records = self.ledger.options.apply_records.saturating_mul(REPLAY_FACTOR);
        while !self.reader.has_read(limit) {
            // A stretch without a new charge is not the end of the journal.
            let Some(batch) = self.reader.batch(limit, records)? else {
                tokio::task::yield_now().await;
                continue;
            };
            match self.ledger.book.dyn_apply(&batch).await? {
                Applied::Now => self.reader.set_applied(batch.to),
                // It has gone back once more.
                Applied::Already(_) => return Err(BookError::Anew.into()),
            }
        }
        self.reach(limit);
        Ok(limit)
    }

    /// The one of whom it is the applier.
    pub(crate) const fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Goes on from `cursor`, where the book stands.
    pub(crate) fn go_to(&mut self, cursor: u64) -> Result<(), ReadError> {
        if !self.reader.goes_on_from(cursor) {
            self.reader.go_back(cursor)?;
            self.ledger.reached.send_modify(|reached| reached.seq = cursor);
        }
        Ok(())
    }

    /// Whether it can be this process that has brought the book to `cursor`.
    pub(crate) const fn may_have_brought_it_to(&self, cursor: u64) -> bool {
        self.reader.may_have_brought_it_to(cursor)
    }

    /// Where the book stands.
    pub(crate) const fn applied(&self) -> u64 {
        self.reader.applied()
    }

    /// Runs until the ledger is closed.
    pub(crate) async fn run(mut self) {
        let ledger = Arc::clone(&self.ledger);
        while !ledger.stopping.load(Ordering::Acquire) {
            self.wait().await;
            if let Err(what) = self.turn().await {
                // What came after the close is for the next start.
                if ledger.stopping.load(Ordering::Acquire) {
                    return;
                }
                tracing::error!(what, "the journal cannot be brought into the database any more");
                ledger.journal.close();
                ledger.reached.send_modify(|reached| reached.broken = Some(what));
                return;
            }
        }
    }

    /// Until it is time for a turn.
    async fn wait(&self) {
        let ledger = &self.ledger;
        let enough = u64::try_from(ledger.options.apply_records).unwrap_or(u64::MAX);
        for _ in 0..=SAT_OUT {
            if ledger.rejoins.load(Ordering::Acquire) {
                return;
            }
            let hurried =
                tokio::time::timeout(ledger.options.apply_every, ledger.hurry.notified()).await.is_ok();
            let waiting = ledger.journal.last().saturating_sub(ledger.reached.borrow().seq);
            if hurried || waiting < MANY || waiting >= enough {
                return;
            }
        }
    }

    /// Applies all that there is. An error is final.
    async fn turn(&mut self) -> Result<(), String> {
        if self.ledger.rejoins.load(Ordering::Acquire) && !self.ledger.stopping.load(Ordering::Acquire) {
            self.rejoin().await?;
        }
        let journal = Arc::clone(&self.ledger.journal);
        if journal.last() > self.ledger.reached.borrow().seq {
            let Some(limit) = journal.synced().await else {
                return Err(self.ledger.fatal().0);
            };
            while !self.reader.has_read(limit) {
                if self.ledger.rejoins.load(Ordering::Acquire) {
                    // Others wait for that.
                    return Ok(());
                }
                let batch = self.reader.batch(limit, self.ledger.options.apply_records);
                if let Some(batch) = batch.map_err(|error: ReadError| error.to_string())? {
                    match self.apply(&batch).await {
                        Outcome::Done => self.reader.set_applied(batch.to),
                        // What was read is read again behind the book's cursor.
                        Outcome::Elsewhere => return self.rejoin().await,
                    }
                }
            }
            self.reach(limit);
        } else if let Some(failure) = journal.failure() {
            return Err(failure);
        }
        if let Err(error) = life::tidy(&journal, &mut self.reader, Flaws::default()) {
            tracing::warn!(%error, "cannot remove an old journal segment");
        }
        Ok(())
    }

    async fn apply(&self, batch: &Batch) -> Outcome {
        let mut pause = Duration::from_millis(50);
        loop {
            match self.ledger.book.dyn_apply(batch).await {
                Ok(Applied::Now) => return Outcome::Done,
                // The answer to an earlier try was lost; the work was not.
                Ok(Applied::Already(cursor)) if cursor == batch.to => return Outcome::Done,
                Ok(Applied::Already(cursor)) => {
                    tracing::warn!(cursor, expected = batch.from, "the database has this journal elsewhere");
                    return Outcome::Elsewhere;
                }
                Err(error) => {
                    tracing::warn!(%error, "the journal waits for the database");
                    // Whoever hears of it first says so.
                    drop(tokio::time::timeout(pause, self.ledger.hurry.notified()).await);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    fn reach(&self, seq: u64) {
        self.ledger.reached.send_modify(|reached| reached.seq = seq);
    }
}
