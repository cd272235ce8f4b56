//! One model request, from its credentials to its settlement.

use std::{
    convert::Infallible,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, SizeHint};
use model::{clock::Timestamp, refusal::Refusal, usage::UsageContext};
use wire::openai::{
    answer,
    request::{self, BodyError, Edits, Scan},
    upstream_error,
};

use crate::{
    admission::{self, Credentials, Way},
    bill::Bill,
    bound::{self, Held, Tariff},
    entry::Entry,
    gateway::Gateway,
    key_cache::Known,
    relay::Relay,
    upstream::{self, UpstreamBody},
};

/// Longest name of a model, in bytes.
const MAX_MODEL: usize = 256;
/// How much of an upstream's error is read.
const MAX_ERROR: u64 = 64 << 10;

/// Where a request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// `POST /v1/chat/completions`.
    Chat,
    /// `POST /v1/embeddings`.
    Embeddings,
}

impl Door {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Chat, Self::Embeddings];

    /// The door at a path.
    #[must_use]
    pub fn at(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|door| door.path() == path)
    }

    /// What it is for, in a few words.
    #[must_use]
    pub const fn summary(self) -> &'static str {
        match self {
            Self::Chat => "A chat completion, whole or streamed",
            Self::Embeddings => "Embeddings",
        }
    }

    /// Its path.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Embeddings => "/v1/embeddings",
        }
    }

    /// The path behind an upstream's base URL.
    const fn upstream_path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Embeddings => "/embeddings",
        }
    }

    const fn has_output(self) -> bool {
        matches!(self, Self::Chat)
    }
}

/// A model request.
pub struct Question<B> {
    /// Where it came in.
    pub door: Door,
    /// The API keys that it carries.
    pub credentials: Credentials,
    /// The caller's address.
    pub client: IpAddr,
    /// The caller's headers.
    pub headers: HeaderMap,
    /// The body, not read yet.
    pub body: B,
    /// The request id that the caller sees.
    pub request_id: String,
    /// What the log line will say.
    pub entry: Entry,
    /// When it arrived.
    pub started: Timestamp,
}

/// What goes back.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: AnswerBody,
}

/// The body of an answer.
pub struct AnswerBody(Inner);

enum Inner {
    Whole(Full<Bytes>),
    Stream(Box<Relay>),
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.0 {
            Inner::Whole(body) => Pin::new(body).poll_frame(context),
            Inner::Stream(relay) => Pin::new(&mut **relay).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Whole(body) => body.is_end_stream(),
            Inner::Stream(relay) => relay.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Whole(body) => body.size_hint(),
            Inner::Stream(_) => SizeHint::default(),
        }
    }
}

/// Answers a model request: checks, holds, sends, relays, settles.
///
/// # Errors
/// The refusal that the caller gets. Nothing is charged then.
pub async fn answer<B>(gateway: &Arc<Gateway>, question: Question<B>) -> Result<Answer, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let door = question.door.path();
    let result = tell(gateway, question).await;
    let status = result.as_ref().map_or_else(Refusal::status, |answer| answer.status.as_u16());
    gateway.metrics.request(door, status);
    result
}

async fn tell<B>(gateway: &Arc<Gateway>, question: Question<B>) -> Result<Answer, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let Question { door, credentials, client, headers, body, request_id, entry, started } = question;
    let known = admission::admit(gateway, &credentials, client, started).await?;
    entry.note(|facts| (facts.account, facts.key) = (Some(known.account.id), Some(known.key.id)));
    let settings = &gateway.settings;
    let body = read_body(&headers, body, settings.body_limit, settings.body_idle).await?;
    let scan = read(&body)?;
    let way = admission::way(&known, &gateway.routing(), &scan.model)?;
    entry.note(|facts| {
        (facts.model, facts.stream) = (Some(scan.model.clone()), scan.stream);
        (facts.group, facts.channel) = (Some(way.group.clone()), Some(way.channel.id));
    });

    let tariff = Tariff { price: Arc::clone(&way.price), ratio: way.ratio, input: scan.input_bound };
    let context = context(&known, &way, &scan, door, client, request_id.clone(), started);
    let Held { hold, output, limit } =
        bound::hold(gateway, &known, &tariff, &scan, door.has_output(), context).await?;
    let bill = Bill::new(gateway, tariff, entry, started, request_id, scan.model.clone());

    let sent = edited(&body, &scan, &way, limit, door);
    let path = door.upstream_path();
    let sending = gateway.upstream.send(&way.channel, path, &headers, sent, settings.first_byte);
    let response = match sending.await {
        Ok(response) => response,
        Err(refusal) => return Err(bill.refuse(hold, refusal)),
    };
    if !response.status().is_success() {
        let refusal = upstream_refusal(response, settings.idle).await;
        return Err(bill.refuse(hold, refusal));
    }
    let kind = match kind_of(response.headers()) {
        Some(kind) => kind,
        None => return Err(bill.refuse(hold, Refusal::UpstreamError)),
    };
    if let Err(error) = hold.durable().await {
        tracing::error!(%error, "no answer may leave");
        return Err(bill.refuse(hold, Refusal::Unavailable));
    }

    let mut answer_headers = upstream::back(response.headers());
    let status = response.status();
    match kind {
        Kind::Whole => {
            let limit = settings.answer_limit;
            let whole = match read_upstream(response.into_body(), limit, settings.idle).await {
                Ok(whole) => whole,
                Err(refusal) => return Err(bill.refuse(hold, refusal)),
            };
            let read = answer::read(&whole);
            if read.is_error {
                let words = upstream_error::read(502, &whole);
                let refusal = Refusal::Upstream {
                    status: 502,
                    code: words.code,
                    message: words.message,
                    retry_after: None,
                };
                return Err(bill.refuse(hold, refusal));
            }
            bill.settle(hold, read.reported, read.estimated_output, status.as_u16()).await;
            let body = AnswerBody(Inner::Whole(Full::new(whole)));
            Ok(Answer { status, headers: answer_headers, body })
        }
        Kind::Stream => {
            answer_headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            answer_headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
            let most = scan.output_limit.unwrap_or(u64::MAX).min(way.price.max_output);
            let most = limit.unwrap_or(most).saturating_mul(scan.choices);
            let relay = Relay::new(bill, hold, response.into_body(), scan.include_usage, output, most);
            let body = AnswerBody(Inner::Stream(Box::new(relay)));
            Ok(Answer { status, headers: answer_headers, body })
        }
    }
}

fn read(body: &[u8]) -> Result<Scan, Refusal> {
    let scan = request::scan(body).map_err(|error| match error {
        BodyError::ModelRequired => Refusal::ModelRequired,
        error => Refusal::InvalidRequest(error.to_string()),
    })?;
    if scan.model.len() > MAX_MODEL {
        return Err(Refusal::InvalidRequest(format!("model must have at most {MAX_MODEL} bytes")));
    }
    Ok(scan)
}

fn context(
    known: &Known,
    way: &Way,
    scan: &Scan,
    door: Door,
    client: IpAddr,
    request_id: String,
    started: Timestamp,
) -> UsageContext {
    UsageContext {
        request_id,
        account: known.account.id,
        key: known.key.id,
        key_name: known.key.settings.name.clone(),
        group: way.group.clone(),
        channel: way.channel.id,
        model: scan.model.clone(),
        upstream_model: way.channel.upstream_model(&scan.model).to_owned(),
        door: door.path().to_owned(),
        stream: scan.stream,
        price: way.price.price.id,
        ratio: way.ratio,
        client,
        started,
    }
}

/// The body for the upstream: what the gateway must change, and every other byte as it came.
fn edited(body: &Bytes, scan: &Scan, way: &Way, limit: Option<u64>, door: Door) -> Bytes {
    let edits = Edits {
        model: Some(way.channel.upstream_model(&scan.model).to_owned()),
        output_limit: limit,
        ask_usage: scan.stream && door == Door::Chat,
    };
    request::edit(body, scan, &edits)
}

enum Kind {
    Whole,
    Stream,
}

/// How an answer is to be read; `None` when it is of no kind that a model answers in.
fn kind_of(headers: &HeaderMap) -> Option<Kind> {
    let encoding = headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes);
    if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case(b"identity")) {
        return None;
    }
    let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?.to_ascii_lowercase();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_owned();
    match kind.as_str() {
        "text/event-stream" => Some(Kind::Stream),
        kind if kind == "application/json" || kind.ends_with("+json") => Some(Kind::Whole),
        _ => None,
    }
}

/// Reads the caller's body: refused before it is read when it says that it is too large, and cut when it is slow.
async fn read_body<B>(headers: &HeaderMap, body: B, limit: u64, idle: Duration) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let told =
        headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if told.is_some_and(|length| length > limit) {
        return Err(Refusal::RequestTooLarge(limit));
    }
    collect(body, limit, idle).await.map_err(|error| match error {
        Cut::TooLarge => Refusal::RequestTooLarge(limit),
        Cut::Slow => Refusal::RequestTimeout,
        Cut::Broken => Refusal::InvalidRequest("the request body broke off".to_owned()),
    })
}

async fn read_upstream(body: UpstreamBody, limit: u64, idle: Duration) -> Result<Bytes, Refusal> {
    collect(body, limit, idle).await.map_err(|error| match error {
        Cut::TooLarge | Cut::Broken => Refusal::UpstreamError,
        Cut::Slow => Refusal::UpstreamTimeout,
    })
}

enum Cut {
    TooLarge,
    Slow,
    Broken,
}

async fn collect<B>(mut body: B, limit: u64, idle: Duration) -> Result<Bytes, Cut>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    loop {
        let frame = match tokio::time::timeout(idle, Pin::new(&mut body).frame()).await {
            Err(_) => return Err(Cut::Slow),
            Ok(None) => break,
            Ok(Some(Err(_))) => return Err(Cut::Broken),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        if (first.len() + rest.len() + data.len()) as u64 > limit {
            return Err(Cut::TooLarge);
        }
        // Most bodies come in one piece and are not copied.
        if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&std::mem::take(&mut first));
            }
            rest.extend_from_slice(&data);
        }
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

async fn upstream_refusal(response: http::Response<UpstreamBody>, idle: Duration) -> Refusal {
    let status = response.status();
    // A redirect is not followed, and a caller could do nothing with it.
    if !(status.is_client_error() || status.is_server_error()) {
        return Refusal::UpstreamError;
    }
    let retry_after = upstream::retry_after(response.headers());
    let body = collect(response.into_body(), MAX_ERROR, idle).await.unwrap_or_default();
    let words = upstream_error::read(status.as_u16(), &body);
    Refusal::Upstream { status: status.as_u16(), code: words.code, message: words.message, retry_after }
}
