//! Talking to providers: the one place with an HTTP client.
//!
//! Connections are kept and shared; nothing follows a redirect; only the headers on a short list leave, and only
//! those on another come back.

mod http1;
mod pool;
mod roots;
mod shared;
mod stream;
mod target;

use std::{
    io,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri, header, uri::PathAndQuery};
use hyper::body::{Body, Frame, SizeHint};

pub use self::roots::{InvalidRoots, Roots};
pub(crate) use self::target::Target;
use self::{
    http1::{Connection, Home, Http1Body},
    pool::Pool,
    shared::{Shared, SharedBody},
    stream::Dialer,
    target::Origin,
};
use crate::{
    gateway::Settings,
    routing::{Channel, UpstreamFailure},
};

/// The caller's headers that go on to the provider.
const ONWARD: [HeaderName; 2] = [header::ACCEPT, header::USER_AGENT];
/// Those that go on where both speak the same dialect.
const OF_DIALECTS: [HeaderName; 3] = [
    HeaderName::from_static("openai-beta"),
    HeaderName::from_static("anthropic-beta"),
    HeaderName::from_static("anthropic-version"),
];

/// The provider's headers that go back to the caller.
const BACK: [HeaderName; 4] = [
    header::CONTENT_TYPE,
    header::CONTENT_LANGUAGE,
    HeaderName::from_static("openai-processing-ms"),
    HeaderName::from_static("openai-version"),
];

/// The client of all channels.
pub(crate) struct Upstream {
    dialer: Dialer,
    pool: Arc<Pool>,
}

impl Upstream {
    pub(crate) fn new(settings: &Settings) -> Self {
        let dialer = Dialer::new(settings.connect, settings.dial.clone(), &settings.roots);
        Self { dialer, pool: Arc::default() }
    }

    /// Closes connections that nobody has used for a while.
    pub(crate) fn sweep(&self) {
        self.pool.sweep();
    }

    /// Sends a request to `channel`, with the headers of `caller` that may go on, and waits for the head of the answer. Dropping the future or the answer's body
    /// ends the request upstream.
    pub(crate) async fn send(
        &self,
        channel: &Channel,
        caller: &HeaderMap,
        outgoing: Outgoing<'_>,
        limit: Duration,
    ) -> Result<Response<UpstreamBody>, UpstreamFailure> {
        let Outgoing { path, body, native } = outgoing;
        let Some(path) = channel.target.path(path) else {
            tracing::error!(channel = %channel.id, "a channel's address is not one");
            return Err(UpstreamFailure::Connect);
        };
        let headers = onward(channel, caller, native, body.len());
        match tokio::time::timeout(limit, self.send_for_ever(&channel.target, path, headers, body)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err((failure, error))) => {
                tracing::warn!(channel = %channel.id, error = chain(&error), "an upstream cannot be reached");
                Err(failure)
            }
            Err(_) => Err(UpstreamFailure::Timeout),
        }
    }

    async fn send_for_ever(
        &self,
        target: &Target,
        path: PathAndQuery,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<UpstreamBody>, (UpstreamFailure, io::Error)> {
        let origin = &target.origin;
        if let Some(shared) = self.pool.shared(origin) {
            match shared.send(target, path.clone(), headers.clone(), body.clone()).await {
                Ok(answer) => return Ok(answer.map(UpstreamBody::Http2)),
                // The upstream closed it at the very moment of the request, as it may: that was no answer.
                Err(why) if why.closed => {}
                Err(why) => return Err(broken(why.error)),
            }
        }
        let home = || Home { pool: Arc::clone(&self.pool), origin: origin.clone() };
        if let Some(connection) = self.pool.take(origin) {
            let answer = connection.send(request(&path, headers.clone(), target), &body, home()).await;
            match answer {
                Ok(answer) => return Ok(answer.map(UpstreamBody::Http1)),
                Err(why) if why.unanswered => {}
                Err(why) => return Err(broken(why.error)),
            }
        }
        match self.open(origin).await? {
            Opened::Shared(shared) => {
                let answer = shared.send(target, path, headers, body).await;
                answer.map(|answer| answer.map(UpstreamBody::Http2)).map_err(|why| broken(why.error))
            }
            Opened::Own(connection) => {
                let answer = connection.send(request(&path, headers, target), &body, home()).await;
                answer.map(|answer| answer.map(UpstreamBody::Http1)).map_err(|why| broken(why.error))
            }
        }
    }

    /// A fresh connection. Where HTTP/2 may be spoken, one request connects at a time and the others wait, because they
    /// may share its connection; when it fails, they wait no longer.
    async fn open(&self, origin: &Origin) -> Result<Opened, (UpstreamFailure, io::Error)> {
        let Some(turn) = self.pool.turn(origin) else { return self.connect(origin).await };
        let before = turn.failed.load(Ordering::Relaxed);
        let holding = turn.lock.lock().await;
        if let Some(shared) = self.pool.shared(origin) {
            return Ok(Opened::Shared(shared));
        }
        if turn.failed.load(Ordering::Relaxed) != before || self.pool.turn(origin).is_none() {
            drop(holding);
            return self.connect(origin).await;
        }
        let opened = self.connect(origin).await;
        if opened.is_err() {
            turn.failed.fetch_add(1, Ordering::Relaxed);
        }
        opened
    }

    async fn connect(&self, origin: &Origin) -> Result<Opened, (UpstreamFailure, io::Error)> {
        let dialled = self.dialer.dial(origin).await;
        let stream = dialled.map_err(|error| (UpstreamFailure::Connect, error))?;
        if stream.is_http2() {
            let shared = Shared::open(stream).await.map_err(broken)?;
            self.pool.share(origin, shared.clone());
            return Ok(Opened::Shared(shared));
        }
        if origin.secure {
            self.pool.speaks_http1(origin);
        }
        Ok(Opened::Own(Connection::new(stream, BytesMut::new())))
    }
}

/// What goes to an upstream.
pub(crate) struct Outgoing<'a> {
    /// Behind the base URL, with its query.
    pub(crate) path: &'a str,
    pub(crate) body: Bytes,
    /// Whether it is in the caller's own dialect.
    pub(crate) native: bool,
}

/// A fresh connection.
enum Opened {
    /// Of one request at a time.
    Own(Connection),
    /// Of many.
    Shared(Shared),
}

/// What a broken connection is: nothing that is HTTP, or nothing at all.
fn broken(error: io::Error) -> (UpstreamFailure, io::Error) {
    match error.kind() {
        io::ErrorKind::InvalidData => (UpstreamFailure::Malformed, error),
        _ => (UpstreamFailure::Reset, error),
    }
}

/// The headers that go to the upstream.
fn onward(channel: &Channel, caller: &HeaderMap, native: bool, length: usize) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    for name in ONWARD.into_iter().chain(OF_DIALECTS.into_iter().filter(|_| native)) {
        for value in caller.get_all(&name) {
            headers.append(name.clone(), value.clone());
        }
    }
    for (name, value) in channel.provider.headers {
        headers.entry(HeaderName::from_static(name)).or_insert(HeaderValue::from_static(value));
    }
    if let Some((name, value)) = &channel.credential_header {
        headers.insert(name.clone(), value.clone());
    }
    headers
}

fn request(path: &PathAndQuery, mut headers: HeaderMap, target: &Target) -> Request<()> {
    headers.insert(header::HOST, target.host.clone());
    let mut request = Request::new(());
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = Uri::from(path.clone());
    *request.headers_mut() = headers;
    request
}

/// The body of an upstream's answer.
pub(crate) enum UpstreamBody {
    /// In the hands of whoever reads it.
    Http1(Http1Body),
    /// From a shared connection.
    Http2(SharedBody),
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Http1(body) => body.poll(context),
            Self::Http2(shared) => Pin::new(&mut shared.body)
                .poll_frame(context)
                .map(|frame| frame.map(|frame| frame.map_err(io::Error::other))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(body) => body.is_end(),
            Self::Http2(shared) => shared.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(_) => SizeHint::default(),
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

/// The headers of an answer that may go back.
pub(crate) fn back(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for name in &BACK {
        if let Some(value) = headers.get(name) {
            kept.insert(name, value.clone());
        }
    }
    kept
}

/// Seconds until the upstream wants to be asked again; a date or nonsense counts as nothing said.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<u32> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    (seconds <= 86_400).then_some(seconds)
}
