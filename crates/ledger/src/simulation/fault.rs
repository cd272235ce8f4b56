//! The ways to break the protocol that the simulation must catch.

use crate::flaw::Flaw;

/// A way to break the protocol, in the ledger's own code or around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Ledger(Flaw),
    /// Records are applied before they are durable.
    ApplyUnsynced,
    /// The book applies whatever it is given.
    BookForgets,
    /// A lease goes on after an edit has voided it.
    VoidLeaseKept,
    /// An answer leaves before its hold is durable.
    AnswerEarly,
    /// A pool is forgotten although the book did not say that it has its lease back.
    ReturnUnanswered,
}

impl Fault {
    pub(super) const ALL: [Self; 13] = [
        Self::Ledger(Flaw::SettleUnwritten),
        Self::Ledger(Flaw::SyncFailureIgnored),
        Self::Ledger(Flaw::CarrySkipped),
        Self::Ledger(Flaw::DropUnsettled),
        Self::Ledger(Flaw::ChargeUncapped),
        Self::Ledger(Flaw::OrphansForgotten),
        Self::Ledger(Flaw::ReturnHeld),
        Self::Ledger(Flaw::ReturnUnapplied),
        Self::ApplyUnsynced,
        Self::BookForgets,
        Self::VoidLeaseKept,
        Self::AnswerEarly,
        Self::ReturnUnanswered,
    ];
}
