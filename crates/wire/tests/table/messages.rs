//! Each member of a request of Messages, with a request that says it.

use serde_json::{Value, json};

/// A request whose user says one part.
fn user(block: Value) -> Value {
    json!({"messages": [{"role": "user", "content": [block]}]})
}

/// The members, each with those of a request that stand in the place of the least request's.
pub(crate) fn probes(schema: &Value) -> Vec<(&'static str, Value)> {
    let image = |source: Value| user(json!({"type": "image", "source": source}));
    let document = |more: Value| {
        let mut block = json!({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"}});
        more.as_object().unwrap().iter().for_each(|(name, value)| block[name] = value.clone());
        user(block)
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
            user(json!({"type": "document", "source": {"type": "url", "url": "https://a.example/b.pdf"}})),
        ),
        (
            "document, as text",
            user(
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
            user(json!({"type": "search_result", "source": "s", "title": "t", "content": []})),
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
