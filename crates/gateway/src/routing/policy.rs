//! What an operator decides about routing.

use std::time::Duration;

/// How often, how long and how patiently requests look for a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Different channels that one request tries in a group at most.
    pub attempts_per_group: u32,
    /// Longest time for all attempts of a request together, up to the first byte.
    pub deadline: Duration,
    /// How long a credential rests when its provider says "too many" without saying until when.
    pub cool_down: Duration,
    /// The longest rest that a provider may ask for; what it asks beyond that is cut.
    pub longest_cool_down: Duration,
    /// Retries that a hundred requests earn.
    pub retries_per_hundred: u32,
    /// Retries that a second earns, whatever the load; they keep a quiet node able to retry.
    pub retries_per_second: u32,
    /// Failures in a row that open a channel's breaker.
    pub breaker_failures: u32,
    /// How long a breaker is open the first time; it doubles with each further opening.
    pub breaker_open: Duration,
    /// The longest time that a breaker is open.
    pub longest_breaker_open: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            attempts_per_group: 3,
            deadline: Duration::from_secs(180),
            cool_down: Duration::from_secs(5),
            longest_cool_down: Duration::from_secs(600),
            retries_per_hundred: 8,
            retries_per_second: 1,
            breaker_failures: 5,
            breaker_open: Duration::from_secs(1),
            longest_breaker_open: Duration::from_secs(60),
        }
    }
}
