//! Who waits until a position of the journal is durable.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

/// What somebody waits for, and how it is told.
type Waiting = (u64, oneshot::Sender<()>);

/// The waiters, and how far the journal is durable.
#[derive(Debug)]
pub(crate) struct Waiters {
    durable: AtomicU64,
    /// What each waits for; none when nothing more will be durable.
    waiting: Mutex<Option<Vec<Waiting>>>,
    /// Told when more is durable.
    more: Notify,
    /// Whether a task tells the waiters.
    has_task: AtomicBool,
}

impl Waiters {
    /// Everything up to `durable` is.
    pub(crate) fn new(durable: u64) -> Self {
        Self {
            durable: AtomicU64::new(durable),
            waiting: Mutex::new(Some(Vec::new())),
            more: Notify::new(),
            has_task: AtomicBool::new(false),
        }
    }

    /// Everything up to here survives a crash of the machine.
    pub(crate) fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// More is durable.
    pub(crate) fn publish(&self, seq: u64) {
        self.durable.store(seq, Ordering::Release);
        // Who begins to wait from here on sees what is durable. Most answers come later than the sync of their hold: then
        // nobody waits, and nobody need be woken.
        if self.waiting.lock().as_ref().is_none_or(Vec::is_empty) {
            return;
        }
        match self.has_task.load(Ordering::Acquire) {
            true => self.more.notify_one(),
            false => self.tell(),
        }
    }

    /// Nothing more will be durable: whoever waits is told so.
    pub(crate) fn end(&self) {
        // What is durable stays so, and whoever waits for it may not have been told yet.
        self.tell();
        // Dropping the senders tells it.
        drop(self.waiting.lock().take());
        self.more.notify_one();
    }

    fn tell(&self) {
        let mut waiting = self.waiting.lock();
        let Some(all) = &mut *waiting else { return };
        let seq = self.durable();
        let ready: Vec<_> = all.extract_if(.., |(wanted, _)| *wanted <= seq).collect();
        drop(waiting);
        for (_, waiter) in ready {
            if waiter.send(()).is_err() {
                tracing::trace!("a waiter has left");
            }
        }
    }

    /// Tells the waiters from a task, until the end. To wake one task from outside of the runtime costs as much as to wake
    /// dozens from within.
    pub(crate) async fn tell_until_end(self: Arc<Self>) {
        self.has_task.store(true, Ordering::Release);
        while self.waiting.lock().is_some() {
            self.tell();
            self.more.notified().await;
        }
    }

    /// Waits until `seq` is durable. `false` when it will never be.
    pub(crate) async fn wait(&self, seq: u64) -> bool {
        let (sender, receiver) = oneshot::channel();
        {
            let mut waiting = self.waiting.lock();
            if self.durable() >= seq {
                return true;
            }
            let Some(all) = &mut *waiting else { return false };
            all.push((seq, sender));
        }
        receiver.await.is_ok()
    }
}
