//! Streams that are no text in a dialect: events of pictures and sound, and sound itself. They pass as they are.

use bytes::Bytes;
use model::{refusal::Refusal, usage::Parts};

use crate::{
    error::{self, Setting},
    json::{Malformed, Walk, text_length},
    openai::{
        estimate,
        stream::Pass,
        upstream_error,
        usage::{self, Reported},
    },
    sound::Meter,
    sse,
};

/// Bytes of sound in a second, and in a token, where nobody counts: compressed as most is, and as OpenAI's models for
/// speech count it.
const SECOND: u64 = 16_000;
const TOKEN: u64 = 800;

/// Seconds of so many bytes of compressed sound; an estimate.
#[must_use]
pub const fn seconds(bytes: u64) -> u64 {
    bytes.div_ceil(SECOND)
}

/// Tokens of so many bytes of compressed sound; an estimate.
#[must_use]
pub const fn tokens(bytes: u64) -> u64 {
    bytes.div_ceil(TOKEN)
}

/// The characters of a text for speech; `None` where a body has not exactly one text, of which one could be counted and
/// another one spoken.
#[must_use]
pub fn characters(body: &[u8]) -> Option<u64> {
    #[derive(serde::Deserialize)]
    struct Speech {
        input: String,
    }
    let read: Result<Speech, _> = serde_json::from_slice(body);
    read.ok().map(|speech| speech.input.chars().count() as u64)
}

/// Bytes of a query that are read beside those of the body: a reranker reads it once for each document. Whatever the lists
/// are called, their items count as documents; without a `query`, all that stands in no list is one.
#[must_use]
pub fn asked_again(body: &[u8]) -> u64 {
    let (mut query, mut listed, mut documents) = (0, 0, 0_u64);
    let read = Walk::new(body).object(|name, walk| {
        if walk.is_array() {
            let value = walk.value()?;
            listed += value.len() as u64;
            return Walk::new(value).array(|walk| {
                documents += 1;
                walk.value().map(drop)
            });
        }
        let value = walk.value()?;
        if name == b"query" {
            query += value.len() as u64;
        }
        Ok(())
    });
    let all = body.len() as u64;
    if read.is_err() || query == 0 {
        query = all.saturating_sub(listed);
    }
    query.saturating_mul(documents.saturating_sub(1))
}

/// Bytes of a second of the speech that a body asks for, where that is nothing but samples: OpenAI's have 16 bits, and 24,000
/// of them come in a second where nothing else is said.
#[must_use]
pub fn samples(body: &[u8]) -> Option<u64> {
    #[derive(serde::Deserialize)]
    struct Speech {
        response_format: Option<String>,
        sample_rate: Option<u64>,
    }
    let speech: Speech = serde_json::from_slice(body).ok()?;
    let rate = speech.sample_rate.filter(|rate| (4_000..=192_000).contains(rate));
    (speech.response_format? == "pcm").then_some(rate.unwrap_or(24_000) * 2)
}

/// The reader of a stream of events, each of which names its type. The last one's type ends with `.completed` or `.done`.
#[derive(Debug, Default)]
pub struct Events {
    /// Seconds of the sound that is heard.
    heard: u64,
    /// Bytes of sound that passed.
    sound: u64,
    reported: Reported,
    delivered: u64,
    images: u64,
    /// Images that were asked for.
    drawn: u64,
    finished: bool,
}

#[derive(Default)]
struct Said<'a> {
    kind: &'a [u8],
    usage: Option<&'a [u8]>,
    error: Option<&'a [u8]>,
    picture: bool,
    text: u64,
    sound: u64,
}

impl<'a> Said<'a> {
    fn read(data: &'a [u8]) -> Result<Self, Malformed> {
        let mut said = Self::default();
        let mut walk = Walk::new(data);
        walk.object(|name, walk| {
            match name {
                _ if walk.is_null() => drop(walk.value()?),
                b"type" if walk.is_string() => said.kind = walk.string()?,
                b"usage" => said.usage = Some(walk.value()?),
                b"error" => said.error = Some(walk.value()?),
                b"b64_json" | b"url" => {
                    said.picture = true;
                    walk.value()?;
                }
                b"delta" if walk.is_string() => said.text = text_length(walk.string()?),
                b"audio" if walk.is_string() => said.sound = text_length(walk.string()?) / 4 * 3,
                _ => drop(walk.value()?),
            }
            Ok(())
        })?;
        walk.end().map(|()| said)
    }
}

impl Events {
    /// Begins, with the seconds of the sound that the request brought and the images that it asks for, where they are paid for.
    #[must_use]
    pub fn new(heard: u64, drawn: u64) -> Self {
        Self { heard, drawn, ..Self::default() }
    }

    /// Takes in one event.
    pub fn event(&mut self, event: Bytes) -> Pass {
        let pass = |bytes, error| Pass { bytes: Some(bytes), done: false, error };
        let Some(data) = sse::data(&event) else { return pass(event, false) };
        if data.trim_ascii() == b"[DONE]" {
            self.finished = true;
            return Pass { bytes: Some(event), done: true, error: false };
        }
        let Ok(said) = Said::read(&data) else {
            self.delivered += estimate(data.len() as u64);
            return pass(event, false);
        };
        if let Some(error) = said.error {
            return pass(Bytes::from(upstream_error::event(error)), true);
        }
        self.reported.merge(said.usage.map_or(Reported::Absent, usage::read));
        self.delivered += estimate(said.text) + tokens(said.sound);
        let ends = said.kind.ends_with(b".completed") || said.kind.ends_with(b".done");
        self.sound += said.sound;
        self.images += u64::from(said.picture && ends);
        self.finished |= ends;
        pass(event, false)
    }

    /// Ends the stream with an error of the gateway's own.
    pub(crate) fn fail(refusal: &Refusal, setting: Setting<'_>) -> Bytes {
        Bytes::from(error::event(refusal, error::Dialect::OpenAi, setting))
    }

    pub(crate) const fn reported(&self) -> Reported {
        self.reported
    }

    pub(crate) const fn delivered(&self) -> u64 {
        self.delivered
    }

    pub(crate) const fn finished(&self) -> bool {
        self.finished
    }

    pub(crate) fn pieces(&self) -> Parts {
        let heard = if self.delivered > 0 || self.finished { self.heard } else { 0 };
        // What has ended has made what was asked for, in whatever words.
        let images = if self.finished && self.images == 0 { self.drawn } else { self.images };
        Parts { images, seconds: heard.max(seconds(self.sound)), ..Parts::default() }
    }

    /// Whether that is no count.
    pub(crate) const fn guesses(&self) -> bool {
        self.heard > 0 || self.sound > 0 || self.finished && self.images == 0 && self.drawn > 0
    }
}

/// Sound that passes.
#[derive(Debug, Default)]
pub struct Sound {
    meter: Meter,
    ended: bool,
}

impl Sound {
    /// Begins. `samples`: bytes of a second, where nothing but samples was asked for.
    #[must_use]
    pub fn new(samples: Option<u64>) -> Self {
        Self { meter: Meter::new(samples), ended: false }
    }

    /// Takes in a piece of it.
    pub(crate) fn piece(&mut self, piece: Bytes) -> Pass {
        self.meter.take(&piece);
        Pass { bytes: Some(piece), done: false, error: false }
    }

    /// The upstream has ended it, as its framing says.
    pub(crate) const fn end(&mut self) {
        self.ended = true;
    }

    pub(crate) const fn delivered(&self) -> u64 {
        tokens(self.meter.bytes())
    }

    pub(crate) const fn finished(&self) -> bool {
        self.ended
    }

    pub(crate) fn pieces(&self) -> Parts {
        Parts { seconds: self.meter.seconds(), ..Parts::default() }
    }

    /// Whether that is no count.
    pub(crate) fn guesses(&self) -> bool {
        self.meter.exact().is_none()
    }
}

#[cfg(test)]
mod tests {
    use model::usage::Tokens;

    use super::*;

    fn event(data: &str) -> Bytes {
        Bytes::from(format!("data: {data}\n\n"))
    }

    #[test]
    fn events_pass_and_are_counted() {
        let mut events = Events::default();
        let partial = event(r#"{"type":"image_generation.partial_image","b64_json":"AAAA"}"#);
        assert_eq!(events.event(partial.clone()).bytes, Some(partial));
        assert!(!events.finished());
        events.event(event(
            r#"{"type":"image_generation.completed","b64_json":"AAAA","usage":{"input_tokens":3,"output_tokens":9}}"#,
        ));
        assert!(events.finished());
        assert_eq!(events.pieces().images, 1);
        let mut wordless = Events::new(0, 3);
        wordless.event(event(r#"{"type":"image_generation.completed"}"#));
        assert_eq!((wordless.pieces().images, wordless.guesses()), (3, true));
        assert_eq!(events.reported(), Reported::Good(Tokens { input: 3, output: 9, ..Tokens::default() }));
        let mut heard = Events::default();
        heard.event(event(r#"{"type":"transcript.text.delta","delta":"12345"}"#));
        assert_eq!((heard.delivered(), heard.finished()), (2, false));
        let failed = heard.event(event(r#"{"error":{"message":"bad key sk-abcdefghijkl"}}"#));
        assert!(failed.error && !String::from_utf8_lossy(&failed.bytes.unwrap()).contains("sk-abc"));
    }

    #[test]
    fn a_query_is_read_for_each_document() {
        for (body, again) in [
            (r#"{"query":"12","documents":["a","b","c"]}"#, 4 * 2),
            (r#"{"query":"12","documents":["a"]}"#, 0),
            (r#"{"query":"12","texts":["a","b"],"more":[1]}"#, 4 * 2),
            (r#"{"question":"12","texts":["a","b"]}"#, 35 - 9),
            (r#"{"query":{"text":"12"},"documents":[]}"#, 0),
        ] {
            assert_eq!(asked_again(body.as_bytes()), again, "{body}");
        }
    }

    #[test]
    fn sound_is_measured() {
        assert_eq!(characters("{\"model\":\"m\",\"input\":\"caf\u{e9}\"}".as_bytes()), Some(4));
        for odd in [r#"{"input":[]}"#, "{}", r#"{"input":"a","input":"bc"}"#, r#"{"input":"\ud800"}"#] {
            assert_eq!(characters(odd.as_bytes()), None, "{odd}");
        }
        assert_eq!(samples(br#"{"response_format":"pcm"}"#), Some(48_000));
        assert_eq!(samples(br#"{"response_format":"pcm","sample_rate":8000}"#), Some(16_000));
        assert_eq!((samples(br#"{"response_format":"mp3"}"#), samples(b"{}")), (None, None));
        let mut sound = Sound::default();
        sound.piece(Bytes::from(vec![0; 16_001]));
        assert_eq!((sound.delivered(), sound.pieces().seconds, sound.finished()), (21, 2, false));
        sound.end();
        assert!(sound.finished());
    }
}
