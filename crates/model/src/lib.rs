//! The nouns of Apsis and the arithmetic on them: what things are, without I/O.
//!
//! Nothing here reads a clock, a file, the environment or a socket; time and randomness are parameters.

pub mod credential;
