//! A request of messages, written.

use serde_json::{Value, json};

use super::models;
use crate::{
    conversation::{
        feature::{Feature, Losses},
        part::{Cache, Media, MediaKind, Part, SealKind, Source, Thinking},
        request::{self, Amount, Effort, Format, Reasoning, Request, Role, Sampling, Tool, ToolChoice, Turn},
    },
    dialect::Vendor,
    members::Object,
};

/// Writes a request. `limit` is the output limit for a caller who set none: this dialect must have one.
pub(crate) fn write(request: Request, limit: u64, losses: &mut Losses) -> Value {
    let mut body = Object::new();
    let limit = request.output_limit.unwrap_or(limit);
    body.set("model", request.model.clone()).set("max_tokens", limit);
    // Anthropic's own OpenAI door puts all of them in front, too.
    let (system, turns) = request::system_first(request.turns, losses);
    let system: Vec<Value> =
        system.into_iter().flat_map(|turn| turn.parts).filter_map(|part| write_part(part, losses)).collect();
    body.set_list("system", system);
    let messages: Vec<Value> = turns.into_iter().map(|turn| write_turn(turn, losses)).collect();
    body.set("messages", messages);
    if request.stream {
        body.set("stream", true);
    }
    let tools: Vec<Value> = request.tools.into_iter().map(write_tool).collect();
    let has_tools = !tools.is_empty();
    body.set_list("tools", tools);
    write_tool_choice(request.tool_choice, request.parallel_calls.filter(|_| has_tools), &mut body, losses);
    write_output(&request.model, limit, request.reasoning, request.format, &mut body, losses);
    write_sampling(request.sampling, &mut body, losses);
    losses.refuse_if(request.verbosity.is_some(), Feature::Verbosity);
    losses.drop_if(request.metadata.is_some(), Feature::Metadata);
    losses.drop_if(request.store == Some(true), Feature::Store);
    losses.drop_if(request.cache_key.is_some(), Feature::CacheKey);
    match request.service_tier.as_deref() {
        None => {}
        Some("default" | "standard_only") => drop(body.set("service_tier", "standard_only")),
        Some(_) => losses.refuse(Feature::ServiceTier),
    }
    body.set("metadata", request.user.map(|user| json!({"user_id": user})));
    body.set("cache_control", request.cache.map(write_cache));
    body.into()
}

fn write_sampling(sampling: Sampling, body: &mut Object, losses: &mut Losses) {
    losses.refuse_if(sampling.choices.is_some(), Feature::Choices);
    losses.refuse_if(sampling.logprobs.is_some(), Feature::Logprobs);
    // Anthropic's page on its OpenAI door says that these have no effect there.
    losses.drop_if(sampling.logit_bias.is_some(), Feature::LogitBias);
    losses.drop_if(sampling.frequency_penalty.is_some(), Feature::FrequencyPenalty);
    losses.drop_if(sampling.presence_penalty.is_some(), Feature::PresencePenalty);
    losses.drop_if(sampling.seed.is_some(), Feature::Seed);
    // The same page: a temperature above 1 is taken as 1.
    let hot = sampling.temperature.as_ref().and_then(serde_json::Number::as_f64).is_some_and(|t| t > 1.0);
    losses.drop_if(hot, Feature::Temperature);
    let temperature = if hot { Some(1.into()) } else { sampling.temperature };
    body.set("temperature", temperature)
        .set("top_p", sampling.top_p)
        .set("top_k", sampling.top_k)
        .set_list("stop_sequences", sampling.stop.into_iter().map(Value::from).collect());
}

/// A mark for the cache.
fn write_cache(cache: Cache) -> Value {
    match cache {
        Cache::FiveMinutes => json!({"type": "ephemeral"}),
        Cache::Hour => json!({"type": "ephemeral", "ttl": "1h"}),
    }
}

fn write_tool(tool: Tool) -> Value {
    let mut object = Object::new();
    object
        .set("name", tool.name)
        .set("description", tool.description)
        .set("input_schema", tool.parameters.unwrap_or_else(|| json!({"type": "object"})))
        .set("strict", tool.strict)
        .set("cache_control", tool.cache.map(write_cache));
    object.into()
}

fn write_tool_choice(
    choice: Option<ToolChoice>,
    parallel: Option<bool>,
    body: &mut Object,
    losses: &mut Losses,
) {
    let mut object = Object::new();
    match choice {
        None if parallel == Some(false) => drop(object.set("type", "auto")),
        None => return,
        Some(ToolChoice::Auto) => drop(object.set("type", "auto")),
        Some(ToolChoice::Required) => drop(object.set("type", "any")),
        Some(ToolChoice::None) => drop(body.set("tool_choice", json!({"type": "none"}))),
        Some(ToolChoice::Named(name)) => drop(object.set("type", "tool").set("name", name)),
        Some(ToolChoice::Among(..)) => losses.refuse(Feature::AllowedTools),
    }
    if !object.is_empty() {
        object.set("disable_parallel_tool_use", parallel.map(|parallel| !parallel));
        body.set("tool_choice", object);
    }
}

fn write_output(
    model: &str,
    limit: u64,
    reasoning: Reasoning,
    format: Format,
    body: &mut Object,
    losses: &mut Losses,
) {
    let mut output = Object::new();
    let mut thinking = Object::new();
    let in_tokens = models::thinks_in_tokens(model);
    let amount = match reasoning.amount {
        Some(Amount::Effort(effort)) if in_tokens => Some(Amount::Tokens(effort.tokens().min(limit / 2))),
        Some(Amount::Adaptive) if in_tokens => Some(Amount::Tokens(Effort::Medium.tokens().min(limit / 2))),
        Some(Amount::Tokens(tokens)) if !in_tokens => {
            losses.drop(Feature::ReasoningBudget);
            Some(Amount::Effort(Effort::of_tokens(tokens)))
        }
        amount => amount,
    };
    match amount {
        None => {}
        Some(Amount::Off) => drop(thinking.set("type", "disabled")),
        Some(Amount::Adaptive) => drop(thinking.set("type", "adaptive")),
        Some(Amount::Effort(effort)) => {
            thinking.set("type", "adaptive");
            let word = if effort == Effort::Minimal { Effort::Low } else { effort }.word();
            output.set("effort", word);
        }
        // The budget is a part of the limit, and at least 1024.
        Some(Amount::Tokens(tokens)) => match limit.checked_sub(1) {
            Some(most) if most >= 1_024 => {
                thinking.set("type", "enabled").set("budget_tokens", tokens.clamp(1_024, most));
            }
            _ => losses.refuse(Feature::OutputLimit),
        },
    }
    if reasoning.show == Some(false) && !thinking.is_empty() && reasoning.amount != Some(Amount::Off) {
        thinking.set("display", "omitted");
    }
    match format {
        Format::Text => {}
        Format::Json => losses.refuse(Feature::JsonObject),
        Format::Schema { schema, .. } => {
            output.set("format", json!({"type": "json_schema", "schema": schema}));
        }
    }
    if !thinking.is_empty() {
        body.set("thinking", thinking);
    }
    if !output.is_empty() {
        body.set("output_config", output);
    }
}

fn write_turn(turn: Turn, losses: &mut Losses) -> Value {
    let role = if turn.role == Role::Assistant { "assistant" } else { "user" };
    // Results come first: this dialect wants them directly behind their calls.
    let (results, rest): (Vec<Part>, Vec<Part>) =
        turn.parts.into_iter().partition(|part| matches!(part, Part::Result(_)));
    let parts = results.into_iter().chain(rest);
    let content: Vec<Value> = parts.filter_map(|part| write_part(part, losses)).collect();
    json!({"role": role, "content": content})
}

fn write_part(part: Part, losses: &mut Losses) -> Option<Value> {
    let mut block = Object::new();
    match part {
        // An empty text is an error here, and says nothing elsewhere.
        Part::Text(text) if text.text.is_empty() => return None,
        Part::Text(text) => {
            losses.drop_if(!text.citations.is_empty(), Feature::Citations);
            let cache = text.cache.map(write_cache);
            block.set("type", "text").set("text", text.text).set("cache_control", cache);
        }
        Part::Refusal(words) => drop(block.set("type", "text").set("text", words)),
        Part::Media(media) => return write_media(media, losses),
        Part::Call(call) => {
            let input = serde_json::from_str::<Value>(&call.arguments).ok().filter(Value::is_object);
            block
                .set("type", "tool_use")
                .set("id", call.id)
                .set("name", call.name)
                .set("input", input.unwrap_or_else(|| json!({})))
                .set("cache_control", call.cache.map(write_cache));
        }
        Part::Result(result) => {
            let content: Vec<Value> =
                result.parts.into_iter().filter_map(|part| write_part(part, losses)).collect();
            block
                .set("type", "tool_result")
                .set("tool_use_id", result.call)
                .set_list("content", content)
                .set("is_error", result.is_error.then_some(true))
                .set("cache_control", result.cache.map(write_cache));
        }
        Part::Thinking(Thinking { text, seal: Some(seal) }) if seal.kind == SealKind::Anthropic => {
            block.set("type", "thinking").set("thinking", text).set("signature", seal.value);
        }
        Part::Thinking(Thinking { seal: Some(seal), .. }) if seal.kind == SealKind::AnthropicRedacted => {
            block.set("type", "redacted_thinking").set("data", seal.value);
        }
        Part::Thinking(_) => {
            losses.drop(Feature::Thinking);
            return None;
        }
    }
    Some(block.into())
}

fn write_media(media: Media, losses: &mut Losses) -> Option<Value> {
    losses.drop_if(media.detail.is_some(), Feature::ImageDetail);
    let kind = match media.kind {
        MediaKind::Image => "image",
        MediaKind::File => "document",
        MediaKind::Audio | MediaKind::Video => {
            let is_audio = media.kind == MediaKind::Audio;
            losses.refuse(if is_audio { Feature::Audio } else { Feature::Video });
            return None;
        }
    };
    let source = match media.source {
        Source::Base64 { mime, data } => json!({"type": "base64", "media_type": mime, "data": data}),
        Source::Url { url, .. } => json!({"type": "url", "url": url}),
        Source::Text(text) => json!({"type": "text", "media_type": "text/plain", "data": text}),
        Source::Uploaded { vendor: Vendor::Anthropic, id, .. } => json!({"type": "file", "file_id": id}),
        Source::Uploaded { .. } => {
            losses.refuse(Feature::UploadedFile);
            return None;
        }
    };
    let mut block = Object::new();
    block.set("type", kind).set("source", source);
    if media.kind == MediaKind::File {
        block
            .set("title", media.name)
            .set("context", media.context)
            .set("citations", media.cite.then(|| json!({"enabled": true})));
    }
    block.set("cache_control", media.cache.map(write_cache));
    Some(block.into())
}
