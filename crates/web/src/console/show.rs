//! How amounts and moments are written, and read back.

use gateway::Failure;
use model::{
    calendar::{Date, DateTime},
    clock::Timestamp,
    money::{UNITS_PER_USD, Units},
};

/// Millionths of a US dollar in a quota unit.
const MICROS: i128 = 1_000_000 / UNITS_PER_USD as i128;

/// Units as US dollars, exactly: at least two decimals, at most six.
pub(crate) fn dollars(units: i64) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let micros = i128::from(units).abs() * MICROS;
    let (whole, rest) = (micros / 1_000_000, format!("{:06}", micros % 1_000_000));
    let (cents, more) = rest.split_at_checked(2).unwrap_or(("00", ""));
    format!("{sign}${}.{cents}{}", grouped(whole), more.trim_end_matches('0'))
}

/// Units as US dollars for a figure that is looked at: from a dollar on to the cent. What is exact stands elsewhere.
pub(crate) fn about(units: i64) -> String {
    if (-UNITS_PER_USD..UNITS_PER_USD).contains(&units) {
        return dollars(units);
    }
    let cent = UNITS_PER_USD / 100;
    let cents = units.saturating_add(cent / 2).div_euclid(cent);
    dollars(cents.saturating_mul(cent))
}

/// Millionths of a unit as US dollars, to the last digit that is not 0.
pub(crate) fn fine_dollars(unit_millionths: i128) -> String {
    let tiny = unit_millionths.saturating_mul(MICROS);
    let rest = format!("{:012}", tiny.rem_euclid(1_000_000_000_000));
    let (cents, more) = rest.split_at_checked(2).unwrap_or(("00", ""));
    format!("${}.{cents}{}", grouped(tiny.div_euclid(1_000_000_000_000)), more.trim_end_matches('0'))
}

/// Millionths of a unit as a plain number of US dollars, for a form.
pub(crate) fn plain_fine_dollars(unit_millionths: i64) -> String {
    fine_dollars(unit_millionths.into()).replace(['$', ','], "")
}

/// Units as a plain number of US dollars, for a form.
pub(crate) fn plain_dollars(units: i64) -> String {
    dollars(units).replace(['$', ','], "")
}

/// US dollars as they are typed, in units.
///
/// # Errors
/// [`Failure::Invalid`]: no amount, or finer than a unit.
pub(crate) fn units(name: &str, text: &str) -> Result<i64, Failure> {
    let units = read(text, 6).filter(|units| *units <= Units::MAX.get());
    units.ok_or_else(|| {
        Failure::Invalid(format!("{name} must be an amount in US dollars such as 2.50, at steps of 0.000002"))
    })
}

/// US dollars as they are typed, in millionths of a unit: the price of one that is kept for a million.
///
/// # Errors
/// [`Failure::Invalid`]: no amount, finer than that, or beyond what can be counted.
pub(crate) fn fine_units(name: &str, text: &str) -> Result<i64, Failure> {
    let units = read(text, 12).filter(|units| *units <= Units::MAX.get());
    units.ok_or_else(|| {
        Failure::Invalid(format!(
            "{name} must be an amount in US dollars such as 0.0025, at steps of 0.000000000002 and at most {}",
            fine_dollars(Units::MAX.get().into())
        ))
    })
}

/// An amount in US dollars with at most so many decimals, in halves of the last of them.
fn read(text: &str, decimals: usize) -> Option<i64> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if text.is_empty() || text == "." || !digits(whole) || !digits(rest) || rest.len() > decimals {
        return None;
    }
    let steps = format!("{whole}{rest:0<decimals$}").parse::<i128>().ok()?;
    i64::try_from(steps / MICROS).ok().filter(|_| steps % MICROS == 0)
}

/// A number with its thousands apart.
pub(crate) fn grouped(number: i128) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if number < 0 {
        text.push('-');
    }
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A moment, in UTC.
pub(crate) fn moment(at: Timestamp) -> String {
    DateTime(at).to_string()
}

/// A moment as the field of a form has it.
pub(crate) fn field_moment(at: Timestamp) -> String {
    moment(at).replace(' ', "T").chars().take(16).collect()
}

/// The moment that the field of a form has, in UTC; `None` when it is empty.
///
/// # Errors
/// [`Failure::Invalid`].
pub(crate) fn read_moment(name: &str, text: &str) -> Result<Option<Timestamp>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    let read = || -> Option<Timestamp> {
        let (date, time) = text.split_once('T').unwrap_or((text, "00:00"));
        let mut date = date.splitn(3, '-').map(str::parse::<i64>);
        let mut time = time.splitn(3, ':').map(str::parse::<i64>);
        let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
        let (hour, minute) = (time.next()?.ok()?, time.next()?.ok()?);
        let fits = (1970..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && (0..24).contains(&hour)
            && (0..60).contains(&minute);
        let date = Date { year, month, day };
        // A day that its month does not have would become one of the next.
        let exists = fits && Date::of(date.start()) == date;
        let of_day = (hour * 60 + minute) * 60_000;
        exists.then(|| Timestamp::from_millis(date.start().millis().saturating_add(of_day)))
    };
    let invalid = || Failure::Invalid(format!("{name} must be a moment such as 2030-01-31T12:00, in UTC"));
    read().map(Some).ok_or_else(invalid)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_exact() {
        for (units, text) in [
            (0, "$0.00"),
            (1, "$0.000002"),
            (500_000, "$1.00"),
            (1_250_000_000, "$2,500.00"),
            (-5, "-$0.00001"),
        ] {
            assert_eq!(dollars(units), text);
        }
        for text in ["", ".", "1.0000001", "0.000001", "1e3", "-1", "$1", "99999999999999999999"] {
            assert!(super::units("quota", text).is_err(), "{text}");
        }
        assert_eq!(super::units("quota", ".5"), Ok(250_000));
        assert_eq!(super::fine_units("second", "0.0000025"), Ok(1_250_000));
        for text in ["", ".", "0.000000000001", "0.0000000000020", "1e3", "-1", "18014398510", "1.2.3"] {
            assert!(super::fine_units("second", text).is_err(), "{text}");
        }
    }

    #[test]
    fn figures_are_exact_below_a_dollar_and_to_the_cent_above() {
        for (units, text) in [
            (143, "$0.000286"),
            (499_999, "$0.999998"),
            (500_000, "$1.00"),
            (2_504_999, "$5.01"),
            (-2_504_999, "-$5.01"),
            (636_786_320, "$1,273.57"),
        ] {
            assert_eq!(about(units), text);
        }
    }

    #[test]
    fn moments_are_read_back() {
        let at = Timestamp::from_secs(1_893_456_060);
        assert_eq!(read_moment("expires", &field_moment(at)), Ok(Some(at)));
        assert!(read_moment("expires", "2030-13-01T00:00").is_err());
        assert!(read_moment("expires", "soon").is_err());
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(units in 0..=Units::MAX.get()) {
            prop_assert_eq!(super::units("quota", &plain_dollars(units)), Ok(units));
            prop_assert_eq!(super::fine_units("second", &plain_fine_dollars(units)), Ok(units));
        }
    }
}
