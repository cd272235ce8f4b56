//! What Google says when it refuses a request.

use serde_json::Value;

/// Whether the credential is what it refuses: with a status of 400, and only the reason says so.
#[must_use]
pub fn is_of_credential(body: &[u8]) -> bool {
    let error: Value = serde_json::from_slice(body).unwrap_or_default();
    let details = error.pointer("/error/details").and_then(Value::as_array);
    let mut reasons = details.into_iter().flatten().filter_map(|detail| detail.get("reason")?.as_str());
    reasons.any(|reason| reason == "API_KEY_INVALID")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_says_whose_fault_it_is() {
        for (body, expected) in [
            (r#"{"error":{"code":400,"details":[{"@type":"x"},{"reason":"API_KEY_INVALID"}]}}"#, true),
            (r#"{"error":{"code":400,"details":[{"reason":"INVALID_ARGUMENT"}]}}"#, false),
            (r#"{"error":{"code":400,"message":"API_KEY_INVALID"}}"#, false),
            ("[]", false),
            ("no JSON", false),
        ] {
            assert_eq!(is_of_credential(body.as_bytes()), expected, "{body}");
        }
    }
}
