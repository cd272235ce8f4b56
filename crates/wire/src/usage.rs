//! What an answer used, whoever says it: one form for the reports of all dialects.
//!
//! The dialects disagree about what counts inside what. OpenAI counts cached input and what is written to a cache
//! inside the input, and reasoning inside the output; Anthropic counts cache reads and writes beside the input; Google
//! counts cached input inside the prompt, thoughts beside the candidates, and what tools put into the prompt beside
//! it. Each reader resolves that, so that here the kinds of input do not overlap, and reasoning is a part of output.

use model::usage::Tokens;

use crate::{
    json::{Malformed, Walk},
    openai::usage::Reported,
};

/// The largest count that is believed.
const MOST: u64 = 1 << 53;

/// Counts by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Input that no cache served and none took in.
    pub input: u64,
    /// Input that a cache served.
    pub cached_input: u64,
    /// Input written to a cache that keeps it for five minutes, or for a time that nobody names.
    pub cache_write: u64,
    /// Input written to a cache that keeps it for an hour.
    pub cache_write_hour: u64,
    /// Output, reasoning included.
    pub output: u64,
    /// The part of output that was reasoning.
    pub reasoning: u64,
    /// The parts of all input, cached or not, that were sound and pictures.
    pub audio_input: u64,
    /// See `audio_input`.
    pub image_input: u64,
    /// The part of all input that the vendor's own tools put there.
    pub tool_input: u64,
    /// The parts of output that were sound and pictures.
    pub audio_output: u64,
    /// See `audio_output`.
    pub image_output: u64,
    /// Searches that the vendor's own tools made, each of which has a price.
    pub searches: u64,
}

impl Usage {
    /// All input.
    #[must_use]
    pub const fn all_input(&self) -> u64 {
        self.input
            .saturating_add(self.cached_input)
            .saturating_add(self.cache_write)
            .saturating_add(self.cache_write_hour)
    }

    /// As the books know it so far: both ages of cache writes are one.
    #[must_use]
    pub const fn tokens(&self) -> Tokens {
        Tokens {
            input: self.input,
            cached_input: self.cached_input,
            cache_write: self.cache_write.saturating_add(self.cache_write_hour),
            output: self.output,
            reasoning: self.reasoning,
        }
    }

    /// The reverse of [`Usage::tokens`].
    #[must_use]
    pub fn of(tokens: Tokens) -> Self {
        Self {
            input: tokens.input,
            cached_input: tokens.cached_input,
            cache_write: tokens.cache_write,
            output: tokens.output,
            reasoning: tokens.reasoning,
            ..Self::default()
        }
    }

    /// Whether it can be true: no part is larger than its whole, and nothing is beyond all bounds.
    const fn is_plausible(&self) -> bool {
        let input = self.all_input();
        self.reasoning <= self.output
            && input <= MOST
            && self.output <= MOST
            && self.audio_input.saturating_add(self.image_input) <= input
            && self.tool_input <= input
            && self.audio_output.saturating_add(self.image_output) <= self.output
    }
}

/// What one answer has reported so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Report {
    /// Nothing was said.
    #[default]
    Absent,
    /// What was said cannot be true.
    Absurd,
    /// Plausible counts.
    Good(Usage),
}

impl Report {
    /// Judges counts.
    #[must_use]
    pub const fn of(usage: Usage) -> Self {
        if usage.is_plausible() { Self::Good(usage) } else { Self::Absurd }
    }

    /// Takes in a further report of the same answer; see [`Reported::merge`].
    pub fn merge(&mut self, other: Self) {
        let total = |usage: &Usage| usage.all_input().saturating_add(usage.output);
        *self = match (*self, other) {
            (Self::Good(a), Self::Good(b)) if total(&a) > total(&b) => Self::Good(a),
            (_, Self::Good(b)) => Self::Good(b),
            (Self::Good(a), _) => Self::Good(a),
            (Self::Absurd, _) | (_, Self::Absurd) => Self::Absurd,
            _ => Self::Absent,
        };
    }

    /// The counts, if there are good ones.
    #[must_use]
    pub const fn usage(&self) -> Option<Usage> {
        match self {
            Self::Good(usage) => Some(*usage),
            Self::Absent | Self::Absurd => None,
        }
    }

    /// As the books read it.
    #[must_use]
    pub const fn reported(&self) -> Reported {
        match self {
            Self::Absent => Reported::Absent,
            Self::Absurd => Reported::Absurd,
            Self::Good(usage) => Reported::Good(usage.tokens()),
        }
    }
}

impl From<Reported> for Report {
    fn from(reported: Reported) -> Self {
        match reported {
            Reported::Absent => Self::Absent,
            Reported::Absurd => Self::Absurd,
            Reported::Good(tokens) => Self::Good(Usage::of(tokens)),
        }
    }
}

/// Reads a count: null is 0, anything else must be a plausible whole number.
pub(crate) fn count(walk: &mut Walk<'_>) -> Result<u64, Malformed> {
    let count = walk.whole()?.unwrap_or(0);
    if count <= MOST { Ok(count) } else { Err(Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_not_believed() {
        let good = Usage { input: 5, output: 4, reasoning: 4, audio_input: 5, ..Usage::default() };
        assert_eq!(Report::of(good), Report::Good(good));
        for absurd in [
            Usage { reasoning: 5, ..good },
            Usage { image_input: 1, ..good },
            Usage { tool_input: 6, ..good },
            Usage { audio_output: 5, ..good },
            Usage { cached_input: u64::MAX, ..good },
        ] {
            assert_eq!(Report::of(absurd), Report::Absurd, "{absurd:?}");
        }
    }

    #[test]
    fn both_ages_of_cache_writes_are_billed() {
        let usage = Usage { input: 1, cache_write: 2, cache_write_hour: 4, ..Usage::default() };
        assert_eq!((usage.all_input(), usage.tokens().cache_write), (7, 6));
    }
}
