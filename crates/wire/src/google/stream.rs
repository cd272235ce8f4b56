//! A streamed answer of generateContent: server-sent events, or one JSON array of the same chunks.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::answer;
use crate::{
    conversation::{
        answer::{Logprob, Stop},
        event::{Block, Delta, Event},
        narrator::Narrator,
        part::{Citation, Seal, SealKind},
    },
    look,
    members::Object,
    usage::Usage,
};

/// Reads chunks. There is no end mark: the end of the stream is the end.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    calls: u32,
}

impl Reader {
    /// Takes in the data of one event.
    pub(crate) fn data(&mut self, data: &[u8], narrator: &mut Narrator) {
        let Ok(chunk) = serde_json::from_slice::<Value>(data) else {
            return narrator.fail(Some("the upstream sent a chunk that is no JSON"), None);
        };
        if let Some(error) = chunk.get("error").filter(|error| !error.is_null()) {
            return narrator.fail(Some(look::text(error, "message")), Some(look::text(error, "status")));
        }
        narrator.start(look::text(&chunk, "responseId"), look::text(&chunk, "modelVersion"), None);
        for candidate in look::list(&chunk, "candidates") {
            self.candidate(candidate, narrator);
        }
        if answer::is_blocked(&chunk) {
            narrator.stop(0, Stop::Refused);
        }
        narrator.usage(answer::read_usage(&chunk));
    }

    fn candidate(&mut self, candidate: &Value, narrator: &mut Narrator) {
        let choice = look::index(candidate, "index");
        let none = Value::Null;
        for part in look::list(candidate.get("content").unwrap_or(&none), "parts") {
            self.part(choice, part, narrator);
        }
        if let Some(logprobs) = candidate.get("logprobsResult").map(answer::read_logprobs) {
            narrator.delta(choice, Delta::Logprobs(logprobs));
        }
        for citation in answer::read_citations(candidate.get("groundingMetadata").unwrap_or(&none), None) {
            narrator.delta(choice, Delta::Citation(citation));
        }
        match look::text(candidate, "finishReason") {
            "" | "FINISH_REASON_UNSPECIFIED" => {}
            "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" => {
                narrator.fail(Some("the model made a call that cannot be read"), None);
            }
            reason => narrator.stop(choice, answer::read_stop(reason, narrator.called(choice))),
        }
    }

    fn part(&mut self, choice: u32, part: &Value, narrator: &mut Narrator) {
        let seal = look::some_text(part, "thoughtSignature").map(|text| Seal::new(SealKind::Google, text));
        if let Some(call) = part.get("functionCall") {
            if let Some(seal) = seal {
                narrator.close(choice);
                narrator.seal(choice, seal);
            }
            self.calls += 1;
            let id = look::some_text(call, "id").unwrap_or_else(|| format!("call_{}", self.calls));
            narrator.open(choice, Block::Call { id, name: look::text(call, "name").to_owned() });
            if let Some(args) = call.get("args") {
                narrator.delta(choice, Delta::Text(args.to_string()));
            }
            narrator.close(choice);
        } else if part.get("thought") == Some(&Value::Bool(true)) {
            narrator.text(choice, Block::Thinking, look::text(part, "text"));
            if let Some(seal) = seal {
                narrator.seal(choice, seal);
            }
        } else {
            narrator.text(choice, Block::Text, look::text(part, "text"));
        }
    }
}

/// Writes chunks.
#[derive(Debug)]
pub(crate) struct Writer {
    sse: bool,
    /// Whether the array has begun.
    begun: bool,
    id: String,
    model: String,
    usage: Option<Usage>,
    choices: BTreeMap<u32, Choice>,
}

#[derive(Debug, Default)]
struct Choice {
    open: Option<Block>,
    /// Whether the open block is thinking of which something was told.
    thought: bool,
    /// The arguments of the open call: a call is told whole here.
    arguments: String,
    signature: Option<String>,
    citations: Vec<Citation>,
    logprobs: Vec<Logprob>,
    stop: Option<Stop>,
}

impl Writer {
    pub(crate) fn new(sse: bool) -> Self {
        let (id, model) = (String::new(), String::new());
        Self { sse, begun: false, id, model, usage: None, choices: BTreeMap::new() }
    }

    /// Writes what an event is here. Nothing is written to keep a connection alive: this dialect has no word for it, and
    /// its clients take a comment for a chunk.
    pub(crate) fn event(&mut self, event: Event, out: &mut String) {
        match event {
            Event::Start { id, model, usage, .. } => (self.id, self.model, self.usage) = (id, model, usage),
            Event::Open { choice, block } => {
                let state = self.state(choice);
                (state.open, state.thought) = (Some(block), false);
            }
            Event::Delta { choice, delta } => self.added(choice, delta, out),
            Event::Close { choice } => self.close(choice, out),
            Event::Stop { choice, stop } => self.state(choice).stop = Some(stop),
            Event::Usage(usage) => self.usage = Some(usage),
            Event::Ping => {}
            Event::Failed { message, .. } => {
                let error = json!({"error": {"code": 502, "message": message, "status": "UNAVAILABLE"}});
                self.write(&error, out);
                self.finish(out);
            }
            Event::End => self.end(out),
        }
    }

    fn added(&mut self, choice: u32, delta: Delta, out: &mut String) {
        let state = self.state(choice);
        match (delta, &state.open) {
            (Delta::Text(text), Some(Block::Call { .. })) => state.arguments += &text,
            (Delta::Text(text), Some(Block::Thinking)) => {
                state.thought = true;
                self.part(choice, json!({"text": text, "thought": true}), out);
            }
            (Delta::Text(text), _) => self.part(choice, json!({"text": text}), out),
            (Delta::Seal(seal), _) => {
                // It belongs to the thinking that was told, or else to the call that follows.
                let seal = seal.foreign_base64(SealKind::Google);
                let told = if state.thought { Some(seal) } else { state.signature.replace(seal) };
                if let Some(told) = told {
                    self.part(choice, answer::write_seal(told), out);
                }
            }
            (Delta::Citation(citation), _) => state.citations.push(citation),
            (Delta::Logprobs(logprobs), _) => state.logprobs.extend(logprobs),
        }
    }

    fn close(&mut self, choice: u32, out: &mut String) {
        let state = self.state(choice);
        let arguments = std::mem::take(&mut state.arguments);
        if let Some(Block::Call { id, name }) = state.open.take() {
            let call = answer::write_call(&id, &name, &arguments, state.signature.take());
            self.part(choice, call, out);
        }
    }

    fn part(&mut self, choice: u32, part: Value, out: &mut String) {
        let candidate = json!({"content": {"role": "model", "parts": [part]}, "index": choice});
        self.chunk(vec![candidate], None, out);
    }

    /// One last chunk says why each choice ended, and what was used.
    fn end(&mut self, out: &mut String) {
        let candidates = self.choices.iter_mut().map(|(index, choice)| {
            let mut candidate = Object::new();
            let parts: Vec<Value> = choice.signature.take().map(answer::write_seal).into_iter().collect();
            candidate
                .set("content", json!({"role": "model", "parts": parts}))
                .set("finishReason", answer::write_stop(choice.stop.as_ref().unwrap_or(&Stop::End)))
                .set("index", *index);
            if !choice.logprobs.is_empty() {
                candidate.set("logprobsResult", answer::write_logprobs(&choice.logprobs));
            }
            if !choice.citations.is_empty() {
                candidate.set("groundingMetadata", answer::write_grounding(&choice.citations, ""));
            }
            Value::from(candidate)
        });
        let candidates = candidates.collect();
        self.chunk(candidates, Some(self.usage.unwrap_or_default()), out);
        self.finish(out);
    }

    fn chunk(&mut self, candidates: Vec<Value>, usage: Option<Usage>, out: &mut String) {
        let mut chunk = Object::new();
        chunk
            .set("candidates", candidates)
            .set("usageMetadata", usage.as_ref().map(answer::write_usage))
            .set("modelVersion", self.model.clone())
            .set("responseId", self.id.clone());
        self.write(&chunk.into(), out);
    }

    fn write(&mut self, chunk: &Value, out: &mut String) {
        let begun = std::mem::replace(&mut self.begun, true);
        match (self.sse, begun) {
            (true, _) => *out += &format!("data: {chunk}\r\n\r\n"),
            (false, false) => *out += &format!("[{chunk}"),
            (false, true) => *out += &format!(",\r\n{chunk}"),
        }
    }

    fn finish(&mut self, out: &mut String) {
        if !self.sse {
            out.push(']');
        }
    }

    fn state(&mut self, choice: u32) -> &mut Choice {
        self.choices.entry(choice).or_default()
    }
}
