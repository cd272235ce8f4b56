//! What an answer used, whoever says it: one form for the reports of all dialects.
//!
//! The dialects disagree about what counts inside what. OpenAI counts cached input and what is written to a cache
//! inside the input, and reasoning inside the output; Anthropic counts cache reads and writes beside the input; Google
//! counts cached input inside the prompt, thoughts beside the candidates, and what tools put into the prompt beside
//! it. Each reader resolves that, so that here the kinds of input do not overlap, and reasoning is a part of output.

use model::usage::{Parts, Tokens};

use crate::{
    json::{Malformed, Walk},
    openai::usage::Reported,
};

/// The largest count that is believed.
pub(crate) const MOST: u64 = 1 << 53;

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

    /// As the books know it: parts that may have a price of their own, each inside its whole and none twice.
    #[must_use]
    pub fn tokens(&self) -> Tokens {
        // Sound and pictures may lie in what a cache served; there they have no price of their own.
        let input_audio = self.audio_input.min(self.input);
        let seen = self.output.saturating_sub(self.reasoning);
        let output_audio = self.audio_output.min(seen);
        let parts = Parts {
            cache_write_1h: self.cache_write_hour,
            input_audio,
            input_image: self.image_input.min(self.input.saturating_sub(input_audio)),
            output_audio,
            output_image: self.image_output.min(seen.saturating_sub(output_audio)),
            ..Parts::default()
        };
        Tokens {
            input: self.input,
            cached_input: self.cached_input,
            cache_write: self.cache_write.saturating_add(self.cache_write_hour),
            output: self.output,
            reasoning: self.reasoning,
            parts,
        }
    }

    /// The reverse of [`Usage::tokens`].
    #[must_use]
    pub fn of(tokens: Tokens) -> Self {
        Self {
            input: tokens.input,
            cached_input: tokens.cached_input,
            cache_write: tokens.cache_write.saturating_sub(tokens.parts.cache_write_1h),
            cache_write_hour: tokens.parts.cache_write_1h,
            output: tokens.output,
            reasoning: tokens.reasoning,
            audio_input: tokens.parts.input_audio,
            image_input: tokens.parts.input_image,
            audio_output: tokens.parts.output_audio,
            image_output: tokens.parts.output_image,
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
    pub fn reported(&self) -> Reported {
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

/// Reads an object whose members are counts: `place` says where each goes, and others are passed over.
pub(crate) fn counts<C>(
    walk: &mut Walk<'_>,
    into: &mut C,
    place: impl for<'c> Fn(&'c mut C, &[u8]) -> Option<&'c mut u64>,
) -> Result<(), Malformed> {
    walk.object(|name, walk| {
        match place(into, name) {
            Some(place) => *place = count(walk)?,
            None => drop(walk.value()?),
        }
        Ok(())
    })
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
        let tokens = usage.tokens();
        assert_eq!((usage.all_input(), tokens.cache_write, tokens.parts.cache_write_1h), (7, 6, 4));
    }

    #[test]
    fn parts_lie_in_what_the_books_charge() {
        let usage = Usage {
            input: 10,
            cached_input: 90,
            output: 20,
            reasoning: 15,
            audio_input: 30,
            image_input: 5,
            audio_output: 4,
            image_output: 9,
            ..Usage::default()
        };
        let parts = usage.tokens().parts;
        let expected = Parts { input_audio: 10, output_audio: 4, output_image: 1, ..Parts::default() };
        assert_eq!(parts, expected);
        assert_eq!(Usage::of(usage.tokens()).tokens(), usage.tokens());
    }
}
