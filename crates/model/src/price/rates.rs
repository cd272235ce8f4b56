//! What tokens cost, by kind.

use serde::{Deserialize, Serialize};

use super::{Kind, UnitsPerMillion};

/// What a million tokens of each kind cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    /// Input that no cache served.
    pub input: UnitsPerMillion,
    /// Input that a cache served.
    pub cached_input: UnitsPerMillion,
    /// Input written to a cache that keeps it for minutes.
    pub cache_write: UnitsPerMillion,
    /// Input written to a cache that keeps it for an hour.
    pub cache_write_1h: UnitsPerMillion,
    /// The part of input that was sound.
    pub input_audio: UnitsPerMillion,
    /// The part of input that was images.
    pub input_image: UnitsPerMillion,
    /// Output.
    pub output: UnitsPerMillion,
    /// The part of output that was reasoning.
    pub reasoning: UnitsPerMillion,
    /// The part of output that was sound.
    pub output_audio: UnitsPerMillion,
    /// The part of output that was images.
    pub output_image: UnitsPerMillion,
}

/// Rates as a price list states them: what it leaves out costs what the kind costs that it is a part of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListedRates {
    /// Input that no cache served.
    pub input: i64,
    /// Input that a cache served; as input when absent.
    pub cached_input: Option<i64>,
    /// Input written to a cache; as input when absent.
    pub cache_write: Option<i64>,
    /// Input written to a cache that keeps it for an hour; as `cache_write` when absent.
    pub cache_write_1h: Option<i64>,
    /// Sound; as input when absent.
    pub input_audio: Option<i64>,
    /// Images; as input when absent.
    pub input_image: Option<i64>,
    /// Output.
    pub output: i64,
    /// Reasoning; as output when absent.
    pub reasoning: Option<i64>,
    /// Sound; as output when absent.
    pub output_audio: Option<i64>,
    /// Images; as output when absent.
    pub output_image: Option<i64>,
}

impl ListedRates {
    /// Only input and output.
    #[must_use]
    pub fn of(input: i64, output: i64) -> Self {
        Self { input, output, ..Self::default() }
    }

    /// Every kind with what it costs.
    #[must_use]
    pub fn rates(self) -> Rates {
        let input = |rate: Option<i64>| UnitsPerMillion(rate.unwrap_or(self.input));
        let output = |rate: Option<i64>| UnitsPerMillion(rate.unwrap_or(self.output));
        Rates {
            input: UnitsPerMillion(self.input),
            cached_input: input(self.cached_input),
            cache_write: input(self.cache_write),
            cache_write_1h: input(self.cache_write_1h.or(self.cache_write)),
            input_audio: input(self.input_audio),
            input_image: input(self.input_image),
            output: UnitsPerMillion(self.output),
            reasoning: output(self.reasoning),
            output_audio: output(self.output_audio),
            output_image: output(self.output_image),
        }
    }
}

impl From<Rates> for ListedRates {
    fn from(rates: Rates) -> Self {
        Self {
            input: rates.input.0,
            cached_input: Some(rates.cached_input.0),
            cache_write: Some(rates.cache_write.0),
            cache_write_1h: Some(rates.cache_write_1h.0),
            input_audio: Some(rates.input_audio.0),
            input_image: Some(rates.input_image.0),
            output: rates.output.0,
            reasoning: Some(rates.reasoning.0),
            output_audio: Some(rates.output_audio.0),
            output_image: Some(rates.output_image.0),
        }
    }
}

impl Rates {
    /// Each kind of token with its rate.
    #[must_use]
    pub const fn by_kind(&self) -> [(Kind, UnitsPerMillion); 10] {
        [
            (Kind::Input, self.input),
            (Kind::CachedInput, self.cached_input),
            (Kind::CacheWrite, self.cache_write),
            (Kind::CacheWrite1h, self.cache_write_1h),
            (Kind::InputAudio, self.input_audio),
            (Kind::InputImage, self.input_image),
            (Kind::Output, self.output),
            (Kind::Reasoning, self.reasoning),
            (Kind::OutputAudio, self.output_audio),
            (Kind::OutputImage, self.output_image),
        ]
    }

    pub(super) fn dearest_input(&self) -> UnitsPerMillion {
        let cache = self.cached_input.max(self.cache_write).max(self.cache_write_1h);
        self.input.max(cache).max(self.input_audio).max(self.input_image)
    }

    pub(super) fn dearest_output(&self) -> UnitsPerMillion {
        self.output.max(self.reasoning).max(self.output_audio).max(self.output_image)
    }
}
