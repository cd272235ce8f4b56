//! The table of docs/dialects.md: what becomes of each member on its way into each other dialect, found out by asking.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail by panicking"
)]

use std::fmt::Write;

use serde_json::{Value, json};
use wire::{
    convert::{self, ConvertError, Target},
    dialect::Dialect,
};

const DOCUMENT: &str = include_str!("../../../docs/dialects.md");
const BEGIN: &str = "<!-- the table begins -->\n";
const END: &str = "<!-- the table ends -->\n";

/// The least that a request must say.
fn base(dialect: Dialect) -> Value {
    match dialect {
        Dialect::Chat => json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]}),
        Dialect::Responses => json!({"model": "m", "input": "Hi"}),
        Dialect::Messages => {
            json!({"model": "m", "max_tokens": 4096, "messages": [{"role": "user", "content": "Hi"}]})
        }
        Dialect::Google => json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}),
    }
}

fn chat_user(part: Value) -> Value {
    json!({"messages": [{"role": "user", "content": [part]}]})
}

fn responses_user(part: Value) -> Value {
    json!({"input": [{"role": "user", "content": [part]}]})
}

fn messages_user(block: Value) -> Value {
    json!({"messages": [{"role": "user", "content": [block]}]})
}

fn google_user(part: Value) -> Value {
    json!({"contents": [{"role": "user", "parts": [part]}]})
}

/// Each member with a request that says it, as members that replace those of the least request.
fn probes(dialect: Dialect) -> Vec<(&'static str, Value)> {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    match dialect {
        Dialect::Chat => chat_probes(&schema),
        Dialect::Responses => responses_probes(&schema),
        Dialect::Messages => messages_probes(&schema),
        Dialect::Google => google_probes(&schema),
    }
}

fn chat_probes(schema: &Value) -> Vec<(&'static str, Value)> {
    let call = json!({"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
    let tool = |strict: Value| json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": schema, "strict": strict}}]});
    let with_tool = |name: &str, value: Value| {
        let mut members = tool(Value::Null);
        members[name] = value;
        members
    };
    vec![
        (
            "`system` and `developer` messages in front",
            json!({"messages": [{"role": "system", "content": "S"}, {"role": "developer", "content": "D"}, {"role": "user", "content": "Hi"}]}),
        ),
        (
            "`system` message behind a turn",
            json!({"messages": [{"role": "user", "content": "Hi"}, {"role": "system", "content": "S"}]}),
        ),
        ("`name` of a message", json!({"messages": [{"role": "user", "name": "n", "content": "Hi"}]})),
        (
            "image, inline",
            chat_user(json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}})),
        ),
        (
            "image, by URL",
            chat_user(json!({"type": "image_url", "image_url": {"url": "https://a.example/b.png"}})),
        ),
        (
            "image, by URL without a known ending",
            chat_user(json!({"type": "image_url", "image_url": {"url": "https://a.example/b"}})),
        ),
        (
            "image `detail`",
            chat_user(
                json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "high"}}),
            ),
        ),
        (
            "`input_audio`",
            chat_user(json!({"type": "input_audio", "input_audio": {"format": "wav", "data": "AAAA"}})),
        ),
        (
            "file, inline",
            chat_user(json!({"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}})),
        ),
        (
            "`filename`",
            chat_user(
                json!({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}}),
            ),
        ),
        ("file, uploaded (`file_id`)", chat_user(json!({"type": "file", "file": {"file_id": "file-1"}}))),
        (
            "`tool_calls` and their results",
            json!({"messages": [call, {"role": "tool", "tool_call_id": "c", "content": "r"}]}),
        ),
        (
            "`reasoning_content` without a signature",
            json!({"messages": [{"role": "assistant", "content": "a", "reasoning_content": "t"}]}),
        ),
        ("`refusal` in a message", json!({"messages": [{"role": "assistant", "refusal": "no"}]})),
        ("`tools`", tool(Value::Null)),
        ("`strict` of a tool", tool(json!(true))),
        (
            "`tool_choice`: auto, none, required, one function",
            with_tool("tool_choice", json!({"type": "function", "function": {"name": "f"}})),
        ),
        (
            "`tool_choice`: `allowed_tools`",
            with_tool(
                "tool_choice",
                json!({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]}}),
            ),
        ),
        ("`parallel_tool_calls`: false", with_tool("parallel_tool_calls", json!(false))),
        (
            "`response_format`: `json_schema`",
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}}),
        ),
        ("`response_format`: `json_object`", json!({"response_format": {"type": "json_object"}})),
        ("`reasoning_effort`", json!({"reasoning_effort": "low"})),
        ("`verbosity`", json!({"verbosity": "low"})),
        ("`max_completion_tokens`, `max_tokens`", json!({"max_completion_tokens": 5000})),
        ("`temperature` up to 1", json!({"temperature": 0.5})),
        ("`temperature` above 1", json!({"temperature": 1.5})),
        ("`top_p`", json!({"top_p": 0.5})),
        ("`stop`", json!({"stop": "x"})),
        ("`seed`", json!({"seed": 1})),
        ("`frequency_penalty`", json!({"frequency_penalty": 0.5})),
        ("`presence_penalty`", json!({"presence_penalty": 0.5})),
        ("`logit_bias`", json!({"logit_bias": {"1": 2}})),
        ("`n` above 1", json!({"n": 2})),
        ("`logprobs`, `top_logprobs`", json!({"logprobs": true, "top_logprobs": 2})),
        ("`user`, `safety_identifier`", json!({"user": "u"})),
        ("`metadata`", json!({"metadata": {"a": "b"}})),
        ("`store`: true", json!({"store": true})),
        ("`service_tier`: `default`", json!({"service_tier": "default"})),
        ("`service_tier`: `flex`, `priority`", json!({"service_tier": "flex"})),
        ("`prompt_cache_key`", json!({"prompt_cache_key": "k"})),
        (
            "`prediction`, `web_search_options`, `audio` and any other",
            json!({"prediction": {"type": "content", "content": "x"}}),
        ),
    ]
}

fn responses_probes(schema: &Value) -> Vec<(&'static str, Value)> {
    let tool = json!([{"type": "function", "name": "f", "parameters": schema, "strict": true}]);
    let call = json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"});
    vec![
        ("`instructions`", json!({"instructions": "S"})),
        (
            "`system` message behind a turn",
            json!({"input": [{"role": "user", "content": "Hi"}, {"role": "system", "content": "S"}]}),
        ),
        (
            "`input_image`, inline",
            responses_user(json!({"type": "input_image", "image_url": "data:image/png;base64,AAAA"})),
        ),
        (
            "`input_image`, by URL",
            responses_user(json!({"type": "input_image", "image_url": "https://a.example/b.png"})),
        ),
        (
            "`input_image`, uploaded (`file_id`)",
            responses_user(json!({"type": "input_image", "file_id": "file-1"})),
        ),
        (
            "`input_file`, inline",
            responses_user(json!({"type": "input_file", "file_data": "data:application/pdf;base64,AAAA"})),
        ),
        (
            "`input_file`, by URL",
            responses_user(json!({"type": "input_file", "file_url": "https://a.example/b.pdf"})),
        ),
        (
            "`input_file`, uploaded (`file_id`)",
            responses_user(json!({"type": "input_file", "file_id": "file-1"})),
        ),
        (
            "`function_call` and its output",
            json!({"input": [call, {"type": "function_call_output", "call_id": "c", "output": "r"}]}),
        ),
        (
            "image in the output of a function",
            json!({"input": [call, {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_image", "image_url": "data:image/png;base64,AAAA"}]}]}),
        ),
        (
            "`reasoning` item",
            json!({"input": [{"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "e"}, {"role": "assistant", "content": "a"}]}),
        ),
        (
            "`item_reference`, and items of built-in tools",
            json!({"input": [{"type": "item_reference", "id": "i"}]}),
        ),
        ("`tools`: functions", json!({"tools": tool})),
        ("`tools`: built-in", json!({"tools": [{"type": "web_search"}]})),
        (
            "`tool_choice`: `allowed_tools`",
            json!({"tools": tool, "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]}}),
        ),
        ("`parallel_tool_calls`: false", json!({"tools": tool, "parallel_tool_calls": false})),
        (
            "`text.format`: `json_schema`",
            json!({"text": {"format": {"type": "json_schema", "name": "s", "schema": schema}}}),
        ),
        ("`text.format`: `json_object`", json!({"text": {"format": {"type": "json_object"}}})),
        ("`text.verbosity`", json!({"text": {"verbosity": "low"}})),
        ("`reasoning`: `effort`, `summary`", json!({"reasoning": {"effort": "low", "summary": "auto"}})),
        ("`max_output_tokens`", json!({"max_output_tokens": 5000})),
        ("`temperature` up to 1, `top_p`", json!({"temperature": 0.5, "top_p": 0.5})),
        ("`top_logprobs`", json!({"top_logprobs": 2})),
        ("`include`: `reasoning.encrypted_content`", json!({"include": ["reasoning.encrypted_content"]})),
        ("`user`, `safety_identifier`", json!({"user": "u"})),
        ("`metadata`", json!({"metadata": {"a": "b"}})),
        ("`store`: true", json!({"store": true})),
        ("`service_tier`: `flex`, `priority`", json!({"service_tier": "flex"})),
        ("`prompt_cache_key`", json!({"prompt_cache_key": "k"})),
        (
            "`previous_response_id`, `conversation`, `background`, `truncation`: auto, and any other",
            json!({"previous_response_id": "r"}),
        ),
    ]
}

fn messages_probes(schema: &Value) -> Vec<(&'static str, Value)> {
    let image = |source: Value| messages_user(json!({"type": "image", "source": source}));
    let document = |more: Value| {
        let mut block = json!({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"}});
        more.as_object().unwrap().iter().for_each(|(name, value)| block[name] = value.clone());
        messages_user(block)
    };
    let result = |more: Value| {
        let mut block = json!({"type": "tool_result", "tool_use_id": "c", "content": "r"});
        more.as_object().unwrap().iter().for_each(|(name, value)| block[name] = value.clone());
        let call = json!({"type": "tool_use", "id": "c", "name": "f", "input": {}});
        json!({"messages": [{"role": "assistant", "content": [call]}, {"role": "user", "content": [block]}]})
    };
    let said = |block: Value| json!({"messages": [{"role": "assistant", "content": [block, {"type": "text", "text": "a"}]}]});
    let tools = json!([{"name": "f", "input_schema": schema}]);
    vec![
        ("`system`", json!({"system": "S"})),
        (
            "`cache_control`",
            json!({"system": [{"type": "text", "text": "S", "cache_control": {"type": "ephemeral"}}]}),
        ),
        ("image, inline", image(json!({"type": "base64", "media_type": "image/png", "data": "AAAA"}))),
        ("image, by URL", image(json!({"type": "url", "url": "https://a.example/b.png"}))),
        ("image, uploaded (`file_id`)", image(json!({"type": "file", "file_id": "f"}))),
        ("document, inline", document(json!({}))),
        (
            "document, by URL",
            messages_user(
                json!({"type": "document", "source": {"type": "url", "url": "https://a.example/b.pdf"}}),
            ),
        ),
        (
            "document, as text",
            messages_user(
                json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "t"}}),
            ),
        ),
        ("`title` of a document", document(json!({"title": "t"}))),
        ("`context` of a document", document(json!({"context": "c"}))),
        ("`citations` of a document", document(json!({"citations": {"enabled": true}}))),
        (
            "`citations` of a text",
            said(
                json!({"type": "text", "text": "b", "citations": [{"type": "web_search_result_location", "url": "https://a.example", "encrypted_index": "e"}]}),
            ),
        ),
        ("`tool_use` and `tool_result`", result(json!({}))),
        ("`is_error`", result(json!({"is_error": true}))),
        (
            "image in a `tool_result`",
            result(
                json!({"content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}]}),
            ),
        ),
        (
            "`thinking`, `redacted_thinking` in a message",
            said(json!({"type": "thinking", "thinking": "t", "signature": "s"})),
        ),
        (
            "`search_result`, and blocks of built-in tools",
            messages_user(json!({"type": "search_result", "source": "s", "title": "t", "content": []})),
        ),
        ("`tools`: functions", json!({"tools": tools})),
        ("`tools`: built-in", json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]})),
        ("`tool_choice`: auto, any, tool, none", json!({"tools": tools, "tool_choice": {"type": "any"}})),
        (
            "`disable_parallel_tool_use`: true",
            json!({"tools": tools, "tool_choice": {"type": "auto", "disable_parallel_tool_use": true}}),
        ),
        (
            "`output_config.format`",
            json!({"output_config": {"format": {"type": "json_schema", "schema": schema}}}),
        ),
        ("`output_config.effort`", json!({"output_config": {"effort": "low"}})),
        (
            "`thinking`: enabled, with `budget_tokens`",
            json!({"thinking": {"type": "enabled", "budget_tokens": 2000}}),
        ),
        ("`thinking`: adaptive, disabled", json!({"thinking": {"type": "adaptive"}})),
        ("`max_tokens`", json!({"max_tokens": 5000})),
        ("`temperature`, `top_p`", json!({"temperature": 0.5, "top_p": 0.5})),
        ("`top_k`", json!({"top_k": 5})),
        ("`stop_sequences`", json!({"stop_sequences": ["x"]})),
        ("`metadata.user_id`", json!({"metadata": {"user_id": "u"}})),
        ("`service_tier`: `standard_only`", json!({"service_tier": "standard_only"})),
        ("`container`, `mcp_servers`, `context_management` and any other", json!({"container": "c"})),
    ]
}

fn google_probes(schema: &Value) -> Vec<(&'static str, Value)> {
    let config = |name: &str, value: Value| json!({"generationConfig": {name: value}});
    let inline = |mime: &str| google_user(json!({"inlineData": {"mimeType": mime, "data": "AAAA"}}));
    let tools = json!([{"functionDeclarations": [{"name": "f", "parametersJsonSchema": schema}]}]);
    let described = json!([{"functionDeclarations": [{"name": "f", "response_json_schema": schema}]}]);
    let choice = |more: Value| json!({"tools": tools, "toolConfig": {"functionCallingConfig": more}});
    let call = json!({"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]});
    let response = |value: Value| json!({"contents": [call, {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": value}}]}]});
    vec![
        ("`systemInstruction`", json!({"systemInstruction": {"parts": [{"text": "S"}]}})),
        ("image, inline", inline("image/png")),
        ("sound (wav, mp3), inline", inline("audio/wav")),
        ("video, inline", inline("video/mp4")),
        ("file, inline", inline("application/pdf")),
        (
            "image, by URL",
            google_user(json!({"fileData": {"mimeType": "image/png", "fileUri": "https://a.example/b.png"}})),
        ),
        (
            "file, by URL",
            google_user(
                json!({"fileData": {"mimeType": "application/pdf", "fileUri": "https://a.example/b.pdf"}}),
            ),
        ),
        (
            "file, uploaded",
            google_user(
                json!({"fileData": {"mimeType": "application/pdf", "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/f"}}),
            ),
        ),
        ("`functionCall` and `functionResponse`", response(json!({"output": "r"}))),
        ("`error` in a `functionResponse`", response(json!({"error": "r"}))),
        (
            "`thought` with `thoughtSignature`",
            json!({"contents": [{"role": "model", "parts": [{"text": "t", "thought": true, "thoughtSignature": "AAAA"}, {"text": "a"}]}]}),
        ),
        (
            "`executableCode`, and parts of built-in tools",
            google_user(json!({"executableCode": {"code": "1"}})),
        ),
        ("`tools`: `functionDeclarations`", json!({"tools": tools})),
        ("`response`, `responseJsonSchema` of a function", json!({"tools": described})),
        ("`tools`: built-in", json!({"tools": [{"googleSearch": {}}]})),
        (
            "`functionCallingConfig`: AUTO, ANY, NONE, one name",
            choice(json!({"mode": "ANY", "allowedFunctionNames": ["f"]})),
        ),
        ("`functionCallingConfig`: VALIDATED", choice(json!({"mode": "VALIDATED"}))),
        (
            "`functionCallingConfig`: several names",
            choice(json!({"mode": "ANY", "allowedFunctionNames": ["f", "g"]})),
        ),
        (
            "`responseSchema`, `responseJsonSchema`",
            json!({"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": schema}}),
        ),
        ("`responseMimeType`: JSON without a schema", config("responseMimeType", json!("application/json"))),
        (
            "`thinkingConfig`: `thinkingLevel`, `includeThoughts`",
            config("thinkingConfig", json!({"thinkingLevel": "LOW", "includeThoughts": true})),
        ),
        ("`thinkingConfig`: `thinkingBudget`", config("thinkingConfig", json!({"thinkingBudget": 2000}))),
        ("`maxOutputTokens`", config("maxOutputTokens", json!(5000))),
        ("`temperature` up to 1", config("temperature", json!(0.5))),
        ("`temperature` above 1", config("temperature", json!(1.5))),
        ("`topP`", config("topP", json!(0.5))),
        ("`topK`", config("topK", json!(5))),
        ("`stopSequences`", config("stopSequences", json!(["x"]))),
        ("`seed`", config("seed", json!(1))),
        ("`frequencyPenalty`", config("frequencyPenalty", json!(0.5))),
        ("`presencePenalty`", config("presencePenalty", json!(0.5))),
        ("`candidateCount` above 1", config("candidateCount", json!(2))),
        (
            "`responseLogprobs`, `logprobs`",
            json!({"generationConfig": {"responseLogprobs": true, "logprobs": 2}}),
        ),
        ("`responseModalities` other than TEXT", config("responseModalities", json!(["AUDIO"]))),
        (
            "`safetySettings`, `cachedContent`, `labels` and any other",
            json!({"safetySettings": [{"category": "c"}]}),
        ),
    ]
}

/// What becomes of a request.
fn outcome(from: Dialect, to: Dialect, probe: &Value) -> String {
    let mut body = base(from);
    for (name, value) in probe.as_object().unwrap() {
        body[name] = value.clone();
    }
    let target = Target {
        dialect: to,
        model: "m",
        stream: false,
        default_output_limit: 4096,
        affordable_output: None,
    };
    match convert::request(body.to_string().as_bytes(), from, target) {
        Ok(converted) if converted.dropped.is_empty() => "carried".to_owned(),
        Ok(_) => "left out".to_owned(),
        Err(ConvertError::Uncarried(_)) => "**refused**".to_owned(),
        Err(error) => panic!("{from:?} to {to:?}: {body}: {error}"),
    }
}

fn table() -> String {
    let mut table = String::new();
    for from in Dialect::ALL {
        let others = || Dialect::ALL.into_iter().filter(|to| *to != from);
        let names: Vec<&str> = others().map(Dialect::name).collect();
        writeln!(table, "\n### From {}\n\n| member | to {} |", from.name(), names.join(" | to ")).unwrap();
        writeln!(table, "|---|---|---|---|").unwrap();
        for (member, probe) in probes(from) {
            let outcomes: Vec<String> = others().map(|to| outcome(from, to, &probe)).collect();
            writeln!(table, "| {member} | {} |", outcomes.join(" | ")).unwrap();
        }
    }
    table.push('\n');
    table
}

#[test]
fn the_document_says_what_the_converters_do() {
    let (before, rest) = DOCUMENT.split_once(BEGIN).unwrap();
    let (documented, after) = rest.split_once(END).unwrap();
    let table = table();
    if documented != table {
        let path = concat!(env!("CARGO_TARGET_TMPDIR"), "/dialects.md");
        std::fs::write(path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        panic!("docs/dialects.md is not what the converters do; what it should be is in {path}");
    }
}

#[test]
fn what_is_refused_is_named() {
    for from in Dialect::ALL {
        for to in Dialect::ALL {
            let mut body = base(from);
            body["never_heard_of"] = json!({"a": 1});
            body["null_says_nothing"] = Value::Null;
            let target = Target {
                dialect: to,
                model: "m",
                stream: false,
                default_output_limit: 4096,
                affordable_output: None,
            };
            let refused = convert::request(body.to_string().as_bytes(), from, target);
            assert_eq!(refused, Err(ConvertError::Uncarried(vec!["never_heard_of".to_owned()])));
        }
    }
}
