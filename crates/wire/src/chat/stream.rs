//! A streamed answer of chat completions.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::answer;
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

/// Reads chunks.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// The call that each choice is at.
    calls: Vec<(u32, Calling)>,
}

#[derive(Debug, Default)]
struct Calling {
    index: u64,
    id: String,
}

impl Reader {
    /// Takes in the data of one event.
    pub(crate) fn data(&mut self, data: &[u8], narrator: &mut Narrator) {
        if data.trim_ascii() == b"[DONE]" {
            return narrator.end();
        }
        let Ok(chunk) = serde_json::from_slice::<Value>(data) else {
            return narrator.fail(Some("the upstream sent a chunk that is no JSON"), None);
        };
        if let Some(error) = chunk.get("error").filter(|error| !error.is_null()) {
            let message = error.get("message").and_then(Value::as_str).or_else(|| error.as_str());
            let code = look::some_text(error, "code").or_else(|| look::some_text(error, "type"));
            return narrator.fail(message, code.as_deref());
        }
        let choices = look::list(&chunk, "choices");
        if !choices.is_empty() {
            let created = look::whole(&chunk, "created");
            narrator.start(look::text(&chunk, "id"), look::text(&chunk, "model"), created);
        }
        for choice in choices {
            self.choice(choice, narrator);
        }
        if let Some(usage) = chunk.get("usage").filter(|usage| !usage.is_null()) {
            narrator.usage(answer::read_usage(usage));
        }
    }

    fn choice(&mut self, choice: &Value, narrator: &mut Narrator) {
        let index = look::index(choice, "index");
        if let Some(delta) = choice.get("delta") {
            self.delta(index, delta, narrator);
        }
        if let Some(logprobs) = choice.get("logprobs") {
            let read = answer::read_logprobs(look::list(logprobs, "content"));
            if !read.is_empty() {
                narrator.delta(index, Delta::Logprobs(read));
            }
        }
        if let Some(reason) = look::some_text(choice, "finish_reason") {
            narrator.stop(index, answer::read_stop(&reason));
        }
    }

    fn delta(&mut self, index: u32, delta: &Value, narrator: &mut Narrator) {
        // Some providers send the same reasoning under both names.
        let thought = Some(look::text(delta, "reasoning_content")).filter(|text| !text.is_empty());
        narrator.text(index, Block::Thinking, thought.unwrap_or_else(|| look::text(delta, "reasoning")));
        for detail in look::list(delta, "reasoning_details") {
            let sealed = look::some_text(detail, "signature").or_else(|| look::some_text(detail, "data"));
            if let Some(sealed) = sealed {
                narrator.seal(index, Seal::read(sealed, SealKind::Anthropic));
            }
        }
        narrator.text(index, Block::Text, look::text(delta, "content"));
        narrator.text(index, Block::Refusal, look::text(delta, "refusal"));
        for annotation in look::list(delta, "annotations") {
            if let Some(citation) = answer::read_citation(annotation) {
                narrator.delta(index, Delta::Citation(citation));
            }
        }
        for call in look::list(delta, "tool_calls") {
            self.call(index, call, narrator);
        }
    }

    fn call(&mut self, choice: u32, call: &Value, narrator: &mut Narrator) {
        let none = Value::Null;
        let function = call.get("function").unwrap_or(&none);
        let (at, id) = (look::whole(call, "index").unwrap_or(0), look::text(call, "id"));
        let current = self.calls.iter_mut().find(|(of, _)| *of == choice).map(|(_, calling)| calling);
        // Some providers count no index, but name each call.
        let same = current
            .as_ref()
            .is_some_and(|calling| calling.index == at && (id.is_empty() || calling.id == id));
        if !same {
            if current.as_ref().is_some_and(|calling| at < calling.index) {
                return narrator.fail(Some("the upstream went back to a tool call that it had left"), None);
            }
            let calling = Calling { index: at, id: id.to_owned() };
            match current {
                Some(current) => *current = calling,
                None => self.calls.push((choice, calling)),
            }
            if let Some(signature) = super::request::signature_of(call.get("extra_content").cloned()) {
                narrator.seal(choice, Seal::new(SealKind::Google, signature));
            }
            let (id, name) = (id.to_owned(), look::text(function, "name").to_owned());
            narrator.open(choice, Block::Call { id, name });
        }
        let arguments = look::text(function, "arguments");
        if !arguments.is_empty() {
            narrator.delta(choice, Delta::Text(arguments.to_owned()));
        }
    }
}

/// Writes chunks.
#[derive(Debug)]
pub(crate) struct Writer {
    include_usage: bool,
    id: String,
    model: String,
    created: u64,
    usage: Option<Usage>,
    choices: BTreeMap<u32, Choice>,
}

#[derive(Debug, Default)]
struct Choice {
    greeted: bool,
    open: Option<Block>,
    calls: usize,
    thoughts: usize,
    /// A signature that waits for the call that it signs.
    signature: Option<Seal>,
}

impl Writer {
    pub(crate) fn new(include_usage: bool) -> Self {
        let (id, model) = (String::new(), String::new());
        Self { include_usage, id, model, created: 0, usage: None, choices: BTreeMap::new() }
    }

    /// Writes what an event is here.
    pub(crate) fn event(&mut self, event: Event, out: &mut String) {
        match event {
            Event::Start { id, model, created, usage } => {
                (self.id, self.model, self.created) = (id, model, created.unwrap_or(0));
                self.usage = usage;
                self.delta(0, json!({"content": ""}), out);
            }
            Event::Open { choice, block } => self.open(choice, block, out),
            Event::Delta { choice, delta } => self.added(choice, delta, out),
            Event::Close { choice } => self.state(choice).open = None,
            Event::Stop { choice, stop } => {
                self.flush_signature(choice, out);
                self.stop(choice, &stop, out);
            }
            Event::Usage(usage) => self.usage = Some(usage),
            Event::Ping => out.push_str(": keep-alive\n\n"),
            Event::Failed { message, code } => {
                let error =
                    json!({"message": message, "type": "upstream_error", "param": null, "code": code});
                *out += &format!("data: {}\n\n", json!({"error": error}));
            }
            Event::End => {
                if self.include_usage {
                    let usage = answer::write_usage(&self.usage.unwrap_or_default());
                    self.chunk(Vec::new(), usage, out);
                }
                out.push_str("data: [DONE]\n\n");
            }
        }
    }

    fn open(&mut self, choice: u32, block: Block, out: &mut String) {
        if let Block::Call { id, name } = &block {
            let state = self.state(choice);
            let (index, signature) = (state.calls, state.signature.take());
            state.calls += 1;
            let mut call = json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}});
            if let (Some(seal), Some(members)) = (signature, call.as_object_mut()) {
                members.insert("extra_content".to_owned(), answer::write_signature(&seal));
            }
            self.delta(choice, json!({"tool_calls": [call]}), out);
        } else {
            self.flush_signature(choice, out);
        }
        self.state(choice).open = Some(block);
    }

    fn added(&mut self, choice: u32, delta: Delta, out: &mut String) {
        let state = self.state(choice);
        match delta {
            Delta::Text(text) => {
                let delta = match &state.open {
                    Some(Block::Thinking) => json!({"reasoning_content": text}),
                    Some(Block::Refusal) => json!({"refusal": text}),
                    Some(Block::Call { .. }) => {
                        let index = state.calls.saturating_sub(1);
                        json!({"tool_calls": [{"index": index, "function": {"arguments": text}}]})
                    }
                    Some(Block::Text) | None => json!({"content": text}),
                };
                self.delta(choice, delta, out);
            }
            Delta::Seal(seal) if seal.kind == SealKind::Google => state.signature = Some(seal),
            Delta::Seal(seal) => self.sealed(choice, &seal, out),
            Delta::Citation(citation) => {
                let cited = Value::from(answer::write_span(&citation));
                self.delta(
                    choice,
                    json!({"annotations": [{"type": "url_citation", "url_citation": cited}]}),
                    out,
                );
            }
            Delta::Logprobs(logprobs) => {
                let logprobs = json!({"content": answer::write_logprobs(&logprobs), "refusal": null});
                let choices =
                    vec![json!({"index": choice, "delta": {}, "logprobs": logprobs, "finish_reason": null})];
                self.chunk(choices, Value::Null, out);
            }
        }
    }

    /// A signature that no call came for belongs to the thinking before it.
    fn flush_signature(&mut self, choice: u32, out: &mut String) {
        if let Some(seal) = self.state(choice).signature.take() {
            self.sealed(choice, &seal, out);
        }
    }

    fn sealed(&mut self, choice: u32, seal: &Seal, out: &mut String) {
        let state = self.state(choice);
        let index = state.thoughts;
        state.thoughts += 1;
        self.delta(choice, json!({"reasoning_details": [answer::write_detail(index, "", seal)]}), out);
    }

    fn stop(&mut self, choice: u32, stop: &Stop, out: &mut String) {
        let finish = answer::write_stop(stop);
        self.chunk(vec![json!({"index": choice, "delta": {}, "finish_reason": finish})], Value::Null, out);
    }

    fn delta(&mut self, choice: u32, mut delta: Value, out: &mut String) {
        let greeted = std::mem::replace(&mut self.state(choice).greeted, true);
        if let Some(members) = delta.as_object_mut().filter(|_| !greeted) {
            let mut with_role = Map::new();
            with_role.insert("role".to_owned(), json!("assistant"));
            with_role.append(members);
            *members = with_role;
        }
        self.chunk(vec![json!({"index": choice, "delta": delta, "finish_reason": null})], Value::Null, out);
    }

    fn chunk(&self, choices: Vec<Value>, usage: Value, out: &mut String) {
        let mut chunk = json!({
            "id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model,
            "choices": choices,
        });
        if let Some(members) = chunk.as_object_mut().filter(|_| self.include_usage) {
            members.insert("usage".to_owned(), usage);
        }
        *out += &format!("data: {chunk}\n\n");
    }

    fn state(&mut self, choice: u32) -> &mut Choice {
        self.choices.entry(choice).or_default()
    }
}
