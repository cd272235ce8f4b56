//! One attempt: a request to one channel, up to the point where its answer may go to the caller.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use model::refusal::Refusal;
use wire::openai::{
    answer::{self, Answer},
    request::{self, Edits, Scan},
    upstream_error,
};

use crate::{
    body::{self, Cut, Patience},
    exchange::Door,
    gateway::Gateway,
    routing::{Attempt, Channel, UpstreamFailure, retry_after},
    upstream::{self, UpstreamBody},
};

/// How much of an upstream's error is read.
const MAX_ERROR: u64 = 64 << 10;

/// What every attempt of a request has in common.
pub(crate) struct Request<'a> {
    pub(crate) door: Door,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a Bytes,
    pub(crate) scan: &'a Scan,
    /// The output limit that the upstream must keep, when it is not the caller's own.
    pub(crate) limit: Option<u64>,
}

/// An answer that may go to the caller.
pub(crate) struct Got {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) content: Content,
}

/// What is in it.
pub(crate) enum Content {
    Whole(Bytes, Answer),
    Stream(UpstreamBody),
}

/// An attempt that failed.
pub(crate) struct Failed {
    /// What went wrong with the upstream.
    pub(crate) failure: UpstreamFailure,
    /// What the caller gets when there is no further attempt.
    pub(crate) refusal: Refusal,
}

impl From<UpstreamFailure> for Failed {
    fn from(failure: UpstreamFailure) -> Self {
        let refusal = match failure {
            UpstreamFailure::Timeout => Refusal::UpstreamTimeout,
            _ => Refusal::UpstreamError,
        };
        Self { failure, refusal }
    }
}

/// Makes an attempt.
///
/// # Errors
/// [`Failed`]; nothing has gone to the caller then.
pub(crate) async fn make(gateway: &Gateway, attempt: &Attempt, request: &Request<'_>) -> Result<Got, Failed> {
    let (channel, settings) = (attempt.permit.channel(), &gateway.settings);
    let sent = edited(request, channel);
    let limit = attempt.limit.min(settings.first_byte);
    let path = request.door.upstream_path();
    let response = gateway.upstream.send(channel, path, request.headers, sent, limit).await?;
    let status = response.status();
    if !status.is_success() {
        return Err(refused(gateway, response).await);
    }
    let kind = kind_of(response.headers()).ok_or(UpstreamFailure::Malformed)?;
    let headers = upstream::back(response.headers());
    if kind == Kind::Stream {
        return Ok(Got { status, headers, content: Content::Stream(response.into_body()) });
    }
    let patience = Patience { idle: settings.idle, whole: settings.answer };
    let whole = body::collect(response.into_body(), settings.answer_limit, patience).await;
    let whole = whole.map_err(|cut| match cut {
        Cut::TooLarge => UpstreamFailure::Malformed,
        Cut::Slow => UpstreamFailure::Timeout,
        Cut::Broken => UpstreamFailure::Reset,
    })?;
    let read = answer::read(&whole);
    if read.is_error {
        return Err(told(502, None, &whole));
    }
    if !read.is_whole {
        return Err(UpstreamFailure::Malformed.into());
    }
    Ok(Got { status, headers, content: Content::Whole(whole, read) })
}

/// The body for the upstream: what the gateway must change, and every other byte as it came.
fn edited(request: &Request<'_>, channel: &Channel) -> Bytes {
    let Request { door, body, scan, limit, .. } = request;
    let edits = Edits {
        model: Some(channel.upstream_model(&scan.model).to_owned()),
        output_limit: *limit,
        ask_usage: scan.stream && *door == Door::Chat,
    };
    request::edit(body, scan, &edits)
}

#[derive(Clone, Copy, PartialEq, Eq)]
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
    let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let ends = |end: &str| kind.len().checked_sub(end.len()).and_then(|at| kind.get(at..));
    if kind.eq_ignore_ascii_case("text/event-stream") {
        return Some(Kind::Stream);
    }
    let json = kind.eq_ignore_ascii_case("application/json")
        || ends("+json").is_some_and(|end| end.eq_ignore_ascii_case("+json"));
    json.then_some(Kind::Whole)
}

/// An answer that is no success.
async fn refused(gateway: &Gateway, response: Response<UpstreamBody>) -> Failed {
    let status = response.status();
    // A redirect is not followed, and a caller could do nothing with it.
    if !(status.is_client_error() || status.is_server_error()) {
        return UpstreamFailure::Malformed.into();
    }
    let after = retry_after(response.headers(), gateway.now());
    let seconds = upstream::retry_after(response.headers());
    // The words are good to have, but the status says enough to go on with.
    let patience = Patience { idle: gateway.settings.idle, whole: gateway.settings.idle };
    let body = body::collect(response.into_body(), MAX_ERROR, patience).await.unwrap_or_default();
    let mut failed = told(status.as_u16(), seconds, &body);
    failed.failure = UpstreamFailure::Status { status: status.as_u16(), retry_after: after };
    failed
}

/// An upstream's own words.
fn told(status: u16, retry_after: Option<u32>, body: &[u8]) -> Failed {
    let words = upstream_error::read(status, body);
    let refusal = Refusal::Upstream { status, code: words.code, message: words.message, retry_after };
    Failed { failure: UpstreamFailure::Status { status, retry_after: None }, refusal }
}
