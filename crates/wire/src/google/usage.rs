//! What Google reports as used: cached input inside the prompt, thoughts beside the candidates, and what tools put into
//! the prompt beside it.

use crate::{
    json::{Malformed, Walk},
    usage::{Report, Usage, count},
};

#[derive(Default)]
struct Counts {
    any: bool,
    prompt: u64,
    cached: u64,
    candidates: u64,
    thoughts: u64,
    tools: u64,
    total: Option<u64>,
    input: Parts,
    output: Parts,
}

/// The parts of a count by what they are of.
#[derive(Default)]
struct Parts {
    audio: u64,
    image: u64,
}

/// Reads a `usageMetadata` member.
#[must_use]
pub fn read(usage: &[u8]) -> Report {
    if usage == b"null" {
        return Report::Absent;
    }
    match counts(usage) {
        Ok(counts) if counts.any => counts.report(),
        Ok(_) => Report::Absent,
        Err(Malformed) => Report::Absurd,
    }
}

fn counts(usage: &[u8]) -> Result<Counts, Malformed> {
    let mut counts = Counts::default();
    Walk::new(usage).object(|name, walk| {
        counts.any |= matches!(name, b"promptTokenCount" | b"candidatesTokenCount");
        match name {
            b"promptTokenCount" => counts.prompt = count(walk)?,
            b"cachedContentTokenCount" => counts.cached = count(walk)?,
            b"candidatesTokenCount" => counts.candidates = count(walk)?,
            b"thoughtsTokenCount" => counts.thoughts = count(walk)?,
            b"toolUsePromptTokenCount" => counts.tools = count(walk)?,
            b"totalTokenCount" => counts.total = Some(count(walk)?),
            b"promptTokensDetails" if walk.is_array() => counts.input = parts(walk)?,
            b"candidatesTokensDetails" if walk.is_array() => counts.output = parts(walk)?,
            _ => drop(walk.value()?),
        }
        Ok(())
    })?;
    Ok(counts)
}

fn parts(walk: &mut Walk<'_>) -> Result<Parts, Malformed> {
    let mut parts = Parts::default();
    walk.array(|walk| {
        let (mut modality, mut tokens) = (b"".as_slice(), 0);
        walk.object(|name, walk| {
            match name {
                b"modality" if walk.is_string() => modality = walk.string()?,
                b"tokenCount" => tokens = count(walk)?,
                _ => drop(walk.value()?),
            }
            Ok(())
        })?;
        match modality {
            b"AUDIO" => parts.audio = parts.audio.saturating_add(tokens),
            b"IMAGE" => parts.image = parts.image.saturating_add(tokens),
            _ => {}
        }
        Ok(())
    })?;
    Ok(parts)
}

impl Counts {
    fn report(&self) -> Report {
        // Some of its doors count thoughts inside the candidates: then the total has no room for them beside.
        let inside = self.total == Some(self.prompt + self.tools + self.candidates);
        let beside = if inside { 0 } else { self.thoughts };
        let Some(input) = self.prompt.checked_sub(self.cached) else { return Report::Absurd };
        Report::of(Usage {
            input: input + self.tools,
            cached_input: self.cached,
            output: self.candidates + beside,
            reasoning: self.thoughts,
            audio_input: self.input.audio,
            image_input: self.input.image,
            tool_input: self.tools,
            audio_output: self.output.audio,
            image_output: self.output.image,
            ..Usage::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thoughts_come_on_top_unless_the_total_says_otherwise() {
        let usage = |total: u64| {
            format!(
                r#"{{"promptTokenCount":100,"cachedContentTokenCount":60,"candidatesTokenCount":40,"thoughtsTokenCount":30,
                    "toolUsePromptTokenCount":7,"totalTokenCount":{total},"promptTokensDetails":[{{"modality":"TEXT","tokenCount":80}},
                    {{"modality":"IMAGE","tokenCount":20}}],"candidatesTokensDetails":[{{"modality":"AUDIO","tokenCount":5}}]}}"#
            )
        };
        let expected = Usage {
            input: 47,
            cached_input: 60,
            output: 70,
            reasoning: 30,
            image_input: 20,
            tool_input: 7,
            audio_output: 5,
            ..Usage::default()
        };
        assert_eq!(read(usage(177).as_bytes()), Report::Good(expected));
        assert_eq!(read(usage(147).as_bytes()), Report::Good(Usage { output: 40, ..expected }));
    }

    #[test]
    fn does_not_believe_what_cannot_be() {
        for (usage, expected) in [
            ("null", Report::Absent),
            ("{}", Report::Absent),
            (r#"{"trafficType":"ON_DEMAND"}"#, Report::Absent),
            ("[]", Report::Absurd),
            (r#"{"promptTokenCount":1,"cachedContentTokenCount":2}"#, Report::Absurd),
            (r#"{"promptTokenCount":-1}"#, Report::Absurd),
            (
                r#"{"promptTokenCount":1,"promptTokensDetails":[{"modality":"AUDIO","tokenCount":9}]}"#,
                Report::Absurd,
            ),
        ] {
            assert_eq!(read(usage.as_bytes()), expected, "{usage}");
        }
    }
}
