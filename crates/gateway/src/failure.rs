//! Why a management call was not done. Nothing was changed then.

use ledger::FlushError;
use model::key::InvalidSetting;
use store::StoreError;

/// The outside of a failure: a sentence and a stable word.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No valid personal access token.
    #[error("invalid access token")]
    Unauthenticated,
    /// The caller's role does not reach.
    #[error("this call needs a higher role")]
    Forbidden,
    /// There is no such thing, or it is somebody else's.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// A value that is not allowed; the text names the member.
    #[error("{0}")]
    Invalid(String),
    /// It would contradict something that is there.
    #[error("{0}")]
    Conflict(String),
    /// It is more likely a slip than meant; the text says how to say that it is meant.
    #[error("{0}")]
    Unconfirmed(String),
    /// A group that the account may not use.
    #[error("no access to group {0}")]
    NoAccessToGroup(String),
    /// Too many wrong passwords.
    #[error("too many attempts; try again in {seconds} seconds")]
    TooManyAttempts {
        /// Seconds until the next one may be made.
        seconds: u32,
    },
    /// The database does not answer.
    #[error("the database does not answer; try again shortly")]
    Unavailable,
}

impl Failure {
    /// The stable word.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound(_) => "not_found",
            Self::Invalid(_) => "invalid_parameter",
            Self::Conflict(_) => "conflict",
            Self::Unconfirmed(_) => "confirmation_required",
            Self::NoAccessToGroup(_) => "group_not_available",
            Self::TooManyAttempts { .. } => "too_many_attempts",
            Self::Unavailable => "unavailable",
        }
    }

    /// The HTTP status. A business failure is a 200 with `success: false`, as clients of CometAPI expect.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::TooManyAttempts { .. } => 429,
            Self::Unavailable => 503,
            _ => 200,
        }
    }

    /// From the store, about a thing of this name.
    pub(crate) fn of(error: StoreError, thing: &'static str) -> Self {
        match error {
            StoreError::NotFound => Self::NotFound(thing),
            StoreError::Invalid(what) => Self::Invalid(what),
            StoreError::Conflict(what) => Self::Conflict(what),
            StoreError::Leap { .. } => Self::Unconfirmed(error.to_string()),
            StoreError::NoAccessToGroup(group) => Self::NoAccessToGroup(group),
            error => {
                tracing::error!(%error, thing, "a management call failed");
                Self::Unavailable
            }
        }
    }
}

impl From<InvalidSetting> for Failure {
    fn from(error: InvalidSetting) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<FlushError> for Failure {
    fn from(error: FlushError) -> Self {
        tracing::error!(%error, "the journal could not be brought into the database");
        Self::Unavailable
    }
}
