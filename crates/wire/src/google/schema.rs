//! Google's own way to write a schema: a part of OpenAPI's, with the names of types in capitals.

use serde_json::{Map, Value, json};

/// The same as a JSON Schema.
pub(crate) fn to_json_schema(schema: Value) -> Value {
    match schema {
        Value::Array(items) => items.into_iter().map(to_json_schema).collect(),
        Value::Object(members) => object(members),
        other => other,
    }
}

fn object(members: Map<String, Value>) -> Value {
    let mut read = Map::new();
    let nullable = members.get("nullable") == Some(&Value::Bool(true));
    for (name, value) in members {
        let value = match (name.as_str(), value) {
            // The order in which to write the members: a wish that a JSON Schema cannot say.
            ("nullable" | "propertyOrdering" | "property_ordering", _) => continue,
            ("type", Value::String(kind)) if nullable => json!([kind.to_lowercase(), "null"]),
            ("type", Value::String(kind)) => json!(kind.to_lowercase()),
            ("properties", Value::Object(properties)) => {
                properties.into_iter().map(|(name, schema)| (name, to_json_schema(schema))).collect()
            }
            ("items" | "anyOf" | "any_of", schema) => to_json_schema(schema),
            ("minItems" | "maxItems" | "minLength" | "maxLength", Value::String(count)) => {
                count.parse::<u64>().map_or(Value::String(count), Value::from)
            }
            (_, value) => value,
        };
        read.insert(if name == "any_of" { "anyOf".to_owned() } else { name }, value);
    }
    read.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_written_small_and_names_are_kept() {
        let google = json!({"type": "OBJECT", "properties": {
            "nullable": {"type": "STRING", "nullable": true, "maxLength": "5"},
            "list": {"type": "ARRAY", "items": {"type": "INTEGER", "format": "int32"}},
        }, "required": ["list"], "propertyOrdering": ["list"]});
        let expected = json!({"type": "object", "properties": {
            "nullable": {"type": ["string", "null"], "maxLength": 5},
            "list": {"type": "array", "items": {"type": "integer", "format": "int32"}},
        }, "required": ["list"]});
        assert_eq!(to_json_schema(google), expected);
    }
}
