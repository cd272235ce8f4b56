//! The envelope of the management API: `{success, message, data}`.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use gateway::Failure;
use http::StatusCode;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::console::errors;

/// A success.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Envelope<T> {
    /// Always true.
    pub(crate) success: bool,
    /// Always empty.
    pub(crate) message: String,
    /// The result.
    pub(crate) data: T,
}

/// A success without a result.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Done {
    /// Always true.
    pub(crate) success: bool,
    /// Always empty.
    pub(crate) message: String,
}

/// A failure.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Failed {
    /// Always false.
    pub(crate) success: bool,
    /// A sentence.
    pub(crate) message: String,
    /// A stable word.
    pub(crate) code: String,
}

/// What a handler of the management API returns.
pub(crate) type Reply<T> = Result<Envelope<T>, Problem>;

pub(crate) const fn ok<T>(data: T) -> Reply<T> {
    Ok(Envelope { success: true, message: String::new(), data })
}

pub(crate) const fn done() -> Result<Done, Problem> {
    Ok(Done { success: true, message: String::new() })
}

impl<T: Serialize> IntoResponse for Envelope<T> {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// A failure on its way out.
#[derive(Debug)]
pub(crate) enum Problem {
    /// Of a use case.
    Failure(Failure),
    /// The body is larger than this many bytes.
    TooLarge(usize),
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, message, code) = match self {
            Self::Failure(failure) => (failure.status(), failure.to_string(), failure.code()),
            Self::TooLarge(limit) => {
                (413, format!("the request body exceeds {limit} bytes"), "request_too_large")
            }
        };
        failed(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &message, code)
    }
}

/// A failure with a status of its own.
pub(crate) fn failed(status: StatusCode, message: &str, code: &str) -> Response {
    let mut response =
        (status, Json(json!({"success": false, "message": message, "code": code}))).into_response();
    errors::link(code, response.headers_mut());
    response
}
