//! A file of models and prices (TOML). Prices are US dollars, written as decimals and read as such: no float comes near
//! them. A file is right as a whole or refused as a whole, and the refusal names the line.

use std::collections::BTreeMap;

use model::{calendar::Date, clock::Timestamp, price::ListedRates};
use serde::Deserialize;
use store::{Listing, ModelFacts, NewPrice};
use toml::{Spanned, value::Datetime};

use super::numbers::{self, Lines, Number};

/// What a file says of one model, and where.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The line that it begins in.
    pub line: usize,
    /// The model.
    pub listing: Listing,
}

/// What is wrong with a file, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct FileError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub what: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    model: Vec<Spanned<Model>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Model {
    id: String,
    #[serde(default)]
    provider: String,
    #[serde(default = "text", rename = "type")]
    kind: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    features: Vec<String>,
    #[serde(default)]
    input_modalities: Vec<String>,
    #[serde(default)]
    output_modalities: Vec<String>,
    #[serde(default)]
    endpoints: Vec<String>,
    context_length: Option<u64>,
    max_output: Option<u64>,
    image_tokens: Option<u64>,
    #[serde(default)]
    doc_url: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    as_of: String,
    #[serde(default = "yes")]
    listed: bool,
    #[serde(default)]
    price: Vec<Spanned<Price>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Price {
    effective: Option<Datetime>,
    input: Option<Number>,
    cached_input: Option<Number>,
    cache_write: Option<Number>,
    cache_write_1h: Option<Number>,
    input_audio: Option<Number>,
    input_image: Option<Number>,
    output: Option<Number>,
    output_reasoning: Option<Number>,
    output_audio: Option<Number>,
    output_image: Option<Number>,
    per_call: Option<Number>,
    per_second: Option<Number>,
    per_image: Option<Number>,
    #[serde(default)]
    tier: Vec<Tier>,
    #[serde(default)]
    tools: BTreeMap<String, Number>,
    #[serde(default)]
    service_tiers: BTreeMap<String, Number>,
    #[serde(default)]
    per_second_by_size: BTreeMap<String, Number>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tier {
    above: u64,
    input: Option<Number>,
    cached_input: Option<Number>,
    cache_write: Option<Number>,
    cache_write_1h: Option<Number>,
    input_audio: Option<Number>,
    input_image: Option<Number>,
    output: Option<Number>,
    output_reasoning: Option<Number>,
    output_audio: Option<Number>,
    output_image: Option<Number>,
}

fn text() -> String {
    "text".to_owned()
}

const fn yes() -> bool {
    true
}

/// Reads a file.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn read(file: &str) -> Result<Vec<Entry>, FileError> {
    let lines = Lines(file);
    let read: File = toml::from_str(file).map_err(|error| FileError {
        line: lines.of(error.span().map_or(0, |span| span.start)),
        what: error.message().to_owned(),
    })?;
    let mut entries: Vec<Entry> = Vec::new();
    for model in read.model {
        let line = lines.of(model.span().start);
        let entry = Entry { line, listing: listing(lines, line, model.into_inner())? };
        let name = &entry.listing.facts.name;
        if let Some(first) = entries.iter().find(|other| other.listing.facts.name == *name) {
            return Err(FileError {
                line,
                what: format!("model {name} stands in line {} already", first.line),
            });
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn listing(lines: Lines<'_>, line: usize, model: Model) -> Result<Listing, FileError> {
    let wrong = |what: String| FileError { line, what };
    let mut prices = Vec::new();
    for price in &model.price {
        prices.push(price_of(lines, &model, price)?);
    }
    let facts = ModelFacts {
        name: model.id,
        provider: model.provider,
        kind: model.kind,
        description: model.description,
        features: model.features,
        input_modalities: model.input_modalities,
        output_modalities: model.output_modalities,
        endpoints: model.endpoints,
        context_length: model.context_length,
        doc_url: model.doc_url,
        source: model.source,
        as_of: model.as_of,
        listed: model.listed,
    };
    facts.check().map_err(|what| wrong(format!("model {}: {what}", facts.name)))?;
    Ok(Listing { facts, prices })
}

fn price_of(lines: Lines<'_>, model: &Model, price: &Spanned<Price>) -> Result<NewPrice, FileError> {
    let wrong = |what: String| FileError { line: lines.of(price.span().start), what };
    let price = price.get_ref();
    let effective = match price.effective {
        None => None,
        Some(at) => {
            let not = || wrong(format!("effective must be a date, or a time with an offset, not {at}"));
            Some(moment_of(at).ok_or_else(not)?)
        }
    };
    // What gives no tokens, such as an embedding, is bounded by what it takes.
    let max_output = model.max_output.or(model.context_length);
    let new = NewPrice {
        model: model.id.clone(),
        max_output: max_output.ok_or_else(|| wrong("max_output is missing".to_owned()))?,
        image_tokens: model.image_tokens,
        reasoning: model.features.iter().any(|feature| feature == "reasoning"),
        effective,
        ..cost(lines, price)?
    };
    new.check().map_err(|what| wrong(format!("model {}: {what}", model.id)))?;
    Ok(new)
}

/// The rates of a price or of a tier, whose members have the same names.
macro_rules! rates {
    ($lines:expr, $from:expr) => {{
        let lines: Lines<'_> = $lines;
        let each = |name: &str, number: &Option<Number>| {
            number.as_ref().map(|number| lines.dollars(name, number, 1)).transpose()
        };
        ListedRates {
            input: each("input", &$from.input)?.unwrap_or(0),
            cached_input: each("cached_input", &$from.cached_input)?,
            cache_write: each("cache_write", &$from.cache_write)?,
            cache_write_1h: each("cache_write_1h", &$from.cache_write_1h)?,
            input_audio: each("input_audio", &$from.input_audio)?,
            input_image: each("input_image", &$from.input_image)?,
            output: each("output", &$from.output)?.unwrap_or(0),
            reasoning: each("output_reasoning", &$from.output_reasoning)?,
            output_audio: each("output_audio", &$from.output_audio)?,
            output_image: each("output_image", &$from.output_image)?,
        }
    }};
}

fn cost(lines: Lines<'_>, price: &Price) -> Result<NewPrice, FileError> {
    let million = 1_000_000;
    let each = |name: &str, number: &Option<Number>, times: i128| {
        number.as_ref().map_or(Ok(0), |number| lines.dollars(name, number, times))
    };
    let mut tiers = Vec::new();
    for tier in &price.tier {
        tiers.push((tier.above, rates!(lines, tier)));
    }
    Ok(NewPrice {
        rates: rates!(lines, price),
        tiers,
        per_call: each("per_call", &price.per_call, 1)?,
        per_second: each("per_second", &price.per_second, million)?,
        per_image: each("per_image", &price.per_image, million)?,
        tools: numbers::tools(lines, &price.tools)?,
        terms: numbers::terms(lines, &price.service_tiers)?,
        sizes: numbers::sizes(lines, &price.per_second_by_size)?,
        ..NewPrice::default()
    })
}

/// Midnight of a date, UTC, or a time with an offset, as RFC 3339 writes them.
#[must_use]
pub fn moment(text: &str) -> Option<Timestamp> {
    text.parse().ok().and_then(moment_of)
}

fn moment_of(at: Datetime) -> Option<Timestamp> {
    let date = at.date?;
    let midnight = Date { year: date.year.into(), month: date.month.into(), day: date.day.into() }.start();
    let Some(time) = at.time else { return Some(midnight) };
    let minutes = match at.offset? {
        toml::value::Offset::Z => 0,
        toml::value::Offset::Custom { minutes } => i64::from(minutes),
    };
    let of_day =
        i64::from(time.hour) * 3_600 + i64::from(time.minute) * 60 + i64::from(time.second.unwrap_or(0));
    Some(Timestamp::from_secs(midnight.secs() + of_day - minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"
        [[model]]
        id = "m"
        provider = "P"
        features = ["vision", "reasoning"]
        context_length = 1000
        max_output = 100
        image_tokens = 1600

        [[model.price]]
        input = 1.25
        cached_input = 0.125
        output = 10
        input_audio = 40.00
        per_second = 0.0001
        tier = [{ above = 500, input = 2.5, output = 15 }]
        tools = { web_search = 0.01, web_fetch = 0 }
        service_tiers = { priority = 2.5, flex = 0.5 }

        [[model.price]]
        effective = 2030-01-02T03:04:05Z
        input = 1
        output = 2

        [[model]]
        id = "known"
    "#;

    #[test]
    fn reads_dollars_exactly() {
        let entries = read(WHOLE).unwrap();
        let listing = &entries[0].listing;
        let [price, later] = listing.prices.as_slice() else { panic!("{listing:?}") };
        let rates = price.rates.rates();
        assert_eq!((rates.input.0, rates.cached_input.0, rates.output.0), (625_000, 62_500, 5_000_000));
        assert_eq!(
            (rates.cache_write.0, rates.input_audio.0, price.per_second),
            (625_000, 20_000_000, 50_000_000)
        );
        assert_eq!((price.max_output, price.image_tokens, price.reasoning), (100, Some(1600), true));
        assert_eq!((price.effective, later.effective), (None, Some(Timestamp::from_secs(1_893_553_445))));
        let tools: Vec<_> = price.tools.iter().map(|tool| (tool.tool.word(), tool.rate.0)).collect();
        assert_eq!(tools, [("web_fetch", 0), ("web_search", 5_000_000_000)]);
        let terms: Vec<_> = price.terms.iter().map(|term| (term.term.word(), term.ratio.0)).collect();
        assert_eq!(terms, [("flex", 500_000), ("priority", 2_500_000)]);
        let (above, long) = price.tiers[0];
        assert_eq!((above, long.rates().cached_input.0, long.output), (500, 1_250_000, 7_500_000));
        assert_eq!((entries[0].line, entries[1].line), (2, 25));
        assert!(entries[1].listing.prices.is_empty() && entries[1].listing.facts.listed);
    }

    #[test]
    fn names_the_line_of_what_is_wrong() {
        for (from, to, line, what) in [
            (
                "input = 1.25",
                "input = -1.25",
                11,
                "input must be a number of US dollars such as 1.25, not negative, not `-1.25`",
            ),
            ("output = 10\n", "output = nan\n", 13, "not `nan`"),
            ("output = 10\n", "output = inf\n", 13, "not `inf`"),
            ("output = 10\n", "output = 1e3\n", 13, "not `1e3`"),
            ("output = 10\n", "output = \"10\"\n", 13, "output must be a number"),
            ("output = 10\n", "output = 0.0000001\n", 13, "output is finer than can be counted"),
            ("output = 10\n", "output = 99999999999999999999999999999999999999\n", 13, "output"),
            ("output = 10\n", "output = \n", 13, ""),
            ("output = 10\n", "outptu = 10\n", 13, "unknown field `outptu`"),
            ("max_output = 100", "max_output = 0", 10, "model m: max_output must be between 1"),
            ("above = 500", "above = 0", 10, "model m: above must be between 1"),
            (
                "web_search = 0.01",
                "web_serch = 0.01",
                17,
                "there is no tool web_serch; there are web_search, grounding",
            ),
            ("flex = 0.5", "flex = -1", 18, "flex must be a number"),
            (
                "tools = {",
                "per_second_by_size = { 1081p = 1 }\n        tools = {",
                17,
                "there is no size 1081p",
            ),
            ("flex = 0.5", "flex = 101", 10, "flex must be between 0 and 100 times"),
            ("2030-01-02T03:04:05Z", "2030-01-02T03:04:05", 20, "effective must be a date"),
            ("id = \"known\"", "id = \"m\"", 25, "model m stands in line 2 already"),
            ("id = \"known\"", "id = \"a,b\"", 25, "no comma"),
            ("id = \"known\"", "", 25, "missing field `id`"),
        ] {
            let error = read(&WHOLE.replacen(from, to, 1)).unwrap_err();
            assert!(error.line == line && error.what.contains(what), "{to}: {error}");
        }
    }
}
