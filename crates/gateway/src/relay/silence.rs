//! How long a stream may say nothing: until its caller is told that it goes on, until its upstream counts as dead, and until it
//! must be over.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep};

use crate::gateway::Settings;

/// The silence of an upstream.
pub(super) struct Silence {
    sleep: Pin<Box<Sleep>>,
    idle: Duration,
    keep_alive: Duration,
    /// When the upstream must have said something.
    patience: Instant,
    /// When the answer must be over.
    deadline: Instant,
}

/// What is to be done when nothing was said for a while.
pub(super) enum Due {
    /// The caller is told that the answer goes on.
    Ping,
    /// The stream is given up.
    End,
}

impl Silence {
    /// Begins now.
    pub(super) fn new(settings: &Settings) -> Self {
        let Settings { idle, keep_alive, answer, .. } = *settings;
        let now = Instant::now();
        let deadline = now + answer;
        let patience = (now + idle).min(deadline);
        let sleep = Box::pin(tokio::time::sleep_until(patience));
        let mut silence = Self { sleep, idle, keep_alive, patience, deadline };
        silence.wait_from(now);
        silence
    }

    /// The upstream has said something. `false` when the answer must be over.
    pub(super) fn heard(&mut self) -> bool {
        let now = Instant::now();
        self.patience = (now + self.idle).min(self.deadline);
        self.wait_from(now);
        now < self.deadline
    }

    /// Waits for what is due.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Due> {
        ready!(self.sleep.as_mut().poll(context));
        let now = Instant::now();
        if now >= self.patience {
            return Poll::Ready(Due::End);
        }
        self.wait_from(now);
        Poll::Ready(Due::Ping)
    }

    fn wait_from(&mut self, now: Instant) {
        let next = if self.keep_alive.is_zero() { self.patience } else { now + self.keep_alive };
        self.sleep.as_mut().reset(next.min(self.patience));
    }
}
