//! One request and its answer on an HTTP/1.1 connection.
//!
//! The protocol itself is `ureq-proto`'s; here are the bytes. Everything happens in the caller's own task: an answer
//! wakes nobody but who waits for it, which is most of what a proxy costs.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use http::{Request, Response};
use hyper::body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use ureq_proto::{
    BodyMode,
    client::{Call, RecvResponseResult, SendRequestResult, state},
};

use super::{pool::Pool, stream::Stream, target::Origin};
use crate::form::Payload;

/// Largest head of an answer, and largest line between two chunks of it, in bytes.
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

impl From<ureq_proto::Error> for Broken {
    fn from(error: ureq_proto::Error) -> Self {
        Self { unanswered: false, error: io::Error::new(io::ErrorKind::InvalidData, error) }
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
        request: Request<()>,
        body: &Payload,
        home: Home,
    ) -> Result<Response<Http1Body>, Broken> {
        let size: usize =
            request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        let mut head = vec![0; size + request.uri().path().len() + 256];
        let mut call = Call::new(request)?.proceed();
        let mut written = 0;
        while !call.can_proceed() {
            written += call.write(head.get_mut(written..).unwrap_or_default())?;
        }
        head.truncate(written);
        let mut call = match call.proceed()? {
            Some(SendRequestResult::SendBody(mut sending)) => {
                sending.consume_direct_write(
                    usize::try_from(body.len()).map_err(|_| broken(io::ErrorKind::InvalidInput))?,
                )?;
                sending.proceed()
            }
            Some(SendRequestResult::RecvResponse(receiving)) => Some(receiving),
            Some(SendRequestResult::Await100(_)) | None => None,
        }
        .ok_or_else(|| broken(io::ErrorKind::InvalidInput))?;

        // An upstream that refuses a body early may not read all of it, but has said why.
        let sent = self.write(head, body).await;
        let mut heard = false;
        let response = loop {
            let (used, response) = call.try_response(&self.buffer, false)?;
            self.buffer.advance(used);
            if let Some(response) = response {
                break response;
            }
            heard |= used > 0;
            if used > 0 {
                continue;
            }
            if self.buffer.len() > HEAD {
                return Err(broken(io::ErrorKind::InvalidData));
            }
            self.buffer.reserve(READ);
            let unanswered = !heard && self.buffer.is_empty();
            let error = match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) => io::ErrorKind::UnexpectedEof.into(),
                Ok(_) => continue,
                Err(error) => error,
            };
            return Err(Broken { unanswered, error: sent.err().unwrap_or(error) });
        };
        let call = match call.proceed() {
            Some(RecvResponseResult::RecvBody(call)) => Some(call),
            Some(RecvResponseResult::Cleanup(call)) => {
                if sent.is_ok() && !call.must_close_connection() && self.buffer.is_empty() {
                    home.pool.give(&home.origin, self);
                }
                return Ok(response.map(|()| Http1Body(None)));
            }
            Some(RecvResponseResult::Redirect(_)) | None => return Ok(response.map(|()| Http1Body(None))),
        };
        let home = sent.is_ok().then_some(home);
        let body = call.map(|call| Box::new(Receiving { connection: self, call, home }));
        Ok(response.map(|()| Http1Body(body)))
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

fn broken(kind: io::ErrorKind) -> Broken {
    Broken { unanswered: false, error: kind.into() }
}

/// The body of an answer. Dropping it before its end closes the connection, which stops the upstream.
pub(crate) struct Http1Body(Option<Box<Receiving>>);

struct Receiving {
    connection: Connection,
    call: Call<state::RecvBody>,
    home: Option<Home>,
}

impl Receiving {
    /// What there is of the body in what was read, and whether that was its end.
    fn take(&mut self) -> io::Result<(Bytes, bool)> {
        let buffer = &mut self.connection.buffer;
        let mut data = BytesMut::zeroed(buffer.len());
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        let (used, made) = self.call.read(buffer, &mut data).map_err(invalid)?;
        if used == 0 && buffer.len() > HEAD {
            // The line between two chunks, or what follows the last, has no end.
            return Err(io::ErrorKind::InvalidData.into());
        }
        buffer.advance(used);
        data.truncate(made);
        Ok((data.freeze(), self.call.can_proceed() && !self.ends_with_connection()))
    }

    fn ends_with_connection(&self) -> bool {
        self.call.body_mode() == BodyMode::CloseDelimited
    }

    /// Gives the connection back, if it can serve another request.
    fn end(self) {
        let Self { connection, call, home } = self;
        let reusable = match call.proceed() {
            Some(ureq_proto::client::RecvBodyResult::Cleanup(call)) => !call.must_close_connection(),
            _ => false,
        };
        if let Some(home) = home.filter(|_| reusable && connection.buffer.is_empty()) {
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
                let (data, ended) = match receiving.take() {
                    Ok(taken) => taken,
                    Err(error) => {
                        self.0 = None;
                        return Poll::Ready(Some(Err(error)));
                    }
                };
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
                Ok(0) if receiving.ends_with_connection() => None,
                Ok(0) => Some(io::ErrorKind::UnexpectedEof.into()),
                Err(error) => Some(error),
            };
            self.0 = None;
            return Poll::Ready(error.map(Err));
        }
    }
}
