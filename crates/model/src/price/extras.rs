//! What may be asked for beside tokens: tools that a provider runs itself, each call of which has a price, and terms of service
//! that change the price of all tokens. They are few and known by name, so that a request for another one is refused.

use serde::{Deserialize, Serialize};

use super::{Price, Rates, Ratio, UnitsPerMillion, cost::MILLION};

/// A tool that a provider runs itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tool {
    /// A search of the web, by the query.
    WebSearch,
    /// An answer for which the web was searched, however often: how some models of Google's are charged.
    Grounding,
    /// A page that was fetched.
    WebFetch,
    /// A search of files that the provider keeps.
    FileSearch,
    /// A container in which code was run, or a run of code.
    CodeExecution,
    /// An image that was made on the way.
    ImageGeneration,
    /// An answer for which a map was asked.
    Maps,
    /// Any other.
    Other,
}

impl Tool {
    /// All there are.
    pub const ALL: [Self; 8] = [
        Self::WebSearch,
        Self::Grounding,
        Self::WebFetch,
        Self::FileSearch,
        Self::CodeExecution,
        Self::ImageGeneration,
        Self::Maps,
        Self::Other,
    ];

    /// Its stable word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::WebSearch => "web_search",
            Self::Grounding => "grounding",
            Self::WebFetch => "web_fetch",
            Self::FileSearch => "file_search",
            Self::CodeExecution => "code_execution",
            Self::ImageGeneration => "image_generation",
            Self::Maps => "maps",
            Self::Other => "other_tool",
        }
    }

    /// The tool of this word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.word() == word)
    }
}

/// How often each tool was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCalls([u32; 8]);

impl ToolCalls {
    /// How often one was.
    #[must_use]
    pub fn of(&self, tool: Tool) -> u64 {
        self.each().find(|(known, _)| *known == tool).map_or(0, |(_, calls)| calls)
    }

    /// Each tool with its calls.
    pub fn each(&self) -> impl Iterator<Item = (Tool, u64)> {
        Tool::ALL.into_iter().zip(self.0.map(u64::from))
    }

    /// Sets how often one was used. No answer has more calls than can be counted here.
    pub fn set(&mut self, tool: Tool, calls: u64) {
        if let Some((_, known)) = Tool::ALL.into_iter().zip(&mut self.0).find(|(known, _)| *known == tool) {
            *known = u32::try_from(calls).unwrap_or(u32::MAX);
        }
    }

    /// Takes in a further count of the same answer: counts only grow.
    pub fn raise(&mut self, tool: Tool, calls: u64) {
        self.set(tool, calls.max(self.of(tool)));
    }

    /// Counts one more.
    pub fn add(&mut self, tool: Tool) {
        self.set(tool, self.of(tool).saturating_add(1));
    }

    /// The larger count of each.
    #[must_use]
    pub fn max(mut self, other: Self) -> Self {
        other.each().for_each(|(tool, calls)| self.raise(tool, calls));
        self
    }

    /// Whether none was used.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Terms of service that change the price of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Term {
    /// Cheaper, and later.
    Flex,
    /// Dearer, and sooner.
    Priority,
    /// By and by.
    Batch,
    /// On capacity that was bought before.
    Scale,
    /// Faster, by a faster way of working.
    Fast,
    /// Faster than that.
    Ultrafast,
    /// In the United States alone.
    Us,
}

impl Term {
    /// All there are.
    pub const ALL: [Self; 7] =
        [Self::Flex, Self::Priority, Self::Batch, Self::Scale, Self::Fast, Self::Ultrafast, Self::Us];

    /// Its stable word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::Priority => "priority",
            Self::Batch => "batch",
            Self::Scale => "scale",
            Self::Fast => "fast",
            Self::Ultrafast => "ultrafast",
            Self::Us => "us",
        }
    }

    /// The term of this word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|term| term.word() == word)
    }
}

/// A set of terms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms(u16);

impl Terms {
    /// None.
    pub const NONE: Self = Self(0);

    /// With a further one.
    #[must_use]
    pub const fn with(self, term: Term) -> Self {
        Self(self.0 | (1 << term as u16))
    }

    /// Whether one is among them.
    #[must_use]
    pub const fn has(self, term: Term) -> bool {
        (self.0 >> term as u16) & 1 == 1
    }

    /// Each of them.
    pub fn each(self) -> impl Iterator<Item = Term> {
        Term::ALL.into_iter().filter(move |term| self.has(*term))
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// What a million calls of a tool cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolRate {
    /// The tool.
    pub tool: Tool,
    /// Its price; 0 where it is free.
    pub rate: UnitsPerMillion,
}

/// What tokens cost under a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermRatio {
    /// The term.
    pub term: Term,
    /// How many times the listed rates.
    pub ratio: Ratio,
}

impl Price {
    /// What a million calls of a tool cost; `None` where nobody has said it.
    #[must_use]
    pub fn tool(&self, tool: Tool) -> Option<UnitsPerMillion> {
        self.tools.iter().find(|known| known.tool == tool).map(|known| known.rate)
    }

    /// The ratio of a term; `None` where nobody has said it.
    #[must_use]
    pub fn term(&self, term: Term) -> Option<Ratio> {
        self.terms.iter().find(|known| known.term == term).map(|known| known.ratio)
    }

    /// The terms under which a use is charged that was `asked` for under some and `served` under some: those that both
    /// know, and of others those that make it no dearer. Nobody pays more for what was not asked for.
    #[must_use]
    pub fn terms_of(&self, asked: Terms, served: Terms) -> Terms {
        let counts =
            |term: &Term| self.term(*term).is_some_and(|ratio| asked.has(*term) || ratio <= Ratio::ONE);
        served.each().filter(counts).fold(Terms::NONE, Terms::with)
    }

    /// `rates` under terms, each rounded up to a unit for a million tokens.
    #[must_use]
    pub fn under(&self, rates: &Rates, terms: Terms) -> Rates {
        terms.each().filter_map(|term| self.term(term)).fold(*rates, |rates, ratio| rates.times(ratio))
    }

    /// `rates` under the dearest of the terms that may come of those that were asked for.
    pub(super) fn under_dearest(&self, rates: &Rates, asked: Terms) -> Rates {
        let dear = |term: &Term| self.term(*term).is_some_and(|ratio| ratio > Ratio::ONE);
        self.under(rates, asked.each().filter(dear).fold(Terms::NONE, Terms::with))
    }
}

impl Rates {
    fn times(self, ratio: Ratio) -> Self {
        let scaled = |rate: UnitsPerMillion| {
            let scaled = i128::from(rate.0) * i128::from(ratio.0);
            UnitsPerMillion(i64::try_from((scaled + MILLION - 1).div_euclid(MILLION)).unwrap_or(i64::MAX))
        };
        Self {
            input: scaled(self.input),
            cached_input: scaled(self.cached_input),
            cache_write: scaled(self.cache_write),
            cache_write_1h: scaled(self.cache_write_1h),
            input_audio: scaled(self.input_audio),
            input_image: scaled(self.input_image),
            output: scaled(self.output),
            reasoning: scaled(self.reasoning),
            output_audio: scaled(self.output_audio),
            output_image: scaled(self.output_image),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::PriceId,
        money::Units,
        price::{ListedRates, Most},
        usage::{Parts, Tokens},
    };

    fn price() -> Price {
        let tool = |tool, rate| ToolRate { tool, rate: UnitsPerMillion(rate) };
        let term = |term, ratio| TermRatio { term, ratio: Ratio(ratio) };
        Price {
            tools: vec![tool(Tool::WebSearch, 5_000_000), tool(Tool::WebFetch, 0)],
            terms: vec![
                term(Term::Priority, 2_000_000),
                term(Term::Flex, 500_000),
                term(Term::Us, 1_100_000),
            ],
            ..Price::listed(PriceId(1), ListedRates::of(1_000_000, 3_000_001).rates())
        }
    }

    #[test]
    fn words_lead_back() {
        assert!(Tool::ALL.into_iter().all(|tool| Tool::of(tool.word()) == Some(tool)));
        assert!(Term::ALL.into_iter().all(|term| Term::of(term.word()) == Some(term)));
        assert_eq!((Tool::of("call"), Term::of("default")), (None, None));
    }

    #[test]
    fn calls_of_tools_are_charged() {
        let mut tools = ToolCalls::default();
        tools.add(Tool::WebSearch);
        tools.raise(Tool::WebSearch, 3);
        tools.add(Tool::WebFetch);
        let tokens = Tokens { input: 7, parts: Parts { tools, ..Parts::default() }, ..Tokens::default() };
        assert_eq!(price().cost(Ratio::ONE, &tokens), Ok(Units::new(7 + 15)));
        let most = Most { input: 7, tools, ..Most::default() };
        assert_eq!(price().bound_of(Ratio::ONE, &most), Ok(Units::new(7 + 15)));
    }

    #[test]
    fn terms_change_the_price_of_tokens_and_of_nothing_else() {
        let price = Price { per_call: Units::new(10), ..price() };
        let of = |terms: &[Term]| terms.iter().copied().fold(Terms::NONE, Terms::with);
        for (terms, cost) in [
            (of(&[]), 10 + 4 + 7),
            (of(&[Term::Priority]), 10 + 8 + 13),
            (of(&[Term::Flex]), 10 + 2 + 4),
            // 2.2, and 6600003 for two million, each rounded up.
            (of(&[Term::Priority, Term::Us]), 10 + 9 + 14),
            (of(&[Term::Batch]), 10 + 4 + 7),
        ] {
            let parts = Parts { terms, ..Parts::default() };
            let tokens = Tokens { input: 4, output: 2, parts, ..Tokens::default() };
            let found = price.cost(Ratio::ONE, &tokens).unwrap().get();
            assert!((cost - 1..=cost).contains(&found), "{terms:?}: {found}");
            let most = Most { input: 4, output: 2, terms, ..Most::default() };
            assert!(price.bound_of(Ratio::ONE, &most).unwrap().get() >= found, "{terms:?}");
        }
    }

    #[test]
    fn nobody_pays_for_terms_that_were_not_asked_for() {
        let (priority, flex) = (Terms::NONE.with(Term::Priority), Terms::NONE.with(Term::Flex));
        let price = price();
        assert_eq!(price.terms_of(priority, priority), priority);
        assert_eq!(price.terms_of(Terms::NONE, priority), Terms::NONE);
        assert_eq!(price.terms_of(priority, flex), flex, "cheaper than what was asked for");
        assert_eq!(price.terms_of(priority, Terms::NONE), Terms::NONE);
        let batch = Terms::NONE.with(Term::Batch);
        assert_eq!(price.terms_of(batch, batch), Terms::NONE, "of which no price is known");
    }
}
