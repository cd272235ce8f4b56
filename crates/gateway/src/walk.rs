//! The attempts of a request: one channel after another, until one answers or none is left that may be asked and can be
//! afforded. What is sent is its caller's business.

use std::sync::Arc;

use ledger::Hold;
use model::{money::Units, price::Ratio, refusal::Refusal};

use crate::{
    attempt::{Failed, Why},
    channels,
    entry::Entry,
    gateway::Gateway,
    routing::{Attempt, Attempts, Next, Plan, UpstreamFailure},
};

/// A walk along a plan, at one attempt of it.
pub(crate) struct Walk {
    gateway: Arc<Gateway>,
    entry: Entry,
    attempts: Attempts,
    attempt: Attempt,
}

impl Walk {
    /// Begins at the first attempt.
    ///
    /// # Errors
    /// What was fit a moment ago rests by now.
    pub(crate) fn begin(gateway: &Arc<Gateway>, plan: Plan, entry: &Entry) -> Result<Self, Refusal> {
        let now = gateway.now();
        let mut attempts = Attempts::new(plan, &gateway.health, now);
        let attempt =
            attempts.next(&gateway.health, &gateway.budget, now).map_err(|_| Refusal::UpstreamError)?;
        attempt.note(entry);
        Ok(Self { gateway: Arc::clone(gateway), entry: entry.clone(), attempts, attempt })
    }

    /// The attempt that is to be made.
    pub(crate) const fn attempt(&self) -> &Attempt {
        &self.attempt
    }

    /// Its upstream has answered.
    pub(crate) fn succeeded(self) {
        self.attempt.permit.succeeded();
    }

    /// Goes on after an attempt that failed. A dearer group is gone to only if what it `needs` at its ratio is held.
    ///
    /// # Errors
    /// What the caller gets, when there is no further attempt.
    pub(crate) async fn next(
        mut self,
        failed: Failed,
        hold: &mut Hold,
        needs: impl Fn(Ratio) -> Option<Units>,
    ) -> Result<Self, Refusal> {
        let Failed { why, refusal } = failed;
        // Where it is no fault of the upstream there is nothing to be learnt of the channel.
        let is_over = match why {
            Why::Upstream(failure) => self.attempt.failed(&self.gateway, failure) == Next::Answer,
            Why::Unsaid => false,
            Why::NoRoom => true,
        };
        if is_over {
            return Err(refusal);
        }
        loop {
            let Gateway { health, budget, .. } = &*self.gateway;
            let Ok(next) = self.attempts.next(health, budget, self.gateway.now()) else {
                return Err(refusal);
            };
            if let Some(need) = needs(next.ratio)
                && affords(hold, need).await
            {
                next.note(&self.entry);
                return Ok(Self { attempt: next, ..self });
            }
            self.attempts.unaffordable(next, &self.gateway.budget);
        }
    }
}

/// Holds what is missing; `false` when it is not affordable.
async fn affords(hold: &mut Hold, need: Units) -> bool {
    let more = need.get().saturating_sub(hold.units().get());
    more <= 0 || hold.raise(Units::new(more)).await.is_ok()
}

impl Attempt {
    pub(crate) fn note(&self, entry: &Entry) {
        entry.note(|facts| {
            (facts.group, facts.channel) = (Some(self.group.to_string()), Some(self.permit.channel().id));
            facts.attempts = self.number;
        });
    }

    /// Takes in that it failed, and says what is next.
    pub(crate) fn failed(self, gateway: &Arc<Gateway>, failure: UpstreamFailure) -> Next {
        let (channel, policy) = (Arc::clone(self.permit.channel()), gateway.health.policy());
        gateway.metrics.upstream_failed(failure);
        tracing::info!(channel = %channel.id, group = %self.group, attempt = self.number, ?failure, "an attempt failed");
        if self.permit.failed(failure)
            && let UpstreamFailure::Status { status, .. } = failure
        {
            // On this node the credential rests already; the request need not wait for the others.
            let gateway = Arc::clone(gateway);
            tokio::spawn(async move {
                let refused = channels::credential_refused(&gateway, channel.credential, status).await;
                if let Err(error) = refused {
                    tracing::error!(%error, credential = %channel.credential, "cannot disable a credential");
                }
            });
        }
        failure.verdict(policy).next
    }
}
