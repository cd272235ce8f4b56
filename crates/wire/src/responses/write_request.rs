//! A request of responses, written.

use serde_json::{Value, json};

use super::request::{LOGPROBS, SEALED};
use crate::{
    chat::{
        request::audio_format,
        write_request::{write_effort, write_function, write_schema, write_tier},
    },
    conversation::{
        feature::{Feature, Losses},
        part::{CallResult, Media, MediaKind, Part, SealKind, Source, Text, Thinking},
        request::{Amount, Format, Request, Role, Sampling, Tool, ToolChoice, Turn},
    },
    dialect::Vendor,
    members::Object,
};

/// Writes a request.
pub(crate) fn write(request: Request, losses: &mut Losses) -> Value {
    let mut body = Object::new();
    body.set("model", request.model);
    let mut items = Vec::new();
    for turn in request.turns {
        write_turn(turn, &mut items, losses);
    }
    body.set("input", items);
    if request.stream {
        body.set("stream", true);
    }
    // Chat completions, messages and generateContent keep nothing unless they are told to; this dialect does.
    body.set("max_output_tokens", request.output_limit).set("store", request.store.unwrap_or(false));
    losses.drop_if(request.cache.is_some(), Feature::CacheControl);
    write_tools(request.tools, request.tool_choice, &mut body, losses);
    body.set("parallel_tool_calls", request.parallel_calls);
    let mut text = Object::new();
    match request.format {
        Format::Text => {}
        Format::Json => drop(text.set("format", json!({"type": "json_object"}))),
        schema @ Format::Schema { .. } => {
            let mut format = write_schema(schema);
            format.set("type", "json_schema");
            text.set("format", format);
        }
    }
    text.set("verbosity", request.verbosity);
    if !text.is_empty() {
        body.set("text", text);
    }
    let mut include = Vec::new();
    let mut reasoning = Object::new();
    reasoning.set("effort", write_effort(request.reasoning, losses));
    if request.reasoning.show == Some(true) {
        reasoning.set("summary", "auto");
    }
    if !reasoning.is_empty() {
        body.set("reasoning", reasoning);
        if request.reasoning.amount != Some(Amount::Off) {
            include.push(json!(SEALED));
        }
    }
    write_sampling(request.sampling, &mut body, &mut include, losses);
    body.set_list("include", include)
        .set("user", request.user)
        .set("metadata", request.metadata)
        .set("service_tier", write_tier(request.service_tier, losses))
        .set("prompt_cache_key", request.cache_key);
    body.into()
}

fn write_sampling(sampling: Sampling, body: &mut Object, include: &mut Vec<Value>, losses: &mut Losses) {
    for (present, feature) in [
        (sampling.top_k.is_some(), Feature::TopK),
        (sampling.frequency_penalty.is_some(), Feature::FrequencyPenalty),
        (sampling.presence_penalty.is_some(), Feature::PresencePenalty),
        (sampling.logit_bias.is_some(), Feature::LogitBias),
        (!sampling.stop.is_empty(), Feature::Stop),
        (sampling.choices.is_some(), Feature::Choices),
    ] {
        losses.refuse_if(present, feature);
    }
    // Both who have it say that it is an effort, and no promise.
    losses.drop_if(sampling.seed.is_some(), Feature::Seed);
    body.set("temperature", sampling.temperature).set("top_p", sampling.top_p);
    if let Some(top) = sampling.logprobs {
        include.push(json!(LOGPROBS));
        body.set("top_logprobs", (top > 0).then_some(top));
    }
}

fn write_tools(tools: Vec<Tool>, choice: Option<ToolChoice>, body: &mut Object, losses: &mut Losses) {
    let tools = tools.into_iter().map(|tool| {
        // Who says nothing means no, but to this dialect yes.
        let strict = tool.strict.unwrap_or(false);
        let mut function = write_function(tool, losses);
        function.set("type", "function").set("strict", strict);
        Value::from(function)
    });
    body.set_list("tools", tools.collect());
    let named = |name: String| json!({"type": "function", "name": name});
    let choice = match choice {
        None => Value::Null,
        Some(ToolChoice::Auto) => json!("auto"),
        Some(ToolChoice::None) => json!("none"),
        Some(ToolChoice::Required) => json!("required"),
        Some(ToolChoice::Named(name)) => named(name),
        Some(ToolChoice::Among(names, required)) => {
            let mode = if required { "required" } else { "auto" };
            let tools: Vec<Value> = names.into_iter().map(named).collect();
            json!({"type": "allowed_tools", "mode": mode, "tools": tools})
        }
    };
    body.set("tool_choice", choice);
}

fn write_turn(turn: Turn, items: &mut Vec<Value>, losses: &mut Losses) {
    let role = match turn.role {
        Role::System => "system",
        Role::Developer => "developer",
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    let mut content = Vec::new();
    let flush = |content: &mut Vec<Value>, items: &mut Vec<Value>| {
        if !content.is_empty() {
            items.push(json!({"type": "message", "role": role, "content": std::mem::take(content)}));
        }
    };
    for part in turn.parts {
        let item = match part {
            Part::Text(text) => {
                content.push(write_text(text, turn.role, losses));
                continue;
            }
            Part::Refusal(words) => {
                content.push(json!({"type": "refusal", "refusal": words}));
                continue;
            }
            Part::Media(media) => {
                content.extend(write_media(media, losses));
                continue;
            }
            Part::Call(call) => {
                losses.drop_if(call.cache.is_some(), Feature::CacheControl);
                let (id, name) = (call.id, call.name);
                json!({"type": "function_call", "call_id": id, "name": name, "arguments": call.arguments})
            }
            Part::Result(result) => write_result(result, losses),
            Part::Thinking(Thinking { text, seal: Some(seal) }) if seal.kind == SealKind::OpenAi => {
                let (id, sealed) = seal.value.split_once(':').unwrap_or(("", &seal.value));
                let summary = (!text.is_empty()).then(|| json!({"type": "summary_text", "text": text}));
                let summary: Vec<Value> = summary.into_iter().collect();
                json!({"type": "reasoning", "id": id, "summary": summary, "encrypted_content": sealed})
            }
            Part::Thinking(_) => {
                losses.drop(Feature::Thinking);
                continue;
            }
        };
        flush(&mut content, items);
        items.push(item);
    }
    flush(&mut content, items);
}

fn write_text(text: Text, role: Role, losses: &mut Losses) -> Value {
    losses.drop_if(text.cache.is_some(), Feature::CacheControl);
    losses.drop_if(!text.citations.is_empty(), Feature::Citations);
    let kind = if role == Role::Assistant { "output_text" } else { "input_text" };
    json!({"type": kind, "text": text.text})
}

fn write_result(result: CallResult, losses: &mut Losses) -> Value {
    losses.drop_if(result.is_error, Feature::ResultError);
    losses.drop_if(result.cache.is_some(), Feature::CacheControl);
    let (text, more) = result.text();
    let output = if more {
        let parts = result.parts.into_iter().filter_map(|part| match part {
            Part::Text(text) => Some(write_text(text, Role::User, losses)),
            Part::Media(media) => write_media(media, losses),
            _ => {
                losses.refuse(Feature::ResultMedia);
                None
            }
        });
        Value::from(parts.collect::<Vec<Value>>())
    } else {
        Value::from(text)
    };
    json!({"type": "function_call_output", "call_id": result.call, "output": output})
}

fn write_media(media: Media, losses: &mut Losses) -> Option<Value> {
    losses.drop_if(media.cache.is_some(), Feature::CacheControl);
    losses.refuse_if(media.context.is_some(), Feature::FileContext);
    losses.refuse_if(media.cite, Feature::CiteFile);
    let mut part = Object::new();
    match (media.kind, &media.source) {
        (_, Source::Text(text)) => drop(part.set("type", "input_text").set("text", text.clone())),
        (MediaKind::Image, Source::Uploaded { vendor: Vendor::OpenAi, id, .. }) => {
            part.set("type", "input_image").set("file_id", id.clone()).set("detail", media.detail);
        }
        (_, Source::Uploaded { vendor: Vendor::OpenAi, id, .. }) => {
            part.set("type", "input_file").set("file_id", id.clone());
        }
        (_, Source::Uploaded { .. }) => losses.refuse(Feature::UploadedFile),
        (MediaKind::Image, source) => {
            part.set("type", "input_image").set("image_url", source.to_url()).set("detail", media.detail);
        }
        (MediaKind::File, Source::Url { url, .. }) => {
            part.set("type", "input_file").set("file_url", url.clone());
            losses.drop_if(media.name.is_some(), Feature::FileName);
        }
        (MediaKind::File, source) => {
            let name = media.name.unwrap_or_else(|| "document".to_owned());
            part.set("type", "input_file").set("filename", name).set("file_data", source.to_url());
        }
        (MediaKind::Audio, Source::Base64 { mime, data }) if audio_format(mime).is_some() => {
            let audio = json!({"data": data, "format": audio_format(mime)});
            part.set("type", "input_audio").set("input_audio", audio);
        }
        (MediaKind::Audio, _) => losses.refuse(Feature::Audio),
        (MediaKind::Video, _) => losses.refuse(Feature::Video),
    }
    (!part.is_empty()).then(|| part.into())
}
