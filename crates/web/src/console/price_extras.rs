//! What a price says of tools, terms of service and sizes of videos, in one field of a form each: names with numbers, comma
//! separated.

use gateway::Failure;
use model::price::{Ratio, Size, SizeRate, Term, TermRatio, Tool, ToolRate, UnitsPerMillion};

use super::{groups, show, usage::ratio};

/// Tools with US dollars for a call.
pub(super) fn tools(tools: &[ToolRate]) -> String {
    joined(tools.iter().map(|tool| format!("{}={}", tool.tool.word(), show::plain_fine_dollars(tool.rate.0))))
}

/// Sizes of videos with US dollars for a second.
pub(super) fn sizes(sizes: &[SizeRate]) -> String {
    joined(sizes.iter().map(|size| format!("{}={}", size.size.word(), show::plain_fine_dollars(size.rate.0))))
}

/// Terms with how many times the rates of tokens.
pub(super) fn terms(terms: &[TermRatio]) -> String {
    joined(terms.iter().map(|term| format!("{}={}", term.term.word(), ratio(term.ratio))))
}

fn joined(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

/// The reverse of [`tools`].
///
/// # Errors
/// [`Failure::Invalid`], naming what is wrong.
pub(super) fn read_tools(text: &str) -> Result<Vec<ToolRate>, Failure> {
    let each = named("tools", text)?.into_iter().map(|(name, number)| {
        let words = Tool::ALL.map(Tool::word).join(", ");
        let unknown = || Failure::Invalid(format!("tools: there is no tool {name}; there are {words}"));
        let tool = Tool::of(name).ok_or_else(unknown)?;
        Ok(ToolRate { tool, rate: UnitsPerMillion(show::fine_units(name, number)?) })
    });
    each.collect()
}

/// The reverse of [`sizes`].
///
/// # Errors
/// [`Failure::Invalid`], naming what is wrong.
pub(super) fn read_sizes(text: &str) -> Result<Vec<SizeRate>, Failure> {
    let each = named("sizes", text)?.into_iter().map(|(name, number)| {
        let words = Size::ALL.map(Size::word).join(", ");
        let unknown = || Failure::Invalid(format!("sizes: there is no size {name}; there are {words}"));
        let size = Size::of(name).ok_or_else(unknown)?;
        Ok(SizeRate { size, rate: UnitsPerMillion(show::fine_units(name, number)?) })
    });
    each.collect()
}

/// The reverse of [`terms`].
///
/// # Errors
/// [`Failure::Invalid`], naming what is wrong.
pub(super) fn read_terms(text: &str) -> Result<Vec<TermRatio>, Failure> {
    let each = named("service_tiers", text)?.into_iter().map(|(name, number)| {
        let words = Term::ALL.map(Term::word).join(", ");
        let unknown = || Failure::Invalid(format!("service_tiers: there is no {name}; there are {words}"));
        let term = Term::of(name).ok_or_else(unknown)?;
        let ratio: Ratio = groups::read(number).map_err(|failure| match failure {
            Failure::Invalid(what) => Failure::Invalid(format!("service_tiers: {name}: {what}")),
            other => other,
        })?;
        Ok(TermRatio { term, ratio })
    });
    each.collect()
}

fn named<'a>(field: &str, text: &'a str) -> Result<Vec<(&'a str, &'a str)>, Failure> {
    let words = text.split([',', '\n']).map(str::trim).filter(|word| !word.is_empty());
    let each = words.map(|word| {
        let pair = word.split_once('=').map(|(name, number)| (name.trim(), number.trim()));
        pair.ok_or_else(|| Failure::Invalid(format!("{field}: `{word}` is no name=number")))
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_back() {
        for text in ["", "web_search=0.01, web_fetch=0.00", "file_search=0.0025"] {
            assert_eq!(tools(&read_tools(text).unwrap()), text);
        }
        for text in ["", "priority=2, flex=0.5, us=1.1"] {
            assert_eq!(terms(&read_terms(text).unwrap()), text);
        }
        for text in ["", "720p=0.10, 1080p=0.35", "2160p=0.000000000002"] {
            assert_eq!(sizes(&read_sizes(text).unwrap()), text);
        }
        assert_eq!(sizes(&read_sizes("1920x1080=0.35\n4k = 1").unwrap()), "1080p=0.35, 2160p=1.00");
        let rate = read_tools("web_search=0.01").unwrap().first().map(|tool| tool.rate.0);
        assert_eq!(rate, Some(5_000_000_000), "a million calls");
        for (wrong, what) in [
            ("telepathy=1", "no tool telepathy"),
            ("web_search", "no name=number"),
            ("web_search=-1", "web_search must"),
        ] {
            assert!(read_tools(wrong).unwrap_err().to_string().contains(what), "{wrong}");
        }
        for (wrong, what) in [
            ("8k=1", "no size 8k; there are 480p, 720p"),
            ("720p", "no name=number"),
            ("720p=cheap", "720p must"),
        ] {
            assert!(read_sizes(wrong).unwrap_err().to_string().contains(what), "{wrong}");
        }
        for (wrong, what) in
            [("gold=1", "no gold"), ("flex=half", "service_tiers: flex"), ("flex", "no name=number")]
        {
            assert!(read_terms(wrong).unwrap_err().to_string().contains(what), "{wrong}");
        }
    }
}
