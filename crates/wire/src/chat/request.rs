//! A request of chat completions.

use serde_json::{Value, json};

use crate::{
    conversation::{
        feature::{Feature, Losses},
        part::{Call, CallResult, Media, MediaKind, Part, Seal, SealKind, Source, Text, Thinking},
        request::{Amount, Effort, Format, Reasoning, Request, Role, Sampling, Tool, ToolChoice, Turn},
    },
    convert::ConvertError,
    dialect::{Dialect, Vendor},
    members::{Members, Object, wrong},
};

/// Takes a request apart.
pub(crate) fn read(body: Value, losses: &mut Losses) -> Result<Request, ConvertError> {
    let mut members = Members::of(body, "")?;
    let mut turns = Vec::new();
    for message in members.objects("messages")? {
        read_message(message, &mut turns, losses)?;
    }
    let limit = members.whole("max_tokens")?;
    // It asks for usage in the stream, which is what every other dialect tells anyway.
    drop(members.take("stream_options"));
    let request = Request {
        model: members.text("model")?.unwrap_or_default(),
        stream: members.flag("stream")?.unwrap_or(false),
        turns,
        tools: read_tools(&mut members, losses)?,
        tool_choice: read_tool_choice(&mut members, losses)?,
        parallel_calls: members.flag("parallel_tool_calls")?,
        format: read_format(&mut members, losses)?,
        verbosity: members.text("verbosity")?,
        output_limit: members.whole("max_completion_tokens")?.or(limit),
        sampling: read_sampling(&mut members)?,
        reasoning: Reasoning { amount: read_effort(&mut members, "reasoning_effort")?, show: None },
        user: read_user(&mut members)?,
        metadata: members.take("metadata"),
        store: members.flag("store")?,
        service_tier: read_tier(&mut members)?,
        cache_key: members.text("prompt_cache_key")?,
        cache: None,
    };
    match members.take("modalities") {
        Some(only_text) if only_text != json!(["text"]) => losses.refuse_member("modalities"),
        _ => {}
    }
    members.rest().for_each(|member| losses.refuse_member(member));
    Ok(request)
}

/// The word for the end user, under its new or its old name.
pub(crate) fn read_user(members: &mut Members) -> Result<Option<String>, ConvertError> {
    let old = members.text("user")?;
    Ok(members.text("safety_identifier")?.or(old))
}

/// The service tier, unless it is what one gets anyway.
pub(crate) fn read_tier(members: &mut Members) -> Result<Option<String>, ConvertError> {
    Ok(members.text("service_tier")?.filter(|tier| tier != "auto"))
}

/// An effort of reasoning.
pub(crate) fn read_effort(members: &mut Members, name: &str) -> Result<Option<Amount>, ConvertError> {
    let Some(word) = members.text(name)? else { return Ok(None) };
    if word == "none" {
        return Ok(Some(Amount::Off));
    }
    let effort = Effort::read(&word).ok_or_else(|| wrong(members.path(name), "an effort of reasoning"))?;
    Ok(Some(Amount::Effort(effort)))
}

fn read_sampling(members: &mut Members) -> Result<Sampling, ConvertError> {
    let stop = match members.take("stop") {
        None => Vec::new(),
        Some(Value::String(one)) => vec![one],
        Some(list) => Members::of(json!({"stop": list}), "")?.texts("stop")?,
    };
    let asked = members.flag("logprobs")?.unwrap_or(false);
    let top = members.whole("top_logprobs")?;
    Ok(Sampling {
        temperature: members.number("temperature")?,
        top_p: members.number("top_p")?,
        top_k: None,
        seed: members.number("seed")?,
        frequency_penalty: members.number("frequency_penalty")?,
        presence_penalty: members.number("presence_penalty")?,
        logit_bias: members.take("logit_bias").filter(|bias| *bias != json!({})),
        stop,
        choices: members.whole("n")?.filter(|n| *n != 1),
        logprobs: asked.then_some(top.unwrap_or(0)),
    })
}

fn read_tools(members: &mut Members, losses: &mut Losses) -> Result<Vec<Tool>, ConvertError> {
    let mut tools = Vec::new();
    for mut tool in members.objects("tools")? {
        let kind = tool.required_text("type")?;
        let function = if kind == "function" { tool.object("function")? } else { None };
        let Some(mut function) = function else {
            losses.refuse_member(format!("{} {kind}", tool.path("type")));
            continue;
        };
        tools.push(read_function(&mut function)?);
        function.rest().chain(tool.rest()).for_each(|member| losses.refuse_member(member));
    }
    Ok(tools)
}

/// Reads what OpenAI's dialects say of a function.
pub(crate) fn read_function(function: &mut Members) -> Result<Tool, ConvertError> {
    Ok(Tool {
        name: function.required_text("name")?,
        description: function.text("description")?,
        parameters: function.take("parameters"),
        strict: function.flag("strict")?,
        cache: None,
    })
}

fn read_tool_choice(members: &mut Members, losses: &mut Losses) -> Result<Option<ToolChoice>, ConvertError> {
    let path = members.path("tool_choice");
    let Some(value) = members.take("tool_choice") else { return Ok(None) };
    if let Value::String(word) = value {
        return tool_choice_word(&word).map(Some).ok_or_else(|| wrong(path, "auto, none or required"));
    }
    let mut choice = Members::of(value, path)?;
    let kind = choice.required_text("type")?;
    let read = match kind.as_str() {
        "function" => {
            let mut function =
                choice.object("function")?.ok_or_else(|| wrong("tool_choice.function", "an object"))?;
            ToolChoice::Named(function.required_text("name")?)
        }
        "allowed_tools" => {
            let mut allowed = choice
                .object("allowed_tools")?
                .ok_or_else(|| wrong("tool_choice.allowed_tools", "an object"))?;
            let required = allowed.text("mode")?.as_deref() == Some("required");
            let mut names = Vec::new();
            for mut tool in allowed.objects("tools")? {
                let function = tool.object("function")?;
                let mut function = function.ok_or_else(|| wrong(tool.path("function"), "an object"))?;
                names.push(function.required_text("name")?);
            }
            ToolChoice::Among(names, required)
        }
        _ => {
            losses.refuse_member(format!("tool_choice.type {kind}"));
            ToolChoice::Auto
        }
    };
    Ok(Some(read))
}

/// The words that OpenAI's dialects have for a choice of tools.
pub(crate) fn tool_choice_word(word: &str) -> Option<ToolChoice> {
    match word {
        "auto" => Some(ToolChoice::Auto),
        "none" => Some(ToolChoice::None),
        "required" => Some(ToolChoice::Required),
        _ => None,
    }
}

fn read_format(members: &mut Members, losses: &mut Losses) -> Result<Format, ConvertError> {
    let Some(mut format) = members.object("response_format")? else { return Ok(Format::Text) };
    let kind = format.required_text("type")?;
    let read = match kind.as_str() {
        "text" => Format::Text,
        "json_object" => Format::Json,
        "json_schema" => {
            let schema = format.object("json_schema")?;
            let mut schema = schema.ok_or_else(|| wrong(format.path("json_schema"), "an object"))?;
            let read = read_schema(&mut schema)?;
            schema.rest().for_each(|member| losses.refuse_member(member));
            read
        }
        _ => {
            losses.refuse_member(format!("response_format.type {kind}"));
            Format::Text
        }
    };
    format.rest().for_each(|member| losses.refuse_member(member));
    Ok(read)
}

/// Reads what OpenAI's dialects say of a schema for the output.
pub(crate) fn read_schema(schema: &mut Members) -> Result<Format, ConvertError> {
    Ok(Format::Schema {
        name: schema.text("name")?,
        description: schema.text("description")?,
        schema: schema.take("schema").unwrap_or_else(|| json!({"type": "object"})),
        strict: schema.flag("strict")?,
    })
}

fn read_message(
    mut message: Members,
    turns: &mut Vec<Turn>,
    losses: &mut Losses,
) -> Result<(), ConvertError> {
    let word = message.required_text("role")?;
    let role = match word.as_str() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" | "tool" => Role::User,
        "assistant" => Role::Assistant,
        _ => return Err(wrong(message.path("role"), "system, developer, user, assistant or tool")),
    };
    let mut parts = if role == Role::Assistant { read_thinking(&mut message)? } else { Vec::new() };
    parts.extend(read_content(&mut message, losses)?);
    if let Some(refusal) = message.text("refusal")? {
        parts.push(Part::Refusal(refusal));
    }
    read_calls(&mut message, &mut parts, losses)?;
    if role == Role::Assistant {
        // What an answer carries beside its text, and a client sends back as it got it.
        drop(message.take("annotations"));
    }
    if word == "tool" {
        let call = message.required_text("tool_call_id")?;
        let result = Part::Result(CallResult { call, name: None, parts, is_error: false, cache: None });
        message.rest().for_each(|member| losses.refuse_member(member));
        // The results of parallel calls are one turn.
        match turns.last_mut() {
            Some(turn) if turn.parts.iter().all(|part| matches!(part, Part::Result(_))) => {
                turn.parts.push(result);
            }
            _ => turns.push(Turn { role, parts: vec![result] }),
        }
        return Ok(());
    }
    message.rest().for_each(|member| losses.refuse_member(member));
    turns.push(Turn { role, parts });
    Ok(())
}

/// Reads thinking as `chat::answer` writes it.
pub(crate) fn read_thinking(message: &mut Members) -> Result<Vec<Part>, ConvertError> {
    let content = message.text("reasoning_content")?;
    let plain = message.text("reasoning")?.or(content).filter(|text| !text.is_empty());
    let mut parts = Vec::new();
    for mut detail in message.objects("reasoning_details")? {
        let text = detail.text("text")?.unwrap_or_default();
        let sealed = detail.text("signature")?.or(detail.text("data")?);
        let seal = sealed.map(|text| Seal::read(text, SealKind::Anthropic));
        parts.push(Part::Thinking(Thinking { text, seal }));
    }
    match (parts.as_mut_slice(), plain) {
        ([], Some(text)) => parts.push(Part::Thinking(Thinking { text, seal: None })),
        // A client that put a stream together has the text under one name and its seal under the other.
        ([Part::Thinking(first), ..], Some(text)) if first.text.is_empty() => first.text = text,
        _ => {}
    }
    Ok(parts)
}

fn read_content(message: &mut Members, losses: &mut Losses) -> Result<Vec<Part>, ConvertError> {
    if !message.has("content") {
        return Ok(Vec::new());
    }
    let path = message.path("content");
    match message.take("content") {
        Some(Value::String(text)) => Ok(vec![Part::text(text)]),
        Some(Value::Array(items)) => {
            let mut parts = Vec::new();
            for (index, item) in items.into_iter().enumerate() {
                let mut item = Members::of(item, format!("{path}[{index}]"))?;
                if let Some(part) = read_part(&mut item, losses)? {
                    parts.push(part);
                    item.rest().for_each(|member| losses.refuse_member(member));
                }
            }
            Ok(parts)
        }
        _ => Err(wrong(path, "a string or an array")),
    }
}

fn read_part(item: &mut Members, losses: &mut Losses) -> Result<Option<Part>, ConvertError> {
    let kind = item.required_text("type")?;
    let part = match kind.as_str() {
        "text" => Part::text(item.required_text("text")?),
        "refusal" => Part::Refusal(item.required_text("refusal")?),
        "image_url" => {
            let mut image =
                item.object("image_url")?.ok_or_else(|| wrong(item.path("image_url"), "an object"))?;
            let source = Source::of_url(image.required_text("url")?);
            let detail = image.text("detail")?.filter(|detail| detail != "auto");
            Part::Media(Media { detail, ..Media::new(MediaKind::Image, source) })
        }
        "input_audio" => {
            let mut audio =
                item.object("input_audio")?.ok_or_else(|| wrong(item.path("input_audio"), "an object"))?;
            let mime = format!("audio/{}", audio.required_text("format")?);
            let source = Source::Base64 { mime, data: audio.required_text("data")? };
            Part::Media(Media::new(MediaKind::Audio, source))
        }
        "file" => {
            let mut file = item.object("file")?.ok_or_else(|| wrong(item.path("file"), "an object"))?;
            Part::Media(read_file(&mut file)?)
        }
        _ => {
            losses.refuse_member(format!("{} {kind}", item.path("type")));
            return Ok(None);
        }
    };
    Ok(Some(part))
}

/// Reads what OpenAI's dialects say of a file.
pub(crate) fn read_file(file: &mut Members) -> Result<Media, ConvertError> {
    let name = file.text("filename")?;
    let source = if let Some(data) = file.text("file_data")? {
        Source::of_url(data)
    } else if let Some(url) = file.text("file_url")? {
        Source::Url { mime: None, url }
    } else {
        Source::Uploaded { vendor: Vendor::OpenAi, id: file.required_text("file_id")?, mime: None }
    };
    Ok(Media { name, ..Media::new(MediaKind::File, source) })
}

fn read_calls(message: &mut Members, parts: &mut Vec<Part>, losses: &mut Losses) -> Result<(), ConvertError> {
    for mut call in message.objects("tool_calls")? {
        let kind = call.text("type")?.unwrap_or_else(|| "function".to_owned());
        let function = if kind == "function" { call.object("function")? } else { None };
        let Some(mut function) = function else {
            losses.refuse_member(format!("{} {kind}", call.path("type")));
            continue;
        };
        if let Some(signature) = signature_of(call.take("extra_content")) {
            let seal = Some(Seal::new(SealKind::Google, signature));
            parts.push(Part::Thinking(Thinking { text: String::new(), seal }));
        }
        parts.push(Part::Call(Call {
            id: call.required_text("id")?,
            name: function.required_text("name")?,
            arguments: function.text("arguments")?.unwrap_or_default(),
            cache: None,
        }));
        drop(call.take("index"));
        function.rest().chain(call.rest()).for_each(|member| losses.refuse_member(member));
    }
    Ok(())
}

/// Google's signature of a call, where Google's own OpenAI door has it: `{"google":{"thought_signature":…}}`.
pub(crate) fn signature_of(extra: Option<Value>) -> Option<String> {
    extra?.pointer("/google/thought_signature")?.as_str().map(str::to_owned)
}

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

/// The word for a format of sound that OpenAI's dialects take.
pub(crate) fn audio_format(mime: &str) -> Option<&'static str> {
    match mime {
        "audio/wav" | "audio/x-wav" | "audio/wave" => Some("wav"),
        "audio/mp3" | "audio/mpeg" => Some("mp3"),
        _ => None,
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
