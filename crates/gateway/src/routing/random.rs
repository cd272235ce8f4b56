//! Random numbers for the choice of channels. They need to be fair, not secret.

use std::sync::atomic::{AtomicU64, Ordering};

/// The step of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

const fn mixed(state: u64) -> u64 {
    let mut z = state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A sequence that its seed decides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number from 0 up to, but without, `bound`; 0 for a bound of 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        // The high half of a 128-bit product: a bias below 2^-32 for the bounds that there are here.
        let product = u128::from(mixed(self.0)) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or(0)
    }
}

/// Seeds for requests: a different one each time, from one number that the operating system gave.
#[derive(Debug)]
pub struct Seeds(AtomicU64);

impl Seeds {
    /// Seeds that begin with `first`.
    #[must_use]
    pub const fn new(first: u64) -> Self {
        Self(AtomicU64::new(first))
    }

    /// The next one.
    #[must_use]
    pub fn next(&self) -> u64 {
        mixed(self.0.fetch_add(STEP, Ordering::Relaxed))
    }
}
