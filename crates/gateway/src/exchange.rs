//! One model request, from its credentials to its settlement.

use std::{
    future::{Future, poll_fn},
    io,
    net::IpAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use ledger::Hold;
use model::{clock::Timestamp, refusal::Refusal, usage::UsageContext};
use store::{MAX_MODEL, ModelPrice};
use wire::{
    plain,
    request::{self, BodyError, Scan},
};

use crate::{
    admission::{self, Credentials, Way},
    attempt::{self, Content, Got, Request},
    bill::{Bill, Seen},
    body::{self, Patience},
    bound::{self, Asked, Held, Tariff},
    door::{Door, Entrance},
    entry::Entry,
    form::Form,
    gateway::Gateway,
    key_cache::Known,
    measure,
    pieces::Pieces,
    relay::{self, Relay},
    routing::Attempt,
    walk::Walk,
};

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
    // On the heap, for it is large and would be moved by everybody who passes it on.
    let result = Box::pin(tell(gateway, question)).await;
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
    let (body, form) = body_of(gateway, door, &headers, body).await?;
    let scan = read(&entrance, &body, form.as_ref())?;
    entry.note(|facts| (facts.model, facts.stream) = (Some(scan.model.clone()), scan.stream));
    let way = way_of(gateway, &known, door, &scan)?;
    tracing::debug!(request_id, plan = %way.plan, "planned");
    let mut walk = Walk::begin(gateway, way.plan, &entry)?;

    let facts = way.snapshot.facts(&scan.model);
    let measured = door.measure(&scan, &body, form.as_ref(), measure::Known::of(&way.price, facts));
    let ratio = door.ratio(walk.attempt().ratio);
    let tariff = Tariff { price: Arc::clone(&way.price), ratio, measured };
    let told = Told { known: &known, scan: &scan, door, client, request_id: &request_id, started };
    let context = told.context(walk.attempt(), &way.price);
    let asked = Asked { scan: &scan, body: &body, door };
    let Held { mut hold, tariff, output, limit } =
        bound::hold(gateway, &known, tariff, asked, context).await?;
    let mut bill = Bill::new(gateway, tariff, entry, started, request_id.clone());

    let request = Request {
        entrance: &entrance,
        headers: &headers,
        body: &body,
        scan: &scan,
        facts,
        limit,
        max_output: way.price.max_output,
        form: form.as_ref(),
        measured,
        now: started,
    };
    let got = loop {
        let made = attempt::make(gateway, walk.attempt(), &request);
        let failed = match sent_first(made, || hold.sync_soon()).await {
            Ok(got) => break got,
            Err(failed) => failed,
        };
        let needs = |ratio| bill.tariff.at(door.ratio(ratio)).bound(output).ok();
        walk = match Box::pin(walk.next(failed, &mut hold, needs)).await {
            Ok(next) => next,
            Err(refusal) => return Err(bill.refuse(hold, refusal)),
        };
        bill.tariff.ratio = door.ratio(walk.attempt().ratio);
        hold.retarget(told.context(walk.attempt(), &way.price));
    };
    // Where nobody was asked, leave to ask is given back as it is dropped.
    if !matches!(got.content, Content::Known(_)) {
        walk.succeeded();
    }
    give(bill, hold, got, ahead(&request, output)).await
}

/// Does `work` until it waits for the first time, for that the request is sent; then `next`, and the rest of it.
async fn sent_first<T>(work: impl Future<Output = T>, next: impl FnOnce()) -> T {
    let (mut work, mut next) = (pin!(work), Some(next));
    poll_fn(|context| {
        let polled = work.as_mut().poll(context);
        if let Some(next) = next.take() {
            next();
        }
        polled
    })
    .await
}

/// How far a stream may go with what is held for it, `output` tokens, and how far at all.
fn ahead(request: &Request<'_>, output: u64) -> (u64, u64) {
    // What does not come in tokens that can be followed is held whole.
    if !request.entrance.door.limits_output() {
        return (u64::MAX, u64::MAX);
    }
    let each = request.limit.or(request.scan.output_limit).unwrap_or(u64::MAX);
    (output, each.min(request.max_output).saturating_mul(request.scan.choices))
}

/// Which ways the request may go, and what it costs, with all that it asks for.
fn way_of(gateway: &Gateway, known: &Known, door: Door, scan: &Scan) -> Result<Way, Refusal> {
    let way = admission::way(gateway, known, door, &scan.model)?;
    if !door.is_free() {
        admission::extras(&scan.asked, &way.price)?;
    }
    Ok(way)
}

/// Gives an answer to the caller. `ahead`: the output tokens that are held, and the most that there can be.
async fn give(mut bill: Bill, hold: Hold, got: Got, ahead: (u64, u64)) -> Result<Answer, Refusal> {
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
            let upstream = (upstream, Pieces::of(&passage));
            let relay = Relay::new(bill, hold, upstream, passage, ahead.0, ahead.1);
            AnswerBody(Inner::Stream(Some(Box::new(relay))))
        }
    };
    Ok(Answer { status, headers, body })
}

/// What the caller sends: a body, or a form where the door takes one.
async fn body_of<B>(
    gateway: &Gateway,
    door: Door,
    headers: &HeaderMap,
    body: B,
) -> Result<(Bytes, Option<Form>), Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let settings = &gateway.settings;
    let patience = Patience { idle: settings.body_idle, whole: settings.body };
    if door.takes_forms() {
        let spool = settings.spool.as_deref();
        let form = Box::pin(Form::receive(headers, body, settings.body_limit, patience, spool)).await?;
        return Ok((Bytes::new(), Some(form)));
    }
    Ok((body::of_caller(headers, body, settings.body_limit, patience, &gateway.rooms.requests).await?, None))
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
