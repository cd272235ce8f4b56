//! Google's generateContent.

pub(crate) mod answer;
pub mod array;
pub mod refusal;
pub(crate) mod request;
pub(crate) mod schema;
pub(crate) mod stream;
pub(crate) mod tap;
pub mod usage;
pub(crate) mod write_request;
