//! A value that fits a JSON schema, so that structured output and the arguments of calls are what was asked for.

use serde_json::{Map, Value, json};

/// How deep a schema is followed; one that names itself has no end.
const DEPTH: u8 = 16;

/// A value that fits `schema`.
pub(crate) fn fitting(schema: &Value) -> Value {
    fit(schema, schema, DEPTH)
}

fn fit(schema: &Value, root: &Value, depth: u8) -> Value {
    if depth == 0 {
        return Value::Null;
    }
    let inner = |schema: &Value| fit(schema, root, depth - 1);
    if let Some(fixed) = schema.get("const").or_else(|| schema.pointer("/enum/0")) {
        return fixed.clone();
    }
    if let Some(path) = schema.get("$ref").and_then(Value::as_str) {
        return root.pointer(path.trim_start_matches('#')).map_or(Value::Null, inner);
    }
    if let Some(one) = ["/anyOf/0", "/oneOf/0", "/allOf/0"].iter().find_map(|path| schema.pointer(path)) {
        return inner(one);
    }
    let kind = schema.get("type").and_then(|kind| kind.as_str().or_else(|| kind.get(0)?.as_str()));
    let kind = kind.map(str::to_ascii_lowercase);
    match kind.as_deref() {
        Some("object") | None => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let members =
                properties.into_iter().flatten().map(|(name, schema)| (name.clone(), inner(schema)));
            Value::Object(members.collect::<Map<String, Value>>())
        }
        Some("array") => json!([schema.get("items").map_or(Value::Null, inner)]),
        Some("integer") => schema.get("minimum").cloned().unwrap_or(json!(7)),
        Some("number") => schema.get("minimum").cloned().unwrap_or(json!(1.5)),
        Some("boolean") => json!(true),
        Some("string") => json!("scripted"),
        Some(_) => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits_what_is_asked() {
        let schema = json!({"type": "object", "properties": {
            "city": {"type": "string"}, "unit": {"enum": ["C", "F"]}, "days": {"type": "ARRAY", "items": {"type": "INTEGER"}},
            "again": {"$ref": "#/$defs/it"}, "maybe": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
        }, "$defs": {"it": {"type": ["number", "null"], "minimum": 2}}});
        let expected = json!({"city": "scripted", "unit": "C", "days": [7], "again": 2, "maybe": true});
        assert_eq!(fitting(&schema), expected);
        let endless = json!({"type": "object", "properties": {"next": {"$ref": "#"}}});
        assert!(fitting(&endless).to_string().len() < 200);
    }
}
