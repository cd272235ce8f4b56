//! Talking to providers: the one place with an HTTP client.
//!
//! Connections are kept and shared; nothing follows a redirect; only the headers on a short list leave, and only
//! those on another come back.

mod http1;
mod pool;
mod stream;
mod target;

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri, header, uri::PathAndQuery};
use http_body_util::Full;
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    client::conn::http2,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

pub(crate) use self::target::Target;
use self::{
    http1::{Connection, Home, Http1Body},
    pool::{Pool, Shared},
    stream::Dialer,
};
use crate::{
    dial::DialPolicy,
    routing::{Channel, UpstreamFailure},
};

/// The caller's headers that go on to the provider.
const ONWARD: [HeaderName; 3] = [header::ACCEPT, header::USER_AGENT, HeaderName::from_static("openai-beta")];

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
    pub(crate) fn new(connect: Duration, policy: DialPolicy) -> Self {
        Self { dialer: Dialer::new(connect, policy), pool: Arc::default() }
    }

    /// Closes connections that nobody has used for a while.
    pub(crate) fn sweep(&self) {
        self.pool.sweep();
    }

    /// Sends a request to `channel` and waits for the head of the answer. Dropping the future or the answer's body
    /// ends the request upstream.
    pub(crate) async fn send(
        &self,
        channel: &Channel,
        path: &str,
        caller: &HeaderMap,
        body: Bytes,
        limit: Duration,
    ) -> Result<Response<UpstreamBody>, UpstreamFailure> {
        let Some(path) = channel.target.path(path) else {
            tracing::error!(channel = %channel.id, "a channel's address is not one");
            return Err(UpstreamFailure::Connect);
        };
        let headers = onward(channel, caller, body.len());
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
        if origin.secure
            && let Some(shared) = self.pool.shared(origin)
        {
            return send_shared(shared, target, path, headers, body).await.map_err(broken);
        }
        let home = || Home { pool: Arc::clone(&self.pool), origin: origin.clone() };
        if let Some(connection) = self.pool.take(origin) {
            let answer = connection.send(request(&path, headers.clone(), target), &body, home()).await;
            match answer {
                Ok(answer) => return Ok(answer.map(UpstreamBody::Http1)),
                // The upstream closed it at the very moment of the request, as it may: that was no answer.
                Err(why) if why.unanswered => {}
                Err(why) => return Err(broken(why.error)),
            }
        }
        let connecting = self.dialer.dial(origin).await;
        let stream = connecting.map_err(|error| (UpstreamFailure::Connect, error))?;
        if stream.is_http2() {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder
                .adaptive_window(true)
                .timer(TokioTimer::new())
                .keep_alive_interval(Duration::from_secs(30));
            let opened = builder.handshake(TokioIo::new(stream)).await;
            let (shared, connection) = opened.map_err(|error| broken(io::Error::other(error)))?;
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(error = chain(&error), "an upstream's connection ended");
                }
            });
            self.pool.share(origin, shared.clone());
            return send_shared(shared, target, path, headers, body).await.map_err(broken);
        }
        let connection = Connection::new(stream, BytesMut::new());
        let answer = connection.send(request(&path, headers, target), &body, home()).await;
        answer.map(|answer| answer.map(UpstreamBody::Http1)).map_err(|why| broken(why.error))
    }
}

/// What a broken connection is: nothing that is HTTP, or nothing at all.
fn broken(error: io::Error) -> (UpstreamFailure, io::Error) {
    match error.kind() {
        io::ErrorKind::InvalidData => (UpstreamFailure::Malformed, error),
        _ => (UpstreamFailure::Reset, error),
    }
}

/// The headers that go to the upstream.
fn onward(channel: &Channel, caller: &HeaderMap, length: usize) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    for name in &ONWARD {
        for value in caller.get_all(name) {
            headers.append(name, value.clone());
        }
    }
    if let Some(authorization) = &channel.authorization {
        headers.insert(header::AUTHORIZATION, authorization.clone());
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

async fn send_shared(
    mut shared: Shared,
    target: &Target,
    path: PathAndQuery,
    headers: HeaderMap,
    body: Bytes,
) -> io::Result<Response<UpstreamBody>> {
    let uri = Uri::builder().scheme(target.scheme()).authority(target.authority.clone()).path_and_query(path);
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = uri.build().map_err(io::Error::other)?;
    *request.headers_mut() = headers;
    shared.ready().await.map_err(io::Error::other)?;
    let answer = shared.send_request(request).await.map_err(io::Error::other)?;
    Ok(answer.map(UpstreamBody::Http2))
}

/// The body of an upstream's answer.
pub(crate) enum UpstreamBody {
    /// In the hands of whoever reads it.
    Http1(Http1Body),
    /// From a shared connection.
    Http2(Incoming),
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Http1(body) => body.poll(context),
            Self::Http2(body) => Pin::new(body)
                .poll_frame(context)
                .map(|frame| frame.map(|frame| frame.map_err(io::Error::other))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(body) => body.is_end(),
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(_) => SizeHint::default(),
            Self::Http2(body) => body.size_hint(),
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
