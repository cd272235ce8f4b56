//! What a use costs, and the most that it can.

use std::iter;

use super::{Kind, Price, Rates, Ratio, Terms, Tool, ToolCalls, UnitsPerMillion};
use crate::{money::Units, usage::Tokens};

/// Tokens in the unit that prices are quoted in.
pub(super) const MILLION: i128 = 1_000_000;
/// A cost that does not fit in a number of units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cost is beyond what can be counted")]
pub struct CostOverflow;

/// The most that a request may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Most {
    /// Input tokens of whatever kind.
    pub input: u64,
    /// Output tokens of whatever kind.
    pub output: u64,
    /// Seconds of sound or video.
    pub seconds: u64,
    /// Images.
    pub images: u64,
    /// Calls of the provider's own tools.
    pub tools: ToolCalls,
    /// The terms that were asked for.
    pub terms: Terms,
}

/// Kinds of things that a charge can be made of.
const KINDS: usize = 13 + Tool::ALL.len();

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
        let seconds_or_images = self.per_second.0 > 0 || !self.sizes.is_empty() || self.per_image.0 > 0;
        !seconds_or_images
            || self.per_call > Units::ZERO
            || self.rates.by_kind().iter().any(|(_, rate)| rate.0 > 0)
    }

    /// Whether seconds or the call have a price: what a door that makes sound or video can charge by.
    #[must_use]
    pub fn counts_seconds(&self) -> bool {
        let others = self.per_image.0 > 0 || self.rates.by_kind().iter().any(|(_, rate)| rate.0 > 0);
        let seconds = self.per_second.0 > 0 || !self.sizes.is_empty();
        seconds || self.per_call > Units::ZERO || !others
    }

    /// Each kind with its quantity and its price: units per million tokens, calls, seconds or images. A part that costs
    /// what its whole costs is counted there.
    #[must_use]
    pub fn lines(&self, tokens: &Tokens) -> [(Kind, u64, i128); KINDS] {
        let mut lines = [(Kind::Call, 0, 0); KINDS];
        for (line, found) in lines.iter_mut().zip(self.each_line(tokens)) {
            *line = found;
        }
        lines
    }

    fn each_line<'a>(&'a self, tokens: &'a Tokens) -> impl Iterator<Item = (Kind, u64, i128)> + 'a {
        let rates = self.rates_of(tokens);
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
        let by_kind = rates.by_kind().into_iter().zip(quantities);
        let by_kind = by_kind.map(|((kind, rate), quantity)| (kind, quantity, i128::from(rate.0)));
        let (second, each) = self.seconds_of(parts.size);
        let others = [
            (Kind::Call, 1, i128::from(self.per_call.get()) * MILLION),
            (second, parts.seconds, each.0.into()),
            (Kind::Image, parts.images, self.per_image.0.into()),
        ];
        by_kind.chain(others).chain(self.of_tools(&tokens.parts.tools))
    }

    /// What tokens cost in such a use.
    #[must_use]
    pub fn rates_of(&self, tokens: &Tokens) -> Rates {
        self.under(self.rates_at(tokens.all_input()), tokens.parts.terms)
    }

    fn of_tools<'a>(&'a self, calls: &'a ToolCalls) -> impl Iterator<Item = (Kind, u64, i128)> + 'a {
        let rate = |tool| self.tool(tool).map_or(0, |rate| i128::from(rate.0));
        calls.each().map(move |(tool, calls)| (Kind::Tool(tool), calls, rate(tool)))
    }

    /// What `tokens` cost under `ratio`: Σ quantity × price × ratio, rounded up once.
    ///
    /// # Errors
    /// [`CostOverflow`] beyond [`Units::MAX`].
    pub fn cost(&self, ratio: Ratio, tokens: &Tokens) -> Result<Units, CostOverflow> {
        total(ratio, self.each_line(tokens).map(|(_, quantity, price)| (quantity, price)))
    }

    /// The most that `input` tokens of unknown kind and `output` tokens can cost.
    ///
    /// # Errors
    /// [`CostOverflow`] beyond [`Units::MAX`].
    pub fn bound(&self, ratio: Ratio, input: u64, output: u64) -> Result<Units, CostOverflow> {
        self.bound_of(ratio, &Most { input, output, ..Most::default() })
    }

    /// The most that a request can cost which uses no more than `most`.
    ///
    /// # Errors
    /// [`CostOverflow`] beyond [`Units::MAX`].
    pub fn bound_of(&self, ratio: Ratio, most: &Most) -> Result<Units, CostOverflow> {
        let Most { input, output, seconds, images, tools, terms } = *most;
        // What is really used may be less than the bound, so every tier up to it is possible.
        let possible = self.tiers.iter().filter(|tier| input > tier.above).map(|tier| &tier.rates);
        let possible = iter::once(&self.rates).chain(possible);
        let (mut dearest_input, mut dearest_output) = Default::default();
        for rates in possible {
            let rates = self.under_dearest(rates, terms);
            dearest_input = rates.dearest_input().max(dearest_input);
            dearest_output = rates.dearest_output().max(dearest_output);
        }
        let call = i128::from(self.per_call.get()) * MILLION;
        let (_, second) = self.seconds_of(self.dearest_size());
        let fixed = [
            (input, dearest_input.0.into()),
            (output, dearest_output.0.into()),
            (1, call),
            (seconds, second.0.into()),
            (images, self.per_image.0.into()),
        ];
        let tools = self.of_tools(&tools).map(|(_, calls, rate)| (calls, rate));
        total(ratio, fixed.into_iter().chain(tools))
    }

    /// How many output tokens `budget` affords beside what else there is in `most`, at most `limit`; `None` when it does
    /// not even afford that.
    #[must_use]
    pub fn affordable_output(&self, ratio: Ratio, most: &Most, budget: Units, limit: u64) -> Option<u64> {
        let fits = |output| self.bound_of(ratio, &Most { output, ..*most }).is_ok_and(|cost| cost <= budget);
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
    // Most are of nothing, and what is checked is not cheap.
    for (quantity, price) in lines.filter(|(quantity, _)| *quantity > 0) {
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
    use crate::{
        id::PriceId,
        price::{ListedRates, Tier},
        usage::Parts,
    };

    fn of(rates: ListedRates, per_call: i64) -> Price {
        Price { per_call: Units::new(per_call), ..Price::listed(PriceId(1), rates.rates()) }
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
        let parts = Parts {
            cache_write_1h: 2,
            input_audio: 3,
            input_image: 4,
            output_audio: 5,
            output_image: 6,
            ..Parts::default()
        };
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
    fn says_whether_tokens_are_what_it_counts() {
        let free = of(ListedRates::default(), 0);
        assert!(free.counts_tokens(), "free is a price");
        let by_image = Price { per_image: UnitsPerMillion(1), ..free };
        assert!(!by_image.counts_tokens());
        assert!(Price { per_call: Units::new(1), ..by_image }.counts_tokens());
    }

    #[test]
    fn counts_seconds_and_images() {
        let price = Price {
            per_second: UnitsPerMillion(500_000),
            per_image: UnitsPerMillion(2_000_000),
            ..of(ListedRates::default(), 1)
        };
        let parts = Parts { seconds: 3, images: 4, ..Parts::default() };
        let cost = price.cost(Ratio::ONE, &Tokens { parts, ..Tokens::default() });
        assert_eq!(cost, Ok(Units::new(1 + 2 + 8)), "1.5 is rounded up");
        assert_eq!(price.bound_of(Ratio::ONE, &Most { seconds: 3, images: 4, ..Most::default() }), cost);
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
            let parts = Parts {
                cache_write_1h, input_audio, input_image, output_audio, output_image, ..Parts::default()
            };
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
            match price.affordable_output(Ratio::ONE, &Most { input, ..Most::default() }, Units::new(budget), limit) {
                None => prop_assert!(cost(0)? > budget),
                Some(output) => {
                    prop_assert!(cost(output)? <= budget && output <= limit);
                    prop_assert!(output == limit || cost(output + 1)? > budget);
                }
            }
        }
    }
}
