//! What not every dialect can say, and what becomes of it.

use crate::{convert::ConvertError, dialect::Dialect};

/// Declares the features, each with its member in chat completions, responses, messages and generateContent. A dash
/// stands where a dialect has none; no request of that dialect ever shows such a feature.
macro_rules! features {
    ($($(#[$doc:meta])* $feature:ident: $chat:literal, $responses:literal, $messages:literal, $google:literal;)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Feature { $($(#[$doc])* $feature,)* }

        impl Feature {
            /// The member that says it.
            pub(crate) const fn member(self, dialect: Dialect) -> &'static str {
                match (self, dialect) {
                    $(
                        (Self::$feature, Dialect::Chat) => $chat,
                        (Self::$feature, Dialect::Responses) => $responses,
                        (Self::$feature, Dialect::Messages) => $messages,
                        (Self::$feature, Dialect::Google) => $google,
                    )*
                }
            }
        }
    };
}

features! {
    Choices: "n", "-", "-", "generationConfig.candidateCount";
    Logprobs: "logprobs", "top_logprobs", "-", "generationConfig.responseLogprobs";
    LogitBias: "logit_bias", "-", "-", "-";
    FrequencyPenalty: "frequency_penalty", "-", "-", "generationConfig.frequencyPenalty";
    PresencePenalty: "presence_penalty", "-", "-", "generationConfig.presencePenalty";
    Seed: "seed", "-", "-", "generationConfig.seed";
    /// Beyond what the other dialect takes; it gets the nearest value.
    Temperature: "temperature", "temperature", "temperature", "generationConfig.temperature";
    TopK: "-", "-", "top_k", "generationConfig.topK";
    Stop: "stop", "-", "stop_sequences", "generationConfig.stopSequences";
    User: "user", "user", "metadata.user_id", "-";
    Metadata: "metadata", "metadata", "-", "-";
    Store: "store", "store", "-", "-";
    ServiceTier: "service_tier", "service_tier", "service_tier", "-";
    CacheKey: "prompt_cache_key", "prompt_cache_key", "-", "-";
    CacheControl: "-", "-", "cache_control", "-";
    ParallelCalls: "parallel_tool_calls", "parallel_tool_calls", "tool_choice.disable_parallel_tool_use", "-";
    AllowedTools: "tool_choice.allowed_tools", "tool_choice.tools", "-", "toolConfig.functionCallingConfig.allowedFunctionNames";
    JsonObject: "response_format", "text.format", "-", "generationConfig.responseMimeType";
    Verbosity: "verbosity", "text.verbosity", "-", "-";
    /// A number of tokens where the other dialect knows words only.
    ReasoningBudget: "-", "-", "thinking.budget_tokens", "generationConfig.thinkingConfig.thinkingBudget";
    Thinking: "messages[].reasoning_details", "input[].type reasoning", "messages[].content[].type thinking", "contents[].parts[].thought";
    ImageDetail: "messages[].content[].image_url.detail", "input[].content[].detail", "-", "-";
    ImageUrl: "messages[].content[].image_url", "input[].content[].image_url", "messages[].content[].source", "contents[].parts[].fileData";
    Audio: "messages[].content[].input_audio", "input[].content[].input_audio", "-", "contents[].parts[].inlineData";
    Video: "-", "-", "-", "contents[].parts[].inlineData";
    File: "messages[].content[].file", "input[].content[].input_file", "messages[].content[].type document", "contents[].parts[].inlineData";
    FileUrl: "-", "input[].content[].file_url", "messages[].content[].source.url", "contents[].parts[].fileData";
    FileName: "messages[].content[].file.filename", "input[].content[].filename", "messages[].content[].title", "contents[].parts[].inlineData.displayName";
    UploadedFile: "messages[].content[].file.file_id", "input[].content[].file_id", "messages[].content[].source.file_id", "contents[].parts[].fileData.fileUri";
    FileContext: "-", "-", "messages[].content[].context", "-";
    CiteFile: "-", "-", "messages[].content[].citations", "-";
    ResultMedia: "-", "input[].output", "messages[].content[].content", "contents[].parts[].functionResponse.parts";
    ResultError: "-", "-", "messages[].content[].is_error", "-";
    Citations: "messages[].annotations", "input[].content[].annotations", "messages[].content[].citations", "-";
    /// A system message behind the first turn, which moves to the front.
    SystemPosition: "messages[].role", "input[].role", "messages[].role", "-";
    /// What a function returns, described beside what it takes.
    Returned: "-", "-", "-", "tools[].functionDeclarations[].response";
    OutputLimit: "max_completion_tokens", "max_output_tokens", "max_tokens", "generationConfig.maxOutputTokens";
}

/// What a request loses on its way from one dialect to another.
#[derive(Debug)]
pub(crate) struct Losses {
    from: Dialect,
    refused: Vec<String>,
    dropped: Vec<String>,
}

impl Losses {
    pub(crate) const fn new(from: Dialect) -> Self {
        Self { from, refused: Vec::new(), dropped: Vec::new() }
    }

    /// Its dialect is the one that is read.
    pub(crate) const fn from(&self) -> Dialect {
        self.from
    }

    /// The feature cannot be carried, and the request means something else without it.
    pub(crate) fn refuse(&mut self, feature: Feature) {
        self.refuse_member(feature.member(self.from));
    }

    /// The member, by its path, has no place between the dialects.
    pub(crate) fn refuse_member(&mut self, member: impl Into<String>) {
        let member = member.into();
        if !self.refused.contains(&member) {
            self.refused.push(member);
        }
    }

    /// The feature cannot be carried, and a document of the dialects says that it may be left out.
    pub(crate) fn drop(&mut self, feature: Feature) {
        let member = feature.member(self.from).to_owned();
        if !self.dropped.contains(&member) {
            self.dropped.push(member);
        }
    }

    /// [`Losses::refuse`], if `present`.
    pub(crate) fn refuse_if(&mut self, present: bool, feature: Feature) {
        if present {
            self.refuse(feature);
        }
    }

    /// [`Losses::drop`], if `present`.
    pub(crate) fn drop_if(&mut self, present: bool, feature: Feature) {
        if present {
            self.drop(feature);
        }
    }

    /// What was dropped, if nothing was refused.
    pub(crate) fn judge(self) -> Result<Vec<String>, ConvertError> {
        if self.refused.is_empty() { Ok(self.dropped) } else { Err(ConvertError::Uncarried(self.refused)) }
    }
}
