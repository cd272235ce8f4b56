//! The OpenAI dialect.

pub mod answer;
pub mod stream;
mod text;
pub mod upstream_error;
pub mod usage;

/// An estimate of the tokens in a text of this many bytes: four bytes a token, and at least one for any text.
/// It is used only where nobody reports a count, and marked as an estimate.
#[must_use]
pub const fn estimate(bytes: u64) -> u64 {
    bytes.div_ceil(4)
}
