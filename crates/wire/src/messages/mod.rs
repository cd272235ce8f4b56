//! Anthropic's messages.

pub(crate) mod answer;
pub mod event_stream;
pub mod hosted;
pub(crate) mod models;
pub(crate) mod request;
pub(crate) mod stream;
pub(crate) mod tap;
pub mod usage;
pub(crate) mod write_request;
