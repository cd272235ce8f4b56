//! A request of messages, read.

use serde_json::{Value, json};

use crate::{
    conversation::{
        feature::{Feature, Losses},
        part::{
            Cache, Call, CallResult, Citation, Media, MediaKind, Part, Seal, SealKind, Source, Text, Thinking,
        },
        request::{Amount, Format, Reasoning, Request, Role, Sampling, Tool, ToolChoice, Turn},
    },
    convert::ConvertError,
    dialect::Vendor,
    members::{Members, wrong},
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
