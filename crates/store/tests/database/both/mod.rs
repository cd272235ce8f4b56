//! What both databases are asked, in one text.

mod account_list;
mod archive;
mod audit;
mod book;
mod catalogue;
mod change;
mod claim;
mod credential;
mod identity;
mod job;
mod key;
mod key_list;
mod lives;
mod nodes;
mod passkey;
mod routing;
mod schema;
mod second_factor;
mod secret;
mod session;
pub(super) mod usage;
mod usage_blocks;
mod verify;

use super::open;
