//! OpenAI's responses, whole and as typed events.

use http::Response;
use serde_json::{Value, json};

use crate::{
    body::{Body, Frames, USAGE, spliced, whole},
    chat::halves,
    error,
    member::{joined, set},
    provider::Exchange,
    said::{self, Asked, Said, Stop, Tokens, Tool},
};

/// The reasoning that only this vendor can read.
const ENCRYPTED: &str = "ZW5jcnlwdGVkIGJ5IGEgc2NyaXB0";

pub(crate) fn answer(exchange: Exchange) -> Response<Body> {
    let Exchange { ref request, ref script, ref model, number, .. } = exchange;
    let said = Said::new(&asked(request), script);
    let usages = script.usages(usage(said.tokens).to_string(), count);
    let usage = usages.first().map(String::as_str);
    let items: Vec<Item> = items(&said, request, number);
    let output: Vec<Value> = items.iter().map(|item| item.done.clone()).collect();
    let response = response(request, (model, number), said.stop);
    if !exchange.streams() {
        let mut response = response;
        set(&mut response, "output", output);
        set(&mut response, "usage", USAGE);
        return whole(script, spliced(&response, "usage", usage));
    }
    let mut told = Told::default();
    let mut begun = response.clone();
    set(&mut begun, "status", "in_progress");
    set(&mut begun, "incomplete_details", Value::Null);
    for name in ["response.created", "response.in_progress"] {
        told.event(name, json!({"response": begun}));
    }
    for (index, item) in items.iter().enumerate() {
        told.item(index, item);
    }
    let (mut last, name) = (response, if said.stop == Stop::Limit { "incomplete" } else { "completed" });
    set(&mut last, "output", output);
    set(&mut last, "usage", USAGE);
    let name = format!("response.{name}");
    let data = json!({"type": name, "sequence_number": told.number, "response": last});
    told.frames.event(format!("event: {name}\ndata: {}\n\n", spliced(&data, "usage", usage)));
    let error = json!({
        "type": "error", "sequence_number": told.number, "code": "server_error", "message": error::message(script),
        "param": null,
    });
    let error = format!("event: error\ndata: {error}\n\n");
    told.frames.into_response("text/event-stream", error, script, exchange.in_flight)
}

fn asked(request: &Value) -> Asked {
    let list = |name: &str| request.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let tool = |tool: &Value| {
        let name = tool.get("name")?.as_str()?.to_owned();
        Some(Tool { name, schema: tool.get("parameters").cloned().unwrap_or_default() })
    };
    let choice = request.get("tool_choice").unwrap_or(&Value::Null);
    let named = choice.get("name").and_then(Value::as_str);
    let mut tools: Vec<Tool> = list("tools").iter().filter_map(tool).collect();
    tools.retain(|tool| choice != "none" && named.is_none_or(|name| name == tool.name));
    Asked {
        limit: request.get("max_output_tokens").and_then(Value::as_u64),
        choices: 1,
        input: said::count_members(request, &["instructions", "input"]),
        tools,
        must_call: choice == "required" || choice.is_object(),
        has_results: list("input")
            .last()
            .is_some_and(|last| last.get("type") == Some(&json!("function_call_output"))),
        thinks: true,
        schema: request.pointer("/text/format/schema").cloned(),
    }
}

fn usage(tokens: Tokens) -> Value {
    let Tokens { input, cached, written, output, reasoning } = tokens;
    json!({
        "input_tokens": input, "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": reasoning}, "total_tokens": input + output,
    })
}

fn count(tokens: &str) -> String {
    format!(r#"{{"input_tokens":{tokens},"output_tokens":{tokens}}}"#)
}

/// The response but for its output and usage, with what the request said.
fn response(request: &Value, (model, number): (&str, u64), stop: Stop) -> Value {
    let or = |name: &str, default: Value| request.get(name).cloned().unwrap_or(default);
    let (status, details) = match stop {
        Stop::Limit => ("incomplete", json!({"reason": "max_output_tokens"})),
        _ => ("completed", Value::Null),
    };
    json!({
        "id": format!("resp_{number}"), "object": "response", "created_at": 1, "status": status, "error": null,
        "incomplete_details": details, "instructions": or("instructions", Value::Null),
        "max_output_tokens": or("max_output_tokens", Value::Null), "model": model, "output": [],
        "parallel_tool_calls": or("parallel_tool_calls", json!(true)), "previous_response_id": null,
        "reasoning": or("reasoning", json!({"effort": null, "summary": null})), "store": or("store", json!(true)),
        "temperature": or("temperature", json!(1.0)), "text": or("text", json!({"format": {"type": "text"}})),
        "tool_choice": or("tool_choice", json!("auto")), "tools": or("tools", json!([])),
        "top_p": or("top_p", json!(1.0)), "truncation": "disabled", "usage": null, "metadata": or("metadata", json!({})),
    })
}

/// One item of the output.
struct Item {
    id: String,
    kind: Kind,
    /// As it is when it is done.
    done: Value,
    /// The pieces that it comes in.
    pieces: Vec<String>,
}

enum Kind {
    Reasoning,
    /// The member of its one part that is the text.
    Message(&'static str),
    Call,
}

fn items(said: &Said, request: &Value, number: u64) -> Vec<Item> {
    let mut items = Vec::new();
    if !said.thoughts.is_empty() {
        let shown = request.pointer("/reasoning/summary").is_some_and(|summary| !summary.is_null());
        let mut summary = vec![];
        summary.extend(shown.then(|| json!({"type": "summary_text", "text": said.thought()})));
        let id = format!("rs_{number}");
        let mut done = json!({"type": "reasoning", "id": id, "summary": summary});
        let include = request.get("include").and_then(Value::as_array);
        if include.is_some_and(|include| include.contains(&json!("reasoning.encrypted_content"))) {
            set(&mut done, "encrypted_content", ENCRYPTED);
        }
        let pieces = if shown { said.thoughts.clone() } else { vec![] };
        items.push(Item { id, kind: Kind::Reasoning, done, pieces });
    }
    if !said.pieces.is_empty() || (said.calls.is_empty() && said.stop != Stop::Limit) {
        let (id, member) = (format!("msg_{number}"), if said.refused() { "refusal" } else { "text" });
        let status = if said.stop == Stop::Limit { "incomplete" } else { "completed" };
        let done = json!({"type": "message", "id": id, "role": "assistant", "status": status,
            "content": [part(member, &said.text())]});
        let kind = Kind::Message(member);
        items.push(Item { id, kind, done, pieces: said.pieces.clone() });
    }
    for (index, call) in (1..).zip(&said.calls) {
        let arguments = call.arguments.to_string();
        let pieces = halves(&arguments).map(str::to_owned).into();
        let done = json!({
            "type": "function_call", "id": format!("fc_{number}_{index}"), "call_id": format!("call_{number}_{index}"), "name": call.name,
            "arguments": arguments, "status": "completed",
        });
        items.push(Item { id: format!("fc_{number}_{index}"), kind: Kind::Call, done, pieces });
    }
    items
}

/// The one part of a message.
fn part(member: &str, text: &str) -> Value {
    match member {
        "refusal" => json!({"type": "refusal", "refusal": text}),
        _ => json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []}),
    }
}

/// The events so far; each has its number.
#[derive(Default)]
struct Told {
    frames: Frames,
    number: u64,
}

impl Told {
    fn next(&mut self, name: &str, more: Value) -> String {
        let data = joined(json!({"type": name, "sequence_number": self.number}), more);
        self.number += 1;
        format!("event: {name}\ndata: {data}\n\n")
    }

    fn event(&mut self, name: &str, more: Value) {
        let event = self.next(name, more);
        self.frames.event(event);
    }

    fn chunk(&mut self, name: &str, more: Value) {
        let event = self.next(name, more);
        self.frames.chunk(event);
    }

    fn item(&mut self, index: usize, item: &Item) {
        let Item { id, kind, done, pieces } = item;
        let mut added = done.clone();
        // An item begins without what its pieces bring.
        for (member, empty) in [("summary", json!([])), ("content", json!([])), ("arguments", json!(""))] {
            if let Some(member) = added.get_mut(member) {
                *member = empty;
            }
        }
        if !matches!(kind, Kind::Reasoning) {
            set(&mut added, "status", "in_progress");
        }
        self.event("response.output_item.added", json!({"output_index": index, "item": added}));
        let at = |more: Value| joined(json!({"item_id": id, "output_index": index}), more);
        let text = pieces.concat();
        match kind {
            Kind::Reasoning if pieces.is_empty() => {}
            Kind::Reasoning => {
                let part =
                    |text: &str| json!({"summary_index": 0, "part": {"type": "summary_text", "text": text}});
                self.event("response.reasoning_summary_part.added", at(part("")));
                for piece in pieces {
                    let delta = at(json!({"summary_index": 0, "delta": piece}));
                    self.chunk("response.reasoning_summary_text.delta", delta);
                }
                let whole = at(json!({"summary_index": 0, "text": text}));
                self.event("response.reasoning_summary_text.done", whole);
                self.event("response.reasoning_summary_part.done", at(part(&text)));
            }
            Kind::Message(member) => self.message(&at, member, pieces),
            Kind::Call => {
                for piece in pieces {
                    self.chunk("response.function_call_arguments.delta", at(json!({"delta": piece})));
                }
                let whole = json!({"name": done.get("name"), "arguments": text});
                self.event("response.function_call_arguments.done", at(whole));
            }
        }
        self.event("response.output_item.done", json!({"output_index": index, "item": done}));
    }

    fn message(&mut self, at: &impl Fn(Value) -> Value, member: &str, pieces: &[String]) {
        let name = if member == "refusal" { "response.refusal" } else { "response.output_text" };
        let whole = |text: &str| at(json!({"content_index": 0, "part": part(member, text)}));
        self.event("response.content_part.added", whole(""));
        let more = |name: &str, text: &str| match member {
            "text" => at(json!({"content_index": 0, name: text, "logprobs": []})),
            _ => at(json!({"content_index": 0, name: text})),
        };
        for piece in pieces {
            self.chunk(&format!("{name}.delta"), more("delta", piece));
        }
        let text = pieces.concat();
        self.event(&format!("{name}.done"), more(member, &text));
        self.event("response.content_part.done", whole(&text));
    }
}
