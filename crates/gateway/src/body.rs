//! Reading bodies whole: never more than allowed, not for ever, and not all of them at once.

use std::{future::poll_fn, pin::Pin, task::Poll, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame};
use model::refusal::Refusal;
use tokio::time::Instant;

use crate::room::{NoRoom, Room};

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// It has more bytes than allowed.
    TooLarge,
    /// Nothing came for too long.
    Slow,
    /// It broke off.
    Broken,
    /// Too many large bodies are in memory.
    NoRoom,
}

impl From<NoRoom> for Cut {
    fn from(_: NoRoom) -> Self {
        Self::NoRoom
    }
}

/// How long a body may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Longest pause between two of its parts.
    pub(crate) idle: Duration,
    /// Longest time from its first part to its last.
    pub(crate) whole: Duration,
}

/// Reads the caller's body: refused before it is read when it says that it is too large, and cut when it is slow.
///
/// # Errors
/// The refusal that the caller gets.
pub(crate) async fn of_caller<B>(
    headers: &HeaderMap,
    body: B,
    limit: u64,
    patience: Patience,
    room: &Room,
) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    must_fit(headers, limit)?;
    collect(body, limit, patience, room).await.map_err(|cut| refusal(cut, limit))
}

/// Refuses a body that says that it is larger than `limit`.
///
/// # Errors
/// [`Refusal::RequestTooLarge`].
pub(crate) fn must_fit(headers: &HeaderMap, limit: u64) -> Result<(), Refusal> {
    let told =
        headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if told.is_some_and(|length| length > limit) { Err(Refusal::RequestTooLarge(limit)) } else { Ok(()) }
}

/// What a caller hears whose body could not be read.
pub(crate) fn refusal(cut: Cut, limit: u64) -> Refusal {
    match cut {
        Cut::TooLarge => Refusal::RequestTooLarge(limit),
        Cut::Slow => Refusal::RequestTimeout,
        Cut::Broken => Refusal::InvalidRequest("the request body broke off".to_owned()),
        Cut::NoRoom => Refusal::Unavailable,
    }
}

/// Reads a body of at most `limit` bytes.
///
/// # Errors
/// [`Cut`].
pub(crate) async fn collect<B>(body: B, limit: u64, patience: Patience, room: &Room) -> Result<Bytes, Cut>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut first = Bytes::new();
    let mut rest = room.body();
    let mut reading = Reading::new(body, limit, patience);
    while let Some(data) = reading.next().await? {
        // Most bodies come in one piece and are not copied.
        if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.push(&std::mem::take(&mut first))?;
            }
            rest.push(&data)?;
        }
        if reading.is_over() {
            break;
        }
    }
    Ok(if rest.is_empty() { first } else { rest.finish() })
}

/// A body that is read part by part.
pub(crate) struct Reading<B> {
    body: B,
    left: u64,
    patience: Patience,
    /// Until when there must be all of it, from the first wait on.
    end: Option<Instant>,
}

impl<B> Reading<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    /// Begins to read a body of at most `limit` bytes.
    pub(crate) fn new(body: B, limit: u64, patience: Patience) -> Self {
        Self { body, left: limit, patience, end: None }
    }

    /// Whether it is known that nothing follows.
    fn is_over(&self) -> bool {
        self.body.is_end_stream()
    }

    /// The next part; `None` at the end.
    ///
    /// # Errors
    /// [`Cut`].
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Cut> {
        loop {
            let frame = match self.frame().await? {
                None => return Ok(None),
                Some(Err(_)) => return Err(Cut::Broken),
                Some(Ok(frame)) => frame,
            };
            let Ok(data) = frame.into_data() else { continue };
            self.left = self.left.checked_sub(data.len() as u64).ok_or(Cut::TooLarge)?;
            return Ok(Some(data));
        }
    }

    /// The next frame. What is there already needs no timer: most bodies come with their heads.
    async fn frame(&mut self) -> Result<Option<Result<Frame<Bytes>, B::Error>>, Cut> {
        let body = &mut self.body;
        if let Poll::Ready(frame) =
            poll_fn(|context| Poll::Ready(Pin::new(&mut *body).poll_frame(context))).await
        {
            return Ok(frame);
        }
        let now = Instant::now();
        let end = *self.end.get_or_insert(now + self.patience.whole);
        let wait = (now + self.patience.idle).min(end);
        tokio::time::timeout_at(wait, Pin::new(body).frame()).await.map_err(|_| Cut::Slow)
    }
}
