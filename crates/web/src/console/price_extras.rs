//! What a price says of tools and terms of service, in one field of a form each: names with numbers, comma separated.

use gateway::Failure;
use model::price::{Ratio, Term, TermRatio, Tool, ToolRate, UnitsPerMillion};

use super::{groups, show, usage::ratio};

/// Units for a million calls in units for one.
const MILLION: i64 = 1_000_000;

/// Tools with US dollars for a call.
pub(super) fn tools(tools: &[ToolRate]) -> String {
    let dollars = |rate: UnitsPerMillion| show::fine_dollars(rate.0.into()).replace(['$', ','], "");
    joined(tools.iter().map(|tool| format!("{}={}", tool.tool.word(), dollars(tool.rate))))
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
        let rate = show::units(name, number)?.checked_mul(MILLION);
        let rate = rate.ok_or_else(|| Failure::Invalid(format!("{name} is beyond what can be counted")))?;
        Ok(ToolRate { tool, rate: UnitsPerMillion(rate) })
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
        let rate = read_tools("web_search=0.01").unwrap().first().map(|tool| tool.rate.0);
        assert_eq!(rate, Some(5_000_000_000), "a million calls");
        for (wrong, what) in [
            ("telepathy=1", "no tool telepathy"),
            ("web_search", "no name=number"),
            ("web_search=-1", "web_search must"),
        ] {
            assert!(read_tools(wrong).unwrap_err().to_string().contains(what), "{wrong}");
        }
        for (wrong, what) in
            [("gold=1", "no gold"), ("flex=half", "service_tiers: flex"), ("flex", "no name=number")]
        {
            assert!(read_terms(wrong).unwrap_err().to_string().contains(what), "{wrong}");
        }
    }
}
