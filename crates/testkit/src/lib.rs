//! A scriptable provider on a loopback port: the demo's upstream, and the tests' liar.
//!
//! It speaks the dialects of the large vendors, each on that vendor's own paths and with its own credential: chat
//! completions, responses and their neighbours as OpenAI and Azure have them, messages as Anthropic, generateContent as
//! Google, and both as Google's cloud and Amazon's have them, whose tokens and signatures it verifies. By default it answers with a friendly text, counts words as tokens, honours output limits, calls
//! tools that must be called, fits the schema that an answer must fit, and reports usage honestly. What else it does is a
//! [`Script`], chosen for a model by [`Provider::script`] or by a request itself in `metadata.script`. It refuses what the
//! vendor would refuse and a converter could get wrong: a signature that did not come back as it went, a result without its
//! call. It also speaks HTTP/2, and TLS where [`Provider::start_secure`] is given a certificate. What no HTTP server would
//! do on purpose, such as a reset in the middle of a head, is done by [`Raw`],
//! and what happens on the way to a database by [`Relay`].

mod audio;
mod body;
mod chat;
mod completions;
mod door;
mod embeddings;
mod error;
mod event_stream;
mod form;
mod google;
mod images;
mod member;
mod messages;
mod moderations;
mod provider;
mod raw;
mod realtime;
mod relay;
mod rerank;
mod responses;
mod said;
mod schema;
mod script;
mod service_account;
mod sigv4;
mod vendor;
mod videos;

pub use provider::{Provider, Seen};
pub use raw::{Act, Raw};
pub use relay::Relay;
pub use script::{Lie, Script};
