//! A whole answer that passes as it is, and what it says of itself.

use serde_json::Value;

use crate::{
    chat,
    dialect::Dialect,
    google, look, messages,
    openai::{answer::Answer, estimate, usage::Reported},
    responses,
};

/// Reads a whole answer. A body that is no JSON has an [`Answer`] too: it reports nothing that can be true.
#[must_use]
pub fn answer(dialect: Dialect, body: &[u8]) -> Answer {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        let estimated_output = estimate(body.len() as u64);
        return Answer { reported: Reported::Absurd, estimated_output, ..Answer::default() };
    };
    let usage = |name: &str| value.get(name).map_or_else(|| "null".to_owned(), Value::to_string);
    let (report, answer) = match dialect {
        Dialect::Chat => (chat::answer::read_report(&value), chat::answer::read(&value)),
        Dialect::Responses => {
            (responses::usage::read(usage("usage").as_bytes()), responses::answer::read(&value))
        }
        Dialect::Messages => {
            (messages::usage::read(usage("usage").as_bytes()), messages::answer::read(&value))
        }
        Dialect::Google => {
            (google::usage::read(usage("usageMetadata").as_bytes()), google::answer::read(&value))
        }
    };
    let is_error = value.get("error").is_some_and(|error| !error.is_null()) || look::kind(&value) == "error";
    Answer {
        reported: report.reported(),
        estimated_output: answer.estimated_output(),
        is_error,
        is_whole: value.is_object(),
        ..Answer::default()
    }
}
