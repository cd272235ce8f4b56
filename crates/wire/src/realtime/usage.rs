//! The usage of a response, or of what was written down of what was heard.
//!
//! It has the members of other answers of OpenAI's, and says of what a cache served how much was text, sound and images.
//! Source: OpenAI's reference of `response.done` and `conversation.item.input_audio_transcription.completed`.

use crate::{
    json::{Malformed, Walk},
    openai::usage::{self, Reported},
    usage::{count, counts},
};

/// Reads a usage.
pub(super) fn read(raw: &[u8]) -> Reported {
    let Reported::Good(mut tokens) = usage::read(raw) else { return usage::read(raw) };
    let Ok(details) = Details::read(raw) else { return Reported::Absurd };
    let fresh = |all: u64, cached: u64| all.saturating_sub(cached);
    let parts = &mut tokens.parts;
    parts.input_audio = fresh(details.audio, details.cached_audio).min(tokens.input);
    parts.input_image = fresh(details.image, details.cached_image).min(tokens.input - parts.input_audio);
    let seen = tokens.output.saturating_sub(tokens.reasoning);
    if details.output_audio > seen {
        return Reported::Absurd;
    }
    parts.output_audio = details.output_audio;
    Reported::Good(tokens)
}

#[derive(Default)]
struct Details {
    audio: u64,
    image: u64,
    cached_audio: u64,
    cached_image: u64,
    output_audio: u64,
}

impl Details {
    fn read(raw: &[u8]) -> Result<Self, Malformed> {
        let mut found = Self::default();
        Walk::new(raw).object(|name, walk| {
            match name {
                b"input_token_details" if walk.is_object() => walk.object(|name, walk| {
                    match name {
                        b"audio_tokens" => found.audio = count(walk)?,
                        b"image_tokens" => found.image = count(walk)?,
                        b"cached_tokens_details" if walk.is_object() => {
                            counts(walk, &mut found, |found, name| match name {
                                b"audio_tokens" => Some(&mut found.cached_audio),
                                b"image_tokens" => Some(&mut found.cached_image),
                                _ => None,
                            })?;
                        }
                        _ => drop(walk.value()?),
                    }
                    Ok(())
                })?,
                b"output_token_details" if walk.is_object() => {
                    counts(walk, &mut found, |found, name| {
                        (name == b"audio_tokens").then_some(&mut found.output_audio)
                    })?;
                }
                _ => drop(walk.value()?),
            }
            Ok(())
        })?;
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use model::usage::{Parts, Tokens};

    use super::*;

    #[test]
    fn sound_is_a_part_of_what_no_cache_served() {
        let usage = br#"{"total_tokens":253,"input_tokens":132,"output_tokens":121,
            "input_token_details":{"text_tokens":89,"audio_tokens":43,"image_tokens":0,"cached_tokens":64,
                "cached_tokens_details":{"text_tokens":44,"audio_tokens":20,"image_tokens":0}},
            "output_token_details":{"text_tokens":30,"audio_tokens":91}}"#;
        let parts = Parts { input_audio: 23, output_audio: 91, ..Parts::default() };
        let tokens = Tokens { input: 68, cached_input: 64, output: 121, parts, ..Tokens::default() };
        assert_eq!(read(usage), Reported::Good(tokens));
        let absurd = br#"{"input_tokens":1,"output_tokens":1,"output_token_details":{"audio_tokens":2}}"#;
        assert_eq!(read(absurd), Reported::Absurd);
        assert_eq!(read(b"null"), Reported::Absent);
    }

    #[test]
    fn what_is_heard_is_paid_for_by_tokens_or_by_time() {
        let seconds = Parts { seconds: 4, ..Parts::default() };
        let told = Reported::Good(Tokens { parts: seconds, ..Tokens::default() });
        assert_eq!(read(br#"{"type":"duration","seconds":3.2}"#), told);
    }
}
