//! One model request, from its credentials to its settlement.

use std::{
    io,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use model::{clock::Timestamp, refusal::Refusal, usage::UsageContext};
use store::ModelPrice;
use wire::{
    plain,
    request::{self, BodyError, Scan},
};

use crate::{
    admission::{self, Credentials},
    attempt::{self, Content, Got, Request},
    bill::{Bill, Seen},
    body::{self, Patience},
    bound::{self, Asked, Held, Tariff},
    channels,
    door::{Door, Entrance},
    entry::Entry,
    form::Form,
    gateway::Gateway,
    key_cache::Known,
    measure,
    pieces::Pieces,
    relay::{self, Relay},
    routing::{Attempt, Attempts, Next, UpstreamFailure},
};

/// Longest name of a model, in bytes.
pub(crate) const MAX_MODEL: usize = 256;

/// A model request.
pub struct Question<B> {
    /// Where it came in.
    pub entrance: Entrance,
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
    Stream(Option<Box<Relay>>),
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut self.0 {
            Inner::Whole(body) => {
                let Poll::Ready(frame) = Pin::new(body).poll_frame(context) else { return Poll::Pending };
                Poll::Ready(frame.map(|frame| frame.map_err(|never| match never {})))
            }
            Inner::Stream(Some(relay)) => Pin::new(&mut **relay).poll_frame(context),
            Inner::Stream(None) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Whole(body) => body.is_end_stream(),
            Inner::Stream(relay) => relay.as_ref().is_none_or(|relay| relay.is_end_stream()),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Whole(body) => body.size_hint(),
            Inner::Stream(_) => SizeHint::default(),
        }
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        if let Inner::Stream(relay) = &mut self.0
            && let Some(relay) = relay.take()
        {
            relay::left(relay);
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
    let door = question.entrance.door.path();
    let result = tell(gateway, question).await;
    let status = result.as_ref().map_or_else(Refusal::status, |answer| answer.status.as_u16());
    gateway.metrics.request(door, status);
    result
}

async fn tell<B>(gateway: &Arc<Gateway>, question: Question<B>) -> Result<Answer, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let Question { entrance, credentials, client, headers, body, request_id, entry, started } = question;
    let door = entrance.door;
    let known = admission::admit(gateway, &credentials, client, started).await?;
    entry.note(|facts| (facts.account, facts.key) = (Some(known.account.id), Some(known.key.id)));
    let settings = &gateway.settings;
    let patience = Patience { idle: settings.body_idle, whole: settings.body };
    let (body, form) = match door.takes_forms() {
        false => (body::of_caller(&headers, body, settings.body_limit, patience).await?, None),
        true => {
            let spool = settings.spool.as_deref();
            let form = Form::receive(&headers, body, settings.body_limit, patience, spool).await?;
            (Bytes::new(), Some(form))
        }
    };
    let scan = read(&entrance, &body, form.as_ref())?;
    entry.note(|facts| (facts.model, facts.stream) = (Some(scan.model.clone()), scan.stream));
    let way = admission::way(gateway, &known, door, &scan.model)?;
    if !door.is_free() {
        admission::extras(&scan.asked, &way.price)?;
    }
    tracing::debug!(request_id, plan = %way.plan, "planned");
    let mut attempts = Attempts::new(way.plan, &gateway.health, gateway.now());
    let next = |attempts: &mut Attempts| attempts.next(&gateway.health, &gateway.budget, gateway.now());
    // What was fit a moment ago may rest by now.
    let mut attempt = next(&mut attempts).map_err(|_| Refusal::UpstreamError)?;
    attempt.note(&entry);

    let context = way.snapshot.facts(&scan.model).and_then(|facts| facts.context_length);
    let measured = door.measure(
        &scan,
        &body,
        form.as_ref(),
        measure::Known { image_tokens: way.price.image_tokens, context },
    );
    let tariff = Tariff { price: Arc::clone(&way.price), ratio: door.ratio(attempt.ratio), measured };
    let told = Told { known: &known, scan: &scan, door, client, request_id: &request_id, started };
    let context = told.context(&attempt, &way.price);
    let asked = Asked { scan: &scan, body: &body, door };
    let Held { mut hold, tariff, output, limit } =
        bound::hold(gateway, &known, tariff, asked, context).await?;
    let mut bill = Bill::new(gateway, tariff, entry.clone(), started, request_id.clone());

    let request = Request {
        entrance: &entrance,
        headers: &headers,
        body: &body,
        scan: &scan,
        facts: way.snapshot.facts(&scan.model),
        limit,
        max_output: way.price.max_output,
        form: form.as_ref(),
        measured: bill.tariff.measured,
        now: started,
    };
    let got = loop {
        let failed = match attempt::make(gateway, &attempt, &request).await {
            Ok(got) => {
                // Where nobody was asked, the permit is given back as it is dropped.
                if !matches!(got.content, Content::Known(_)) {
                    attempt.permit.succeeded();
                }
                break got;
            }
            Err(failed) => failed,
        };
        // Where nothing was sent there is nothing to be learnt of the channel.
        if failed.failure.is_some_and(|failure| attempt.failed(gateway, failure) == Next::Answer) {
            return Err(bill.refuse(hold, failed.refusal));
        }
        attempt = loop {
            let Ok(next) = next(&mut attempts) else { return Err(bill.refuse(hold, failed.refusal)) };
            if bound::raise(&mut hold, &bill.tariff, door.ratio(next.ratio), output).await {
                break next;
            }
            attempts.unaffordable(next, &gateway.budget);
        };
        attempt.note(&entry);
        bill.tariff.ratio = door.ratio(attempt.ratio);
        hold.retarget(told.context(&attempt, &way.price));
    };

    if let Err(error) = hold.durable().await {
        tracing::error!(%error, "no answer may leave");
        return Err(bill.refuse(hold, Refusal::Unavailable));
    }
    let Got { status, mut headers, content, terms } = got;
    bill.served = terms;
    let body = match content {
        Content::Whole(whole, read) => {
            bill.settle(hold, *read, status.as_u16()).await;
            AnswerBody(Inner::Whole(Full::new(whole)))
        }
        Content::Known(whole) => {
            bill.settle(hold, Seen::default(), status.as_u16()).await;
            AnswerBody(Inner::Whole(Full::new(whole)))
        }
        Content::Stream(upstream, passage) => {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
            let most = scan.output_limit.unwrap_or(u64::MAX).min(way.price.max_output);
            let most = limit.unwrap_or(most).saturating_mul(scan.choices);
            // What does not come in tokens that can be followed is held whole.
            let (held, most) = if door.limits_output() { (output, most) } else { (u64::MAX, u64::MAX) };
            let upstream = (upstream, Pieces::of(&passage));
            let relay = Relay::new(bill, hold, upstream, passage, held, most);
            AnswerBody(Inner::Stream(Some(Box::new(relay))))
        }
    };
    Ok(Answer { status, headers, body })
}

fn read(entrance: &Entrance, body: &[u8], form: Option<&Form>) -> Result<Scan, Refusal> {
    let (door, named) = (entrance.door, entrance.model.as_deref());
    let mut scan = match form {
        Some(form) => form.scan()?,
        None => request::scan(door.format(), named, body).map_err(|error| match error {
            BodyError::ModelRequired => Refusal::ModelRequired,
            error => Refusal::InvalidRequest(error.to_string()),
        })?,
    };
    if door == Door::Speech && plain::characters(body).is_none() {
        return Err(Refusal::InvalidRequest("input must be one text".to_owned()));
    }
    scan.stream = door.streams(scan.stream);
    if scan.model.len() > MAX_MODEL {
        return Err(Refusal::InvalidRequest(format!("model must have at most {MAX_MODEL} bytes")));
    }
    Ok(scan)
}

impl Attempt {
    pub(crate) fn note(&self, entry: &Entry) {
        entry.note(|facts| {
            (facts.group, facts.channel) = (Some(self.group.to_string()), Some(self.permit.channel().id));
            facts.attempts = self.number;
        });
    }

    /// Takes in that it failed, and says what is next.
    pub(crate) fn failed(self, gateway: &Arc<Gateway>, failure: UpstreamFailure) -> Next {
        let (channel, policy) = (Arc::clone(self.permit.channel()), gateway.health.policy());
        gateway.metrics.upstream_failed(failure);
        tracing::info!(channel = %channel.id, group = %self.group, attempt = self.number, ?failure, "an attempt failed");
        if self.permit.failed(failure)
            && let UpstreamFailure::Status { status, .. } = failure
        {
            // On this node the credential rests already; the request need not wait for the others.
            let gateway = Arc::clone(gateway);
            tokio::spawn(async move {
                let refused = channels::credential_refused(&gateway, channel.credential, status).await;
                if let Err(error) = refused {
                    tracing::error!(%error, credential = %channel.credential, "cannot disable a credential");
                }
            });
        }
        failure.verdict(policy).next
    }
}

/// What the record of a request says, whichever way it goes.
pub(crate) struct Told<'a> {
    pub(crate) known: &'a Known,
    pub(crate) scan: &'a Scan,
    pub(crate) door: Door,
    pub(crate) client: IpAddr,
    pub(crate) request_id: &'a str,
    pub(crate) started: Timestamp,
}

impl Told<'_> {
    pub(crate) fn context(&self, attempt: &Attempt, price: &ModelPrice) -> UsageContext {
        let (key, channel) = (&self.known.key, attempt.permit.channel());
        UsageContext {
            request_id: self.request_id.to_owned(),
            account: self.known.account.id,
            key: key.id,
            key_name: key.settings.name.clone(),
            group: attempt.group.to_string(),
            channel: channel.id,
            attempt: attempt.number,
            model: self.scan.model.clone(),
            upstream_model: channel.upstream_model(&self.scan.model).to_owned(),
            door: self.door.path().to_owned(),
            stream: self.scan.stream,
            price: price.price.id,
            ratio: self.door.ratio(attempt.ratio),
            client: self.client,
            started: self.started,
        }
    }
}
