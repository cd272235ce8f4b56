//! A session that only writes down what is heard, before it is known who does that.
//!
//! OpenAI's guide to realtime transcription has it so: the address says `intent=transcription` and no model, and the first
//! `session.update` names one. So the caller is greeted here, and an upstream is asked once it has named a model that may be
//! used, whose first minute is held.
//!
//! Nothing is held before, so little is given: a short time, few bytes, and no place to a key that has nothing left. Who the
//! caller is, is asked again once it names a model, because its key may have been edited since.

use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use model::refusal::Refusal;
use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    time::{Instant, timeout_at},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::WebSocketConfig},
};
use wire::{
    error::Setting,
    realtime::client::{self, Hints},
    request::Scan,
};

use super::{
    Stop,
    books::{Books, Objection},
    ear::{Ear, First, Payer},
    end::End,
    handshake::{self, WRITE_DOWN},
    narrow::Narrow,
    open::{Asker, connect},
    session::{Open, error_event, stopped},
};
use crate::{admission, door::Door, walk::Walk};

/// The events that say how a session shall be, in the words of either version of the dialect.
const UPDATES: [&str; 2] = ["session.update", "transcription_session.update"];

/// Bytes that a caller may say before it has named a model that can be had.
const FIRST_WORDS: usize = 128 << 10;

/// A session that waits for the name of its model.
pub(super) struct Waiting {
    pub(super) asker: Asker,
    /// Whether the caller speaks the version before the first stable one.
    pub(super) beta: bool,
    pub(super) config: WebSocketConfig,
}

impl Waiting {
    /// How much is read of the caller until then.
    pub(super) fn most(&self) -> usize {
        FIRST_WORDS.min(self.asker.gateway.settings.realtime_message)
    }

    /// Greets the caller and waits until it names a model that can be had.
    ///
    /// # Errors
    /// Why it ends without one, and what the caller is told before.
    pub(super) async fn begin<S>(
        mut self,
        caller: &mut WebSocketStream<Narrow<S>>,
        stop: Stop,
    ) -> Result<Open, (End, Option<Message>)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut quiet = watch::Sender::new(true).subscribe();
        let end = tokio::select! {
            begun = self.named(caller) => match begun {
                Ok(open) => {
                    caller.get_mut().widen();
                    return Ok(open);
                }
                Err(end) => end,
            },
            () = stopped(stop, &mut quiet) => End::Stopped,
        };
        let told = end.refusal(true).map(|refusal| self.error(&refusal));
        Err((end, told))
    }

    async fn named<S>(&mut self, caller: &mut WebSocketStream<S>) -> Result<Open, End>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let late = Instant::now() + self.asker.gateway.settings.body_idle;
        tell(caller, self.greeting(), late).await?;
        loop {
            let message = timeout_at(late, caller.next()).await.map_err(|_| End::Idle)?;
            let objection = match message {
                None => return Err(End::Left),
                Some(Err(error)) => return Err(End::of_caller(&error)),
                Some(Ok(Message::Close(frame))) => return Err(End::Caller(frame)),
                Some(Ok(Message::Text(text))) => {
                    self.admit().await.map_err(End::Refused)?;
                    match self.open(&text).await {
                        Ok(open) => return Ok(open),
                        Err(objection) => objection,
                    }
                }
                Some(Ok(Message::Binary(_))) => Objection::Event(unnamed()),
                Some(Ok(_)) => continue,
            };
            match objection {
                Objection::End(refusal) => return Err(End::Broke(refusal)),
                Objection::Event(refusal) => tell(caller, self.error(&refusal), late).await?,
            }
        }
    }

    /// Looks again who the caller is.
    async fn admit(&mut self) -> Result<(), Refusal> {
        let Asker { gateway, credentials, client, .. } = &self.asker;
        self.asker.known = admission::admit(gateway, credentials, *client, gateway.now()).await?;
        Ok(())
    }

    /// What an upstream says to a session that begins.
    fn greeting(&self) -> Message {
        let id = &self.asker.request_id;
        let kind = if self.beta { "transcription_session.created" } else { "session.created" };
        let session = json!({
            "object": "realtime.transcription_session", "type": "transcription", "id": format!("sess_{id}"),
        });
        let event = json!({"type": kind, "event_id": format!("event_{id}"), "session": session});
        Message::text(event.to_string())
    }

    fn error(&self, refusal: &Refusal) -> Message {
        let Asker { gateway, request_id, .. } = &self.asker;
        error_event(refusal, Setting { request_id, error_type: &gateway.settings.error_type })
    }

    /// Opens the session that an event asks for.
    async fn open(&self, text: &str) -> Result<Open, Objection> {
        let event = client::read(text)?;
        let model = event.transcription.first().filter(|model| !model.is_empty());
        let model = model.filter(|_| UPDATES.contains(&event.kind.as_str()));
        let model = model.ok_or_else(|| Objection::Event(unnamed()))?;
        event.only_writes_down(model)?;
        handshake::must_fit(model).map_err(Objection::Event)?;
        let mut open = self.connect(model, event.hints).await?;
        let channel = &open.books.payer.channel;
        let changed = event.renamed(text, model, |named| channel.upstream_model(named))?;
        open.first = Some(Message::text(changed.unwrap_or_else(|| text.to_owned())));
        Ok(open)
    }

    /// Holds a first minute, and asks one channel after another.
    async fn connect(&self, model: &str, hints: Hints) -> Result<Open, Objection> {
        let Asker { gateway, known, headers, request_id, entry, .. } = &self.asker;
        entry.note(|facts| facts.model = Some(model.to_owned()));
        let way = admission::way_priced(gateway, known, (Door::Realtime, Door::Transcriptions), model);
        let way = way.map_err(Objection::Event)?;
        tracing::debug!(request_id, plan = %way.plan, "planned");
        let mut walk = Walk::begin(gateway, way.plan, entry).map_err(Objection::Event)?;
        let scan = Scan::of_form(model.to_owned(), true, 1, 0, 0);
        let told = self.asker.told(&scan);
        let context = told.context(walk.attempt(), &way.price);
        let first = First::hold(gateway, known, Arc::clone(&way.price), &context, hints).await;
        let mut first = first.map_err(Objection::Event)?;
        let upstream = loop {
            let failed = match connect(gateway, walk.attempt(), headers, WRITE_DOWN, self.config).await {
                Ok(upstream) => break upstream,
                Err(failed) => failed,
            };
            walk = match first.walk(walk, failed).await {
                Ok(next) => next,
                Err(refusal) => return Err(Objection::End(first.refuse(&self.asker, refusal))),
            };
            first.hold.retarget(told.context(walk.attempt(), &way.price));
        };
        let channel = Arc::clone(walk.attempt().permit.channel());
        walk.succeeded();
        if let Err(error) = first.hold.durable().await {
            tracing::error!(%error, "no session may begin");
            return Err(Objection::End(first.refuse(&self.asker, Refusal::Unavailable)));
        }
        let context = first.hold.context().clone();
        let ear = Ear::new(gateway, known, first, &context, entry.clone());
        let (gateway, known) = (Arc::clone(gateway), Arc::clone(known));
        let payer = Payer { gateway, known, snapshot: way.snapshot, context, channel };
        Ok(Open { books: Books::of(payer, None, Some(ear), hints), upstream, first: None })
    }
}

/// Says something to a caller that listens.
async fn tell<S>(caller: &mut WebSocketStream<S>, message: Message, late: Instant) -> Result<(), End>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match timeout_at(late, caller.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::Left),
        Err(_) => Err(End::Idle),
    }
}

/// What is said to a caller who begins with something else.
fn unnamed() -> Refusal {
    let what = "a transcription session begins with session.update, which names the model in \
        session.audio.input.transcription.model";
    Refusal::InvalidRequest(what.to_owned())
}
