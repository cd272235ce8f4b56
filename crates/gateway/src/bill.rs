//! What an answer costs: from a provider's report, or from our own count, to the end of its hold.

use std::sync::Arc;

use ledger::Hold;
use model::{
    clock::Timestamp,
    money::Units,
    price::Terms,
    refusal::Refusal,
    usage::{Parts, Provenance, Tokens, UsageOutcome},
};
use wire::{error::Setting, extras::Used, openai::usage::Reported};

use crate::{bound::Tariff, entry::Entry, gateway::Gateway};

/// What was seen of an answer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// The provider's own report.
    pub(crate) reported: Reported,
    /// An estimate of the output tokens that passed.
    pub(crate) delivered: u64,
    /// What passed beside tokens.
    pub(crate) pieces: Parts,
    /// Whether that is an estimate.
    pub(crate) guessed: bool,
    /// What else the provider says that it did.
    pub(crate) used: Used,
}

/// What a settlement needs to know beside the hold.
pub(crate) struct Bill {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) tariff: Tariff,
    entry: Entry,
    started: Timestamp,
    first_byte_ms: Option<i64>,
    pub(crate) request_id: String,
    /// The terms of service that the head of the answer names.
    pub(crate) served: Terms,
}

impl Bill {
    pub(crate) fn new(
        gateway: &Arc<Gateway>,
        tariff: Tariff,
        entry: Entry,
        started: Timestamp,
        request_id: String,
    ) -> Self {
        let gateway = Arc::clone(gateway);
        Self { gateway, tariff, entry, started, first_byte_ms: None, request_id, served: Terms::NONE }
    }

    pub(crate) fn first_byte(&mut self) {
        let elapsed = self.gateway.now().millis_since(self.started);
        self.first_byte_ms = Some(elapsed);
        self.entry.note(|facts| facts.first_byte_ms = Some(elapsed));
    }

    /// What a use costs: by the provider's report where it can be true, else by what was delivered.
    pub(crate) fn outcome(&self, seen: Seen, status: u16) -> UsageOutcome {
        // What is free uses nothing of what is priced.
        if self.tariff.measured.free {
            return self.priced(Tokens::default(), Provenance::Counted, status);
        }
        let (mut tokens, provenance) = match seen.reported {
            Reported::Good(tokens) => (tokens, Provenance::Reported),
            Reported::Absent | Reported::Absurd => {
                let input = self.tariff.measured.estimated_input;
                let counted = self.tariff.measured.counted || seen.pieces.images > 0;
                let provenance = if counted { Provenance::Counted } else { Provenance::Estimated };
                (Tokens { input, output: seen.delivered, ..Tokens::default() }, provenance)
            }
        };
        self.add_extras(&mut tokens, seen);
        // Nobody reports images, and few report seconds.
        tokens.parts.images = seen.pieces.images;
        let price = &self.tariff.price.price;
        let mut guessed = seen.guessed && seen.pieces.images > 0 && price.per_image.0 > 0;
        if tokens.parts.seconds == 0 {
            tokens.parts.seconds = seen.pieces.seconds;
            guessed |= seen.guessed && seen.pieces.seconds > 0 && price.per_second.0 > 0;
        }
        let provenance = if guessed { Provenance::Estimated } else { provenance };
        self.priced(tokens, provenance, status)
    }

    /// The same of an answer that has not come to its end: what is reported may lag behind what was delivered, for some
    /// name an output at the very beginning.
    pub(crate) fn so_far(&self, seen: Seen, status: u16) -> UsageOutcome {
        match seen.reported {
            Reported::Good(tokens) if tokens.output < seen.delivered => {
                let mut tokens = Tokens { output: seen.delivered, ..tokens };
                self.add_extras(&mut tokens, seen);
                self.priced(tokens, Provenance::Estimated, status)
            }
            _ => self.outcome(seen, status),
        }
    }

    /// What was used beside tokens, under the terms that are charged.
    fn add_extras(&self, tokens: &mut Tokens, seen: Seen) {
        let served = self.served.each().fold(seen.used.terms, Terms::with);
        let Tariff { price, measured, .. } = &self.tariff;
        tokens.parts.tools = seen.used.tools.max(measured.implied);
        tokens.parts.terms = price.price.terms_of(measured.terms, served);
    }

    /// The outcome of a use that these tokens are.
    pub(crate) fn priced(&self, tokens: Tokens, provenance: Provenance, status: u16) -> UsageOutcome {
        // A report whose cost cannot be counted is beyond every hold; the settlement caps it.
        let units = self.tariff.cost(&tokens).unwrap_or(Units::MAX);
        UsageOutcome {
            tokens,
            provenance,
            units,
            overrun: Units::ZERO,
            status,
            error: None,
            first_byte_ms: self.first_byte_ms,
            ended: self.gateway.now(),
        }
    }

    /// Ends a hold for nothing. Returns the refusal, for the caller.
    pub(crate) fn refuse(&self, hold: Hold, refusal: Refusal) -> Refusal {
        self.free(hold, refusal.status(), refusal.code());
        refusal
    }

    pub(crate) fn free(&self, hold: Hold, status: u16, word: &str) {
        let outcome = UsageOutcome {
            tokens: Tokens::default(),
            provenance: Provenance::Counted,
            units: Units::ZERO,
            overrun: Units::ZERO,
            status,
            error: Some(word.to_owned()),
            first_byte_ms: self.first_byte_ms,
            ended: self.gateway.now(),
        };
        self.end(hold, outcome);
    }

    pub(crate) fn end(&self, hold: Hold, outcome: UsageOutcome) {
        let charged = hold.settle(outcome);
        if charged.overrun > Units::ZERO {
            tracing::warn!(
                request_id = self.request_id,
                overrun = charged.overrun.get(),
                "an upstream claims more than was held"
            );
        }
        self.gateway.metrics.settled(charged.units.get(), charged.overrun.get());
        self.entry.note(|facts| {
            facts.units = Some(charged.units.get());
            facts.tokens = Some(charged.tokens);
            facts.error = charged.error;
        });
    }

    /// Settles a whole answer. What it costs beyond the hold is held first, if there is that much.
    pub(crate) async fn settle(mut self, mut hold: Hold, seen: Seen, status: u16) {
        self.first_byte();
        let outcome = self.outcome(seen, status);
        if let Some(more) = beyond(&hold, &outcome)
            && let Err(error) = Box::pin(hold.raise(more)).await
        {
            tracing::debug!(%error, "the rest of an answer is not affordable");
        }
        self.end(hold, outcome);
    }

    /// What the words of an error need to know.
    pub(crate) fn setting(&self) -> Setting<'_> {
        Setting { request_id: &self.request_id, error_type: &self.gateway.settings.error_type }
    }
}

/// What an outcome costs beyond its hold.
pub(crate) fn beyond(hold: &Hold, outcome: &UsageOutcome) -> Option<Units> {
    let more = outcome.units.get().saturating_sub(hold.units().get());
    (more > 0 && outcome.units < Units::MAX).then_some(Units::new(more))
}
