//! A request of messages.

use serde_json::{Value, json};

use super::models;
use crate::{
    conversation::{
        feature::{Feature, Losses},
        part::{
            Cache, Call, CallResult, Citation, Media, MediaKind, Part, Seal, SealKind, Source, Text, Thinking,
        },
        request::{self, Amount, Effort, Format, Reasoning, Request, Role, Sampling, Tool, ToolChoice, Turn},
    },
    convert::ConvertError,
    dialect::Vendor,
    members::{Members, Object, wrong},
};

/// Takes a request apart.
pub(crate) fn read(body: Value, losses: &mut Losses) -> Result<Request, ConvertError> {
    let mut members = Members::of(body, "")?;
    let mut turns = Vec::new();
    let system = read_content(&mut members, "system", losses)?;
    if !system.is_empty() {
        turns.push(Turn { role: Role::System, parts: system });
    }
    for mut message in members.objects("messages")? {
        let role = match message.required_text("role")?.as_str() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            _ => return Err(wrong(message.path("role"), "user or assistant")),
        };
        let parts = read_content(&mut message, "content", losses)?;
        message.rest().for_each(|member| losses.refuse_member(member));
        turns.push(Turn { role, parts });
    }
    let (tool_choice, parallel_calls) = read_tool_choice(&mut members, losses)?;
    let (reasoning, format) = read_output(&mut members, losses)?;
    let user = match members.object("metadata")? {
        Some(mut metadata) => {
            let user = metadata.text("user_id")?;
            metadata.rest().for_each(|member| losses.refuse_member(member));
            user
        }
        None => None,
    };
    let request = Request {
        model: members.text("model")?.unwrap_or_default(),
        stream: members.flag("stream")?.unwrap_or(false),
        turns,
        tools: read_tools(&mut members, losses)?,
        tool_choice,
        parallel_calls,
        format,
        output_limit: members.whole("max_tokens")?,
        sampling: Sampling {
            temperature: members.number("temperature")?,
            top_p: members.number("top_p")?,
            top_k: members.number("top_k")?,
            stop: members.texts("stop_sequences")?,
            ..Sampling::default()
        },
        reasoning,
        user,
        service_tier: members.text("service_tier")?.filter(|tier| tier != "auto"),
        cache: read_cache(&mut members)?,
        ..Request::default()
    };
    members.rest().for_each(|member| losses.refuse_member(member));
    Ok(request)
}

fn read_cache(members: &mut Members) -> Result<Option<Cache>, ConvertError> {
    let Some(mut control) = members.object("cache_control")? else { return Ok(None) };
    let hour = control.text("ttl")?.as_deref() == Some("1h");
    Ok(Some(if hour { Cache::Hour } else { Cache::FiveMinutes }))
}

fn read_content(members: &mut Members, name: &str, losses: &mut Losses) -> Result<Vec<Part>, ConvertError> {
    let path = members.path(name);
    match members.take(name) {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![Part::text(text)]),
        Some(Value::Array(items)) => {
            let mut parts = Vec::new();
            for (index, item) in items.into_iter().enumerate() {
                let mut block = Members::of(item, format!("{path}[{index}]"))?;
                if let Some(part) = read_block(&mut block, losses)? {
                    parts.push(part);
                    block.rest().for_each(|member| losses.refuse_member(member));
                }
            }
            Ok(parts)
        }
        Some(_) => Err(wrong(path, "a string or an array")),
    }
}

fn read_block(block: &mut Members, losses: &mut Losses) -> Result<Option<Part>, ConvertError> {
    let cache = read_cache(block)?;
    let kind = block.required_text("type")?;
    let part = match kind.as_str() {
        "text" => {
            let citations = read_citations(block, losses)?;
            Part::Text(Text { text: block.required_text("text")?, cache, citations })
        }
        "image" => {
            let source = read_source(block)?;
            Part::Media(Media { cache, ..Media::new(MediaKind::Image, source) })
        }
        "document" => {
            let source = read_source(block)?;
            let cite = match block.object("citations")? {
                Some(mut citations) => citations.flag("enabled")?.unwrap_or(false),
                None => false,
            };
            let (name, context) = (block.text("title")?, block.text("context")?);
            Part::Media(Media { name, context, cite, cache, ..Media::new(MediaKind::File, source) })
        }
        "tool_use" => {
            let input = block.take("input").unwrap_or_else(|| json!({}));
            drop(block.take("caller"));
            let (id, name) = (block.required_text("id")?, block.required_text("name")?);
            Part::Call(Call { id, name, arguments: input.to_string(), cache })
        }
        "tool_result" => {
            let parts = read_content(block, "content", losses)?;
            let is_error = block.flag("is_error")?.unwrap_or(false);
            let call = block.required_text("tool_use_id")?;
            Part::Result(CallResult { call, name: None, parts, is_error, cache })
        }
        "thinking" => {
            let text = block.text("thinking")?.unwrap_or_default();
            let signature = block.text("signature")?.filter(|signature| !signature.is_empty());
            let seal = signature.map(|text| Seal::read(text, SealKind::Anthropic));
            Part::Thinking(Thinking { text, seal })
        }
        "redacted_thinking" => {
            let seal = Some(Seal::read(block.required_text("data")?, SealKind::AnthropicRedacted));
            Part::Thinking(Thinking { text: String::new(), seal })
        }
        _ => {
            losses.refuse_member(format!("{} {kind}", block.path("type")));
            return Ok(None);
        }
    };
    Ok(Some(part))
}

fn read_citations(block: &mut Members, losses: &mut Losses) -> Result<Vec<Citation>, ConvertError> {
    let mut citations = Vec::new();
    for (_, citation) in block.list("citations")? {
        match super::answer::read_citation(&citation) {
            Some(citation) => citations.push(citation),
            None => losses.drop(Feature::Citations),
        }
    }
    Ok(citations)
}

fn read_source(block: &mut Members) -> Result<Source, ConvertError> {
    let mut source = block.object("source")?.ok_or_else(|| wrong(block.path("source"), "an object"))?;
    let mime = source.text("media_type")?;
    let read = match source.required_text("type")?.as_str() {
        "base64" => {
            let mime = mime.ok_or_else(|| wrong(source.path("media_type"), "a string"))?;
            Source::Base64 { mime, data: source.required_text("data")? }
        }
        "url" => Source::Url { mime, url: source.required_text("url")? },
        "file" => Source::Uploaded { vendor: Vendor::Anthropic, id: source.required_text("file_id")?, mime },
        "text" => Source::Text(source.required_text("data")?),
        _ => return Err(wrong(source.path("type"), "base64, url, file or text")),
    };
    Ok(read)
}

fn read_tools(members: &mut Members, losses: &mut Losses) -> Result<Vec<Tool>, ConvertError> {
    let mut tools = Vec::new();
    for mut tool in members.objects("tools")? {
        let kind = tool.text("type")?.unwrap_or_else(|| "custom".to_owned());
        if kind != "custom" {
            losses.refuse_member(format!("{} {kind}", tool.path("type")));
            continue;
        }
        // Whether its arguments are streamed as they come is no matter of meaning.
        drop(tool.take("eager_input_streaming"));
        tools.push(Tool {
            name: tool.required_text("name")?,
            description: tool.text("description")?,
            parameters: tool.take("input_schema"),
            strict: tool.flag("strict")?,
            cache: read_cache(&mut tool)?,
        });
        tool.rest().for_each(|member| losses.refuse_member(member));
    }
    Ok(tools)
}

type Choice = (Option<ToolChoice>, Option<bool>);

fn read_tool_choice(members: &mut Members, losses: &mut Losses) -> Result<Choice, ConvertError> {
    let Some(mut choice) = members.object("tool_choice")? else { return Ok((None, None)) };
    let parallel = choice.flag("disable_parallel_tool_use")?.map(|disabled| !disabled);
    let read = match choice.required_text("type")?.as_str() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(choice.required_text("name")?),
        _ => return Err(wrong("tool_choice.type", "auto, any, tool or none")),
    };
    choice.rest().for_each(|member| losses.refuse_member(member));
    Ok((Some(read), parallel))
}

fn read_output(members: &mut Members, losses: &mut Losses) -> Result<(Reasoning, Format), ConvertError> {
    let (mut reasoning, mut format) = (Reasoning::default(), Format::Text);
    if let Some(mut thinking) = members.object("thinking")? {
        let budget = thinking.whole("budget_tokens")?;
        reasoning.amount = Some(match thinking.required_text("type")?.as_str() {
            "disabled" => Amount::Off,
            "adaptive" => Amount::Adaptive,
            "enabled" => budget.map_or(Amount::Adaptive, Amount::Tokens),
            _ => return Err(wrong(thinking.path("type"), "enabled, adaptive or disabled")),
        });
        let shown = thinking.text("display")?.is_none_or(|display| display != "omitted");
        reasoning.show = Some(shown && reasoning.amount != Some(Amount::Off));
        thinking.rest().for_each(|member| losses.refuse_member(member));
    }
    if let Some(mut output) = members.object("output_config")? {
        if let Some(Amount::Effort(effort)) = crate::chat::request::read_effort(&mut output, "effort")?
            && matches!(reasoning.amount, None | Some(Amount::Adaptive))
        {
            reasoning.amount = Some(Amount::Effort(effort));
        }
        if let Some(mut schema) = output.object("format")? {
            format = read_format(&mut schema)?;
            schema.rest().for_each(|member| losses.refuse_member(member));
        }
        output.rest().for_each(|member| losses.refuse_member(member));
    }
    if let Some(mut schema) = members.object("output_format")? {
        format = read_format(&mut schema)?;
        schema.rest().for_each(|member| losses.refuse_member(member));
    }
    Ok((reasoning, format))
}

fn read_format(format: &mut Members) -> Result<Format, ConvertError> {
    if format.required_text("type")? != "json_schema" {
        return Err(wrong(format.path("type"), "json_schema"));
    }
    let schema = format.take("schema").ok_or_else(|| wrong(format.path("schema"), "an object"))?;
    Ok(Format::Schema { name: None, description: None, schema, strict: None })
}

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
