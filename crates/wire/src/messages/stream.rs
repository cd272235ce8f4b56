//! A streamed answer of messages.

use serde_json::{Value, json};

use super::{answer, usage::Counts};
use crate::{
    conversation::{
        answer::Stop,
        event::{Block, Delta, Event},
        narrator::Narrator,
        part::{Seal, SealKind},
    },
    look,
    usage::Usage,
};

/// Reads events.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    counts: Counts,
}

impl Reader {
    /// Takes in the data of one event.
    pub(crate) fn data(&mut self, data: &[u8], narrator: &mut Narrator) {
        let Ok(event) = serde_json::from_slice::<Value>(data) else {
            return narrator.fail(Some("the upstream sent an event that is no JSON"), None);
        };
        let none = Value::Null;
        let inside = |name: &str| event.get(name).unwrap_or(&none);
        match look::kind(&event) {
            "message_start" => {
                let message = inside("message");
                self.count(message, narrator);
                narrator.start(look::text(message, "id"), look::text(message, "model"), None);
            }
            "content_block_start" => Self::begin(inside("content_block"), narrator),
            "content_block_delta" => Self::delta(inside("delta"), narrator),
            "content_block_stop" => narrator.close(0),
            "message_delta" => {
                let delta = inside("delta");
                if let Some(reason) = look::some_text(delta, "stop_reason") {
                    narrator.stop(0, answer::read_stop(&reason, look::some_text(delta, "stop_sequence")));
                }
                self.count(&event, narrator);
            }
            "message_stop" => narrator.end(),
            "ping" => narrator.ping(),
            "error" => {
                let error = inside("error");
                narrator.fail(Some(look::text(error, "message")), Some(look::kind(error)));
            }
            // The dialect's document says that new kinds of events may come, and are to be passed over.
            _ => {}
        }
    }

    fn count(&mut self, holder: &Value, narrator: &mut Narrator) {
        if let Some(usage) = holder.get("usage").filter(|usage| !usage.is_null()) {
            self.counts.add(usage.to_string().as_bytes());
            narrator.usage(self.counts.report());
        }
    }

    fn begin(block: &Value, narrator: &mut Narrator) {
        match look::kind(block) {
            "text" => {
                narrator.close(0);
                narrator.open(0, Block::Text);
                narrator.text(0, Block::Text, look::text(block, "text"));
            }
            "thinking" => {
                narrator.close(0);
                narrator.open(0, Block::Thinking);
                narrator.text(0, Block::Thinking, look::text(block, "thinking"));
            }
            "redacted_thinking" => {
                narrator.close(0);
                narrator.seal(0, Seal::new(SealKind::AnthropicRedacted, look::text(block, "data")));
            }
            "tool_use" => {
                let (id, name) = (look::text(block, "id").to_owned(), look::text(block, "name").to_owned());
                narrator.open(0, Block::Call { id, name });
                let input = block.get("input").and_then(Value::as_object).filter(|input| !input.is_empty());
                if let Some(input) = input {
                    narrator.delta(0, Delta::Text(Value::from(input.clone()).to_string()));
                }
            }
            // A block of the vendor's own tools: its deltas have no block to go to.
            _ => narrator.close(0),
        }
    }

    fn delta(delta: &Value, narrator: &mut Narrator) {
        let text = |name| Some(look::text(delta, name)).filter(|text: &&str| !text.is_empty());
        let added = match look::kind(delta) {
            "text_delta" => text("text").map(|text| Delta::Text(text.to_owned())),
            "thinking_delta" => text("thinking").map(|text| Delta::Text(text.to_owned())),
            "input_json_delta" => text("partial_json").map(|text| Delta::Text(text.to_owned())),
            "signature_delta" => {
                text("signature").map(|text| Delta::Seal(Seal::new(SealKind::Anthropic, text)))
            }
            "citations_delta" => delta.get("citation").and_then(answer::read_citation).map(Delta::Citation),
            _ => None,
        };
        if let Some(added) = added {
            narrator.delta(0, added);
        }
    }
}

/// Writes events.
#[derive(Debug)]
pub(crate) struct Writer {
    /// The input as the gateway counts it: clients read it from the first event, when most upstreams have not said it.
    input: u64,
    usage: Option<Usage>,
    stop: Option<Stop>,
    index: u32,
    open: Option<Block>,
}

impl Writer {
    pub(crate) const fn new(input: u64) -> Self {
        Self { input, usage: None, stop: None, index: 0, open: None }
    }

    /// Writes what an event is here. There is one choice only.
    pub(crate) fn event(&mut self, event: Event, out: &mut String) {
        match event {
            Event::Start { id, model, usage, .. } => {
                self.usage = usage;
                let counted = usage.unwrap_or(Usage { input: self.input, ..Usage::default() });
                let message = json!({
                    "id": id, "type": "message", "role": "assistant", "model": model, "content": [],
                    "stop_reason": null, "stop_sequence": null, "usage": answer::write_usage(&counted),
                });
                write(out, "message_start", json!({"message": message}));
            }
            Event::Open { choice: 0, block } => {
                let started = match &block {
                    Block::Text | Block::Refusal => json!({"type": "text", "text": ""}),
                    Block::Thinking => json!({"type": "thinking", "thinking": "", "signature": ""}),
                    Block::Call { id, name } => {
                        json!({"type": "tool_use", "id": id, "name": name, "input": {}})
                    }
                };
                write(out, "content_block_start", json!({"index": self.index, "content_block": started}));
                self.open = Some(block);
            }
            Event::Delta { choice: 0, delta } => self.added(delta, out),
            Event::Close { choice: 0 } => {
                write(out, "content_block_stop", json!({"index": self.index}));
                self.index += 1;
                self.open = None;
            }
            Event::Stop { choice: 0, stop } => self.stop = Some(stop),
            Event::Usage(usage) => self.usage = Some(usage),
            Event::Ping => write(out, "ping", json!({})),
            Event::Failed { message, code } => {
                let error = json!({"type": "api_error", "message": message, "code": code});
                write(out, "error", json!({"error": error}));
            }
            Event::End => self.end(out),
            Event::Open { .. } | Event::Delta { .. } | Event::Close { .. } | Event::Stop { .. } => {}
        }
    }

    fn added(&mut self, delta: Delta, out: &mut String) {
        let delta = match (delta, &self.open) {
            (Delta::Text(text), Some(Block::Thinking)) => json!({"type": "thinking_delta", "thinking": text}),
            (Delta::Text(text), Some(Block::Call { .. })) => {
                json!({"type": "input_json_delta", "partial_json": text})
            }
            (Delta::Text(text), _) => json!({"type": "text_delta", "text": text}),
            (Delta::Seal(seal), _) => {
                json!({"type": "signature_delta", "signature": seal.foreign(SealKind::Anthropic)})
            }
            (Delta::Citation(citation), _) => {
                json!({"type": "citations_delta", "citation": answer::write_citation(&citation)})
            }
            (Delta::Logprobs(_), _) => return,
        };
        write(out, "content_block_delta", json!({"index": self.index, "delta": delta}));
    }

    fn end(&mut self, out: &mut String) {
        let (reason, sequence) = answer::write_stop(self.stop.as_ref().unwrap_or(&Stop::End));
        let delta = json!({"stop_reason": reason, "stop_sequence": sequence});
        let usage = answer::write_usage(&self.usage.unwrap_or_default());
        write(out, "message_delta", json!({"delta": delta, "usage": usage}));
        write(out, "message_stop", json!({}));
    }
}

/// Writes an event: its kind stands in front of its data, and in them.
fn write(out: &mut String, kind: &str, data: Value) {
    let mut members = serde_json::Map::new();
    members.insert("type".to_owned(), json!(kind));
    if let Value::Object(rest) = data {
        members.extend(rest);
    }
    *out += &format!("event: {kind}\ndata: {}\n\n", Value::from(members));
}
