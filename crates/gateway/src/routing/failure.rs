//! What went wrong with an upstream, and what follows from it.
//!
//! | outcome | next | channel | credential |
//! |---|---|---|---|
//! | no connection, reset, no first byte in time, an answer that is none | move on | counts for the breaker | – |
//! | 5xx | move on | counts for the breaker; rests if it says `Retry-After` | – |
//! | 408, 409 | move on | rests if it says `Retry-After` | – |
//! | 429 | move on | – | rests: `Retry-After`, else the policy's time |
//! | 402 | move on | – | rests as long as the policy allows: its account at the provider is empty |
//! | 401 | move on | – | refused: it is disabled |
//! | 401 that speaks of missing scopes | move on | – | – |
//! | 403 | move on | – | doubted: refused when it happens several times in a row |
//! | every other 4xx | answer as it is | – | – |
//!
//! A 403 may also speak of one request, such as one that a provider's moderation stops; a single caller must not be
//! able to switch a credential off with it.

use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue, header};
use model::clock::Timestamp;

use super::policy::Policy;

/// An attempt that did not lead to an answer for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamFailure {
    /// No connection: refused, unreachable, a name without an address, a forbidden address, TLS.
    Connect,
    /// The connection broke before the first byte.
    Reset,
    /// No first byte in time.
    Timeout,
    /// Something that is no answer: a redirect, a wrong content type, an encoding, a body that is cut or too large.
    Malformed,
    /// The credential is good, but may not do this: of what was asked, and not of the credential.
    Unpermitted,
    /// A status that is no success.
    Status {
        /// The status.
        status: u16,
        /// After how long the upstream wants to be asked again, from [`retry_after`].
        retry_after: Option<Duration>,
    },
}

/// What the request does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The fault is the caller's: it gets the upstream's answer.
    Answer,
    /// Another channel may do better.
    MoveOn,
}

/// What follows for the credential that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialVerdict {
    /// Nothing.
    Fine,
    /// It is not used for a while.
    Rest(Duration),
    /// It is refused when this happens several times in a row.
    Doubted,
    /// The provider does not take it: it is disabled until an operator says otherwise.
    Refused,
}

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// For the request.
    pub next: Next,
    /// Whether it counts for the channel's breaker.
    pub broken: bool,
    /// How long the channel is not used.
    pub rest: Option<Duration>,
    /// For the credential.
    pub credential: CredentialVerdict,
}

impl UpstreamFailure {
    /// What follows from it.
    #[must_use]
    pub fn verdict(self, policy: &Policy) -> Verdict {
        let moving =
            Verdict { next: Next::MoveOn, broken: false, rest: None, credential: CredentialVerdict::Fine };
        if self == Self::Unpermitted {
            return moving;
        }
        let Self::Status { status, retry_after } = self else { return Verdict { broken: true, ..moving } };
        let rest =
            retry_after.map(|asked| asked.min(policy.longest_cool_down)).filter(|rest| !rest.is_zero());
        let credential = |credential| Verdict { credential, ..moving };
        match status {
            401 => credential(CredentialVerdict::Refused),
            402 => credential(CredentialVerdict::Rest(policy.longest_cool_down)),
            403 => credential(CredentialVerdict::Doubted),
            408 | 409 => Verdict { rest, ..moving },
            429 if retry_after.is_none() => credential(CredentialVerdict::Rest(policy.cool_down)),
            429 => credential(rest.map_or(CredentialVerdict::Fine, CredentialVerdict::Rest)),
            400..=499 => Verdict { next: Next::Answer, ..moving },
            _ => Verdict { broken: true, rest, ..moving },
        }
    }

    /// A stable word for logs and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
            Self::Malformed => "malformed",
            Self::Unpermitted => "unpermitted",
            Self::Status { .. } => "status",
        }
    }
}

/// After how long an upstream wants to be asked again: `retry-after-ms`, or `Retry-After` in seconds or as a date.
/// `None` when it says nothing that can be understood; a number beyond counting is the longest time there is.
#[must_use]
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text =
        |name: &str| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::trim);
    if let Some(millis) = text("retry-after-ms").and_then(number) {
        return Some(Duration::from_millis(millis));
    }
    let after = text(header::RETRY_AFTER.as_str())?;
    number(after).map(Duration::from_secs).or_else(|| until(after, now))
}

/// A number that is not negative, rounded up to a whole one.
fn number(text: &str) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(decimals) {
        return None;
    }
    let up = u64::from(decimals.bytes().any(|digit| digit != b'0'));
    Some(whole.parse::<u64>().unwrap_or(u64::MAX).saturating_add(up))
}

fn until(date: &str, now: Timestamp) -> Option<Duration> {
    let date = httpdate::parse_http_date(date).ok()?.duration_since(UNIX_EPOCH).ok()?;
    let now = Duration::from_millis(u64::try_from(now.millis()).ok()?);
    Some(date.saturating_sub(now))
}
