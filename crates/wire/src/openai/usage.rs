//! What a provider reports as used.

use model::usage::{Parts, Tokens};
use serde_json::{Value, json};

use crate::{
    json::{Malformed, Walk},
    usage::{self, MOST, count},
};

/// A provider's report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reported {
    /// Nothing was said.
    #[default]
    Absent,
    /// What was said cannot be true: negative, no whole number, beyond all bounds, or parts larger than their whole.
    Absurd,
    /// Plausible counts.
    Good(Tokens),
}

impl Reported {
    /// Takes in a further report of the same answer. Of two good ones the larger counts: providers that report as
    /// they go only ever grow. A good one beats everything else.
    pub fn merge(&mut self, other: Self) {
        let total = |tokens: &Tokens| tokens.input + tokens.cached_input + tokens.cache_write + tokens.output;
        *self = match (*self, other) {
            (Self::Good(a), Self::Good(b)) if total(&a) > total(&b) => Self::Good(a),
            (_, Self::Good(b)) => Self::Good(b),
            (Self::Good(a), _) => Self::Good(a),
            (Self::Absurd, _) | (_, Self::Absurd) => Self::Absurd,
            _ => Self::Absent,
        };
    }
}

/// Reads the `usage` member of an answer or a chunk. Cached input is a part of `prompt_tokens`, reasoning a part of
/// `completion_tokens`; see OpenAI's reference of the chat completion object. Providers that say it otherwise:
///
/// - Some name the parts of the prompt beside it: `cache_creation_input_tokens` and `cache_read_input_tokens`
///   (Anthropic's words), `prompt_cache_hit_tokens` (DeepSeek). They are parts of `prompt_tokens` all the same, unless
///   `total_tokens` says that they come on top.
/// - Some report reasoning beside `completion_tokens` (xAI), or not at all (Gemini's OpenAI door): then `total_tokens`
///   is larger than the sum of both by just that. It counts as output.
#[must_use]
pub fn read(usage: &[u8]) -> Reported {
    if usage == b"null" {
        return Reported::Absent;
    }
    let mut counts = Counts::default();
    let read = counts.read(&mut Walk::new(usage));
    read.ok().and_then(|()| counts.tokens()).map_or(Reported::Absurd, Reported::Good)
}

/// The same of the value that comes next, and goes behind it whatever it says.
///
/// # Errors
/// There is no value.
pub(super) fn next(walk: &mut Walk<'_>) -> Result<Reported, Malformed> {
    let (mut inside, mut counts) = (walk.clone(), Counts::default());
    if counts.read(&mut inside).is_ok() {
        *walk = inside;
        return Ok(counts.tokens().map_or(Reported::Absurd, Reported::Good));
    }
    walk.value().map(read)
}

/// `used` as a provider would report it.
pub(crate) fn report(used: Tokens) -> Value {
    let prompt = used.input.saturating_add(used.cached_input).saturating_add(used.cache_write);
    json!({
        "prompt_tokens": prompt, "completion_tokens": used.output,
        "total_tokens": prompt.saturating_add(used.output),
        "prompt_tokens_details": {"cached_tokens": used.cached_input, "cache_write_tokens": used.cache_write},
        "completion_tokens_details": {"reasoning_tokens": used.reasoning},
    })
}

/// The counts of a report. The same figure under two names is said twice, not two figures: the larger one counts.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    /// Whether the prompt or the completion was counted at all.
    any: bool,
    prompt: u64,
    output: u64,
    total: u64,
    cached_input: u64,
    cache_write: u64,
    reasoning: u64,
    parts: Parts,
}

impl Counts {
    fn read(&mut self, walk: &mut Walk<'_>) -> Result<(), Malformed> {
        let counts = self;
        walk.object(|name, walk| {
            match name {
                // Images and transcriptions have the words of responses.
                b"prompt_tokens" | b"input_tokens" => {
                    (counts.any, counts.prompt) = (true, counts.prompt.max(count(walk)?));
                }
                b"completion_tokens" | b"output_tokens" => {
                    (counts.any, counts.output) = (true, counts.output.max(count(walk)?));
                }
                b"seconds" => (counts.any, counts.parts.seconds) = (true, whole_seconds(walk.value()?)?),
                b"total_tokens" => counts.total = count(walk)?,
                b"cache_read_input_tokens" | b"prompt_cache_hit_tokens" => {
                    counts.cached_input = counts.cached_input.max(count(walk)?);
                }
                b"cache_creation_input_tokens" => counts.cache_write = counts.cache_write.max(count(walk)?),
                b"cache_creation" if walk.is_object() => {
                    usage::counts(walk, counts, |counts, name| {
                        (name == b"ephemeral_1h_input_tokens").then_some(&mut counts.parts.cache_write_1h)
                    })?;
                }
                b"prompt_tokens_details" | b"input_tokens_details" | b"input_token_details"
                    if walk.is_object() =>
                {
                    walk.object(|name, walk| {
                        match name {
                            b"cached_tokens" => counts.cached_input = counts.cached_input.max(count(walk)?),
                            b"cache_write_tokens" | b"cache_creation_tokens" | b"cached_creation_tokens" => {
                                counts.cache_write = counts.cache_write.max(count(walk)?);
                            }
                            b"audio_tokens" => counts.parts.input_audio = count(walk)?,
                            b"image_tokens" => counts.parts.input_image = count(walk)?,
                            _ => drop(walk.value()?),
                        }
                        Ok(())
                    })?
                }
                b"completion_tokens_details" | b"output_tokens_details" if walk.is_object() => {
                    usage::counts(walk, counts, |counts, name| match name {
                        b"reasoning_tokens" => Some(&mut counts.reasoning),
                        b"audio_tokens" => Some(&mut counts.parts.output_audio),
                        b"image_tokens" => Some(&mut counts.parts.output_image),
                        _ => None,
                    })?;
                }
                _ => drop(walk.value()?),
            }
            Ok(())
        })
    }

    /// What was used, if it can be true.
    fn tokens(&self) -> Option<Tokens> {
        let Self { any, mut prompt, output, total, cached_input, cache_write, reasoning, mut parts } = *self;
        // Where nothing is produced some report a total and nothing else.
        if !any {
            prompt = total;
        }
        let cache = cached_input + cache_write;
        let beyond = Beyond::of(total.saturating_sub(prompt + output), reasoning, cache);
        let (output, reasoning) = (output + beyond.output, reasoning.max(beyond.output));
        if !(any || total > 0) || reasoning > output {
            return None;
        }
        let input = (prompt + beyond.cache).checked_sub(cache)?;
        // Sound and images may lie in what a cache served; there they have no price of their own.
        parts.input_audio = parts.input_audio.min(input);
        parts.input_image = parts.input_image.min(input - parts.input_audio);
        let silent = (output - reasoning).checked_sub(parts.output_audio)?;
        let possible = parts.cache_write_1h <= cache_write && parts.output_image <= silent;
        possible.then_some(Tokens { input, cached_input, cache_write, output, reasoning, parts })
    }
}

/// Seconds, begun ones whole, from a number that may have decimals.
pub(super) fn whole_seconds(number: &[u8]) -> Result<u64, Malformed> {
    let text = std::str::from_utf8(number).map_err(|_| Malformed)?;
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(decimals) {
        return Err(Malformed);
    }
    let whole: u64 = whole.parse().map_err(|_| Malformed)?;
    let seconds = whole.saturating_add(u64::from(decimals.bytes().any(|digit| digit != b'0')));
    if seconds <= MOST { Ok(seconds) } else { Err(Malformed) }
}

/// What `total_tokens` has beyond prompt and completion.
struct Beyond {
    /// Reasoning that is not in the completion.
    output: u64,
    /// Cache reads and writes that are not in the prompt.
    cache: u64,
}

impl Beyond {
    /// Finds what explains `rest`. A rest that nothing explains is nothing that was reported.
    const fn of(rest: u64, reasoning: u64, cache: u64) -> Self {
        let sum = reasoning + cache;
        match rest {
            0 => Self { output: 0, cache: 0 },
            _ if rest == reasoning => Self { output: rest, cache: 0 },
            _ if rest == cache => Self { output: 0, cache },
            _ if rest == sum => Self { output: reasoning, cache },
            _ if reasoning == 0 => Self { output: rest, cache: 0 },
            _ => Self { output: 0, cache: 0 },
        }
    }
}

#[cfg(test)]
mod tests;
