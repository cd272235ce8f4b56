//! All persistent state, in SQL.
//!
//! One file for each aggregate, with its named queries and private rows. The SQL uses `$1` parameters, or those that
//! a builder writes for the database, and nothing that only SQLite knows, so that PostgreSQL can run the same text. Secrets are sealed or digested by the [`Vault`]
//! before they come here.

mod account;
mod audit;
mod book;
mod catalogue;
mod change;
mod channel;
mod credential;
mod group;
mod imported;
mod key;
mod key_list;
mod password;
mod pool;
mod price;
mod rows;
mod session;
mod set_up;
mod store;
mod token;
mod top_up;
mod usage;
mod vault;
mod verify;

pub use account::{Account, AccountChange, NewAccount, Role};
pub use audit::{Actor, AuditFilter, AuditRecord};
pub use catalogue::{Imported, Listing, ModelFacts};
pub use change::{Change, Kind};
pub use channel::{Channel, MAX_WEIGHT, NewChannel};
pub use credential::{ChannelCredential, Refused};
pub use group::Group;
pub use key::{KeyChange, KeyView, Page};
pub use key_list::{FoundKeys, KeyFilter, KeyOrder, SORTED};
pub use price::{Leaps, ModelPrice, NewPrice};
pub use session::{NewSession, Session};
pub use set_up::SETUP_MILLIS;
pub use store::{Store, StoreError};
pub use token::Token;
pub use top_up::{TopUp, TopUpFilter};
pub use usage::{UsageFilter, UsageHour, UsageKind, UsageLimits, UsageRecord, UsageSums, UsageWalk};
pub use vault::{MasterKey, NotAKey};
pub use verify::{Discrepancy, verify};
