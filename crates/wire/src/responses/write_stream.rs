//! A streamed answer of responses, written: typed events with numbers in sequence.
//!
//! The last event carries the whole answer, so this writer keeps it; no other one does.

use serde_json::{Value, json};

use super::answer;
use crate::{
    conversation::{
        answer::{Logprob, Stop},
        event::{Block, Delta, Event},
        part::Seal,
    },
    usage::Usage,
};

/// Writes events.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    sequence: u64,
    id: String,
    model: String,
    created: u64,
    output: Vec<Value>,
    open: Option<Item>,
    stop: Option<Stop>,
    usage: Option<Usage>,
}

/// The item that is being told.
#[derive(Debug)]
struct Item {
    id: String,
    block: Block,
    text: String,
    seal: Option<Seal>,
    annotations: Vec<Value>,
    logprobs: Vec<Logprob>,
}

impl Writer {
    /// Writes what an event is here. There is one choice only.
    pub(crate) fn event(&mut self, event: Event, out: &mut String) {
        match event {
            Event::Start { id, model, created, usage } => {
                (self.id, self.model, self.created) = (id, model, created.unwrap_or(0));
                self.usage = usage;
                let response = self.response(None);
                self.write("response.created", json!({"response": response}), out);
                self.write("response.in_progress", json!({"response": response}), out);
            }
            Event::Open { choice: 0, block } => self.opened(block, out),
            Event::Delta { choice: 0, delta } => self.added(delta, out),
            Event::Close { choice: 0 } => self.closed(out),
            Event::Stop { choice: 0, stop } => self.stop = Some(stop),
            Event::Usage(usage) => self.usage = Some(usage),
            Event::Ping => out.push_str(": keep-alive\n\n"),
            Event::Failed { message, code } => {
                let code = code.unwrap_or_else(|| "server_error".to_owned());
                self.write("error", json!({"code": code, "message": message, "param": null}), out);
                let mut response = self.response(None);
                if let Some(members) = response.as_object_mut() {
                    members.insert("status".to_owned(), json!("failed"));
                    members.insert("error".to_owned(), json!({"code": code, "message": message}));
                }
                self.write("response.failed", json!({"response": response}), out);
            }
            Event::End => {
                let stop = self.stop.take().unwrap_or_default();
                let response = self.response(Some(&stop));
                let incomplete = response.get("status") == Some(&json!("incomplete"));
                let kind = if incomplete { "response.incomplete" } else { "response.completed" };
                self.write(kind, json!({"response": response}), out);
            }
            Event::Open { .. } | Event::Delta { .. } | Event::Close { .. } | Event::Stop { .. } => {}
        }
    }

    fn response(&self, stop: Option<&Stop>) -> Value {
        let usage = stop.map(|_| self.usage.unwrap_or_default());
        let head = (self.id.as_str(), self.model.as_str(), self.created);
        answer::response(head, self.output.clone(), stop, usage.as_ref())
    }

    fn opened(&mut self, block: Block, out: &mut String) {
        let (index, id) = (self.output.len(), answer::item_id(&self.id, self.output.len()));
        let mut item = match &block {
            Block::Text | Block::Refusal => answer::message(&id, Vec::new()),
            Block::Thinking => answer::reasoning(&id, "", None),
            Block::Call { id: call, name } => answer::function_call(&id, call, name, ""),
        };
        if let Some(status) = item.get_mut("status") {
            *status = json!("in_progress");
        }
        self.write("response.output_item.added", json!({"output_index": index, "item": item}), out);
        let part = match &block {
            Block::Text => Some(answer::text_part("", Vec::new(), &[])),
            Block::Refusal => Some(json!({"type": "refusal", "refusal": ""})),
            Block::Thinking | Block::Call { .. } => None,
        };
        if let Some(part) = part {
            let at = json!({"item_id": id, "output_index": index, "content_index": 0, "part": part});
            self.write("response.content_part.added", at, out);
        }
        let (annotations, logprobs) = (Vec::new(), Vec::new());
        self.open = Some(Item { id, block, text: String::new(), seal: None, annotations, logprobs });
    }

    fn added(&mut self, delta: Delta, out: &mut String) {
        let index = self.output.len();
        let Some(item) = &mut self.open else { return };
        let id = item.id.clone();
        match delta {
            Delta::Text(text) => {
                let first = item.text.is_empty();
                item.text += &text;
                let content =
                    json!({"item_id": id, "output_index": index, "content_index": 0, "delta": text});
                match item.block {
                    Block::Text => {
                        let logprobs = json!({"logprobs": []});
                        self.write("response.output_text.delta", answer::joined(content, logprobs), out);
                    }
                    Block::Refusal => self.write("response.refusal.delta", content, out),
                    Block::Thinking => {
                        let at = json!({"item_id": id, "output_index": index, "summary_index": 0});
                        if first {
                            let part = json!({"part": {"type": "summary_text", "text": ""}});
                            let part = answer::joined(at.clone(), part);
                            self.write("response.reasoning_summary_part.added", part, out);
                        }
                        let delta = answer::joined(at, json!({"delta": text}));
                        self.write("response.reasoning_summary_text.delta", delta, out);
                    }
                    Block::Call { .. } => {
                        let delta = json!({"item_id": id, "output_index": index, "delta": text});
                        self.write("response.function_call_arguments.delta", delta, out);
                    }
                }
            }
            Delta::Seal(seal) => item.seal = Some(seal),
            Delta::Citation(citation) => {
                let annotation = answer::write_citation(&citation);
                let number = item.annotations.len();
                item.annotations.push(annotation.clone());
                let added = json!({
                    "item_id": id, "output_index": index, "content_index": 0, "annotation_index": number,
                    "annotation": annotation,
                });
                self.write("response.output_text.annotation.added", added, out);
            }
            Delta::Logprobs(logprobs) => item.logprobs.extend(logprobs),
        }
    }

    fn closed(&mut self, out: &mut String) {
        let index = self.output.len();
        let Some(Item { id, block, text, seal, annotations, logprobs }) = self.open.take() else { return };
        let at = json!({"item_id": id, "output_index": index, "content_index": 0});
        let item = match block {
            Block::Text => {
                let part = answer::text_part(&text, annotations, &logprobs);
                let done = json!({"text": text, "logprobs": part.get("logprobs")});
                self.write("response.output_text.done", answer::joined(at.clone(), done), out);
                self.write("response.content_part.done", answer::joined(at, json!({"part": part})), out);
                answer::message(&id, vec![part])
            }
            Block::Refusal => {
                let part = json!({"type": "refusal", "refusal": text});
                self.write(
                    "response.refusal.done",
                    answer::joined(at.clone(), json!({"refusal": text})),
                    out,
                );
                self.write("response.content_part.done", answer::joined(at, json!({"part": part})), out);
                answer::message(&id, vec![part])
            }
            Block::Thinking => {
                if !text.is_empty() {
                    let at = json!({"item_id": id, "output_index": index, "summary_index": 0});
                    let done = answer::joined(at.clone(), json!({"text": text}));
                    self.write("response.reasoning_summary_text.done", done, out);
                    let part = json!({"part": {"type": "summary_text", "text": text}});
                    self.write("response.reasoning_summary_part.done", answer::joined(at, part), out);
                }
                answer::reasoning(&id, &text, seal.as_ref())
            }
            Block::Call { id: call, name } => {
                let done = json!({"item_id": id, "output_index": index, "name": name, "arguments": text});
                self.write("response.function_call_arguments.done", done, out);
                answer::function_call(&id, &call, &name, &text)
            }
        };
        self.write("response.output_item.done", json!({"output_index": index, "item": item}), out);
        self.output.push(item);
    }

    fn write(&mut self, kind: &str, data: Value, out: &mut String) {
        let head = json!({"type": kind, "sequence_number": self.sequence});
        self.sequence += 1;
        *out += &format!("event: {kind}\ndata: {}\n\n", answer::joined(head, data));
    }
}
