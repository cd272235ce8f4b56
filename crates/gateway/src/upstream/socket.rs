//! Websockets to upstreams: one request that becomes a conversation, on a connection of its own.
//!
//! Addresses, certificates and credentials are those of every other request. Only HTTP/1.1 is spoken, because the upgrade
//! is its own.

use std::{io, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::Empty;
use hyper::{
    body::Incoming,
    client::conn::http1,
    upgrade::{self, Upgraded},
};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        handshake::{client::generate_key, derive_accept_key},
        protocol::{Role, WebSocketConfig},
    },
};

use super::{NoAnswer, Secret, Target, Upstream, chain, headers::onward};
use crate::routing::{Channel, UpstreamFailure};

/// A conversation with an upstream.
pub(crate) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// What an upstream says to the wish for a websocket.
pub(crate) enum Opening {
    /// It is open.
    Open(Box<Socket>),
    /// There is none, for the reason that stands in this answer.
    Refused(Response<Incoming>),
}

impl Upstream {
    /// Opens a websocket at `path` of a channel's upstream, with the headers of `caller` that may go on.
    pub(crate) async fn open_socket(
        &self,
        channel: &Channel,
        caller: &HeaderMap,
        path: &str,
        config: WebSocketConfig,
        limit: Duration,
    ) -> Result<Opening, NoAnswer> {
        let Some(path) = channel.target.path(path) else {
            tracing::error!(channel = %channel.id, "a channel's address is not one");
            return Err(UpstreamFailure::Connect.into());
        };
        let mut headers = onward(channel, caller, true, 0);
        headers.remove(header::CONTENT_LENGTH);
        match &channel.secret {
            Secret::None => {}
            Secret::Header(name, value) => drop(headers.insert(name.clone(), value.clone())),
            Secret::Unusable(reason) => return Err(NoAnswer::Credential((*reason).to_owned())),
            Secret::ServiceAccount(_) | Secret::AccessKey(_) => {
                return Err(NoAnswer::Credential("websockets are opened with an API key".to_owned()));
            }
        }
        let mut request = Request::new(Empty::new());
        (*request.uri_mut(), *request.headers_mut()) = (Uri::from(path), headers);
        let opening = tokio::time::timeout(limit, self.open_for_ever(&channel.target, request, config));
        let opened = opening.await.unwrap_or_else(|_| Err(UpstreamFailure::Timeout.into()));
        if let Err(error) = &opened {
            tracing::warn!(channel = %channel.id, %error, "an upstream's websocket cannot be opened");
        }
        opened
    }

    async fn open_for_ever(
        &self,
        target: &Target,
        mut request: Request<Empty<Bytes>>,
        config: WebSocketConfig,
    ) -> Result<Opening, NoAnswer> {
        let key = generate_key();
        let accept = derive_accept_key(key.as_bytes());
        let headers = request.headers_mut();
        headers.insert(header::HOST, target.host.clone());
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        let key = HeaderValue::from_str(&key).map_err(|_| UpstreamFailure::Connect)?;
        headers.insert(header::SEC_WEBSOCKET_KEY, key);
        let dialled = self.dialer.dial_http1(&target.origin).await;
        let stream = dialled.map_err(|error| NoAnswer::from((UpstreamFailure::Connect, error)))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(reset)?;
        // It ends with the upgrade, or with the answer that refuses it.
        tokio::spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(error = chain(&error), "an upstream's connection ended");
            }
        });
        let response = sender.send_request(request).await.map_err(reset)?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Opening::Refused(response));
        }
        let accepted = response.headers().get(header::SEC_WEBSOCKET_ACCEPT);
        if accepted.is_none_or(|accepted| accepted.as_bytes() != accept.as_bytes()) {
            return Err(UpstreamFailure::Malformed.into());
        }
        let upgraded = TokioIo::new(upgrade::on(response).await.map_err(reset)?);
        let socket = WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(config)).await;
        Ok(Opening::Open(Box::new(socket)))
    }
}

fn reset(error: hyper::Error) -> NoAnswer {
    (UpstreamFailure::Reset, io::Error::other(error)).into()
}
