//! How a session ends, and what is said about it to both sides.

use std::io::ErrorKind;

use model::refusal::Refusal;
use tokio_tungstenite::tungstenite::{
    Error,
    error::CapacityError,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use super::account::Ending;

/// Why a session is over.
#[derive(Debug)]
pub(super) enum End {
    /// The caller has said goodbye.
    Caller(Option<CloseFrame>),
    /// The caller is gone.
    Left,
    /// What the caller sends is too large, or no websocket.
    Wrong(CloseCode, &'static str),
    /// The upstream has said goodbye.
    Upstream(Option<CloseFrame>),
    /// The upstream is gone, or sends what cannot be, or takes nothing.
    Broke(Refusal),
    /// No more may pass.
    Refused(Refusal),
    /// Nobody said anything for too long.
    Idle,
    /// It has had its time.
    Late,
    /// The server stops.
    Stopped,
}

impl End {
    /// A caller's connection says so.
    pub(super) fn of_caller(error: &Error) -> Self {
        match error {
            Error::Capacity(CapacityError::MessageTooLong { .. }) => {
                Self::Wrong(CloseCode::Size, "the message is too large")
            }
            Error::Io(error) if error.kind() == ErrorKind::FileTooLarge => {
                Self::Wrong(CloseCode::Size, "too much was said before a model was named")
            }
            Error::Utf8(_) => Self::Wrong(CloseCode::Invalid, "the text is not UTF-8"),
            Error::Protocol(
                tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
            ) => Self::Left,
            Error::Protocol(_) => Self::Wrong(CloseCode::Protocol, "this is no websocket"),
            _ => Self::Left,
        }
    }

    /// What the caller is told before the goodbye, where something went wrong; `quiet` says that no response was on its way.
    pub(super) fn refusal(&self, quiet: bool) -> Option<Refusal> {
        match self {
            Self::Broke(refusal) | Self::Refused(refusal) => Some(refusal.clone()),
            Self::Upstream(_) if !quiet => Some(Refusal::UpstreamError),
            _ => None,
        }
    }

    /// What the record says.
    pub(super) fn ending(&self, quiet: bool) -> Ending<'_> {
        let of = |word| Ending { status: 101, word };
        match self {
            Self::Caller(_) | Self::Upstream(_) | Self::Idle | Self::Late | Self::Stopped if quiet => {
                of(None)
            }
            Self::Caller(_) | Self::Left => Ending::LEFT,
            Self::Wrong(..) => of(Some("invalid_request")),
            Self::Broke(refusal) | Self::Refused(refusal) => of(Some(refusal.code())),
            Self::Upstream(_) => of(Some("upstream_error")),
            Self::Idle | Self::Late => of(Some("session_expired")),
            Self::Stopped => of(Some("unavailable")),
        }
    }

    /// The goodbye to the caller; `None` where it is gone, or has been said goodbye to by answering its own.
    pub(super) fn to_caller(&self) -> Option<Option<CloseFrame>> {
        let frame = |code, reason: &str| Some(Some(CloseFrame { code, reason: reason.to_owned().into() }));
        match self {
            Self::Caller(_) | Self::Left => None,
            Self::Wrong(code, reason) => frame(*code, reason),
            Self::Upstream(theirs) => Some(theirs.clone()),
            Self::Broke(refusal) => frame(CloseCode::Error, refusal.code()),
            Self::Refused(Refusal::Unavailable) => frame(CloseCode::Again, "unavailable"),
            Self::Refused(refusal) => frame(CloseCode::Policy, refusal.code()),
            Self::Idle => frame(CloseCode::Normal, "nothing was said for too long"),
            Self::Late => frame(CloseCode::Normal, "the session has had its time"),
            Self::Stopped => frame(CloseCode::Away, "the server stops"),
        }
    }

    /// The goodbye to the upstream.
    pub(super) fn to_upstream(&self) -> Option<Option<CloseFrame>> {
        match self {
            Self::Caller(theirs) => Some(theirs.clone()),
            Self::Upstream(_) => None,
            Self::Left | Self::Stopped => Some(Some(CloseFrame { code: CloseCode::Away, reason: "".into() })),
            _ => Some(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() })),
        }
    }
}
