//! Kinds of providers: what an upstream speaks, under which paths, and how it wants its credential.
//!
//! A provider is a description. One that speaks as another does is a further row of [`PROVIDERS`], and no code.

use std::fmt;

use store::ModelFacts;
use wire::{dialect::Dialect, messages::hosted::Hosted};

use crate::door::Door;

/// How a credential is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// `Authorization: Bearer` and the credential.
    Bearer,
    /// The credential alone, in this header.
    Header(&'static str),
    /// `Authorization: Bearer` and an access token that is made from the JSON key of a service account of Google's.
    ServiceAccount,
    /// A signature by an access key of AWS, or `Authorization: Bearer` and an API key.
    AccessKey,
}

impl Style {
    /// Whether the credential itself is never sent.
    pub(crate) const fn keeps_secret(self) -> bool {
        matches!(self, Self::ServiceAccount | Self::AccessKey)
    }

    fn words(self) -> String {
        match self {
            Self::Bearer => "API key, as `Authorization: Bearer`".to_owned(),
            Self::Header(name) => format!("API key, as `{name}`"),
            Self::ServiceAccount => "JSON key of a service account, for access tokens".to_owned(),
            Self::AccessKey => {
                "access key, for signatures; or API key, as `Authorization: Bearer`".to_owned()
            }
        }
    }
}

/// One kind of provider.
pub struct Provider {
    /// The word that channels know it by.
    pub kind: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// The base URL, where there is one for everybody.
    pub base_url: Option<&'static str>,
    pub(crate) credential: Style,
    /// Headers that every request must have; a caller's own of the same name goes before.
    pub(crate) headers: &'static [(&'static str, &'static str)],
    /// What it has, and where behind the base URL. `{model}` stands for the model, `{id}` for it as one segment of the path.
    doors: Doors,
    /// Where streams have another path.
    streams: &'static [(Door, &'static str)],
    /// How it wants messages, where it is a cloud that hosts Anthropic's models.
    pub(crate) hosted: Option<Hosted>,
    /// Whether it knows the limit of a chat completion only as `max_tokens`.
    pub(crate) max_tokens: bool,
}

/// What a provider has.
enum Doors {
    /// These, at these paths.
    Listed(&'static [(Door, &'static str)]),
    /// Every door, at its own path: a gateway like this one, whose base URL is its origin.
    Own,
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Provider({})", self.kind)
    }
}

/// What OpenAI has; first what others have as well that are compatible with it.
const OPENAI: &[(Door, &str)] = &[
    (Door::Chat, "/chat/completions"),
    (Door::Completions, "/completions"),
    (Door::Embeddings, "/embeddings"),
    (Door::Moderations, "/moderations"),
    (Door::Rerank, "/rerank"),
    (Door::Images, "/images/generations"),
    (Door::Speech, "/audio/speech"),
    (Door::ImageEdits, "/images/edits"),
    (Door::Transcriptions, "/audio/transcriptions"),
    (Door::Translations, "/audio/translations"),
    (Door::Realtime, "/realtime"),
    (Door::Responses, "/responses"),
    (Door::Videos, "/videos"),
];

/// All but responses and videos.
const COMPATIBLE: &[(Door, &str)] = OPENAI.split_at(OPENAI.len() - 2).0;

const ANTHROPIC: &[(Door, &str)] =
    &[(Door::Messages, "/messages"), (Door::CountMessages, "/messages/count_tokens")];

const GEMINI: &[(Door, &str)] = &[
    (Door::Generate, "/models/{model}:generateContent"),
    (Door::StreamGenerate, "/models/{model}:streamGenerateContent"),
    (Door::CountContents, "/models/{model}:countTokens"),
    (Door::EmbedContent, "/models/{model}:embedContent"),
    (Door::EmbedContents, "/models/{model}:batchEmbedContents"),
];

/// Google's own models at its cloud. Source: Vertex AI's reference of its REST API, v1, `publishers.models`.
const VERTEX: &[(Door, &str)] = &[
    (Door::Generate, "/publishers/google/models/{model}:generateContent"),
    (Door::StreamGenerate, "/publishers/google/models/{model}:streamGenerateContent"),
    (Door::CountContents, "/publishers/google/models/{model}:countTokens"),
];

/// Anthropic's models at Google's cloud. Source: Anthropic, "Claude on Vertex AI".
const VERTEX_ANTHROPIC: &[(Door, &str)] = &[
    (Door::Messages, "/publishers/anthropic/models/{model}:rawPredict"),
    (Door::CountMessages, "/publishers/anthropic/models/count-tokens:rawPredict"),
];

/// Anthropic's models at Amazon Bedrock. Source: its reference, `InvokeModel`.
const BEDROCK: &[(Door, &str)] = &[(Door::Messages, "/model/{id}/invoke")];

const fn compatible(kind: &'static str, name: &'static str, base_url: Option<&'static str>) -> Provider {
    Provider {
        kind,
        name,
        base_url,
        credential: Style::Bearer,
        headers: &[],
        doors: Doors::Listed(COMPATIBLE),
        streams: &[],
        hosted: None,
        max_tokens: true,
    }
}

/// All kinds. Sources: the providers' public references of their APIs.
pub const PROVIDERS: &[Provider] = &[
    Provider {
        doors: Doors::Listed(OPENAI),
        max_tokens: false,
        ..compatible("openai", "OpenAI", Some("https://api.openai.com/v1"))
    },
    Provider {
        credential: Style::Header("api-key"),
        doors: Doors::Listed(OPENAI),
        max_tokens: false,
        ..compatible("azure", "Azure OpenAI", None)
    },
    Provider {
        credential: Style::Header("x-api-key"),
        headers: &[("anthropic-version", "2023-06-01")],
        doors: Doors::Listed(ANTHROPIC),
        ..compatible("anthropic", "Anthropic", Some("https://api.anthropic.com/v1"))
    },
    Provider {
        credential: Style::Header("x-goog-api-key"),
        doors: Doors::Listed(GEMINI),
        ..compatible("gemini", "Google Gemini", Some("https://generativelanguage.googleapis.com/v1beta"))
    },
    Provider {
        credential: Style::ServiceAccount,
        doors: Doors::Listed(VERTEX),
        ..compatible("vertex", "Google Vertex AI, Google's models", None)
    },
    Provider {
        credential: Style::ServiceAccount,
        doors: Doors::Listed(VERTEX_ANTHROPIC),
        streams: &[(Door::Messages, "/publishers/anthropic/models/{model}:streamRawPredict")],
        hosted: Some(Hosted { version: "vertex-2023-10-16", stream: true, betas: false }),
        ..compatible("vertex-anthropic", "Google Vertex AI, Anthropic's models", None)
    },
    Provider {
        credential: Style::ServiceAccount,
        doors: Doors::Listed(&[(Door::Chat, "/endpoints/openapi/chat/completions")]),
        ..compatible("vertex-openai", "Google Vertex AI, other models, OpenAI-compatible", None)
    },
    Provider {
        credential: Style::AccessKey,
        doors: Doors::Listed(BEDROCK),
        streams: &[(Door::Messages, "/model/{id}/invoke-with-response-stream")],
        hosted: Some(Hosted { version: "bedrock-2023-05-31", stream: false, betas: true }),
        ..compatible("bedrock", "Amazon Bedrock, Anthropic's models", None)
    },
    Provider {
        credential: Style::AccessKey,
        doors: Doors::Listed(&[(Door::Chat, "/openai/v1/chat/completions")]),
        ..compatible("bedrock-openai", "Amazon Bedrock, other models, OpenAI-compatible", None)
    },
    Provider {
        // Messages must say it, and those who ask for them need not.
        headers: &[("anthropic-version", "2023-06-01")],
        doors: Doors::Own,
        max_tokens: false,
        ..compatible("gateway", "Another gateway with every dialect", None)
    },
    compatible("compatible", "OpenAI-compatible, without responses", None),
    compatible("deepseek", "DeepSeek", Some("https://api.deepseek.com/v1")),
    compatible("fireworks", "Fireworks AI", Some("https://api.fireworks.ai/inference/v1")),
    compatible("groq", "Groq", Some("https://api.groq.com/openai/v1")),
    compatible("jina", "Jina AI", Some("https://api.jina.ai/v1")),
    compatible("mistral", "Mistral AI", Some("https://api.mistral.ai/v1")),
    compatible("ollama", "Ollama", Some("http://127.0.0.1:11434/v1")),
    compatible("openrouter", "OpenRouter", Some("https://openrouter.ai/api/v1")),
    compatible("together", "Together AI", Some("https://api.together.xyz/v1")),
    compatible("vllm", "vLLM", None),
    compatible("xai", "xAI", Some("https://api.x.ai/v1")),
];

/// How a request is said to a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speech {
    /// As it came, at this path.
    Native(&'static str),
    /// In another dialect, at this path.
    Converted(Dialect, &'static str),
    /// Not at all: the gateway counts by itself.
    Counted,
}

impl Provider {
    /// The kind of this name.
    #[must_use]
    pub fn of(kind: &str) -> Option<&'static Self> {
        PROVIDERS.iter().find(|provider| provider.kind == kind)
    }

    /// The doors that it has itself.
    pub fn doors(&self) -> impl Iterator<Item = Door> {
        Door::ALL.into_iter().filter(|door| self.path(*door).is_some())
    }

    /// What its credential is, and how it is sent, in words.
    #[must_use]
    pub fn credential(&self) -> String {
        self.credential.words()
    }

    fn path(&self, door: Door) -> Option<&'static str> {
        match self.doors {
            Doors::Listed(doors) => doors.iter().find(|(known, _)| *known == door).map(|(_, path)| *path),
            Doors::Own => Some(door.path()),
        }
    }

    /// Whether a request at `door` can be said to it.
    #[must_use]
    pub fn serves(&self, door: Door) -> bool {
        self.speech(door, false, None).is_some()
    }

    /// How a request at `door` is said to it: in the caller's dialect where it speaks it and the model answers in it,
    /// else in the closest other.
    pub(crate) fn speech(&self, door: Door, stream: bool, facts: Option<&ModelFacts>) -> Option<Speech> {
        let Some(dialect) = door.dialect() else {
            let native = self.path(door).map(Speech::Native);
            return native.or_else(|| (door.is_free() && self.talks()).then_some(Speech::Counted));
        };
        let known = |dialect: &Dialect| self.path(Door::of(*dialect, stream)).is_some();
        let spoken = order(dialect).into_iter().filter(known);
        let chosen = spoken.clone().find(|dialect| is_said_of(*dialect, facts)).or(spoken.clone().next())?;
        let door = Door::of(chosen, stream);
        let streamed = self.streams.iter().find(|(known, _)| stream && *known == door);
        let path = streamed.map(|(_, path)| *path).or_else(|| self.path(door))?;
        Some(if chosen == dialect { Speech::Native(path) } else { Speech::Converted(chosen, path) })
    }

    fn talks(&self) -> bool {
        self.doors().any(|door| door.dialect().is_some())
    }
}

/// The dialects that may be spoken for a caller, the closest first.
const fn order(dialect: Dialect) -> [Dialect; 4] {
    use Dialect::{Chat, Google, Messages, Responses};
    match dialect {
        Chat => [Chat, Responses, Messages, Google],
        Responses => [Responses, Chat, Messages, Google],
        Messages => [Messages, Chat, Responses, Google],
        Google => [Google, Chat, Responses, Messages],
    }
}

/// Whether a model answers in a dialect: some of OpenAI's know responses and no chat completions.
fn is_said_of(dialect: Dialect, facts: Option<&ModelFacts>) -> bool {
    let named = |dialect: Dialect| {
        let endpoint = Door::of(dialect, false).endpoint();
        facts.is_some_and(|facts| facts.endpoints.iter().any(|known| Some(known.as_str()) == endpoint))
    };
    dialect != Dialect::Chat || named(Dialect::Chat) || !named(Dialect::Responses)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn speech(kind: &str, door: Door, facts: Option<&ModelFacts>) -> Option<Speech> {
        Provider::of(kind).unwrap().speech(door, door == Door::StreamGenerate, facts)
    }

    #[test]
    fn each_kind_stands_once_and_its_headers_are_headers() {
        let kinds: HashSet<&str> = PROVIDERS.iter().map(|provider| provider.kind).collect();
        assert_eq!(kinds.len(), PROVIDERS.len());
        for provider in PROVIDERS {
            if let Doors::Listed(listed) = provider.doors {
                let doors: HashSet<Door> = listed.iter().map(|(door, _)| *door).collect();
                assert_eq!(doors.len(), listed.len(), "{provider:?}");
            }
            for (name, value) in provider.headers {
                assert!(http::HeaderName::from_lowercase(name.as_bytes()).is_ok(), "{provider:?}");
                assert!(http::HeaderValue::from_str(value).is_ok(), "{provider:?}");
            }
            if let Style::Header(name) = provider.credential {
                assert!(http::HeaderName::from_lowercase(name.as_bytes()).is_ok(), "{provider:?}");
            }
        }
    }

    #[test]
    fn one_that_is_compatible_lacks_what_openai_alone_has() {
        let lacks = |door: Door| Provider::of("compatible").unwrap().path(door).is_none();
        let openai = Provider::of("openai").unwrap();
        assert_eq!(
            openai.doors().filter(|door| lacks(*door)).collect::<Vec<_>>(),
            [Door::Responses, Door::Videos]
        );
        assert_eq!(Provider::of("gateway").unwrap().doors().count(), Door::ALL.len());
    }

    #[test]
    fn text_is_said_to_every_kind_that_talks() {
        for (kind, door, expected) in [
            ("openai", Door::Chat, Some(Speech::Native("/chat/completions"))),
            ("openai", Door::Messages, Some(Speech::Converted(Dialect::Chat, "/chat/completions"))),
            ("compatible", Door::Responses, Some(Speech::Converted(Dialect::Chat, "/chat/completions"))),
            ("anthropic", Door::Messages, Some(Speech::Native("/messages"))),
            ("anthropic", Door::Generate, Some(Speech::Converted(Dialect::Messages, "/messages"))),
            ("gemini", Door::StreamGenerate, Some(Speech::Native("/models/{model}:streamGenerateContent"))),
            ("openai", Door::CountMessages, Some(Speech::Counted)),
            ("anthropic", Door::CountMessages, Some(Speech::Native("/messages/count_tokens"))),
            ("anthropic", Door::Embeddings, None),
            ("gemini", Door::Rerank, None),
        ] {
            assert_eq!(speech(kind, door, None), expected, "{kind} {door:?}");
        }
    }

    #[test]
    fn a_model_is_asked_in_a_dialect_that_it_has() {
        let facts = ModelFacts { endpoints: vec!["openai-response".to_owned()], ..ModelFacts::unknown("m") };
        let responses = Speech::Converted(Dialect::Responses, "/responses");
        assert_eq!(speech("openai", Door::Chat, Some(&facts)), Some(responses));
        let chat = Speech::Native("/chat/completions");
        assert_eq!(speech("compatible", Door::Chat, Some(&facts)), Some(chat));
    }
}
