//! What a request brings, and the most that it can use beside output tokens.

use model::price::{Terms, ToolCalls};
use store::{ModelFacts, ModelPrice};
use wire::{openai::estimate, plain, request::Scan};

use crate::{
    door::Door,
    form::{File, Form},
};

/// Tokens of a second of sound: what OpenAI's models for speech have, and what none exceeds.
const SECOND_TOKENS: u64 = 10;
const MOST_SECOND_TOKENS: u64 = 50;
/// Characters of a second of speech, where the sound itself does not say.
const SPOKEN: u64 = 15;
/// Bytes of a second of sound that is compressed as far as speech ever is.
const LEAST_SECOND: u64 = 750;

/// Samples of a second, and bytes of one sample in all of its channels, that a recording may have.
const MOST_SAMPLES: u64 = 192_000;
const MOST_BLOCK: u64 = 16;

/// The most tokens of a request to a model of which nobody said it.
const MOST_CONTEXT: u64 = 1 << 20;

/// How long sound can be at most, and how long it is likely, in seconds.
fn lengths(sound: &File<'_>) -> (u64, u64) {
    let bytes = sound.length;
    let most = bytes / LEAST_SECOND + 1;
    let estimated = sound.seconds.unwrap_or(plain::seconds(bytes)).min(most);
    wave_rate(sound.beginning).map_or((most, estimated), |rate| (bytes.div_ceil(rate), bytes.div_ceil(rate)))
}

/// Bytes of a second of sound that is not compressed, as its head says: what decoders go by, and not the sum that stands
/// beside it.
fn wave_rate(sound: &[u8]) -> Option<u64> {
    let plain =
        sound.get(..4)? == b"RIFF" && sound.get(8..16)? == b"WAVEfmt " && sound.get(20..22)? == [1, 0];
    let samples = u64::from(u32::from_le_bytes(sound.get(24..28)?.try_into().ok()?));
    let block = u64::from(u16::from_le_bytes(sound.get(32..34)?.try_into().ok()?));
    let told = u64::from(u32::from_le_bytes(sound.get(28..32)?.try_into().ok()?));
    let possible = plain && samples <= MOST_SAMPLES && block <= MOST_BLOCK && told == samples * block;
    (possible && told >= LEAST_SECOND).then_some(told)
}

/// The size of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Measured {
    /// An upper bound of the input tokens.
    pub(crate) input: u64,
    /// What the input is charged for when nobody reports a count.
    pub(crate) estimated_input: u64,
    /// Whether that is a count of what is paid for, and no estimate.
    pub(crate) counted: bool,
    /// The most seconds.
    pub(crate) seconds: u64,
    /// The seconds that are charged for when nobody reports them.
    pub(crate) estimated_seconds: u64,
    /// The most images.
    pub(crate) images: u64,
    /// The most calls of the provider's own tools.
    pub(crate) tools: ToolCalls,
    /// The calls that are made whatever the answer says.
    pub(crate) implied: ToolCalls,
    /// The terms of service that are asked for.
    pub(crate) terms: Terms,
    /// Whether nothing is priced here, whatever is used.
    pub(crate) free: bool,
}

/// What is known of a model's input.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known {
    /// The most tokens of one image.
    pub(crate) image_tokens: Option<u64>,
    /// The most tokens of a whole request.
    pub(crate) context: Option<u64>,
}

impl Known {
    /// As the price and the facts of the model say it.
    pub(crate) fn of(price: &ModelPrice, facts: Option<&ModelFacts>) -> Self {
        let context = facts.and_then(|facts| facts.context_length);
        Self { image_tokens: price.image_tokens, context }
    }
}

impl Door {
    /// Measures a request.
    pub(crate) fn measure(self, scan: &Scan, body: &[u8], form: Option<&Form>, known: Known) -> Measured {
        let likely = scan.input_bound(known.image_tokens);
        let documents = if scan.has_documents() { known.context.unwrap_or(MOST_CONTEXT) } else { 0 };
        let input = likely.saturating_add(documents);
        let plain = Measured {
            input,
            estimated_input: estimate(likely),
            free: self.is_free(),
            tools: scan.asked.tools,
            implied: scan.asked.implied,
            terms: scan.asked.terms,
            ..Measured::default()
        };
        match self {
            Self::Images | Self::ImageEdits => Measured { images: scan.choices, ..plain },
            Self::Transcriptions | Self::Translations => {
                let files = form.into_iter().flat_map(Form::files);
                let (seconds, estimated_seconds) = files
                    .map(|file| lengths(&file))
                    .fold((0, 0), |all: (u64, u64), one| (all.0 + one.0, all.1 + one.1));
                let heard = estimated_seconds.saturating_mul(SECOND_TOKENS);
                Measured {
                    input: input.saturating_add(seconds.saturating_mul(MOST_SECOND_TOKENS)),
                    estimated_input: plain.estimated_input.saturating_add(heard),
                    seconds,
                    estimated_seconds,
                    ..plain
                }
            }
            Self::Speech => {
                // Speech is paid for by the character, and none takes longer than a second.
                let characters = plain::characters(body).unwrap_or(input);
                Measured {
                    estimated_input: characters,
                    counted: true,
                    seconds: characters.saturating_add(1),
                    estimated_seconds: characters.div_ceil(SPOKEN),
                    ..plain
                }
            }
            Self::Rerank => {
                let again = plain::asked_again(body);
                Measured {
                    input: input.saturating_add(again),
                    estimated_input: plain.estimated_input.saturating_add(estimate(again)),
                    ..plain
                }
            }
            _ => plain,
        }
    }
}

#[cfg(test)]
mod tests {
    use wire::sound::Meter;

    use super::*;

    fn lengths(sound: &[u8]) -> (u64, u64) {
        let (length, seconds) = (sound.len() as u64, Meter::whole(sound));
        super::lengths(&File { beginning: sound, length, seconds })
    }

    #[test]
    fn sound_is_as_long_as_its_head_says() {
        let mut wave =
            b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data".to_vec();
        wave.resize(32_000 * 3, 0);
        assert_eq!(lengths(&wave), (3, 3));
        wave[28..32].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(lengths(&wave), (129, 6), "a head that does not add up says nothing");
        assert_eq!(lengths(&[0; 16_000]), (22, 1));
        assert_eq!(lengths(&[]), (1, 0));
    }
}
