//! Everything the product decides and does.
//!
//! The model API: [`exchange`] is the story of one request, top to bottom; `admission` says who may, [`routing`] which
//! way, `bound` how much is held, `upstream` talks to providers, `bill` says what an answer costs, `relay` passes a stream on. The
//! management API: [`access`] says who calls, and one module for each aggregate holds its use cases.

pub mod access;
pub mod accounts;
mod admission;
mod attempt;
pub mod audit;
mod bill;
mod body;
mod bound;
pub mod catalogue;
mod changes;
pub mod channel_test;
pub mod channels;
mod claim;
pub mod dial;
pub mod door;
pub mod entry;
pub mod exchange;
mod failure;
mod form;
mod gateway;
pub mod groups;
pub mod invitations;
pub mod jobs;
mod key_cache;
mod key_loader;
pub mod keys;
mod measure;
pub mod metrics;
pub mod models;
pub mod passkeys;
pub mod passwords;
mod pieces;
pub mod prices;
mod proof;
pub mod provider;
pub mod realtime;
mod relay;
mod retention;
mod room;
pub mod routes;
pub mod routing;
pub mod second_factor;
mod sent;
pub mod sessions;
mod sign_in_limit;
mod spool;
pub mod system;
pub mod tokens;
pub mod top_ups;
mod upstream;
pub mod usage;
mod walk;
mod workers;

pub use admission::Credentials;
pub use failure::Failure;
pub use gateway::{Gateway, Parts, Settings};
pub use proof::Proof;
pub use store::{
    Account, AuditFilter, AuditRecord, Channel, ChannelCredential, FoundKeys, Group, Imported, Job, JobState,
    KeyFilter, KeyOrder, KeyView, Leaps, ModelFacts, ModelPrice, NewChannel, NewPrice, Page, Passkey, Role,
    Session, StoreError, Token, TopUp, TopUpFilter, UsageHour, UsageKind, UsageLimits, UsageRecord,
    UsageSums, UsageWalk,
};
pub use upstream::{InvalidRoots, Roots};
pub use workers::{Place, Running, Taken, Workers};
