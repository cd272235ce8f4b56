//! What the responses dialect reports as used: cached input inside the input, reasoning inside the output.

use crate::{
    json::{Malformed, Walk},
    usage::{self, Report, Usage, count},
};

/// Reads a `usage` member.
#[must_use]
pub fn read(usage: &[u8]) -> Report {
    if usage == b"null" {
        return Report::Absent;
    }
    counts_of(usage).unwrap_or(Report::Absurd)
}

fn counts_of(usage: &[u8]) -> Result<Report, Malformed> {
    let (mut any, mut all) = (false, 0);
    let mut counts = Usage::default();
    Walk::new(usage).object(|name, walk| {
        match name {
            b"input_tokens" => (any, all) = (true, count(walk)?),
            b"output_tokens" => (any, counts.output) = (true, count(walk)?),
            b"input_tokens_details" if walk.is_object() => {
                usage::counts(walk, &mut counts, |counts, name| match name {
                    b"cached_tokens" => Some(&mut counts.cached_input),
                    b"cache_write_tokens" | b"cache_creation_tokens" => Some(&mut counts.cache_write),
                    b"audio_tokens" => Some(&mut counts.audio_input),
                    b"image_tokens" => Some(&mut counts.image_input),
                    _ => None,
                })?;
            }
            b"output_tokens_details" if walk.is_object() => {
                usage::counts(walk, &mut counts, |counts, name| match name {
                    b"reasoning_tokens" => Some(&mut counts.reasoning),
                    b"audio_tokens" => Some(&mut counts.audio_output),
                    b"image_tokens" => Some(&mut counts.image_output),
                    _ => None,
                })?;
            }
            _ => drop(walk.value()?),
        }
        Ok(())
    })?;
    if !any {
        return Ok(Report::Absent);
    }
    counts.input = all.checked_sub(counts.cached_input + counts.cache_write).ok_or(Malformed)?;
    Ok(Report::of(counts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_parts_from_their_whole() {
        let expected = Usage {
            input: 20,
            cached_input: 60,
            cache_write: 10,
            output: 40,
            reasoning: 12,
            ..Usage::default()
        };
        let usage = br#"{"input_tokens":90,"input_tokens_details":{"cached_tokens":60,"cache_write_tokens":10},"output_tokens":40,
            "output_tokens_details":{"reasoning_tokens":12},"total_tokens":130}"#;
        assert_eq!(read(usage), Report::Good(expected));
    }

    #[test]
    fn does_not_believe_what_cannot_be() {
        for (usage, expected) in [
            ("null", Report::Absent),
            ("{}", Report::Absent),
            ("[]", Report::Absurd),
            (r#"{"input_tokens":1,"input_tokens_details":{"cached_tokens":2}}"#, Report::Absurd),
            (r#"{"output_tokens":1,"output_tokens_details":{"reasoning_tokens":2}}"#, Report::Absurd),
            (r#"{"input_tokens":-1}"#, Report::Absurd),
        ] {
            assert_eq!(read(usage.as_bytes()), expected, "{usage}");
        }
    }
}
