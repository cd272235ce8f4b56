//! What an upstream says.

use super::{Format, client::plain, decoded, usage};
use crate::{
    json::{Malformed, Walk, text_length},
    openai::usage::Reported,
};

/// An event of an upstream, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// How the session is now.
    Session(Session),
    /// A response begins.
    Began(String),
    /// A piece of one.
    Piece {
        /// The response.
        response: String,
        /// Bytes of text.
        text: u64,
        /// Bytes of sound.
        sound: u64,
    },
    /// A response has ended.
    Ended {
        /// The response.
        response: String,
        /// What it used.
        reported: Reported,
        /// Whether it became a part of the conversation, with all that was said before.
        joined: bool,
    },
    /// A piece of sound is whole: it is to be written down.
    Committed,
    /// What is heard is being written down: so many bytes more.
    Hearing(u64),
    /// What was heard has been written down.
    Heard(Reported),
    /// It cannot be.
    NotHeard,
    /// Something went wrong.
    Error,
    /// Anything else.
    Other,
}

/// How a session is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// How sound comes in, where that is said.
    pub input: Option<Format>,
    /// How it goes out.
    pub output: Option<Format>,
}

/// The members of an event.
#[derive(Default)]
struct Members<'a> {
    kind: String,
    response_id: String,
    delta: &'a [u8],
    response: &'a [u8],
    session: &'a [u8],
    usage: &'a [u8],
}

/// Reads an event; what is none is [`Event::Other`].
#[must_use]
pub fn read(text: &str) -> Event {
    Members::read(text.as_bytes()).map_or(Event::Other, |members| members.event())
}

/// Whether it is the greeting of a session: in the words of either version of the dialect.
#[must_use]
pub fn is_greeting(text: &str) -> bool {
    let is = |kind: &str| matches!(kind, "session.created" | "transcription_session.created");
    Members::read(text.as_bytes()).is_ok_and(|members| is(&members.kind))
}

impl<'a> Members<'a> {
    fn read(text: &'a [u8]) -> Result<Self, Malformed> {
        let mut found = Self::default();
        Walk::new(text).object(|name, walk| {
            match name {
                b"type" if walk.is_string() => found.kind = plain(walk.string()?),
                b"response_id" if walk.is_string() => found.response_id = plain(walk.string()?),
                b"delta" if walk.is_string() => found.delta = walk.string()?,
                b"response" => found.response = walk.value()?,
                b"session" => found.session = walk.value()?,
                b"usage" => found.usage = walk.value()?,
                _ => drop(walk.value()?),
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn event(self) -> Event {
        match self.kind.as_str() {
            "session.created"
            | "session.updated"
            | "transcription_session.created"
            | "transcription_session.updated" => {
                Session::read(self.session).map_or(Event::Other, Event::Session)
            }
            "response.created" => response(self.response).map_or(Event::Other, |(id, ..)| Event::Began(id)),
            "response.done" => response(self.response).map_or(Event::Other, |(response, usage, joined)| {
                Event::Ended { response, reported: usage.map_or(Reported::Absent, usage::read), joined }
            }),
            "conversation.item.input_audio_transcription.delta" => Event::Hearing(text_length(self.delta)),
            "conversation.item.input_audio_transcription.completed" => Event::Heard(match self.usage {
                [] => Reported::Absent,
                usage => usage::read(usage),
            }),
            "conversation.item.input_audio_transcription.failed" => Event::NotHeard,
            "input_audio_buffer.committed" => Event::Committed,
            "error" => Event::Error,
            kind if kind.starts_with("response.") && kind.ends_with(".delta") => {
                let sound = kind.contains("audio.");
                let (text, sound) = match sound {
                    true => (0, decoded(self.delta.len())),
                    false => (text_length(self.delta), 0),
                };
                Event::Piece { response: self.response_id, text, sound }
            }
            _ => Event::Other,
        }
    }
}

/// The id of a response, its usage, and whether it is a part of a conversation.
fn response(raw: &[u8]) -> Result<(String, Option<&[u8]>, bool), Malformed> {
    let (mut id, mut usage, mut joined) = (String::new(), None, false);
    Walk::new(raw).object(|name, walk| {
        match name {
            b"id" if walk.is_string() => id = plain(walk.string()?),
            b"usage" => usage = Some(walk.value()?),
            b"conversation_id" => joined = walk.value()? != b"null",
            _ => drop(walk.value()?),
        }
        Ok(())
    })?;
    Ok((id, usage, joined))
}

impl Session {
    /// Reads it in the words of either version of the dialect.
    fn read(raw: &[u8]) -> Result<Self, Malformed> {
        let mut found = Self::default();
        Walk::new(raw).object(|name, walk| {
            match name {
                b"input_audio_format" if walk.is_string() => {
                    found.input = Some(Format::named(&plain(walk.string()?), None));
                }
                b"output_audio_format" if walk.is_string() => {
                    found.output = Some(Format::named(&plain(walk.string()?), None));
                }
                b"audio" if walk.is_object() => walk.object(|name, walk| {
                    match name {
                        b"input" if walk.is_object() => found.input = direction(walk)?.or(found.input),
                        b"output" if walk.is_object() => found.output = direction(walk)?.or(found.output),
                        _ => drop(walk.value()?),
                    }
                    Ok(())
                })?,
                _ => drop(walk.value()?),
            }
            Ok(())
        })?;
        Ok(found)
    }
}

/// The format of one direction.
fn direction(walk: &mut Walk<'_>) -> Result<Option<Format>, Malformed> {
    let mut found = None;
    walk.object(|name, walk| {
        match name {
            b"format" if walk.is_object() => {
                let (mut kind, mut rate) = (String::new(), None);
                walk.object(|name, walk| {
                    match name {
                        b"type" if walk.is_string() => kind = plain(walk.string()?),
                        b"rate" => rate = walk.whole()?,
                        _ => drop(walk.value()?),
                    }
                    Ok(())
                })?;
                found = Some(Format::named(&kind, rate));
            }
            _ => drop(walk.value()?),
        }
        Ok(())
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_matters() {
        let piece = |text, sound| Event::Piece { response: "r".to_owned(), text, sound };
        let pcm = |rate: u64| Some(Format { bytes_per_second: 2 * rate });
        let ended = |joined| Event::Ended { response: "r".to_owned(), reported: Reported::Absent, joined };
        for (text, expected) in [
            (r#"{"type":"response.output_text.delta","response_id":"r","delta":"a\n"}"#, piece(2, 0)),
            (r#"{"type":"response.output_audio.delta","response_id":"r","delta":"AAAAAAAA"}"#, piece(0, 6)),
            (r#"{"type":"response.audio.delta","response_id":"r","delta":"AAAA"}"#, piece(0, 3)),
            (
                r#"{"type":"response.output_audio_transcript.delta","response_id":"r","delta":"ab"}"#,
                piece(2, 0),
            ),
            (r#"{"response":{"id":"r","usage":null},"type":"response.done"}"#, ended(false)),
            (r#"{"type":"response.done","response":{"id":"r","conversation_id":"c"}}"#, ended(true)),
            (r#"{"type":"response.created","response":{"id":"r"}}"#, Event::Began("r".to_owned())),
            (
                r#"{"type":"session.updated","session":{"audio":{"input":{"format":{"type":"audio/pcm","rate":16000}},
                    "output":{"format":{"type":"audio/pcmu"}}}}}"#,
                Event::Session(Session { input: pcm(16_000), output: Some(Format::LEAST) }),
            ),
            (
                r#"{"type":"session.created","session":{"input_audio_format":"pcm16"}}"#,
                Event::Session(Session { input: pcm(24_000), output: None }),
            ),
            (
                r#"{"type":"transcription_session.updated","session":{"input_audio_format":"pcm16"}}"#,
                Event::Session(Session { input: pcm(24_000), output: None }),
            ),
            (
                r#"{"type":"conversation.item.input_audio_transcription.delta","delta":"ab\u00e9"}"#,
                Event::Hearing(4),
            ),
            (r#"{"type":"input_audio_buffer.committed","item_id":"i"}"#, Event::Committed),
            (r#"{"type":"conversation.item.input_audio_transcription.failed","error":{}}"#, Event::NotHeard),
            (r#"{"type":"error","error":{}}"#, Event::Error),
            ("nonsense", Event::Other),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }
}
