//! The body of an answer on a connection that many requests of a caller share.
//!
//! On such a connection a caller can stop reading one answer while others go on, and nobody asks the body for more then. A
//! streamed body therefore runs in a task of its own, which waits for the caller only so long.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::{sync::mpsc, time::timeout};

use crate::layers::Logged;

type Piece = Result<Frame<Bytes>, axum::Error>;

/// The body.
#[expect(
    clippy::large_enum_variant,
    reason = "the usual one is the large one; a box would cost each answer an allocation"
)]
pub(crate) enum Paced {
    /// As it is.
    Direct(Logged),
    /// From its task; `None` after its last piece.
    Apart(mpsc::Receiver<Option<Piece>>),
    /// It is over.
    Over,
}

impl Paced {
    /// A streamed body of a shared connection, in a task that ends when the caller takes nothing for `limit`.
    pub(crate) fn apart(mut body: Logged, limit: Duration) -> Self {
        if body.is_end_stream() || body.size_hint().exact().is_some() {
            return Self::Direct(body);
        }
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            loop {
                let piece = tokio::select! {
                    piece = body.frame() => piece,
                    () = sender.closed() => return,
                };
                let is_last = piece.is_none();
                let Ok(Ok(())) = timeout(limit, sender.send(piece)).await else { return };
                if is_last {
                    return;
                }
            }
        });
        Self::Apart(receiver)
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Piece>> {
        let receiver = match &mut *self {
            Self::Direct(body) => return Pin::new(body).poll_frame(context),
            Self::Apart(receiver) => receiver,
            Self::Over => return Poll::Ready(None),
        };
        let piece = ready!(receiver.poll_recv(context));
        if !matches!(piece, Some(Some(Ok(_)))) {
            *self = Self::Over;
        }
        // Without its last piece the answer is not whole, and must not look as if it were.
        Poll::Ready(piece.unwrap_or_else(|| Some(Err(axum::Error::new("the caller took too long")))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Direct(body) => body.is_end_stream(),
            Self::Apart(_) => false,
            Self::Over => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Direct(body) => body.size_hint(),
            Self::Apart(_) | Self::Over => SizeHint::default(),
        }
    }
}
