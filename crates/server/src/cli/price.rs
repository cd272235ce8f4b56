//! The commands about prices and models.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use gateway::catalogue;
use model::{
    clock::Timestamp,
    price::{ListedRates, Ratio, Size, SizeRate, Term, TermRatio, Tool, ToolRate, UnitsPerMillion},
};

#[derive(Subcommand)]
pub(crate) enum Price {
    /// Set the price of a model from now or from a later moment on. Prices are quota units for a million.
    Set(Box<NewPrice>),
    /// List the prices in force.
    List {
        /// Every version of this model's price instead: past, in force and to come, the latest first.
        #[arg(long)]
        model: Option<String>,
    },
    /// Take in a file of models and prices, all of it or nothing; docs/api.md says what stands in it.
    Import {
        /// The file (TOML); `-` for standard input. The list that comes with the program when absent.
        file: Option<PathBuf>,
        /// Prices are meant although they are more than tenfold those that they follow, or less than a tenth of them.
        #[arg(long)]
        confirm: bool,
    },
    /// Take back a version that is not in force yet.
    Withdraw {
        /// Its number.
        version: i64,
    },
}

#[derive(Args)]
pub(crate) struct NewPrice {
    /// The model.
    pub(crate) model: String,
    /// Input tokens.
    #[arg(long)]
    pub(crate) input: i64,
    /// Output tokens.
    #[arg(long)]
    pub(crate) output: i64,
    /// Input tokens that a cache served; the price of input when absent.
    #[arg(long)]
    pub(crate) cached_input: Option<i64>,
    /// Input tokens written to a cache; the price of input when absent.
    #[arg(long)]
    pub(crate) cache_write: Option<i64>,
    /// Input tokens written to a cache that keeps them for an hour; the price of a cache write when absent.
    #[arg(long)]
    pub(crate) cache_write_1h: Option<i64>,
    /// The part of input that is sound; the price of input when absent.
    #[arg(long)]
    pub(crate) input_audio: Option<i64>,
    /// The part of input that is images; the price of input when absent.
    #[arg(long)]
    pub(crate) input_image: Option<i64>,
    /// The part of output that is reasoning; the price of output when absent.
    #[arg(long)]
    pub(crate) output_reasoning: Option<i64>,
    /// The part of output that is sound; the price of output when absent.
    #[arg(long)]
    pub(crate) output_audio: Option<i64>,
    /// The part of output that is images; the price of output when absent.
    #[arg(long)]
    pub(crate) output_image: Option<i64>,
    /// A call, in quota units.
    #[arg(long, default_value_t = 0)]
    pub(crate) per_call: i64,
    /// A million seconds of sound or video.
    #[arg(long, default_value_t = 0)]
    pub(crate) per_second: i64,
    /// A million images.
    #[arg(long, default_value_t = 0)]
    pub(crate) per_image: i64,
    /// A million calls of a tool that the provider runs itself, such as `web_search=5000000000`; once for each tool, 0 where it
    /// is free. Requests for others are refused.
    #[arg(long = "tool", value_name = "TOOL=UNITS", value_parser = tool)]
    pub(crate) tools: Vec<ToolRate>,
    /// How many times the rates of tokens are charged under a term of service, in millionths, such as `priority=2000000`; once
    /// for each. Requests for others are refused.
    #[arg(long = "service-tier", value_name = "TIER=MILLIONTHS", value_parser = term)]
    pub(crate) terms: Vec<TermRatio>,
    /// A million seconds of video of a size, such as `1080p=350000000000`; once for each size. Where some have a price, requests
    /// for others are refused.
    #[arg(long = "per-second-by-size", value_name = "SIZE=UNITS", value_parser = size)]
    pub(crate) sizes: Vec<SizeRate>,
    /// The most output tokens that one answer can have.
    #[arg(long)]
    pub(crate) max_output: u64,
    /// The most tokens that one image of a request can be; 6000 when absent.
    #[arg(long)]
    pub(crate) image_tokens: Option<u64>,
    /// Output may hide reasoning.
    #[arg(long)]
    pub(crate) reasoning: bool,
    /// From when on: a date (midnight, UTC), a time with an offset such as 2027-01-31T18:00:00Z, or Unix seconds; now when
    /// absent or past.
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    pub(crate) effective: Option<Timestamp>,
    /// What tokens cost instead when the input is longer than `above`; once for each length, shortest first. The words are
    /// the same: `above=200000,input=2000000,output=6000000,cached_input=200000`.
    #[arg(long = "tier", value_name = "above=TOKENS,input=UNITS,output=UNITS…", value_parser = tier)]
    pub(crate) tiers: Vec<(u64, ListedRates)>,
    /// It is meant although it is more than tenfold the price that it follows, or less than a tenth of it.
    #[arg(long)]
    pub(crate) confirm: bool,
}

#[derive(Subcommand)]
pub(crate) enum Model {
    /// List what is known of models.
    List,
    /// Say what is known of a model; what is not said stays.
    Set(Box<Facts>),
    /// Forget what is known of a model. Its prices stay.
    Forget {
        /// The model.
        model: String,
    },
}

#[derive(Args)]
pub(crate) struct Facts {
    /// The model.
    pub(crate) model: String,
    /// Who makes it.
    #[arg(long)]
    pub(crate) provider: Option<String>,
    /// What it is for: text, embedding, image, audio, video.
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kind: Option<String>,
    /// A sentence for people.
    #[arg(long)]
    pub(crate) description: Option<String>,
    /// What it can do, such as vision or tools, comma separated.
    #[arg(long, value_delimiter = ',')]
    pub(crate) features: Option<Vec<String>>,
    /// What it takes, such as text or image, comma separated.
    #[arg(long, value_delimiter = ',')]
    pub(crate) input_modalities: Option<Vec<String>>,
    /// What it gives, comma separated.
    #[arg(long, value_delimiter = ',')]
    pub(crate) output_modalities: Option<Vec<String>>,
    /// The dialects in which it may be asked, such as openai or embeddings, comma separated.
    #[arg(long, value_delimiter = ',')]
    pub(crate) endpoints: Option<Vec<String>>,
    /// The most tokens of input and output together.
    #[arg(long)]
    pub(crate) context_length: Option<u64>,
    /// The provider's page about it.
    #[arg(long)]
    pub(crate) doc_url: Option<String>,
    /// Whether the public catalogue shows it.
    #[arg(long)]
    pub(crate) listed: Option<bool>,
}

fn moment(text: &str) -> Result<Timestamp, &'static str> {
    let seconds = text.parse().ok().map(Timestamp::from_secs);
    seconds.or_else(|| catalogue::moment(text)).ok_or("a date, a time with an offset, or Unix seconds")
}

/// A name with a number behind `=`.
fn named(text: &str) -> Result<(&str, i64), String> {
    let (name, number) = text.split_once('=').ok_or_else(|| format!("`{text}` is no NAME=NUMBER"))?;
    let number = number.trim().parse().map_err(|_| format!("{name} must be a whole number"))?;
    Ok((name.trim(), number))
}

fn tool(text: &str) -> Result<ToolRate, String> {
    let (name, rate) = named(text)?;
    let words = Tool::ALL.map(Tool::word).join(", ");
    let tool = Tool::of(name).ok_or_else(|| format!("there is no tool {name}; there are {words}"))?;
    Ok(ToolRate { tool, rate: UnitsPerMillion(rate) })
}

fn term(text: &str) -> Result<TermRatio, String> {
    let (name, ratio) = named(text)?;
    let words = Term::ALL.map(Term::word).join(", ");
    let term = Term::of(name).ok_or_else(|| format!("there is no service tier {name}; there are {words}"))?;
    Ok(TermRatio { term, ratio: Ratio(ratio) })
}

fn size(text: &str) -> Result<SizeRate, String> {
    let (name, rate) = named(text)?;
    let words = Size::ALL.map(Size::word).join(", ");
    let size = Size::of(name).ok_or_else(|| format!("there is no size {name}; there are {words}"))?;
    Ok(SizeRate { size, rate: UnitsPerMillion(rate) })
}

fn tier(text: &str) -> Result<(u64, ListedRates), String> {
    let (mut above, mut input, mut output) = (None, None, None);
    let mut rates = ListedRates::default();
    for said in text.split(',') {
        let (name, number) = named(said)?;
        let place = match name {
            "above" => &mut above,
            "input" => &mut input,
            "output" => &mut output,
            "cached_input" => &mut rates.cached_input,
            "cache_write" => &mut rates.cache_write,
            "cache_write_1h" => &mut rates.cache_write_1h,
            "input_audio" => &mut rates.input_audio,
            "input_image" => &mut rates.input_image,
            "output_reasoning" => &mut rates.reasoning,
            "output_audio" => &mut rates.output_audio,
            "output_image" => &mut rates.output_image,
            other => return Err(format!("{other} is no part of a price")),
        };
        if place.replace(number).is_some() {
            return Err(format!("{name} is there twice"));
        }
    }
    let need = |part: Option<i64>, name: &str| part.ok_or_else(|| format!("{name} is missing"));
    let above = need(above, "above")?;
    let above = u64::try_from(above).map_err(|_| "above must not be negative".to_owned())?;
    Ok((above, ListedRates { input: need(input, "input")?, output: need(output, "output")?, ..rates }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_tier() {
        let (above, rates) = tier("above=200000, input=2000000,output=6000000,cached_input=7").unwrap();
        assert_eq!(
            (above, rates.input, rates.output, rates.cached_input),
            (200_000, 2_000_000, 6_000_000, Some(7))
        );
        for (text, what) in [
            ("above=1,input=2", "output is missing"),
            ("input=2,output=3", "above is missing"),
            ("above=-1,input=2,output=3", "above must not be negative"),
            ("above=1,input=2,output=3,input=4", "input is there twice"),
            ("above=1,input=2,outptu=3", "outptu is no part of a price"),
            ("above=1,input=2.5,output=3", "input must be a whole number"),
            ("above", "`above` is no NAME=NUMBER"),
        ] {
            assert_eq!(tier(text).unwrap_err(), what);
        }
    }

    #[test]
    fn reads_what_is_charged_beside_tokens() {
        assert_eq!(tool("web_search=5").map(|tool| (tool.tool, tool.rate.0)), Ok((Tool::WebSearch, 5)));
        assert_eq!(term("flex = 500000").map(|term| (term.term, term.ratio.0)), Ok((Term::Flex, 500_000)));
        assert_eq!(tool("web_search").unwrap_err(), "`web_search` is no NAME=NUMBER");
        assert!(
            tool("telepathy=1")
                .unwrap_err()
                .starts_with("there is no tool telepathy; there are web_search, ")
        );
        assert!(term("gold=1").unwrap_err().starts_with("there is no service tier gold; there are flex, "));
        assert_eq!(term("flex=half").unwrap_err(), "flex must be a whole number");
    }

    #[test]
    fn reads_a_moment() {
        for text in ["2027-01-31T18:00:00Z", "2027-01-31T20:00:00+02:00", "1801418400"] {
            assert_eq!(moment(text), Ok(Timestamp::from_secs(1_801_418_400)), "{text}");
        }
        assert_eq!(moment("2027-01-31"), Ok(Timestamp::from_secs(1_801_353_600)));
        for text in ["", "soon", "2027-01-31T18:00:00", "18:00:00"] {
            assert!(moment(text).is_err(), "{text}");
        }
    }
}
