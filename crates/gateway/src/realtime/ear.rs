//! Writing down what is heard: another model does it, at a price of its own, so it has a hold and a record of its own.

use std::sync::Arc;

use model::{
    money::Units,
    price::Most,
    refusal::Refusal,
    usage::{Provenance, Tokens, UsageContext},
};
use wire::{openai::usage::Reported, realtime::Format};

use super::{
    account::{Account, Ending},
    meter::{sum, tokens_of},
};
use crate::{
    bill::Bill,
    bound::{self, Tariff},
    door::Door,
    entry::Entry,
    gateway::Gateway,
    key_cache::Known,
    measure::Measured,
    routing::Snapshot,
};

/// Seconds of sound that are held ahead of what was heard.
const AHEAD: u64 = 60;
/// Tokens of a second of sound, and of the words in it, at most; and what they likely are.
const MOST_SOUND: u64 = 50;
const MOST_WORDS: u64 = 10;
const SOUND: u64 = 10;
const WORDS: u64 = 3;

/// Who pays, by which prices, and what the records say.
pub(super) struct Payer {
    pub(super) gateway: Arc<Gateway>,
    pub(super) known: Arc<Known>,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) context: UsageContext,
}

/// A model that writes down what is heard.
pub(super) struct Ear {
    model: String,
    account: Account,
    tariff: Tariff,
    /// Bytes of sound that nothing was reported of.
    unheard: u64,
    spent: Option<(Tokens, Provenance)>,
}

impl Ear {
    /// Holds what a first minute costs, or as much of it as is worth beginning with.
    ///
    /// # Errors
    /// The key may not use the model, or it has no price, or it cannot be paid.
    pub(super) async fn open(payer: &Payer, model: &str) -> Result<Self, Refusal> {
        let Payer { gateway, known, snapshot, context } = payer;
        if !known.key.settings.allows_model(model) {
            return Err(Refusal::ModelNotAllowed(model.to_owned()));
        }
        let price = snapshot.price(model).filter(|price| Door::Transcriptions.is_priced_by(&price.price));
        let price = Arc::clone(price.ok_or_else(|| Refusal::PriceUnknown(model.to_owned()))?);
        let context = UsageContext {
            model: model.to_owned(),
            upstream_model: model.to_owned(),
            price: price.price.id,
            ..context.clone()
        };
        let tariff = Tariff { price, ratio: context.ratio, measured: Measured::default() };
        let pools = [known.key.pool, known.account.pool];
        let mut held = Err(Refusal::Internal);
        for seconds in [AHEAD, 1] {
            let units = bound_of(&tariff, seconds);
            let taken = gateway.ledger.hold(pools, units, context.clone()).await;
            held = taken.map_err(|error| bound::refusal(known, error));
            if held.is_ok() {
                break;
            }
        }
        let (id, started) = (context.request_id.clone(), context.started);
        // The session's own line of the log is about the session's own model.
        let mut bill = Bill::new(gateway, tariff.clone(), Entry::default(), started, id);
        bill.first_byte();
        let account = Account::new(bill, Arc::clone(known), held?);
        Ok(Self { model: model.to_owned(), account, tariff, unheard: 0, spent: None })
    }

    /// Whether this model it is.
    pub(super) fn is(&self, model: &str) -> bool {
        self.model == model
    }

    /// Sound comes in.
    ///
    /// # Errors
    /// What it costs to hear it is not affordable.
    pub(super) async fn hears(&mut self, sound: u64, format: Format) -> Result<(), Refusal> {
        self.unheard = self.unheard.saturating_add(sound);
        self.cover(format).await
    }

    /// What was heard is written down.
    ///
    /// # Errors
    /// What it cost is not affordable.
    pub(super) async fn heard(&mut self, reported: Reported, format: Format) -> Result<(), Refusal> {
        let of = |rate| tokens_of(self.unheard, format, rate);
        let (tokens, provenance) = match reported {
            Reported::Good(tokens) => (tokens, Provenance::Reported),
            Reported::Absent | Reported::Absurd => {
                let mut tokens = Tokens { input: of(SOUND), output: of(WORDS), ..Tokens::default() };
                (tokens.parts.input_audio, tokens.parts.seconds) = (tokens.input, of(1));
                (tokens, Provenance::Estimated)
            }
        };
        let (spent, before) = self.spent.unwrap_or((Tokens::default(), Provenance::Reported));
        let estimated = Provenance::Estimated;
        let provenance = if before == estimated { estimated } else { provenance };
        self.spent = Some((sum(spent, tokens), provenance));
        self.unheard = 0;
        self.cover(format).await?;
        self.account.note_at_once(self.spent)
    }

    async fn cover(&mut self, format: Format) -> Result<(), Refusal> {
        let need = |ahead| {
            let spent =
                self.spent.map_or(Units::ZERO, |(spent, _)| self.tariff.cost(&spent).unwrap_or(Units::MAX));
            let seconds = tokens_of(self.unheard, format, 1).saturating_add(ahead);
            spent.get().saturating_add(bound_of(&self.tariff, seconds).get()).min(Units::MAX.get())
        };
        if Units::new(need(AHEAD / 2)) <= self.account.held() {
            return Ok(());
        }
        let (wanted, least) = (Units::new(need(AHEAD)), Units::new(need(0)));
        self.account.cover(wanted, least).await
    }

    /// It listens no more.
    pub(super) async fn close(&mut self, end: Ending<'_>) {
        self.account.settle(self.spent, end).await;
    }

    /// It is over, now.
    pub(super) fn end(&mut self, end: Ending<'_>) {
        self.account.end(self.spent, end);
    }
}

/// The most that so many seconds can cost.
fn bound_of(tariff: &Tariff, seconds: u64) -> Units {
    let of = |rate: u64| seconds.saturating_mul(rate);
    let most = Most { input: of(MOST_SOUND), output: of(MOST_WORDS), seconds, ..Most::default() };
    tariff.price.price.bound_of(tariff.ratio, &most).unwrap_or(Units::MAX)
}
