//! A request of chat completions, read.

use serde_json::{Value, json};

use crate::{
    conversation::{
        feature::Losses,
        part::{Call, CallResult, Media, MediaKind, Part, Seal, SealKind, Source, Thinking},
        request::{Amount, Effort, Format, Reasoning, Request, Role, Sampling, Tool, ToolChoice, Turn},
    },
    convert::ConvertError,
    dialect::Vendor,
    members::{Members, wrong},
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

/// The word for a format of sound that OpenAI's dialects take.
pub(crate) fn audio_format(mime: &str) -> Option<&'static str> {
    match mime {
        "audio/wav" | "audio/x-wav" | "audio/wave" => Some("wav"),
        "audio/mp3" | "audio/mpeg" => Some("mp3"),
        _ => None,
    }
}
