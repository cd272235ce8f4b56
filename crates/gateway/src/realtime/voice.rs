//! Who answers in a session: what that may cost is held before it is let through.

use model::{refusal::Refusal, usage::Tokens};

use super::{
    account::{Account, Ending},
    meter::Meter,
};

/// Output tokens that are held in small steps where a whole one is not affordable.
const SMALL: u64 = 64;

/// The model that answers, and what it costs.
pub(super) struct Voice {
    pub(super) account: Account,
    pub(super) meter: Meter,
    /// Output tokens of a response that are held ahead.
    pub(super) step: u64,
}

impl Voice {
    /// Tokens are used of which no response tells.
    ///
    /// # Errors
    /// They are not affordable.
    pub(super) async fn uses(&mut self, tokens: Tokens) -> Result<(), Refusal> {
        self.meter.use_up(tokens);
        self.cover(0).await
    }

    /// Holds a further step before what is held runs out; at least `least` output tokens of each response.
    ///
    /// # Errors
    /// Not even that is affordable.
    pub(super) async fn cover(&mut self, least: u64) -> Result<(), Refusal> {
        if self.meter.need((self.step / 2).max(least)) <= self.account.held() {
            return Ok(());
        }
        let (wanted, least) = (self.meter.need(self.step), self.meter.need(least));
        let small = self.meter.need(SMALL.min(self.step)).max(least);
        if least <= self.account.held() {
            return self.account.cover(wanted, least).await;
        }
        match self.account.cover(wanted, small).await {
            Err(_) => self.account.cover(wanted, least).await,
            covered => covered,
        }
    }

    /// Ends its hold at what was used.
    pub(super) async fn settle(&mut self, end: Ending<'_>) {
        self.account.settle(self.meter.so_far(), end).await;
    }

    /// It is over, now.
    pub(super) fn end(&mut self, end: Ending<'_>) {
        self.account.end(self.meter.so_far(), end);
    }
}
