//! How often somebody may try a password: by account and address, by address, and by account.
//!
//! An attempt is counted in memory before the password is looked at, and taken back when it was right, so that attempts at the
//! same moment count too. One that was wrong is counted in the database as well, in one statement, which says how many
//! there are on all nodes; so a node that has not seen them lets one more through, and a right password costs nothing. Each kind of count has room for [`ENTRIES`] rows;
//! beyond that the ones that are asked for least are forgotten first. To push a row out an attacker has to make tens of
//! thousands of attempts, each of which costs a password hash.

use std::{net::IpAddr, sync::Arc};

use model::clock::Timestamp;
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use store::{Failures, StoreError};

use crate::{Failure, Gateway, second_factor};

const ENTRIES: usize = 65_536;
/// A count begins anew after this long.
const WINDOW: i64 = 15 * 60_000;
/// Attempts in a window for an account from one address.
const BOTH: u32 = 8;
/// From one address, whatever the account.
const ADDRESS: u32 = 40;
/// Codes of a second factor for one account, whatever the address: of a million, three are right at a time.
const CODES: u32 = 20;
/// For one account, whatever the address: enough that a stranger does not easily shut the owner out.
const ACCOUNT: u32 = 200;
/// Links and tokens from one address. They cannot be guessed; this only keeps the database from being asked for ever.
const TOKENS: u32 = 20;

#[derive(Clone, Copy, Debug)]
struct Count {
    began: Timestamp,
    attempts: u32,
}

type Table = Cache<String, Arc<Mutex<Count>>>;

/// The counts of one node.
#[derive(Debug)]
pub(crate) struct SignIns {
    counts: Table,
}

impl Default for SignIns {
    fn default() -> Self {
        Self { counts: Cache::new(3 * ENTRIES) }
    }
}

/// One attempt, counted.
#[must_use]
#[derive(Debug)]
pub(crate) struct Attempt {
    now: Timestamp,
    taken: Vec<(String, Arc<Mutex<Count>>)>,
}

impl Attempt {
    /// It was right, and does not count.
    pub(crate) fn succeeded(self) {
        for (_, count) in self.taken {
            let mut count = count.lock();
            count.attempts = count.attempts.saturating_sub(1);
        }
    }

    /// It was wrong: the other nodes learn of it, and this one of what they know.
    pub(crate) async fn failed(self, gateway: &Gateway) {
        let [(first, _), (second, _), (third, _)] = self.taken.as_slice() else { return };
        let names = [first.as_str(), second.as_str(), third.as_str()];
        match gateway.store.count_failures(names, stale(self.now), self.now).await {
            Ok(counts) => {
                for ((_, count), everywhere) in self.taken.iter().zip(counts) {
                    count.lock().learn(everywhere);
                }
            }
            Err(error) => tracing::warn!(%error, "a wrong password or code is counted on this node alone"),
        }
    }

    /// Ends an attempt with a code as it turned out. Where nothing turned out it stays counted on this node.
    ///
    /// # Errors
    /// What is said of every wrong code; what came in between.
    pub(crate) async fn end(self, gateway: &Gateway, right: Result<bool, Failure>) -> Result<(), Failure> {
        match right {
            Ok(true) => {
                self.succeeded();
                Ok(())
            }
            Ok(false) | Err(Failure::Invalid(_)) => {
                self.failed(gateway).await;
                Err(second_factor::wrong())
            }
            Err(failure) => Err(failure),
        }
    }
}

impl Count {
    /// Takes in what is counted on all nodes. Attempts that are under way here may not be in it yet.
    fn learn(&mut self, everywhere: Failures) {
        self.attempts = self.attempts.max(everywhere.attempts);
        self.began = self.began.min(everywhere.began);
    }
}

/// A count that began then or before is over.
fn stale(now: Timestamp) -> Timestamp {
    Timestamp::from_millis(now.millis().saturating_sub(WINDOW))
}

/// Forgets the counts in the database that are over.
///
/// # Errors
/// The database.
pub(crate) async fn forget(gateway: &Gateway) -> Result<(), StoreError> {
    gateway.store.forget_failures(stale(gateway.now())).await
}

impl SignIns {
    /// Counts an attempt.
    ///
    /// # Errors
    /// [`Failure::TooManyAttempts`].
    pub(crate) fn attempt(&self, username: &str, client: &str, now: Timestamp) -> Result<Attempt, Failure> {
        self.count(username, client, ('n', ACCOUNT), now)
    }

    /// Counts an attempt with a code of the second factor.
    ///
    /// # Errors
    /// [`Failure::TooManyAttempts`].
    pub(crate) fn code_attempt(
        &self,
        username: &str,
        client: &str,
        now: Timestamp,
    ) -> Result<Attempt, Failure> {
        self.count(username, client, ('c', CODES), now)
    }

    /// Counts an attempt with a passkey. Nobody guesses a signature, so an account needs no count that strangers could fill.
    ///
    /// # Errors
    /// [`Failure::TooManyAttempts`].
    pub(crate) fn passkey_attempt(&self, client: &str, now: Timestamp) -> Result<Attempt, Failure> {
        self.take(vec![(format!("a{}", place(client)), ADDRESS)], now)
    }

    fn count(
        &self,
        username: &str,
        client: &str,
        (kind, of_account): (char, u32),
        now: Timestamp,
    ) -> Result<Attempt, Failure> {
        let name = username.to_lowercase();
        let place = place(client);
        let limits = [
            (format!("b{place} {name}"), BOTH),
            (format!("a{place}"), ADDRESS),
            (format!("{kind}{name}"), of_account),
        ];
        self.take(limits.into(), now)
    }

    /// Counts an attempt with the token of a link, by its address alone, on this node: there is no account that strangers
    /// could shut out, and nothing that could be guessed.
    ///
    /// # Errors
    /// [`Failure::TooManyAttempts`].
    pub(crate) fn token_attempt(&self, client: &str, now: Timestamp) -> Result<Attempt, Failure> {
        self.take(vec![(format!("t{}", place(client)), TOKENS)], now)
    }

    fn take(&self, limits: Vec<(String, u32)>, now: Timestamp) -> Result<Attempt, Failure> {
        let mut taken = Attempt { now, taken: Vec::with_capacity(limits.len()) };
        for (key, most) in limits {
            let fresh = || Ok(Arc::new(Mutex::new(Count { began: now, attempts: 0 })));
            let count = self
                .counts
                .get_or_insert_with(&key, fresh)
                .unwrap_or_else(|never: std::convert::Infallible| match never {});
            {
                let mut count = count.lock();
                if now.millis_since(count.began) >= WINDOW {
                    *count = Count { began: now, attempts: 0 };
                }
                if count.attempts >= most {
                    let left = WINDOW - now.millis_since(count.began);
                    drop(count);
                    // What is refused is not counted: else the owner would wait as long as somebody tries.
                    taken.succeeded();
                    let seconds = u32::try_from(left / 1_000 + 1).unwrap_or(u32::MAX);
                    return Err(Failure::TooManyAttempts { seconds });
                }
                count.attempts += 1;
            }
            taken.taken.push((key, count));
        }
        Ok(taken)
    }
}

/// What counts as one address: an IPv4 address, or the 64 bits of an IPv6 network that one household has.
fn place(client: &str) -> String {
    match client.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V6(address)) => format!("{:x}", address.to_bits() >> 64),
        Ok(IpAddr::V4(address)) => address.to_string(),
        Err(_) => client.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_secs(minutes * 60)
    }

    #[test]
    fn wrong_passwords_are_limited_by_account_and_address() {
        let limit = SignIns::default();
        for _ in 0..BOTH {
            let _wrong: Attempt = limit.attempt("Root", "192.0.2.1", at(0)).unwrap();
        }
        let refused = limit.attempt("root", "::ffff:192.0.2.1", at(14)).unwrap_err();
        assert_eq!(refused, Failure::TooManyAttempts { seconds: 61 });
        let _other: Attempt = limit.attempt("root", "192.0.2.2", at(14)).unwrap();
        let _later: Attempt = limit.attempt("root", "192.0.2.1", at(15)).unwrap();
    }

    #[test]
    fn right_passwords_are_not_counted() {
        let limit = SignIns::default();
        for _ in 0..1_000 {
            limit.attempt("root", "192.0.2.1", at(0)).unwrap().succeeded();
        }
    }

    #[test]
    fn one_address_and_one_account_have_limits_of_their_own() {
        let limit = SignIns::default();
        for number in 0..ADDRESS {
            let _wrong: Attempt = limit.attempt(&format!("u{number}"), "2001:db8::1", at(0)).unwrap();
        }
        assert!(limit.attempt("v", "2001:db8::2", at(0)).is_err());
        for number in 0..ACCOUNT {
            let _wrong: Attempt =
                limit.attempt("w", &format!("10.0.{}.{}", number / 250, number % 250), at(0)).unwrap();
        }
        assert!(limit.attempt("w", "10.9.9.9", at(0)).is_err());
        for number in 0..CODES {
            let _wrong: Attempt = limit.code_attempt("x", &format!("10.0.0.{number}"), at(0)).unwrap();
        }
        assert!(limit.code_attempt("x", "10.9.9.9", at(0)).is_err());
        let _password: Attempt = limit.attempt("x", "10.9.9.9", at(0)).unwrap();
    }

    #[test]
    fn links_are_limited_by_address_and_shut_nobody_else_out() {
        let limit = SignIns::default();
        for _ in 0..TOKENS {
            let _wrong: Attempt = limit.token_attempt("192.0.2.1", at(0)).unwrap();
        }
        assert!(limit.token_attempt("192.0.2.1", at(14)).is_err());
        let _stranger: Attempt = limit.token_attempt("192.0.2.2", at(0)).unwrap();
        let _password: Attempt = limit.attempt("root", "192.0.2.1", at(0)).unwrap();
        let _later: Attempt = limit.token_attempt("192.0.2.1", at(15)).unwrap();
    }
}
