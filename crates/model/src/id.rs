//! Identities. A number of one kind is never taken for a number of another.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

ids! {
    /// An account: the owner of keys, tokens and a balance.
    AccountId;
    /// An API key.
    KeyId;
    /// A personal access token.
    TokenId;
    /// A console session.
    SessionId;
    /// A passkey of an account.
    PasskeyId;
    /// A channel: one way to an upstream.
    ChannelId;
    /// A credential of a channel: what it sends to its provider.
    CredentialId;
    /// A pool: a balance in the ledger. Each key has one, each account has one.
    PoolId;
    /// A lease: the part of a pool that one node may spend. 0 is never a lease.
    LeaseId;
    /// A version of a model's price.
    PriceId;
}

/// A journal, named in its own header: a node that comes back on an empty disk is a new node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JournalId(pub u128);

impl fmt::Display for JournalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The identity of a hold and of the charge that settles it: the journal and the position of the hold in it.
///
/// It is ours, never a caller's text: a repeated request id must not make the second request free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChargeId {
    /// The journal that holds it.
    pub journal: JournalId,
    /// Position of the hold in that journal.
    pub seq: u64,
}

impl fmt::Display for ChargeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.journal, self.seq)
    }
}
