//! Writing down what is heard: another model does it, at a price of its own, so it has a hold and a record of its own.

use std::sync::Arc;

use ledger::Hold;
use model::{
    money::Units,
    price::Most,
    refusal::Refusal,
    usage::{Provenance, Tokens, UsageContext},
};
use store::ModelPrice;
use wire::{
    openai::{estimate, usage::Reported},
    realtime::{Format, client::Hints},
};

use super::{
    account::{Account, Ending},
    meter::{sum, tokens_of},
    open::Asker,
    sound::Sound,
};
use crate::{
    attempt::Failed,
    bill::Bill,
    bound::{self, Tariff},
    door::Door,
    entry::Entry,
    gateway::Gateway,
    key_cache::Known,
    measure::Measured,
    routing::{Channel, Snapshot},
    walk::Walk,
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
    /// The channel, whose upstream has names of its own for models.
    pub(super) channel: Arc<Channel>,
}

/// What a hold is good for.
#[derive(Clone, Copy)]
struct Ahead {
    seconds: u64,
    /// Tokens of text.
    text: u64,
}

/// What is held before a model begins to listen.
pub(super) struct First {
    pub(super) hold: Hold,
    pub(super) tariff: Tariff,
    /// What it is good for.
    ahead: Ahead,
    hints: Hints,
}

impl First {
    /// Holds what a first minute costs, or as much of it as is worth beginning with, and a first reading of the hints.
    ///
    /// # Errors
    /// It cannot be paid.
    pub(super) async fn hold(
        gateway: &Gateway,
        known: &Known,
        price: Arc<ModelPrice>,
        context: &UsageContext,
        hints: Hints,
    ) -> Result<Self, Refusal> {
        let tariff = Tariff { price, ratio: context.ratio, measured: Measured::default() };
        let pools = [known.key.pool, known.account.pool];
        let mut refusal = Refusal::Internal;
        for seconds in [AHEAD, 1] {
            let ahead = Ahead { seconds, text: hints.most_tokens() };
            match gateway.ledger.hold(pools, bound_of(&tariff, ahead), context.clone()).await {
                Ok(hold) => return Ok(Self { hold, tariff, ahead, hints }),
                Err(error) => refusal = bound::refusal(known, error),
            }
        }
        Err(refusal)
    }

    /// Goes on to the next channel after one that failed, if what is held there is affordable.
    ///
    /// # Errors
    /// What the caller gets, when there is no further attempt.
    pub(super) async fn walk(&mut self, walk: Walk, failed: Failed) -> Result<Walk, Refusal> {
        let (tariff, ahead) = (&self.tariff, self.ahead);
        let needs = |ratio| Some(bound_of(&tariff.at(ratio), ahead));
        let walk = walk.next(failed, &mut self.hold, needs).await?;
        self.tariff.ratio = walk.attempt().ratio;
        Ok(walk)
    }

    /// Ends the hold for nothing. Returns the refusal, for the caller.
    pub(super) fn refuse(self, asker: &Asker, refusal: Refusal) -> Refusal {
        let Asker { gateway, request_id, entry, started, .. } = asker;
        let bill = Bill::new(gateway, self.tariff, entry.clone(), *started, request_id.clone());
        bill.refuse(self.hold, refusal)
    }
}

/// A model that writes down what is heard.
pub(super) struct Ear {
    model: String,
    account: Account,
    tariff: Tariff,
    sound: Sound,
    /// Bytes of its words that were told since the last report.
    told: u64,
    /// What it is told with each piece of sound.
    hints: Hints,
    spent: Option<(Tokens, Provenance)>,
}

impl Ear {
    /// A model that listens in a conversation.
    ///
    /// # Errors
    /// The key may not use the model, or it has no price, or it cannot be paid.
    pub(super) async fn open(payer: &Payer, model: &str, hints: Hints) -> Result<Self, Refusal> {
        let Payer { gateway, known, snapshot, context, channel } = payer;
        if !known.key.settings.allows_model(model) {
            return Err(Refusal::ModelNotAllowed(model.to_owned()));
        }
        let price = snapshot.price(model).filter(|price| Door::Transcriptions.is_priced_by(&price.price));
        let price = Arc::clone(price.ok_or_else(|| Refusal::PriceUnknown(model.to_owned()))?);
        let context = UsageContext {
            model: model.to_owned(),
            upstream_model: channel.upstream_model(model).to_owned(),
            price: price.price.id,
            ..context.clone()
        };
        let first = First::hold(gateway, known, price, &context, hints).await?;
        // The session's own line of the log is about the session's own model.
        Ok(Self::new(gateway, known, first, &context, Entry::default()))
    }

    /// A model that listens, with what is held for it.
    pub(super) fn new(
        gateway: &Arc<Gateway>,
        known: &Arc<Known>,
        first: First,
        context: &UsageContext,
        entry: Entry,
    ) -> Self {
        let First { hold, tariff, hints, .. } = first;
        let (id, started) = (context.request_id.clone(), context.started);
        let mut bill = Bill::new(gateway, tariff.clone(), entry, started, id);
        bill.first_byte();
        let account = Account::new(bill, Arc::clone(known), hold);
        let model = context.model.clone();
        Self { model, account, tariff, sound: Sound::default(), told: 0, hints, spent: None }
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
        self.sound.comes(sound);
        self.cover(format).await
    }

    /// This is what it is told beside the sound from now on.
    pub(super) const fn is_told(&mut self, hints: Hints) {
        self.hints = hints;
    }

    /// The caller calls a piece of sound whole.
    ///
    /// # Errors
    /// What it costs to write it down is not affordable.
    pub(super) async fn is_asked(&mut self, format: Format) -> Result<(), Refusal> {
        self.sound.is_asked();
        self.cover(format).await
    }

    /// The upstream says that something went wrong: it may have been a piece that was called whole.
    pub(super) const fn is_refused(&mut self) {
        self.sound.is_refused();
    }

    /// The upstream calls a piece of sound whole, whether it was asked to or not.
    ///
    /// # Errors
    /// What it costs to write it down is not affordable.
    pub(super) async fn will_hear(&mut self, format: Format) -> Result<(), Refusal> {
        self.sound.begins();
        self.cover(format).await
    }

    /// It has done with a piece, and says nothing of what that took.
    pub(super) fn has_done(&mut self) {
        self.sound.ends();
    }

    /// So many bytes more of its words are told.
    pub(super) fn tells(&mut self, words: u64, format: Format) {
        self.told = self.told.saturating_add(words);
        self.account.note(self.so_far(format));
    }

    /// What was heard is written down.
    ///
    /// # Errors
    /// What it cost is not affordable.
    pub(super) async fn heard(&mut self, reported: Reported, format: Format) -> Result<(), Refusal> {
        let piece = self.sound.is_reported();
        let (tokens, provenance) = match reported {
            Reported::Good(tokens) => (tokens, Provenance::Reported),
            Reported::Absent | Reported::Absurd => {
                (self.likely(piece, u64::MAX, format), Provenance::Estimated)
            }
        };
        self.spent = Some(self.with(tokens, provenance));
        self.told = 0;
        self.cover(format).await?;
        self.account.note_at_once(self.spent)
    }

    /// What this much sound likely is, which came out as at most so many tokens of words.
    fn likely(&self, sound: u64, words: u64, format: Format) -> Tokens {
        let of = |rate| tokens_of(sound, format, rate);
        let mut tokens = Tokens { input: of(SOUND), output: of(WORDS).min(words), ..Tokens::default() };
        (tokens.parts.input_audio, tokens.parts.seconds) = (tokens.input, of(1));
        tokens
    }

    fn with(&self, tokens: Tokens, provenance: Provenance) -> (Tokens, Provenance) {
        let (spent, before) = self.spent.unwrap_or((Tokens::default(), Provenance::Reported));
        let estimated = before == Provenance::Estimated;
        (sum(spent, tokens), if estimated { before } else { provenance })
    }

    /// What was used so far: what was reported, and where words were told that no report has come of, the sound that those
    /// words likely take.
    fn so_far(&self, format: Format) -> Option<(Tokens, Provenance)> {
        if self.told == 0 {
            return self.spent;
        }
        let words = estimate(self.told);
        let sound = words.div_ceil(WORDS).saturating_mul(format.bytes_per_second).min(self.sound.bytes());
        Some(self.with(self.likely(sound, words, format), Provenance::Estimated))
    }

    async fn cover(&mut self, format: Format) -> Result<(), Refusal> {
        let need = |ahead| {
            let spent =
                self.spent.map_or(Units::ZERO, |(spent, _)| self.tariff.cost(&spent).unwrap_or(Units::MAX));
            let seconds = tokens_of(self.sound.bytes(), format, 1).saturating_add(ahead);
            // One piece more is held ahead, for the upstream may call it whole by itself.
            let pieces = self.sound.pieces().saturating_add(ahead.min(1));
            let text = self.hints.most_tokens().saturating_mul(pieces);
            let bound = bound_of(&self.tariff, Ahead { seconds, text });
            spent.get().saturating_add(bound.get()).min(Units::MAX.get())
        };
        if Units::new(need(AHEAD / 2)) <= self.account.held() {
            return Ok(());
        }
        let (wanted, least) = (Units::new(need(AHEAD)), Units::new(need(0)));
        self.account.cover(wanted, least).await
    }

    /// It listens no more.
    pub(super) async fn close(&mut self, format: Format, end: Ending<'_>) {
        self.account.settle(self.so_far(format), end).await;
    }

    /// It is over, now.
    pub(super) fn end(&mut self, format: Format, end: Ending<'_>) {
        self.account.end(self.so_far(format), end);
    }
}

/// The most that so much can cost.
fn bound_of(tariff: &Tariff, Ahead { seconds, text }: Ahead) -> Units {
    let of = |rate: u64| seconds.saturating_mul(rate);
    let input = of(MOST_SOUND).saturating_add(text);
    let most = Most { input, output: of(MOST_WORDS), seconds, ..Most::default() };
    tariff.price.price.bound_of(tariff.ratio, &most).unwrap_or(Units::MAX)
}
