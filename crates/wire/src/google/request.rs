//! A request of generateContent, read. Its members may be spelled in either case.

use serde_json::{Value, json};

use super::{schema::to_json_schema, write_request::NO_SIGNATURE};
use crate::{
    conversation::{
        feature::{Feature, Losses},
        part::{Call, CallResult, Media, MediaKind, Part, Seal, SealKind, Source, Thinking},
        request::{Amount, Effort, Format, Reasoning, Request, Role, Sampling, Tool, ToolChoice, Turn},
    },
    convert::ConvertError,
    dialect::Vendor,
    members::{Members, wrong},
};

/// Where Google keeps files that were uploaded to it.
const FILES: &str = "https://generativelanguage.googleapis.com/";

/// Takes a request apart. The model and whether it is a stream stand in the path.
pub(crate) fn read(body: Value, losses: &mut Losses) -> Result<Request, ConvertError> {
    let mut members = Members::of(body, "")?;
    let mut calls = Calls::default();
    let mut turns = Vec::new();
    if let Some(mut system) = members.object("systemInstruction")? {
        drop(system.take("role"));
        turns.push(Turn { role: Role::System, parts: read_parts(&mut system, &mut calls, losses)? });
        system.rest().for_each(|member| losses.refuse_member(member));
    }
    for mut content in members.objects("contents")? {
        let role = match content.text("role")?.as_deref() {
            Some("model") => Role::Assistant,
            None | Some("user" | "function") => Role::User,
            Some(_) => return Err(wrong(content.path("role"), "user or model")),
        };
        let parts = read_parts(&mut content, &mut calls, losses)?;
        content.rest().for_each(|member| losses.refuse_member(member));
        turns.push(Turn { role, parts });
    }
    let mut request = Request { turns, tools: read_tools(&mut members, losses)?, ..Request::default() };
    if let Some(mut config) = members.object("toolConfig")? {
        read_tool_choice(&mut config, &mut request, losses)?;
        config.rest().for_each(|member| losses.refuse_member(member));
    }
    if let Some(mut config) = members.object("generationConfig")? {
        read_config(&mut config, &mut request, losses)?;
        config.rest().for_each(|member| losses.refuse_member(member));
    }
    drop(members.take("model"));
    members.rest().for_each(|member| losses.refuse_member(member));
    Ok(request)
}

/// The calls that have no result yet. Calls need no id in this dialect; results then answer those of their name in turn.
#[derive(Default)]
struct Calls {
    made: usize,
    open: Vec<(String, String)>,
}

impl Calls {
    fn made(&mut self, id: Option<String>, name: &str) -> String {
        self.made += 1;
        let id = id.unwrap_or_else(|| format!("call_{}", self.made));
        self.open.push((id.clone(), name.to_owned()));
        id
    }

    fn answered(&mut self, id: Option<String>, name: &str) -> String {
        let at = self.open.iter().position(|(of, named)| id.as_ref().map_or(named == name, |id| of == id));
        let open = at.map(|at| self.open.remove(at).0);
        id.or(open).unwrap_or_else(|| name.to_owned())
    }
}

fn read_parts(
    content: &mut Members,
    calls: &mut Calls,
    losses: &mut Losses,
) -> Result<Vec<Part>, ConvertError> {
    let mut parts = Vec::new();
    for mut part in content.objects("parts")? {
        read_part(&mut part, &mut parts, calls, losses)?;
        part.rest().for_each(|member| losses.refuse_member(member));
    }
    Ok(parts)
}

fn read_part(
    part: &mut Members,
    parts: &mut Vec<Part>,
    calls: &mut Calls,
    losses: &mut Losses,
) -> Result<(), ConvertError> {
    let thought = part.flag("thought")?.unwrap_or(false);
    let seal = part.text("thoughtSignature")?.filter(|text| text != NO_SIGNATURE);
    let seal = seal.map(|text| Seal::read_base64(text, SealKind::Google));
    if let Some(text) = part.text("text")? {
        read_text(text, thought, seal, parts);
    } else if let Some(mut call) = part.object("functionCall")? {
        if seal.is_some() {
            parts.push(Part::Thinking(Thinking { text: String::new(), seal }));
        }
        let name = call.required_text("name")?;
        let id = calls.made(call.text("id")?, &name);
        let arguments = call.take("args").unwrap_or_else(|| json!({})).to_string();
        call.rest().for_each(|member| losses.refuse_member(member));
        parts.push(Part::Call(Call { id, name, arguments, cache: None }));
    } else if let Some(mut response) = part.object("functionResponse")? {
        let name = response.required_text("name")?;
        let call = calls.answered(response.text("id")?, &name);
        let (text, is_error) = read_response(response.take("response").unwrap_or_else(|| json!({})));
        response.rest().for_each(|member| losses.refuse_member(member));
        let (name, texts) = (Some(name), vec![Part::text(text)]);
        parts.push(Part::Result(CallResult { call, name, parts: texts, is_error, cache: None }));
    } else if let Some(media) = read_media(part, losses)? {
        parts.push(Part::Media(media));
    }
    Ok(())
}

/// A text, or a thought. A signature on a text is a recommendation of this dialect; other vendors cannot read it.
fn read_text(text: String, thought: bool, seal: Option<Seal>, parts: &mut Vec<Part>) {
    match (thought, seal) {
        // A stream tells a seal of another vendor behind the thinking that it belongs to.
        (true, Some(seal)) if text.is_empty() && seal.kind != SealKind::AnthropicRedacted => {
            match parts.last_mut() {
                Some(Part::Thinking(before)) if before.seal.is_none() => before.seal = Some(seal),
                _ => parts.push(Part::Thinking(Thinking { text, seal: Some(seal) })),
            }
        }
        (true, seal) => parts.push(Part::Thinking(Thinking { text, seal })),
        (false, Some(seal)) if text.is_empty() => {
            parts.push(Part::Thinking(Thinking { text, seal: Some(seal) }));
        }
        (false, _) => parts.push(Part::text(text)),
    }
}

/// A picture, a sound or a file: its bytes, or where it lies.
fn read_media(part: &mut Members, losses: &mut Losses) -> Result<Option<Media>, ConvertError> {
    if let Some(mut blob) = part.object("inlineData")? {
        let mime = blob.required_text("mimeType")?;
        let name = blob.text("displayName")?;
        let source = Source::Base64 { mime: mime.clone(), data: blob.required_text("data")? };
        blob.rest().for_each(|member| losses.refuse_member(member));
        return Ok(Some(Media { name, ..Media::new(MediaKind::of(&mime), source) }));
    }
    let Some(mut file) = part.object("fileData")? else { return Ok(None) };
    let mime = file.text("mimeType")?;
    let name = file.text("displayName")?;
    let url = file.required_text("fileUri")?;
    let kind = mime.as_deref().map_or(MediaKind::File, MediaKind::of);
    let source = if url.starts_with(FILES) || !url.starts_with("http") {
        Source::Uploaded { vendor: Vendor::Google, id: url, mime }
    } else {
        Source::Url { mime, url }
    };
    file.rest().for_each(|member| losses.refuse_member(member));
    Ok(Some(Media { name, ..Media::new(kind, source) }))
}

/// The text of a tool's result, and whether it is an error: `output` and `error` are the names that the dialect's
/// document gives; anything else is the result as it stands.
fn read_response(response: Value) -> (String, bool) {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let only =
        response.as_object().filter(|members| members.len() == 1).and_then(|members| members.iter().next());
    match only {
        Some((name, value)) if name == "output" || name == "result" => (text(value), false),
        Some((name, value)) if name == "error" => (text(value), true),
        _ => (response.to_string(), false),
    }
}

fn read_tools(members: &mut Members, losses: &mut Losses) -> Result<Vec<Tool>, ConvertError> {
    let mut tools = Vec::new();
    for mut tool in members.objects("tools")? {
        for mut function in tool.objects("functionDeclarations")? {
            let schema = function.take("parametersJsonSchema");
            let own = function.take("parameters").map(to_json_schema);
            tools.push(Tool {
                name: function.required_text("name")?,
                description: function.text("description")?,
                parameters: schema.or(own),
                strict: None,
                cache: None,
            });
            let described = ["response", "responseJsonSchema"].map(|name| function.take(name).is_some());
            losses.drop_if(described.contains(&true), Feature::Returned);
            function.rest().for_each(|member| losses.refuse_member(member));
        }
        tool.rest().for_each(|member| losses.refuse_member(member));
    }
    Ok(tools)
}

fn read_tool_choice(
    config: &mut Members,
    request: &mut Request,
    losses: &mut Losses,
) -> Result<(), ConvertError> {
    let Some(mut calling) = config.object("functionCallingConfig")? else { return Ok(()) };
    let mut names = calling.texts("allowedFunctionNames")?;
    let mode = calling.text("mode")?.unwrap_or_else(|| "AUTO".to_owned());
    let required = mode == "ANY";
    if mode == "VALIDATED" {
        request.tools.iter_mut().for_each(|tool| tool.strict = Some(true));
    }
    request.tool_choice = Some(match mode.as_str() {
        "NONE" => ToolChoice::None,
        "AUTO" | "ANY" | "VALIDATED" | "MODE_UNSPECIFIED" => match (names.len(), required) {
            (0, true) => ToolChoice::Required,
            (0, false) => ToolChoice::Auto,
            (1, true) => ToolChoice::Named(names.remove(0)),
            _ => ToolChoice::Among(names, required),
        },
        _ => return Err(wrong(calling.path("mode"), "AUTO, ANY, NONE or VALIDATED")),
    });
    calling.rest().for_each(|member| losses.refuse_member(member));
    Ok(())
}

fn read_config(config: &mut Members, request: &mut Request, losses: &mut Losses) -> Result<(), ConvertError> {
    let asked = config.flag("responseLogprobs")?.unwrap_or(false);
    let top = config.whole("logprobs")?;
    request.sampling = Sampling {
        temperature: config.number("temperature")?,
        top_p: config.number("topP")?,
        top_k: config.number("topK")?,
        seed: config.number("seed")?,
        frequency_penalty: config.number("frequencyPenalty")?,
        presence_penalty: config.number("presencePenalty")?,
        logit_bias: None,
        stop: config.texts("stopSequences")?,
        choices: config.whole("candidateCount")?.filter(|count| *count != 1),
        logprobs: asked.then_some(top.unwrap_or(0)),
    };
    request.output_limit = config.whole("maxOutputTokens")?;
    request.format = read_format(config, losses)?;
    match config.take("responseModalities") {
        Some(only_text) if only_text != json!(["TEXT"]) => {
            losses.refuse_member(config.path("responseModalities"));
        }
        _ => {}
    }
    if let Some(mut thinking) = config.object("thinkingConfig")? {
        request.reasoning = read_thinking(&mut thinking)?;
        thinking.rest().for_each(|member| losses.refuse_member(member));
    }
    Ok(())
}

fn read_format(config: &mut Members, losses: &mut Losses) -> Result<Format, ConvertError> {
    let own = config.take("responseSchema").map(to_json_schema);
    let schema = config.take("responseJsonSchema").or(own);
    let mime = config.text("responseMimeType")?;
    Ok(match (mime.as_deref(), schema) {
        (Some("application/json"), Some(schema)) => {
            Format::Schema { name: None, description: None, schema, strict: None }
        }
        (Some("application/json"), None) => Format::Json,
        (None | Some("text/plain"), None) => Format::Text,
        _ => {
            losses.refuse_member(config.path("responseMimeType"));
            Format::Text
        }
    })
}

fn read_thinking(thinking: &mut Members) -> Result<Reasoning, ConvertError> {
    let show = thinking.flag("includeThoughts")?;
    let level = thinking.text("thinkingLevel")?.map(|level| level.to_lowercase());
    let budget = thinking.number("thinkingBudget")?;
    let amount = match (level, budget) {
        (Some(level), _) => {
            let effort = Effort::read(&level)
                .ok_or_else(|| wrong(thinking.path("thinkingLevel"), "MINIMAL, LOW, MEDIUM or HIGH"))?;
            Some(Amount::Effort(effort))
        }
        (None, Some(budget)) => Some(match budget.as_i64() {
            Some(-1) => Amount::Adaptive,
            Some(0) => Amount::Off,
            Some(tokens) if tokens > 0 => Amount::Tokens(tokens.unsigned_abs()),
            _ => return Err(wrong(thinking.path("thinkingBudget"), "a whole number from -1 on")),
        }),
        (None, None) => None,
    };
    Ok(Reasoning { amount, show })
}
