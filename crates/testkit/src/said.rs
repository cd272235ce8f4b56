//! What the provider says to a request, before any dialect: thoughts, words, calls, and what it counts for them.

use serde_json::Value;

use crate::{Script, schema};

const TEXT: &str = "Hello from Apsis! This answer travelled over real HTTP: your key was checked, its cost was held \
                    before the first word, and exactly these words are charged.";
const REFUSAL: &str = "I cannot help with that.";

/// A tool that a request offers.
pub(crate) struct Tool {
    pub(crate) name: String,
    /// The JSON schema of its arguments.
    pub(crate) schema: Value,
}

/// What a request of any dialect asks.
#[derive(Default)]
pub(crate) struct Asked {
    pub(crate) limit: Option<u64>,
    pub(crate) choices: u64,
    /// Its words: this provider's tokens.
    pub(crate) input: u64,
    pub(crate) tools: Vec<Tool>,
    /// Whether a tool must be called.
    pub(crate) must_call: bool,
    /// Whether it ends with the results of calls.
    pub(crate) has_results: bool,
    /// Whether thoughts are wanted.
    pub(crate) thinks: bool,
    /// The JSON schema that the answer must fit.
    pub(crate) schema: Option<Value>,
}

/// A call of a tool.
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) arguments: Value,
}

/// Why an answer ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    End,
    Limit,
    Calls,
    Refusal,
}

/// Tokens by kind. Input has its cached parts inside, output its reasoning.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tokens {
    pub(crate) input: u64,
    pub(crate) cached: u64,
    pub(crate) written: u64,
    pub(crate) output: u64,
    pub(crate) reasoning: u64,
}

/// An answer.
pub(crate) struct Said {
    /// Pieces of thought, one token each.
    pub(crate) thoughts: Vec<String>,
    /// Pieces of text, one token each.
    pub(crate) pieces: Vec<String>,
    pub(crate) calls: Vec<Call>,
    pub(crate) stop: Stop,
    pub(crate) tokens: Tokens,
}

impl Said {
    pub(crate) fn new(asked: &Asked, script: &Script) -> Self {
        let calls = calls(asked, script);
        let mut pieces = match (&asked.schema, script.words) {
            _ if script.refuse => words(REFUSAL.split_whitespace().map(str::to_owned)),
            _ if !calls.is_empty() => vec![],
            (Some(schema), _) => json_pieces(&schema::fitting(schema)),
            (None, Some(count)) => words((0..count).map(|index| format!("w{index}"))),
            (None, None) => words(TEXT.split_whitespace().map(str::to_owned)),
        };
        let thought = if asked.thinks { script.thoughts } else { 0 };
        let mut thoughts = words((0..thought).map(|index| format!("t{index}")));
        let calling: u64 = calls.iter().map(|call| 1 + count(&call.arguments)).sum();
        let limit = asked.limit.filter(|_| !script.ignore_limit).unwrap_or(u64::MAX);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let all = thoughts.len() + pieces.len();
        thoughts.truncate(limit);
        pieces.truncate(limit - thoughts.len());
        let (mut stop, mut calls) = (if calls.is_empty() { Stop::End } else { Stop::Calls }, calls);
        let mut output = (thoughts.len() + pieces.len()) as u64;
        if script.refuse {
            stop = Stop::Refusal;
        }
        if (output as usize) < all || output + calling > limit as u64 {
            (stop, calls) = (Stop::Limit, vec![]);
        } else {
            output += calling;
        }
        let cached = script.cached.min(asked.input);
        let written = script.cache_write.min(asked.input - cached);
        let choices = asked.choices.max(1);
        let tokens = Tokens {
            input: asked.input,
            cached,
            written,
            output: output * choices,
            reasoning: thoughts.len() as u64 * choices,
        };
        Self { thoughts, pieces, calls, stop, tokens }
    }

    pub(crate) fn text(&self) -> String {
        self.pieces.concat()
    }

    pub(crate) fn thought(&self) -> String {
        self.thoughts.concat()
    }

    pub(crate) fn refused(&self) -> bool {
        self.stop == Stop::Refusal
    }
}

fn calls(asked: &Asked, script: &Script) -> Vec<Call> {
    if script.refuse || asked.has_results {
        return vec![];
    }
    let wanted = if asked.must_call { script.calls.max(1) } else { script.calls };
    let tools = asked.tools.iter().take(usize::try_from(wanted).unwrap_or(usize::MAX));
    tools.map(|tool| Call { name: tool.name.clone(), arguments: schema::fitting(&tool.schema) }).collect()
}

fn words(words: impl Iterator<Item = String>) -> Vec<String> {
    words.enumerate().map(|(index, word)| if index == 0 { word } else { format!(" {word}") }).collect()
}

fn json_pieces(value: &Value) -> Vec<String> {
    value.to_string().split_inclusive(',').map(str::to_owned).collect()
}

/// Words in all texts of a part of a request.
pub(crate) fn count(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.split_whitespace().count() as u64,
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(members) => members
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "role" | "type" | "cache_control"))
            .map(|(_, value)| count(value))
            .sum(),
        _ => 0,
    }
}

/// Words in these members of a request.
pub(crate) fn count_members(request: &Value, names: &[&str]) -> u64 {
    names.iter().filter_map(|name| request.get(name)).map(count).sum()
}
