//! Realtime: a conversation over a websocket, from its credentials to its settlement.
//!
//! Everything that can be refused is refused before the upgrade, in the order of every other request. A session has one hold,
//! raised in steps before anything that it pays for is let through, and is charged for what its responses report; writing
//! down what is heard is another model's work and has a hold of its own. Messages pass as they are: `books` looks at each for
//! what it costs, and only a model's other name is written anew.
//!
//! A session that only writes down what is heard names its model in its first event: until then there is no upstream, and
//! nothing that could cost anything.

mod account;
mod books;
mod ear;
mod end;
mod handshake;
mod meter;
mod narrow;
mod open;
mod session;
mod sound;
mod voice;
mod waiting;

pub use open::{Accepted, Question, open};
pub use session::{Session, Stop};
