//! Whether a new price is so far from the one before it that it is more likely a slip.

use std::{fmt, iter};

use super::{Kind, Price, Terms, cost::MILLION};

/// A new price beyond so many times the old one, or below that part of it, is more likely a slip than a price.
const LEAP: i128 = 10;

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

impl fmt::Display for Leap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, from, to } = self;
        let kind = kind.word();
        write!(f, "{kind} would go from {from} to {to} units for a million, which is more than tenfold")
    }
}

impl Price {
    /// The first kind whose price here is more than tenfold its price in `live`, or less than a tenth of it. From
    /// nothing to something, and back, is as far as that.
    #[must_use]
    pub fn leap(&self, live: &Self) -> Option<Leap> {
        let lengths = self.tiers.iter().chain(&live.tiers).map(|tier| tier.above.saturating_add(1));
        let common = live.terms.iter().map(|old| old.term).filter(|term| self.term(*term).is_some());
        let terms: Vec<Terms> =
            iter::once(Terms::NONE).chain(common.map(|term| Terms::NONE.with(term))).collect();
        let cases =
            iter::once(0).chain(lengths).flat_map(|length| terms.iter().map(move |terms| (length, *terms)));
        let tokens = cases.flat_map(|(length, terms)| {
            let (old, new) = (live.rates_at(length), self.rates_at(length));
            let (old, new) = (live.under(old, terms).by_kind(), self.under(new, terms).by_kind());
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
        // A tool that had no price has none to leap from.
        let tools = live.tools.iter().filter_map(|old| {
            Some((Kind::Tool(old.tool), i128::from(old.rate.0), i128::from(self.tool(old.tool)?.0)))
        });
        let sizes = live.sizes.iter().filter_map(|old| {
            let new = self.size(old.size)?;
            Some((Kind::SecondOf(old.size), i128::from(old.rate.0), i128::from(new.0)))
        });
        let far = |from: i128, to: i128| from.max(to) > from.min(to) * LEAP;
        tokens
            .chain(others)
            .chain(tools)
            .chain(sizes)
            .find(|(_, from, to)| far(*from, *to))
            .map(|(kind, from, to)| Leap { kind, from, to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::PriceId,
        money::Units,
        price::{ListedRates, Rates, Ratio, Term, TermRatio, Tier, Tool, ToolRate, UnitsPerMillion},
    };

    #[test]
    fn finds_a_leap_wherever_it_is() {
        let listed = ListedRates { cached_input: Some(10), ..ListedRates::of(100, 500) };
        let tool = |rate| ToolRate { tool: Tool::WebSearch, rate: UnitsPerMillion(rate) };
        let term = |ratio| TermRatio { term: Term::Flex, ratio: Ratio(ratio) };
        let listed = Price::listed(PriceId(1), listed.rates());
        let live =
            Price { per_call: Units::new(7), tools: vec![tool(5)], terms: vec![term(1_000_000)], ..listed };
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
        assert_eq!(with(|price| price.tools.clear()), None, "what nobody may ask for any more");
        let dear = Price { tools: vec![tool(51)], ..live.clone() };
        assert_eq!(dear.leap(&live).map(|leap| leap.kind), Some(Kind::Tool(Tool::WebSearch)));
        let cheap = Price { terms: vec![term(90_000)], ..live.clone() };
        assert_eq!(cheap.leap(&live).map(|leap| leap.kind), Some(Kind::Input));
        let tier = |price: &mut Price| {
            let rates = Rates { reasoning: UnitsPerMillion(5_001), ..price.rates };
            price.tiers.push(Tier { above: 1_000, rates });
        };
        assert_eq!(with(tier), Some((Kind::Reasoning, 500, 5_001)));
    }
}
