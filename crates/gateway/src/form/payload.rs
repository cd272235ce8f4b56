//! What is sent to an upstream: bytes, or pieces that may lie in a file. It can be sent as often as there are channels.

use std::{io, sync::Arc};

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http_body_util::{BodyExt, Either, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;

use crate::spool::Piece;

/// The body of a request to an upstream.
#[derive(Clone)]
pub(crate) enum Payload {
    /// In memory.
    Whole(Bytes),
    /// Some of it in a file.
    Pieces(Arc<[Piece]>),
}

/// The same as HTTP/2 sends it.
pub(crate) type PayloadBody = Either<Full<Bytes>, UnsyncBoxBody<Bytes, io::Error>>;

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(bytes)
    }
}

impl Payload {
    pub(super) fn of(pieces: Vec<Piece>) -> Self {
        Self::Pieces(pieces.into())
    }

    /// How many bytes there are.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Whole(bytes) => bytes.len() as u64,
            Self::Pieces(pieces) => pieces.iter().map(Piece::len).sum(),
        }
    }

    /// All of it, where it is in memory.
    pub(crate) fn whole(&self) -> Option<Bytes> {
        match self {
            Self::Whole(bytes) => Some(bytes.clone()),
            Self::Pieces(pieces) => {
                let mut whole = BytesMut::new();
                for piece in pieces.iter() {
                    let Piece::Bytes(bytes) = piece else { return None };
                    whole.extend_from_slice(bytes);
                }
                Some(whole.freeze())
            }
        }
    }

    /// Its parts, one after the other.
    pub(crate) fn parts(&self) -> Parts {
        let pieces = match self {
            Self::Whole(bytes) => Arc::from([Piece::Bytes(bytes.clone())]),
            Self::Pieces(pieces) => Arc::clone(pieces),
        };
        Parts { pieces, next: 0, piece: None }
    }

    /// As the body of a request.
    pub(crate) fn body(&self) -> PayloadBody {
        match self {
            Self::Whole(bytes) => Either::Left(Full::new(bytes.clone())),
            Self::Pieces(_) => {
                let frames = stream::unfold(self.parts(), |mut parts| async {
                    let part = parts.next().await.transpose()?;
                    Some((part.map(Frame::data), parts))
                });
                Either::Right(StreamBody::new(frames).boxed_unsync())
            }
        }
    }
}

/// The parts of a payload.
pub(crate) struct Parts {
    pieces: Arc<[Piece]>,
    next: usize,
    /// What is left of the piece before.
    piece: Option<Piece>,
}

impl Parts {
    /// The next one; `None` at the end.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(piece) = &mut self.piece
                && let Some(bytes) = piece.take().await?
            {
                return Ok(Some(bytes));
            }
            self.piece = self.pieces.get(self.next).cloned();
            self.next += 1;
            if self.piece.is_none() {
                return Ok(None);
            }
        }
    }
}
