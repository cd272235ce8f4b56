//! A whole answer of generateContent.

use serde_json::{Value, json};

use super::usage;
use crate::{
    conversation::{
        answer::{Answer, Choice, Logprob, Stop},
        part::{Call, Citation, Part, Seal, SealKind, Text, Thinking},
    },
    look,
    members::Object,
    usage::{Report, Usage},
};

/// Takes an answer apart. What is not understood is left out. A prompt that was blocked is a refusal.
pub(crate) fn read(body: &Value) -> Answer {
    let mut choices: Vec<Choice> = look::list(body, "candidates").iter().map(read_candidate).collect();
    if choices.is_empty() && is_blocked(body) {
        choices.push(Choice { stop: Stop::Refused, ..Choice::default() });
    }
    Answer {
        id: look::text(body, "responseId").to_owned(),
        model: look::text(body, "modelVersion").to_owned(),
        created: None,
        choices,
        usage: read_usage(body).usage(),
    }
}

pub(crate) fn is_blocked(body: &Value) -> bool {
    body.pointer("/promptFeedback/blockReason").is_some_and(Value::is_string)
}

pub(crate) fn read_usage(body: &Value) -> Report {
    body.get("usageMetadata").map_or(Report::Absent, |report| usage::read(report.to_string().as_bytes()))
}

fn read_candidate(candidate: &Value) -> Choice {
    let none = json!({});
    let mut parts = Vec::new();
    for part in look::list(candidate.get("content").unwrap_or(&none), "parts") {
        read_part(part, &mut parts);
    }
    let called = parts.iter().any(|part| matches!(part, Part::Call(_)));
    let grounding = candidate.get("groundingMetadata").unwrap_or(&none);
    if let Some(Part::Text(text)) = parts.iter_mut().find(|part| matches!(part, Part::Text(_))) {
        text.citations = read_citations(grounding, Some(&text.text));
    }
    Choice {
        parts,
        stop: read_stop(look::text(candidate, "finishReason"), called),
        logprobs: candidate.get("logprobsResult").map(read_logprobs).unwrap_or_default(),
    }
}

fn read_part(part: &Value, parts: &mut Vec<Part>) {
    let seal = look::some_text(part, "thoughtSignature").map(|text| Seal::new(SealKind::Google, text));
    if let Some(call) = part.get("functionCall") {
        if seal.is_some() {
            parts.push(Part::Thinking(Thinking { text: String::new(), seal }));
        }
        let calls = parts.iter().filter(|part| matches!(part, Part::Call(_))).count();
        parts.push(Part::Call(Call {
            id: look::some_text(call, "id").unwrap_or_else(|| format!("call_{}", calls + 1)),
            name: look::text(call, "name").to_owned(),
            arguments: call.get("args").map_or_else(|| "{}".to_owned(), Value::to_string),
            cache: None,
        }));
    } else if part.get("thought") == Some(&Value::Bool(true)) {
        parts.push(Part::Thinking(Thinking { text: look::text(part, "text").to_owned(), seal }));
    } else if let Some(text) = look::some_text(part, "text") {
        match parts.last_mut() {
            Some(Part::Text(before)) => before.text += &text,
            _ => parts.push(Part::Text(Text { text, ..Text::default() })),
        }
    }
}

/// Reads what a text rests on. Its places are given in bytes, and are only known with the text.
pub(crate) fn read_citations(grounding: &Value, text: Option<&str>) -> Vec<Citation> {
    let chunks = look::list(grounding, "groundingChunks");
    let characters = |bytes: u64| {
        let text = text?.get(..usize::try_from(bytes).ok()?)?;
        Some(text.chars().count() as u64)
    };
    let mut citations = Vec::new();
    for support in look::list(grounding, "groundingSupports") {
        let Some(segment) = support.get("segment") else { continue };
        let start = characters(look::whole(segment, "startIndex").unwrap_or(0));
        let end = look::whole(segment, "endIndex").and_then(characters);
        for index in look::list(support, "groundingChunkIndices").iter().filter_map(Value::as_u64) {
            let page = usize::try_from(index).ok().and_then(|index| chunks.get(index)?.get("web"));
            let Some(url) = page.and_then(|page| look::some_text(page, "uri")) else { continue };
            let title = page.and_then(|page| look::some_text(page, "title"));
            citations.push(Citation { url, title, span: start.zip(end), ..Citation::default() });
        }
    }
    citations
}

/// Writes what a text rests on, where its place in the text is known or not.
pub(crate) fn write_grounding(citations: &[Citation], text: &str) -> Value {
    let bytes = |characters: u64| {
        let characters = usize::try_from(characters).unwrap_or(usize::MAX);
        text.char_indices().nth(characters).map_or(text.len(), |(at, _)| at)
    };
    let mut supports = Vec::new();
    let mut chunks = Vec::new();
    for (index, citation) in citations.iter().enumerate() {
        let mut web = Object::new();
        web.set("uri", citation.url.clone()).set("title", citation.title.clone());
        chunks.push(json!({"web": Value::from(web)}));
        if let Some((start, end)) = citation.span {
            let segment = json!({"startIndex": bytes(start), "endIndex": bytes(end)});
            supports.push(json!({"segment": segment, "groundingChunkIndices": [index]}));
        }
    }
    let mut grounding = Object::new();
    grounding.set_list("groundingChunks", chunks).set_list("groundingSupports", supports);
    grounding.into()
}

pub(crate) fn read_logprobs(result: &Value) -> Vec<Logprob> {
    let read = |entry: &Value| {
        let logprob = entry.get("logProbability").and_then(Value::as_number)?.clone();
        Some(Logprob { token: look::text(entry, "token").to_owned(), logprob, bytes: None, top: Vec::new() })
    };
    let top = look::list(result, "topCandidates");
    let chosen = look::list(result, "chosenCandidates").iter().enumerate();
    chosen
        .filter_map(|(index, entry)| {
            let others = top.get(index).map_or(&[] as &[Value], |top| look::list(top, "candidates"));
            Some(Logprob { top: others.iter().filter_map(read).collect(), ..read(entry)? })
        })
        .collect()
}

pub(crate) fn write_logprobs(logprobs: &[Logprob]) -> Value {
    let entry = |one: &Logprob| json!({"token": one.token, "logProbability": one.logprob});
    let top = |one: &Logprob| json!({"candidates": one.top.iter().map(entry).collect::<Vec<Value>>()});
    json!({
        "topCandidates": logprobs.iter().map(top).collect::<Vec<Value>>(),
        "chosenCandidates": logprobs.iter().map(entry).collect::<Vec<Value>>(),
    })
}

/// Why an answer ended; one with calls says only that it stopped.
pub(crate) fn read_stop(reason: &str, called: bool) -> Stop {
    match reason {
        "MAX_TOKENS" => Stop::Length,
        "SAFETY" | "RECITATION" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "LANGUAGE"
        | "IMAGE_SAFETY" => Stop::Refused,
        _ if called => Stop::Calls,
        _ => Stop::End,
    }
}

pub(crate) const fn write_stop(stop: &Stop) -> &'static str {
    match stop {
        Stop::End | Stop::Sequence(_) | Stop::Calls => "STOP",
        Stop::Length => "MAX_TOKENS",
        Stop::Refused => "SAFETY",
    }
}

/// Writes usage, both ages of cache writes as ordinary input: there is no word for them.
pub(crate) fn write_usage(usage: &Usage) -> Value {
    let prompt = usage.all_input().saturating_sub(usage.tool_input);
    let mut object = Object::new();
    object
        .set("promptTokenCount", prompt)
        .set("candidatesTokenCount", usage.output.saturating_sub(usage.reasoning))
        .set("totalTokenCount", usage.all_input().saturating_add(usage.output));
    for (name, count) in [
        ("cachedContentTokenCount", usage.cached_input),
        ("thoughtsTokenCount", usage.reasoning),
        ("toolUsePromptTokenCount", usage.tool_input),
    ] {
        object.set(name, (count > 0).then_some(count));
    }
    object.into()
}

/// Writes an answer.
pub(crate) fn write(answer: &Answer) -> Value {
    let candidates: Vec<Value> = answer
        .choices
        .iter()
        .enumerate()
        .map(|(index, choice)| {
            let mut candidate = Object::new();
            candidate
                .set("content", json!({"role": "model", "parts": write_parts(&choice.parts)}))
                .set("finishReason", write_stop(&choice.stop))
                .set("index", index);
            if !choice.logprobs.is_empty() {
                candidate.set("logprobsResult", write_logprobs(&choice.logprobs));
            }
            let cited = choice.parts.iter().find_map(|part| match part {
                Part::Text(text) if !text.citations.is_empty() => Some(text),
                _ => None,
            });
            candidate
                .set("groundingMetadata", cited.map(|text| write_grounding(&text.citations, &text.text)));
            candidate.into()
        })
        .collect();
    json!({
        "candidates": candidates, "usageMetadata": write_usage(&answer.usage.unwrap_or_default()),
        "modelVersion": answer.model, "responseId": answer.id,
    })
}

fn write_parts(parts: &[Part]) -> Vec<Value> {
    let mut written = Vec::new();
    let mut signature = None;
    for part in parts {
        match part {
            Part::Text(text) => written.push(json!({"text": text.text})),
            Part::Refusal(words) => written.push(json!({"text": words})),
            Part::Thinking(thinking) => {
                let seal = thinking.seal.as_ref().map(|seal| seal.foreign_base64(SealKind::Google));
                if thinking.text.is_empty() {
                    let before = std::mem::replace(&mut signature, seal);
                    written.extend(before.map(write_seal));
                } else {
                    let mut part = Object::new();
                    part.set("text", thinking.text.clone())
                        .set("thought", true)
                        .set("thoughtSignature", seal);
                    written.push(part.into());
                }
            }
            Part::Call(call) => {
                written.push(write_call(&call.id, &call.name, &call.arguments, signature.take()));
            }
            Part::Media(_) | Part::Result(_) => {}
        }
    }
    written.extend(signature.map(write_seal));
    written
}

/// Thinking of which nothing but its seal may be seen.
pub(crate) fn write_seal(signature: String) -> Value {
    json!({"text": "", "thought": true, "thoughtSignature": signature})
}

/// A call, with the signature of its thinking.
pub(crate) fn write_call(id: &str, name: &str, arguments: &str, signature: Option<String>) -> Value {
    let args = serde_json::from_str::<Value>(arguments).ok().filter(Value::is_object);
    let call = json!({"id": id, "name": name, "args": args.unwrap_or_else(|| json!({}))});
    let mut part = Object::new();
    part.set("functionCall", call).set("thoughtSignature", signature);
    part.into()
}
