//! A streamed answer of responses, read.

use serde_json::Value;

use super::answer;
use crate::{
    chat::answer::{read_citation, read_logprobs},
    conversation::{
        event::{Block, Delta},
        narrator::Narrator,
    },
    look,
};

/// Reads events.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// Where in the output the open call stands.
    call: Option<u64>,
    refused: bool,
}

impl Reader {
    /// Takes in the data of one event.
    pub(crate) fn data(&mut self, data: &[u8], narrator: &mut Narrator) {
        let Ok(event) = serde_json::from_slice::<Value>(data) else {
            return narrator.fail(Some("the upstream sent an event that is no JSON"), None);
        };
        let none = Value::Null;
        let inside = |name: &str| event.get(name).unwrap_or(&none);
        let delta = look::text(&event, "delta");
        match look::kind(&event) {
            "response.created" | "response.in_progress" => {
                let response = inside("response");
                let created = look::whole(response, "created_at");
                narrator.start(look::text(response, "id"), look::text(response, "model"), created);
            }
            "response.output_item.added" => self.added(&event, inside("item"), narrator),
            "response.output_item.done" => Self::done(inside("item"), narrator),
            "response.output_text.delta" => {
                narrator.text(0, Block::Text, delta);
                let logprobs = read_logprobs(look::list(&event, "logprobs"));
                if !logprobs.is_empty() {
                    narrator.delta(0, Delta::Logprobs(logprobs));
                }
            }
            "response.output_text.annotation.added" => {
                if let Some(citation) = read_citation(inside("annotation")) {
                    narrator.delta(0, Delta::Citation(citation));
                }
            }
            "response.refusal.delta" => {
                self.refused = true;
                narrator.text(0, Block::Refusal, delta);
            }
            "response.reasoning_summary_part.added" if look::whole(&event, "summary_index") > Some(0) => {
                narrator.text(0, Block::Thinking, "\n\n");
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                narrator.text(0, Block::Thinking, delta);
            }
            "response.function_call_arguments.delta" => {
                if self.call == look::whole(&event, "output_index") {
                    narrator.delta(0, Delta::Text(delta.to_owned()));
                } else {
                    narrator.fail(Some("the upstream went back to a tool call that it had left"), None);
                }
            }
            kind => self.end(kind, &event, narrator),
        }
    }

    /// An event that ends the answer, or one that says nothing.
    fn end(&self, kind: &str, event: &Value, narrator: &mut Narrator) {
        let none = Value::Null;
        let response = event.get("response").unwrap_or(&none);
        let error = match kind {
            "response.completed" | "response.incomplete" => {
                narrator.usage(answer::read_usage(response));
                narrator.stop(0, answer::read_stop(response, narrator.called(0), self.refused));
                return narrator.end();
            }
            "response.failed" => {
                narrator.usage(answer::read_usage(response));
                response.get("error").unwrap_or(&none)
            }
            "error" => event.get("error").filter(|error| error.is_object()).unwrap_or(event),
            _ => return,
        };
        narrator.fail(Some(look::text(error, "message")), Some(look::text(error, "code")));
    }

    fn added(&mut self, event: &Value, item: &Value, narrator: &mut Narrator) {
        if look::kind(item) == "function_call" {
            self.call = look::whole(event, "output_index");
            let (id, name) = (look::text(item, "call_id").to_owned(), look::text(item, "name").to_owned());
            narrator.open(0, Block::Call { id, name });
        }
    }

    fn done(item: &Value, narrator: &mut Narrator) {
        match look::kind(item) {
            "reasoning" => {
                if let Some(seal) = answer::seal_of(item) {
                    narrator.seal(0, seal);
                }
            }
            "function_call" if !narrator.has_grown(0) => {
                let arguments = look::text(item, "arguments");
                if !arguments.is_empty() {
                    narrator.delta(0, Delta::Text(arguments.to_owned()));
                }
            }
            _ => {}
        }
        narrator.close(0);
    }
}
