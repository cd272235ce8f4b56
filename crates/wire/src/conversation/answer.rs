//! What a model answers.

use serde_json::{Number, Value};

use super::part::Part;
use crate::{openai::estimate, usage::Usage};

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) id: String,
    pub(crate) model: String,
    pub(crate) created: Option<u64>,
    pub(crate) choices: Vec<Choice>,
    pub(crate) usage: Option<Usage>,
}

impl Answer {
    /// An estimate of the output tokens in it: of what the model wrote, never of the JSON around it.
    pub(crate) fn estimated_output(&self) -> u64 {
        let length = |part: &Part| match part {
            Part::Text(text) => text.text.len(),
            Part::Thinking(thinking) => thinking.text.len(),
            Part::Refusal(words) => words.len(),
            Part::Call(call) => call.name.len() + call.arguments.len(),
            Part::Media(_) | Part::Result(_) => 0,
        };
        let parts = self.choices.iter().flat_map(|choice| &choice.parts);
        parts.map(|part| estimate(length(part) as u64)).sum()
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Choice {
    pub(crate) parts: Vec<Part>,
    pub(crate) stop: Stop,
    pub(crate) logprobs: Vec<Logprob>,
}

/// Why an answer ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stop {
    #[default]
    End,
    /// At a stop sequence, which not everybody names.
    Sequence(Option<String>),
    Length,
    Calls,
    /// A filter, or the model itself, would not have it.
    Refused,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Logprob {
    pub(crate) token: String,
    pub(crate) logprob: Number,
    pub(crate) bytes: Option<Value>,
    pub(crate) top: Vec<Logprob>,
}
