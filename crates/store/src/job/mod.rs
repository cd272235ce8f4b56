//! Jobs: work that an upstream does after the request that began it has ended.
//!
//! What a job may cost at most is held in leases of its own, in suspense: the transaction that begins it takes the units
//! out of the leases of the request's hold, and the one that ends it charges what was made and returns the rest. Each
//! happens once, whoever asks for it and however often.

mod read;
mod write;

use ledger::Draw;
use model::{
    clock::Timestamp,
    id::{AccountId, ChannelId, ChargeId, CredentialId, PoolId},
    money::Units,
    price::Price,
    usage::{UsageContext, UsageOutcome},
};

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// It waits.
    Queued,
    /// It is worked on.
    InProgress,
    /// It has made what was asked for.
    Completed,
    /// It has made nothing, and never will.
    Failed,
}

impl JobState {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Queued, Self::InProgress, Self::Completed, Self::Failed];

    /// Its stable word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    /// The state of this word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// Whether nothing more will come of it.
    #[must_use]
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

/// What an upstream has said of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// How far it is.
    pub state: JobState,
    /// In hundredths.
    pub progress: i64,
    /// The answer that a caller gets, as JSON.
    pub answer: String,
}

/// A job that an upstream has begun.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// The id that callers know it by; nobody else's job has it.
    pub name: String,
    /// The hold that it was begun under.
    pub charge: ChargeId,
    /// What the hold is drawn from: the key's pool and the account's.
    pub draws: [Draw; 2],
    /// What is held.
    pub held: Units,
    /// The seconds that are held.
    pub seconds: u64,
    /// Who, what and by which way.
    pub context: UsageContext,
    /// What it is charged by.
    pub price: Price,
    /// The credential that it was begun with.
    pub credential: CredentialId,
    /// The upstream's id of it.
    pub upstream: String,
    /// What was asked for, in one word.
    pub action: &'static str,
    /// What the upstream has said first.
    pub told: Told,
    /// When it is to be asked about.
    pub next_poll: Timestamp,
}

/// A job.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its place in the order.
    pub id: i64,
    /// The id that callers know it by.
    pub name: String,
    /// Whose it is.
    pub account: AccountId,
    /// The channel that it was begun at.
    pub channel: ChannelId,
    /// The credential that it was begun with.
    pub credential: CredentialId,
    /// The upstream's id of it.
    pub upstream: String,
    /// What is held.
    pub held: Units,
    /// The seconds that are held.
    pub seconds: u64,
    /// Who, what and by which way.
    pub context: UsageContext,
    /// What it is charged by.
    pub price: Price,
    /// What was asked for, in one word.
    pub action: String,
    /// What the upstream said last.
    pub told: Told,
    /// The seconds that were made, once it has ended.
    pub made: Option<u64>,
    /// What it cost, once it has ended.
    pub units: Option<Units>,
    /// When it was begun.
    pub created: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// How often it was asked about.
    pub polls: i64,
    /// How often in a row the upstream said that there is no such job.
    pub misses: i64,
    draws: [Draw; 2],
}

impl Job {
    /// The pools that pay.
    #[must_use]
    pub fn pools(&self) -> [PoolId; 2] {
        self.draws.map(|draw| draw.pool)
    }
}

/// How a job ended.
#[derive(Clone, Debug)]
pub struct JobEnd {
    /// What the upstream said.
    pub told: Told,
    /// The seconds that were made.
    pub made: u64,
    /// What is charged; at most what is held.
    pub outcome: UsageOutcome,
}

/// Which jobs. What is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// With this id.
    pub name: Option<String>,
    /// In this state.
    pub state: Option<JobState>,
    /// Of this action.
    pub action: Option<String>,
    /// Begun at this moment or later.
    pub from: Option<Timestamp>,
    /// Begun before this moment.
    pub until: Option<Timestamp>,
}
