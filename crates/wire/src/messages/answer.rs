//! A whole answer of messages.

use serde_json::{Value, json};

use super::usage;
use crate::{
    conversation::{
        answer::{Answer, Choice, Stop},
        part::{Call, Citation, Part, Seal, SealKind, Text, Thinking},
    },
    look,
    members::Object,
    usage::Usage,
};

/// Takes an answer apart. What is not understood is left out.
pub(crate) fn read(body: &Value) -> Answer {
    let parts = look::list(body, "content").iter().filter_map(read_block).collect();
    let stop = read_stop(look::text(body, "stop_reason"), look::some_text(body, "stop_sequence"));
    Answer {
        id: look::text(body, "id").to_owned(),
        model: look::text(body, "model").to_owned(),
        created: None,
        choices: vec![Choice { parts, stop, logprobs: Vec::new() }],
        usage: body.get("usage").and_then(|report| usage::read(report.to_string().as_bytes()).usage()),
    }
}

fn read_block(block: &Value) -> Option<Part> {
    Some(match look::kind(block) {
        "text" => {
            let citations = look::list(block, "citations").iter().filter_map(read_citation).collect();
            Part::Text(Text { text: look::text(block, "text").to_owned(), citations, cache: None })
        }
        "thinking" => Part::Thinking(Thinking {
            text: look::text(block, "thinking").to_owned(),
            seal: look::some_text(block, "signature").map(|text| Seal::new(SealKind::Anthropic, text)),
        }),
        "redacted_thinking" => Part::Thinking(Thinking {
            text: String::new(),
            seal: Some(Seal::new(SealKind::AnthropicRedacted, look::text(block, "data"))),
        }),
        "tool_use" => Part::Call(Call {
            id: look::text(block, "id").to_owned(),
            name: look::text(block, "name").to_owned(),
            arguments: block.get("input").map_or_else(|| "{}".to_owned(), Value::to_string),
            cache: None,
        }),
        _ => return None,
    })
}

/// Reads a citation of a page; places in a document have no name elsewhere.
pub(crate) fn read_citation(citation: &Value) -> Option<Citation> {
    (look::kind(citation) == "web_search_result_location").then(|| Citation {
        url: look::text(citation, "url").to_owned(),
        title: look::some_text(citation, "title"),
        quote: look::some_text(citation, "cited_text"),
        span: None,
        sealed_index: look::some_text(citation, "encrypted_index"),
    })
}

/// Writes a citation.
pub(crate) fn write_citation(citation: &Citation) -> Value {
    json!({
        "type": "web_search_result_location", "url": citation.url, "title": citation.title,
        "cited_text": citation.quote.clone().unwrap_or_default(),
        "encrypted_index": citation.sealed_index.clone().unwrap_or_default(),
    })
}

pub(crate) fn read_stop(reason: &str, sequence: Option<String>) -> Stop {
    match reason {
        "stop_sequence" => Stop::Sequence(sequence),
        "max_tokens" | "model_context_window_exceeded" => Stop::Length,
        "tool_use" => Stop::Calls,
        "refusal" => Stop::Refused,
        _ => Stop::End,
    }
}

/// The reason, and the sequence.
pub(crate) fn write_stop(stop: &Stop) -> (&'static str, Option<String>) {
    match stop {
        // Only with its name is it one: who does not name it may have met the end as well.
        Stop::Sequence(Some(sequence)) => ("stop_sequence", Some(sequence.clone())),
        Stop::End | Stop::Sequence(None) => ("end_turn", None),
        Stop::Length => ("max_tokens", None),
        Stop::Calls => ("tool_use", None),
        Stop::Refused => ("refusal", None),
    }
}

/// Writes usage.
pub(crate) fn write_usage(usage: &Usage) -> Value {
    let mut object = Object::new();
    object
        .set("input_tokens", usage.input)
        .set("cache_creation_input_tokens", usage.cache_write.saturating_add(usage.cache_write_hour))
        .set("cache_read_input_tokens", usage.cached_input)
        .set("output_tokens", usage.output);
    if usage.cache_write_hour > 0 {
        object.set(
            "cache_creation",
            json!({"ephemeral_5m_input_tokens": usage.cache_write, "ephemeral_1h_input_tokens": usage.cache_write_hour}),
        );
    }
    object.into()
}

/// Writes an answer: the first choice, of which alone this dialect knows.
pub(crate) fn write(answer: &Answer) -> Value {
    let none = Choice::default();
    let choice = answer.choices.first().unwrap_or(&none);
    let content: Vec<Value> = choice.parts.iter().filter_map(write_part).collect();
    let (reason, sequence) = write_stop(&choice.stop);
    json!({
        "id": answer.id, "type": "message", "role": "assistant", "model": answer.model, "content": content,
        "stop_reason": reason, "stop_sequence": sequence,
        "usage": write_usage(&answer.usage.unwrap_or_default()),
    })
}

fn write_part(part: &Part) -> Option<Value> {
    let mut block = Object::new();
    match part {
        Part::Text(text) => {
            block.set("type", "text").set("text", text.text.clone());
            block.set_list("citations", text.citations.iter().map(write_citation).collect());
        }
        Part::Refusal(words) => drop(block.set("type", "text").set("text", words.clone())),
        Part::Thinking(thinking) => {
            let signature = thinking.seal.as_ref().map(|seal| seal.foreign(SealKind::Anthropic));
            block
                .set("type", "thinking")
                .set("thinking", thinking.text.clone())
                .set("signature", signature.unwrap_or_default());
        }
        Part::Call(call) => {
            let input = serde_json::from_str::<Value>(&call.arguments).ok().filter(Value::is_object);
            block
                .set("type", "tool_use")
                .set("id", call.id.clone())
                .set("name", call.name.clone())
                .set("input", input.unwrap_or_else(|| json!({})));
        }
        Part::Media(_) | Part::Result(_) => return None,
    }
    Some(block.into())
}
