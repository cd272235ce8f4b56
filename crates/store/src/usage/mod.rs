//! Usage records: one for each settled request, written by the journal's applier alone.
//!
//! Rows are appended without a secondary index. Every id range of [`BLOCK`], a block, is summed up and indexed once, by
//! the transaction that goes beyond it ([`write`]). What is asked of the records is answered from the sums of closed
//! blocks and from the rows of those few blocks that the question cuts through ([`read`], [`sums`]); so the sums
//! never miss a record and never count one twice. Whole blocks are what is forgotten first ([`retire`]), and on PostgreSQL
//! whole tables of them ([`partition`]).

mod by_name;
mod detail;
mod name;
mod newest;
pub(crate) mod partition;
mod read;
pub(crate) mod retire;
mod segment;
mod select;
mod sums;
mod tally;
mod walk;
pub(crate) mod write;

use ledger::Charge;
use model::{
    clock::Timestamp,
    id::{AccountId, ChannelId, KeyId},
    money::Units,
    price::{Price, Ratio},
    usage::{Provenance, Tokens},
};

pub(crate) use name::{Learned, Names};
pub use newest::NewestUsage;
pub use retire::UsageLimits;
pub use sums::{UsageHour, UsageSums};
pub(crate) use tally::Tally;
pub use walk::UsageWalk;

/// Ids in one block.
pub(crate) const BLOCK: i64 = 16_384;
/// Milliseconds of an hour: what the sums of a block are kept by.
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// What a record is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageKind {
    /// A use.
    Use,
    /// A failure that cost nothing.
    Error,
}

impl UsageKind {
    const fn of(charge: &Charge) -> Self {
        match (&charge.outcome.error, charge.outcome.units.get()) {
            (Some(_), 0) => Self::Error,
            _ => Self::Use,
        }
    }

    const fn number(self) -> i64 {
        match self {
            Self::Use => 2,
            Self::Error => 5,
        }
    }
}

/// One settled request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageRecord {
    /// Its place among all records: later ones have larger numbers.
    pub id: i64,
    /// What it is of.
    pub kind: UsageKind,
    /// The request id that the caller saw.
    pub request_id: String,
    /// Whose key it was.
    pub account: AccountId,
    /// The account's name today; empty when it is gone.
    pub username: String,
    /// The key.
    pub key: KeyId,
    /// The name of the key at that moment.
    pub key_name: String,
    /// The group that served.
    pub group: String,
    /// The channel that served.
    pub channel: ChannelId,
    /// How many channels were tried.
    pub attempts: u32,
    /// The model that the caller named.
    pub model: String,
    /// The model that the upstream was asked for.
    pub upstream_model: String,
    /// The path of the door.
    pub door: String,
    /// Whether the answer was a stream.
    pub stream: bool,
    /// The price that it was charged at; `None` when that version is gone.
    pub price: Option<Price>,
    /// The ratio of the group at that moment.
    pub ratio: Ratio,
    /// What was used.
    pub tokens: Tokens,
    /// Who says so: `reported`, `counted` or `estimated`.
    pub provenance: String,
    /// What it cost.
    pub units: Units,
    /// What the upstream claimed beyond the hold.
    pub overrun: Units,
    /// The HTTP status that the caller got.
    pub status: i64,
    /// A stable word for what went wrong.
    pub error: Option<String>,
    /// The caller's address.
    pub client: String,
    /// Milliseconds from arrival to the first byte of the answer.
    pub first_byte_ms: Option<i64>,
    /// When it arrived.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
}

/// Which records. What is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageFilter {
    /// Whose.
    pub account: Option<AccountId>,
    /// Of the account with this name; `%` stands for any text.
    pub username: Option<String>,
    /// Of which key.
    pub key: Option<KeyId>,
    /// Of keys that had this name; `%` stands for any text.
    pub key_name: Option<String>,
    /// Of this model; `%` stands for any text.
    pub model: Option<String>,
    /// Served by this group.
    pub group: Option<String>,
    /// Served by this channel.
    pub channel: Option<ChannelId>,
    /// Of this kind.
    pub kind: Option<UsageKind>,
    /// Ended at this moment or later.
    pub from: Option<Timestamp>,
    /// Ended before this moment.
    pub until: Option<Timestamp>,
    /// With this text in the name of the key, the model or the group, whatever the case of ASCII letters.
    pub keyword: Option<String>,
    /// With a smaller id: what follows a record in a list.
    pub before: Option<i64>,
}

/// The stable word of a provenance.
const fn word(provenance: Provenance) -> &'static str {
    match provenance {
        Provenance::Reported => "reported",
        Provenance::Counted => "counted",
        Provenance::Estimated => "estimated",
    }
}

/// 24 bits of a request id's checksum: enough to find it, not to prove it.
fn request_key(request_id: &str) -> i64 {
    i64::from(crc32fast::hash(request_id.as_bytes()) >> 8)
}
