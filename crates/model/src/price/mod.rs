//! Prices and what a use costs. Fixed point, rounded up once at the end. `rates` is what tokens cost, `cost` what a use
//! does, `extras` what is asked for beside tokens, `size` what a second of a video costs, `leap` whether a new price is more likely a slip.

use serde::{Deserialize, Serialize};

use crate::{id::PriceId, money::Units};

mod cost;
mod extras;
mod leap;
mod rates;
mod size;

pub use cost::{CostOverflow, Most};
pub use extras::{Term, TermRatio, Terms, Tool, ToolCalls, ToolRate};
pub use leap::Leap;
pub use rates::{ListedRates, Rates};
pub use size::{Size, SizeRate};

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
    /// A million seconds of sound, or of video of no size that has a price of its own.
    pub per_second: UnitsPerMillion,
    /// A million images.
    pub per_image: UnitsPerMillion,
    /// Calls of the provider's own tools. One that is not here has no price that is known.
    #[serde(default)]
    pub tools: Vec<ToolRate>,
    /// Tokens under terms of service. One that is not here has no price that is known.
    #[serde(default)]
    pub terms: Vec<TermRatio>,
    /// Seconds of video by its size. Where some have a price, one that is not here has none that is known.
    #[serde(default)]
    pub sizes: Vec<SizeRate>,
}

impl Price {
    /// A price of tokens and of nothing else.
    #[must_use]
    pub const fn listed(id: PriceId, rates: Rates) -> Self {
        Self {
            id,
            rates,
            tiers: Vec::new(),
            per_call: Units::ZERO,
            per_second: UnitsPerMillion(0),
            per_image: UnitsPerMillion(0),
            tools: Vec::new(),
            terms: Vec::new(),
            sizes: Vec::new(),
        }
    }
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
    /// A second of video of a size that has a price of its own.
    SecondOf(Size),
    /// An image.
    Image,
    /// A call of a tool that the provider runs itself.
    Tool(Tool),
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
            Self::SecondOf(size) => size.second(),
            Self::Image => "image",
            Self::Tool(tool) => tool.word(),
        }
    }
}
