//! Reading and editing a request body in place.
//!
//! Only the members that the gateway must know are read, and where they stand; an edit splices bytes there and
//! leaves every other byte as it came, so members that nobody here has heard of survive.

use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::input::Input;

/// Deepest nesting that is taken.
pub const MAX_DEPTH: usize = 64;

/// What is wrong with a body. The text is the outside message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Not JSON, or no object, or a member twice.
    #[error("the request body is not a valid JSON object: {0}")]
    Malformed(String),
    /// Nested beyond [`MAX_DEPTH`].
    #[error("the request body is nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// `model` is absent, null or empty.
    #[error("model name is required")]
    ModelRequired,
    /// A member has the wrong type.
    #[error("{member} must be {expected}")]
    WrongType {
        /// The member.
        member: &'static str,
        /// What it must be.
        expected: &'static str,
    },
}

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// The model that the caller named.
    pub model: String,
    /// Whether the answer shall be a stream.
    pub stream: bool,
    /// Whether the caller asked for usage in the stream.
    pub include_usage: bool,
    /// The largest output that the caller wants, for each choice; the larger one of two.
    pub output_limit: Option<u64>,
    /// How many answers the caller wants.
    pub choices: u64,
    input: Input,
    places: Places,
}

/// Where the members stand that may be edited.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Places {
    object: usize,
    model: (usize, usize),
    /// Every place of a limit: an upstream that knows only one of the members must find it there.
    limits: Vec<(usize, usize)>,
    stream_options: Options,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Options {
    /// There are none: the member is to be written whole.
    Absent,
    /// Null: to be replaced.
    Null((usize, usize)),
    /// An object without `include_usage`, which begins here; whether it is empty.
    Without(usize, bool),
    /// The value of `include_usage`.
    With((usize, usize)),
}

#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow, default, deserialize_with = "raw")]
    model: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "raw")]
    stream: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "raw")]
    stream_options: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "raw")]
    max_completion_tokens: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "raw")]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "raw")]
    n: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct StreamOptions<'a> {
    #[serde(borrow, default, deserialize_with = "raw")]
    include_usage: Option<&'a RawValue>,
}

/// Keeps `null` as a value with a place.
fn raw<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Reads a body.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn scan(body: &[u8]) -> Result<Scan, BodyError> {
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
    let model_value = members.model.filter(|value| value.get() != "null").ok_or(BodyError::ModelRequired)?;
    let model: String = typed(model_value, "model", "a string")?;
    if model.trim().is_empty() {
        return Err(BodyError::ModelRequired);
    }
    let limits =
        [("max_completion_tokens", members.max_completion_tokens), ("max_tokens", members.max_tokens)];
    let (mut output_limit, mut places) = (None, Vec::new());
    for (name, value) in limits {
        let Some(value) = value else { continue };
        let tokens: Option<u64> = typed(value, name, "a positive integer")?;
        if tokens == Some(0) {
            return Err(BodyError::WrongType { member: name, expected: "a positive integer" });
        }
        output_limit = output_limit.max(tokens);
        // A limit that is null is still the place to write one.
        places.push(place(value));
    }
    let choices: Option<u64> = optional(members.n, "n", "an integer from 1 to 128")?;
    let choices = choices.unwrap_or(1);
    if !(1..=128).contains(&choices) {
        return Err(BodyError::WrongType { member: "n", expected: "an integer from 1 to 128" });
    }
    let (include_usage, stream_options) = options(members.stream_options, place)?;
    Ok(Scan {
        model,
        stream: optional(members.stream, "stream", "a boolean")?.unwrap_or(false),
        include_usage,
        output_limit,
        choices,
        input: Input::of(body),
        places: Places { object, model: place(model_value), limits: places, stream_options },
    })
}

impl Scan {
    /// An upper bound of the input tokens: a token is never shorter than a byte, and an image has at most `image_tokens`, or
    /// what is assumed of every model.
    #[must_use]
    pub fn input_bound(&self, image_tokens: Option<u64>) -> u64 {
        self.input.bound(image_tokens)
    }
}

fn options(
    value: Option<&RawValue>,
    place: impl Fn(&RawValue) -> (usize, usize),
) -> Result<(bool, Options), BodyError> {
    const NAME: &str = "stream_options";
    let Some(value) = value else { return Ok((false, Options::Absent)) };
    if value.get() == "null" {
        return Ok((false, Options::Null(place(value))));
    }
    if !value.get().starts_with('{') {
        return Err(BodyError::WrongType { member: NAME, expected: "an object" });
    }
    let inner: StreamOptions<'_> = typed(value, NAME, "an object")?;
    let member = "stream_options.include_usage";
    match inner.include_usage {
        Some(flag) => {
            let asked: Option<bool> = typed(flag, member, "a boolean")?;
            Ok((asked.unwrap_or(false), Options::With(place(flag))))
        }
        None => {
            let empty = value.get().bytes().filter(|byte| !byte.is_ascii_whitespace()).count() == 2;
            Ok((false, Options::Without(place(value).0, empty)))
        }
    }
}

fn typed<'a, T: Deserialize<'a>>(
    value: &'a RawValue,
    member: &'static str,
    expected: &'static str,
) -> Result<T, BodyError> {
    serde_json::from_str(value.get()).map_err(|_| BodyError::WrongType { member, expected })
}

fn optional<'a, T: Deserialize<'a>>(
    value: Option<&'a RawValue>,
    member: &'static str,
    expected: &'static str,
) -> Result<Option<T>, BodyError> {
    value.map_or(Ok(None), |value| typed(value, member, expected))
}

/// Refuses nesting beyond [`MAX_DEPTH`] before anything recurses into it.
///
/// # Errors
/// [`BodyError::TooDeep`].
pub fn check_depth(body: &[u8]) -> Result<(), BodyError> {
    let mut depth = 0_usize;
    let mut rest = body;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(BodyError::TooDeep);
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => rest = after_string(rest),
            _ => {}
        }
    }
    Ok(())
}

/// What follows a string whose opening quote was taken.
pub(super) fn after_string(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        let escaped = usize::from(rest.get(at) == Some(&b'\\'));
        rest = rest.get(at + 1 + escaped..).unwrap_or_default();
        if escaped == 0 {
            return rest;
        }
    }
    &[]
}

/// What must change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// The upstream's name of the model.
    pub model: Option<String>,
    /// The largest output, for each choice.
    pub output_limit: Option<u64>,
    /// Ask for usage in the stream.
    pub ask_usage: bool,
}

/// The body with `edits`; the same bytes when nothing changes. A limit is written where the caller wrote one, else as
/// `max_completion_tokens`.
#[must_use]
pub fn edit(body: &Bytes, scan: &Scan, edits: &Edits) -> Bytes {
    let places = &scan.places;
    let mut splices: Vec<((usize, usize), String)> = Vec::new();
    let front = (places.object + 1, places.object + 1);
    if let Some(model) = edits.model.as_ref().filter(|model| **model != scan.model) {
        splices.push((places.model, serde_json::Value::from(model.as_str()).to_string()));
    }
    if let Some(limit) = edits.output_limit.filter(|limit| Some(*limit) != scan.output_limit) {
        splices.extend(places.limits.iter().map(|place| (*place, limit.to_string())));
        if places.limits.is_empty() {
            splices.push((front, format!("\"max_completion_tokens\":{limit},")));
        }
    }
    if edits.ask_usage && !scan.include_usage {
        match places.stream_options {
            Options::Absent => {
                splices.push((front, "\"stream_options\":{\"include_usage\":true},".to_owned()))
            }
            Options::Null(place) => splices.push((place, "{\"include_usage\":true}".to_owned())),
            Options::Without(start, empty) => {
                let comma = if empty { "" } else { "," };
                splices.push(((start + 1, start + 1), format!("\"include_usage\":true{comma}")));
            }
            Options::With(place) => splices.push((place, "true".to_owned())),
        }
    }
    if splices.is_empty() {
        return body.clone();
    }
    splices.sort_by_key(|(place, _)| *place);
    let mut edited = Vec::with_capacity(body.len() + 96);
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

    fn edited(body: &str, edits: &Edits) -> String {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let scan = scan(&body).unwrap();
        String::from_utf8(edit(&body, &scan, edits).to_vec()).unwrap()
    }

    #[test]
    fn reads_what_it_must_know() {
        let read = scan(br#" {"x":{"model":"no"},"model":"m","stream":true,"n":2,"max_tokens":7,"stream_options":{"include_usage":true}}"#).unwrap();
        assert_eq!((read.model.as_str(), read.stream, read.include_usage), ("m", true, true));
        assert_eq!((read.output_limit, read.choices), (Some(7), 2));
        let both = scan(br#"{"model":"m","max_tokens":7,"max_completion_tokens":9}"#).unwrap();
        assert_eq!(both.output_limit, Some(9));
    }

    #[test]
    fn names_what_is_wrong() {
        let wrong = |member, expected| BodyError::WrongType { member, expected };
        for (body, expected) in [
            (r#"{"messages":[]}"#, BodyError::ModelRequired),
            (r#"{"model":null}"#, BodyError::ModelRequired),
            (r#"{"model":" "}"#, BodyError::ModelRequired),
            (r#"{"model":3}"#, wrong("model", "a string")),
            (r#"{"model":"m","stream":"yes"}"#, wrong("stream", "a boolean")),
            (r#"{"model":"m","max_tokens":-1}"#, wrong("max_tokens", "a positive integer")),
            (r#"{"model":"m","max_tokens":1e9}"#, wrong("max_tokens", "a positive integer")),
            (r#"{"model":"m","max_tokens":0}"#, wrong("max_tokens", "a positive integer")),
            (r#"{"model":"m","n":0}"#, wrong("n", "an integer from 1 to 128")),
            (r#"{"model":"m","stream_options":[]}"#, wrong("stream_options", "an object")),
        ] {
            assert_eq!(scan(body.as_bytes()), Err(expected), "{body}");
        }
        for body in
            ["", "[]", "nonsense", r#"{"model":"m""#, r#"{"model":"m","model":"n"}"#, r#"{"model":"m"} x"#]
        {
            assert!(matches!(scan(body.as_bytes()), Err(BodyError::Malformed(_))), "{body}");
        }
        assert!(matches!(scan(b"{\"model\":\"\xff\"}"), Err(BodyError::Malformed(_))));
    }

    #[test]
    fn bounds_the_depth() {
        let nested =
            |depth: usize| format!(r#"{{"model":"m","x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        assert!(scan(nested(63).as_bytes()).is_ok());
        assert_eq!(scan(nested(64).as_bytes()), Err(BodyError::TooDeep));
        assert_eq!(scan(nested(100_000).as_bytes()), Err(BodyError::TooDeep));
        assert!(scan(format!(r#"{{"model":"m","x":"\"{}"}}"#, "[".repeat(99)).as_bytes()).is_ok());
    }

    #[test]
    fn splices_only_what_changes() {
        let all = Edits { model: Some("up".to_owned()), output_limit: Some(5), ask_usage: true };
        for (body, expected) in [
            (
                r#"{"model" : "m","é":1}"#,
                r#"{"max_completion_tokens":5,"stream_options":{"include_usage":true},"model" : "up","é":1}"#,
            ),
            (
                r#"{"max_tokens":9,"model":"m","stream_options":{}}"#,
                r#"{"max_tokens":5,"model":"up","stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{"max_tokens":9,"max_completion_tokens":8,"model":"m","stream_options":{"a":1}}"#,
                r#"{"max_tokens":5,"max_completion_tokens":5,"model":"up","stream_options":{"include_usage":true,"a":1}}"#,
            ),
            (
                r#"{"max_completion_tokens":null,"model":"m","stream_options":null}"#,
                r#"{"max_completion_tokens":5,"model":"up","stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{"model":"m","stream_options":{"include_usage": false}}"#,
                r#"{"max_completion_tokens":5,"model":"up","stream_options":{"include_usage": true}}"#,
            ),
        ] {
            assert_eq!(edited(body, &all), expected);
        }
        let body = Bytes::from_static(br#"{"model":"m"}"#);
        assert_eq!(edit(&body, &scan(&body).unwrap(), &Edits::default()).as_ptr(), body.as_ptr());
    }

    proptest! {
        #[test]
        fn never_panics(body in ".{0,80}") {
            drop(scan(body.as_bytes()));
        }

        #[test]
        fn an_edited_body_reads_as_edited(limit in 1_u64..9_000, model in "[a-z\"\\\\é]{1,9}", spaces in "[ \n\t]{0,3}") {
            let body = format!(r#"{spaces}{{{spaces}"model":{spaces}"m","x":[1,{{"y":"z"}}]{spaces}}}"#);
            let edits = Edits { model: Some(model.clone()), output_limit: Some(limit), ask_usage: true };
            let read = scan(edited(&body, &edits).as_bytes()).unwrap();
            prop_assert_eq!((read.model, read.output_limit, read.include_usage), (model, Some(limit), true));
        }
    }
}
