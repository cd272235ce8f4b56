//! One attempt: a request to one channel, up to the point where its answer may go to the caller.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use hyper::body::Body;
use model::{clock::Timestamp, price::Terms, refusal::Refusal, usage::Parts};
use store::ModelFacts;
use wire::{
    extras, google,
    openai::{answer::Answer, estimate, upstream_error},
    passage::Passage,
    plain::{self, Sound},
    request::Scan,
    sound,
};

use crate::{
    bill::Seen,
    body::{self, Cut, Patience},
    door::{Door, Entrance},
    form::Form,
    gateway::Gateway,
    measure::Measured,
    provider::{Provider, Style},
    routing::{Attempt, UpstreamFailure, retry_after},
    sent::{self, Said, Sent},
    upstream::{self, NoAnswer, UpstreamBody},
};

/// How much of an upstream's error is read.
const MAX_ERROR: u64 = 64 << 10;
/// Where Google says under which terms an answer was made.
const TIER: HeaderName = HeaderName::from_static("x-gemini-service-tier");

/// What every attempt of a request has in common.
pub(crate) struct Request<'a> {
    pub(crate) entrance: &'a Entrance,
    pub(crate) headers: &'a HeaderMap,
    /// The body, where it is no form.
    pub(crate) body: &'a Bytes,
    pub(crate) scan: &'a Scan,
    /// What is known of the model.
    pub(crate) facts: Option<&'a ModelFacts>,
    /// The output limit that the upstream must keep, when it is not the caller's own.
    pub(crate) limit: Option<u64>,
    /// The model's largest output.
    pub(crate) max_output: u64,
    /// The form that was sent instead, if one was.
    pub(crate) form: Option<&'a Form>,
    /// How large it is.
    pub(crate) measured: Measured,
    /// When the request came.
    pub(crate) now: Timestamp,
}

/// An answer that may go to the caller.
pub(crate) struct Got {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) content: Content,
    /// The terms of service that its head names.
    pub(crate) terms: Terms,
}

/// What is in it.
pub(crate) enum Content {
    Whole(Bytes, Box<Seen>),
    /// Nobody was asked: nothing is learnt of the channel, and nothing was used.
    Known(Bytes),
    Stream(UpstreamBody, Passage),
}

/// Why an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Something went wrong with the upstream.
    Upstream(UpstreamFailure),
    /// Nothing was sent: the dialect of the channel cannot carry the request.
    Unsaid,
    /// There is no room for the answer. Another would find none either, and cost the operator as much again.
    NoRoom,
}

/// An attempt that failed.
pub(crate) struct Failed {
    pub(crate) why: Why,
    /// What the caller gets when there is no further attempt.
    pub(crate) refusal: Refusal,
}

impl From<UpstreamFailure> for Failed {
    fn from(failure: UpstreamFailure) -> Self {
        let refusal = match failure {
            UpstreamFailure::Timeout => Refusal::UpstreamTimeout,
            _ => Refusal::UpstreamError,
        };
        Self { why: Why::Upstream(failure), refusal }
    }
}

impl From<NoAnswer> for Failed {
    fn from(no_answer: NoAnswer) -> Self {
        match no_answer {
            NoAnswer::Failed(failure) | NoAnswer::Unreached { failure, .. } => failure.into(),
            // Why is the operator's to know: it stands in the log and in a test of the channel.
            NoAnswer::Credential(_) => Self {
                why: Why::Upstream(UpstreamFailure::Status { status: 401, retry_after: None }),
                refusal: Refusal::UpstreamError,
            },
        }
    }
}

/// Makes an attempt.
///
/// # Errors
/// [`Failed`]; nothing has gone to the caller then.
pub(crate) async fn make(gateway: &Gateway, attempt: &Attempt, request: &Request<'_>) -> Result<Got, Failed> {
    let (channel, settings) = (attempt.permit.channel(), &gateway.settings);
    let sent = match sent::say(request, channel) {
        Ok(Said::Sent(sent)) => sent,
        Ok(Said::Known(body)) => return Ok(known(body)),
        Err(refusal) => return Err(Failed { why: Why::Unsaid, refusal }),
    };
    let outgoing = sent.outgoing();
    let limit = attempt.limit.min(settings.first_byte);
    let response = gateway.upstream.send(channel, request.headers, outgoing, limit).await?;
    let status = response.status();
    if !status.is_success() {
        return Err(Box::pin(refused(gateway, channel.provider, response)).await);
    }
    let kind = kind_of(request.entrance.door, response.headers()).ok_or(UpstreamFailure::Malformed)?;
    let mut headers = upstream::back(response.headers());
    let tier = response.headers().get(&TIER).and_then(|tier| tier.to_str().ok());
    let terms = tier.map_or(Terms::NONE, extras::of_header);
    sent.head(request, &mut headers);
    // An array of Google's comes in pieces too, and looks like a whole answer.
    let array = request.entrance.door == Door::StreamGenerate && !request.entrance.sse;
    let streams = matches!(kind, Kind::Stream | Kind::Sound) || sent.is_native() && array;
    if !sent.is_native() && streams != request.scan.stream {
        return Err(UpstreamFailure::Malformed.into());
    }
    if streams {
        let passage = match kind {
            Kind::Sound => Passage::Sound(Sound::new(plain::samples(request.body))),
            Kind::Whole | Kind::Text | Kind::Stream => sent.passage(request),
        };
        return Ok(Got { status, headers, content: Content::Stream(response.into_body(), passage), terms });
    }
    let patience = Patience { idle: settings.idle, whole: settings.answer };
    let whole =
        body::collect(response.into_body(), settings.answer_limit, patience, &gateway.rooms.answers).await;
    let whole = whole.map_err(|cut| match cut {
        Cut::TooLarge => UpstreamFailure::Malformed.into(),
        Cut::Slow => UpstreamFailure::Timeout.into(),
        Cut::Broken => UpstreamFailure::Reset.into(),
        Cut::NoRoom => Failed { why: Why::NoRoom, refusal: Refusal::Unavailable },
    })?;
    let used = sent.used(request, &whole);
    let (whole, read) = read(request, &sent, kind, whole);
    if read.is_error {
        return Err(told(502, None, &whole));
    }
    if !read.is_whole {
        return Err(UpstreamFailure::Malformed.into());
    }
    let seen = Seen { used, ..seen(request, &read) };
    Ok(Got { status, headers, content: Content::Whole(whole, Box::new(seen)), terms })
}

/// What an answer that came whole says, and as its caller gets it.
fn read(request: &Request<'_>, sent: &Sent, kind: Kind, whole: Bytes) -> (Bytes, Answer) {
    if kind != Kind::Text {
        return sent.answer(request, whole);
    }
    // Subtitles and plain text: nothing is reported but when the last subtitle ends, and there is nothing that they must be.
    let read = Answer {
        estimated_output: estimate(whole.len() as u64),
        seconds: sound::subtitled(&whole).unwrap_or(0),
        is_whole: true,
        ..Answer::default()
    };
    (whole, read)
}

/// What a whole answer says of its cost.
fn seen(request: &Request<'_>, read: &Answer) -> Seen {
    let (door, measured) = (request.entrance.door, request.measured);
    let plain = Seen { reported: read.reported, delivered: read.estimated_output, ..Seen::default() };
    let of_seconds = |seconds: u64| Parts { seconds, ..Parts::default() };
    if door.hears() {
        let guessed = read.seconds == 0;
        let seconds = if guessed { measured.estimated_seconds } else { read.seconds };
        return Seen { pieces: of_seconds(seconds), guessed, ..plain };
    }
    if door == Door::Speech {
        // Speech that is no sound: what it carries, or else what was asked for.
        let seconds = [read.seconds, plain::seconds(read.sound), measured.estimated_seconds];
        let seconds = seconds.into_iter().find(|seconds| *seconds > 0).unwrap_or(0);
        let delivered = plain::tokens(read.sound);
        return Seen { pieces: of_seconds(seconds), guessed: read.seconds == 0, delivered, ..plain };
    }
    if !door.draws() {
        return plain;
    }
    // An answer that lists no images has made what was asked for. The bytes of a picture say nothing of its tokens.
    let (images, guessed) = (read.items.unwrap_or(measured.images), read.items.is_none());
    let delivered = images.saturating_mul(request.max_output);
    Seen { delivered, pieces: Parts { images, ..Parts::default() }, guessed, ..plain }
}

/// An answer for which nobody was asked.
fn known(body: Bytes) -> Got {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Got { status: StatusCode::OK, headers, content: Content::Known(body), terms: Terms::NONE }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Whole,
    Text,
    Stream,
    Sound,
}

/// How an answer is to be read; `None` when it is of no kind that is answered in at this door.
fn kind_of(door: Door, headers: &HeaderMap) -> Option<Kind> {
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
    let begins = |start: &str| kind.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start));
    if door == Door::Speech && (begins("audio/") || kind.eq_ignore_ascii_case("application/octet-stream")) {
        return Some(Kind::Sound);
    }
    if door.hears() && begins("text/") {
        return Some(Kind::Text);
    }
    let json = kind.eq_ignore_ascii_case("application/json")
        || ends("+json").is_some_and(|end| end.eq_ignore_ascii_case("+json"));
    json.then_some(Kind::Whole)
}

/// An answer that is no success.
pub(crate) async fn refused<B>(gateway: &Gateway, provider: &Provider, response: Response<B>) -> Failed
where
    B: Body<Data = Bytes> + Unpin,
{
    let status = response.status();
    // A redirect is not followed, and a caller could do nothing with it.
    if !(status.is_client_error() || status.is_server_error()) {
        return UpstreamFailure::Malformed.into();
    }
    let after = retry_after(response.headers(), gateway.now());
    let seconds = upstream::retry_after(response.headers());
    // The words are good to have, but the status says enough to go on with.
    let patience = Patience { idle: gateway.settings.idle, whole: gateway.settings.idle };
    let (head, body) = response.into_parts();
    let body = body::collect(body, MAX_ERROR, patience, &gateway.rooms.answers).await.unwrap_or_default();
    let of_credential = status == StatusCode::BAD_REQUEST && google::refusal::is_of_credential(&body);
    let status = if of_credential { StatusCode::UNAUTHORIZED } else { status };
    let mut failed = told(status.as_u16(), seconds, &body);
    let status = match &failed.refusal {
        // The vendor says with one status that a credential is not good and that it may not use a model.
        Refusal::Upstream { message, .. }
            if provider.credential == Style::AccessKey
                && upstream::refuses_credential(&head.headers, message) =>
        {
            401
        }
        _ => status.as_u16(),
    };
    // A restricted key is good for other doors; a caller must not be able to switch it off.
    let scopes =
        |message: &str| message.contains("Missing scopes") || message.contains("insufficient permissions");
    let unpermitted =
        matches!(&failed.refusal, Refusal::Upstream { message, .. } if status == 401 && scopes(message));
    failed.why = Why::Upstream(match unpermitted {
        true => UpstreamFailure::Unpermitted,
        false => UpstreamFailure::Status { status, retry_after: after },
    });
    failed
}

/// An upstream's own words.
fn told(status: u16, retry_after: Option<u32>, body: &[u8]) -> Failed {
    let words = upstream_error::read(status, body);
    let refusal = Refusal::Upstream { status, code: words.code, message: words.message, retry_after };
    Failed { why: Why::Upstream(UpstreamFailure::Status { status, retry_after: None }), refusal }
}
