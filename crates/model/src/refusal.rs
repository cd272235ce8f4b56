//! Why the model API says no: the table of the contract as a type.

use std::fmt;

/// A refusal of a model request, before or instead of an answer. The order is the order of the checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No credential at all.
    MissingApiKey,
    /// Unknown, malformed or deleted key.
    InvalidApiKey,
    /// Two credentials in one request that disagree.
    ConflictingCredentials,
    /// The key's status is 2, 3 or 4 by hand.
    KeyDisabled,
    /// The key's expiry has passed.
    KeyExpired,
    /// The account is disabled.
    AccountDisabled,
    /// The caller's address is not on the key's list.
    IpNotAllowed,
    /// The body exceeds this many bytes.
    RequestTooLarge(u64),
    /// The body did not arrive in time.
    RequestTimeout,
    /// The body is not what the door takes. The text says what is wrong.
    InvalidRequest(String),
    /// No model is named.
    ModelRequired,
    /// The key's group is gone or not usable by the account.
    GroupNotAvailable(String),
    /// The model is not on the key's list.
    ModelNotAllowed(String),
    /// No channel serves the model in the group.
    ModelNotFound {
        /// The group.
        group: String,
        /// The model.
        model: String,
    },
    /// Channels serve the model in the group, but no upstream of theirs has what was asked for.
    NotOffered {
        /// The model.
        model: String,
        /// The path that was asked.
        path: &'static str,
    },
    /// No price is known for the model.
    PriceUnknown(String),
    /// No price of the model is known for something that the request asks for beside tokens.
    ExtraUnknown {
        /// The model.
        model: String,
        /// The member that asks for it.
        param: &'static str,
        /// What it is: a tool, or a term of service.
        what: String,
    },
    /// The key's quota does not cover the hold.
    QuotaExhausted {
        /// Units needed.
        need: i64,
        /// Units there are.
        have: i64,
    },
    /// The account's balance does not cover the hold.
    InsufficientBalance {
        /// Units needed.
        need: i64,
        /// Units there are.
        have: i64,
    },
    /// Nothing new is admitted: the journal cannot be written, or the node drains.
    Unavailable,
    /// The upstream could not be reached or broke off.
    UpstreamError,
    /// The upstream took too long.
    UpstreamTimeout,
    /// The upstream itself refused: its status and message are the answer.
    Upstream {
        /// The status.
        status: u16,
        /// The upstream's own code, if it gave one.
        code: Option<String>,
        /// The upstream's own message.
        message: String,
        /// Seconds after which the upstream says to try again.
        retry_after: Option<u32>,
    },
    /// A fault of ours.
    Internal,
}

impl Refusal {
    /// One of each, in the order of the checks, for tables and documents.
    #[must_use]
    pub fn examples() -> Vec<Self> {
        let model = || "gpt-5".to_owned();
        vec![
            Self::MissingApiKey,
            Self::InvalidApiKey,
            Self::ConflictingCredentials,
            Self::KeyDisabled,
            Self::KeyExpired,
            Self::AccountDisabled,
            Self::IpNotAllowed,
            Self::RequestTooLarge(32 << 20),
            Self::RequestTimeout,
            Self::InvalidRequest("stream must be a boolean".to_owned()),
            Self::ModelRequired,
            Self::GroupNotAvailable("premium".to_owned()),
            Self::ModelNotAllowed(model()),
            Self::ModelNotFound { group: "default".to_owned(), model: model() },
            Self::NotOffered { model: model(), path: "/v1/rerank" },
            Self::PriceUnknown(model()),
            Self::ExtraUnknown { model: model(), param: "service_tier", what: "priority".to_owned() },
            Self::QuotaExhausted { need: 5_000, have: 300 },
            Self::InsufficientBalance { need: 5_000, have: 300 },
            Self::Unavailable,
            Self::UpstreamError,
            Self::UpstreamTimeout,
            Self::Upstream {
                status: 429,
                code: Some("rate_limit_exceeded".to_owned()),
                message: "too many requests".to_owned(),
                retry_after: Some(7),
            },
            Self::Internal,
        ]
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::MissingApiKey | Self::InvalidApiKey | Self::KeyDisabled | Self::KeyExpired => 401,
            Self::AccountDisabled
            | Self::IpNotAllowed
            | Self::GroupNotAvailable(_)
            | Self::ModelNotAllowed(_)
            | Self::QuotaExhausted { .. }
            | Self::InsufficientBalance { .. } => 403,
            Self::RequestTooLarge(_) => 413,
            Self::RequestTimeout => 408,
            Self::ConflictingCredentials
            | Self::InvalidRequest(_)
            | Self::ModelRequired
            | Self::PriceUnknown(_)
            | Self::ExtraUnknown { .. } => 400,
            Self::NotOffered { .. } => 404,
            Self::ModelNotFound { .. } | Self::Unavailable => 503,
            Self::UpstreamError => 502,
            Self::UpstreamTimeout => 504,
            Self::Upstream { status, .. } => *status,
            Self::Internal => 500,
        }
    }

    /// The stable word.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::MissingApiKey => "missing_api_key",
            Self::InvalidApiKey => "invalid_api_key",
            Self::ConflictingCredentials => "conflicting_credentials",
            Self::KeyDisabled => "key_disabled",
            Self::KeyExpired => "key_expired",
            Self::AccountDisabled => "account_disabled",
            Self::IpNotAllowed => "ip_not_allowed",
            Self::RequestTooLarge(_) => "request_too_large",
            Self::RequestTimeout => "request_timeout",
            Self::InvalidRequest(_) => "invalid_request",
            Self::ModelRequired => "model_required",
            Self::GroupNotAvailable(_) => "group_not_available",
            Self::ModelNotAllowed(_) => "model_not_allowed",
            Self::ModelNotFound { .. } => "model_not_found",
            Self::NotOffered { .. } => "endpoint_not_offered",
            Self::PriceUnknown(_) | Self::ExtraUnknown { .. } => "price_unknown",
            Self::QuotaExhausted { .. } => "quota_exhausted",
            Self::InsufficientBalance { .. } => "insufficient_balance",
            Self::Unavailable => "unavailable",
            Self::UpstreamError => "upstream_error",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::Upstream { code, .. } => code.as_deref().unwrap_or("upstream_error"),
            Self::Internal => "internal_error",
        }
    }

    /// Whether the same request may succeed later without anybody changing anything.
    #[must_use]
    pub const fn may_retry(&self) -> bool {
        match self {
            Self::RequestTimeout
            | Self::Unavailable
            | Self::UpstreamError
            | Self::UpstreamTimeout
            | Self::Internal => true,
            Self::Upstream { status, .. } => matches!(status, 408 | 409 | 429 | 500..),
            _ => false,
        }
    }
}

impl fmt::Display for Refusal {
    /// The outside message, without the request id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingApiKey => f.write_str("no API key was sent"),
            Self::InvalidApiKey => f.write_str("invalid API key"),
            Self::ConflictingCredentials => f.write_str("the request carries two different API keys"),
            Self::KeyDisabled => f.write_str("this API key is disabled"),
            Self::KeyExpired => f.write_str("this API key has expired"),
            Self::AccountDisabled => f.write_str("the account of this API key is disabled"),
            Self::IpNotAllowed => f.write_str("this API key may not be used from your address"),
            Self::RequestTooLarge(limit) => write!(f, "the request body exceeds {limit} bytes"),
            Self::RequestTimeout => f.write_str("the request body did not arrive in time"),
            Self::InvalidRequest(what) => f.write_str(what),
            Self::ModelRequired => f.write_str("model name is required"),
            Self::GroupNotAvailable(group) => write!(f, "no access to group {group}"),
            Self::ModelNotAllowed(model) => write!(f, "this API key may not use model {model}"),
            Self::ModelNotFound { group, model } => {
                write!(f, "no available channel for group {group} and model {model}")
            }
            Self::NotOffered { model, path } => write!(f, "model {model} is not offered at {path}"),
            Self::PriceUnknown(model) => write!(f, "no price is known for model {model}"),
            Self::ExtraUnknown { model, param, what } => {
                write!(f, "{param}: no price is known for {what} with model {model}")
            }
            Self::QuotaExhausted { need, have } => {
                write!(
                    f,
                    "this API key's quota does not cover the request: {need} units needed, {have} remain"
                )
            }
            Self::InsufficientBalance { need, have } => {
                write!(
                    f,
                    "the account's balance does not cover the request: {need} units needed, {have} remain"
                )
            }
            Self::Unavailable => f.write_str("the gateway is not taking new requests; try again shortly"),
            Self::UpstreamError => f.write_str("the upstream could not be reached or broke off"),
            Self::UpstreamTimeout => f.write_str("the upstream took too long to answer"),
            Self::Upstream { message, .. } => f.write_str(message),
            Self::Internal => f.write_str("internal error"),
        }
    }
}
