//! Talking to providers: the one place with an HTTP client.
//!
//! Connections are kept and shared; nothing follows a redirect; only the headers on a short list leave, and only
//! those on another come back.

mod answer;
mod aws;
mod framed;
mod headers;
mod http1;
mod pool;
mod roots;
mod secret;
mod service_account;
mod shared;
mod socket;
mod stream;
mod target;
mod tokens;

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header, uri::PathAndQuery};
use model::clock::Clock;

pub use self::roots::{InvalidRoots, Roots};
pub(crate) use self::{
    answer::{NoAnswer, UpstreamBody, chain},
    aws::refuses_credential,
    headers::{back, retry_after},
    secret::Secret,
    socket::{Opening, Socket},
    target::Target,
};
use self::{
    headers::onward,
    http1::{Connection, Home},
    pool::Pool,
    service_account::ServiceAccount,
    shared::Shared,
    stream::Dialer,
    target::Origin,
    tokens::{Given, Token, Tokens},
};
use crate::{
    body::{self, Cut, Patience},
    form::Payload,
    gateway::Settings,
    room::Room,
    routing::{Channel, UpstreamFailure, retry_after as rest},
    workers,
};

/// The longest time for a token endpoint's answer after its head.
const TOKEN: Duration = Duration::from_secs(10);
/// Largest answer of a token endpoint, in bytes.
const MAX_TOKEN: u64 = 64 << 10;

/// The client of all channels.
pub(crate) struct Upstream {
    dialer: Dialer,
    /// Of tasks outside of all workers.
    pool: Arc<Pool>,
    /// Of each worker: a connection belongs to the thread that waits for its answers.
    of_workers: Vec<Arc<Pool>>,
    tokens: Tokens,
    clock: Arc<dyn Clock>,
}

impl Upstream {
    pub(crate) fn new(settings: &Settings, clock: Arc<dyn Clock>) -> Self {
        let dialer = Dialer::new(settings.connect, settings.dial.clone(), &settings.roots);
        let of_workers = (0..settings.workers).map(|_| Arc::default()).collect();
        Self { dialer, pool: Arc::default(), of_workers, tokens: Tokens::default(), clock }
    }

    /// Closes connections that nobody has used for a while, and forgets access tokens that have ended.
    pub(crate) fn sweep(&self) {
        self.of_workers.iter().chain([&self.pool]).for_each(|pool| pool.sweep());
        self.tokens.sweep(self.clock.now());
    }

    /// The connections that may be used here.
    fn pool(&self) -> &Arc<Pool> {
        workers::here().and_then(|index| self.of_workers.get(index)).unwrap_or(&self.pool)
    }

    /// Sends a request to `channel`, with the headers of `caller` that may go on, and waits for the head of the answer. Dropping the future or the answer's body
    /// ends the request upstream.
    pub(crate) async fn send(
        &self,
        channel: &Channel,
        caller: &HeaderMap,
        outgoing: Outgoing<'_>,
        limit: Duration,
    ) -> Result<Response<UpstreamBody>, NoAnswer> {
        let Outgoing { path, body, kind, native } = outgoing;
        let Some(path) = channel.target.path(path) else {
            tracing::error!(channel = %channel.id, "a channel's address is not one");
            return Err(UpstreamFailure::Connect.into());
        };
        let mut headers = onward(channel, caller, native, body.len());
        headers.insert(header::CONTENT_TYPE, kind);
        self.send_in_time(channel, Sending { method: Method::POST, path, headers, body }, limit).await
    }

    /// Sends a request of another kind than a model's, as [`Upstream::send`] does.
    pub(crate) async fn ask(
        &self,
        channel: &Channel,
        ask: Ask<'_>,
        limit: Duration,
    ) -> Result<Response<UpstreamBody>, NoAnswer> {
        let Ask { method, path, content } = ask;
        let Some(path) = channel.target.path(path) else {
            tracing::error!(channel = %channel.id, "a channel's address is not one");
            return Err(UpstreamFailure::Connect.into());
        };
        let fixed = channel.provider.headers.iter();
        let mut headers: HeaderMap = fixed
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let body = content.map_or_else(
            || Payload::from(Bytes::new()),
            |(kind, body)| {
                headers.insert(header::CONTENT_TYPE, kind);
                headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
                body
            },
        );
        self.send_in_time(channel, Sending { method, path, headers, body }, limit).await
    }

    async fn send_in_time(
        &self,
        channel: &Channel,
        mut sending: Sending,
        limit: Duration,
    ) -> Result<Response<UpstreamBody>, NoAnswer> {
        let sent = tokio::time::timeout(limit, self.send_proven(channel, &mut sending));
        let answer = sent.await.unwrap_or(Err(UpstreamFailure::Timeout.into()));
        if let Err(NoAnswer::Credential(reason)) = &answer {
            let Channel { id, credential, .. } = channel;
            tracing::warn!(channel = %id, %credential, reason, "a credential cannot be used");
        }
        answer
    }

    /// Sends a request with what proves who asks.
    async fn send_proven(
        &self,
        channel: &Channel,
        sending: &mut Sending,
    ) -> Result<Response<UpstreamBody>, NoAnswer> {
        let Sending { method, path, headers, body } = sending;
        match &channel.secret {
            Secret::None => {}
            Secret::Header(name, value) => drop(headers.insert(name.clone(), value.clone())),
            Secret::AccessKey(key) => {
                let cannot = |reason: &str| NoAnswer::Credential(reason.to_owned());
                let whole = body.whole().ok_or_else(|| cannot("only what is in memory can be signed"))?;
                key.sign(&channel.target, method, path, headers, &whole, self.clock.now()).map_err(cannot)?;
            }
            Secret::Unusable(reason) => return Err(NoAnswer::Credential((*reason).to_owned())),
            Secret::ServiceAccount(account) => {
                let given = Box::pin(self.token(channel, account)).await?;
                headers.insert(header::AUTHORIZATION, given.header.clone());
                if !given.fresh {
                    let answer = Box::pin(self.send_to(channel, sending)).await?;
                    if answer.status() != StatusCode::UNAUTHORIZED {
                        return Ok(answer);
                    }
                    // A token may end before its time; that says nothing of the credential.
                    self.tokens.forget(channel.credential, &given.header);
                    let given = Box::pin(self.token(channel, account)).await?;
                    sending.headers.insert(header::AUTHORIZATION, given.header);
                }
            }
        }
        self.send_to(channel, sending).await
    }

    async fn send_to(
        &self,
        channel: &Channel,
        sending: &Sending,
    ) -> Result<Response<UpstreamBody>, NoAnswer> {
        match self.send_for_ever(&channel.target, sending).await {
            Ok(answer) => Ok(framed::unframed(answer)),
            Err(unreached) => {
                let no_answer = NoAnswer::from(unreached);
                tracing::warn!(channel = %channel.id, error = %no_answer, "an upstream cannot be reached");
                Err(no_answer)
            }
        }
    }

    /// The access token of a service account.
    async fn token(&self, channel: &Channel, account: &ServiceAccount) -> Result<Given, NoAnswer> {
        let made = async {
            self.new_token(account).await.inspect_err(|failure| {
                tracing::warn!(channel = %channel.id, %failure, "a token endpoint gives no access token");
            })
        };
        self.tokens.get(channel.credential, self.clock.now(), made).await
    }

    async fn new_token(&self, account: &ServiceAccount) -> Result<Token, NoAnswer> {
        let asked = account.request(self.clock.now());
        let asked = asked.map_err(|reason| NoAnswer::Credential(reason.to_owned()))?;
        let path = account.endpoint.path("").ok_or(UpstreamFailure::Connect)?;
        let mut headers = HeaderMap::new();
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(header::CONTENT_TYPE, form);
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(asked.len()));
        let sending = Sending { method: Method::POST, path, headers, body: asked.into() };
        let answer = self.send_for_ever(&account.endpoint, &sending).await;
        let (head, body) = answer?.into_parts();
        let patience = Patience { idle: TOKEN, whole: TOKEN };
        // So small a body asks for no room.
        let body = body::collect(body, MAX_TOKEN, patience, &Room::of(0)).await.map_err(|cut| match cut {
            Cut::TooLarge | Cut::NoRoom => UpstreamFailure::Malformed,
            Cut::Slow => UpstreamFailure::Timeout,
            Cut::Broken => UpstreamFailure::Reset,
        })?;
        let now = self.clock.now();
        let status = head.status.as_u16();
        match status {
            200..=299 => Ok(service_account::granted(&body, now).ok_or(UpstreamFailure::Malformed)?),
            408 | 429 | 500.. => {
                Err(UpstreamFailure::Status { status, retry_after: rest(&head.headers, now) }.into())
            }
            400..=499 => Err(NoAnswer::Credential(service_account::refused(head.status, &body))),
            _ => Err(UpstreamFailure::Malformed.into()),
        }
    }

    async fn send_for_ever(
        &self,
        target: &Target,
        sending: &Sending,
    ) -> Result<Response<UpstreamBody>, (UpstreamFailure, io::Error)> {
        let (origin, pool) = (&target.origin, self.pool());
        if let Some(shared) = pool.shared(origin) {
            match Box::pin(shared.send(target, sending.clone())).await {
                Ok(answer) => return Ok(answer.map(UpstreamBody::Http2)),
                // The upstream closed it at the very moment of the request, as it may: that was no answer.
                Err(why) if why.closed => {}
                Err(why) => return Err(broken(why.error)),
            }
        }
        let home = || Home { pool: Arc::clone(pool), origin: origin.clone() };
        if let Some(connection) = pool.take(origin) {
            let answer = connection.send(target, sending, home()).await;
            match answer {
                Ok(answer) => return Ok(answer.map(UpstreamBody::Http1)),
                Err(why) if why.unanswered => {}
                Err(why) => return Err(broken(why.error)),
            }
        }
        match Box::pin(self.open(origin)).await? {
            Opened::Shared(shared) => {
                let answer = Box::pin(shared.send(target, sending.clone())).await;
                answer.map(|answer| answer.map(UpstreamBody::Http2)).map_err(|why| broken(why.error))
            }
            Opened::Own(connection) => {
                let answer = connection.send(target, sending, home()).await;
                answer.map(|answer| answer.map(UpstreamBody::Http1)).map_err(|why| broken(why.error))
            }
        }
    }

    /// A fresh connection. Where HTTP/2 may be spoken, one request connects at a time and the others wait, because they
    /// may share its connection; when it fails, they wait no longer.
    async fn open(&self, origin: &Origin) -> Result<Opened, (UpstreamFailure, io::Error)> {
        let pool = self.pool();
        let Some(turn) = pool.turn(origin) else { return self.connect(origin).await };
        let before = turn.failed.load(Ordering::Relaxed);
        let holding = turn.lock.lock().await;
        if let Some(shared) = pool.shared(origin) {
            return Ok(Opened::Shared(shared));
        }
        if turn.failed.load(Ordering::Relaxed) != before || pool.turn(origin).is_none() {
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
            self.pool().share(origin, shared.clone());
            return Ok(Opened::Shared(shared));
        }
        if origin.secure {
            self.pool().speaks_http1(origin);
        }
        Ok(Opened::Own(Connection::new(stream, BytesMut::new())))
    }
}

/// What goes to an upstream.
pub(crate) struct Outgoing<'a> {
    /// Behind the base URL, with its query.
    pub(crate) path: &'a str,
    pub(crate) body: Payload,
    /// Of which kind it is.
    pub(crate) kind: HeaderValue,
    /// Whether it is in the caller's own dialect.
    pub(crate) native: bool,
}

/// A request that is no model's: about a job, for one.
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    /// Behind the base URL, with its query.
    pub(crate) path: &'a str,
    /// The body, and of which kind it is.
    pub(crate) content: Option<(HeaderValue, Payload)>,
}

/// A request as it goes out.
#[derive(Clone)]
struct Sending {
    method: Method,
    path: PathAndQuery,
    headers: HeaderMap,
    body: Payload,
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
