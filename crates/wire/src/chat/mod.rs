//! OpenAI's chat completions.

pub(crate) mod answer;
pub(crate) mod request;
pub(crate) mod stream;
pub(crate) mod write_request;
