//! Prices and what a use costs. Fixed point, rounded up once at the end.

use std::iter;

use serde::{Deserialize, Serialize};

use crate::{id::PriceId, money::Units, usage::Tokens};

/// Tokens in the unit that prices are quoted in.
const MILLION: i128 = 1_000_000;
/// A new price beyond so many times the old one, or below that part of it, is more likely a slip than a price.
const LEAP: i128 = 10;

/// Quota units for one million of something: tokens, seconds, images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnitsPerMillion(pub i64);

/// A price ratio in millionths: 1 000 000 is the listed price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ratio(pub i64);

impl Ratio {
    /// The listed price.
    pub const ONE: Self = Self(1_000_000);
    /// The largest ratio that is accepted: a thousand times the listed price.
    pub const MAX: Self = Self(1_000_000_000);
}

/// What a million tokens of each kind cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    /// Input that no cache served.
    pub input: UnitsPerMillion,
    /// Input that a cache served.
    pub cached_input: UnitsPerMillion,
    /// Input written to a cache that keeps it for minutes.
    pub cache_write: UnitsPerMillion,
    /// Input written to a cache that keeps it for an hour.
    pub cache_write_1h: UnitsPerMillion,
    /// The part of input that was sound.
    pub input_audio: UnitsPerMillion,
    /// The part of input that was images.
    pub input_image: UnitsPerMillion,
    /// Output.
    pub output: UnitsPerMillion,
    /// The part of output that was reasoning.
    pub reasoning: UnitsPerMillion,
    /// The part of output that was sound.
    pub output_audio: UnitsPerMillion,
    /// The part of output that was images.
    pub output_image: UnitsPerMillion,
}

/// Rates as a price list states them: what it leaves out costs what the kind costs that it is a part of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListedRates {
    /// Input that no cache served.
    pub input: i64,
    /// Input that a cache served; as input when absent.
    pub cached_input: Option<i64>,
    /// Input written to a cache; as input when absent.
    pub cache_write: Option<i64>,
    /// Input written to a cache that keeps it for an hour; as `cache_write` when absent.
    pub cache_write_1h: Option<i64>,
    /// Sound; as input when absent.
    pub input_audio: Option<i64>,
    /// Images; as input when absent.
    pub input_image: Option<i64>,
    /// Output.
    pub output: i64,
    /// Reasoning; as output when absent.
    pub reasoning: Option<i64>,
    /// Sound; as output when absent.
    pub output_audio: Option<i64>,
    /// Images; as output when absent.
    pub output_image: Option<i64>,
}

impl ListedRates {
    /// Only input and output.
    #[must_use]
    pub fn of(input: i64, output: i64) -> Self {
        Self { input, output, ..Self::default() }
    }

    /// Every kind with what it costs.
    #[must_use]
    pub fn rates(self) -> Rates {
        let input = |rate: Option<i64>| UnitsPerMillion(rate.unwrap_or(self.input));
        let output = |rate: Option<i64>| UnitsPerMillion(rate.unwrap_or(self.output));
        Rates {
            input: UnitsPerMillion(self.input),
            cached_input: input(self.cached_input),
            cache_write: input(self.cache_write),
            cache_write_1h: input(self.cache_write_1h.or(self.cache_write)),
            input_audio: input(self.input_audio),
            input_image: input(self.input_image),
            output: UnitsPerMillion(self.output),
            reasoning: output(self.reasoning),
            output_audio: output(self.output_audio),
            output_image: output(self.output_image),
        }
    }
}

impl From<Rates> for ListedRates {
    fn from(rates: Rates) -> Self {
        Self {
            input: rates.input.0,
            cached_input: Some(rates.cached_input.0),
            cache_write: Some(rates.cache_write.0),
            cache_write_1h: Some(rates.cache_write_1h.0),
            input_audio: Some(rates.input_audio.0),
            input_image: Some(rates.input_image.0),
            output: rates.output.0,
            reasoning: Some(rates.reasoning.0),
            output_audio: Some(rates.output_audio.0),
            output_image: Some(rates.output_image.0),
        }
    }
}

impl Rates {
    /// Each kind of token with its rate.
    #[must_use]
    pub const fn by_kind(&self) -> [(Kind, UnitsPerMillion); 10] {
        [
            (Kind::Input, self.input),
            (Kind::CachedInput, self.cached_input),
            (Kind::CacheWrite, self.cache_write),
            (Kind::CacheWrite1h, self.cache_write_1h),
            (Kind::InputAudio, self.input_audio),
            (Kind::InputImage, self.input_image),
            (Kind::Output, self.output),
            (Kind::Reasoning, self.reasoning),
            (Kind::OutputAudio, self.output_audio),
            (Kind::OutputImage, self.output_image),
        ]
    }

    fn dearest_input(&self) -> UnitsPerMillion {
        let cache = self.cached_input.max(self.cache_write).max(self.cache_write_1h);
        self.input.max(cache).max(self.input_audio).max(self.input_image)
    }

    fn dearest_output(&self) -> UnitsPerMillion {
        self.output.max(self.reasoning).max(self.output_audio).max(self.output_image)
    }
}

/// What a request costs, all of it, whose input is longer than some length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    /// The longest input, in tokens of every kind, that this does not apply to.
    pub above: u64,
    /// What it costs then.
    pub rates: Rates,
}

/// What one model costs, at the listed price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// The version; it stays on every usage record.
    pub id: PriceId,
    /// What tokens cost.
    pub rates: Rates,
    /// What they cost instead when the input is long.
    pub tiers: Vec<Tier>,
    /// Each call, whatever its tokens.
    pub per_call: Units,
    /// A million seconds of sound or video.
    pub per_second: UnitsPerMillion,
    /// A million images.
    pub per_image: UnitsPerMillion,
}

/// A kind of thing that is charged for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// Input tokens that no cache served.
    Input,
    /// Input tokens that a cache served.
    CachedInput,
    /// Input tokens written to a cache.
    CacheWrite,
    /// Input tokens written to a cache that keeps them for an hour.
    CacheWrite1h,
    /// Input tokens that were sound, where they have a price of their own.
    InputAudio,
    /// Input tokens that were images, where they have a price of their own.
    InputImage,
    /// Output tokens.
    Output,
    /// Output tokens that were reasoning, where they have a price of their own.
    Reasoning,
    /// Output tokens that were sound, where they have a price of their own.
    OutputAudio,
    /// Output tokens that were images, where they have a price of their own.
    OutputImage,
    /// The call itself.
    Call,
    /// A second of sound or video.
    Second,
    /// An image.
    Image,
}

/// A cost that does not fit in a number of units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cost is beyond what can be counted")]
pub struct CostOverflow;

/// A price that is more than tenfold another one, or less than a tenth of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leap {
    /// What it is the price of.
    pub kind: Kind,
    /// Units for a million, in force.
    pub from: i128,
    /// Units for a million, new.
    pub to: i128,
}

impl Kind {
    /// Its stable word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::CachedInput => "cached_input",
            Self::CacheWrite => "cache_write",
            Self::CacheWrite1h => "cache_write_1h",
            Self::InputAudio => "input_audio",
            Self::InputImage => "input_image",
            Self::Output => "output",
            Self::Reasoning => "output_reasoning",
            Self::OutputAudio => "output_audio",
            Self::OutputImage => "output_image",
            Self::Call => "call",
            Self::Second => "second",
            Self::Image => "image",
        }
    }
}

impl Price {
    /// What tokens cost in a request with so many input tokens of every kind.
    #[must_use]
    pub fn rates_at(&self, input: u64) -> &Rates {
        let tiers = self.tiers.iter().filter(|tier| input > tier.above);
        tiers.max_by_key(|tier| tier.above).map_or(&self.rates, |tier| &tier.rates)
    }

    /// Whether tokens or the call have a price: what a door that counts tokens can charge by.
    #[must_use]
    pub fn counts_tokens(&self) -> bool {
        let seconds_or_images = self.per_second.0 > 0 || self.per_image.0 > 0;
        !seconds_or_images
            || self.per_call > Units::ZERO
            || self.rates.by_kind().iter().any(|(_, rate)| rate.0 > 0)
    }

    /// Each kind with its quantity and its price: units per million tokens, or units per million calls. A part that
    /// costs what its whole costs is counted there.
    #[must_use]
    pub fn lines(&self, tokens: &Tokens) -> [(Kind, u64, i128); 11] {
        let rates = self.rates_at(tokens.all_input());
        let own =
            |part: u64, rate: UnitsPerMillion, whole: UnitsPerMillion| if rate == whole { 0 } else { part };
        let parts = tokens.parts;
        let long = own(parts.cache_write_1h, rates.cache_write_1h, rates.cache_write);
        let heard = own(parts.input_audio, rates.input_audio, rates.input);
        let seen = own(parts.input_image, rates.input_image, rates.input);
        let thought = own(tokens.reasoning, rates.reasoning, rates.output);
        let spoken = own(parts.output_audio, rates.output_audio, rates.output);
        let drawn = own(parts.output_image, rates.output_image, rates.output);
        // A report says two parts of a whole each for itself; together they are never more than it.
        let rest = |whole: u64, parts: [u64; 3]| parts.into_iter().fold(whole, u64::saturating_sub);
        let quantities = [
            rest(tokens.input, [heard, seen, 0]),
            tokens.cached_input,
            rest(tokens.cache_write, [long, 0, 0]),
            long,
            heard,
            seen,
            rest(tokens.output, [thought, spoken, drawn]),
            thought,
            spoken,
            drawn,
        ];
        let mut lines = [(Kind::Call, 1, i128::from(self.per_call.get()) * MILLION); 11];
        for (line, ((kind, rate), quantity)) in
            lines.iter_mut().zip(rates.by_kind().into_iter().zip(quantities))
        {
            *line = (kind, quantity, rate.0.into());
        }
        lines
    }

    /// What `tokens` cost under `ratio`: Σ quantity × price × ratio, rounded up once.
    ///
    /// # Errors
    /// [`CostOverflow`] beyond [`Units::MAX`].
    pub fn cost(&self, ratio: Ratio, tokens: &Tokens) -> Result<Units, CostOverflow> {
        total(ratio, self.lines(tokens).into_iter().map(|(_, quantity, price)| (quantity, price)))
    }

    /// The most that `input` tokens of unknown kind and `output` tokens can cost.
    ///
    /// # Errors
    /// [`CostOverflow`] beyond [`Units::MAX`].
    pub fn bound(&self, ratio: Ratio, input: u64, output: u64) -> Result<Units, CostOverflow> {
        // What is really used may be less than the bound, so every tier up to it is possible.
        let possible = self.tiers.iter().filter(|tier| input > tier.above).map(|tier| &tier.rates);
        let possible = iter::once(&self.rates).chain(possible);
        let (mut dearest_input, mut dearest_output) = Default::default();
        for rates in possible {
            dearest_input = rates.dearest_input().max(dearest_input);
            dearest_output = rates.dearest_output().max(dearest_output);
        }
        let call = i128::from(self.per_call.get()) * MILLION;
        total(
            ratio,
            [(input, dearest_input.0.into()), (output, dearest_output.0.into()), (1, call)].into_iter(),
        )
    }

    /// The first kind whose price here is more than tenfold its price in `live`, or less than a tenth of it. From
    /// nothing to something, and back, is as far as that.
    #[must_use]
    pub fn leap(&self, live: &Self) -> Option<Leap> {
        let lengths = self.tiers.iter().chain(&live.tiers).map(|tier| tier.above.saturating_add(1));
        let tokens = iter::once(0).chain(lengths).flat_map(|length| {
            let (old, new) = (live.rates_at(length).by_kind(), self.rates_at(length).by_kind());
            old.into_iter()
                .zip(new)
                .map(|((kind, old), (_, new))| (kind, i128::from(old.0), i128::from(new.0)))
        });
        let call = |price: &Self| i128::from(price.per_call.get()) * MILLION;
        let others = [
            (Kind::Call, call(live), call(self)),
            (Kind::Second, live.per_second.0.into(), self.per_second.0.into()),
            (Kind::Image, live.per_image.0.into(), self.per_image.0.into()),
        ];
        let far = |from: i128, to: i128| from.max(to) > from.min(to) * LEAP;
        tokens.chain(others).find(|(_, from, to)| far(*from, *to)).map(|(kind, from, to)| Leap {
            kind,
            from,
            to,
        })
    }

    /// How many output tokens `budget` affords beside `input` tokens of unknown kind, at most `limit`;
    /// `None` when it does not even afford the input.
    #[must_use]
    pub fn affordable_output(&self, ratio: Ratio, input: u64, budget: Units, limit: u64) -> Option<u64> {
        let fits = |output| self.bound(ratio, input, output).is_ok_and(|cost| cost <= budget);
        if !fits(0) {
            return None;
        }
        let (mut low, mut high) = (0, limit);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if fits(middle) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        Some(low)
    }
}

/// Σ quantity × price × ratio, rounded up once.
fn total(ratio: Ratio, lines: impl Iterator<Item = (u64, i128)>) -> Result<Units, CostOverflow> {
    let mut sum: i128 = 0;
    for (quantity, price) in lines {
        let line = i128::from(quantity).checked_mul(price).ok_or(CostOverflow)?;
        sum = sum.checked_add(line).ok_or(CostOverflow)?;
    }
    let scaled = sum.checked_mul(ratio.0.into()).ok_or(CostOverflow)?;
    let scale = MILLION * i128::from(Ratio::ONE.0);
    let rounded = scaled.checked_add(scale - 1).ok_or(CostOverflow)?.div_euclid(scale);
    match i64::try_from(rounded) {
        Ok(units) if units <= Units::MAX.get() => Ok(Units::new(units)),
        _ => Err(CostOverflow),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::usage::Parts;

    fn of(rates: ListedRates, per_call: i64) -> Price {
        Price {
            id: PriceId(1),
            rates: rates.rates(),
            tiers: Vec::new(),
            per_call: Units::new(per_call),
            per_second: UnitsPerMillion(0),
            per_image: UnitsPerMillion(0),
        }
    }

    fn price(input: i64, cached: i64, write: i64, output: i64, per_call: i64) -> Price {
        let rates = ListedRates {
            cached_input: Some(cached),
            cache_write: Some(write),
            ..ListedRates::of(input, output)
        };
        of(rates, per_call)
    }

    #[test]
    fn adds_kinds_and_rounds_up_once() {
        let tokens = Tokens {
            input: 3,
            cached_input: 5,
            cache_write: 7,
            output: 11,
            reasoning: 4,
            ..Tokens::default()
        };
        let price = price(1_250_000, 125_000, 1_562_500, 10_000_000, 0);
        // 3×1.25 + 5×0.125 + 7×1.5625 + 11×10 = 125.3125
        assert_eq!(price.cost(Ratio::ONE, &tokens), Ok(Units::new(126)));
        assert_eq!(price.cost(Ratio(2_000_000), &tokens), Ok(Units::new(251)));
        assert_eq!(price.cost(Ratio(0), &tokens), Ok(Units::ZERO));
    }

    #[test]
    fn a_part_is_charged_once_at_its_own_price() {
        let parts =
            Parts { cache_write_1h: 2, input_audio: 3, input_image: 4, output_audio: 5, output_image: 6 };
        let tokens = Tokens { input: 10, cached_input: 1, cache_write: 8, output: 20, reasoning: 7, parts };
        let million = |units: i64| Some(units * 1_000_000);
        let listed = ListedRates::of(1_000_000, 2_000_000);
        assert_eq!(of(listed, 0).cost(Ratio::ONE, &tokens), Ok(Units::new(10 + 1 + 8 + 2 * 20)));
        for (listed, cost) in [
            (ListedRates { cache_write: million(3), ..listed }, 10 + 1 + 3 * 8 + 2 * 20),
            (ListedRates { cache_write_1h: million(3), ..listed }, 10 + 1 + 6 + 3 * 2 + 2 * 20),
            (ListedRates { input_audio: million(100), ..listed }, 7 + 100 * 3 + 1 + 8 + 2 * 20),
            (ListedRates { input_image: million(0), ..listed }, 6 + 1 + 8 + 2 * 20),
            (ListedRates { reasoning: million(9), ..listed }, 10 + 1 + 8 + 2 * 13 + 9 * 7),
            (
                ListedRates { output_audio: million(9), output_image: million(1), ..listed },
                19 + 2 * 9 + 9 * 5 + 6,
            ),
        ] {
            assert_eq!(of(listed, 0).cost(Ratio::ONE, &tokens), Ok(Units::new(cost)), "{listed:?}");
        }
    }

    #[test]
    fn a_long_input_changes_the_price_of_all_of_it() {
        let tier = |above, input, output| Tier { above, rates: ListedRates::of(input, output).rates() };
        let short = of(ListedRates::of(1_000_000, 2_000_000), 0);
        // Their order plays no part.
        let price =
            Price { tiers: vec![tier(20, 9_000_000, 9_000_000), tier(10, 3_000_000, 4_000_000)], ..short };
        for (input, cached_input, cost) in
            [(10, 0, 12), (9, 1, 12), (11, 0, 37), (8, 3, 37), (20, 0, 64), (21, 0, 198)]
        {
            let tokens = Tokens { input, cached_input, output: 1, ..Tokens::default() };
            assert_eq!(price.cost(Ratio::ONE, &tokens), Ok(Units::new(cost)), "{tokens:?}");
        }
        assert_eq!(price.bound(Ratio::ONE, 10, 1), Ok(Units::new(12)));
        assert_eq!(price.bound(Ratio::ONE, 11, 1), Ok(Units::new(37)));
    }

    #[test]
    fn finds_a_leap_wherever_it_is() {
        let live = price(100, 10, 100, 500, 7);
        let with = |change: fn(&mut Price)| {
            let mut changed = live.clone();
            change(&mut changed);
            changed.leap(&live).map(|leap| (leap.kind, leap.from, leap.to))
        };
        assert_eq!(with(|_| {}), None);
        assert_eq!(with(|price| price.rates.input.0 = 1_000), None, "tenfold is no leap");
        assert_eq!(with(|price| price.rates.input.0 = 1_001), Some((Kind::Input, 100, 1_001)));
        assert_eq!(with(|price| price.rates.output.0 = 49), Some((Kind::Output, 500, 49)));
        assert_eq!(with(|price| price.rates.cached_input.0 = 0), Some((Kind::CachedInput, 10, 0)));
        assert_eq!(with(|price| price.per_call = Units::new(71)), Some((Kind::Call, 7_000_000, 71_000_000)));
        assert_eq!(with(|price| price.per_second.0 = 1), Some((Kind::Second, 0, 1)));
        let tier = |price: &mut Price| {
            let rates = Rates { reasoning: UnitsPerMillion(5_001), ..price.rates };
            price.tiers.push(Tier { above: 1_000, rates });
        };
        assert_eq!(with(tier), Some((Kind::Reasoning, 500, 5_001)));
    }

    #[test]
    fn says_whether_tokens_are_what_it_counts() {
        let free = of(ListedRates::default(), 0);
        assert!(free.counts_tokens(), "free is a price");
        let by_image = Price { per_image: UnitsPerMillion(1), ..free };
        assert!(!by_image.counts_tokens());
        assert!(Price { per_call: Units::new(1), ..by_image }.counts_tokens());
    }

    #[test]
    fn counts_the_call() {
        assert_eq!(price(0, 0, 0, 0, 40).cost(Ratio(500_000), &Tokens::default()), Ok(Units::new(20)));
    }

    #[test]
    fn refuses_what_cannot_be_counted() {
        let tokens = Tokens { output: u64::MAX, ..Tokens::default() };
        assert_eq!(price(0, 0, 0, i64::MAX, 0).cost(Ratio::MAX, &tokens), Err(CostOverflow));
    }

    fn any_rates() -> impl Strategy<Value = Rates> {
        prop::array::uniform10(0_i64..50_000_000).prop_map(|rates| {
            let [
                input,
                cached_input,
                cache_write,
                cache_write_1h,
                input_audio,
                input_image,
                output,
                reasoning,
                output_audio,
                output_image,
            ] = rates.map(UnitsPerMillion);
            Rates {
                input,
                cached_input,
                cache_write,
                cache_write_1h,
                input_audio,
                input_image,
                output,
                reasoning,
                output_audio,
                output_image,
            }
        })
    }

    proptest! {
        #[test]
        fn the_bound_is_never_too_small(
            rates in any_rates(), tiers in prop::collection::vec((0_u64..300_000, any_rates()), 0..3),
            call in 0_i64..1_000, ratio in 0_i64..5_000_000,
            counts in prop::array::uniform8(0_u64..50_000), reasoning in 0_u64..50_000, more in 0_u64..100_000,
        ) {
            let tiers = tiers.into_iter().map(|(above, rates)| Tier { above, rates }).collect();
            let price = Price { rates, tiers, ..of(ListedRates::default(), call) };
            let [text, input_audio, input_image, cached_input, write, cache_write_1h, output_audio, output_image] = counts;
            let parts = Parts { cache_write_1h, input_audio, input_image, output_audio, output_image };
            let tokens = Tokens {
                input: text + input_audio + input_image,
                cached_input,
                cache_write: write + cache_write_1h,
                output: reasoning + output_audio + output_image,
                reasoning,
                parts,
            };
            let bound = price.bound(Ratio(ratio), tokens.all_input() + more, tokens.output)?;
            prop_assert!(price.cost(Ratio(ratio), &tokens)? <= bound);
        }

        #[test]
        fn affords_exactly_as_much_as_fits(
            input_price in 0_i64..5_000_000, output_price in 1_i64..50_000_000, input in 0_u64..10_000,
            budget in 0_i64..1_000_000, limit in 0_u64..100_000,
        ) {
            let price = price(input_price, 0, 0, output_price, 3);
            let cost = |output| price.bound(Ratio::ONE, input, output).map(Units::get);
            match price.affordable_output(Ratio::ONE, input, Units::new(budget), limit) {
                None => prop_assert!(cost(0)? > budget),
                Some(output) => {
                    prop_assert!(cost(output)? <= budget && output <= limit);
                    prop_assert!(output == limit || cost(output + 1)? > budget);
                }
            }
        }
    }
}
