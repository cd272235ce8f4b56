//! Reading a request body in place, in every format that a caller may send.
//!
//! Only the members that the gateway must know are read, and where they stand; [`edit`] splices bytes there and leaves
//! every other byte as it came, so members that nobody here has heard of survive.

mod attachments;
pub mod edit;
pub(crate) mod input;
pub(crate) mod member;
pub(crate) mod members;
mod skim;

use crate::extras::Asked;

pub use self::skim::check_depth;
use self::{edit::Places, input::Input, member::Members, members::Text, skim::skim};

/// Deepest nesting that is taken.
pub const MAX_DEPTH: usize = 64;

/// Whose members a body has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenAI's chat completions.
    Chat,
    /// OpenAI's older completions.
    Completions,
    /// OpenAI's responses.
    Responses,
    /// Anthropic's messages.
    Messages,
    /// Google's generateContent, whose path names the model.
    Google,
    /// Anything else that names a model and has no limit of its output: embeddings, moderations and their like.
    Plain,
}

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
    /// A member that some upstreams would take for another one, or that names further models.
    #[error("{0} is not a member that a request may have here")]
    Ambiguous(String),
    /// A member asks for what the upstream keeps, of which the gateway cannot know whose it is and how large.
    #[error("{0} is not offered here: the gateway keeps no conversations, so send the whole input")]
    Kept(&'static str),
}

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// The model that the caller named.
    pub model: String,
    /// Whether the answer shall be a stream; in generateContent the path says so.
    pub stream: bool,
    /// Whether the caller asked for usage in the stream.
    pub include_usage: bool,
    /// The largest output that the caller wants, for each choice; the largest one where it names several.
    pub output_limit: Option<u64>,
    /// How many answers the caller wants.
    pub choices: u64,
    /// What is asked for beside tokens.
    pub asked: Asked,
    input: Input,
    places: Places,
}

/// Reads a body. `named` is the model that the path names, if it does.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn scan(format: Format, named: Option<&str>, body: &[u8]) -> Result<Scan, BodyError> {
    let text = std::str::from_utf8(body).map_err(|_| BodyError::Malformed("it is not UTF-8".to_owned()))?;
    let mentions_heavy = skim(body, heavy(format))?;
    let object = text.bytes().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(0);
    if body.get(object) != Some(&b'{') {
        return Err(BodyError::Malformed("it does not begin with {".to_owned()));
    }
    let members = Members::read(text)?;
    let text = Text { whole: text, object };
    let (own, model_place) = members.model(text)?;
    let model = named.map(str::to_owned).or(own);
    let model = model.filter(|model| !model.trim().is_empty()).ok_or(BodyError::ModelRequired)?;
    members.must_keep_nothing(format)?;
    if format == Format::Responses && skim(body, &["item_reference"])? {
        return Err(BodyError::Kept("item_reference"));
    }
    members.must_be_named_plainly()?;
    let limits = members.limits(format, text)?;
    let (include_usage, stream_options) = members.stream_options(text)?;
    Ok(Scan {
        model,
        stream: members.stream()?,
        include_usage,
        output_limit: limits.limit,
        choices: members.choices(format)?,
        asked: Asked::read(format, &members, text),
        input: Input::of_members(body, heavy(format), mentions_heavy),
        places: Places {
            front: text.front(),
            model: model_place,
            limits: limits.places,
            absent: limits.absent,
            newer_alone: members.has_newer_limit_alone(format),
            stream_options,
        },
    })
}

impl Scan {
    /// What a form says, whose texts have so many bytes and whose files are so many images.
    #[must_use]
    pub fn of_form(model: String, stream: bool, choices: u64, bytes: u64, images: u64) -> Self {
        Self {
            model,
            stream,
            include_usage: false,
            output_limit: None,
            choices,
            asked: Asked::default(),
            input: Input::of_form(bytes, images),
            places: Places::NOWHERE,
        }
    }

    /// An upper bound of the input tokens without documents: a token is never shorter than a byte, and an image has at most
    /// `image_tokens`, or what is assumed of every model.
    #[must_use]
    pub fn input_bound(&self, image_tokens: Option<u64>) -> u64 {
        self.input.bound(image_tokens)
    }

    /// Whether the request brings documents, films or what tools of the provider's find, of which only the model's context bounds the tokens.
    #[must_use]
    pub fn has_documents(&self) -> bool {
        self.input.has_documents() || self.asked.reads_further()
    }
}

/// The members that bring something larger than its bytes into the input: a picture or a file, by its address or
/// compressed.
const fn heavy(format: Format) -> &'static [&'static str] {
    match format {
        Format::Chat => &["image_url", "file", "video_url", "input_audio", "audio_url", "document_url"],
        Format::Responses => &["image_url", "file_id", "file_url", "file_data"],
        Format::Messages => &["source"],
        Format::Google => &["inlineData", "inline_data", "fileData", "file_data"],
        Format::Completions | Format::Plain => &["image_url"],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(super) const ALL: [Format; 6] = [
        Format::Chat,
        Format::Completions,
        Format::Responses,
        Format::Messages,
        Format::Google,
        Format::Plain,
    ];

    fn read(format: Format, body: &str) -> Result<Scan, BodyError> {
        let named = (format == Format::Google).then_some("named");
        scan(format, named, body.as_bytes())
    }

    #[test]
    fn reads_what_it_must_know() {
        let chat = read(Format::Chat, r#" {"x":{"model":"no"},"model":"m","stream":true,"n":2,"max_tokens":7,"stream_options":{"include_usage":true}}"#).unwrap();
        assert_eq!((chat.model.as_str(), chat.stream, chat.include_usage), ("m", true, true));
        assert_eq!((chat.output_limit, chat.choices), (Some(7), 2));
        for (format, body, limit, choices) in [
            (Format::Chat, r#"{"model":"m","max_tokens":7,"max_completion_tokens":9}"#, Some(9), 1),
            (Format::Messages, r#"{"model":"m","stream":true,"max_tokens":7}"#, Some(7), 1),
            (Format::Responses, r#"{"model":"m","max_output_tokens":null}"#, None, 1),
            (Format::Google, r#"{"generation_config":{"maxOutputTokens":9,"candidateCount":2}}"#, Some(9), 2),
            (Format::Plain, r#"{"model":"m","max_tokens":9,"n":4}"#, None, 4),
            (
                Format::Completions,
                r#"{"model":"m","max_tokens":9,"n":2,"best_of":3,"prompt":"p"}"#,
                Some(9),
                3,
            ),
            (Format::Completions, r#"{"model":"m","n":2,"prompt":["p","q",[1]]}"#, None, 6),
            (Format::Completions, r#"{"model":"m","prompt":[12,13,14]}"#, None, 1),
        ] {
            let read = read(format, body).unwrap();
            assert_eq!((read.output_limit, read.choices), (limit, choices), "{body}");
        }
        assert_eq!(read(Format::Google, r#"{"model":"other"}"#).unwrap().model, "named");
    }

    #[test]
    fn names_what_is_wrong() {
        let wrong = |member, expected| BodyError::WrongType { member, expected };
        let choices = "an integer from 1 to 128";
        for (format, body, expected) in [
            (Format::Chat, r#"{"messages":[]}"#, BodyError::ModelRequired),
            (Format::Plain, r#"{"model":null}"#, BodyError::ModelRequired),
            (Format::Responses, r#"{"model":" "}"#, BodyError::ModelRequired),
            (Format::Chat, r#"{"model":3}"#, wrong("model", "a string")),
            (Format::Chat, r#"{"model":"m","stream":"yes"}"#, wrong("stream", "a boolean")),
            (Format::Messages, r#"{"model":"m","stream":1}"#, wrong("stream", "a boolean")),
            (Format::Chat, r#"{"model":"m","max_tokens":-1}"#, wrong("max_tokens", "a positive integer")),
            (Format::Chat, r#"{"model":"m","max_tokens":1e9}"#, wrong("max_tokens", "a positive integer")),
            (Format::Messages, r#"{"model":"m","max_tokens":0}"#, wrong("max_tokens", "a positive integer")),
            (Format::Chat, r#"{"model":"m","n":0}"#, wrong("n", choices)),
            (Format::Completions, r#"{"model":"m","best_of":500}"#, wrong("best_of", choices)),
            (Format::Chat, r#"{"model":"m","stream_options":[]}"#, wrong("stream_options", "an object")),
            (Format::Google, r#"{"generationConfig":[]}"#, wrong("generationConfig", "an object")),
            (
                Format::Google,
                r#"{"generationConfig":{"candidateCount":0}}"#,
                wrong("generationConfig.candidateCount", choices),
            ),
            (Format::Responses, r#"{"model":"m","background":true}"#, BodyError::Kept("background")),
            (
                Format::Responses,
                r#"{"model":"m","previous_response_id":"r"}"#,
                BodyError::Kept("previous_response_id"),
            ),
            (Format::Responses, r#"{"model":"m","conversation":{}}"#, BodyError::Kept("conversation")),
            (Format::Responses, r#"{"model":"m","prompt":{"id":"p"}}"#, BodyError::Kept("prompt")),
            (
                Format::Responses,
                r#"{"model":"m","input":[{"type":"item\u005freference","id":"i"}]}"#,
                BodyError::Kept("item_reference"),
            ),
            (Format::Google, r#"{"cachedContent":"c"}"#, BodyError::Kept("cachedContent")),
            (Format::Messages, r#"{"model":"m","container":"c"}"#, BodyError::Kept("container")),
            (Format::Chat, r#"{"model":"m","Model":"n"}"#, BodyError::Ambiguous("Model".to_owned())),
            (
                Format::Chat,
                r#"{"model":"m","\u017ftream":true}"#,
                BodyError::Ambiguous("\u{17f}tream".to_owned()),
            ),
            (Format::Chat, r#"{"model":"m","models":["n"]}"#, BodyError::Ambiguous("models".to_owned())),
        ] {
            assert_eq!(read(format, body), Err(expected), "{body}");
        }
        let kept = r#"{"model":"m","background":false,"previous_response_id":null,"prompt":null}"#;
        assert!(read(Format::Responses, kept).is_ok());
    }

    #[test]
    fn takes_json_objects_only() {
        for format in ALL {
            for body in [
                "",
                "[]",
                "nonsense",
                r#"{"model":"m""#,
                r#"{"model":"m","model":"n"}"#,
                r#"{"model":"m"} x"#,
                r#"{"model":"m","generationConfig":{},"generation_config":{}}"#,
                r#"{"model":"m","tools":[],"tools":[{"type":"web_search"}]}"#,
            ] {
                assert!(matches!(read(format, body), Err(BodyError::Malformed(_))), "{body}");
            }
            assert!(matches!(scan(format, None, b"{\"model\":\"\xff\"}"), Err(BodyError::Malformed(_))));
        }
    }

    #[test]
    fn bounds_the_depth() {
        let nested =
            |depth: usize| format!(r#"{{"model":"m","x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        for format in ALL {
            assert!(read(format, &nested(63)).is_ok());
            assert_eq!(read(format, &nested(64)), Err(BodyError::TooDeep));
            assert_eq!(read(format, &nested(100_000)), Err(BodyError::TooDeep));
            let text = format!(r#"{{"model":"m","x":"\"{}"}}"#, "[".repeat(99));
            assert!(read(format, &text).is_ok());
        }
    }

    #[test]
    fn what_is_larger_than_its_bytes_is_bounded() {
        let body = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image","source":{"type":"url"}}]}]}"#;
        assert!(read(Format::Messages, body).unwrap().input_bound(None) > body.len() as u64);
        let escaped = r#"{"contents":[{"parts":[{"inline\u0044ata":{"mimeType":"image/png"}}]}]}"#;
        assert!(read(Format::Google, escaped).unwrap().input_bound(None) > 6_000);
        let film = r#"{"contents":[{"parts":[{"fileData":{"fileUri":"https://a.example/film"}}]}]}"#;
        assert!(read(Format::Google, film).unwrap().has_documents());
    }

    proptest! {
        #[test]
        fn never_panics(body in ".{0,80}") {
            for format in ALL {
                drop(read(format, &body));
            }
        }
    }
}
