//! Numbers of a file of prices: decimals, read from their text, so that no float comes near them, and named by their line.

use std::collections::BTreeMap;

use model::{
    money::UNITS_PER_USD,
    price::{Ratio, Size, SizeRate, Term, TermRatio, Tool, ToolRate, UnitsPerMillion},
};
use serde::de::IgnoredAny;
use toml::Spanned;

use super::file::FileError;

/// A number whose text is read from its place in the file.
pub(super) type Number = Spanned<IgnoredAny>;

const DOLLARS: &str = "must be a number of US dollars such as 1.25, not negative";
const PLAIN: &str = "must be a number such as 1.25, not negative";

/// What calls of the provider's own tools cost.
pub(super) fn tools(lines: Lines<'_>, said: &BTreeMap<String, Number>) -> Result<Vec<ToolRate>, FileError> {
    let each = said.iter().map(|(name, number)| {
        let unknown = || lines.unknown(number, "tool", name, &Tool::ALL.map(Tool::word).join(", "));
        let tool = Tool::of(name).ok_or_else(unknown)?;
        Ok(ToolRate { tool, rate: UnitsPerMillion(lines.dollars(name, number, 1_000_000)?) })
    });
    each.collect()
}

/// How many times the rates are charged under terms of service.
pub(super) fn terms(lines: Lines<'_>, said: &BTreeMap<String, Number>) -> Result<Vec<TermRatio>, FileError> {
    let each = said.iter().map(|(name, number)| {
        let unknown = || lines.unknown(number, "service tier", name, &Term::ALL.map(Term::word).join(", "));
        let term = Term::of(name).ok_or_else(unknown)?;
        Ok(TermRatio { term, ratio: Ratio(lines.number(name, number, Ratio::ONE.0.into(), PLAIN)?) })
    });
    each.collect()
}

/// What seconds of a video cost by its size.
pub(super) fn sizes(lines: Lines<'_>, said: &BTreeMap<String, Number>) -> Result<Vec<SizeRate>, FileError> {
    let each = said.iter().map(|(name, number)| {
        let unknown = || lines.unknown(number, "size", name, &Size::ALL.map(Size::word).join(", "));
        let size = Size::of(name).ok_or_else(unknown)?;
        Ok(SizeRate { size, rate: UnitsPerMillion(lines.dollars(name, number, 1_000_000)?) })
    });
    each.collect()
}

/// A file, in which places are looked up.
#[derive(Clone, Copy)]
pub(super) struct Lines<'a>(pub(super) &'a str);

impl Lines<'_> {
    /// The line of a place, from 1.
    pub(super) fn of(self, place: usize) -> usize {
        self.0.bytes().take(place).filter(|byte| *byte == b'\n').count() + 1
    }

    /// US dollars as quota units, `times` that many.
    pub(super) fn dollars(self, name: &str, number: &Number, times: i128) -> Result<i64, FileError> {
        self.number(name, number, i128::from(UNITS_PER_USD) * times, DOLLARS)
    }

    /// A number, `times` that many, of this form.
    fn number(self, name: &str, number: &Number, times: i128, form: &'static str) -> Result<i64, FileError> {
        let span = number.span();
        let text = self.0.get(span.clone()).unwrap_or_default();
        decimal(text, times, form).map_err(|what| FileError {
            line: self.of(span.start),
            what: format!("{name} {what}, not `{text}`"),
        })
    }

    /// The refusal of a name.
    fn unknown(self, number: &Number, thing: &str, name: &str, known: &str) -> FileError {
        let what = format!("there is no {thing} {name}; there are {known}");
        FileError { line: self.of(number.span().start), what }
    }
}

/// A decimal number times `factor`, exactly.
fn decimal(text: &str, factor: i128, form: &'static str) -> Result<i64, &'static str> {
    const FINE: &str = "is finer than can be counted";
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() || !whole.bytes().chain(decimals.bytes()).all(|byte| byte.is_ascii_digit()) {
        return Err(form);
    }
    let decimals = decimals.trim_end_matches('0');
    let digits: i128 = format!("{whole}{decimals}").parse().map_err(|_| form)?;
    let scale =
        u32::try_from(decimals.len()).ok().and_then(|length| 10_i128.checked_pow(length)).ok_or(FINE)?;
    let scaled = digits.checked_mul(factor).ok_or("is beyond what can be counted")?;
    if scaled % scale != 0 {
        return Err(FINE);
    }
    i64::try_from(scaled / scale).map_err(|_| "is beyond what can be counted")
}
