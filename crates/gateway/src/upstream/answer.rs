//! What comes back from an upstream: a body, or why there is none.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::{framed::Framed, http1::Http1Body, shared::SharedBody};
use crate::routing::UpstreamFailure;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// Something went wrong with the upstream, or with whom it trusts.
    #[error("{}", .0.word())]
    Failed(UpstreamFailure),
    /// Nothing came of a connection. Why may name an address: for the log and for operators alone.
    #[error("{}: {why}", .failure.word())]
    Unreached { failure: UpstreamFailure, why: String },
    /// The credential is not good, for this reason.
    #[error("{0}")]
    Credential(String),
}

impl From<(UpstreamFailure, io::Error)> for NoAnswer {
    fn from((failure, error): (UpstreamFailure, io::Error)) -> Self {
        Self::Unreached { failure, why: chain(&error) }
    }
}

impl From<UpstreamFailure> for NoAnswer {
    fn from(failure: UpstreamFailure) -> Self {
        Self::Failed(failure)
    }
}

/// The body of an upstream's answer.
pub(crate) enum UpstreamBody {
    /// In the hands of whoever reads it.
    Http1(Http1Body),
    /// From a shared connection.
    Http2(SharedBody),
    /// In AWS's framing, which is taken off.
    Framed(Box<Framed>),
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Http1(body) => body.poll(context),
            Self::Framed(body) => body.poll(context),
            Self::Http2(shared) => Pin::new(&mut shared.body)
                .poll_frame(context)
                .map(|frame| frame.map(|frame| frame.map_err(io::Error::other))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(body) => body.is_end(),
            Self::Http2(shared) => shared.body.is_end_stream(),
            Self::Framed(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(_) | Self::Framed(_) => SizeHint::default(),
            Self::Http2(shared) => shared.body.size_hint(),
        }
    }
}

/// An error with its causes, for the log.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
