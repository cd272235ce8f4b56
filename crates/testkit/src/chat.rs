//! OpenAI's chat completions.

use http::Response;
use serde_json::{Value, json};

use crate::{
    Script,
    body::{Body, Frames, USAGE, spliced, whole},
    error,
    member::set,
    provider::Exchange,
    said::{self, Asked, Call, Said, Stop, Tokens, Tool},
};

pub(crate) fn answer(exchange: Exchange) -> Response<Body> {
    let Exchange { ref request, ref script, ref model, number, .. } = exchange;
    let said = Said::new(&asked(request), script);
    let choices = request.get("n").and_then(Value::as_u64).unwrap_or(1).max(1);
    let probable = request.get("logprobs").and_then(Value::as_bool) == Some(true);
    let usages = script.usages(usage(said.tokens).to_string(), count);
    if !exchange.streams() {
        let choices: Vec<Value> = (0..choices).map(|index| choice(&said, number, index, probable)).collect();
        let answer = json!({
            "id": format!("chatcmpl-{number}"), "object": "chat.completion", "created": 1, "model": model, "choices": choices, "usage": USAGE,
        });
        return whole(script, spliced(&answer, "usage", usages.first().map(String::as_str)));
    }
    let asked = request.pointer("/stream_options/include_usage").and_then(Value::as_bool) == Some(true);
    let chunks = Chunks { model, number, asked, choices };
    let frames = chunks.frames(&said, probable, usages);
    let error = chunks.error(script);
    frames.into_response("text/event-stream", error, script, exchange.in_flight)
}

fn asked(request: &Value) -> Asked {
    let list = |name: &str| request.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let tool = |tool: &Value| {
        let function = tool.get("function")?;
        let name = function.get("name")?.as_str()?.to_owned();
        Some(Tool { name, schema: function.get("parameters").cloned().unwrap_or_default() })
    };
    let choice = request.get("tool_choice").unwrap_or(&Value::Null);
    let mut tools: Vec<Tool> = list("tools").iter().filter_map(tool).collect();
    if let Some(name) = choice.pointer("/function/name").and_then(Value::as_str) {
        tools.retain(|tool| tool.name == name);
    }
    if choice == "none" {
        tools.clear();
    }
    Asked {
        limit: ["max_completion_tokens", "max_tokens"].iter().find_map(|name| request.get(*name)?.as_u64()),
        choices: request.get("n").and_then(Value::as_u64).unwrap_or(1),
        input: said::count_members(request, &["messages"]),
        tools,
        must_call: choice == "required" || choice.is_object(),
        has_results: list("messages").last().is_some_and(|last| last.get("role") == Some(&json!("tool"))),
        thinks: true,
        schema: request.pointer("/response_format/json_schema/schema").cloned(),
    }
}

fn usage(tokens: Tokens) -> Value {
    let Tokens { input, cached, written, output, reasoning } = tokens;
    json!({
        "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
        "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": reasoning, "audio_tokens": 0},
    })
}

fn count(tokens: &str) -> String {
    format!(r#"{{"prompt_tokens":{tokens},"completion_tokens":{tokens}}}"#)
}

fn finish(said: &Said) -> &'static str {
    match said.stop {
        Stop::End | Stop::Refusal => "stop",
        Stop::Limit => "length",
        Stop::Calls => "tool_calls",
    }
}

fn call(call: &Call, number: u64, index: usize) -> Value {
    let function = json!({"name": call.name, "arguments": call.arguments.to_string()});
    json!({"id": format!("call_{number}_{index}"), "type": "function", "function": function})
}

fn probability(piece: &str) -> Value {
    json!({"token": piece, "logprob": -0.25, "bytes": piece.as_bytes(), "top_logprobs": []})
}

fn choice(said: &Said, number: u64, index: u64, probable: bool) -> Value {
    let mut message = json!({"role": "assistant", "content": null, "refusal": null});
    let text = said.text();
    if said.refused() {
        set(&mut message, "refusal", text);
    } else if !said.pieces.is_empty() || said.calls.is_empty() {
        set(&mut message, "content", text);
    }
    if !said.thoughts.is_empty() {
        set(&mut message, "reasoning_content", said.thought());
    }
    if !said.calls.is_empty() {
        set(
            &mut message,
            "tool_calls",
            said.calls.iter().enumerate().map(|(index, made)| call(made, number, index)).collect::<Value>(),
        );
    }
    let mut choice =
        json!({"index": index, "message": message, "logprobs": null, "finish_reason": finish(said)});
    if probable {
        let probabilities: Vec<Value> = said.pieces.iter().map(|piece| probability(piece)).collect();
        set(&mut choice, "logprobs", json!({"content": probabilities, "refusal": null}));
    }
    choice
}

/// What all chunks of a stream share.
struct Chunks<'a> {
    model: &'a str,
    number: u64,
    /// Whether the request asked for usage.
    asked: bool,
    choices: u64,
}

impl Chunks<'_> {
    fn chunk(&self, choices: &Value, usage: Option<&str>) -> String {
        let mut chunk = json!({
            "id": format!("chatcmpl-{}", self.number), "object": "chat.completion.chunk", "created": 1, "model": self.model, "choices": choices,
        });
        if !self.asked {
            return format!("data: {chunk}\n\n");
        }
        set(&mut chunk, "usage", USAGE);
        format!("data: {}\n\n", spliced(&chunk, "usage", Some(usage.unwrap_or("null"))))
    }

    fn frames(&self, said: &Said, probable: bool, usages: Vec<String>) -> Frames {
        let mut frames = Frames::default();
        frames.murmurs(self.chunk(&json!([{"index": 0, "delta": {}, "finish_reason": null}]), None));
        let mut first = true;
        let mut add = |deltas: Value, piece: Option<&str>| {
            for index in 0..self.choices {
                let mut delta = deltas.clone();
                if std::mem::take(&mut first) || delta.get("role").is_some() {
                    set(&mut delta, "role", "assistant");
                }
                let mut choice = json!({"index": index, "delta": delta, "finish_reason": null});
                if let Some(piece) = piece.filter(|_| probable) {
                    set(&mut choice, "logprobs", json!({"content": [probability(piece)], "refusal": null}));
                }
                let chunk = self.chunk(&json!([choice]), None);
                if index + 1 == self.choices { frames.chunk(chunk) } else { frames.event(chunk) }
            }
        };
        for thought in &said.thoughts {
            add(json!({"reasoning_content": thought}), None);
        }
        let member = if said.refused() { "refusal" } else { "content" };
        for piece in &said.pieces {
            add(json!({member: piece}), Some(piece));
        }
        for (index, made) in said.calls.iter().enumerate() {
            let mut begun = call(made, self.number, index);
            set(&mut begun, "index", index);
            set(&mut begun, "function", json!({"name": made.name, "arguments": ""}));
            add(json!({"tool_calls": [begun]}), None);
            for piece in halves(&made.arguments.to_string()) {
                add(json!({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}), None);
            }
        }
        for index in 0..self.choices {
            frames.event(
                self.chunk(&json!([{"index": index, "delta": {}, "finish_reason": finish(said)}]), None),
            );
        }
        for usage in usages.iter().filter(|_| self.asked) {
            frames.event(self.chunk(&json!([]), Some(usage)));
        }
        frames.event("data: [DONE]\n\n".to_owned());
        frames
    }

    fn error(&self, script: &Script) -> String {
        format!("data: {}\n\n", error::openai(500, script))
    }
}

/// Both halves of a text, so that whoever joins them is seen to.
pub(crate) fn halves(text: &str) -> [&str; 2] {
    let middle = (0..=text.len() / 2).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let (first, second) = text.split_at(middle);
    [first, second]
}
