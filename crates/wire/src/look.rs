//! Looking into an answer, where what is not as it should be counts as absent.

use serde_json::Value;

/// The text of a member; empty without one.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The text of a member, unless it is absent or empty.
pub(crate) fn some_text(value: &Value, name: &str) -> Option<String> {
    Some(text(value, name)).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The items of a member that is a list.
pub(crate) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A member that is a count.
pub(crate) fn whole(value: &Value, name: &str) -> Option<u64> {
    value.get(name).and_then(Value::as_u64)
}

/// A member that is a small index; 0 without one.
pub(crate) fn index(value: &Value, name: &str) -> u32 {
    whole(value, name).and_then(|index| u32::try_from(index).ok()).unwrap_or(0)
}

/// The type that a value says it has.
pub(crate) fn kind(value: &Value) -> &str {
    text(value, "type")
}
