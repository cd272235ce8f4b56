//! A request of chat completions, written.

use serde_json::{Value, json};

use super::request::audio_format;
use crate::{
    conversation::{
        feature::{Feature, Losses},
        part::{Call, CallResult, Media, MediaKind, Part, SealKind, Source, Text, Thinking},
        request::{Amount, Effort, Format, Reasoning, Request, Role, Tool, ToolChoice, Turn},
    },
    dialect::{Dialect, Vendor},
    members::Object,
};

/// Writes a request.
pub(crate) fn write(request: Request, losses: &mut Losses) -> Value {
    let mut body = Object::new();
    body.set("model", request.model);
    let mut messages = Vec::new();
    for turn in request.turns {
        write_turn(turn, &mut messages, losses);
    }
    body.set("messages", messages);
    if request.stream {
        body.set("stream", true).set("stream_options", json!({"include_usage": true}));
    }
    body.set("max_completion_tokens", request.output_limit);
    losses.drop_if(request.cache.is_some(), Feature::CacheControl);
    write_tools(request.tools, request.tool_choice, &mut body, losses);
    body.set("parallel_tool_calls", request.parallel_calls);
    match request.format {
        Format::Text => {}
        Format::Json => drop(body.set("response_format", json!({"type": "json_object"}))),
        schema @ Format::Schema { .. } => {
            body.set(
                "response_format",
                json!({"type": "json_schema", "json_schema": Value::from(write_schema(schema))}),
            );
        }
    }
    body.set("verbosity", request.verbosity).set("reasoning_effort", write_effort(request.reasoning, losses));
    let sampling = request.sampling;
    losses.refuse_if(sampling.top_k.is_some(), Feature::TopK);
    losses.refuse_if(sampling.stop.len() > 4, Feature::Stop);
    body.set("temperature", sampling.temperature)
        .set("top_p", sampling.top_p)
        .set("seed", sampling.seed)
        .set("frequency_penalty", sampling.frequency_penalty)
        .set("presence_penalty", sampling.presence_penalty)
        .set("logit_bias", sampling.logit_bias)
        .set_list("stop", sampling.stop.into_iter().map(Value::from).collect())
        .set("n", sampling.choices);
    if let Some(top) = sampling.logprobs {
        body.set("logprobs", true).set("top_logprobs", (top > 0).then_some(top));
    }
    body.set("user", request.user)
        .set("metadata", request.metadata)
        .set("store", request.store)
        .set("service_tier", write_tier(request.service_tier, losses))
        .set("prompt_cache_key", request.cache_key);
    body.into()
}

/// The tier for OpenAI: Anthropic's `standard_only` is its `default`.
pub(crate) fn write_tier(tier: Option<String>, losses: &Losses) -> Option<String> {
    tier.map(|tier| {
        let standard = losses.from() == Dialect::Messages && tier == "standard_only";
        if standard { "default".to_owned() } else { tier }
    })
}

/// The effort of reasoning in OpenAI's words.
pub(crate) fn write_effort(reasoning: Reasoning, losses: &mut Losses) -> Option<&'static str> {
    match reasoning.amount? {
        Amount::Off => Some("none"),
        Amount::Adaptive => None,
        Amount::Effort(Effort::Max) => Some(Effort::XHigh.word()),
        Amount::Effort(effort) => Some(effort.word()),
        Amount::Tokens(tokens) => {
            losses.drop(Feature::ReasoningBudget);
            Some(Effort::of_tokens(tokens).word())
        }
    }
}

/// A schema for the output as OpenAI's dialects say it.
pub(crate) fn write_schema(format: Format) -> Object {
    let mut object = Object::new();
    if let Format::Schema { name, description, schema, strict } = format {
        object
            .set("name", name.unwrap_or_else(|| "answer".to_owned()))
            .set("description", description)
            .set("schema", schema)
            .set("strict", strict);
    }
    object
}

/// A function as OpenAI's dialects say it.
pub(crate) fn write_function(tool: Tool, losses: &mut Losses) -> Object {
    losses.drop_if(tool.cache.is_some(), Feature::CacheControl);
    let mut function = Object::new();
    function
        .set("name", tool.name)
        .set("description", tool.description)
        .set("parameters", tool.parameters)
        .set("strict", tool.strict);
    function
}

fn write_tools(tools: Vec<Tool>, choice: Option<ToolChoice>, body: &mut Object, losses: &mut Losses) {
    let tools = tools
        .into_iter()
        .map(|tool| json!({"type": "function", "function": Value::from(write_function(tool, losses))}));
    body.set_list("tools", tools.collect());
    let named = |name: String| json!({"type": "function", "function": {"name": name}});
    let choice = match choice {
        None => Value::Null,
        Some(ToolChoice::Auto) => json!("auto"),
        Some(ToolChoice::None) => json!("none"),
        Some(ToolChoice::Required) => json!("required"),
        Some(ToolChoice::Named(name)) => named(name),
        Some(ToolChoice::Among(names, required)) => {
            let mode = if required { "required" } else { "auto" };
            let tools: Vec<Value> = names.into_iter().map(named).collect();
            json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}})
        }
    };
    body.set("tool_choice", choice);
}

fn write_turn(turn: Turn, messages: &mut Vec<Value>, losses: &mut Losses) {
    let role = match turn.role {
        Role::System => "system",
        Role::Developer => "developer",
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    let (mut content, mut calls, mut refusal) = (Vec::new(), Vec::new(), None);
    let mut signature = None;
    let mut results = 0;
    for part in turn.parts {
        match part {
            Part::Text(text) => content.push(write_text(text, losses)),
            Part::Media(media) => content.extend(write_media(media, losses)),
            Part::Refusal(words) => refusal = Some(words),
            Part::Result(result) => {
                results += 1;
                messages.push(write_result(result, losses));
            }
            Part::Thinking(Thinking { seal: Some(seal), text })
                if text.is_empty() && seal.kind == SealKind::Google =>
            {
                signature = Some(seal.value);
            }
            Part::Thinking(_) => losses.drop(Feature::Thinking),
            Part::Call(call) => calls.push(write_call(call, signature.take(), losses)),
        }
    }
    if results > 0 && content.is_empty() {
        return;
    }
    let mut message = Object::new();
    message.set("role", role);
    let only = match content.as_slice() {
        [one] => one.get("text").cloned(),
        _ => None,
    };
    match only {
        Some(text) => drop(message.set("content", text)),
        None if content.is_empty() && turn.role != Role::Assistant => drop(message.set("content", "")),
        None => drop(message.set_list("content", content)),
    }
    message.set("refusal", refusal).set_list("tool_calls", calls);
    messages.push(message.into());
}

fn write_text(text: Text, losses: &mut Losses) -> Value {
    losses.drop_if(text.cache.is_some(), Feature::CacheControl);
    losses.drop_if(!text.citations.is_empty(), Feature::Citations);
    json!({"type": "text", "text": text.text})
}

fn write_media(media: Media, losses: &mut Losses) -> Option<Value> {
    losses.drop_if(media.cache.is_some(), Feature::CacheControl);
    losses.refuse_if(media.context.is_some(), Feature::FileContext);
    losses.refuse_if(media.cite, Feature::CiteFile);
    match (media.kind, &media.source) {
        (MediaKind::Image, source) => {
            let Some(url) = source.to_url() else {
                losses.refuse(Feature::UploadedFile);
                return None;
            };
            let mut image = Object::new();
            image.set("url", url).set("detail", media.detail);
            Some(json!({"type": "image_url", "image_url": Value::from(image)}))
        }
        (MediaKind::Audio, Source::Base64 { mime, data }) if audio_format(mime).is_some() => {
            Some(json!({"type": "input_audio", "input_audio": {"data": data, "format": audio_format(mime)}}))
        }
        (MediaKind::File, Source::Base64 { .. }) => {
            let name = media.name.unwrap_or_else(|| "document".to_owned());
            Some(json!({"type": "file", "file": {"filename": name, "file_data": media.source.to_url()}}))
        }
        (MediaKind::File, Source::Uploaded { vendor: Vendor::OpenAi, id, .. }) => {
            Some(json!({"type": "file", "file": {"file_id": id}}))
        }
        (MediaKind::File, Source::Text(text)) => Some(json!({"type": "text", "text": text})),
        (kind, source) => {
            losses.refuse(match (kind, source) {
                (_, Source::Uploaded { .. }) => Feature::UploadedFile,
                (MediaKind::Audio, _) => Feature::Audio,
                (MediaKind::Video, _) => Feature::Video,
                (_, Source::Url { .. }) => Feature::FileUrl,
                _ => Feature::File,
            });
            None
        }
    }
}

fn write_result(result: CallResult, losses: &mut Losses) -> Value {
    let (text, more) = result.text();
    losses.refuse_if(more, Feature::ResultMedia);
    losses.drop_if(result.is_error, Feature::ResultError);
    losses.drop_if(result.cache.is_some(), Feature::CacheControl);
    json!({"role": "tool", "tool_call_id": result.call, "content": text})
}

fn write_call(call: Call, signature: Option<String>, losses: &mut Losses) -> Value {
    losses.drop_if(call.cache.is_some(), Feature::CacheControl);
    let mut object = Object::new();
    object
        .set("id", call.id)
        .set("type", "function")
        .set("function", json!({"name": call.name, "arguments": call.arguments}))
        .set("extra_content", signature.map(|s| json!({"google": {"thought_signature": s}})));
    object.into()
}
