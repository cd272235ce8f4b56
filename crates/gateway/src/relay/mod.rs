//! Passing a stream on, and ending its hold.
//!
//! A stream is passed event by event: what is delivered stays below what is held, the settlement is written before
//! the last byte leaves, and a caller that goes away ends the upstream's work at once because the body is dropped.

mod left;
mod silence;

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame};
use ledger::{Hold, HoldError};
use model::{
    money::Units,
    refusal::Refusal,
    usage::{Parts, UsageOutcome},
};
use wire::{openai::usage::Reported, passage::Passage};

pub(crate) use self::left::left;
use self::{
    left::{CLOSED, LEFT},
    silence::{Due, Silence},
};
use crate::{
    bill::{Bill, Seen, beyond},
    pieces::Pieces,
    upstream::UpstreamBody,
};

/// A stream whose output is estimated at this many times its limit, and [`OVER_AT_LEAST`] tokens more, is ended: its upstream
/// honours no limit. Estimates of honest streams stay well below.
const OVER: u64 = 4;
const OVER_AT_LEAST: u64 = 1024;

type Raising = Pin<Box<dyn Future<Output = (Hold, Result<(), HoldError>)> + Send>>;

/// What is done when more is held, or not.
enum Then {
    /// Go on, with this many output tokens held if it worked.
    GoOn(u64),
    /// Settle a stream that has ended, with this outcome.
    Settle(Box<UsageOutcome>),
}

/// A stream on its way from the upstream to the caller.
pub(crate) struct Relay {
    bill: Bill,
    hold: Option<Hold>,
    upstream: Option<UpstreamBody>,
    pieces: Pieces,
    passage: Passage,
    raising: Option<(Raising, Then)>,
    /// Output tokens that are held, and the most that there can be.
    held: u64,
    most: u64,
    /// What the caller gets next, whole events.
    out: BytesMut,
    single: Option<Bytes>,
    /// Bytes that may leave only after the settlement.
    last: Option<Bytes>,
    silence: Silence,
    ended: bool,
    /// Whether the answer has no words to say that it broke off: then its framing has to say it.
    torn: bool,
    /// Whether the caller has left.
    left: bool,
}

impl Relay {
    pub(crate) fn new(
        mut bill: Bill,
        hold: Hold,
        upstream: (UpstreamBody, Pieces),
        passage: Passage,
        held: u64,
        most: u64,
    ) -> Self {
        bill.first_byte();
        let (upstream, pieces) = upstream;
        let silence = Silence::new(&bill.gateway.settings);
        Self {
            bill,
            hold: Some(hold),
            upstream: Some(upstream),
            pieces,
            passage,
            raising: None,
            held,
            most,
            out: BytesMut::new(),
            single: None,
            last: None,
            silence,
            ended: false,
            torn: false,
            left: false,
        }
    }

    fn put(&mut self, bytes: Bytes) {
        // One event in one piece of the upstream's is the rule, and is not copied.
        if self.out.is_empty() && self.single.is_none() {
            self.single = Some(bytes);
            return;
        }
        if let Some(first) = self.single.take() {
            self.out.extend_from_slice(&first);
        }
        self.out.extend_from_slice(&bytes);
    }

    fn take_out(&mut self) -> Option<Bytes> {
        let out = self.single.take().or_else(|| (!self.out.is_empty()).then(|| self.out.split().freeze()))?;
        self.silence.told();
        Some(out)
    }

    fn outcome(&self, status: u16) -> UsageOutcome {
        let seen = Seen {
            reported: self.passage.reported(),
            delivered: self.passage.delivered(),
            pieces: self.passage.pieces(),
            guessed: self.passage.guesses_pieces(),
            used: self.passage.used(),
        };
        if self.passage.finished() { self.bill.outcome(seen, status) } else { self.bill.so_far(seen, status) }
    }

    fn take_event(&mut self, event: Bytes) {
        let pass = self.passage.event(event);
        if pass.done {
            self.last = pass.bytes;
            self.finish();
            return;
        }
        if let Some(bytes) = pass.bytes {
            self.put(bytes);
        }
        if pass.error {
            // The upstream has said itself what went wrong, in the caller's dialect.
            self.break_off("upstream_error", None);
            return;
        }
        self.note_progress();
        self.look_ahead();
    }

    fn note_progress(&mut self) {
        let now = self.bill.gateway.now();
        if self.hold.as_ref().is_some_and(|hold| hold.wants_progress(now)) {
            let outcome = self.outcome(LEFT);
            if let Some(hold) = &mut self.hold {
                hold.progress(outcome);
            }
        }
    }

    /// Holds a further step before what is held runs out.
    fn look_ahead(&mut self) {
        let step = self.bill.gateway.settings.stream_step.max(2);
        if self.held >= self.most {
            if self.passage.delivered() > self.most.saturating_mul(OVER).saturating_add(OVER_AT_LEAST) {
                tracing::warn!(request_id = self.bill.request_id, "an upstream does not end a stream");
                self.stop();
            }
            return;
        }
        if self.passage.delivered() + step / 2 < self.held {
            return;
        }
        let Some(mut hold) = self.hold.take() else { return };
        let tariff = &self.bill.tariff;
        let wanted = self.held.saturating_add(step).min(self.most);
        let affordable = Units::new(hold.units().get().saturating_add(hold.spare().get()));
        let most = tariff.affordable_output(affordable, wanted);
        let next = most.unwrap_or(0).max(self.held);
        let by = tariff.bound(next).unwrap_or(Units::MAX).get().saturating_sub(hold.units().get());
        if next == self.held {
            self.hold = Some(hold);
            // Nothing more is affordable: go on to the end of what is held.
            if self.passage.delivered() >= self.held {
                self.stop();
            }
            return;
        }
        hold.progress(self.outcome(LEFT));
        let raising = async move {
            let raised = hold.raise(Units::new(by.max(0))).await;
            (hold, raised)
        };
        self.raising = Some((Box::pin(raising), Then::GoOn(next)));
    }

    /// Ends the stream as if the upstream had met an output limit.
    fn stop(&mut self) {
        let outcome = self.outcome(200);
        self.last = Some(self.passage.stop(outcome.tokens)).filter(|last| !last.is_empty());
        self.settle(outcome);
    }

    /// The stream has come to its end: settle it, then let the last bytes go.
    fn finish(&mut self) {
        self.settle(self.outcome(200));
    }

    fn settle(&mut self, mut outcome: UsageOutcome) {
        self.upstream = None;
        if self.left {
            (outcome.status, outcome.error) = (LEFT, Some(CLOSED.to_owned()));
        }
        let Some(mut hold) = self.hold.take() else { return };
        match beyond(&hold, &outcome) {
            None => {
                self.bill.end(hold, outcome);
                self.ended = true;
            }
            Some(more) => {
                hold.progress(outcome.clone());
                let raising = async move {
                    let raised = hold.raise(more).await;
                    (hold, raised)
                };
                self.raising = Some((Box::pin(raising), Then::Settle(Box::new(outcome))));
            }
        }
    }

    fn nothing_delivered(&self) -> bool {
        self.passage.delivered() == 0
            && self.passage.pieces() == Parts::default()
            && !matches!(self.passage.reported(), Reported::Good(_))
    }

    /// The stream broke: what was delivered is charged, and the caller is told unless it was told already.
    fn break_off(&mut self, word: &str, refusal: Option<&Refusal>) {
        self.upstream = None;
        self.ended = true;
        self.torn = self.passage.is_wordless();
        let Some(hold) = self.hold.take() else { return };
        if self.nothing_delivered() {
            self.bill.free(hold, 200, word);
        } else {
            let outcome = self.outcome(200);
            self.bill.end(hold, UsageOutcome { error: Some(word.to_owned()), ..outcome });
        }
        if let Some(refusal) = refusal {
            let told = self.passage.fail(refusal, self.bill.setting());
            self.put(told);
        }
    }

    fn raised(&mut self, hold: Hold, raised: Result<(), HoldError>, then: Then) {
        match (then, raised) {
            (Then::Settle(outcome), raised) => {
                if let Err(error) = raised {
                    tracing::debug!(%error, "the rest of an answer is not affordable");
                }
                self.bill.end(hold, *outcome);
                self.ended = true;
            }
            (Then::GoOn(held), Ok(())) => {
                self.held = held;
                self.hold = Some(hold);
            }
            // Somebody else was faster; look again when what is held has run out.
            (Then::GoOn(_), Err(_)) => self.hold = Some(hold),
        }
    }

    fn upstream_ended(&mut self) {
        if let Some(rest) = self.pieces.finish() {
            self.take_event(rest);
        }
        if self.hold.is_none() {
            return;
        }
        let pass = self.passage.end();
        if pass.done {
            self.last = pass.bytes;
            self.finish();
        } else if pass.error {
            // The conversion has said it itself.
            pass.bytes.into_iter().for_each(|bytes| self.put(bytes));
            self.break_off("upstream_error", None);
        } else {
            self.break_off("upstream_error", Some(&Refusal::UpstreamError));
        }
    }

    /// Waits for the upstream. `Ready` when there is something to do.
    fn poll_upstream(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(upstream) = &mut self.upstream else {
            // A further step was held for what came last; now the end can be looked at.
            self.upstream_ended();
            return Poll::Ready(());
        };
        match Pin::new(upstream).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                if !self.silence.heard() {
                    self.break_off("upstream_timeout", Some(&Refusal::UpstreamTimeout));
                    return Poll::Ready(());
                }
                if let Ok(data) = frame.into_data() {
                    self.pieces.push(data);
                }
            }
            Poll::Ready(Some(Err(error))) => {
                tracing::info!(%error, request_id = self.bill.request_id, "an upstream broke off a stream");
                self.break_off("upstream_error", Some(&Refusal::UpstreamError));
            }
            Poll::Ready(None) => {
                self.upstream = None;
                self.upstream_ended();
            }
            Poll::Pending => match ready!(self.silence.poll(context)) {
                Due::Ping => {
                    let ping = self.passage.ping();
                    if !ping.is_empty() {
                        self.put(ping);
                    }
                }
                Due::End => self.break_off("upstream_timeout", Some(&Refusal::UpstreamTimeout)),
            },
        }
        Poll::Ready(())
    }
}

impl Body for Relay {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        loop {
            if let Some((mut raising, then)) = this.raising.take() {
                let Poll::Ready((hold, raised)) = raising.as_mut().poll(context) else {
                    this.raising = Some((raising, then));
                    // What passed before must not wait for the database.
                    return this
                        .take_out()
                        .map_or(Poll::Pending, |out| Poll::Ready(Some(Ok(Frame::data(out)))));
                };
                this.raised(hold, raised, then);
                continue;
            }
            if this.ended {
                if let Some(last) = this.last.take() {
                    this.put(last);
                }
                if let Some(out) = this.take_out() {
                    return Poll::Ready(Some(Ok(Frame::data(out))));
                }
                let torn = std::mem::take(&mut this.torn);
                return Poll::Ready(torn.then(|| Err(io::Error::other("the answer broke off"))));
            }
            match this.pieces.next_piece() {
                Ok(Some(event)) => {
                    this.take_event(event);
                    continue;
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, request_id = this.bill.request_id, "an upstream's stream is broken");
                    this.break_off("upstream_error", Some(&Refusal::UpstreamError));
                    continue;
                }
            }
            if let Some(out) = this.take_out() {
                return Poll::Ready(Some(Ok(Frame::data(out))));
            }
            ready!(this.poll_upstream(context));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended && !self.torn && self.last.is_none() && self.single.is_none() && self.out.is_empty()
    }
}
