//! Anthropic's messages, and the count of their tokens.

use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::{
    Script,
    body::{Body, Frames, USAGE, bytes, spliced, whole},
    chat::halves,
    error, event_stream,
    member::set,
    provider::Exchange,
    said::{self, Asked, Said, Stop, Tokens, Tool},
    vendor::Vendor,
};

/// The signature of every thought, which must come back as it went.
const SIGNATURE: &str = "c2lnbmVkIGJ5IGEgc2NyaXB0";

pub(crate) fn answer(exchange: Exchange) -> Response<Body> {
    let Exchange { ref request, ref script, ref model, number, .. } = exchange;
    if let Some(message) = fault(request) {
        return refused(message);
    }
    let said = Said::new(&asked(request), script);
    let cache_hour = request.to_string().contains(r#""ttl":"1h""#);
    let usages = script.usages(usage(said.tokens, cache_hour).to_string(), count);
    let stop = match said.stop {
        Stop::End => "end_turn",
        Stop::Limit => "max_tokens",
        Stop::Calls => "tool_use",
        Stop::Refusal => "refusal",
    };
    let mut message = json!({
        "id": format!("msg_{number}"), "type": "message", "role": "assistant", "model": model, "content": [], "stop_reason": null,
        "stop_sequence": null, "usage": USAGE,
    });
    if !exchange.streams() {
        set(
            &mut message,
            "content",
            blocks(&said, number).into_iter().map(|(block, _)| block).collect::<Value>(),
        );
        set(&mut message, "stop_reason", stop);
        return whole(script, spliced(&message, "usage", usages.first().map(String::as_str)));
    }
    let mut frames = Frames::default();
    frames.murmurs(event(&json!({"type": "ping"})));
    let begun = Tokens { output: said.tokens.output.min(1), reasoning: 0, ..said.tokens };
    let begun = script.usages(usage(begun, cache_hour).to_string(), count);
    let start = spliced(
        &json!({"type": "message_start", "message": message}),
        "usage",
        begun.first().map(String::as_str),
    );
    frames.event(format!("event: message_start\ndata: {start}\n\n"));
    for (index, (block, deltas)) in blocks(&said, number).into_iter().enumerate() {
        let mut opened = block;
        for name in ["text", "thinking", "signature"].iter().filter(|name| deltas_fill(&deltas, name)) {
            set(&mut opened, name, "");
        }
        if opened.get("input").is_some() {
            set(&mut opened, "input", json!({}));
        }
        frames.event(event(&json!({"type": "content_block_start", "index": index, "content_block": opened})));
        if index == 0 {
            frames.event(event(&json!({"type": "ping"})));
        }
        for delta in deltas {
            frames.chunk(event(&json!({"type": "content_block_delta", "index": index, "delta": delta})));
        }
        frames.event(event(&json!({"type": "content_block_stop", "index": index})));
    }
    let end = json!({"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": null}, "usage": USAGE});
    let ends = if usages.is_empty() {
        vec![None]
    } else {
        usages.iter().map(|usage| Some(usage.as_str())).collect()
    };
    for usage in ends {
        frames.event(format!("event: message_delta\ndata: {}\n\n", spliced(&end, "usage", usage)));
    }
    frames.event(event(&json!({"type": "message_stop"})));
    let error = event(&error::anthropic(529, script));
    let mut kind = "text/event-stream";
    if exchange.vendor == Vendor::Bedrock {
        frames.frame(event_stream::framed);
        kind = event_stream::KIND;
    }
    frames.into_response(kind, error, script, exchange.in_flight)
}

/// The same at a cloud, whose path says what a body says elsewhere.
pub(crate) fn hosted(mut exchange: Exchange, stream: bool) -> Response<Body> {
    let version = match exchange.vendor {
        Vendor::Bedrock => "bedrock-2023-05-31",
        _ => "vertex-2023-10-16",
    };
    let request = &exchange.request;
    let says = |member: &str| request.get(member).is_some();
    let fault = if request.get("anthropic_version") != Some(&json!(version)) {
        Some("anthropic_version: Field required")
    } else if says("model") {
        Some("model: Extra inputs are not permitted")
    } else if exchange.vendor == Vendor::Bedrock && says("stream") {
        Some("stream: Extra inputs are not permitted")
    } else {
        None
    };
    if let Some(message) = fault {
        return refused(message);
    }
    set(&mut exchange.request, "stream", stream);
    answer(exchange)
}

pub(crate) fn count_tokens(exchange: &Exchange) -> Response<Body> {
    let input = said::count_members(&exchange.request, &["system", "messages"]);
    whole(&exchange.script, json!({"input_tokens": input}).to_string())
}

fn event(data: &Value) -> String {
    let name = data.get("type").and_then(Value::as_str).unwrap_or_default();
    format!("event: {name}\ndata: {data}\n\n")
}

fn refused(message: &str) -> Response<Body> {
    let script = Script { message: Some(message.to_owned()), ..Script::default() };
    bytes(StatusCode::BAD_REQUEST, "application/json", Vendor::Anthropic.error(400, &script))
}

/// What the vendor would not take.
fn fault(request: &Value) -> Option<&'static str> {
    let Some(messages) = request.get("messages").and_then(Value::as_array) else {
        return Some("messages: Field required");
    };
    if request.get("max_tokens").and_then(Value::as_u64).is_none() {
        return Some("max_tokens: Field required");
    }
    if messages.is_empty() {
        return Some("messages: at least one message is required");
    }
    if request.get("temperature").and_then(Value::as_f64).is_some_and(|warmth| !(0.0..=1.0).contains(&warmth))
    {
        return Some("temperature: range: 0..1");
    }
    let blocks =
        |message: &Value| message.get("content").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut open: Vec<Value> = Vec::new();
    for message in messages {
        let blocks = blocks(message);
        let of = |kind: &str, member: &str| -> Vec<Value> {
            let blocks = blocks.iter().filter(|block| block.get("type") == Some(&json!(kind)));
            blocks.map(|block| block.get(member).cloned().unwrap_or_default()).collect()
        };
        if of("thinking", "signature").iter().any(|signature| signature != SIGNATURE) {
            return Some("messages: Invalid `signature` in `thinking` block");
        }
        let results = of("tool_result", "tool_use_id");
        if results.iter().any(|id| !open.contains(id)) {
            return Some("messages: unexpected `tool_use_id` found in `tool_result` blocks");
        }
        if open.iter().any(|id| !results.contains(id)) {
            return Some(
                "messages: `tool_use` ids were found without `tool_result` blocks immediately after",
            );
        }
        open = of("tool_use", "id");
    }
    None
}

fn asked(request: &Value) -> Asked {
    let list = |name: &str| request.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let tool = |tool: &Value| {
        let name = tool.get("name")?.as_str()?.to_owned();
        Some(Tool { name, schema: tool.get("input_schema").cloned().unwrap_or_default() })
    };
    let choice = request.pointer("/tool_choice/type").and_then(Value::as_str);
    let named = request.pointer("/tool_choice/name").and_then(Value::as_str);
    let mut tools: Vec<Tool> = list("tools").iter().filter_map(tool).collect();
    tools.retain(|tool| choice != Some("none") && named.is_none_or(|name| name == tool.name));
    let last = list("messages").last().and_then(|last| last.get("content")?.as_array());
    let is_result = |block: &Value| block.get("type") == Some(&json!("tool_result"));
    let thinking = request.pointer("/thinking/type").and_then(Value::as_str);
    Asked {
        limit: request.get("max_tokens").and_then(Value::as_u64),
        choices: 1,
        input: said::count_members(request, &["system", "messages"]),
        tools,
        must_call: matches!(choice, Some("any" | "tool")),
        has_results: last.is_some_and(|blocks| blocks.iter().any(is_result)),
        thinks: matches!(thinking, Some("enabled" | "adaptive")),
        schema: request.pointer("/output_config/format/schema").cloned(),
    }
}

fn usage(tokens: Tokens, cache_hour: bool) -> Value {
    let Tokens { input, cached, written, output, reasoning } = tokens;
    let (brief, hour) = if cache_hour { (0, written) } else { (written, 0) };
    let mut usage = json!({
        "input_tokens": input - cached - written, "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
        "cache_creation": {"ephemeral_5m_input_tokens": brief, "ephemeral_1h_input_tokens": hour},
        "output_tokens": output, "service_tier": "standard",
    });
    if reasoning > 0 {
        set(&mut usage, "output_tokens_details", json!({"thinking_tokens": reasoning}));
    }
    usage
}

fn count(tokens: &str) -> String {
    format!(r#"{{"input_tokens":{tokens},"output_tokens":{tokens}}}"#)
}

/// The blocks of the answer, each with the deltas that fill it.
fn blocks(said: &Said, number: u64) -> Vec<(Value, Vec<Value>)> {
    let mut blocks = Vec::new();
    if !said.thoughts.is_empty() {
        let deltas = said.thoughts.iter().map(|piece| json!({"type": "thinking_delta", "thinking": piece}));
        let sealed = json!({"type": "signature_delta", "signature": SIGNATURE});
        let block = json!({"type": "thinking", "thinking": said.thought(), "signature": SIGNATURE});
        blocks.push((block, deltas.chain([sealed]).collect()));
    }
    if !said.pieces.is_empty() {
        let deltas = said.pieces.iter().map(|piece| json!({"type": "text_delta", "text": piece}));
        blocks.push((json!({"type": "text", "text": said.text()}), deltas.collect()));
    }
    for (index, call) in said.calls.iter().enumerate() {
        let text = call.arguments.to_string();
        let deltas = halves(&text).map(|piece| json!({"type": "input_json_delta", "partial_json": piece}));
        let block = json!({
            "type": "tool_use", "id": format!("toolu_{number}_{index}"), "name": call.name, "input": call.arguments,
        });
        blocks.push((block, deltas.into()));
    }
    blocks
}

fn deltas_fill(deltas: &[Value], member: &str) -> bool {
    deltas.iter().any(|delta| delta.get(member).is_some())
}
