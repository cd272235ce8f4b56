//! What a caller says.

use serde_json::Value;

use super::{decoded, strings};
use crate::json::text_length;

/// An event of a caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// What it is, where it says so.
    pub kind: String,
    /// What it brings into the conversation.
    pub brings: Brought,
    /// The models that it names for the session or a response.
    models: Vec<String>,
    /// The models that it names for writing down what is heard.
    pub transcription: Vec<String>,
    /// What it says to the model that writes down what is heard.
    pub hints: Hints,
    /// What kinds of session it asks for.
    sessions: Vec<String>,
}

/// What an event brings into the conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Brought {
    /// Bytes that are neither sound nor pictures: no text in it is longer.
    pub text: u64,
    /// Bytes of what is said in it, and not only says what it is.
    pub words: u64,
    /// Bytes of sound.
    pub sound: u64,
    /// Pictures.
    pub images: u64,
}

/// Text for the model that writes down what is heard, in bytes. It reads that again with each piece of sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    prompt: u64,
    others: u64,
}

impl Hints {
    /// The most that may be in force once `later` was said, too: a prompt takes the place of the one before, and anything
    /// else may stay beside what was there.
    #[must_use]
    pub fn and(self, later: Self) -> Self {
        Self { prompt: self.prompt.max(later.prompt), others: self.others.saturating_add(later.others) }
    }

    /// The most tokens that it has: none is shorter than a byte.
    #[must_use]
    pub const fn most_tokens(self) -> u64 {
        self.prompt.saturating_add(self.others)
    }

    fn hears(&mut self, path: &str, raw: &[u8]) {
        let below = |place: &&str| path.strip_prefix(*place)?.strip_prefix('.');
        match TRANSCRIBERS.iter().find_map(below) {
            None | Some("model") => {}
            Some("prompt") => self.prompt = self.prompt.saturating_add(text_length(raw)),
            Some(_) => self.others = self.others.saturating_add(text_length(raw)),
        }
    }
}

/// Why an event cannot go on. The text is the outside message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// It is no JSON object.
    #[error("an event must be a JSON object")]
    Malformed,
    /// It says twice what it is.
    #[error("type must stand once in an event")]
    TypeTwice,
    /// It names another model than the session has.
    #[error("the model of a session cannot be changed")]
    OtherModel,
    /// It names two models for writing down what is heard.
    #[error("transcription.model must be one model")]
    TranscriptionTwice,
    /// It asks for answers where what is heard is only written down.
    #[error("a transcription session has no responses: type of its session must be transcription")]
    NoResponses,
}

/// Where an event may name the model of the session.
const MODELS: [&str; 2] = ["session.model", "response.model"];
/// Where it may say how what is heard is written down: in the words of either version of the dialect.
const TRANSCRIBERS: [&str; 3] =
    ["session.audio.input.transcription", "session.input_audio_transcription", "input_audio_transcription"];
/// Where it may name the model that does it.
const TRANSCRIPTION: [&str; 3] = [
    "session.audio.input.transcription.model",
    "session.input_audio_transcription.model",
    "input_audio_transcription.model",
];

/// Members that only say what something is.
const STRUCTURE: [&str; 11] = [
    "type",
    "role",
    "id",
    "object",
    "status",
    "model",
    "event_id",
    "item_id",
    "previous_item_id",
    "call_id",
    "voice",
];

/// Reads an event.
///
/// # Errors
/// [`EventError`].
pub fn read(text: &str) -> Result<Event, EventError> {
    let mut event = Event::default();
    let mut kinds = 0;
    let mut heavy = 0;
    let visited = strings::visit(text.as_bytes(), |path, raw| {
        let last = path.rsplit('.').next().unwrap_or_default();
        event.hints.hears(path, raw);
        match path {
            "type" => (kinds, event.kind) = (kinds + 1, plain(raw)),
            "session.type" => event.sessions.push(plain(raw)),
            path if MODELS.contains(&path) => event.models.push(plain(raw)),
            path if TRANSCRIPTION.contains(&path) => event.transcription.push(plain(raw)),
            _ if last == "audio" => {
                heavy += raw.len();
                event.brings.sound += decoded(raw.len());
            }
            _ if last == "image_url" || path.ends_with("image_url.url") => {
                heavy += raw.len();
                event.brings.images += 1;
            }
            _ if STRUCTURE.contains(&last) => {}
            _ => event.brings.words += text_length(raw),
        }
    });
    visited.map_err(|_| EventError::Malformed)?;
    if kinds > 1 {
        return Err(EventError::TypeTwice);
    }
    if event.transcription.windows(2).any(|two| two.first() != two.last()) {
        return Err(EventError::TranscriptionTwice);
    }
    event.brings.text = text.len().saturating_sub(heavy) as u64;
    Ok(event)
}

impl Event {
    /// The event as the upstream gets it, whose names for models `upstream` gives; `None` where it goes as it is.
    ///
    /// # Errors
    /// It names another than the session's `model`.
    pub fn renamed<'a>(
        &'a self,
        text: &str,
        model: &str,
        upstream: impl Fn(&'a str) -> &'a str,
    ) -> Result<Option<String>, EventError> {
        if self.models.iter().any(|named| named != model) {
            return Err(EventError::OtherModel);
        }
        let renamed = |named: &'a String| (upstream(named) != named).then(|| upstream(named));
        let (own, writes) =
            (self.models.first().and_then(renamed), self.transcription.first().and_then(renamed));
        if own.is_none() && writes.is_none() {
            return Ok(None);
        }
        let mut event: Value = serde_json::from_str(text).map_err(|_| EventError::Malformed)?;
        for (places, name) in [(MODELS.as_slice(), own), (TRANSCRIPTION.as_slice(), writes)] {
            let Some(name) = name else { continue };
            for place in places {
                if let Some(named) = event.pointer_mut(&format!("/{}", place.replace('.', "/"))) {
                    *named = Value::from(name);
                }
            }
        }
        Ok(Some(event.to_string()))
    }

    /// Checks that it may pass in a session in which `model` writes down what is heard, and nobody answers.
    ///
    /// # Errors
    /// It asks for a response, or for another model or kind of session.
    pub fn only_writes_down(&self, model: &str) -> Result<(), EventError> {
        if self.kind.starts_with("response.") || self.sessions.iter().any(|kind| kind != "transcription") {
            return Err(EventError::NoResponses);
        }
        let others = |named: &[String]| named.iter().any(|named| named != model);
        if others(&self.transcription) || others(&self.models) {
            return Err(EventError::OtherModel);
        }
        Ok(())
    }
}

/// A string without its escapes.
pub(super) fn plain(raw: &[u8]) -> String {
    let quoted = [b"\"", raw, b"\""].concat();
    serde_json::from_slice(&quoted).unwrap_or_else(|_| String::from_utf8_lossy(raw).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weighs_what_an_event_brings() {
        for (text, heavy, words, sound, images) in [
            (r#"{"type":"input_audio_buffer.append","audio":"AAAAAAAA"}"#, 8, 0, 6, 0),
            (r#"{"item":{"content":[{"type":"input_audio","audio":"AAAA"},{"text":"abc"}]}}"#, 4, 3, 3, 0),
            (r#"{"item":{"content":[{"image_url":"data:image/png;base64,AAAA"}]}}"#, 26, 0, 0, 1),
            (r#"{"item":{"content":[{"image_url":{"url":"https://x"}}]}}"#, 9, 0, 0, 1),
        ] {
            let brings = Brought { text: text.len() as u64 - heavy, words, sound, images };
            assert_eq!(read(text).unwrap().brings, brings, "{text}");
        }
    }

    #[test]
    fn the_model_of_a_session_stays() {
        let text = r#"{"type":"session.update","session":{"model":"m","tools":[1.50]}}"#;
        let event = read(text).unwrap();
        assert_eq!(event.renamed(text, "m", |named| named), Ok(None));
        assert_eq!(event.renamed(text, "other", |named| named), Err(EventError::OtherModel));
        let renamed = event.renamed(text, "m", |_| "theirs").unwrap().unwrap();
        assert!(renamed.contains(r#""model":"theirs""#), "{renamed}");
        let twice = r#"{"session":{"model":"m"},"session":{"mod\u0065l":"n"}}"#;
        assert_eq!(read(twice).unwrap().renamed(twice, "m", |named| named), Err(EventError::OtherModel));
    }

    #[test]
    fn who_writes_down_has_its_upstreams_name() {
        for text in [
            r#"{"session":{"type":"transcription","audio":{"input":{"transcription":{"model":"t"}}}}}"#,
            r#"{"type":"transcription_session.update","session":{"input_audio_transcription":{"model":"t"}}}"#,
            r#"{"type":"transcription_session.update","input_audio_transcription":{"model":"t","n":1}}"#,
        ] {
            let event = read(text).unwrap();
            assert_eq!(event.transcription, ["t"]);
            let theirs = |named| if named == "t" { "theirs" } else { named };
            let renamed = event.renamed(text, "m", theirs).unwrap().unwrap();
            assert!(renamed.contains(r#""model":"theirs""#), "{renamed}");
            assert_eq!(event.only_writes_down("t"), Ok(()));
            assert_eq!(event.only_writes_down("m"), Err(EventError::OtherModel));
        }
        for text in [r#"{"type":"response.create"}"#, r#"{"session":{"type":"realtime"}}"#] {
            assert_eq!(read(text).unwrap().only_writes_down("t"), Err(EventError::NoResponses));
        }
    }

    #[test]
    fn weighs_what_is_said_to_who_writes_down() {
        let hints = |text: &str| read(text).unwrap().hints;
        let of = |prompt, others| Hints { prompt, others };
        for (text, expected) in [
            (
                r#"{"session":{"audio":{"input":{"transcription":{"model":"t","prompt":"h\u00e9","language":"en"}}}}}"#,
                of(3, 2),
            ),
            (r#"{"session":{"input_audio_transcription":{"prom\u0070t":"abc","prompt":"d"}}}"#, of(4, 0)),
            (r#"{"input_audio_transcription":{"prompt":"abc","words":["type",{"type":"x"}]}}"#, of(3, 5)),
            (r#"{"session":{"instructions":"abc","input_audio_transcription":"x"}}"#, of(0, 0)),
        ] {
            assert_eq!(hints(text), expected, "{text}");
        }
        assert_eq!(of(3, 2).and(of(1, 4)).most_tokens(), 9);
    }

    #[test]
    fn refuses_what_could_be_read_in_two_ways() {
        for (text, error) in [
            (r#"{"type":"a","type":"b"}"#.to_owned(), EventError::TypeTwice),
            (
                r#"{"session":{"input_audio_transcription":{"model":"a"},"audio":{"input":{"transcription":{"model":"b"}}}}}"#
                    .to_owned(),
                EventError::TranscriptionTwice,
            ),
            ("[]".to_owned(), EventError::Malformed),
            ("{} {}".to_owned(), EventError::Malformed),
            (format!("{{\"a\":{}", "[".repeat(100_000)), EventError::Malformed),
        ] {
            assert_eq!(read(&text), Err(error));
        }
    }
}
