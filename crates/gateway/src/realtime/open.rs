//! Opening a session: the checks of every model request, then a channel whose upstream takes it.

use std::{net::IpAddr, sync::Arc};

use http::HeaderMap;
use ledger::Hold;
use model::{clock::Timestamp, refusal::Refusal};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use store::ModelPrice;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use wire::{realtime::client::Hints, request::Scan};

use super::{
    Session,
    account::Account,
    books::Books,
    ear::Payer,
    handshake::{self, Handshake, Intent},
    meter::Meter,
    session::{Beginning, Open},
    voice::Voice,
    waiting::Waiting,
};
use crate::{
    admission::{self, Credentials},
    attempt::{self, Failed},
    bill::Bill,
    bound::{self, Asked, Held, Tariff},
    door::Door,
    entry::Entry,
    exchange::Told,
    gateway::Gateway,
    key_cache::Known,
    measure::Measured,
    provider::Speech,
    routing::{Attempt, UpstreamFailure},
    upstream::{Opening, Socket},
    walk::Walk,
};

/// Bytes that are read at a time.
const READ: usize = 16 << 10;
/// Tokens of a picture where nobody says how many it has at most.
const IMAGE: u64 = 4096;

/// A wish for a session.
pub struct Question {
    /// The API keys that it carries.
    pub credentials: Credentials,
    /// The caller's address.
    pub client: IpAddr,
    /// The caller's headers.
    pub headers: HeaderMap,
    /// What stands behind the path's question mark.
    pub query: Option<String>,
    /// The request id that the caller sees.
    pub request_id: String,
    /// What the log line will say.
    pub entry: Entry,
    /// When it arrived.
    pub started: Timestamp,
}

/// A session that may begin.
pub struct Accepted {
    /// The headers of the answer that switches protocols.
    pub headers: HeaderMap,
    /// The session, for when they are switched.
    pub session: Session,
}

/// Opens a session: checks, holds, and connects to an upstream.
///
/// # Errors
/// The refusal that the caller gets. Nothing is charged then.
pub async fn open(gateway: &Arc<Gateway>, question: Question) -> Result<Accepted, Refusal> {
    let result = tell(gateway, question).await;
    let status = result.as_ref().map_or_else(Refusal::status, |_| 101);
    gateway.metrics.request(Door::Realtime.path(), status);
    result
}

async fn tell(gateway: &Arc<Gateway>, question: Question) -> Result<Accepted, Refusal> {
    let Question { credentials, client, headers, query, request_id, entry, started } = question;
    let known = admission::admit(gateway, &credentials, client, started).await?;
    entry.note(|facts| (facts.account, facts.key) = (Some(known.account.id), Some(known.key.id)));
    let handshake = Handshake::read(&headers)?;
    let intent = handshake::intent(query.as_deref())?;
    entry.note(|facts| facts.stream = true);
    let (granted, beta, config) = (handshake.granted(), handshake.is_beta(&headers), config(gateway));
    let headers = handshake.onward(&headers);
    let asker = Asker {
        gateway: Arc::clone(gateway),
        known,
        credentials,
        client,
        headers,
        request_id,
        entry,
        started,
    };
    let beginning = match intent {
        Intent::Converse(model) => Beginning::Open(Box::new(conversation(asker, model, config).await?)),
        Intent::WriteDown => {
            bound::something(gateway, &asker.known).await?;
            Beginning::Waiting(Box::new(Waiting { asker, beta, config }))
        }
    };
    Ok(Accepted { headers: granted, session: Session { beginning, config } })
}

/// Who asks for a session.
pub(super) struct Asker {
    pub(super) gateway: Arc<Gateway>,
    pub(super) known: Arc<Known>,
    /// What it was known by.
    pub(super) credentials: Credentials,
    pub(super) client: IpAddr,
    /// The headers that go on.
    pub(super) headers: HeaderMap,
    pub(super) request_id: String,
    pub(super) entry: Entry,
    pub(super) started: Timestamp,
}

impl Asker {
    /// What the records say of a session with this model.
    pub(super) fn told<'a>(&'a self, scan: &'a Scan) -> Told<'a> {
        let Self { known, client, request_id, started, .. } = self;
        Told { known, scan, door: Door::Realtime, client: *client, request_id, started: *started }
    }
}

/// Opens a conversation.
async fn conversation(asker: Asker, model: String, config: WebSocketConfig) -> Result<Open, Refusal> {
    let Asker { gateway, known, headers, request_id, entry, started, .. } = &asker;
    entry.note(|facts| facts.model = Some(model.clone()));
    let way = admission::way(gateway, known, Door::Realtime, &model)?;
    tracing::debug!(request_id, plan = %way.plan, "planned");
    let mut walk = Walk::begin(gateway, way.plan, entry)?;

    let ratio = walk.attempt().ratio;
    let tariff = Tariff { price: Arc::clone(&way.price), ratio, measured: Measured::default() };
    let scan = Scan::of_form(model, true, 1, 0, 0);
    let told = asker.told(&scan);
    let asked = Asked { scan: &scan, body: &bytes::Bytes::new(), door: Door::Realtime };
    let context = told.context(walk.attempt(), &way.price);
    let Held { mut hold, tariff, output, .. } = bound::hold(gateway, known, tariff, asked, context).await?;
    let mut bill = Bill::new(gateway, tariff, entry.clone(), *started, request_id.clone());
    let upstream = loop {
        let model = walk.attempt().permit.channel().upstream_model(&scan.model);
        let query = format!("model={}", utf8_percent_encode(model, NON_ALPHANUMERIC));
        let failed = match connect(gateway, walk.attempt(), headers, &query, config).await {
            Ok(upstream) => break upstream,
            Err(failed) => failed,
        };
        let needs = |ratio| bill.tariff.at(ratio).bound(output).ok();
        walk = match walk.next(failed, &mut hold, needs).await {
            Ok(next) => next,
            Err(refusal) => return Err(bill.refuse(hold, refusal)),
        };
        bill.tariff.ratio = walk.attempt().ratio;
        hold.retarget(told.context(walk.attempt(), &way.price));
    };
    let channel = Arc::clone(walk.attempt().permit.channel());
    walk.succeeded();
    if let Err(error) = hold.durable().await {
        tracing::error!(%error, "no session may begin");
        return Err(bill.refuse(hold, Refusal::Unavailable));
    }
    bill.first_byte();
    let context = hold.context().clone();
    let voice = voice(&asker, &way.price, bill, hold);
    let (gateway, known) = (Arc::clone(gateway), Arc::clone(known));
    let payer = Payer { gateway, known, snapshot: way.snapshot, context, channel };
    Ok(Open { books: Books::of(payer, Some(voice), None, Hints::default()), upstream, first: None })
}

/// Who answers in a conversation that begins.
fn voice(asker: &Asker, price: &ModelPrice, bill: Bill, hold: Hold) -> Voice {
    // Reasoning is charged but not seen while it passes, so it cannot be followed in steps.
    let steps = asker.gateway.settings.stream_step.max(2);
    let step = if price.reasoning { price.max_output } else { steps };
    let meter = Meter::new(bill.tariff.clone(), price.image_tokens.unwrap_or(IMAGE));
    let account = Account::new(bill, Arc::clone(&asker.known), hold);
    Voice { account, meter, step: step.min(price.max_output).max(1) }
}

/// How large messages may be.
fn config(gateway: &Gateway) -> WebSocketConfig {
    let most = Some(gateway.settings.realtime_message);
    WebSocketConfig::default()
        .read_buffer_size(READ)
        .write_buffer_size(0)
        .max_message_size(most)
        .max_frame_size(most)
}

/// Asks the upstream of one channel for a session, with this query.
pub(super) async fn connect(
    gateway: &Gateway,
    attempt: &Attempt,
    headers: &HeaderMap,
    query: &str,
    config: WebSocketConfig,
) -> Result<Box<Socket>, Failed> {
    let channel = attempt.permit.channel();
    let Some(Speech::Native(path)) = channel.provider.speech(Door::Realtime, true, None) else {
        return Err(UpstreamFailure::Connect.into());
    };
    let path = format!("{path}?{query}");
    let limit = attempt.limit.min(gateway.settings.first_byte);
    match gateway.upstream.open_socket(channel, headers, &path, config, limit).await? {
        Opening::Open(socket) => Ok(socket),
        Opening::Refused(response) => Err(attempt::refused(gateway, channel.provider, response).await),
    }
}
