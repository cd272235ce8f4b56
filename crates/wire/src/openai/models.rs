//! The list of models that a key may call, in OpenAI's shape.

use serde_json::{Value, json};

/// One model: its name, who makes it, and the endpoints where it may be asked.
#[must_use]
pub fn one(id: &str, owner: Option<&str>, endpoints: &[&str]) -> Value {
    let owner = owner.unwrap_or("apsis");
    json!({"id": id, "object": "model", "created": 0, "owned_by": owner, "supported_endpoint_types": endpoints})
}

/// The list.
#[must_use]
pub fn list(models: Vec<Value>) -> Value {
    json!({"object": "list", "data": models})
}
