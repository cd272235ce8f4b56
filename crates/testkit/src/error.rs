//! Errors in the shapes of the vendors.

use serde_json::{Value, json};

use crate::{Script, member::set};

/// The message of an error.
pub(crate) fn message(script: &Script) -> &str {
    script.message.as_deref().unwrap_or("the provider refuses")
}

/// OpenAI's shape, which most others share.
pub(crate) fn openai(status: u16, script: &Script) -> Value {
    let kind = match status {
        429 => "rate_limit_error",
        401 => "authentication_error",
        403 => "permission_error",
        400..500 => "invalid_request_error",
        _ => "server_error",
    };
    json!({"error": {"message": message(script), "type": kind, "param": null, "code": "scripted"}})
}

/// OpenAI's, of a credential that is not good.
pub(crate) fn of_code(code: &str, status: u16, message: &str) -> String {
    let script = Script { message: Some(message.to_owned()), ..Script::default() };
    let mut body = openai(status, &script);
    if let Some(error) = body.get_mut("error") {
        set(error, "code", code);
    }
    body.to_string()
}

/// Anthropic's.
pub(crate) fn anthropic(status: u16, script: &Script) -> Value {
    let kind = match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        400..500 => "invalid_request_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        _ => "api_error",
    };
    json!({"type": "error", "error": {"type": kind, "message": message(script)}, "request_id": "req_1"})
}

/// Google's.
pub(crate) fn google(status: u16, script: &Script) -> Value {
    let word = match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        400..500 => "INVALID_ARGUMENT",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "INTERNAL",
    };
    json!({"error": {"code": status, "message": message(script), "status": word}})
}

/// Amazon's; the kind of an error stands in a header.
pub(crate) fn aws(script: &Script) -> Value {
    json!({"message": message(script)})
}

/// Google's, with a reason that says more than the status.
pub(crate) fn of_reason(reason: &str, status: u16, message: &str) -> String {
    let detail = json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"});
    let error =
        json!({"code": status, "message": message, "status": "INVALID_ARGUMENT", "details": [detail]});
    json!({"error": error}).to_string()
}
