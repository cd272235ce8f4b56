//! A whole answer of responses.

use serde_json::{Map, Value, json};

use super::{request::read_seal, usage};
use crate::{
    chat::answer::{read_citation, read_logprobs, write_logprobs, write_span},
    conversation::{
        answer::{Answer, Choice, Logprob, Stop},
        part::{Call, Citation, Part, Seal, SealKind, Text, Thinking},
    },
    look,
    members::Object,
    usage::{Report, Usage},
};

/// Takes an answer apart. What is not understood is left out.
pub(crate) fn read(body: &Value) -> Answer {
    let mut choice = Choice::default();
    for item in look::list(body, "output") {
        read_item(item, &mut choice);
    }
    let has = |wanted: fn(&Part) -> bool| choice.parts.iter().any(wanted);
    let (called, refused) =
        (has(|part| matches!(part, Part::Call(_))), has(|part| matches!(part, Part::Refusal(_))));
    choice.stop = read_stop(body, called, refused);
    Answer {
        id: look::text(body, "id").to_owned(),
        model: look::text(body, "model").to_owned(),
        created: look::whole(body, "created_at"),
        choices: vec![choice],
        usage: read_usage(body).usage(),
    }
}

pub(crate) fn read_usage(body: &Value) -> Report {
    body.get("usage").map_or(Report::Absent, |report| usage::read(report.to_string().as_bytes()))
}

fn read_item(item: &Value, choice: &mut Choice) {
    match look::kind(item) {
        "message" => {
            for part in look::list(item, "content") {
                if let Some(refusal) = look::some_text(part, "refusal") {
                    choice.parts.push(Part::Refusal(refusal));
                } else if let Some(text) = look::some_text(part, "text") {
                    let citations =
                        look::list(part, "annotations").iter().filter_map(read_citation).collect();
                    choice.logprobs.extend(read_logprobs(look::list(part, "logprobs")));
                    choice.parts.push(Part::Text(Text { text, citations, cache: None }));
                }
            }
        }
        "function_call" => choice.parts.push(Part::Call(Call {
            id: look::text(item, "call_id").to_owned(),
            name: look::text(item, "name").to_owned(),
            arguments: look::text(item, "arguments").to_owned(),
            cache: None,
        })),
        "reasoning" => {
            let texts = look::list(item, "summary").iter().chain(look::list(item, "content"));
            let texts: Vec<&str> = texts.map(|part| look::text(part, "text")).collect();
            choice.parts.push(Part::Thinking(Thinking { text: texts.join("\n\n"), seal: seal_of(item) }));
        }
        _ => {}
    }
}

/// The seal of a reasoning item, if it has one.
pub(crate) fn seal_of(item: &Value) -> Option<Seal> {
    let sealed = look::some_text(item, "encrypted_content")?;
    Some(read_seal(look::text(item, "id"), sealed))
}

pub(crate) fn read_stop(body: &Value, called: bool, refused: bool) -> Stop {
    let reason = body.pointer("/incomplete_details/reason").and_then(Value::as_str);
    match reason {
        Some("content_filter") => Stop::Refused,
        Some(_) => Stop::Length,
        None if refused => Stop::Refused,
        None if called => Stop::Calls,
        None => Stop::End,
    }
}

/// Writes usage.
pub(crate) fn write_usage(usage: &Usage) -> Value {
    let all = usage.all_input();
    let written = usage.cache_write.saturating_add(usage.cache_write_hour);
    json!({
        "input_tokens": all,
        "input_tokens_details": {"cached_tokens": usage.cached_input, "cache_write_tokens": written},
        "output_tokens": usage.output, "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": all.saturating_add(usage.output),
    })
}

/// A response as it stands: its outputs so far, and how it ended, if it has.
pub(crate) fn response(
    (id, model, created): (&str, &str, u64),
    output: Vec<Value>,
    stop: Option<&Stop>,
    usage: Option<&Usage>,
) -> Value {
    let (status, reason) = match stop {
        None => ("in_progress", None),
        Some(Stop::Length) => ("incomplete", Some("max_output_tokens")),
        Some(Stop::Refused) if !output.iter().any(has_refusal) => ("incomplete", Some("content_filter")),
        Some(_) => ("completed", None),
    };
    json!({
        "id": id, "object": "response", "created_at": created, "status": status, "error": null,
        "incomplete_details": reason.map(|reason| json!({"reason": reason})), "instructions": null, "metadata": {},
        "model": model, "output": output, "parallel_tool_calls": true, "tool_choice": "auto", "tools": [],
        "temperature": null, "top_p": null, "usage": usage.map(write_usage),
    })
}

/// Whether an item says in words that the model refuses.
fn has_refusal(item: &Value) -> bool {
    look::list(item, "content").iter().any(|part| look::kind(part) == "refusal")
}

/// Writes an answer: the first choice, of which alone this dialect knows.
pub(crate) fn write(answer: &Answer) -> Value {
    let none = Choice::default();
    let choice = answer.choices.first().unwrap_or(&none);
    let mut output = Vec::new();
    let mut logprobs = choice.logprobs.as_slice();
    for part in &choice.parts {
        let id = item_id(&answer.id, output.len());
        let item = match part {
            Part::Text(text) => {
                let annotations: Vec<Value> = text.citations.iter().map(write_citation).collect();
                let part = text_part(&text.text, annotations, std::mem::take(&mut logprobs));
                message(&id, vec![part])
            }
            Part::Refusal(words) => message(&id, vec![json!({"type": "refusal", "refusal": words})]),
            Part::Thinking(thinking) => reasoning(&id, &thinking.text, thinking.seal.as_ref()),
            Part::Call(call) => function_call(&id, &call.id, &call.name, &call.arguments),
            Part::Media(_) | Part::Result(_) => continue,
        };
        output.push(item);
    }
    let head = (answer.id.as_str(), answer.model.as_str(), answer.created.unwrap_or(0));
    response(head, output, Some(&choice.stop), Some(&answer.usage.unwrap_or_default()))
}

/// The id of an item that its upstream did not name.
pub(crate) fn item_id(response: &str, index: usize) -> String {
    format!("item_{response}_{index}")
}

pub(crate) fn write_citation(citation: &Citation) -> Value {
    let mut annotation = write_span(citation);
    annotation.set("type", "url_citation");
    annotation.into()
}

pub(crate) fn text_part(text: &str, annotations: Vec<Value>, logprobs: &[Logprob]) -> Value {
    json!({"type": "output_text", "text": text, "annotations": annotations, "logprobs": write_logprobs(logprobs)})
}

pub(crate) fn message(id: &str, content: Vec<Value>) -> Value {
    json!({"id": id, "type": "message", "status": "completed", "role": "assistant", "content": content})
}

pub(crate) fn function_call(id: &str, call: &str, name: &str, arguments: &str) -> Value {
    json!({"id": id, "type": "function_call", "status": "completed", "call_id": call, "name": name, "arguments": arguments})
}

pub(crate) fn reasoning(id: &str, text: &str, seal: Option<&Seal>) -> Value {
    let summary: Vec<Value> =
        (!text.is_empty()).then(|| json!({"type": "summary_text", "text": text})).into_iter().collect();
    let mut item = Object::new();
    item.set("id", id).set("type", "reasoning").set("summary", summary);
    match seal {
        Some(Seal { kind: SealKind::OpenAi, value }) => {
            let (id, sealed) = value.split_once(':').unwrap_or((id, value));
            item.set("id", id).set("encrypted_content", sealed);
        }
        Some(seal) => drop(item.set("encrypted_content", seal.foreign(SealKind::OpenAi))),
        None => {}
    }
    item.into()
}

/// The members of both.
pub(crate) fn joined(first: Value, second: Value) -> Value {
    let mut members = Map::new();
    for value in [first, second] {
        if let Value::Object(more) = value {
            members.extend(more);
        }
    }
    members.into()
}
