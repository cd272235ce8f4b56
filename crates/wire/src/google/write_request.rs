//! A request of generateContent, written.

use serde_json::{Value, json};

use crate::{
    conversation::{
        feature::{Feature, Losses},
        part::{Call, CallResult, Media, MediaKind, Part, SealKind, Source, Text, Thinking},
        request::{self, Amount, Effort, Format, Reasoning, Request, Role, Sampling, Tool, ToolChoice, Turn},
    },
    dialect::Vendor,
    members::Object,
};

/// What Google's page on signatures gives for calls that none of its models made.
pub(crate) const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// Whether a model is one of those that are told how much to think in tokens, and that take calls without signatures.
fn is_before_3(model: &str) -> bool {
    ["gemini-1", "gemini-2"].iter().any(|family| model.contains(family))
}

/// Writes a request. The model and whether it is a stream stand in the path.
pub(crate) fn write(request: Request, losses: &mut Losses) -> Value {
    let mut body = Object::new();
    let (system, turns) = request::system_first(request.turns, losses);
    let old = is_before_3(&request.model);
    let mut parts = Vec::new();
    for turn in system {
        write_parts(turn, old, &mut parts, losses);
    }
    if !parts.is_empty() {
        body.set("systemInstruction", json!({"parts": parts}));
    }
    let contents: Vec<Value> = turns
        .into_iter()
        .filter_map(|turn| {
            let role = if turn.role == Role::Assistant { "model" } else { "user" };
            let mut parts = Vec::new();
            write_parts(turn, old, &mut parts, losses);
            (!parts.is_empty()).then(|| json!({"role": role, "parts": parts}))
        })
        .collect();
    body.set("contents", contents);
    losses.refuse_if(request.parallel_calls == Some(false), Feature::ParallelCalls);
    write_tools(request.tools, request.tool_choice, &mut body, losses);
    let mut config = Object::new();
    config.set("maxOutputTokens", request.output_limit);
    write_sampling(request.sampling, &mut config, losses);
    match request.format {
        Format::Text => {}
        Format::Json => drop(config.set("responseMimeType", "application/json")),
        Format::Schema { schema, .. } => {
            config.set("responseMimeType", "application/json").set("responseJsonSchema", schema);
        }
    }
    let thinking = write_thinking(old, request.reasoning, losses);
    if !thinking.is_empty() {
        config.set("thinkingConfig", thinking);
    }
    if !config.is_empty() {
        body.set("generationConfig", config);
    }
    losses.refuse_if(request.verbosity.is_some(), Feature::Verbosity);
    let ordinary = request.service_tier.as_deref().is_none_or(|tier| tier == "default");
    losses.refuse_if(
        !ordinary && request.service_tier.as_deref() != Some("standard_only"),
        Feature::ServiceTier,
    );
    // Who the user is matters to the vendor whose word it is; what is stored, to the one that stores it.
    losses.drop_if(request.user.is_some(), Feature::User);
    losses.drop_if(request.metadata.is_some(), Feature::Metadata);
    losses.drop_if(request.store == Some(true), Feature::Store);
    // Caching needs no word here: it comes by itself.
    losses.drop_if(request.cache_key.is_some(), Feature::CacheKey);
    losses.drop_if(request.cache.is_some(), Feature::CacheControl);
    body.into()
}

fn write_sampling(sampling: Sampling, config: &mut Object, losses: &mut Losses) {
    losses.refuse_if(sampling.logit_bias.is_some(), Feature::LogitBias);
    losses.refuse_if(sampling.stop.len() > 5, Feature::Stop);
    config
        .set("temperature", sampling.temperature)
        .set("topP", sampling.top_p)
        .set("topK", sampling.top_k)
        .set("seed", sampling.seed)
        .set("frequencyPenalty", sampling.frequency_penalty)
        .set("presencePenalty", sampling.presence_penalty)
        .set_list("stopSequences", sampling.stop.into_iter().map(Value::from).collect())
        .set("candidateCount", sampling.choices);
    if let Some(top) = sampling.logprobs {
        config.set("responseLogprobs", true).set("logprobs", (top > 0).then_some(top));
    }
}

fn write_thinking(old: bool, reasoning: Reasoning, losses: &mut Losses) -> Object {
    let mut thinking = Object::new();
    match reasoning.amount {
        None => {}
        Some(Amount::Off) if old => drop(thinking.set("thinkingBudget", 0)),
        // The models of today cannot be told not to think; this is the least.
        Some(Amount::Off) => {
            losses.drop(Feature::ReasoningBudget);
            thinking.set("thinkingLevel", "MINIMAL");
        }
        Some(Amount::Adaptive) if old => drop(thinking.set("thinkingBudget", -1)),
        Some(Amount::Adaptive) => {}
        Some(Amount::Effort(effort)) if old => drop(thinking.set("thinkingBudget", effort.tokens())),
        Some(Amount::Effort(effort)) => {
            let level = match effort {
                Effort::Minimal => "MINIMAL",
                Effort::Low => "LOW",
                Effort::Medium => "MEDIUM",
                Effort::High | Effort::XHigh | Effort::Max => "HIGH",
            };
            thinking.set("thinkingLevel", level);
        }
        Some(Amount::Tokens(tokens)) => drop(thinking.set("thinkingBudget", tokens)),
    }
    if reasoning.show == Some(true) {
        thinking.set("includeThoughts", true);
    }
    thinking
}

fn write_tools(tools: Vec<Tool>, choice: Option<ToolChoice>, body: &mut Object, losses: &mut Losses) {
    let strict = tools.iter().any(|tool| tool.strict == Some(true));
    let declarations: Vec<Value> = tools
        .into_iter()
        .map(|tool| {
            losses.drop_if(tool.cache.is_some(), Feature::CacheControl);
            let mut function = Object::new();
            function
                .set("name", tool.name)
                .set("description", tool.description)
                .set("parametersJsonSchema", tool.parameters);
            Value::from(function)
        })
        .collect();
    let has_tools = !declarations.is_empty();
    if has_tools {
        body.set("tools", json!([{"functionDeclarations": declarations}]));
    }
    // Calls follow the schema where one is required, and in this mode.
    let auto = if strict { "VALIDATED" } else { "AUTO" };
    let (mode, names) = match choice {
        None if strict => (auto, Vec::new()),
        None => return,
        Some(ToolChoice::Auto) => (auto, Vec::new()),
        Some(ToolChoice::None) => ("NONE", Vec::new()),
        Some(ToolChoice::Required) => ("ANY", Vec::new()),
        Some(ToolChoice::Named(name)) => ("ANY", vec![name]),
        Some(ToolChoice::Among(names, true)) => ("ANY", names),
        Some(ToolChoice::Among(names, false)) => ("VALIDATED", names),
    };
    if has_tools {
        let mut calling = Object::new();
        calling.set("mode", mode);
        calling.set_list("allowedFunctionNames", names.into_iter().map(Value::from).collect());
        body.set("toolConfig", json!({"functionCallingConfig": Value::from(calling)}));
    }
}

fn write_parts(turn: Turn, old: bool, parts: &mut Vec<Value>, losses: &mut Losses) {
    let mut signature = None;
    let mut calls = 0;
    for part in turn.parts {
        match part {
            Part::Text(text) => parts.extend(write_text(text, losses)),
            Part::Refusal(words) => parts.push(json!({"text": words})),
            Part::Media(media) => parts.extend(write_media(media, losses)),
            Part::Result(result) => parts.push(write_result(result, losses)),
            Part::Thinking(Thinking { text, seal: Some(seal) }) if seal.kind == SealKind::Google => {
                if text.is_empty() {
                    signature = Some(seal.value);
                } else {
                    parts.push(json!({"text": text, "thought": true, "thoughtSignature": seal.value}));
                }
            }
            Part::Thinking(_) => losses.drop(Feature::Thinking),
            Part::Call(call) => {
                // Of calls side by side only the first is signed.
                let unsigned = !old && calls == 0;
                let signature = signature.take().or_else(|| unsigned.then(|| NO_SIGNATURE.to_owned()));
                calls += 1;
                parts.push(write_call(call, signature, losses));
            }
        }
    }
    if let Some(signature) = signature {
        parts.push(json!({"text": "", "thoughtSignature": signature}));
    }
}

fn write_text(text: Text, losses: &mut Losses) -> Option<Value> {
    losses.drop_if(text.cache.is_some(), Feature::CacheControl);
    losses.drop_if(!text.citations.is_empty(), Feature::Citations);
    (!text.text.is_empty()).then(|| json!({"text": text.text}))
}

fn write_call(call: Call, signature: Option<String>, losses: &mut Losses) -> Value {
    losses.drop_if(call.cache.is_some(), Feature::CacheControl);
    let args = serde_json::from_str::<Value>(&call.arguments).ok().filter(Value::is_object);
    let call = json!({"id": call.id, "name": call.name, "args": args.unwrap_or_else(|| json!({}))});
    let mut part = Object::new();
    part.set("functionCall", call).set("thoughtSignature", signature);
    part.into()
}

fn write_result(result: CallResult, losses: &mut Losses) -> Value {
    losses.drop_if(result.cache.is_some(), Feature::CacheControl);
    let (text, more) = result.text();
    losses.refuse_if(more, Feature::ResultMedia);
    let structured = serde_json::from_str::<Value>(&text).ok().filter(Value::is_object);
    let response = match structured {
        _ if result.is_error => json!({"error": text}),
        Some(structured) => structured,
        None => json!({"output": text}),
    };
    let name = result.name.unwrap_or_else(|| result.call.clone());
    json!({"functionResponse": {"id": result.call, "name": name, "response": response}})
}

fn write_media(media: Media, losses: &mut Losses) -> Option<Value> {
    losses.drop_if(media.cache.is_some(), Feature::CacheControl);
    losses.drop_if(media.detail.is_some(), Feature::ImageDetail);
    losses.drop_if(media.name.is_some(), Feature::FileName);
    losses.refuse_if(media.context.is_some(), Feature::FileContext);
    losses.refuse_if(media.cite, Feature::CiteFile);
    match media.source {
        Source::Base64 { mime, data } => Some(json!({"inlineData": {"mimeType": mime, "data": data}})),
        Source::Text(text) => Some(json!({"text": text})),
        Source::Uploaded { vendor: Vendor::Google, id, mime } => {
            let mut file = Object::new();
            file.set("mimeType", mime).set("fileUri", id);
            Some(json!({"fileData": Value::from(file)}))
        }
        Source::Uploaded { .. } => {
            losses.refuse(Feature::UploadedFile);
            None
        }
        Source::Url { mime, url } => {
            let Some(mime) = mime.or_else(|| mime_of(&url).map(str::to_owned)) else {
                losses.refuse(if media.kind == MediaKind::Image {
                    Feature::ImageUrl
                } else {
                    Feature::FileUrl
                });
                return None;
            };
            Some(json!({"fileData": {"mimeType": mime, "fileUri": url}}))
        }
    }
}

/// The type of what is at an address, by the end of its path: this dialect must be told.
fn mime_of(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let (_, extension) = path.rsplit_once('.')?;
    Some(match extension.to_ascii_lowercase().as_str() {
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        _ => return None,
    })
}
