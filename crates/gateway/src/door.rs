//! The doors of the model API: where a request comes in, and what follows from it.

use model::price::{Price, Ratio};
use store::ModelFacts;
use wire::{dialect::Dialect, request::Format};

/// Where a request came in. An upstream has the same doors under paths of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Door {
    /// `POST /v1/chat/completions`.
    Chat,
    /// `POST /v1/responses`.
    Responses,
    /// `POST /v1/messages`.
    Messages,
    /// `POST /v1beta/models/{model}:generateContent`.
    Generate,
    /// `POST /v1beta/models/{model}:streamGenerateContent`.
    StreamGenerate,
    /// `POST /v1/completions`.
    Completions,
    /// `POST /v1/embeddings`.
    Embeddings,
    /// `POST /v1/messages/count_tokens`.
    CountMessages,
    /// `POST /v1beta/models/{model}:countTokens`.
    CountContents,
    /// `POST /v1beta/models/{model}:embedContent`.
    EmbedContent,
    /// `POST /v1beta/models/{model}:batchEmbedContents`.
    EmbedContents,
    /// `POST /v1/moderations`.
    Moderations,
    /// `POST /v1/rerank`.
    Rerank,
    /// `POST /v1/images/generations`.
    Images,
    /// `POST /v1/audio/speech`.
    Speech,
    /// `POST /v1/images/edits`.
    ImageEdits,
    /// `POST /v1/audio/transcriptions`.
    Transcriptions,
    /// `POST /v1/audio/translations`.
    Translations,
    /// `POST /v1/videos`, and what is asked of the jobs that begin there.
    Videos,
    /// `GET /v1/realtime`, a websocket.
    Realtime,
}

/// What Google's paths begin with; the model and what is done with it follow.
const GOOGLE: &str = "/v1beta/models/";
/// What they begin with as well: its own client for Python asks there unless it is told otherwise.
const GOOGLE_STABLE: &str = "/v1/models/";

/// A door, and what the address of a request says beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entrance {
    /// The door.
    pub door: Door,
    /// The model, where the path names it.
    pub model: Option<String>,
    /// Whether a stream of generateContent is asked for as server-sent events, and not as one JSON array.
    pub sse: bool,
}

impl Entrance {
    /// The door at a path, with its query.
    #[must_use]
    pub fn at(path: &str, query: Option<&str>) -> Option<Self> {
        let sse = || query.unwrap_or_default().split('&').any(|pair| pair == "alt=sse");
        if let Some(rest) = path.strip_prefix(GOOGLE).or_else(|| path.strip_prefix(GOOGLE_STABLE)) {
            let (model, action) = rest.rsplit_once(':')?;
            let door = Door::ALL.into_iter().find(|door| door.action() == Some(action))?;
            let model = percent_encoding::percent_decode_str(model).decode_utf8().ok()?;
            return Some(Self { door, model: Some(model.into_owned()), sse: sse() });
        }
        let door = Door::ALL.into_iter().find(|door| door.path() == path && !door.is_apart())?;
        Some(Self { door, model: None, sse: true })
    }
}

impl Door {
    /// All there are.
    pub const ALL: [Self; 20] = [
        Self::Chat,
        Self::Responses,
        Self::Messages,
        Self::Generate,
        Self::StreamGenerate,
        Self::Completions,
        Self::Embeddings,
        Self::CountMessages,
        Self::CountContents,
        Self::EmbedContent,
        Self::EmbedContents,
        Self::Moderations,
        Self::Rerank,
        Self::Images,
        Self::Speech,
        Self::ImageEdits,
        Self::Transcriptions,
        Self::Translations,
        Self::Videos,
        Self::Realtime,
    ];

    /// What it is for, in a few words.
    #[must_use]
    pub const fn summary(self) -> &'static str {
        match self {
            Self::Chat => "A chat completion, whole or streamed",
            Self::Responses => "A response, whole or streamed",
            Self::Messages => "A message of Anthropic's dialect, whole or streamed",
            Self::Generate => "Content of Google's dialect",
            Self::StreamGenerate => {
                "Content of Google's dialect, streamed: as events with alt=sse, else as one array"
            }
            Self::Completions => "A completion of the older kind, whole or streamed",
            Self::Embeddings => "Embeddings",
            Self::CountMessages => "The input tokens of a message; free of charge",
            Self::CountContents => "The input tokens of Google's dialect; free of charge",
            Self::EmbedContent => "An embedding of Google's dialect",
            Self::EmbedContents => "Several embeddings of Google's dialect",
            Self::Moderations => "Whether texts or images are harmful",
            Self::Rerank => "Documents in the order of their relevance",
            Self::Images => "Images from a text, whole or streamed",
            Self::Speech => "Speech from a text",
            Self::ImageEdits => "Images from images and a text, whole or streamed; a form",
            Self::Transcriptions => "What is said in sound, whole or streamed; a form",
            Self::Translations => "What is said in sound, in English; a form",
            Self::Videos => "Begins a video, which is asked for until it has ended",
            Self::Realtime => "A conversation in text and sound, over a websocket",
        }
    }

    /// Its path; of Google's with `{model}` for the model.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Responses => "/v1/responses",
            Self::Messages => "/v1/messages",
            Self::Generate => "/v1beta/models/{model}:generateContent",
            Self::StreamGenerate => "/v1beta/models/{model}:streamGenerateContent",
            Self::Completions => "/v1/completions",
            Self::Embeddings => "/v1/embeddings",
            Self::CountMessages => "/v1/messages/count_tokens",
            Self::CountContents => "/v1beta/models/{model}:countTokens",
            Self::EmbedContent => "/v1beta/models/{model}:embedContent",
            Self::EmbedContents => "/v1beta/models/{model}:batchEmbedContents",
            Self::Moderations => "/v1/moderations",
            Self::Rerank => "/v1/rerank",
            Self::Images => "/v1/images/generations",
            Self::Speech => "/v1/audio/speech",
            Self::ImageEdits => "/v1/images/edits",
            Self::Transcriptions => "/v1/audio/transcriptions",
            Self::Translations => "/v1/audio/translations",
            Self::Videos => "/v1/videos",
            Self::Realtime => "/v1/realtime",
        }
    }

    /// What Google's path says is to be done.
    fn action(self) -> Option<&'static str> {
        self.path().strip_prefix(GOOGLE)?.split_once(':').map(|(_, action)| action)
    }

    /// What catalogues call it, where they know it.
    #[must_use]
    pub const fn endpoint(self) -> Option<&'static str> {
        match self {
            Self::Chat => Some("openai"),
            Self::Responses => Some("openai-response"),
            Self::Messages => Some("anthropic"),
            Self::Generate => Some("gemini"),
            Self::Completions => Some("completions"),
            Self::Embeddings => Some("embeddings"),
            Self::EmbedContent => Some("gemini-embeddings"),
            Self::Moderations => Some("moderations"),
            Self::Rerank => Some("jina-rerank"),
            Self::Images => Some("image-generation"),
            Self::Speech => Some("audio-speech"),
            Self::ImageEdits => Some("image-edit"),
            Self::Transcriptions => Some("audio-transcription"),
            Self::Translations => Some("audio-translation"),
            Self::Videos => Some("video-generation"),
            Self::Realtime => Some("realtime"),
            Self::StreamGenerate | Self::CountMessages | Self::CountContents | Self::EmbedContents => None,
        }
    }

    /// Whether a model is asked here: as its facts say, or else as what it is for says. What answers in one of the
    /// dialects for text answers in all of them.
    #[must_use]
    pub fn is_of(self, facts: Option<&ModelFacts>) -> bool {
        let Some(endpoint) = self.endpoint() else { return false };
        let talks = |door: &Self| door.dialect().is_some();
        match facts {
            Some(facts) if !facts.endpoints.is_empty() => {
                let listed =
                    |door: Self| facts.endpoints.iter().any(|known| Some(known.as_str()) == door.endpoint());
                facts.endpoints.iter().any(|known| known == endpoint)
                    || talks(&self) && Self::ALL.into_iter().filter(talks).any(listed)
            }
            Some(facts) if facts.kind == "embedding" => self == Self::Embeddings,
            _ => talks(&self),
        }
    }

    /// The dialect, where text is asked for.
    #[must_use]
    pub const fn dialect(self) -> Option<Dialect> {
        match self {
            Self::Chat => Some(Dialect::Chat),
            Self::Responses => Some(Dialect::Responses),
            Self::Messages => Some(Dialect::Messages),
            Self::Generate | Self::StreamGenerate => Some(Dialect::Google),
            _ => None,
        }
    }

    /// The door of a dialect.
    pub(crate) const fn of(dialect: Dialect, stream: bool) -> Self {
        match dialect {
            Dialect::Chat => Self::Chat,
            Dialect::Responses => Self::Responses,
            Dialect::Messages => Self::Messages,
            Dialect::Google if stream => Self::StreamGenerate,
            Dialect::Google => Self::Generate,
        }
    }

    /// Whose members its bodies have.
    pub(crate) const fn format(self) -> Format {
        match self {
            Self::Chat => Format::Chat,
            Self::Completions => Format::Completions,
            Self::Responses => Format::Responses,
            Self::Messages | Self::CountMessages => Format::Messages,
            Self::Generate
            | Self::StreamGenerate
            | Self::CountContents
            | Self::EmbedContent
            | Self::EmbedContents => Format::Google,
            Self::Embeddings
            | Self::Moderations
            | Self::Rerank
            | Self::Images
            | Self::Speech
            | Self::ImageEdits
            | Self::Transcriptions
            | Self::Translations
            | Self::Videos
            | Self::Realtime => Format::Plain,
        }
    }

    /// Whether its answer is a stream, when `asked` is what the body says.
    pub(crate) const fn streams(self, asked: bool) -> bool {
        match self {
            Self::StreamGenerate => true,
            Self::Chat
            | Self::Completions
            | Self::Responses
            | Self::Messages
            | Self::Images
            | Self::ImageEdits
            | Self::Transcriptions => asked,
            _ => false,
        }
    }

    /// Whether there is an output that is charged.
    pub(crate) const fn has_output(self) -> bool {
        self.limits_output() || self.draws() || self.hears() || matches!(self, Self::Speech)
    }

    /// Whether images are made here.
    pub(crate) const fn draws(self) -> bool {
        matches!(self, Self::Images | Self::ImageEdits)
    }

    /// Whether sound is heard here.
    pub(crate) const fn hears(self) -> bool {
        matches!(self, Self::Transcriptions | Self::Translations)
    }

    /// Whether its requests are forms with files.
    pub(crate) const fn takes_forms(self) -> bool {
        self.hears() || matches!(self, Self::ImageEdits)
    }

    /// Whether its output has a limit that the gateway can write, and comes in tokens that it can follow.
    pub(crate) const fn limits_output(self) -> bool {
        matches!(self, Self::Completions | Self::Realtime) || self.dialect().is_some()
    }

    /// Whether what comes in here is no request with one answer, and has a way of its own.
    pub(crate) const fn is_apart(self) -> bool {
        matches!(self, Self::Videos | Self::Realtime)
    }

    /// Whether a price says what is charged here.
    pub(crate) fn is_priced_by(self, price: &Price) -> bool {
        match self {
            Self::Images | Self::ImageEdits if price.per_image.0 > 0 => true,
            Self::Videos => price.counts_seconds(),
            Self::Speech | Self::Transcriptions | Self::Translations if price.per_second.0 > 0 => true,
            _ => price.counts_tokens(),
        }
    }

    /// Whether it costs nothing.
    pub(crate) const fn is_free(self) -> bool {
        matches!(self, Self::CountMessages | Self::CountContents)
    }

    /// The price ratio here in a group that has `ratio`. What is free has none, so that its records add up too.
    pub(crate) const fn ratio(self, ratio: Ratio) -> Ratio {
        if self.is_free() { Ratio(0) } else { ratio }
    }

    /// Whether usage has to be asked for in its streams.
    pub(crate) const fn asks_usage(self) -> bool {
        matches!(self, Self::Chat | Self::Completions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_door() {
        let at = |path: &str, query: Option<&str>| {
            Entrance::at(path, query).map(|found| (found.door, found.model, found.sse))
        };
        let named = |model: &str| Some(model.to_owned());
        for (path, query, expected) in [
            ("/v1/chat/completions", None, Some((Door::Chat, None, true))),
            (
                "/v1beta/models/gemini-x:generateContent",
                None,
                Some((Door::Generate, named("gemini-x"), false)),
            ),
            (
                "/v1beta/models/a%2Fb:c:streamGenerateContent",
                Some("key=x&alt=sse"),
                Some((Door::StreamGenerate, named("a/b:c"), true)),
            ),
            ("/v1/models/m:countTokens", None, Some((Door::CountContents, named("m"), false))),
            ("/v1/models/ft:m:other", None, None),
            ("/v1beta/models/m:other", None, None),
            ("/v1beta/models/m", None, None),
            ("/v1beta/models/%ff:generateContent", None, None),
            ("/v1/other", None, None),
        ] {
            assert_eq!(at(path, query), expected, "{path}");
        }
    }

    #[test]
    fn a_model_is_asked_where_its_facts_say() {
        let facts = |kind: &str, endpoints: &[&str]| ModelFacts {
            kind: kind.to_owned(),
            endpoints: endpoints.iter().map(|name| (*name).to_owned()).collect(),
            ..ModelFacts::unknown("m")
        };
        let doors = |facts: Option<&ModelFacts>| -> Vec<Door> {
            Door::ALL.into_iter().filter(|door| door.is_of(facts)).collect()
        };
        let text = [Door::Chat, Door::Responses, Door::Messages, Door::Generate];
        assert_eq!(doors(None), text);
        assert_eq!(doors(Some(&facts("", &["anthropic"]))), text);
        assert_eq!(doors(Some(&facts("embedding", &[]))), [Door::Embeddings]);
        assert_eq!(doors(Some(&facts("", &["jina-rerank"]))), [Door::Rerank]);
    }
}
