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

/// The silence of an upstream, and that of its caller's stream: an upstream may say much of which a caller is told nothing.
pub(super) struct Silence {
    sleep: Pin<Box<Sleep>>,
    idle: Duration,
    keep_alive: Duration,
    /// When the upstream was last heard, or waited for in vain.
    now: Instant,
    /// When the caller was last told something.
    told: Instant,
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
        let mut silence = Self { sleep, idle, keep_alive, now, told: now, patience, deadline };
        silence.wait();
        silence
    }

    /// The upstream has said something. `false` when the answer must be over.
    pub(super) fn heard(&mut self) -> bool {
        self.now = Instant::now();
        self.patience = (self.now + self.idle).min(self.deadline);
        self.wait();
        self.now < self.deadline
    }

    /// The caller is told something of what was heard.
    pub(super) const fn told(&mut self) {
        self.told = self.now;
    }

    /// Waits for what is due.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Due> {
        ready!(self.sleep.as_mut().poll(context));
        self.now = Instant::now();
        if self.now >= self.patience {
            return Poll::Ready(Due::End);
        }
        self.told();
        self.wait();
        Poll::Ready(Due::Ping)
    }

    fn wait(&mut self) {
        let next = if self.keep_alive.is_zero() { self.patience } else { self.told + self.keep_alive };
        self.sleep.as_mut().reset(next.min(self.patience));
    }
}
