//! Google's generateContent, whole and streamed, and the count of its tokens.

use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::{
    Script,
    body::{Body, Frames, USAGE, bytes, spliced, whole},
    error,
    member::{either, set},
    provider::Exchange,
    said::{self, Asked, Said, Stop, Tokens, Tool},
    vendor::Vendor,
};

/// The signature of the first call of an answer, which must come back as it went.
const SIGNATURE: &str = "c2lnbmVkIGJ5IGEgc2NyaXB0";
/// What may stand for the signature of a call that another model made.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

pub(crate) fn answer(exchange: Exchange, stream: bool, sse: bool) -> Response<Body> {
    let Exchange { ref request, ref script, ref model, number, .. } = exchange;
    if let Some(message) = fault(request) {
        return refused(message);
    }
    let said = Said::new(&asked(request), script);
    let shows = shows_thoughts(request);
    let usages = script.usages(usage(said.tokens).to_string(), count);
    let candidates = asked(request).choices;
    let part = |parts: Value, finish: Option<&str>, usage: Option<&str>| {
        let candidate = |index: u64| {
            let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": index});
            if let Some(finish) = finish {
                set(&mut candidate, "finishReason", finish);
            }
            candidate
        };
        let candidates: Vec<Value> = (0..candidates).map(candidate).collect();
        let part = json!({
            "candidates": candidates, "usageMetadata": USAGE, "modelVersion": model, "responseId": format!("response-{number}"),
        });
        spliced(&part, "usageMetadata", usage)
    };
    let finish = match said.stop {
        Stop::End | Stop::Calls => "STOP",
        Stop::Limit => "MAX_TOKENS",
        Stop::Refusal => "SAFETY",
    };
    let thoughts = |text: &str| json!({"text": text, "thought": true});
    let calls = calls(&said);
    if !stream {
        let mut parts: Vec<Value> = Vec::new();
        parts.extend((shows && !said.thoughts.is_empty()).then(|| thoughts(&said.thought())));
        parts.extend((!said.pieces.is_empty()).then(|| json!({"text": said.text()})));
        parts.extend(calls);
        let usage = usages.first().map(String::as_str);
        return whole(script, part(parts.into(), Some(finish), usage));
    }
    let mut parts: Vec<String> = Vec::new();
    let so_far = usage(Tokens { output: 0, reasoning: 0, ..said.tokens }).to_string();
    let so_far = script.usage.is_none().then_some(so_far.as_str());
    for thought in said.thoughts.iter().filter(|_| shows) {
        parts.push(part(json!([thoughts(thought)]), None, so_far));
    }
    for piece in &said.pieces {
        parts.push(part(json!([{"text": piece}]), None, so_far));
    }
    if !calls.is_empty() {
        parts.push(part(calls.into(), None, so_far));
    }
    let ends = if usages.is_empty() {
        vec![None]
    } else {
        usages.iter().map(|usage| Some(usage.as_str())).collect()
    };
    let last: Vec<String> =
        ends.into_iter().map(|usage| part(json!([{"text": ""}]), Some(finish), usage)).collect();
    framed(parts, last, sse, exchange)
}

/// Frames the parts of a streamed answer: as events, or as the elements of one array.
fn framed(parts: Vec<String>, last: Vec<String>, sse: bool, exchange: Exchange) -> Response<Body> {
    let script = exchange.script;
    let mut frames = Frames::default();
    let mut first = true;
    let mut frame = |part: String| match (sse, std::mem::take(&mut first)) {
        (true, _) => format!("data: {part}\r\n\r\n"),
        (false, true) => format!("[{part}"),
        (false, false) => format!(",\r\n{part}"),
    };
    for part in parts {
        frames.chunk(frame(part));
    }
    for part in last {
        frames.event(frame(part));
    }
    let error = frame(error::google(503, &script).to_string());
    if sse {
        return frames.into_response("text/event-stream", error, &script, exchange.in_flight);
    }
    frames.event("]".to_owned());
    frames.into_response("application/json", format!("{error}]"), &script, exchange.in_flight)
}

pub(crate) fn count_tokens(exchange: &Exchange) -> Response<Body> {
    let request = either(&exchange.request, "generateContentRequest").unwrap_or(&exchange.request);
    let input = said::count_members(request, &["systemInstruction", "system_instruction", "contents"]);
    let details = json!([{"modality": "TEXT", "tokenCount": input}]);
    whole(&exchange.script, json!({"totalTokens": input, "promptTokensDetails": details}).to_string())
}

fn refused(message: &str) -> Response<Body> {
    let script = Script { message: Some(message.to_owned()), ..Script::default() };
    bytes(StatusCode::BAD_REQUEST, "application/json", Vendor::Google.error(400, &script))
}

/// What the vendor would not take.
fn fault(request: &Value) -> Option<&'static str> {
    let contents = request.get("contents").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if contents.is_empty() {
        return Some("* GenerateContentRequest.contents: contents is not specified");
    }
    let parts = contents.iter().filter_map(|content| content.get("parts")?.as_array()).flatten();
    let mut signatures = parts.filter_map(|part| either(part, "thoughtSignature")?.as_str());
    let strange = signatures.any(|signature| signature != SIGNATURE && signature != NO_SIGNATURE);
    strange.then_some("Thought signature is not valid.")
}

fn asked(request: &Value) -> Asked {
    let within = |names: &[&str]| names.iter().try_fold(request, |value, name| either(value, name));
    let config = |name: &str| within(&["generationConfig", name]);
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let tool = |tool: &Value| {
        let name = tool.get("name")?.as_str()?.to_owned();
        let schema = either(tool, "parametersJsonSchema").or_else(|| tool.get("parameters"));
        Some(Tool { name, schema: schema.cloned().unwrap_or_default() })
    };
    let tools = list(request.get("tools"));
    let mut tools: Vec<Tool> = tools
        .iter()
        .flat_map(|tools| list(either(tools, "functionDeclarations")))
        .filter_map(|declared| tool(&declared))
        .collect();
    let calling = |name: &str| within(&["toolConfig", "functionCallingConfig", name]);
    let mode = calling("mode").and_then(Value::as_str);
    let allowed = list(calling("allowedFunctionNames"));
    tools.retain(|tool| {
        mode != Some("NONE") && (allowed.is_empty() || allowed.iter().any(|name| *name == tool.name.as_str()))
    });
    let last = list(request.get("contents")).last().map(|last| list(last.get("parts"))).unwrap_or_default();
    Asked {
        limit: config("maxOutputTokens").and_then(Value::as_u64),
        choices: config("candidateCount").and_then(Value::as_u64).unwrap_or(1).max(1),
        input: said::count_members(request, &["systemInstruction", "system_instruction", "contents"]),
        tools,
        must_call: mode == Some("ANY"),
        has_results: last.iter().any(|part| either(part, "functionResponse").is_some()),
        thinks: true,
        schema: config("responseJsonSchema").or_else(|| config("responseSchema")).cloned(),
    }
}

/// Whether thoughts are wanted in the answer; they are counted in any case.
fn shows_thoughts(request: &Value) -> bool {
    let mut names = ["generationConfig", "thinkingConfig", "includeThoughts"].iter();
    names.try_fold(request, |value, name| either(value, name)) == Some(&Value::Bool(true))
}

fn usage(tokens: Tokens) -> Value {
    let Tokens { input, cached, output, reasoning, .. } = tokens;
    let mut usage = json!({
        "promptTokenCount": input, "candidatesTokenCount": output - reasoning, "totalTokenCount": input + output,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": input}],
    });
    if cached > 0 {
        set(&mut usage, "cachedContentTokenCount", cached);
    }
    if reasoning > 0 {
        set(&mut usage, "thoughtsTokenCount", reasoning);
    }
    usage
}

fn count(tokens: &str) -> String {
    format!(r#"{{"promptTokenCount":{tokens},"candidatesTokenCount":{tokens}}}"#)
}

fn calls(said: &Said) -> Vec<Value> {
    let part = |(index, call): (usize, &said::Call)| {
        let mut part = json!({"functionCall": {"name": call.name, "args": call.arguments}});
        if index == 0 {
            set(&mut part, "thoughtSignature", SIGNATURE);
        }
        part
    };
    said.calls.iter().enumerate().map(part).collect()
}
