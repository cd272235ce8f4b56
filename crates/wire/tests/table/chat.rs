//! Each member of a request of Chat Completions, with a request that says it.

use serde_json::{Value, json};

/// A request whose user says one part.
fn user(part: Value) -> Value {
    json!({"messages": [{"role": "user", "content": [part]}]})
}

/// The members, each with those of a request that stand in the place of the least request's.
pub(crate) fn probes(schema: &Value) -> Vec<(&'static str, Value)> {
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
            user(json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}})),
        ),
        (
            "image, by URL",
            user(json!({"type": "image_url", "image_url": {"url": "https://a.example/b.png"}})),
        ),
        (
            "image, by URL without a known ending",
            user(json!({"type": "image_url", "image_url": {"url": "https://a.example/b"}})),
        ),
        (
            "image `detail`",
            user(
                json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "high"}}),
            ),
        ),
        (
            "`input_audio`",
            user(json!({"type": "input_audio", "input_audio": {"format": "wav", "data": "AAAA"}})),
        ),
        (
            "file, inline",
            user(json!({"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}})),
        ),
        (
            "`filename`",
            user(
                json!({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}}),
            ),
        ),
        ("file, uploaded (`file_id`)", user(json!({"type": "file", "file": {"file_id": "file-1"}}))),
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
