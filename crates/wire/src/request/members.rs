//! What the members of a request say, and where they stand.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{
    BodyError, Format,
    edit::{Absent, Options, Place},
    member::{Member, Members},
};
use crate::json::Walk;

/// Most answers to one request.
const MOST_CHOICES: u64 = 128;
const CHOICES: &str = "an integer from 1 to 128";
const LIMIT: &str = "a positive integer";
const CONFIG: &str = "generationConfig";

/// The text of a body.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a> {
    pub(crate) whole: &'a str,
    /// Where the object begins.
    pub(crate) object: usize,
}

impl Text<'_> {
    /// Where a value stands.
    fn place(self, value: &RawValue) -> Place {
        let start = (value.get().as_ptr() as usize).wrapping_sub(self.whole.as_ptr() as usize);
        (start, start + value.get().len())
    }

    /// Where a first member can be written.
    pub(crate) const fn front(self) -> Place {
        (self.object + 1, self.object + 1)
    }
}

#[derive(Deserialize)]
struct StreamOptions<'a> {
    #[serde(borrow, default, deserialize_with = "raw")]
    include_usage: Option<&'a RawValue>,
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

/// The limit of the output, and where it stands or may stand.
pub(super) struct Limits {
    pub(super) limit: Option<u64>,
    /// Every place of a limit: an upstream that knows only one of the members must find it there.
    pub(super) places: Vec<Place>,
    pub(super) absent: Absent,
}

impl<'a> Members<'a> {
    /// The model, and where it stands.
    pub(super) fn model(&self, text: Text<'_>) -> Result<(Option<String>, Option<Place>), BodyError> {
        let value = self.of(Member::Model).filter(|value| value.get() != "null");
        let model = match value.map(RawValue::get).and_then(plain) {
            Some(plain) => Some(plain.to_owned()),
            None => optional(value, "model", "a string")?,
        };
        Ok((model, value.map(|value| text.place(value))))
    }

    pub(super) fn stream(&self) -> Result<bool, BodyError> {
        match self.of(Member::Stream).map(RawValue::get) {
            None | Some("false" | "null") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(BodyError::WrongType { member: "stream", expected: "a boolean" }),
        }
    }

    /// What an upstream keeps belongs to whoever has the credential there, and so to no caller of the gateway; and the
    /// bytes of the request do not bound it.
    pub(super) fn must_keep_nothing(&self, format: Format) -> Result<(), BodyError> {
        let kept: &[(&'static str, Option<&RawValue>)] = match format {
            Format::Responses => &[
                ("background", self.of(Member::Background)),
                ("previous_response_id", self.of(Member::PreviousResponse)),
                ("conversation", self.of(Member::Conversation)),
                ("prompt", self.of(Member::Prompt)),
            ],
            Format::Messages => &[("container", self.of(Member::Container))],
            Format::Google => &[("cachedContent", self.of(Member::CachedContent))],
            Format::Chat | Format::Completions | Format::Plain => &[],
        };
        let asks = |value: &RawValue| !matches!(value.get(), "null" | "false");
        kept.iter()
            .find(|(_, value)| value.is_some_and(asks))
            .map_or(Ok(()), |(name, _)| Err(BodyError::Kept(name)))
    }

    /// Whether a chat completion has `max_completion_tokens` and no `max_tokens`.
    pub(super) fn has_newer_limit_alone(&self, format: Format) -> bool {
        format == Format::Chat
            && self.of(Member::MaxCompletionTokens).is_some()
            && self.of(Member::MaxTokens).is_none()
    }

    pub(super) fn limits(&self, format: Format, text: Text<'_>) -> Result<Limits, BodyError> {
        let front = text.front();
        let named: &[(&'static str, Option<&RawValue>)] = match format {
            Format::Chat => &[
                ("max_completion_tokens", self.of(Member::MaxCompletionTokens)),
                ("max_tokens", self.of(Member::MaxTokens)),
            ],
            Format::Completions | Format::Messages => &[("max_tokens", self.of(Member::MaxTokens))],
            Format::Responses => &[("max_output_tokens", self.of(Member::MaxOutputTokens))],
            Format::Google => return self.google_limits(text),
            Format::Plain => return Ok(Limits { limit: None, places: Vec::new(), absent: Absent::Nowhere }),
        };
        let (mut limit, mut places) = (None, Vec::new());
        for (name, value) in named {
            let Some(value) = value else { continue };
            limit = limit.max(tokens(Some(value), name)?);
            // A limit that is null is still the place to write one.
            places.push(text.place(value));
        }
        let member = match format {
            Format::Chat => Absent::Chat(front),
            Format::Responses => Absent::At { at: front, front: "\"max_output_tokens\":", behind: "," },
            _ => Absent::At { at: front, front: "\"max_tokens\":", behind: "," },
        };
        Ok(Limits { limit, places, absent: member })
    }

    /// The limit stands inside the configuration, or is written with one.
    fn google_limits(&self, text: Text<'_>) -> Result<Limits, BodyError> {
        const MEMBER: &str = "\"maxOutputTokens\":";
        let limit = self.config()?.limit;
        let absent = match self.of(Member::Config) {
            None => {
                let behind = if is_empty(text.whole) { "}" } else { "}," };
                let front = "\"generationConfig\":{\"maxOutputTokens\":";
                Absent::At { at: text.front(), front, behind }
            }
            Some(config) if config.get() == "null" => {
                Absent::At { at: text.place(config), front: "{\"maxOutputTokens\":", behind: "}" }
            }
            Some(config) => {
                let at = text.place(config).0 + 1;
                let behind = if is_empty(config.get()) { "" } else { "," };
                Absent::At { at: (at, at), front: MEMBER, behind }
            }
        };
        let places = limit.map(|limit| text.place(limit)).into_iter().collect();
        Ok(Limits { limit: tokens(limit, "generationConfig.maxOutputTokens")?, places, absent })
    }

    fn config(&self) -> Result<Config<'a>, BodyError> {
        // An array would be read as one, member by member.
        if self.of(Member::Config).is_some_and(|config| !config.get().starts_with(['{', 'n'])) {
            return Err(BodyError::WrongType { member: CONFIG, expected: "an object" });
        }
        Ok(optional(self.of(Member::Config), CONFIG, "an object")?.unwrap_or_default())
    }

    pub(super) fn choices(&self, format: Format) -> Result<u64, BodyError> {
        let each = match format {
            Format::Google => number(self.config()?.choices, "generationConfig.candidateCount")?,
            Format::Chat | Format::Plain => number(self.of(Member::Choices), "n")?,
            // Each of the best is produced and charged, and every prompt of a list has its own answers.
            Format::Completions => {
                let best = number(self.of(Member::BestOf), "best_of")?;
                number(self.of(Member::Choices), "n")?.max(best).saturating_mul(self.prompts()?)
            }
            Format::Messages | Format::Responses => 1,
        };
        Ok(each)
    }

    /// How many prompts there are: a text is one, a list of tokens is one, a list of either is many.
    fn prompts(&self) -> Result<u64, BodyError> {
        let Some(prompt) = self.of(Member::Prompt).filter(|prompt| prompt.get().starts_with('[')) else {
            return Ok(1);
        };
        let mut prompts = 0;
        let read = Walk::new(prompt.get().as_bytes()).array(|walk| {
            prompts += u64::from(walk.is_string() || walk.is_array());
            walk.value().map(drop)
        });
        let wrong =
            BodyError::WrongType { member: "prompt", expected: "a text, tokens, or a list of either" };
        read.map(|()| prompts.max(1)).map_err(|_| wrong)
    }

    pub(super) fn stream_options(&self, text: Text<'_>) -> Result<(bool, Options), BodyError> {
        const NAME: &str = "stream_options";
        let Some(value) = self.of(Member::StreamOptions) else { return Ok((false, Options::Absent)) };
        if value.get() == "null" {
            return Ok((false, Options::Null(text.place(value))));
        }
        if !value.get().starts_with('{') {
            return Err(BodyError::WrongType { member: NAME, expected: "an object" });
        }
        let inner: StreamOptions<'_> = typed(value, NAME, "an object")?;
        let member = "stream_options.include_usage";
        Ok(match inner.include_usage {
            Some(flag) => {
                let asked: Option<bool> = typed(flag, member, "a boolean")?;
                (asked.unwrap_or(false), Options::With(text.place(flag)))
            }
            None => (false, Options::Without(text.place(value).0, is_empty(value.get()))),
        })
    }
}

fn tokens(value: Option<&RawValue>, member: &'static str) -> Result<Option<u64>, BodyError> {
    let tokens: Option<u64> = optional(value, member, LIMIT)?;
    if tokens == Some(0) {
        return Err(BodyError::WrongType { member, expected: LIMIT });
    }
    Ok(tokens)
}

fn number(value: Option<&RawValue>, member: &'static str) -> Result<u64, BodyError> {
    let number = optional(value, member, CHOICES)?.unwrap_or(1);
    let possible = (1..=MOST_CHOICES).contains(&number);
    possible.then_some(number).ok_or(BodyError::WrongType { member, expected: CHOICES })
}

/// The text of a string in which nothing is escaped; `None` of every other value.
fn plain(value: &str) -> Option<&str> {
    let text = value.strip_prefix('"')?.strip_suffix('"')?;
    (!text.contains('\\')).then_some(text)
}

/// Whether an object has no member.
fn is_empty(object: &str) -> bool {
    object.bytes().filter(|byte| !byte.is_ascii_whitespace()).count() == 2
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
