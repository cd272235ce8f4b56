//! A whole answer: what it reports, and how much text it carries.

use super::{
    estimate,
    text::Text,
    usage::{self, Reported},
};
use crate::json::{Malformed, Walk, text_length};

/// What was read from an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The provider's own report.
    pub reported: Reported,
    /// An estimate of the output tokens from the text that is there.
    pub estimated_output: u64,
    /// Seconds of the sound that was heard, where the answer says it beside its usage.
    pub seconds: u64,
    /// The images that were made, in an answer of images; `None` where it has no list of them.
    pub items: Option<u64>,
    /// Bytes of the sound that it carries, in an answer of speech.
    pub sound: u64,
    /// Whether it is an error in the clothes of an answer: an `error` and nothing else that counts.
    pub is_error: bool,
    /// Whether it is a JSON object at all, from its first byte to its last.
    pub is_whole: bool,
}

/// Reads the body of an answer. A body that is no JSON has an [`Answer`] too: it reports nothing that can be true.
#[must_use]
pub fn read(body: &[u8]) -> Answer {
    members(Walk::new(body)).unwrap_or_else(|Malformed| {
        let estimated_output = estimate(body.len() as u64);
        Answer { reported: Reported::Absurd, estimated_output, ..Answer::default() }
    })
}

fn members(mut walk: Walk<'_>) -> Result<Answer, Malformed> {
    let mut answer = Answer::default();
    let (mut error, mut content) = (false, false);
    walk.object(|name, walk| {
        if walk.is_null() {
            return walk.value().map(drop);
        }
        match name {
            b"usage" => answer.reported = usage::next(walk)?,
            b"choices" => {
                content = true;
                walk.array(|walk| {
                    walk.object(|name, walk| {
                        match name {
                            b"message" => answer.estimated_output += Text::read(walk)?.tokens(),
                            // The older completions.
                            b"text" if walk.is_string() => {
                                answer.estimated_output += estimate(text_length(walk.string()?));
                            }
                            _ => drop(walk.value()?),
                        }
                        Ok(())
                    })
                })?;
            }
            // What was heard in sound.
            b"text" if walk.is_string() => {
                content = true;
                answer.estimated_output += estimate(text_length(walk.string()?));
            }
            b"duration" => answer.seconds = usage::whole_seconds(walk.value()?).unwrap_or(0),
            // Images that are no OpenAI's come under the second name.
            b"data" | b"images" if walk.is_array() => {
                content = true;
                let mut items = 0;
                walk.array(|walk| {
                    items += 1;
                    walk.value().map(drop)
                })?;
                answer.items = answer.items.max(Some(items));
            }
            b"audio" | b"data" if walk.is_string() => {
                content = true;
                answer.sound += text_length(walk.string()?) / 4 * 3;
            }
            _ => {
                error |= name == b"error";
                walk.value()?;
            }
        }
        Ok(())
    })?;
    walk.end()?;
    answer.is_error = error && !content;
    answer.is_whole = true;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use model::usage::Tokens;

    use super::*;

    #[test]
    fn reads_usage_and_text() {
        let answer = read(br#"{"id":"x","choices":[{"message":{"role":"assistant","content":"12345"}},{"message":{"content":null,"tool_calls":[{"id":"a","function":{"name":"look","arguments":"{}"}}]}}],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#);
        assert_eq!(answer.reported, Reported::Good(Tokens { input: 3, output: 4, ..Tokens::default() }));
        assert_eq!(answer.estimated_output, 2 + 2);
        assert_eq!(read(br#"{"choices":[{"text":"12345"},{"text":null}]}"#).estimated_output, 2);
        assert_eq!(read(br#"{"data":[{},{}]}"#).items, Some(2));
        assert_eq!((read(br#"{"url":"u"}"#).items, read(br#"{"data":[]}"#).items), (None, Some(0)));
        assert_eq!(read(br#"{"audio":"c291bmQ="}"#).sound, 6);
        assert!(read(br#"{"error":{"message":"no"}}"#).is_error);
        assert!(!read(br#"{"error":null,"choices":[]}"#).is_error);
        assert_eq!(read(br#"{"data":[]}"#).reported, Reported::Absent);
        for (body, is_whole) in [
            (r#"{"choices":[],"usage":{"prompt_tokens":NaN}}"#, true),
            (r#"{"choices":[]"#, false),
            (r#"{"choices":[]}<html>"#, false),
            ("<html>", false),
            ("", false),
        ] {
            assert_eq!(read(body.as_bytes()).is_whole, is_whole, "{body}");
        }
        assert_eq!(read(br#"{"usage":{"prompt_tokens":NaN}}"#).reported, Reported::Absurd);
    }
}
