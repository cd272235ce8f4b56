//! What a session has used so far, and what its next words may cost.
//!
//! Each response reads the whole conversation again. How long that is, is bounded by the bytes that came in, and known again
//! with each report. What goes out is estimated while it passes, as in every stream.

use model::{
    money::Units,
    price::Most,
    usage::{Parts, Provenance, Tokens},
};
use wire::{
    openai::{estimate, usage::Reported},
    realtime::{Format, client::Brought},
};

use crate::bound::Tariff;

/// Tokens of a second of sound that comes in: what OpenAI's models for speech have, and what none exceeds.
const SECOND_IN: u64 = 10;
const MOST_SECOND_IN: u64 = 50;
/// Tokens of a second of sound that goes out.
const SECOND_OUT: u64 = 20;
/// Responses of one session at a time.
const MOST_OPEN: usize = 64;

/// The length of a conversation in tokens: at most, and likely.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Length {
    most: u64,
    likely: u64,
}

/// A response that goes on.
struct Open {
    id: String,
    /// The conversation when it began.
    heard: Length,
    /// Bytes that it has said.
    text: u64,
    sound: u64,
}

/// The meter of one session.
pub(super) struct Meter {
    tariff: Tariff,
    image_tokens: u64,
    input: Format,
    output: Format,
    heard: Length,
    open: Vec<Open>,
    /// Responses that were asked for and have not begun.
    asked: u64,
    spent: Tokens,
    estimated: bool,
    used: bool,
}

/// More responses at a time than any upstream makes.
#[derive(Debug)]
pub(super) struct TooMany;

impl Meter {
    pub(super) fn new(tariff: Tariff, image_tokens: u64) -> Self {
        Self {
            tariff,
            image_tokens,
            input: Format::LEAST,
            output: Format::LEAST,
            heard: Length::default(),
            open: Vec::new(),
            asked: 0,
            spent: Tokens::default(),
            estimated: false,
            used: false,
        }
    }

    /// How sound is sent from now on.
    pub(super) fn sounds(&mut self, input: Option<Format>, output: Option<Format>) {
        self.input = input.unwrap_or(self.input);
        self.output = output.unwrap_or(self.output);
    }

    /// Something comes into the conversation.
    pub(super) fn brings(&mut self, brought: Brought) {
        let Brought { text, words, sound, images } = brought;
        let heard = |rate| tokens_of(sound, self.input, rate);
        let pictures = images.saturating_mul(self.image_tokens);
        let Length { most, likely } = &mut self.heard;
        *most = most.saturating_add(text).saturating_add(heard(MOST_SECOND_IN)).saturating_add(pictures);
        let words = estimate(words.saturating_add(pictures));
        *likely = likely.saturating_add(words).saturating_add(heard(SECOND_IN));
    }

    /// A response is asked for.
    pub(super) const fn asked(&mut self) {
        self.asked += 1;
    }

    /// The upstream says that something went wrong: it may have been a response that was asked for.
    pub(super) const fn failed(&mut self) {
        self.asked = self.asked.saturating_sub(1);
    }

    /// A response begins.
    ///
    /// # Errors
    /// [`TooMany`].
    pub(super) fn began(&mut self, id: String) -> Result<(), TooMany> {
        self.asked = self.asked.saturating_sub(1);
        self.find(id).map(drop)
    }

    fn find(&mut self, id: String) -> Result<&mut Open, TooMany> {
        let at = match self.open.iter().position(|open| open.id == id) {
            Some(at) => at,
            None if self.open.len() >= MOST_OPEN => return Err(TooMany),
            None => {
                self.open.push(Open { id, heard: self.heard, text: 0, sound: 0 });
                self.open.len() - 1
            }
        };
        self.open.get_mut(at).ok_or(TooMany)
    }

    /// A response says a piece.
    ///
    /// # Errors
    /// [`TooMany`].
    pub(super) fn piece(&mut self, id: String, text: u64, sound: u64) -> Result<(), TooMany> {
        let open = self.find(id)?;
        open.text = open.text.saturating_add(text);
        open.sound = open.sound.saturating_add(sound);
        Ok(())
    }

    /// A response has ended; `joined` says that it and all before it are now the conversation.
    pub(super) fn ended(&mut self, id: &str, reported: Reported, joined: bool) {
        let found = self.open.iter().position(|open| open.id == id).map(|at| self.open.swap_remove(at));
        let open = found.unwrap_or(Open { id: String::new(), heard: self.heard, text: 0, sound: 0 });
        match reported {
            Reported::Good(tokens) => {
                self.use_up(tokens);
                if joined {
                    let whole = tokens.all_input().saturating_add(tokens.output);
                    let now = |now: u64, then: u64| whole.saturating_add(now.saturating_sub(then));
                    let (Length { most, likely }, then) = (self.heard, open.heard);
                    self.heard = Length { most: now(most, then.most), likely: now(likely, then.likely) };
                }
            }
            Reported::Absent | Reported::Absurd => {
                let said = self.said(&open);
                if let Some(tokens) = said {
                    self.estimated = true;
                    self.use_up(tokens);
                    self.heard.most = self.heard.most.saturating_add(open.text).saturating_add(tokens.output);
                    self.heard.likely = self.heard.likely.saturating_add(tokens.output);
                }
            }
        }
    }

    /// Tokens are used.
    pub(super) fn use_up(&mut self, tokens: Tokens) {
        self.used = true;
        self.spent = sum(self.spent, tokens);
    }

    /// What a response has used so far, as far as one can see; `None` before its first piece.
    fn said(&self, open: &Open) -> Option<Tokens> {
        let sound = tokens_of(open.sound, self.output, SECOND_OUT);
        let output = estimate(open.text).saturating_add(sound);
        let parts = Parts { output_audio: sound, ..Parts::default() };
        (output > 0).then(|| Tokens { input: open.heard.likely, output, parts, ..Tokens::default() })
    }

    /// Whether nobody waits for a response.
    pub(super) fn is_quiet(&self) -> bool {
        self.open.is_empty() && self.asked == 0
    }

    /// What was used, and who says so; `None` when nothing was.
    pub(super) fn so_far(&self) -> Option<(Tokens, Provenance)> {
        let mut open = self.open.iter().filter_map(|open| self.said(open)).peekable();
        let estimated = self.estimated || open.peek().is_some();
        let used = self.used || estimated;
        let provenance = if estimated { Provenance::Estimated } else { Provenance::Reported };
        used.then(|| (open.fold(self.spent, sum), provenance))
    }

    /// What must be held for all that was used, and for `ahead` output tokens more of each response.
    pub(super) fn need(&self, ahead: u64) -> Units {
        let spent = self.tariff.cost(&self.spent).unwrap_or(Units::MAX);
        let of = |heard: u64, said: u64| {
            let most = Most { input: heard, output: said.saturating_add(ahead), ..Most::default() };
            self.beside_call(&most)
        };
        let open = self.open.iter().map(|open| {
            let said = self.said(open).map_or(0, |tokens| tokens.output);
            of(open.heard.most, said)
        });
        let asked = of(self.heard.most, 0).saturating_mul(i64::try_from(self.asked).unwrap_or(i64::MAX));
        let all = open.fold(asked, i64::saturating_add).saturating_add(spent.get());
        Units::new(all.min(Units::MAX.get()))
    }

    /// The most that a use can cost, without what each call costs: a session is one.
    fn beside_call(&self, most: &Most) -> i64 {
        let Tariff { price, ratio, .. } = &self.tariff;
        let bound = |most: &Most| price.price.bound_of(*ratio, most).unwrap_or(Units::MAX).get();
        bound(most).saturating_sub(bound(&Most::default()))
    }
}

/// The tokens of sound with so many of them in a second.
pub(super) fn tokens_of(sound: u64, format: Format, rate: u64) -> u64 {
    sound.saturating_mul(rate).div_ceil(format.bytes_per_second.max(1))
}

/// Both together.
pub(super) const fn sum(a: Tokens, b: Tokens) -> Tokens {
    let (x, y) = (a.parts, b.parts);
    Tokens {
        input: a.input.saturating_add(b.input),
        cached_input: a.cached_input.saturating_add(b.cached_input),
        cache_write: a.cache_write.saturating_add(b.cache_write),
        output: a.output.saturating_add(b.output),
        reasoning: a.reasoning.saturating_add(b.reasoning),
        parts: Parts {
            cache_write_1h: x.cache_write_1h.saturating_add(y.cache_write_1h),
            input_audio: x.input_audio.saturating_add(y.input_audio),
            input_image: x.input_image.saturating_add(y.input_image),
            output_audio: x.output_audio.saturating_add(y.output_audio),
            output_image: x.output_image.saturating_add(y.output_image),
            seconds: x.seconds.saturating_add(y.seconds),
            images: x.images.saturating_add(y.images),
            // A session has no tools of the provider and no terms.
            ..x
        },
    }
}
