//! What a model is asked.

use serde_json::{Number, Value};

use super::{
    feature::{Feature, Losses},
    part::{Cache, Part},
};

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Request {
    pub(crate) model: String,
    pub(crate) stream: bool,
    pub(crate) turns: Vec<Turn>,
    pub(crate) tools: Vec<Tool>,
    pub(crate) tool_choice: Option<ToolChoice>,
    pub(crate) parallel_calls: Option<bool>,
    pub(crate) format: Format,
    pub(crate) verbosity: Option<String>,
    pub(crate) output_limit: Option<u64>,
    pub(crate) sampling: Sampling,
    pub(crate) reasoning: Reasoning,
    /// Who the caller's own user is, to the vendor.
    pub(crate) user: Option<String>,
    pub(crate) metadata: Option<Value>,
    pub(crate) store: Option<bool>,
    /// A tier that is not the ordinary one.
    pub(crate) service_tier: Option<String>,
    pub(crate) cache_key: Option<String>,
    /// Cache all of it.
    pub(crate) cache: Option<Cache>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Turn {
    pub(crate) role: Role,
    pub(crate) parts: Vec<Part>,
}

/// The turns of system and developer, and the others: some dialects know of the former in front only.
pub(crate) fn system_first(turns: Vec<Turn>, losses: &mut Losses) -> (Vec<Turn>, Vec<Turn>) {
    let is_system = |turn: &Turn| matches!(turn.role, Role::System | Role::Developer);
    let mut behind = turns.iter().skip_while(|turn| is_system(turn));
    losses.drop_if(behind.any(is_system), Feature::SystemPosition);
    turns.into_iter().partition(is_system)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    System,
    Developer,
    /// The user, or the tools: results of calls stand in this role.
    User,
    Assistant,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sampling {
    pub(crate) temperature: Option<Number>,
    pub(crate) top_p: Option<Number>,
    pub(crate) top_k: Option<Number>,
    pub(crate) seed: Option<Number>,
    pub(crate) frequency_penalty: Option<Number>,
    pub(crate) presence_penalty: Option<Number>,
    pub(crate) logit_bias: Option<Value>,
    pub(crate) stop: Vec<String>,
    /// How many answers; `None` is one.
    pub(crate) choices: Option<u64>,
    /// How many alternatives to each token, where log probabilities are asked for at all.
    pub(crate) logprobs: Option<u64>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    /// A JSON Schema.
    pub(crate) parameters: Option<Value>,
    pub(crate) strict: Option<bool>,
    pub(crate) cache: Option<Cache>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ToolChoice {
    Auto,
    None,
    Required,
    Named(String),
    /// Only these, and whether one of them must be called.
    Among(Vec<String>, bool),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
    Schema {
        name: Option<String>,
        description: Option<String>,
        schema: Value,
        strict: Option<bool>,
    },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reasoning {
    pub(crate) amount: Option<Amount>,
    /// Whether the caller wants to see it.
    pub(crate) show: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Amount {
    Off,
    /// As much as the model thinks fit.
    Adaptive,
    Effort(Effort),
    Tokens(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effort {
    Minimal,
    Low,
    Medium,
    High,
    XHigh,
    Max,
}

impl Effort {
    pub(crate) const ALL: [Self; 6] =
        [Self::Minimal, Self::Low, Self::Medium, Self::High, Self::XHigh, Self::Max];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
            Self::Max => "max",
        }
    }

    pub(crate) fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|effort| effort.word() == word)
    }

    /// The tokens that Google's page on its OpenAI compatibility gives for each effort.
    pub(crate) const fn tokens(self) -> u64 {
        match self {
            Self::Minimal | Self::Low => 1_024,
            Self::Medium => 8_192,
            Self::High | Self::XHigh | Self::Max => 24_576,
        }
    }

    /// The effort that comes nearest to a number of tokens, without passing below it where there is a larger one.
    pub(crate) const fn of_tokens(tokens: u64) -> Self {
        match tokens {
            0..=1_024 => Self::Low,
            1_025..=8_192 => Self::Medium,
            _ => Self::High,
        }
    }
}
