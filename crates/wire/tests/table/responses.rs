//! Each member of a request of Responses, with a request that says it.

use serde_json::{Value, json};

/// A request whose user says one part.
fn user(part: Value) -> Value {
    json!({"input": [{"role": "user", "content": [part]}]})
}

/// The members, each with those of a request that stand in the place of the least request's.
pub(crate) fn probes(schema: &Value) -> Vec<(&'static str, Value)> {
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
            user(json!({"type": "input_image", "image_url": "data:image/png;base64,AAAA"})),
        ),
        (
            "`input_image`, by URL",
            user(json!({"type": "input_image", "image_url": "https://a.example/b.png"})),
        ),
        ("`input_image`, uploaded (`file_id`)", user(json!({"type": "input_image", "file_id": "file-1"}))),
        (
            "`input_file`, inline",
            user(json!({"type": "input_file", "file_data": "data:application/pdf;base64,AAAA"})),
        ),
        ("`input_file`, by URL", user(json!({"type": "input_file", "file_url": "https://a.example/b.pdf"}))),
        ("`input_file`, uploaded (`file_id`)", user(json!({"type": "input_file", "file_id": "file-1"}))),
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
