//! The list of models that a key may call, in OpenAI's shape.

use serde_json::{Value, json};

/// One model.
#[must_use]
pub fn one(id: &str) -> Value {
    json!({"id": id, "object": "model", "created": 0, "owned_by": "apsis", "supported_endpoint_types": ["openai"]})
}

/// The list.
#[must_use]
pub fn list<'a>(ids: impl Iterator<Item = &'a str>) -> Value {
    json!({"object": "list", "data": ids.map(one).collect::<Vec<_>>()})
}
