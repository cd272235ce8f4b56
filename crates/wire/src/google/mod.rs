//! Google's generateContent.

pub(crate) mod answer;
pub(crate) mod request;
pub(crate) mod schema;
pub(crate) mod stream;
pub mod usage;
pub(crate) mod write_request;
