//! Talking to providers: the one place with an HTTP client.
//!
//! Connections are kept and shared; nothing follows a redirect; only the headers on a short list leave, and only
//! those on another come back.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use model::refusal::Refusal;

use crate::routing::Channel;

/// How long an idle connection is kept.
const KEPT: Duration = Duration::from_secs(60);

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
pub(crate) struct Upstream(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Upstream {
    pub(crate) fn new(connect: Duration) -> Self {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(connect));
        let https = HttpsConnectorBuilder::new()
            .with_webpki_roots()
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(KEPT)
            .http2_adaptive_window(true)
            .build(https);
        Self(client)
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
    ) -> Result<Response<Incoming>, Refusal> {
        let mut request = Request::post(format!("{}{path}", channel.base_url))
            .header(header::CONTENT_TYPE, "application/json");
        for name in &ONWARD {
            for value in caller.get_all(name) {
                request = request.header(name, value);
            }
        }
        if let Some(authorization) = &channel.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request.body(Full::new(body)).map_err(|error| {
            tracing::error!(channel = %channel.id, %error, "a channel's address is not one");
            Refusal::UpstreamError
        })?;
        match tokio::time::timeout(limit, self.0.request(request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                tracing::warn!(channel = %channel.id, error = chain(&error), "an upstream cannot be reached");
                Err(Refusal::UpstreamError)
            }
            Err(_) => Err(Refusal::UpstreamTimeout),
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
