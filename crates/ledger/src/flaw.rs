//! Deliberate faults of the protocol, for the simulation that must catch each of them. Outside tests there are none,
//! and the compiler removes the questions.

/// One way to break the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Let a settlement wait in memory.
    SettleUnwritten,
    /// Take a failed sync for a good one.
    SyncFailureIgnored,
    /// Drop an old segment without carrying its open holds.
    CarrySkipped,
    /// Lose a hold that is dropped without a settlement.
    DropUnsettled,
    /// Settle above the hold.
    ChargeUncapped,
    /// Leave open what a dead process left open.
    OrphansForgotten,
    /// Return the lease of a pool that a hold is open on.
    ReturnHeld,
    /// Return the lease of a pool before its last charge is in the book.
    ReturnUnapplied,
    /// Give back what holds have taken.
    RecallHeld,
    /// Go on with what was given back.
    ReturnKept,
}

/// The faults of one run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flaws(#[cfg(test)] pub(crate) Option<Flaw>);

impl Flaws {
    /// Whether `flaw` is on. Never outside tests.
    #[cfg(test)]
    pub(crate) fn has(self, flaw: Flaw) -> bool {
        self.0 == Some(flaw)
    }

    /// Whether `flaw` is on. Never outside tests.
    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "the test variant asks itself")]
    pub(crate) const fn has(self, _: Flaw) -> bool {
        false
    }
}
