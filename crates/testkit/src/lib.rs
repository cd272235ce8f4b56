//! A scriptable OpenAI-compatible provider on a loopback port: the demo's upstream, and the tests' liar.
//!
//! By default it answers with a friendly text, counts words as tokens, honours output limits and reports usage
//! honestly. What else it does is a [`Script`], chosen for a model by [`Provider::script`] or by a request itself in
//! `metadata.script`. It also speaks HTTP/2, and TLS where [`Provider::start_secure`] is given a certificate. What no
//! HTTP server would do on purpose, such as a reset in the middle of a head, is done by [`Raw`].

mod provider;
mod raw;
mod script;

pub use provider::{Provider, Seen};
pub use raw::{Act, Raw};
pub use script::{Lie, Script};
