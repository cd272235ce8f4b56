//! What stops a page: the guard turns it into a page of its own, in the reader's language.

use axum::response::{IntoResponse, Response};
use gateway::Failure;
use http::StatusCode;

/// Why there is no page.
#[derive(Clone, Debug)]
pub(crate) enum Oops {
    /// A use case says no.
    Failure(Failure),
    /// A form that no page of this console sent, or an old one.
    Forged,
    /// A form that did not arrive whole.
    Broken,
    /// There is no such page.
    Nowhere,
}

impl Oops {
    /// The status.
    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::Failure(Failure::Unauthenticated) => StatusCode::UNAUTHORIZED,
            Self::Failure(Failure::Forbidden) | Self::Forged => StatusCode::FORBIDDEN,
            Self::Failure(Failure::NotFound(_)) | Self::Nowhere => StatusCode::NOT_FOUND,
            Self::Failure(Failure::TooManyAttempts { .. }) => StatusCode::TOO_MANY_REQUESTS,
            Self::Failure(Failure::Unavailable) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failure(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Broken => StatusCode::BAD_REQUEST,
        }
    }
}

impl From<Failure> for Oops {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl IntoResponse for Oops {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}
