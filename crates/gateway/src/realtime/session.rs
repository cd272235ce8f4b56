//! A session that is open: what both sides say passes, each way on its own, and either way waits for who reads it.

use std::{future::pending, time::Duration};

use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use model::refusal::Refusal;
use parking_lot::Mutex as Cell;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Mutex, watch},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{Role, WebSocketConfig},
    },
};
use wire::{
    error::{self, Dialect, Setting},
    realtime::{client::Brought, server},
};

use super::{
    books::{Books, Objection},
    end::End,
    narrow::Narrow,
    waiting::Waiting,
};
use crate::{gateway::Settings, upstream::Socket};

/// How long the last words of an upstream are waited for that takes nothing more.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long the other side is waited for after a goodbye.
const GOODBYE: Duration = Duration::from_secs(5);

/// A session that the caller may enter.
pub struct Session {
    pub(super) beginning: Beginning,
    pub(super) config: WebSocketConfig,
}

/// How far it is.
pub(super) enum Beginning {
    /// An upstream has begun it.
    Open(Box<Open>),
    /// The caller has to say first what it is about.
    Waiting(Box<Waiting>),
}

/// What an upstream has begun.
pub(super) struct Open {
    pub(super) books: Books,
    pub(super) upstream: Box<Socket>,
    /// What is said to it first, where the caller has said that before and has been greeted.
    pub(super) first: Option<Message>,
}

/// How a server asks its sessions to end.
#[derive(Clone, Debug)]
pub struct Stop {
    /// Turns true when it stops.
    pub stop: watch::Receiver<bool>,
    /// The longest time that a response may go on then.
    pub patience: Duration,
}

type Writing<S> = Mutex<SplitSink<WebSocketStream<S>, Message>>;

/// What both ways of a session share.
struct Room<'a, S> {
    settings: Settings,
    request_id: String,
    books: Mutex<&'a mut Books>,
    caller: Writing<S>,
    /// When something was last said.
    last: Cell<Instant>,
}

impl Session {
    /// Converses over the caller's connection until either side leaves, then settles.
    pub async fn converse<S>(self, stream: S, stop: Stop)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Self { beginning, config } = self;
        let most = match &beginning {
            Beginning::Open(_) => None,
            Beginning::Waiting(waiting) => Some(waiting.most()),
        };
        let stream = Narrow::new(stream, most);
        let mut caller = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
        let open = match beginning {
            Beginning::Open(open) => open,
            Beginning::Waiting(waiting) => match waiting.begin(&mut caller, stop.clone()).await {
                Ok(open) => Box::new(open),
                Err((end, told)) => {
                    let (to_caller, from_caller) = caller.split();
                    return goodbye(to_caller, from_caller, told, end.to_caller()).await;
                }
            },
        };
        open.converse(caller, stop).await;
    }
}

impl Open {
    async fn converse<S>(self, caller: WebSocketStream<S>, stop: Stop)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Self { mut books, upstream, first } = self;
        let (to_caller, mut from_caller) = caller.split();
        let (mut to_upstream, mut from_upstream) = (*upstream).split();
        let settings = books.payer.gateway.settings.clone();
        let request_id = books.payer.context.request_id.clone();
        let mut quiet = books.quiet.subscribe();
        let room = Room {
            settings,
            request_id,
            books: Mutex::new(&mut books),
            caller: Mutex::new(to_caller),
            last: Cell::new(Instant::now()),
        };
        let late = Instant::now() + room.settings.answer;
        let greeted = first.is_some();
        let end = tokio::select! {
            end = room.down(&mut from_upstream, greeted) => end,
            end = room.up(first, &mut from_caller, &mut to_upstream) => end,
            () = room.idle() => End::Idle,
            () = sleep_until(late) => End::Late,
            () = stopped(stop, &mut quiet) => End::Stopped,
        };
        tracing::debug!(request_id = room.request_id, ?end, "a session ends");
        let quiet = *quiet.borrow();
        let Room { request_id, settings, caller: to_caller, .. } = room;
        books.settle(end.ending(quiet)).await;
        let setting = Setting { request_id: &request_id, error_type: &settings.error_type };
        let told = end.refusal(quiet).map(|refusal| error_event(&refusal, setting));
        let caller = goodbye(to_caller.into_inner(), from_caller, told, end.to_caller());
        let upstream = goodbye(to_upstream, from_upstream, None, end.to_upstream());
        tokio::join!(caller, upstream);
    }
}

impl<S> Room<'_, S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    /// What the caller says, to the upstream; after what it has said before.
    async fn up(
        &self,
        first: Option<Message>,
        from: &mut SplitStream<WebSocketStream<S>>,
        to: &mut SplitSink<Socket, Message>,
    ) -> End {
        if let Some(first) = first
            && let Err(end) = self.pass(first, to).await
        {
            return end;
        }
        loop {
            let message = match from.next().await {
                None => return End::Left,
                Some(Err(error)) => return End::of_caller(&error),
                Some(Ok(message)) => message,
            };
            let message = match self.heard(message).await {
                Ok(Some(message)) => message,
                Ok(None) => continue,
                Err(end) => return end,
            };
            if let Err(end) = self.pass(message, to).await {
                return end;
            }
        }
    }

    /// What is sent on of what the caller says.
    async fn heard(&self, message: Message) -> Result<Option<Message>, End> {
        match message {
            Message::Text(text) => {
                self.said();
                let said = self.books.lock().await.caller_says(&text).await;
                match said {
                    Ok(None) => Ok(Some(Message::Text(text))),
                    Ok(Some(changed)) => Ok(Some(Message::text(changed))),
                    Err(Objection::End(refusal)) => Err(End::Refused(refusal)),
                    Err(Objection::Event(refusal)) => {
                        self.object(&refusal).await.map_err(|_| End::Left)?;
                        Ok(None)
                    }
                }
            }
            Message::Binary(bytes) => {
                self.said();
                let brought = Brought { sound: bytes.len() as u64, ..Brought::default() };
                let brings = self.books.lock().await.brings(brought).await;
                brings.map_err(End::Refused)?;
                Ok(Some(Message::Binary(bytes)))
            }
            // It has been answered here; the way behind must stay open as well.
            Message::Ping(payload) => Ok(Some(Message::Ping(payload))),
            Message::Close(frame) => Err(End::Caller(frame)),
            Message::Pong(_) | Message::Frame(_) => Ok(None),
        }
    }

    /// Sends a message to the upstream, once that takes it.
    async fn pass(&self, message: Message, to: &mut SplitSink<Socket, Message>) -> Result<(), End> {
        match timeout(self.settings.idle, to.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => {
                // It has closed, and what it said at last is about to be read.
                sleep(LAST_WORDS).await;
                Err(End::Broke(Refusal::UpstreamError))
            }
            Err(_) => Err(End::Broke(Refusal::UpstreamTimeout)),
        }
    }

    /// What the upstream says, to the caller.
    ///
    /// A caller that was `greeted` already hears no second greeting.
    async fn down(&self, from: &mut SplitStream<Socket>, mut greeted: bool) -> End {
        loop {
            let message = match from.next().await {
                Some(Ok(message)) => message,
                Some(Err(error)) => {
                    tracing::info!(%error, request_id = self.request_id, "an upstream broke off a session");
                    return End::Broke(Refusal::UpstreamError);
                }
                None => return End::Broke(Refusal::UpstreamError),
            };
            match &message {
                Message::Text(text) => {
                    self.said();
                    let said = self.books.lock().await.upstream_says(text).await;
                    match said {
                        Ok(()) if std::mem::take(&mut greeted) && server::is_greeting(text) => continue,
                        Ok(()) => {}
                        Err(refusal @ Refusal::UpstreamError) => return End::Broke(refusal),
                        Err(refusal) => return End::Refused(refusal),
                    }
                }
                Message::Binary(_) => self.said(),
                Message::Ping(_) => {}
                Message::Close(frame) => return End::Upstream(frame.clone()),
                Message::Pong(_) | Message::Frame(_) => continue,
            }
            if self.caller.lock().await.send(message).await.is_err() {
                return End::Left;
            }
        }
    }

    /// Tells the caller that an event does not pass.
    async fn object(&self, refusal: &Refusal) -> Result<(), tokio_tungstenite::tungstenite::Error> {
        let setting = Setting { request_id: &self.request_id, error_type: &self.settings.error_type };
        self.caller.lock().await.send(error_event(refusal, setting)).await
    }

    fn said(&self) {
        *self.last.lock() = Instant::now();
    }

    /// Until nothing was said for too long.
    async fn idle(&self) {
        loop {
            let due = *self.last.lock() + self.settings.realtime_idle;
            if due <= Instant::now() {
                return;
            }
            sleep_until(due).await;
        }
    }
}

/// Until the server stops and no response is on its way, or has been for too long.
pub(super) async fn stopped(stop: Stop, quiet: &mut watch::Receiver<bool>) {
    let Stop { mut stop, patience } = stop;
    if stop.wait_for(|stop| *stop).await.is_err() {
        // Nobody will ever say so.
        pending::<()>().await;
    }
    let waited = timeout(patience, quiet.wait_for(|quiet| *quiet)).await;
    if waited.is_err() {
        tracing::debug!("a response does not end before the server stops");
    }
}

/// An error as an event of the dialect.
pub(super) fn error_event(refusal: &Refusal, setting: Setting<'_>) -> Message {
    let mut event = error::body(refusal, Dialect::OpenAi, setting);
    if let Some(members) = event.as_object_mut() {
        members.insert("type".to_owned(), "error".into());
        members.insert("event_id".to_owned(), format!("event_{}", setting.request_id).into());
    }
    Message::text(event.to_string())
}

/// Says what there is to say, and goodbye, and waits for the answer, but not for long.
async fn goodbye<S>(
    mut to: SplitSink<WebSocketStream<S>, Message>,
    mut from: SplitStream<WebSocketStream<S>>,
    told: Option<Message>,
    goodbye: Option<Option<tokio_tungstenite::tungstenite::protocol::CloseFrame>>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let talking = async {
        if let Some(told) = told {
            to.send(told).await?;
        }
        match goodbye {
            Some(frame) => to.send(Message::Close(frame)).await?,
            None => to.flush().await?,
        }
        while let Some(message) = from.next().await {
            message?;
        }
        Ok::<_, tokio_tungstenite::tungstenite::Error>(())
    };
    match timeout(GOODBYE, talking).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a goodbye was not heard"),
        Err(_) => tracing::debug!("a goodbye was not answered"),
    }
}
