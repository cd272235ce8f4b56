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
    /// The book takes a total that it is told twice for two parts.
    ReturnsAdded,
    /// What a silent node has leased goes to whoever asks next.
    DeadToAvailable,
    /// What a lost disk has leased is given back by itself.
    LossReturned,
    /// What a silent node has leased is given back while it goes on.
    ReturnedWhileAlive,
    /// A node on an empty disk takes itself for the one before.
    SameIdentity,
    /// A grant that was answered before a crash is taken in after it.
    LateAnswerKept,
    /// A lease that is not known yet, because its grant is being answered, is closed.
    UnknownClosed,
    /// What the book has is not kept in the journal: what it loses then is lost.
    TailForgotten,
    /// A book that has lost its tail goes on as if it had not.
    LossUnnoticed,
    /// Leases are given while nodes have not said yet what they have.
    GrantsGoOn,
    /// What the book does not know to be leased makes the quota grow.
    LostRaises,
    /// A node does not heed that the book has less of its leases than it said.
    ShortfallIgnored,
    /// A node says what its leases have left, and not what holds have taken.
    HoldsUntold,
    /// A node says what it has before the book has its charges again.
    ToldTooEarly,
    /// Numbers of leases that the book has lost are given again.
    NumbersGivenAgain,
    /// A book that has gone back once more is told what a node has, although it has not its charges.
    ToldBehind,
    /// A node forgets what is stale and in use by nobody, although the book has not all its charges.
    StaleForgotten,
}

impl Fault {
    pub(super) const ALL: [Self; 32] = [
        Self::Ledger(Flaw::SettleUnwritten),
        Self::Ledger(Flaw::SyncFailureIgnored),
        Self::Ledger(Flaw::CarrySkipped),
        Self::Ledger(Flaw::DropUnsettled),
        Self::Ledger(Flaw::ChargeUncapped),
        Self::Ledger(Flaw::OrphansForgotten),
        Self::Ledger(Flaw::ReturnHeld),
        Self::Ledger(Flaw::ReturnUnapplied),
        Self::Ledger(Flaw::RecallHeld),
        Self::Ledger(Flaw::ReturnKept),
        Self::ApplyUnsynced,
        Self::BookForgets,
        Self::VoidLeaseKept,
        Self::AnswerEarly,
        Self::ReturnUnanswered,
        Self::ReturnsAdded,
        Self::DeadToAvailable,
        Self::LossReturned,
        Self::ReturnedWhileAlive,
        Self::SameIdentity,
        Self::LateAnswerKept,
        Self::UnknownClosed,
        Self::TailForgotten,
        Self::LossUnnoticed,
        Self::GrantsGoOn,
        Self::LostRaises,
        Self::ShortfallIgnored,
        Self::HoldsUntold,
        Self::ToldTooEarly,
        Self::NumbersGivenAgain,
        Self::ToldBehind,
        Self::StaleForgotten,
    ];
}
