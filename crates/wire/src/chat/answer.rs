//! A whole answer of chat completions.

use serde_json::{Map, Value, json};

use crate::{
    conversation::{
        answer::{Answer, Choice, Logprob, Stop},
        part::{Call, Citation, Part, Seal, SealKind, Text, Thinking},
    },
    look,
    members::Object,
    openai::usage as reported,
    usage::{Report, Usage},
};

/// Takes an answer apart. What is not understood is left out.
pub(crate) fn read(body: &Value) -> Answer {
    Answer {
        id: look::text(body, "id").to_owned(),
        model: look::text(body, "model").to_owned(),
        created: look::whole(body, "created"),
        choices: look::list(body, "choices").iter().map(read_choice).collect(),
        usage: read_report(body).usage(),
    }
}

/// Reads the usage of an answer.
pub(crate) fn read_report(body: &Value) -> Report {
    body.get("usage").map_or(Report::Absent, read_usage)
}

/// Reads usage, its parts of sound included.
pub(crate) fn read_usage(usage: &Value) -> Report {
    let report = Report::from(reported::read(usage.to_string().as_bytes()));
    let part = |of: &str, kind: &str| usage.get(of).and_then(|parts| look::whole(parts, kind)).unwrap_or(0);
    report.usage().map_or(report, |usage| {
        Report::of(Usage {
            audio_input: part("prompt_tokens_details", "audio_tokens"),
            image_input: part("prompt_tokens_details", "image_tokens"),
            audio_output: part("completion_tokens_details", "audio_tokens"),
            image_output: part("completion_tokens_details", "image_tokens"),
            ..usage
        })
    })
}

/// Writes usage.
pub(crate) fn write_usage(usage: &Usage) -> Value {
    let mut report = reported::report(usage.tokens());
    for (parts, kind, count) in [
        ("prompt_tokens_details", "audio_tokens", usage.audio_input),
        ("prompt_tokens_details", "image_tokens", usage.image_input),
        ("completion_tokens_details", "audio_tokens", usage.audio_output),
        ("completion_tokens_details", "image_tokens", usage.image_output),
    ] {
        if let Some(parts) = report.get_mut(parts).and_then(Value::as_object_mut).filter(|_| count > 0) {
            parts.insert(kind.to_owned(), json!(count));
        }
    }
    report
}

fn read_choice(choice: &Value) -> Choice {
    let none = json!({});
    let message = choice.get("message").unwrap_or(&none);
    let mut parts = read_thinking(message);
    let citations = look::list(message, "annotations").iter().filter_map(read_citation).collect();
    if let Some(text) = look::some_text(message, "content") {
        parts.push(Part::Text(Text { text, citations, cache: None }));
    }
    parts.extend(look::some_text(message, "refusal").map(Part::Refusal));
    for call in look::list(message, "tool_calls") {
        if let Some(signature) = super::request::signature_of(call.get("extra_content").cloned()) {
            let seal = Some(Seal::new(SealKind::Google, signature));
            parts.push(Part::Thinking(Thinking { text: String::new(), seal }));
        }
        let function = call.get("function").unwrap_or(&none);
        parts.push(Part::Call(Call {
            id: look::text(call, "id").to_owned(),
            name: look::text(function, "name").to_owned(),
            arguments: look::text(function, "arguments").to_owned(),
            cache: None,
        }));
    }
    let refused = parts.iter().any(|part| matches!(part, Part::Refusal(_)));
    let stop = read_stop(look::text(choice, "finish_reason"));
    let logprobs = choice.get("logprobs").map(|logprobs| read_logprobs(look::list(logprobs, "content")));
    Choice { parts, stop: if refused { Stop::Refused } else { stop }, logprobs: logprobs.unwrap_or_default() }
}

fn read_thinking(message: &Value) -> Vec<Part> {
    let thinking = |text: &str, seal| Part::Thinking(Thinking { text: text.to_owned(), seal });
    let details: Vec<Part> = look::list(message, "reasoning_details")
        .iter()
        .map(|detail| {
            let sealed = look::some_text(detail, "signature").or_else(|| look::some_text(detail, "data"));
            thinking(look::text(detail, "text"), sealed.map(|text| Seal::read(text, SealKind::Anthropic)))
        })
        .collect();
    if !details.is_empty() {
        return details;
    }
    let plain = look::some_text(message, "reasoning_content");
    let plain = plain.or_else(|| look::some_text(message, "reasoning"));
    plain.map(|text| thinking(&text, None)).into_iter().collect()
}

/// Reads an annotation, where it cites a page.
pub(crate) fn read_citation(annotation: &Value) -> Option<Citation> {
    let cited = annotation.get("url_citation").unwrap_or(annotation);
    let span = look::whole(cited, "start_index").zip(look::whole(cited, "end_index"));
    let url = look::some_text(cited, "url")?;
    Some(Citation { url, title: look::some_text(cited, "title"), span, ..Citation::default() })
}

/// Reads log probabilities as both dialects of OpenAI write them.
pub(crate) fn read_logprobs(content: &[Value]) -> Vec<Logprob> {
    let read = |entry: &Value| {
        let logprob = entry.get("logprob").and_then(Value::as_number)?.clone();
        let bytes = entry.get("bytes").filter(|bytes| !bytes.is_null()).cloned();
        let top = read_logprobs(look::list(entry, "top_logprobs"));
        Some(Logprob { token: look::text(entry, "token").to_owned(), logprob, bytes, top })
    };
    content.iter().filter_map(read).collect()
}

/// The reverse.
pub(crate) fn write_logprobs(logprobs: &[Logprob]) -> Vec<Value> {
    let entry = |one: &Logprob| {
        let bytes = one.bytes.clone().unwrap_or_else(|| json!(one.token.as_bytes()));
        json!({"token": one.token, "logprob": one.logprob, "bytes": bytes})
    };
    let write = |one: &Logprob| {
        let mut value = entry(one);
        let top: Vec<Value> = one.top.iter().map(entry).collect();
        if let Some(members) = value.as_object_mut() {
            members.insert("top_logprobs".to_owned(), Value::from(top));
        }
        value
    };
    logprobs.iter().map(write).collect()
}

pub(crate) fn read_stop(reason: &str) -> Stop {
    match reason {
        "length" => Stop::Length,
        "tool_calls" | "function_call" => Stop::Calls,
        "content_filter" => Stop::Refused,
        _ => Stop::End,
    }
}

pub(crate) const fn write_stop(stop: &Stop) -> &'static str {
    match stop {
        Stop::End | Stop::Sequence(_) => "stop",
        Stop::Length => "length",
        Stop::Calls => "tool_calls",
        Stop::Refused => "content_filter",
    }
}

/// Writes an answer.
pub(crate) fn write(answer: &Answer) -> Value {
    let choices: Vec<Value> = answer
        .choices
        .iter()
        .enumerate()
        .map(|(index, choice)| {
            let logprobs = (!choice.logprobs.is_empty())
                .then(|| json!({"content": write_logprobs(&choice.logprobs), "refusal": null}));
            let finish = write_stop(&choice.stop);
            json!({"index": index, "message": write_message(&choice.parts), "logprobs": logprobs, "finish_reason": finish})
        })
        .collect();
    let mut body = Map::new();
    body.insert("id".to_owned(), json!(answer.id));
    body.insert("object".to_owned(), json!("chat.completion"));
    body.insert("created".to_owned(), json!(answer.created.unwrap_or(0)));
    body.insert("model".to_owned(), json!(answer.model));
    body.insert("choices".to_owned(), json!(choices));
    if let Some(usage) = &answer.usage {
        body.insert("usage".to_owned(), write_usage(usage));
    }
    body.into()
}

fn write_message(parts: &[Part]) -> Value {
    let (mut content, mut refusal, mut thinking) = (String::new(), None, String::new());
    let (mut calls, mut details, mut annotations) = (Vec::new(), Vec::new(), Vec::new());
    let mut signature: Option<&Seal> = None;
    for part in parts {
        match part {
            Part::Text(text) => {
                annotations.extend(text.citations.iter().map(write_citation));
                content += &text.text;
            }
            Part::Refusal(words) => refusal = Some(words.clone()),
            Part::Thinking(Thinking { text, seal: Some(seal) })
                if text.is_empty() && seal.kind == SealKind::Google =>
            {
                signature = Some(seal);
            }
            Part::Thinking(one) => {
                thinking += &one.text;
                details.extend(one.seal.as_ref().map(|seal| write_detail(details.len(), &one.text, seal)));
            }
            Part::Call(call) => {
                let mut object = Object::new();
                object
                    .set("id", call.id.clone())
                    .set("type", "function")
                    .set("function", json!({"name": call.name, "arguments": call.arguments}))
                    .set("extra_content", signature.take().map(write_signature));
                calls.push(Value::from(object));
            }
            Part::Media(_) | Part::Result(_) => {}
        }
    }
    let mut message = Map::new();
    let content = if content.is_empty() { Value::Null } else { json!(content) };
    message.insert("role".to_owned(), json!("assistant"));
    message.insert("content".to_owned(), content);
    message.insert("refusal".to_owned(), json!(refusal));
    if !thinking.is_empty() {
        message.insert("reasoning_content".to_owned(), json!(thinking));
    }
    for (name, list) in [("reasoning_details", details), ("annotations", annotations), ("tool_calls", calls)]
    {
        if !list.is_empty() {
            message.insert(name.to_owned(), Value::from(list));
        }
    }
    message.into()
}

/// A citation as an annotation.
fn write_citation(citation: &Citation) -> Value {
    json!({"type": "url_citation", "url_citation": Value::from(write_span(citation))})
}

/// What both dialects of OpenAI say of a citation.
pub(crate) fn write_span(citation: &Citation) -> Object {
    let mut cited = Object::new();
    let (start, end) = citation.span.unwrap_or_default();
    cited
        .set("url", citation.url.clone())
        .set("title", citation.title.clone().unwrap_or_default())
        .set("start_index", start)
        .set("end_index", end);
    cited
}

/// Thinking with its seal, as it is to be sent back.
pub(crate) fn write_detail(index: usize, text: &str, seal: &Seal) -> Value {
    let sealed = seal.foreign(SealKind::Anthropic);
    match seal.kind {
        SealKind::AnthropicRedacted => json!({"type": "reasoning.encrypted", "index": index, "data": sealed}),
        _ => json!({"type": "reasoning.text", "index": index, "text": text, "signature": sealed}),
    }
}

/// Google's signature of a call, where Google's own OpenAI door has it.
pub(crate) fn write_signature(seal: &Seal) -> Value {
    json!({"google": {"thought_signature": seal.value}})
}
