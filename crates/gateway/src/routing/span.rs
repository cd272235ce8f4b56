//! A stretch of time with a beginning and a length.

use std::time::Duration;

use model::clock::Timestamp;

/// From a moment on, for a while.
///
/// A clock that is set back to before the beginning ends it: nothing rests for hours because a clock was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    from: Timestamp,
    millis: i64,
}

impl Span {
    /// `length` from `from` on.
    #[must_use]
    pub fn new(from: Timestamp, length: Duration) -> Self {
        Self { from, millis: millis(length) }
    }

    /// Whether `now` lies in it.
    #[must_use]
    pub fn covers(self, now: Timestamp) -> bool {
        now >= self.from && now < self.end()
    }

    /// The first moment after it.
    #[must_use]
    pub const fn end(self) -> Timestamp {
        Timestamp::from_millis(self.from.millis().saturating_add(self.millis))
    }

    /// What is left of it.
    #[must_use]
    pub fn left(self, now: Timestamp) -> Duration {
        if !self.covers(now) {
            return Duration::ZERO;
        }
        Duration::from_millis(self.end().millis_since(now).unsigned_abs())
    }
}

/// Whole milliseconds; what is longer than can be counted is as long as can be counted.
pub(super) fn millis(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_a_first_and_a_last_moment() {
        let at = Timestamp::from_millis;
        let span = Span::new(at(1_000), Duration::from_millis(500));
        let inside = [999, 1_000, 1_499, 1_500, -5].map(|now| span.covers(at(now)));
        assert_eq!(inside, [false, true, true, false, false]);
        assert_eq!(
            (span.left(at(1_100)), span.left(at(1_500))),
            (Duration::from_millis(400), Duration::ZERO)
        );
        assert!(Span::new(at(1), Duration::MAX).covers(at(i64::MAX - 1)), "saturates");
    }
}
