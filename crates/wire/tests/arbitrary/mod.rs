//! Values that properties are tried with.

use proptest::prelude::*;
use serde_json::Value;
use wire::dialect::Dialect;

/// Any dialect.
pub(crate) fn dialect() -> impl Strategy<Value = Dialect> {
    prop::sample::select(Dialect::ALL.to_vec())
}

/// JSON in which the words of the dialects turn up everywhere.
pub(crate) fn arbitrary() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "role",
        "user",
        "assistant",
        "model",
        "type",
        "text",
        "content",
        "messages",
        "contents",
        "parts",
        "input",
        "choices",
        "delta",
        "index",
        "tool_calls",
        "function",
        "functionCall",
        "functionResponse",
        "args",
        "id",
        "name",
        "image_url",
        "source",
        "url",
        "data:image/png;base64,",
        "usage",
        "usageMetadata",
        "candidates",
        "message_start",
        "content_block_start",
        "content_block",
        "content_block_delta",
        "message_delta",
        "response",
        "response.output_item.added",
        "response.completed",
        "item",
        "output",
        "finish_reason",
        "finishReason",
        "reasoning",
        "thinking",
        "signature",
        "tools",
        "tool_choice",
        "generationConfig",
        "thinkingConfig",
        "stop",
        "logprobs",
        "groundingMetadata",
        "error",
        "message",
        "",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-9_i32..9).prop_map(Value::from),
        word.clone().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..5).prop_map(|members| {
                Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
        ]
    })
}
