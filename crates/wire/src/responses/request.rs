//! A request of responses, read.

use serde_json::{Value, json};

use crate::{
    chat::request::{
        read_effort, read_file, read_function, read_schema, read_tier, read_user, tool_choice_word,
    },
    conversation::{
        feature::Losses,
        part::{Call, CallResult, Media, MediaKind, Part, Seal, SealKind, Source, Text, Thinking},
        request::{Format, Reasoning, Request, Role, Sampling, Tool, ToolChoice, Turn},
    },
    convert::ConvertError,
    dialect::Vendor,
    members::{Members, wrong},
};

/// What to include in the answer so that reasoning can be sent back.
pub(crate) const SEALED: &str = "reasoning.encrypted_content";
pub(crate) const LOGPROBS: &str = "message.output_text.logprobs";

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
