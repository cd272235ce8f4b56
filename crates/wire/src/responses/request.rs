//! A request of responses.

use serde_json::{Value, json};

use crate::{
    chat::request::{
        audio_format, read_effort, read_file, read_function, read_schema, read_tier, read_user,
        tool_choice_word, write_effort, write_function, write_schema, write_tier,
    },
    conversation::{
        feature::{Feature, Losses},
        part::{Call, CallResult, Media, MediaKind, Part, Seal, SealKind, Source, Text, Thinking},
        request::{Amount, Format, Reasoning, Request, Role, Sampling, Tool, ToolChoice, Turn},
    },
    convert::ConvertError,
    dialect::Vendor,
    members::{Members, Object, wrong},
};

/// What to include in the answer so that reasoning can be sent back.
const SEALED: &str = "reasoning.encrypted_content";
const LOGPROBS: &str = "message.output_text.logprobs";

/// Takes a request apart.
pub(crate) fn read(body: Value, losses: &mut Losses) -> Result<Request, ConvertError> {
    let mut members = Members::of(body, "")?;
    let mut turns = Vec::new();
    if let Some(instructions) = members.text("instructions")? {
        turns.push(Turn { role: Role::System, parts: vec![Part::text(instructions)] });
    }
    match members.take("input") {
        None => {}
        Some(Value::String(text)) => turns.push(Turn { role: Role::User, parts: vec![Part::text(text)] }),
        Some(Value::Array(items)) => {
            for (index, item) in items.into_iter().enumerate() {
                read_item(Members::of(item, format!("input[{index}]"))?, &mut turns, losses)?;
            }
        }
        Some(_) => return Err(wrong("input", "a string or an array")),
    }
    let mut asked = false;
    for included in members.texts("include")? {
        match included.as_str() {
            SEALED => {}
            LOGPROBS => asked = true,
            _ => losses.refuse_member(format!("include {included}")),
        }
    }
    let top = members.whole("top_logprobs")?.filter(|top| *top > 0);
    let (format, verbosity) = read_text(&mut members, losses)?;
    let request = Request {
        model: members.text("model")?.unwrap_or_default(),
        stream: members.flag("stream")?.unwrap_or(false),
        turns,
        tools: read_tools(&mut members, losses)?,
        tool_choice: read_tool_choice(&mut members, losses)?,
        parallel_calls: members.flag("parallel_tool_calls")?,
        format,
        verbosity,
        output_limit: members.whole("max_output_tokens")?,
        sampling: Sampling {
            temperature: members.number("temperature")?,
            top_p: members.number("top_p")?,
            logprobs: top.or(asked.then_some(0)),
            ..Sampling::default()
        },
        reasoning: read_reasoning(&mut members, losses)?,
        user: read_user(&mut members)?,
        metadata: members.take("metadata").filter(|metadata| *metadata != json!({})),
        store: members.flag("store")?,
        service_tier: read_tier(&mut members)?,
        cache_key: members.text("prompt_cache_key")?,
        cache: None,
    };
    // How events are padded against eavesdroppers is between the vendor and itself.
    drop(members.take("stream_options"));
    for (name, ordinary) in [("truncation", json!("disabled")), ("background", json!(false))] {
        if members.take(name).is_some_and(|value| value != ordinary) {
            losses.refuse_member(name);
        }
    }
    members.rest().for_each(|member| losses.refuse_member(member));
    Ok(request)
}

fn read_item(mut item: Members, turns: &mut Vec<Turn>, losses: &mut Losses) -> Result<(), ConvertError> {
    let kind = item.text("type")?.unwrap_or_else(|| "message".to_owned());
    if kind != "function_call_output" && kind != "message" {
        drop(item.take("status"));
    }
    match kind.as_str() {
        "message" => {
            let role = match item.required_text("role")?.as_str() {
                "system" => Role::System,
                "developer" => Role::Developer,
                "user" => Role::User,
                "assistant" => Role::Assistant,
                _ => return Err(wrong(item.path("role"), "system, developer, user or assistant")),
            };
            let parts = read_content(&mut item, "content", losses)?;
            drop((item.take("id"), item.take("status"), item.take("phase")));
            match role {
                Role::Assistant => assistant(turns, parts),
                _ => turns.push(Turn { role, parts }),
            }
        }
        "function_call" => {
            let call = Call {
                id: item.required_text("call_id")?,
                name: item.required_text("name")?,
                arguments: item.text("arguments")?.unwrap_or_default(),
                cache: None,
            };
            drop(item.take("id"));
            assistant(turns, vec![Part::Call(call)]);
        }
        "function_call_output" => {
            let call = item.required_text("call_id")?;
            let parts = read_content(&mut item, "output", losses)?;
            drop((item.take("id"), item.take("status")));
            let result = Part::Result(CallResult { call, name: None, parts, is_error: false, cache: None });
            match turns.last_mut() {
                Some(turn) if turn.parts.iter().all(|part| matches!(part, Part::Result(_))) => {
                    turn.parts.push(result);
                }
                _ => turns.push(Turn { role: Role::User, parts: vec![result] }),
            }
        }
        "reasoning" => {
            let text = read_thoughts(&mut item)?;
            let id = item.text("id")?.unwrap_or_default();
            let seal = item.text("encrypted_content")?.map(|sealed| read_seal(&id, sealed));
            assistant(turns, vec![Part::Thinking(Thinking { text, seal })]);
        }
        _ => {
            losses.refuse_member(format!("{} {kind}", item.path("type")));
            return Ok(());
        }
    }
    item.rest().for_each(|member| losses.refuse_member(member));
    Ok(())
}

/// Adds to the assistant's turn that is being told: here each of its parts is an item of its own.
fn assistant(turns: &mut Vec<Turn>, part: Vec<Part>) {
    match turns.last_mut() {
        Some(turn) if turn.role == Role::Assistant => turn.parts.extend(part),
        _ => turns.push(Turn { role: Role::Assistant, parts: part }),
    }
}

fn read_thoughts(item: &mut Members) -> Result<String, ConvertError> {
    let mut texts = Vec::new();
    for name in ["summary", "content"] {
        for mut part in item.objects(name)? {
            texts.extend(part.text("text")?);
        }
    }
    Ok(texts.join("\n\n"))
}

/// The seal of a reasoning item.
pub(crate) fn read_seal(id: &str, sealed: String) -> Seal {
    match Seal::read(sealed, SealKind::OpenAi) {
        Seal { kind: SealKind::OpenAi, value } => Seal::new(SealKind::OpenAi, format!("{id}:{value}")),
        foreign => foreign,
    }
}

fn read_content(item: &mut Members, name: &str, losses: &mut Losses) -> Result<Vec<Part>, ConvertError> {
    let path = item.path(name);
    match item.take(name) {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![Part::text(text)]),
        Some(Value::Array(items)) => {
            let mut parts = Vec::new();
            for (index, part) in items.into_iter().enumerate() {
                let mut part = Members::of(part, format!("{path}[{index}]"))?;
                if let Some(read) = read_part(&mut part, losses)? {
                    parts.push(read);
                    part.rest().for_each(|member| losses.refuse_member(member));
                }
            }
            Ok(parts)
        }
        Some(_) => Err(wrong(path, "a string or an array")),
    }
}

fn read_part(part: &mut Members, losses: &mut Losses) -> Result<Option<Part>, ConvertError> {
    let kind = part.required_text("type")?;
    let read = match kind.as_str() {
        "input_text" | "output_text" | "text" => {
            // What an answer carries beside its text, and a client sends back as it got it.
            drop((part.take("annotations"), part.take("logprobs")));
            Part::Text(Text { text: part.required_text("text")?, ..Text::default() })
        }
        "refusal" => Part::Refusal(part.required_text("refusal")?),
        "input_image" => {
            let detail = part.text("detail")?.filter(|detail| detail != "auto");
            let uploaded = part.text("file_id")?;
            let source = match uploaded {
                Some(id) => Source::Uploaded { vendor: Vendor::OpenAi, id, mime: None },
                None => Source::of_url(part.required_text("image_url")?),
            };
            Part::Media(Media { detail, ..Media::new(MediaKind::Image, source) })
        }
        "input_file" => Part::Media(read_file(part)?),
        "input_audio" => {
            let mut audio =
                part.object("input_audio")?.ok_or_else(|| wrong(part.path("input_audio"), "an object"))?;
            let mime = format!("audio/{}", audio.required_text("format")?);
            let source = Source::Base64 { mime, data: audio.required_text("data")? };
            Part::Media(Media::new(MediaKind::Audio, source))
        }
        _ => {
            losses.refuse_member(format!("{} {kind}", part.path("type")));
            return Ok(None);
        }
    };
    Ok(Some(read))
}

fn read_tools(members: &mut Members, losses: &mut Losses) -> Result<Vec<Tool>, ConvertError> {
    let mut tools = Vec::new();
    for mut tool in members.objects("tools")? {
        let kind = tool.required_text("type")?;
        if kind != "function" {
            losses.refuse_member(format!("{} {kind}", tool.path("type")));
            continue;
        }
        tools.push(read_function(&mut tool)?);
        tool.rest().for_each(|member| losses.refuse_member(member));
    }
    Ok(tools)
}

fn read_tool_choice(members: &mut Members, losses: &mut Losses) -> Result<Option<ToolChoice>, ConvertError> {
    let Some(value) = members.take("tool_choice") else { return Ok(None) };
    if let Value::String(word) = value {
        let choice = tool_choice_word(&word);
        return choice.map(Some).ok_or_else(|| wrong("tool_choice", "auto, none or required"));
    }
    let mut choice = Members::of(value, "tool_choice")?;
    let kind = choice.required_text("type")?;
    Ok(Some(match kind.as_str() {
        "function" => ToolChoice::Named(choice.required_text("name")?),
        "allowed_tools" => {
            let required = choice.text("mode")?.as_deref() == Some("required");
            let mut names = Vec::new();
            for mut tool in choice.objects("tools")? {
                names.push(tool.required_text("name")?);
            }
            ToolChoice::Among(names, required)
        }
        _ => {
            losses.refuse_member(format!("tool_choice.type {kind}"));
            ToolChoice::Auto
        }
    }))
}

fn read_text(members: &mut Members, losses: &mut Losses) -> Result<(Format, Option<String>), ConvertError> {
    let Some(mut text) = members.object("text")? else { return Ok((Format::Text, None)) };
    let verbosity = text.text("verbosity")?;
    let mut format = Format::Text;
    if let Some(mut schema) = text.object("format")? {
        let kind = schema.required_text("type")?;
        format = match kind.as_str() {
            "text" => Format::Text,
            "json_object" => Format::Json,
            "json_schema" => read_schema(&mut schema)?,
            _ => return Err(wrong("text.format.type", "text, json_object or json_schema")),
        };
        schema.rest().for_each(|member| losses.refuse_member(member));
    }
    text.rest().for_each(|member| losses.refuse_member(member));
    Ok((format, verbosity))
}

fn read_reasoning(members: &mut Members, losses: &mut Losses) -> Result<Reasoning, ConvertError> {
    let Some(mut reasoning) = members.object("reasoning")? else { return Ok(Reasoning::default()) };
    let summary = reasoning.text("summary")?.or(reasoning.text("generate_summary")?);
    let read = Reasoning {
        amount: read_effort(&mut reasoning, "effort")?,
        show: summary.map(|summary| summary != "none"),
    };
    reasoning.rest().for_each(|member| losses.refuse_member(member));
    Ok(read)
}

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
