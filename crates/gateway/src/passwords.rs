//! Passwords: argon2id, off the async threads, a few at a time.

use std::sync::Arc;

use argon2::{
    Argon2, PasswordHash, PasswordHasher, PasswordVerifier,
    password_hash::{self, SaltString},
};
use model::id::AccountId;
use store::{Role, Session};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::{Failure, Gateway, access::Caller};

const THING: &str = "account";
/// Hashes at a time: each takes 19 MiB and some 20 ms of a core.
const AT_ONCE: usize = 2;
/// Hashes that wait for their turn; further ones are refused.
const WAITING: usize = 64;
/// The fewest characters of a password.
pub const SHORTEST: usize = 10;
/// The most bytes of a password.
pub const LONGEST: usize = 256;

/// Where passwords are hashed.
#[derive(Clone, Debug)]
pub(crate) struct Passwords {
    places: Arc<Semaphore>,
    queue: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(AT_ONCE)), queue: Arc::new(Semaphore::new(AT_ONCE + WAITING)) }
    }
}

impl Passwords {
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, password_hash::Error> + Send + 'static,
    ) -> Result<T, Failure> {
        let queued = Arc::clone(&self.queue).try_acquire_owned().map_err(|_| Failure::Unavailable)?;
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| Failure::Unavailable)?;
        // The places go with the work: a caller that leaves does not end it.
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop((place, queued));
            result
        });
        let result = done.await.map_err(|error| {
            tracing::error!(%error, "hashing a password was broken off");
            Failure::Unavailable
        })?;
        result.map_err(|error| {
            tracing::error!(%error, "a password could not be hashed");
            Failure::Unavailable
        })
    }

    /// The hash of a password, with a salt of its own.
    pub(crate) async fn hash(&self, password: Zeroizing<String>) -> Result<String, Failure> {
        self.run(move || hash(&password)).await
    }

    /// Whether a password is the one behind `hash`. Without a hash it takes as long and is never right.
    pub(crate) async fn fits(
        &self,
        password: Zeroizing<String>,
        hash_text: Option<String>,
    ) -> Result<bool, Failure> {
        self.run(move || {
            let Some(text) = hash_text else {
                hash(&password)?;
                return Ok(false);
            };
            let parsed = PasswordHash::new(&text)?;
            match Argon2::default().verify_password(password.as_bytes(), &parsed) {
                Ok(()) => Ok(true),
                Err(password_hash::Error::Password) => Ok(false),
                Err(error) => Err(error),
            }
        })
        .await
    }
}

fn hash(password: &str) -> Result<String, password_hash::Error> {
    let mut salt = [0_u8; 16];
    getrandom::fill(&mut salt).map_err(|_| password_hash::Error::Crypto)?;
    let salt = SaltString::encode_b64(&salt)?;
    Ok(Argon2::default().hash_password(password.as_bytes(), &salt)?.to_string())
}

/// Refuses passwords that are too short or too long.
///
/// # Errors
/// [`Failure::Invalid`].
pub fn check(password: &str) -> Result<(), Failure> {
    if password.chars().count() < SHORTEST || password.len() > LONGEST {
        let what = format!("a password has at least {SHORTEST} characters and at most {LONGEST} bytes");
        return Err(Failure::Invalid(what));
    }
    Ok(())
}

/// The hash of a new password, without a running gateway.
///
/// # Errors
/// [`Failure::Invalid`] when it is too short or too long.
pub async fn hash_new(password: Zeroizing<String>) -> Result<String, Failure> {
    check(&password)?;
    Passwords::default().hash(password).await
}

/// Changes the caller's own password, who must know the one before. All other sessions of the account end.
///
/// # Errors
/// [`Failure::Invalid`]: the old one is wrong, or the new one is not allowed. [`Failure::TooManyAttempts`].
pub async fn change(
    gateway: &Gateway,
    caller: &Caller,
    session: &Session,
    old: Zeroizing<String>,
    new: Zeroizing<String>,
) -> Result<(), Failure> {
    check(&new)?;
    // A stolen session must not be a way to guess the password.
    let attempt = gateway.sign_ins.attempt(&caller.account.username, &session.client, gateway.now())?;
    let known = gateway.store.password_hash(caller.account.id).await;
    let known = known.map_err(|error| Failure::of(error, THING))?;
    if !gateway.passwords.fits(old, known).await? {
        attempt.failed(gateway).await;
        return Err(Failure::Invalid("the current password is not right".to_owned()));
    }
    attempt.succeeded();
    let hash = gateway.passwords.hash(new).await?;
    let store = gateway.store.acting(&caller.account);
    let set = store.set_password(caller.account.id, &hash, Some(session.id), gateway.now()).await;
    set.map_err(|error| Failure::of(error, THING))
}

/// Sets the password of another account, whose sessions all end.
///
/// # Errors
/// [`Failure::Forbidden`] also for an account as mighty as the caller; [`Failure::NotFound`]; [`Failure::Invalid`].
pub async fn set(
    gateway: &Gateway,
    caller: &Caller,
    account: AccountId,
    new: Zeroizing<String>,
) -> Result<(), Failure> {
    caller.must_be(Role::Administrator)?;
    check(&new)?;
    let found = gateway.store.account(account).await.map_err(|error| Failure::of(error, THING))?;
    let found = found.ok_or(Failure::NotFound(THING))?;
    if found.role >= caller.account.role && caller.account.role < Role::Root {
        return Err(Failure::Forbidden);
    }
    if account == caller.account.id {
        return Err(Failure::Conflict("change your own password in your settings".to_owned()));
    }
    let hash = gateway.passwords.hash(new).await?;
    let set = gateway.store.acting(&caller.account).set_password(account, &hash, None, gateway.now()).await;
    set.map_err(|error| Failure::of(error, THING))
}
