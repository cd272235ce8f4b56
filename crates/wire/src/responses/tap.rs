//! A stream of responses that passes as it is.
//!
//! Its last event carries the whole answer, so what was said is kept, should the stream be stopped: whole items as they
//! came, and of the open one what was added to it.

use serde_json::{Value, json};

use super::{answer, usage};
use crate::{
    conversation::answer::Stop,
    json::{Malformed, Walk, text_length},
    look,
    openai::estimate,
    tap::{Said, Told},
    usage::Usage,
};

/// Reads events.
#[derive(Debug)]
pub(crate) struct Tap {
    id: String,
    model: String,
    created: u64,
    sequence: u64,
    /// The items that are complete, as JSON.
    done: Vec<Box<[u8]>>,
    open: Option<Open>,
    finished: bool,
}

#[derive(Debug)]
struct Open {
    item: Box<[u8]>,
    index: u64,
    /// What was added, as the inside of a JSON string.
    added: Vec<u8>,
}

/// What an event says, as it stands in it.
#[derive(Default)]
struct Event<'a> {
    kind: &'a [u8],
    index: u64,
    item: Option<&'a [u8]>,
    delta: Option<&'a [u8]>,
    response: Option<&'a [u8]>,
}

impl Tap {
    pub(crate) fn new(model: String) -> Self {
        let (id, done) = ("resp_stopped".to_owned(), Vec::new());
        Self { id, model, created: 0, sequence: 0, done, open: None, finished: false }
    }

    pub(crate) const fn finished(&self) -> bool {
        self.finished
    }

    /// Takes in the data of one event.
    pub(crate) fn read(&mut self, data: &[u8]) -> Result<Said, Malformed> {
        let (mut event, mut said) = (Event::default(), Said::default());
        let sequence = &mut self.sequence;
        let mut walk = Walk::new(data);
        walk.object(|name, walk| {
            match name {
                b"type" if walk.is_string() => event.kind = walk.string()?,
                b"sequence_number" => *sequence = walk.whole()?.unwrap_or(0).saturating_add(1),
                b"output_index" => event.index = walk.whole()?.unwrap_or(0),
                b"delta" if walk.is_string() => event.delta = Some(walk.string()?),
                b"item" if walk.is_object() => event.item = Some(walk.value()?),
                b"response" if walk.is_object() => event.response = Some(walk.value()?),
                _ => drop(walk.value()?),
            }
            Ok(())
        })?;
        walk.end()?;
        if let Some(delta) = event.delta {
            said.delivered = estimate(text_length(delta));
            if let Some(open) = self.open.as_mut().filter(|open| open.index == event.index) {
                open.added.extend_from_slice(delta);
            }
        }
        match (event.kind, event.item, event.response) {
            (b"response.created", _, Some(response)) => self.head(response),
            (b"response.output_item.added", Some(item), _) => {
                self.open = Some(Open { item: item.into(), index: event.index, added: Vec::new() });
            }
            (b"response.output_item.done", Some(item), _) => {
                self.open = None;
                self.done.push(item.into());
            }
            (b"response.completed" | b"response.incomplete", _, Some(response)) => {
                (self.finished, said.end) = (true, true);
                said.report = report(response)?;
            }
            (b"response.failed", _, Some(response)) => {
                said.error = true;
                said.report = report(response)?;
            }
            (b"error", ..) => said.error = true,
            _ => {}
        }
        Ok(said)
    }

    fn head(&mut self, response: &[u8]) {
        let response: Value = serde_json::from_slice(response).unwrap_or_default();
        self.id = look::some_text(&response, "id").unwrap_or_else(|| self.id.clone());
        self.model = look::some_text(&response, "model").unwrap_or_else(|| self.model.clone());
        self.created = look::whole(&response, "created_at").unwrap_or(0);
    }

    /// The end of an answer that is stopped: of its open item first, and then of the whole.
    pub(crate) fn stop(&mut self, usage: &Usage) -> String {
        let mut out = String::new();
        let read = |item: &[u8]| serde_json::from_slice::<Value>(item).unwrap_or_default();
        let mut output: Vec<Value> = self.done.iter().map(|item| read(item)).collect();
        if let Some(Open { item, index, added }) = self.open.take() {
            let text: String =
                serde_json::from_slice(&[b"\"", added.as_slice(), b"\""].concat()).unwrap_or_default();
            let mut item = read(&item);
            self.close(&mut item, index, text, &mut out);
            output.push(item);
        }
        let head = (self.id.as_str(), self.model.as_str(), self.created);
        let response = answer::response(head, output, Some(&Stop::Length), Some(usage));
        self.write("response.incomplete", json!({"response": response}), &mut out);
        out
    }

    fn close(&mut self, item: &mut Value, index: u64, text: String, out: &mut String) {
        let id = look::text(item, "id").to_owned();
        let at = |data: Value| answer::joined(json!({"item_id": id, "output_index": index}), data);
        match look::kind(item) {
            "message" => {
                let part = answer::text_part(&text, Vec::new(), &[]);
                let done = at(json!({"content_index": 0, "text": text, "logprobs": []}));
                self.write("response.output_text.done", done, out);
                let done = at(json!({"content_index": 0, "part": part}));
                self.write("response.content_part.done", done, out);
                put(item, "content", json!([part]));
            }
            "function_call" => {
                let done = at(json!({"arguments": text}));
                self.write("response.function_call_arguments.done", done, out);
                put(item, "arguments", json!(text));
            }
            _ => {}
        }
        put(item, "status", json!("incomplete"));
        self.write("response.output_item.done", json!({"output_index": index, "item": item}), out);
    }

    fn write(&mut self, kind: &str, data: Value, out: &mut String) {
        let head = json!({"type": kind, "sequence_number": self.sequence});
        self.sequence = self.sequence.saturating_add(1);
        *out += &format!("event: {kind}\ndata: {}\n\n", answer::joined(head, data));
    }

    /// An error as this dialect says it.
    pub(crate) fn error(&self, told: Told) -> String {
        let code = told.code.unwrap_or_else(|| "server_error".to_owned());
        let number = self.sequence.saturating_sub(1);
        let data = json!({
            "type": "error", "sequence_number": number, "code": code, "message": told.message, "param": null,
        });
        format!("event: error\ndata: {data}\n\n")
    }
}

fn put(item: &mut Value, name: &str, value: Value) {
    if let Some(members) = item.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}

/// The counts in a response.
fn report(response: &[u8]) -> Result<crate::usage::Report, Malformed> {
    let mut report = crate::usage::Report::Absent;
    Walk::new(response).object(|name, walk| {
        match name {
            b"usage" => report = usage::read(walk.value()?),
            _ => drop(walk.value()?),
        }
        Ok(())
    })?;
    Ok(report)
}
