//! A scriptable OpenAI-compatible provider on a loopback port: the demo's upstream, and the tests' liar.
//!
//! By default it answers with a friendly text, counts words as tokens, honours output limits and reports usage
//! honestly. What else it does is a [`Script`], chosen for a model by [`Provider::script`] or by a request itself in
//! `metadata.script`.

mod provider;
mod script;

pub use provider::{Provider, Seen};
pub use script::{Lie, Script};
