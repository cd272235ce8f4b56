//! Quota units. Integers only; 500 000 units are one US dollar.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Quota units in one US dollar.
pub const UNITS_PER_USD: i64 = 500_000;

/// An amount of quota units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Units(i64);

impl Units {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount that a JSON number carries exactly: 2^53 - 1.
    pub const MAX: Self = Self(9_007_199_254_740_991);

    /// An amount.
    #[must_use]
    pub const fn new(units: i64) -> Self {
        Self(units)
    }

    /// The number of units.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The sum, or `None` on overflow.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The difference, or `None` on overflow.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
    }
}

impl fmt::Display for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
