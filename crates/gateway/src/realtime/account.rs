//! One hold of a session: raised in steps before anything that it pays for is let through, and ended once.

use std::sync::Arc;

use ledger::Hold;
use model::{
    money::Units,
    refusal::Refusal,
    usage::{Provenance, Tokens, UsageOutcome},
};

use crate::{
    bill::{Bill, beyond},
    bound,
    key_cache::Known,
};

/// A hold, and what its end needs to know.
pub(super) struct Account {
    bill: Bill,
    known: Arc<Known>,
    hold: Option<Hold>,
    /// Whether a whole step was not affordable: then no more is asked for than must be.
    tight: bool,
}

impl Account {
    pub(super) const fn new(bill: Bill, known: Arc<Known>, hold: Hold) -> Self {
        Self { bill, known, hold: Some(hold), tight: false }
    }

    /// What is held.
    pub(super) fn held(&self) -> Units {
        self.hold.as_ref().map_or(Units::ZERO, Hold::units)
    }

    /// Looks for a whole step again: something has ended, and what it did not use is there.
    pub(super) const fn relax(&mut self) {
        self.tight = false;
    }

    /// Holds `wanted`, or else at least `least`.
    ///
    /// # Errors
    /// Not even that is affordable, or nothing is admitted now.
    pub(super) async fn cover(&mut self, wanted: Units, least: Units) -> Result<(), Refusal> {
        let Some(hold) = &mut self.hold else { return Ok(()) };
        let more =
            |hold: &Hold, units: Units| Units::new(units.get().saturating_sub(hold.units().get()).max(0));
        if !self.tight {
            match hold.raise(more(hold, wanted)).await {
                Ok(()) => return Ok(()),
                Err(error) => {
                    tracing::debug!(%error, "a whole step of a session is not affordable");
                    self.tight = true;
                }
            }
        }
        let least = more(hold, least);
        if least == Units::ZERO {
            return Ok(());
        }
        hold.raise(least).await.map_err(|error| bound::refusal(&self.known, error))
    }

    /// Notes what was used so far, for the case that nobody lives to settle.
    pub(super) fn note(&mut self, so_far: Option<(Tokens, Provenance)>) {
        let now = self.bill.gateway.now();
        let Some(hold) = self.hold.as_mut().filter(|hold| hold.wants_progress(now)) else { return };
        if let Some((tokens, provenance)) = so_far {
            hold.progress(self.bill.priced(tokens, provenance, 499));
        }
    }

    /// Notes it before a response is seen to end, which must be charged whatever happens.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn note_at_once(&mut self, so_far: Option<(Tokens, Provenance)>) -> Result<(), Refusal> {
        let (Some(hold), Some((tokens, provenance))) = (&mut self.hold, so_far) else { return Ok(()) };
        let outcome = self.bill.priced(tokens, provenance, 499);
        hold.progress_at_once(outcome).map_err(|error| bound::refusal(&self.known, error))
    }

    /// Ends the hold at what was used, after what that costs beyond it was held, if there is that much.
    pub(super) async fn settle(&mut self, so_far: Option<(Tokens, Provenance)>, end: Ending<'_>) {
        if let (Some(hold), Some((tokens, provenance))) = (&mut self.hold, so_far) {
            let outcome = self.bill.priced(tokens, provenance, end.status);
            if let Some(more) = beyond(hold, &outcome)
                && let Err(error) = hold.raise(more).await
            {
                tracing::debug!(%error, "the rest of a session is not affordable");
            }
        }
        self.end(so_far, end);
    }

    /// Ends the hold at what was used, now.
    pub(super) fn end(&mut self, so_far: Option<(Tokens, Provenance)>, end: Ending<'_>) {
        let Some(hold) = self.hold.take() else { return };
        let (tokens, provenance) = so_far.unwrap_or((Tokens::default(), Provenance::Counted));
        let mut outcome = self.bill.priced(tokens, provenance, end.status);
        if so_far.is_none() {
            outcome.units = Units::ZERO;
        }
        self.bill.end(hold, UsageOutcome { error: end.word.map(str::to_owned), ..outcome });
    }
}

/// How a session ended, for its record.
#[derive(Clone, Copy)]
pub(super) struct Ending<'a> {
    pub(super) status: u16,
    pub(super) word: Option<&'a str>,
}

impl Ending<'static> {
    /// The caller has left.
    pub(super) const LEFT: Self = Self { status: 499, word: Some("client_closed") };
}
