//! A caller that leaves. It pays for what was delivered.
//!
//! One that leaves when it has the whole answer, but before its upstream has said what it used, is charged at the upstream's
//! count, as if it had stayed: reasoning that is not shown would be free otherwise, for everybody who closes the connection
//! behind the last word.

use std::{future::poll_fn, pin::Pin, time::Duration};

use hyper::body::Body;
use model::usage::UsageOutcome;
use wire::openai::usage::Reported;

use super::Relay;

/// What a record says of a caller that has left.
pub(super) const LEFT: u16 = 499;
pub(super) const CLOSED: &str = "client_closed";
/// How long an upstream may take to say what a finished answer used.
const PATIENCE: Duration = Duration::from_secs(10);

/// Takes over a stream that nobody reads any more. Unless only its counts are missing it ends at once, at what was delivered.
pub(crate) fn left(mut relay: Box<Relay>) {
    if !relay.lacks_only_its_counts() {
        return;
    }
    // Without a runtime it is settled as it is dropped, and so it is when the runtime ends before the upstream has spoken.
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    relay.leave();
    runtime.spawn(async move {
        let rest = async {
            while let Some(Ok(_)) = poll_fn(|context| Pin::new(&mut *relay).poll_frame(context)).await {}
        };
        if tokio::time::timeout(PATIENCE, rest).await.is_err() {
            tracing::debug!("an upstream does not say what a finished answer used");
        }
    });
}

impl Relay {
    /// Whether the caller has got the whole answer, and only its counts are missing.
    fn lacks_only_its_counts(&self) -> bool {
        let counted = matches!(self.passage.reported(), Reported::Good(_));
        self.hold.is_some() && self.upstream.is_some() && self.passage.finished() && !counted
    }

    /// The caller has left.
    const fn leave(&mut self) {
        self.left = true;
    }
}

impl Drop for Relay {
    /// The caller has left: what was delivered is charged.
    fn drop(&mut self) {
        if let Some(hold) = self.hold.take() {
            if self.nothing_delivered() {
                self.bill.free(hold, LEFT, CLOSED);
            } else {
                let outcome = self.outcome(LEFT);
                let error = Some(CLOSED.to_owned());
                self.bill.end(hold, UsageOutcome { error, ..outcome });
            }
        }
    }
}
