//! The dialects in which models are asked for text.

/// One way to ask a model, and to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI's chat completions: `/v1/chat/completions`.
    Chat,
    /// OpenAI's responses: `/v1/responses`.
    Responses,
    /// Anthropic's messages: `/v1/messages`.
    Messages,
    /// Google's generateContent: `/v1beta/models/{model}:generateContent`.
    Google,
}

/// Who made a dialect. What only its vendor can read (a signature, the id of a file) has no meaning elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vendor {
    OpenAi,
    Anthropic,
    Google,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Chat, Self::Responses, Self::Messages, Self::Google];

    /// The name that people know it by.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat completions",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::Google => "generateContent",
        }
    }

    /// The shape of its errors.
    #[must_use]
    pub const fn errors(self) -> crate::error::Dialect {
        match self {
            Self::Chat | Self::Responses => crate::error::Dialect::OpenAi,
            Self::Messages => crate::error::Dialect::Anthropic,
            Self::Google => crate::error::Dialect::Google,
        }
    }
}
