//! An HTTP/2 connection, which many requests share.

use std::{
    error::Error,
    future::{Future, poll_fn},
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Request, Response, Uri};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use super::{Sending, chain, stream::Stream, target::Target};
use crate::form::PayloadBody;

/// Bytes of one answer that may be on their way to a caller who does not read them.
const STREAM_WINDOW: u32 = 256 << 10;
/// The same for all answers of a connection. The `h2` crate ends a connection whose unread frames are small and many (its
/// protection against floods), and how many it takes grows with this. Streamed answers are small frames.
const CONNECTION_WINDOW: u32 = 256 << 20;

/// A share of a connection. Each request has one until its answer has been read; the pool has one more.
#[derive(Clone)]
pub(super) struct Shared {
    sender: http2::SendRequest<PayloadBody>,
    /// Requests that the upstream takes at a time.
    most: Arc<AtomicUsize>,
    shares: Arc<()>,
}

/// Why there is no answer.
pub(super) struct Unanswered {
    /// Whether the upstream closed the connection, or had begun to, before it answered.
    pub(super) closed: bool,
    pub(super) error: io::Error,
}

impl Shared {
    /// Begins to speak HTTP/2.
    ///
    /// # Errors
    /// The connection broke.
    pub(super) async fn open(stream: Stream) -> io::Result<Self> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_secs(30));
        let opened = builder.handshake(TokioIo::new(stream)).await;
        let (sender, mut connection) = opened.map_err(io::Error::other)?;
        let most = Arc::new(AtomicUsize::new(connection.current_max_send_streams()));
        let told = Arc::clone(&most);
        tokio::spawn(async move {
            let ended = poll_fn(|context| {
                let polled = pin!(&mut connection).poll(context);
                told.store(connection.current_max_send_streams(), Ordering::Relaxed);
                polled
            });
            if let Err(error) = ended.await {
                tracing::debug!(error = chain(&error), "an upstream's connection ended");
            }
        });
        Ok(Self { sender, most, shares: Arc::default() })
    }

    /// Whether it has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Whether the upstream takes a further request on it at once; asked by the pool of its own share.
    pub(super) fn has_room(&self) -> bool {
        Arc::strong_count(&self.shares) <= self.most.load(Ordering::Relaxed)
    }

    /// Sends a request and waits for the head of its answer. Dropping the future or the answer's body resets this
    /// request's stream and no other.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub(super) async fn send(
        mut self,
        target: &Target,
        sending: Sending,
    ) -> Result<Response<SharedBody>, Unanswered> {
        let Sending { method, path, headers, body } = sending;
        let uri =
            Uri::builder().scheme(target.scheme()).authority(target.authority.clone()).path_and_query(path);
        let no_address = |error| Unanswered { closed: false, error: io::Error::other(error) };
        let mut request = Request::new(body.body());
        *request.method_mut() = method;
        *request.uri_mut() = uri.build().map_err(no_address)?;
        *request.headers_mut() = headers;
        self.sender.ready().await.map_err(Unanswered::from)?;
        let answer = self.sender.send_request(request).await.map_err(Unanswered::from)?;
        Ok(answer.map(|body| SharedBody { body, _share: self.shares }))
    }
}

impl From<hyper::Error> for Unanswered {
    fn from(error: hyper::Error) -> Self {
        let cause = error.source().and_then(|cause| cause.downcast_ref::<h2::Error>());
        let closed = error.is_canceled()
            || error.is_closed()
            || cause.is_some_and(|cause| {
                let refused = cause.reason() == Some(h2::Reason::REFUSED_STREAM);
                cause.is_io() || cause.is_remote() && (cause.is_go_away() || refused)
            });
        Self { closed, error: io::Error::other(error) }
    }
}

/// The body of an answer on a shared connection.
pub(crate) struct SharedBody {
    pub(super) body: Incoming,
    _share: Arc<()>,
}
