//! One request and its answer on an HTTP/1.1 connection.
//!
//! Everything happens in the caller's own task: an answer wakes nobody but who waits for it, which is most of what a proxy
//! costs. `head` writes and reads heads, `framing` finds the end of a body.

mod framing;
mod head;

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use http::{Response, StatusCode};
use hyper::body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use self::{
    framing::Framing,
    head::{Head, Malformed},
};
use super::{
    Sending,
    pool::Pool,
    stream::Stream,
    target::{Origin, Target},
};
use crate::form::Payload;

/// Largest head of an answer, in bytes.
const HEAD: usize = 64 << 10;
/// Bytes that are read at a time.
const READ: usize = 8 << 10;
/// A body up to this size is sent in one piece with its head.
const JOINED: usize = 16 << 10;

/// A connection between two requests.
pub(super) struct Connection {
    pub(super) stream: Stream,
    /// What was read and not used yet.
    buffer: BytesMut,
}

/// Where a connection goes when its answer has been read.
pub(super) struct Home {
    pub(super) pool: Arc<Pool>,
    pub(super) origin: Origin,
}

/// Why there is no answer.
pub(super) struct Broken {
    /// Whether not one byte of an answer had come.
    pub(super) unanswered: bool,
    pub(super) error: io::Error,
}

impl From<Malformed> for Broken {
    fn from(malformed: Malformed) -> Self {
        Self { unanswered: false, error: malformed.into() }
    }
}

impl From<Malformed> for io::Error {
    fn from(malformed: Malformed) -> Self {
        Self::new(io::ErrorKind::InvalidData, malformed)
    }
}

impl Connection {
    pub(super) const fn new(stream: Stream, buffer: BytesMut) -> Self {
        Self { stream, buffer }
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    /// The connection broke, or what came is no HTTP.
    pub(super) async fn send(
        mut self,
        target: &Target,
        sending: &Sending,
        home: Home,
    ) -> Result<Response<Http1Body>, Broken> {
        let Sending { method, path, headers, body } = sending;
        let head = head::write(method, path, &target.host, headers, body.len());
        // An upstream that refuses a body early may not read all of it, but has said why.
        let sent = self.write(head, body).await;
        let Head { response, framing, reusable } = match self.head().await {
            Ok(head) => head,
            // Where nothing came, that the request could not be written says more.
            Err(why) if why.error.kind() != io::ErrorKind::InvalidData => {
                return Err(Broken { error: sent.err().unwrap_or(why.error), ..why });
            }
            Err(why) => return Err(why),
        };
        let home = (reusable && sent.is_ok()).then_some(home);
        let receiving = Receiving { connection: self, framing, home };
        if framing.is_over() {
            receiving.end();
            return Ok(response.map(|()| Http1Body(None)));
        }
        Ok(response.map(|()| Http1Body(Some(Box::new(receiving)))))
    }

    /// The head of the answer, interim ones passed over.
    async fn head(&mut self) -> Result<Head, Broken> {
        let mut heard = false;
        loop {
            if let Some((size, head)) = head::read(&self.buffer)? {
                self.buffer.advance(size);
                if !head.response.status().is_informational() {
                    return Ok(head);
                }
                if head.response.status() == StatusCode::SWITCHING_PROTOCOLS {
                    return Err(Malformed("it speaks another protocol").into());
                }
                heard = true;
                continue;
            }
            if self.buffer.len() > HEAD {
                return Err(Malformed("its head is too large").into());
            }
            self.buffer.reserve(READ);
            let unanswered = !heard && self.buffer.is_empty();
            let error = match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) => io::ErrorKind::UnexpectedEof.into(),
                Ok(_) => continue,
                Err(error) => error,
            };
            return Err(Broken { unanswered, error });
        }
    }

    async fn write(&mut self, mut head: Vec<u8>, body: &Payload) -> io::Result<()> {
        match body {
            Payload::Whole(body) if body.len() <= JOINED => {
                head.extend_from_slice(body);
                self.stream.write_all(&head).await?;
            }
            Payload::Whole(body) => {
                self.stream.write_all_buf(&mut Buf::chain(head.as_slice(), body.clone())).await?;
            }
            Payload::Pieces(_) => {
                self.stream.write_all(&head).await?;
                let mut parts = body.parts();
                while let Some(part) = parts.next().await? {
                    self.stream.write_all(&part).await?;
                }
            }
        }
        self.stream.flush().await
    }
}

/// The body of an answer. Dropping it before its end closes the connection, which stops the upstream.
pub(crate) struct Http1Body(Option<Box<Receiving>>);

struct Receiving {
    connection: Connection,
    framing: Framing,
    /// Where the connection goes when it can serve another request.
    home: Option<Home>,
}

impl Receiving {
    /// Gives the connection back, if it can serve another request.
    fn end(self) {
        let Self { connection, home, .. } = self;
        if let Some(home) = home.filter(|_| connection.buffer.is_empty()) {
            home.pool.give(&home.origin, connection);
        }
    }
}

impl Http1Body {
    /// Whether everything has been read.
    pub(super) const fn is_end(&self) -> bool {
        self.0.is_none()
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        loop {
            let Some(receiving) = &mut self.0 else { return Poll::Ready(None) };
            if !receiving.connection.buffer.is_empty() {
                let data = match receiving.framing.take(&mut receiving.connection.buffer) {
                    Ok(data) => data,
                    Err(malformed) => {
                        self.0 = None;
                        return Poll::Ready(Some(Err(malformed.into())));
                    }
                };
                let ended = receiving.framing.is_over();
                if ended && let Some(receiving) = self.0.take() {
                    receiving.end();
                }
                if !data.is_empty() {
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                if ended {
                    return Poll::Ready(None);
                }
            }
            let Some(receiving) = &mut self.0 else { return Poll::Ready(None) };
            let Connection { stream, buffer } = &mut receiving.connection;
            buffer.reserve(READ);
            let read = ready!(tokio_util::io::poll_read_buf(Pin::new(stream), context, buffer));
            let error = match read {
                Ok(1..) => continue,
                Ok(0) if receiving.framing == Framing::UntilClose => None,
                Ok(0) => Some(io::ErrorKind::UnexpectedEof.into()),
                Err(error) => Some(error),
            };
            self.0 = None;
            return Poll::Ready(error.map(Err));
        }
    }
}
