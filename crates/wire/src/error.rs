//! The one table from a refusal and a dialect to an error body.

use model::refusal::Refusal;
use serde_json::{Value, json};

/// How a caller speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI, and everything that has no dialect of its own.
    OpenAi,
    /// Anthropic: `/v1/messages`.
    Anthropic,
    /// Google: `/v1beta`.
    Google,
}

/// What the surroundings of a refusal add to its body.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// The request id that the caller sees.
    pub request_id: &'a str,
    /// The word in the `type` member of OpenAI's shape.
    pub error_type: &'a str,
}

/// The body of an error.
#[must_use]
pub fn body(refusal: &Refusal, dialect: Dialect, setting: Setting<'_>) -> Value {
    let message = format!("{refusal} (request id: {})", setting.request_id);
    match dialect {
        Dialect::OpenAi => json!({"error": {
            "message": message, "type": setting.error_type, "param": param(refusal), "code": refusal.code(),
        }}),
        Dialect::Anthropic => json!({
            "type": "error",
            "error": {"type": anthropic_type(refusal.status()), "message": message, "code": refusal.code()},
            "request_id": setting.request_id,
        }),
        Dialect::Google => json!({"error": {
            "code": refusal.status(), "message": message, "status": google_status(refusal.status()),
            "details": [{"reason": refusal.code()}],
        }}),
    }
}

/// An error inside a stream that has begun.
#[must_use]
pub fn event(refusal: &Refusal, dialect: Dialect, setting: Setting<'_>) -> String {
    let body = body(refusal, dialect, setting);
    match dialect {
        Dialect::Anthropic => format!("event: error\ndata: {body}\n\n"),
        Dialect::OpenAi | Dialect::Google => format!("data: {body}\n\n"),
    }
}

/// Seconds after which the same request may be sent again, where time cures.
#[must_use]
pub const fn retry_after(refusal: &Refusal) -> Option<u32> {
    match refusal {
        Refusal::Upstream { retry_after: Some(seconds), .. } => Some(*seconds),
        Refusal::Upstream { status: 429 | 503, .. } | Refusal::Unavailable => Some(1),
        _ => None,
    }
}

const fn param(refusal: &Refusal) -> Option<&'static str> {
    match refusal {
        Refusal::ModelRequired
        | Refusal::ModelNotAllowed(_)
        | Refusal::ModelNotFound { .. }
        | Refusal::NotOffered { .. }
        | Refusal::PriceUnknown(_) => Some("model"),
        Refusal::ExtraUnknown { param, .. } => Some(param),
        _ => None,
    }
}

const fn anthropic_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        400..500 => "invalid_request_error",
        _ => "api_error",
    }
}

const fn google_status(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        400..500 => "INVALID_ARGUMENT",
        _ => "INTERNAL",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_table() {
        let refusals = [
            Refusal::MissingApiKey,
            Refusal::InvalidApiKey,
            Refusal::ConflictingCredentials,
            Refusal::KeyDisabled,
            Refusal::KeyExpired,
            Refusal::AccountDisabled,
            Refusal::IpNotAllowed,
            Refusal::RequestTooLarge(9),
            Refusal::RequestTimeout,
            Refusal::InvalidRequest("stream must be a boolean".to_owned()),
            Refusal::ModelRequired,
            Refusal::GroupNotAvailable("g".to_owned()),
            Refusal::ModelNotAllowed("m".to_owned()),
            Refusal::ModelNotFound { group: "g".to_owned(), model: "m".to_owned() },
            Refusal::NotOffered { model: "m".to_owned(), path: "/v1/rerank" },
            Refusal::PriceUnknown("m".to_owned()),
            Refusal::ExtraUnknown { model: "m".to_owned(), param: "tools", what: "web_search".to_owned() },
            Refusal::QuotaExhausted { need: 5, have: 3 },
            Refusal::InsufficientBalance { need: 5, have: 3 },
            Refusal::Unavailable,
            Refusal::UpstreamError,
            Refusal::UpstreamTimeout,
            Refusal::Upstream {
                status: 429,
                code: Some("slow".to_owned()),
                message: "slow".to_owned(),
                retry_after: Some(7),
            },
            Refusal::Internal,
        ];
        let setting = Setting { request_id: "r1", error_type: "comet_api_error" };
        let mut table = String::new();
        for refusal in &refusals {
            table += &format!("{} {:?}\n", refusal.status(), retry_after(refusal));
            for dialect in [Dialect::OpenAi, Dialect::Anthropic, Dialect::Google] {
                table += &format!("  {}\n", body(refusal, dialect, setting));
            }
        }
        insta::assert_snapshot!(table);
    }
}
