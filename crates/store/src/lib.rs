//! All persistent state, in SQL.
//!
//! One file for each aggregate, with its named queries and private rows. The SQL is one text for SQLite and PostgreSQL
//! ([`sql`]): it uses what both know, in the way that both understand. What they do in their own way, opening and
//! transactions, is in [`database`]. Secrets are sealed or digested by the [`Vault`](vault) before they come here.

mod account;
mod account_list;
mod archive;
mod audit;
mod book;
mod build;
mod catalogue;
mod change;
mod channel;
mod claim;
mod credential;
mod database;
mod failed_attempt;
mod group;
mod imported;
mod invitation;
mod job;
mod key;
mod key_digest;
mod key_list;
mod life;
mod location;
mod passkey;
mod password;
mod pool;
mod postgres;
mod price;
mod rows;
mod schema;
mod second_factor;
mod session;
mod set_up;
mod sql;
mod sqlite;
mod store;
mod suspense;
mod token;
mod top_up;
mod usage;
mod vault;
mod verify;

pub use account::{Account, AccountChange, MAX_DISPLAY_NAME, MAX_EMAIL, NewAccount, Role};
pub use account_list::FoundAccounts;
pub use archive::{ArchiveError, Backup, Moved, OpenLeases, Restored};
pub use audit::{Actor, AuditFilter, AuditRecord};
pub use catalogue::{Imported, Listing, ModelFacts};
pub use change::{Change, Changes, Kind};
pub use channel::{Channel, MAX_MODEL, MAX_WEIGHT, NewChannel};
pub use credential::{ChannelCredential, Opened, Refused};
pub use failed_attempt::Failures;
pub use group::Group;
pub use job::{Job, JobEnd, JobFilter, JobState, NewJob, Told};
pub use key::{KeyChange, KeyView, Page};
pub use key_digest::{Digest, Owned};
pub use key_list::{FoundKeys, KeyFilter, KeyOrder, SORTED};
pub use location::Location;
pub use passkey::{Added, NewPasskey, Passkey, PasskeyUse};
pub use postgres::{DatabaseUrl, NotADatabaseUrl, PostgresServer};
pub use price::{Leaps, ModelPrice, NewPrice};
pub use schema::Migration;
pub use second_factor::{Origin, Proof, Totp};
pub use session::{NewSession, Session};
pub use set_up::SETUP_MILLIS;
pub use store::{Store, StoreError};
pub use suspense::{Decision, Suspended};
pub use token::Token;
pub use top_up::{TopUp, TopUpFilter};
pub use usage::{
    NewestUsage, UsageFilter, UsageHour, UsageKind, UsageLimits, UsageRecord, UsageSums, UsageWalk,
};
pub use vault::{MasterKey, NotAKey};
pub use verify::Discrepancy;
