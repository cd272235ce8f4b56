//! The second factor of an account: codes of an authenticator app (RFC 6238: SHA-1, 6 digits, 30 seconds), and recovery
//! codes for when the app is lost.
//!
//! A code is good once, also within its half minute. Whoever guesses is stopped by the same limits as somebody who guesses
//! passwords, and by one for the codes of an account: whatever the address, [`SignIns`](crate::sign_in_limit).

use model::id::AccountId;
use store::{Proof, Role, Session};
use totp_rs::{Builder, Secret};
use zeroize::Zeroizing;

use crate::{Failure, Gateway, access::Caller};

const THING: &str = "second factor";
/// Bytes of an app's secret, as the standard wants them.
const SECRET: usize = 20;
/// Recovery codes of an account.
pub const CODES: usize = 10;
/// Bytes of a recovery code: nobody guesses 80 bits.
const CODE: usize = 10;

/// An app that is being set up.
pub struct Enrolment {
    /// The secret, in base32, for typing.
    pub secret: Zeroizing<String>,
    /// The same as an address that apps read from a picture.
    pub url: Zeroizing<String>,
}

/// How an account is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Whether codes are asked for.
    pub is_on: bool,
    /// Recovery codes that were not used.
    pub codes_left: i64,
}

fn random_base32(bytes: usize) -> Result<Zeroizing<String>, Failure> {
    let mut random = Zeroizing::new(vec![0_u8; bytes]);
    getrandom::fill(&mut random).map_err(|error| {
        tracing::error!(%error, "no random numbers");
        Failure::Unavailable
    })?;
    Ok(Zeroizing::new(Secret::new(random.to_vec().into_boxed_slice()).to_base32()))
}

/// Fresh recovery codes, as they are kept.
fn codes() -> Result<Vec<Zeroizing<String>>, Failure> {
    let code = |_| Ok(Zeroizing::new(random_base32(CODE)?.to_ascii_lowercase()));
    (0..CODES).map(code).collect()
}

/// A recovery code as people read it: in groups of four.
fn grouped(code: &str) -> String {
    let mut text = String::with_capacity(code.len() + code.len() / 4);
    for (at, letter) in code.chars().enumerate() {
        if at > 0 && at % 4 == 0 {
            text.push('-');
        }
        text.push(letter);
    }
    text
}

/// The time step of a right code; `None` for every other text.
fn step(secret: &str, code: &str, gateway: &Gateway) -> Option<i64> {
    let secret = Secret::try_from_base32(secret).ok()?;
    let totp = Builder::new().with_secret(secret).build().ok()?;
    let seconds = u64::try_from(gateway.now().secs()).ok()?;
    i64::try_from(totp.check(code, seconds)?).ok()
}

/// What somebody types: a code of the app, or a recovery code in any form.
fn typed(code: &str) -> Zeroizing<String> {
    let letters = code.chars().filter(char::is_ascii_alphanumeric).take(64);
    Zeroizing::new(letters.map(|letter| letter.to_ascii_lowercase()).collect())
}

/// Reads a code as a proof for `account`, without using it up. What is no code of the app may be a recovery code.
pub(crate) async fn with_proof<T>(
    gateway: &Gateway,
    account: AccountId,
    code: &str,
    then: impl AsyncFnOnce(Proof<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let code = typed(code);
    if code.len() != 6 {
        return then(Proof::RecoveryCode(&code)).await;
    }
    let totp = gateway.store.totp(account).await.map_err(|error| Failure::of(error, THING))?;
    match totp.and_then(|totp| step(&totp.secret, &code, gateway)) {
        Some(step) => then(Proof::Step(step)).await,
        None => Err(wrong()),
    }
}

/// What is said of every wrong code.
pub(crate) fn wrong() -> Failure {
    Failure::Invalid("the code is not right, or was used already".to_owned())
}

/// Whether an account asks for codes.
pub(crate) async fn is_on(gateway: &Gateway, account: AccountId) -> Result<bool, Failure> {
    let totp = gateway.store.totp(account).await.map_err(|error| Failure::of(error, THING))?;
    Ok(totp.is_some_and(|totp| totp.confirmed.is_some()))
}

/// How the caller's account is protected.
///
/// # Errors
/// The database.
pub async fn state(gateway: &Gateway, caller: &Caller) -> Result<State, Failure> {
    let account = caller.account.id;
    let codes_left = gateway.store.recovery_codes_left(account).await;
    Ok(State {
        is_on: is_on(gateway, account).await?,
        codes_left: codes_left.map_err(|error| Failure::of(error, THING))?,
    })
}

/// Begins to set up an app; nothing asks for its codes until [`confirm`].
///
/// # Errors
/// [`Failure::Conflict`] when there is one already.
pub async fn begin(gateway: &Gateway, caller: &Caller) -> Result<Enrolment, Failure> {
    let secret = random_base32(SECRET)?;
    let begun = gateway.store.begin_totp(caller.account.id, &secret, gateway.now()).await;
    if !begun.map_err(|error| Failure::of(error, THING))? {
        return Err(Failure::Conflict("an authenticator app is set up already".to_owned()));
    }
    Ok(enrolment(caller, secret))
}

fn enrolment(caller: &Caller, secret: Zeroizing<String>) -> Enrolment {
    let name: String = caller.account.username.bytes().fold(String::new(), |mut name, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => name.push(char::from(byte)),
            _ => name.push_str(&format!("%{byte:02X}")),
        }
        name
    });
    let url = format!("otpauth://totp/Apsis:{name}?secret={}&issuer=Apsis", secret.as_str());
    Enrolment { secret, url: Zeroizing::new(url) }
}

/// The app that is being set up, once more.
///
/// # Errors
/// [`Failure::NotFound`] when none is.
pub async fn enrolling(gateway: &Gateway, caller: &Caller) -> Result<Enrolment, Failure> {
    let totp = gateway.store.totp(caller.account.id).await.map_err(|error| Failure::of(error, THING))?;
    let totp = totp.filter(|totp| totp.confirmed.is_none()).ok_or(Failure::NotFound(THING))?;
    Ok(enrolment(caller, totp.secret))
}

/// Asks for codes from now on, after a first right one; other sessions end. Returns the recovery codes, which are never
/// shown again.
///
/// # Errors
/// [`Failure::Invalid`] for a wrong code; [`Failure::TooManyAttempts`].
pub async fn confirm(
    gateway: &Gateway,
    caller: &Caller,
    session: &Session,
    code: &str,
) -> Result<Vec<String>, Failure> {
    let attempt = gateway.sign_ins.code_attempt(&caller.account.username, &session.client, gateway.now())?;
    let totp = gateway.store.totp(caller.account.id).await.map_err(|error| Failure::of(error, THING))?;
    let totp = totp.filter(|totp| totp.confirmed.is_none()).ok_or(Failure::NotFound(THING))?;
    let step = step(&totp.secret, &typed(code), gateway);
    attempt.end(gateway, Ok(step.is_some())).await?;
    let step = step.ok_or_else(wrong)?;
    let codes = codes()?;
    let store = gateway.store.acting(&caller.account);
    let confirmed = store.confirm_totp(caller.account.id, step, &codes, session.id, gateway.now()).await;
    match confirmed.map_err(|error| Failure::of(error, THING))? {
        true => Ok(codes.iter().map(|code| grouped(code)).collect()),
        false => Err(Failure::NotFound(THING)),
    }
}

/// Makes new recovery codes; the old ones open nothing any more.
///
/// # Errors
/// [`Failure::Invalid`] for a wrong code; [`Failure::TooManyAttempts`].
pub async fn renew_codes(
    gateway: &Gateway,
    caller: &Caller,
    session: &Session,
    code: &str,
) -> Result<Vec<String>, Failure> {
    let attempt = gateway.sign_ins.code_attempt(&caller.account.username, &session.client, gateway.now())?;
    let (store, account, fresh) = (gateway.store.acting(&caller.account), caller.account.id, codes()?);
    let renewed = with_proof(gateway, account, code, async |proof| {
        let renewed = store.renew_recovery_codes(account, proof, &fresh, gateway.now()).await;
        renewed.map_err(|error| Failure::of(error, THING))
    });
    attempt.end(gateway, renewed.await).await?;
    Ok(fresh.iter().map(|code| grouped(code)).collect())
}

/// Asks for codes no more.
///
/// # Errors
/// [`Failure::Invalid`] for a wrong code; [`Failure::TooManyAttempts`].
pub async fn end(gateway: &Gateway, caller: &Caller, session: &Session, code: &str) -> Result<(), Failure> {
    let attempt = gateway.sign_ins.code_attempt(&caller.account.username, &session.client, gateway.now())?;
    let (store, account) = (gateway.store.acting(&caller.account), caller.account.id);
    let ended = with_proof(gateway, account, code, async |proof| {
        let ended = store.end_totp(account, proof, gateway.now()).await;
        ended.map_err(|error| Failure::of(error, THING))
    });
    attempt.end(gateway, ended.await).await
}

/// Whether another account asks for codes.
///
/// # Errors
/// [`Failure::Forbidden`]; the database.
pub async fn is_on_of(gateway: &Gateway, caller: &Caller, account: AccountId) -> Result<bool, Failure> {
    caller.must_be(Role::Administrator)?;
    is_on(gateway, account).await
}

/// Takes the second factor from another account whose owner has lost it.
///
/// # Errors
/// [`Failure::Forbidden`] also for an account as mighty as the caller; [`Failure::NotFound`].
pub async fn remove(gateway: &Gateway, caller: &Caller, account: AccountId) -> Result<(), Failure> {
    caller.must_be(Role::Administrator)?;
    let found = gateway.store.account(account).await.map_err(|error| Failure::of(error, THING))?;
    let found = found.ok_or(Failure::NotFound("account"))?;
    if found.role >= caller.account.role && caller.account.role < Role::Root {
        return Err(Failure::Forbidden);
    }
    if account == caller.account.id {
        return Err(Failure::Conflict("change your own second factor in your settings".to_owned()));
    }
    let removed = gateway.store.acting(&caller.account).remove_totp(account, gateway.now()).await;
    match removed.map_err(|error| Failure::of(error, THING))? {
        true => Ok(()),
        false => Err(Failure::NotFound(THING)),
    }
}
