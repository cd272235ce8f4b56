//! The members of a body that mean something to the gateway, found in one pass that also proves that it is JSON.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::BodyError;

macro_rules! members {
    ($($member:ident = $($name:literal)|+),+ $(,)?) => {
        /// A member by its name, or by either of its names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Member { $($member),+ }

        impl Member {
            const ALL: &[Self] = &[$(Self::$member),+];

            fn named(name: &str) -> Option<Self> {
                match name {
                    $($($name)|+ => Some(Self::$member),)+
                    _ => None,
                }
            }

            const fn name(self) -> &'static str {
                match self { $(Self::$member => first(&[$($name),+])),+ }
            }
        }
    };
}

members! {
    Model = "model",
    Stream = "stream",
    StreamOptions = "stream_options",
    MaxTokens = "max_tokens",
    MaxCompletionTokens = "max_completion_tokens",
    MaxOutputTokens = "max_output_tokens",
    Choices = "n",
    BestOf = "best_of",
    Prompt = "prompt",
    Input = "input",
    Seconds = "seconds",
    Background = "background",
    PreviousResponse = "previous_response_id",
    Conversation = "conversation",
    Container = "container",
    CachedContent = "cachedContent" | "cached_content",
    Config = "generationConfig" | "generation_config",
    Tools = "tools",
    MaxToolCalls = "max_tool_calls",
    ServiceTier = "service_tier",
    GoogleServiceTier = "serviceTier",
    Speed = "speed",
    Geography = "inference_geo",
    WebSearch = "web_search_options",
    Search = "search_parameters",
    EnableSearch = "enable_search",
    Plugins = "plugins",
}

const COUNT: usize = Member::ALL.len();

const fn first(names: &[&'static str]) -> &'static str {
    match names {
        [first, ..] => first,
        [] => "",
    }
}

/// Members by which some upstreams are told further models.
const FURTHER: [&str; 2] = ["models", "fallbacks"];

/// The values as they stand in the body.
#[derive(Debug)]
pub(crate) struct Members<'a> {
    values: [Option<&'a RawValue>; COUNT],
    /// The first one that some upstreams would take for another, or that names further models.
    ambiguous: Option<String>,
}

impl<'a> Members<'a> {
    /// Finds them. A member that means something must not stand there twice: which of the two counts is not agreed on.
    ///
    /// # Errors
    /// [`BodyError::Malformed`].
    pub(crate) fn read(text: &'a str) -> Result<Self, BodyError> {
        let mut members = Self { values: [None; COUNT], ambiguous: None };
        let mut body = serde_json::Deserializer::from_str(text);
        let read = body.deserialize_map(&mut members).and_then(|()| body.end());
        read.map(|()| members).map_err(|error| BodyError::Malformed(error.to_string()))
    }

    /// The value of a member; null is one.
    pub(crate) fn of(&self, member: Member) -> Option<&'a RawValue> {
        self.values.get(member as usize).copied().flatten()
    }

    /// Refuses members that differ in letter case alone from one that the gateway relies on, which some upstreams would
    /// take for it, and those that name further models.
    pub(super) fn must_be_named_plainly(&self) -> Result<(), BodyError> {
        self.ambiguous.clone().map_or(Ok(()), |name| Err(BodyError::Ambiguous(name)))
    }
}

/// What a name means.
enum Name {
    Known(Member),
    Ambiguous(String),
    Other,
}

impl Name {
    fn of(name: &str) -> Self {
        if let Some(member) = Member::named(name) {
            return Self::Known(member);
        }
        let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if FURTHER.contains(&name) || !plain && is_like_known(name) {
            return Self::Ambiguous(name.chars().take(64).collect());
        }
        Self::Other
    }
}

fn is_like_known(name: &str) -> bool {
    let folded: String = name.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect();
    // Google's names have capitals of their own.
    let lower = |member: &Member| member.name().bytes().all(|byte| !byte.is_ascii_uppercase());
    Member::ALL.iter().filter(|member| lower(member)).any(|member| member.name() == folded)
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a member")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Name, E> {
                Ok(Name::of(name))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// Takes in the members of an object, in place: they are too many to be passed from hand to hand.
impl<'de> Visitor<'de> for &mut Members<'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key()? {
            let member = match name {
                Name::Known(member) => member,
                Name::Ambiguous(name) => {
                    self.ambiguous.get_or_insert(name);
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
                Name::Other => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            let value = map.next_value()?;
            if let Some(place) = self.values.get_mut(member as usize)
                && place.replace(value).is_some()
            {
                return Err(Error::duplicate_field(member.name()));
            }
        }
        Ok(())
    }
}
