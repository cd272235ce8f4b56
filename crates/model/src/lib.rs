//! The nouns of Apsis and the arithmetic on them: what things are, without I/O.
//!
//! Nothing here reads a file, the environment or a socket. The clock is a trait with its one real implementation in
//! [`clock`]; randomness is a parameter.

pub mod calendar;
pub mod clock;
pub mod credential;
pub mod id;
pub mod ip;
pub mod key;
pub mod money;
pub mod price;
pub mod refusal;
pub mod usage;
