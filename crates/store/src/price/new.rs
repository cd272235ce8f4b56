//! A price that somebody wants to set.

use model::{
    clock::Timestamp,
    id::PriceId,
    money::Units,
    price::{ListedRates, Price, Ratio, SizeRate, TermRatio, Tier, ToolRate, UnitsPerMillion},
};

use super::ModelPrice;
use crate::channel::MAX_MODEL;

/// The most lengths of input at which a price may change.
const MOST_TIERS: usize = 8;
/// How many times the listed rates a term of service may cost.
const MOST_TERM: Ratio = Ratio(100 * Ratio::ONE.0);

/// Whether a price may be more than tenfold the one that it follows, or less than a tenth of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaps {
    /// No: it is more likely a slip.
    Refused,
    /// Somebody has said that it is meant.
    Confirmed,
}

impl Leaps {
    /// What `confirm` says.
    #[must_use]
    pub const fn when(confirm: bool) -> Self {
        if confirm { Self::Confirmed } else { Self::Refused }
    }
}

/// A price to be set. Units for a million tokens, seconds or images, or for a call.
#[derive(Clone, Debug, Default)]
pub struct NewPrice {
    /// The model.
    pub model: String,
    /// What tokens cost.
    pub rates: ListedRates,
    /// What they cost instead above a length of the input, in ascending order.
    pub tiers: Vec<(u64, ListedRates)>,
    /// A call.
    pub per_call: i64,
    /// A million seconds.
    pub per_second: i64,
    /// A million images.
    pub per_image: i64,
    /// A million calls of each of the provider's own tools that has a price that is known.
    pub tools: Vec<ToolRate>,
    /// How many times the rates of tokens are charged under each term of service that has a price that is known.
    pub terms: Vec<TermRatio>,
    /// A million seconds of video of each size that has a price of its own.
    pub sizes: Vec<SizeRate>,
    /// The most output tokens that one answer can have.
    pub max_output: u64,
    /// The most tokens that one image of a request can be; `None` for what is assumed of every model.
    pub image_tokens: Option<u64>,
    /// Whether output may hide reasoning.
    pub reasoning: bool,
    /// From when on; now when absent or past.
    pub effective: Option<Timestamp>,
}

impl NewPrice {
    /// Whether every number is one that may be set.
    ///
    /// # Errors
    /// A sentence that names the first that is not.
    pub fn check(&self) -> Result<(), String> {
        let others =
            [("per_call", self.per_call), ("per_second", self.per_second), ("per_image", self.per_image)];
        for (name, number) in others {
            if !(0..=Units::MAX.get()).contains(&number) {
                return Err(format!("{name} must be between 0 and {}", Units::MAX));
            }
        }
        for rates in std::iter::once(&self.rates).chain(self.tiers.iter().map(|(_, rates)| rates)) {
            for (kind, rate) in rates.rates().by_kind() {
                if !(0..=Units::MAX.get()).contains(&rate.0) {
                    return Err(format!("{} must be between 0 and {}", kind.word(), Units::MAX));
                }
            }
        }
        self.check_extras()?;
        if self.tiers.len() > MOST_TIERS || !self.tiers.is_sorted_by(|(before, _), (after, _)| before < after)
        {
            return Err(format!(
                "there may be {MOST_TIERS} tiers, each above a longer input than the one before it"
            ));
        }
        if self.tiers.iter().any(|(above, _)| *above == 0 || *above > u64::from(u32::MAX)) {
            return Err(format!("above must be between 1 and {}", u32::MAX));
        }
        if self.model.is_empty() || self.model.len() > MAX_MODEL || self.model.contains(',') {
            return Err(format!("a model's name must have 1 to {MAX_MODEL} bytes and no comma"));
        }
        for (name, count) in [("max_output", Some(self.max_output)), ("image_tokens", self.image_tokens)] {
            if count.is_some_and(|count| !(1..=u64::from(u32::MAX)).contains(&count)) {
                return Err(format!("{name} must be between 1 and {}", u32::MAX));
            }
        }
        Ok(())
    }

    fn check_extras(&self) -> Result<(), String> {
        for (index, ToolRate { tool, rate }) in self.tools.iter().enumerate() {
            if !(0..=Units::MAX.get()).contains(&rate.0) {
                return Err(format!("{} must be between 0 and {}", tool.word(), Units::MAX));
            }
            if self.tools.iter().take(index).any(|other| other.tool == *tool) {
                return Err(format!("{} is there twice", tool.word()));
            }
        }
        for (index, TermRatio { term, ratio }) in self.terms.iter().enumerate() {
            if !(0..=MOST_TERM.0).contains(&ratio.0) {
                return Err(format!(
                    "{} must be between 0 and {} times",
                    term.word(),
                    MOST_TERM.0 / Ratio::ONE.0
                ));
            }
            if self.terms.iter().take(index).any(|other| other.term == *term) {
                return Err(format!("{} is there twice", term.word()));
            }
        }
        for (index, SizeRate { size, rate }) in self.sizes.iter().enumerate() {
            if !(0..=Units::MAX.get()).contains(&rate.0) {
                return Err(format!("{} must be between 0 and {}", size.word(), Units::MAX));
            }
            if self.sizes.iter().take(index).any(|other| other.size == *size) {
                return Err(format!("{} is there twice", size.word()));
            }
        }
        Ok(())
    }

    /// The price that it will be.
    #[must_use]
    pub fn price(&self, id: PriceId) -> Price {
        let tier = |(above, rates): &(u64, ListedRates)| Tier { above: *above, rates: rates.rates() };
        Price {
            id,
            rates: self.rates.rates(),
            tiers: self.tiers.iter().map(tier).collect(),
            per_call: Units::new(self.per_call),
            per_second: UnitsPerMillion(self.per_second),
            per_image: UnitsPerMillion(self.per_image),
            tools: self.tools.clone(),
            terms: self.terms.clone(),
            sizes: self.sizes.clone(),
        }
    }

    /// Whether `known` says the same of the same model.
    pub(super) fn is(&self, known: &ModelPrice) -> bool {
        self.price(known.price.id) == known.price
            && (self.max_output, self.image_tokens, self.reasoning)
                == (known.max_output, known.image_tokens, known.reasoning)
    }
}
