//! Prices and what a use costs. Fixed point, rounded up once at the end.

use serde::{Deserialize, Serialize};

use crate::{id::PriceId, money::Units, usage::Tokens};

/// Tokens in the unit that prices are quoted in.
const MILLION: i128 = 1_000_000;

/// Quota units for one million tokens.
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

/// What one model costs, at the listed price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// The version; it stays on every usage record.
    pub id: PriceId,
    /// Input tokens that no cache served.
    pub input: UnitsPerMillion,
    /// Input tokens that a cache served.
    pub cached_input: UnitsPerMillion,
    /// Input tokens written to a cache.
    pub cache_write: UnitsPerMillion,
    /// Output tokens, reasoning included.
    pub output: UnitsPerMillion,
    /// Each call, whatever its tokens.
    pub per_call: Units,
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
    /// Output tokens, reasoning included.
    Output,
    /// The call itself.
    Call,
}

/// A cost that does not fit in a number of units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cost is beyond what can be counted")]
pub struct CostOverflow;

impl Kind {
    /// Its stable word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::CachedInput => "cached_input",
            Self::CacheWrite => "cache_write",
            Self::Output => "output",
            Self::Call => "call",
        }
    }
}

impl Price {
    /// Each kind with its quantity and its price: units per million tokens, or units per million calls.
    #[must_use]
    pub fn lines(&self, tokens: &Tokens) -> [(Kind, u64, i128); 5] {
        [
            (Kind::Input, tokens.input, self.input.0.into()),
            (Kind::CachedInput, tokens.cached_input, self.cached_input.0.into()),
            (Kind::CacheWrite, tokens.cache_write, self.cache_write.0.into()),
            (Kind::Output, tokens.output, self.output.0.into()),
            (Kind::Call, 1, i128::from(self.per_call.get()) * MILLION),
        ]
    }

    /// What `tokens` cost under `ratio`: Σ quantity × price × ratio, rounded up once.
    ///
    /// # Errors
    /// [`CostOverflow`] beyond [`Units::MAX`].
    pub fn cost(&self, ratio: Ratio, tokens: &Tokens) -> Result<Units, CostOverflow> {
        let mut sum: i128 = 0;
        for (_, quantity, price) in self.lines(tokens) {
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

    /// The dearest price of an input token: what bounds input before it is known which of it a cache serves.
    #[must_use]
    pub fn dearest_input(&self) -> UnitsPerMillion {
        self.input.max(self.cached_input).max(self.cache_write)
    }

    /// The most that `input` tokens of unknown kind and `output` tokens can cost.
    ///
    /// # Errors
    /// [`CostOverflow`] beyond [`Units::MAX`].
    pub fn bound(&self, ratio: Ratio, input: u64, output: u64) -> Result<Units, CostOverflow> {
        let dearest = Self { input: self.dearest_input(), ..self.clone() };
        dearest.cost(ratio, &Tokens { input, output, ..Tokens::default() })
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn price(input: i64, cached: i64, write: i64, output: i64, per_call: i64) -> Price {
        Price {
            id: PriceId(1),
            input: UnitsPerMillion(input),
            cached_input: UnitsPerMillion(cached),
            cache_write: UnitsPerMillion(write),
            output: UnitsPerMillion(output),
            per_call: Units::new(per_call),
        }
    }

    #[test]
    fn adds_kinds_and_rounds_up_once() {
        let tokens = Tokens { input: 3, cached_input: 5, cache_write: 7, output: 11, reasoning: 4 };
        let price = price(1_250_000, 125_000, 1_562_500, 10_000_000, 0);
        // 3×1.25 + 5×0.125 + 7×1.5625 + 11×10 = 125.3125
        assert_eq!(price.cost(Ratio::ONE, &tokens), Ok(Units::new(126)));
        assert_eq!(price.cost(Ratio(2_000_000), &tokens), Ok(Units::new(251)));
        assert_eq!(price.cost(Ratio(0), &tokens), Ok(Units::ZERO));
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

    proptest! {
        #[test]
        fn the_bound_is_never_too_small(
            prices in prop::array::uniform4(0_i64..50_000_000), call in 0_i64..1_000, ratio in 0_i64..5_000_000,
            parts in prop::array::uniform3(0_u64..100_000), output in 0_u64..100_000,
        ) {
            let [input, cached, write, out] = prices;
            let price = price(input, cached, write, out, call);
            let [a, b, c] = parts;
            let tokens = Tokens { input: a, cached_input: b, cache_write: c, output, reasoning: 0 };
            prop_assert!(price.cost(Ratio(ratio), &tokens)? <= price.bound(Ratio(ratio), a + b + c, output)?);
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
