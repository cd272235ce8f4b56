//! Days and months of the Gregorian calendar, in UTC.

use std::fmt;

use crate::clock::Timestamp;

/// Milliseconds of a day.
pub const DAY_MILLIS: i64 = 86_400_000;

/// A day of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    /// The year.
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
}

impl Date {
    /// The day of a moment.
    #[must_use]
    pub const fn of(time: Timestamp) -> Self {
        // Years begin in March here, so that a leap day is the last day of one, and are counted in eras of 400.
        let days = time.millis().div_euclid(DAY_MILLIS) + 719_468;
        let era = days.div_euclid(146_097);
        let in_era = days.rem_euclid(146_097);
        let year = (in_era - in_era / 1_460 + in_era / 36_524 - in_era / 146_096) / 365;
        let in_year = in_era - (365 * year + year / 4 - year / 100);
        let month = (5 * in_year + 2) / 153;
        let day = in_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = year + era * 400 + (month <= 2) as i64;
        Self { year, month, day }
    }

    /// When it begins.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        let year = self.year - (self.month <= 2) as i64;
        let era = year.div_euclid(400);
        let in_era = year.rem_euclid(400);
        let month = if self.month > 2 { self.month - 3 } else { self.month + 9 };
        let in_year = (153 * month + 2) / 5 + self.day - 1;
        let days = era * 146_097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719_468;
        Timestamp::from_millis(days.saturating_mul(DAY_MILLIS))
    }

    /// The first day of its month.
    #[must_use]
    pub const fn first_of_month(self) -> Self {
        Self { day: 1, ..self }
    }

    /// The first day of the month before.
    #[must_use]
    pub const fn first_of_month_before(self) -> Self {
        match self.month {
            1 => Self { year: self.year - 1, month: 12, day: 1 },
            month => Self { month: month - 1, day: 1, ..self },
        }
    }
}

/// A moment as `2026-11-21 08:00:00`, in UTC.
#[derive(Clone, Copy, Debug)]
pub struct DateTime(pub Timestamp);

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Date { year, month, day } = Date::of(self.0);
        let second = self.0.secs().rem_euclid(86_400);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn knows_leap_days_and_the_epoch() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_399, "2000-02-28 23:59:59"),
            (951_782_400, "2000-02-29 00:00:00"),
            (1_740_787_200, "2025-03-01 00:00:00"),
            (-1, "1969-12-31 23:59:59"),
            (4_107_542_400, "2100-03-01 00:00:00"),
        ] {
            assert_eq!(DateTime(Timestamp::from_secs(seconds)).to_string(), text);
        }
        let january = Date { year: 2026, month: 1, day: 31 };
        assert_eq!(january.first_of_month_before(), Date { year: 2025, month: 12, day: 1 });
        assert_eq!(january.first_of_month().start().secs(), 1_767_225_600);
    }

    proptest! {
        #[test]
        fn a_day_begins_where_it_says(days in -1_000_000_i64..3_000_000, part in 0_i64..DAY_MILLIS) {
            let begin = Timestamp::from_millis(days * DAY_MILLIS);
            prop_assert_eq!(Date::of(begin).start(), begin);
            prop_assert_eq!(Date::of(Timestamp::from_millis(begin.millis() + part)), Date::of(begin));
        }
    }
}
