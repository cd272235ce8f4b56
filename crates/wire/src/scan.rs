//! Reading and editing a request body in place, in the dialects that have no room of their own for it: messages, responses
//! and generateContent. Chat completions have theirs in [`crate::openai::request`].
//!
//! Only the members that the gateway must know are read, and where they stand; an edit splices bytes there and leaves
//! every other byte as it came.

use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::{
    dialect::Dialect,
    openai::{
        input::Input,
        request::{BodyError, check_depth},
    },
};

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// The model that the caller named; in generateContent the path names it.
    pub model: Option<String>,
    /// Whether the answer shall be a stream; in generateContent the path says so.
    pub stream: bool,
    /// The largest output that the caller wants, for each choice.
    pub output_limit: Option<u64>,
    /// How many answers the caller wants.
    pub choices: u64,
    input: Input,
    places: Places,
}

impl Scan {
    /// An upper bound of the input tokens: a token is never shorter than a byte, and an image has at most `image_tokens`, or
    /// what an image may have where nobody has said it of the model.
    #[must_use]
    pub fn input_bound(&self, image_tokens: Option<u64>) -> u64 {
        self.input.bound(image_tokens)
    }
}

/// Where the members stand that may be edited.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Places {
    model: Option<(usize, usize)>,
    limit: Limit,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Limit {
    At((usize, usize)),
    /// There is none: it is to be written here, with this in front and this behind.
    Absent {
        at: (usize, usize),
        front: &'static str,
        behind: &'static str,
    },
}

#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow, default, deserialize_with = "raw")]
    model: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "raw")]
    stream: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "raw")]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "raw")]
    max_output_tokens: Option<&'a RawValue>,
    #[serde(
        borrow,
        default,
        deserialize_with = "raw",
        rename = "generationConfig",
        alias = "generation_config"
    )]
    config: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Config<'a> {
    #[serde(
        borrow,
        default,
        deserialize_with = "raw",
        rename = "maxOutputTokens",
        alias = "max_output_tokens"
    )]
    limit: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "raw", rename = "candidateCount", alias = "candidate_count")]
    choices: Option<&'a RawValue>,
}

/// Keeps `null` as a value with a place.
fn raw<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// The members that bring something larger than its bytes into the input: a picture or a file, by its address or
/// compressed.
const fn heavy(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        Dialect::Chat => &["image_url", "file"],
        Dialect::Responses => &["image_url", "file_id", "file_url", "file_data"],
        Dialect::Messages => &["source"],
        Dialect::Google => &["inlineData", "inline_data", "fileData", "file_data"],
    }
}

/// Reads a body. For a dialect other than generateContent it must name a model.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn scan(dialect: Dialect, body: &[u8]) -> Result<Scan, BodyError> {
    let text = std::str::from_utf8(body).map_err(|_| BodyError::Malformed("it is not UTF-8".to_owned()))?;
    check_depth(body)?;
    let object = text.bytes().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(0);
    if body.get(object) != Some(&b'{') {
        return Err(BodyError::Malformed("it does not begin with {".to_owned()));
    }
    let members: Members<'_> =
        serde_json::from_str(text).map_err(|error| BodyError::Malformed(error.to_string()))?;
    let place = |value: &RawValue| {
        let start = (value.get().as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
        (start, start + value.get().len())
    };
    let model_value = members.model.filter(|value| value.get() != "null");
    let model: Option<String> = optional(model_value, "model", "a string")?;
    if dialect != Dialect::Google && model.as_ref().is_none_or(|model| model.trim().is_empty()) {
        return Err(BodyError::ModelRequired);
    }
    let mut choices = None;
    let front = (object + 1, object + 1);
    let (name, limit, absent) = match dialect {
        Dialect::Chat | Dialect::Messages => {
            let absent = Limit::Absent { at: front, front: "\"max_tokens\":", behind: "," };
            ("max_tokens", members.max_tokens, absent)
        }
        Dialect::Responses => {
            let absent = Limit::Absent { at: front, front: "\"max_output_tokens\":", behind: "," };
            ("max_output_tokens", members.max_output_tokens, absent)
        }
        Dialect::Google => {
            if members.config.is_some_and(|config| !config.get().starts_with(['{', 'n'])) {
                return Err(BodyError::WrongType { member: "generationConfig", expected: "an object" });
            }
            let config: Option<Config<'_>> = optional(members.config, "generationConfig", "an object")?;
            let absent = google_limit(members.config, front, is_empty(text), place);
            let config = config.unwrap_or_default();
            choices =
                optional(config.choices, "generationConfig.candidateCount", "an integer from 1 to 128")?;
            ("generationConfig.maxOutputTokens", config.limit, absent)
        }
    };
    let output_limit: Option<u64> = optional(limit, name, "a positive integer")?;
    if output_limit == Some(0) {
        return Err(BodyError::WrongType { member: name, expected: "a positive integer" });
    }
    let choices: u64 = choices.unwrap_or(1);
    if !(1..=128).contains(&choices) {
        return Err(BodyError::WrongType {
            member: "generationConfig.candidateCount",
            expected: "an integer from 1 to 128",
        });
    }
    Ok(Scan {
        model,
        stream: optional(members.stream, "stream", "a boolean")?.unwrap_or(false),
        output_limit,
        choices,
        input: Input::of_members(body, heavy(dialect)),
        places: Places {
            model: model_value.map(place),
            limit: limit.map_or(absent, |limit| Limit::At(place(limit))),
        },
    })
}

/// Where a limit can be written that is not there: inside the configuration, or with one.
fn google_limit(
    config: Option<&RawValue>,
    front: (usize, usize),
    alone: bool,
    place: impl Fn(&RawValue) -> (usize, usize),
) -> Limit {
    const MEMBER: &str = "\"maxOutputTokens\":";
    match config {
        None => {
            let behind = if alone { "}" } else { "}," };
            Limit::Absent { at: front, front: "\"generationConfig\":{\"maxOutputTokens\":", behind }
        }
        Some(config) if config.get() == "null" => {
            Limit::Absent { at: place(config), front: "{\"maxOutputTokens\":", behind: "}" }
        }
        Some(config) => {
            let empty = is_empty(config.get());
            let at = place(config).0 + 1;
            Limit::Absent { at: (at, at), front: MEMBER, behind: if empty { "" } else { "," } }
        }
    }
}

/// Whether an object has no member.
fn is_empty(object: &str) -> bool {
    object.bytes().filter(|byte| !byte.is_ascii_whitespace()).count() == 2
}

fn optional<'a, T: Deserialize<'a>>(
    value: Option<&'a RawValue>,
    member: &'static str,
    expected: &'static str,
) -> Result<Option<T>, BodyError> {
    let Some(value) = value.filter(|value| value.get() != "null") else { return Ok(None) };
    serde_json::from_str(value.get()).map(Some).map_err(|_| BodyError::WrongType { member, expected })
}

/// The body with the upstream's name of the model, where the body names one, and with this output limit; the same bytes
/// when nothing changes.
#[must_use]
pub fn edit(body: &Bytes, scan: &Scan, model: Option<&str>, output_limit: Option<u64>) -> Bytes {
    let places = &scan.places;
    let mut splices: Vec<((usize, usize), String)> = Vec::new();
    if let (Some(model), Some(place)) =
        (model.filter(|model| Some(*model) != scan.model.as_deref()), places.model)
    {
        splices.push((place, serde_json::Value::from(model).to_string()));
    }
    if let Some(limit) = output_limit.filter(|limit| Some(*limit) != scan.output_limit) {
        splices.push(match places.limit {
            Limit::At(place) => (place, limit.to_string()),
            Limit::Absent { at, front, behind } => (at, format!("{front}{limit}{behind}")),
        });
    }
    if splices.is_empty() {
        return body.clone();
    }
    splices.sort_by_key(|(place, _)| *place);
    let mut edited = Vec::with_capacity(body.len() + 64);
    let mut from = 0;
    for ((start, end), text) in splices {
        edited.extend_from_slice(body.get(from..start).unwrap_or_default());
        edited.extend_from_slice(text.as_bytes());
        from = end;
    }
    edited.extend_from_slice(body.get(from..).unwrap_or_default());
    edited.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn edited(dialect: Dialect, body: &str) -> String {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let scan = scan(dialect, &body).unwrap();
        String::from_utf8(edit(&body, &scan, Some("up"), Some(5)).to_vec()).unwrap()
    }

    #[test]
    fn reads_what_it_must_know() {
        let messages = scan(Dialect::Messages, br#"{"model":"m","stream":true,"max_tokens":7}"#).unwrap();
        assert_eq!(
            (messages.model.as_deref(), messages.stream, messages.output_limit),
            (Some("m"), true, Some(7))
        );
        let google =
            scan(Dialect::Google, br#"{"generation_config":{"maxOutputTokens":9,"candidateCount":2}}"#)
                .unwrap();
        assert_eq!((google.model, google.output_limit, google.choices), (None, Some(9), 2));
        let responses = scan(Dialect::Responses, br#"{"model":"m","max_output_tokens":null}"#).unwrap();
        assert_eq!(responses.output_limit, None);
    }

    #[test]
    fn names_what_is_wrong() {
        let wrong = |member, expected| BodyError::WrongType { member, expected };
        for (dialect, body, expected) in [
            (Dialect::Messages, r#"{"messages":[]}"#, BodyError::ModelRequired),
            (Dialect::Responses, r#"{"model":" "}"#, BodyError::ModelRequired),
            (Dialect::Messages, r#"{"model":"m","max_tokens":0}"#, wrong("max_tokens", "a positive integer")),
            (Dialect::Messages, r#"{"model":"m","stream":1}"#, wrong("stream", "a boolean")),
            (Dialect::Google, r#"{"generationConfig":[]}"#, wrong("generationConfig", "an object")),
            (
                Dialect::Google,
                r#"{"generationConfig":{"candidateCount":0}}"#,
                wrong("generationConfig.candidateCount", "an integer from 1 to 128"),
            ),
        ] {
            assert_eq!(scan(dialect, body.as_bytes()), Err(expected), "{body}");
        }
        for body in
            ["", "[]", r#"{"model":"m","model":"n"}"#, r#"{"generationConfig":{},"generation_config":{}}"#]
        {
            assert!(matches!(scan(Dialect::Google, body.as_bytes()), Err(BodyError::Malformed(_))), "{body}");
        }
    }

    #[test]
    fn splices_only_what_changes() {
        for (dialect, body, expected) in [
            (Dialect::Messages, r#"{ "model" : "m","max_tokens":9}"#, r#"{ "model" : "up","max_tokens":5}"#),
            (Dialect::Responses, r#"{"model":"m"}"#, r#"{"max_output_tokens":5,"model":"up"}"#),
            (Dialect::Google, "{ }", r#"{"generationConfig":{"maxOutputTokens":5} }"#),
            (Dialect::Google, "{}", r#"{"generationConfig":{"maxOutputTokens":5}}"#),
            (Dialect::Google, r#"{"generationConfig":{}}"#, r#"{"generationConfig":{"maxOutputTokens":5}}"#),
            (
                Dialect::Google,
                r#"{"generationConfig":null}"#,
                r#"{"generationConfig":{"maxOutputTokens":5}}"#,
            ),
            (
                Dialect::Google,
                r#"{"generation_config":{"topK":1},"x":1}"#,
                r#"{"generation_config":{"maxOutputTokens":5,"topK":1},"x":1}"#,
            ),
        ] {
            assert_eq!(edited(dialect, body), expected);
        }
    }

    #[test]
    fn what_is_larger_than_its_bytes_is_bounded() {
        let body = br#"{"model":"m","messages":[{"role":"user","content":[{"type":"image","source":{"type":"url"}}]}]}"#;
        assert!(scan(Dialect::Messages, body).unwrap().input_bound(None) > body.len() as u64);
        let escaped = br#"{"contents":[{"parts":[{"inline\u0044ata":{}}]}]}"#;
        assert!(scan(Dialect::Google, escaped).unwrap().input_bound(None) > 3_000);
    }

    proptest! {
        #[test]
        fn never_panics(body in ".{0,80}") {
            for dialect in Dialect::ALL {
                drop(scan(dialect, body.as_bytes()));
            }
        }
    }
}
