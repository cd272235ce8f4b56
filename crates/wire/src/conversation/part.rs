//! What a turn consists of.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::dialect::Vendor;

/// One piece of a turn.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    Text(Text),
    Media(Media),
    /// The model wants a tool to run.
    Call(Call),
    /// What came of it.
    Result(CallResult),
    Thinking(Thinking),
    /// The model says that it will not.
    Refusal(String),
}

impl Part {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(Text { text: text.into(), ..Text::default() })
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) cache: Option<Cache>,
    pub(crate) citations: Vec<Citation>,
}

/// A mark: what stands up to here shall be cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cache {
    FiveMinutes,
    Hour,
}

/// A page that a text rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Citation {
    pub(crate) url: String,
    pub(crate) title: Option<String>,
    /// What the page says.
    pub(crate) quote: Option<String>,
    /// The part of the answer's text that it supports, in characters.
    pub(crate) span: Option<(u64, u64)>,
    /// What only Anthropic can read: needed when the text is sent back.
    pub(crate) sealed_index: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MediaKind {
    Image,
    Audio,
    Video,
    /// Anything else, such as a PDF.
    File,
}

impl MediaKind {
    pub(crate) fn of(mime: &str) -> Self {
        match mime.split('/').next() {
            Some("image") => Self::Image,
            Some("audio") => Self::Audio,
            Some("video") => Self::Video,
            _ => Self::File,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Media {
    pub(crate) kind: MediaKind,
    pub(crate) source: Source,
    /// The name of the file.
    pub(crate) name: Option<String>,
    /// How closely an image is to be looked at.
    pub(crate) detail: Option<String>,
    /// What the document is about, and whether the answer shall cite it.
    pub(crate) context: Option<String>,
    pub(crate) cite: bool,
    pub(crate) cache: Option<Cache>,
}

impl Media {
    pub(crate) const fn new(kind: MediaKind, source: Source) -> Self {
        Self { kind, source, name: None, detail: None, context: None, cite: false, cache: None }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Base64 {
        mime: String,
        data: String,
    },
    /// The type of what is there, where the caller said it.
    Url {
        mime: Option<String>,
        url: String,
    },
    /// A file that was uploaded to a vendor.
    Uploaded {
        vendor: Vendor,
        id: String,
        mime: Option<String>,
    },
    Text(String),
}

impl Source {
    /// Reads an address, which may be the content itself: `data:image/png;base64,…`.
    pub(crate) fn of_url(url: String) -> Self {
        let inline = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
        match inline {
            Some((mime, data)) => Self::Base64 { mime: mime.to_owned(), data: data.to_owned() },
            None => Self::Url { mime: None, url },
        }
    }

    /// The reverse, where the source has an address.
    pub(crate) fn to_url(&self) -> Option<String> {
        match self {
            Self::Base64 { mime, data } => Some(format!("data:{mime};base64,{data}")),
            Self::Url { url, .. } => Some(url.clone()),
            Self::Uploaded { .. } | Self::Text(_) => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) name: String,
    /// JSON, as the model wrote it.
    pub(crate) arguments: String,
    pub(crate) cache: Option<Cache>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CallResult {
    pub(crate) call: String,
    /// The tool's name, where it is said or known.
    pub(crate) name: Option<String>,
    pub(crate) parts: Vec<Part>,
    pub(crate) is_error: bool,
    pub(crate) cache: Option<Cache>,
}

impl CallResult {
    /// The text of the result, and whether there was anything else.
    pub(crate) fn text(&self) -> (String, bool) {
        let text = |part: &Part| match part {
            Part::Text(text) => Some(text.text.clone()),
            _ => None,
        };
        let texts: Vec<String> = self.parts.iter().filter_map(text).collect();
        (texts.join("\n"), texts.len() < self.parts.len())
    }
}

/// Thinking, and the seal by which its vendor knows it again. Directly before a call it may be a seal alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Thinking {
    pub(crate) text: String,
    pub(crate) seal: Option<Seal>,
}

/// A signature, or thinking that only its vendor can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seal {
    pub(crate) kind: SealKind,
    pub(crate) value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SealKind {
    Anthropic,
    /// Of Anthropic too: the thinking itself, hidden.
    AnthropicRedacted,
    Google,
    /// Of OpenAI: the id of the reasoning item, a colon, and its encrypted content.
    OpenAi,
}

impl SealKind {
    const ALL: [Self; 4] = [Self::Anthropic, Self::AnthropicRedacted, Self::Google, Self::OpenAi];

    const fn prefix(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic:",
            Self::AnthropicRedacted => "anthropic-redacted:",
            Self::Google => "google:",
            Self::OpenAi => "openai:",
        }
    }
}

impl Seal {
    pub(crate) fn new(kind: SealKind, value: impl Into<String>) -> Self {
        Self { kind, value: value.into() }
    }

    /// Reads a seal in a member that is meant for those of kind `own`. One of another kind says so in front, as
    /// [`Seal::foreign`] wrote it; no vendor's signature has a colon.
    pub(crate) fn read(text: String, own: SealKind) -> Self {
        for kind in SealKind::ALL {
            if let Some(value) = text.strip_prefix(kind.prefix()) {
                return Self::new(kind, value);
            }
        }
        Self::new(own, text)
    }

    /// Reads a seal where only base64 may stand: one of another kind is wrapped in it once more.
    pub(crate) fn read_base64(text: String, own: SealKind) -> Self {
        let inner = STANDARD.decode(&text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        match inner.filter(|inner| SealKind::ALL.iter().any(|kind| inner.starts_with(kind.prefix()))) {
            Some(inner) => Self::read(inner, own),
            None => Self::new(own, text),
        }
    }

    /// The reverse.
    pub(crate) fn foreign_base64(&self, own: SealKind) -> String {
        if self.kind == own { self.value.clone() } else { STANDARD.encode(self.foreign(own)) }
    }

    /// As text for a client of another dialect, who sends it back as it is.
    pub(crate) fn foreign(&self, own: SealKind) -> String {
        if self.kind == own { self.value.clone() } else { format!("{}{}", self.kind.prefix(), self.value) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_comes_back_from_every_dialect() {
        for kind in SealKind::ALL {
            let seal = Seal::new(kind, "YWJj");
            for own in SealKind::ALL {
                assert_eq!(Seal::read(seal.foreign(own), own), seal);
                assert_eq!(Seal::read_base64(seal.foreign_base64(own), own), seal);
                assert!(STANDARD.decode(seal.foreign_base64(own)).is_ok());
            }
        }
    }
}
