//! Signing in to the console, and who is signed in.
//!
//! A session is opened by a token of 256 random bits that only the browser has. It ends by itself when it was not used
//! for [`IDLE_MILLIS`], and at the latest after [`LONGEST_MILLIS`].

use std::net::IpAddr;

use model::{
    clock::Timestamp,
    id::{AccountId, SessionId},
};
use store::{NewSession, Session};
use zeroize::Zeroizing;

use crate::{Failure, Gateway, access::Caller, passwords, second_factor};

const THING: &str = "session";
/// A session that was not used for this long has ended: 12 hours.
pub const IDLE_MILLIS: i64 = 12 * 3_600_000;
/// The longest that a session lasts: 7 days.
pub const LONGEST_MILLIS: i64 = 7 * 24 * 3_600_000;
/// Use is noted once a minute.
const NOTED_MILLIS: i64 = 60_000;
/// The most characters that are kept of what a browser calls itself.
const AGENT: usize = 200;

/// How long a sign-in waits for the code of the second factor: 5 minutes.
pub const PENDING_MILLIS: i64 = 5 * 60_000;

/// How far a sign-in with a right password has come.
#[derive(Debug)]
pub enum SignedIn {
    /// All the way.
    Entered(SessionToken),
    /// A code of the second factor is missing; the token stands for the wait.
    NeedsCode(SessionToken),
}

/// The text that opens a session, or stands for a sign-in that waits. It cannot be printed by accident.
pub struct SessionToken(Zeroizing<String>);

impl std::fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionToken(hidden)")
    }
}

impl SessionToken {
    pub(crate) fn generate() -> Result<Self, Failure> {
        random_text().map(Self)
    }

    /// The secret itself. Name every use of it with care.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// 256 random bits as 64 hexadecimal digits.
///
/// # Errors
/// [`Failure::Unavailable`]: the operating system gives no random numbers.
pub fn random_text() -> Result<Zeroizing<String>, Failure> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|error| {
        tracing::error!(%error, "no random numbers");
        Failure::Unavailable
    })?;
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or('0');
    Ok(Zeroizing::new(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()))
}

/// Where somebody signs in from.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The caller's address.
    pub client: IpAddr,
    /// What the browser calls itself.
    pub agent: &'a str,
}

/// Signs in with a password. An account with a second factor then waits for its code: [`enter_code`].
///
/// # Errors
/// [`Failure::Unauthenticated`] for every wrong pair, for an account without a password and for a disabled one;
/// [`Failure::TooManyAttempts`].
pub async fn sign_in(
    gateway: &Gateway,
    username: &str,
    password: Zeroizing<String>,
    origin: Origin<'_>,
) -> Result<SignedIn, Failure> {
    if username.len() > passwords::LONGEST || password.len() > passwords::LONGEST {
        return Err(Failure::Unauthenticated);
    }
    let attempt = gateway.sign_ins.attempt(username, &origin.client.to_string(), gateway.now())?;
    let account = gateway.store.account_by_username(username).await;
    let account = account.map_err(|error| Failure::of(error, THING))?.filter(|account| !account.disabled);
    let hash = match &account {
        Some(account) => {
            gateway.store.password_hash(account.id).await.map_err(|error| Failure::of(error, THING))?
        }
        None => None,
    };
    // Also without an account, so that the time does not tell whether there is one.
    let fits = gateway.passwords.fits(password, hash.clone()).await?;
    let (Some(account), Some(hash), true) = (account, hash, fits) else {
        tracing::info!(client = %origin.client, "a sign-in was refused");
        attempt.failed(gateway).await;
        return Err(Failure::Unauthenticated);
    };
    attempt.succeeded();
    go_on(gateway, account.id, &hash, origin).await
}

/// From a right password to a session, or to the wait for a code.
pub(crate) async fn go_on(
    gateway: &Gateway,
    account: AccountId,
    hash: &str,
    origin: Origin<'_>,
) -> Result<SignedIn, Failure> {
    if !second_factor::is_on(gateway, account).await? {
        return begin(gateway, account, hash, origin).await.map(SignedIn::Entered);
    }
    let (token, now) = (SessionToken::generate()?, gateway.now());
    let begun =
        gateway.store.begin_sign_in(account, hash, token.expose(), oldest_pending(gateway), now).await;
    match begun.map_err(|error| Failure::of(error, THING))? {
        true => Ok(SignedIn::NeedsCode(token)),
        false => Err(Failure::Unauthenticated),
    }
}

fn oldest_pending(gateway: &Gateway) -> Timestamp {
    Timestamp::from_millis(gateway.now().millis().saturating_sub(PENDING_MILLIS))
}

/// Ends a sign-in that waits for a code.
///
/// # Errors
/// [`Failure::Unauthenticated`] when it does not wait, or not any more; [`Failure::Invalid`] for a wrong code;
/// [`Failure::TooManyAttempts`].
pub async fn enter_code(
    gateway: &Gateway,
    pending: &str,
    code: &str,
    origin: Origin<'_>,
) -> Result<SessionToken, Failure> {
    let waiting = gateway.store.pending_sign_in(pending, oldest_pending(gateway)).await;
    let account = waiting.map_err(|error| Failure::of(error, THING))?.ok_or(Failure::Unauthenticated)?;
    let account = gateway.store.account(account).await.map_err(|error| Failure::of(error, THING))?;
    let account = account.filter(|account| !account.disabled).ok_or(Failure::Unauthenticated)?;
    let (client, agent) = (origin.client.to_string(), agent(origin));
    let attempt = gateway.sign_ins.code_attempt(&account.username, &client, gateway.now())?;
    let token = SessionToken::generate()?;
    let from = store::Origin { client: &client, agent: &agent };
    let entered = second_factor::with_proof(gateway, account.id, code, async |proof| {
        let (session, now) = (token.expose(), gateway.now());
        let finished = gateway.store.finish_sign_in(pending, proof, session, from, now).await;
        finished.map_err(|error| Failure::of(error, THING))
    });
    let right = entered.await.map(|session| session.is_some());
    if matches!(right, Ok(false) | Err(Failure::Invalid(_))) {
        tracing::info!(client = %origin.client, "a code was refused");
    }
    attempt.end(gateway, right).await?;
    Ok(token)
}

pub(crate) fn agent(origin: Origin<'_>) -> String {
    origin.agent.chars().filter(|c| !c.is_control()).take(AGENT).collect()
}

/// Uses up the set-up token: root gets a password and is signed in.
///
/// # Errors
/// [`Failure::Unauthenticated`] when it is not the token, or was used, or has ended; [`Failure::TooManyAttempts`];
/// a password that is not allowed.
pub async fn set_up(
    gateway: &Gateway,
    setup_token: &str,
    password: Zeroizing<String>,
    origin: Origin<'_>,
) -> Result<SessionToken, Failure> {
    passwords::check(&password)?;
    let attempt = gateway.sign_ins.token_attempt(&origin.client.to_string(), gateway.now())?;
    // A hash costs what a stranger without the token must not be able to ask for.
    let right = gateway.store.is_setup_token(setup_token, gateway.now()).await;
    if !right.map_err(|error| Failure::of(error, THING))? {
        return Err(Failure::Unauthenticated);
    }
    let hash = gateway.passwords.hash(password).await?;
    let taken = gateway.store.set_up(setup_token, &hash, gateway.now()).await;
    let root = taken.map_err(|error| Failure::of(error, THING))?.ok_or(Failure::Unauthenticated)?;
    attempt.succeeded();
    begin(gateway, root, &hash, origin).await
}

/// Whether a set-up token waits to be used.
///
/// # Errors
/// The database.
pub async fn awaits_set_up(gateway: &Gateway) -> Result<bool, Failure> {
    gateway.store.awaits_set_up(gateway.now()).await.map_err(|error| Failure::of(error, THING))
}

async fn begin(
    gateway: &Gateway,
    account: AccountId,
    hash: &str,
    origin: Origin<'_>,
) -> Result<SessionToken, Failure> {
    let token = SessionToken::generate()?;
    let (client, now) = (origin.client.to_string(), gateway.now());
    let agent = agent(origin);
    let new = NewSession {
        account,
        password_hash: hash,
        client: &client,
        agent: &agent,
        forget_before: Timestamp::from_millis(now.millis().saturating_sub(IDLE_MILLIS)),
    };
    let made = gateway.store.create_session(new, token.expose(), now).await;
    made.map_err(|error| Failure::of(error, THING))?.ok_or(Failure::Unauthenticated)?;
    Ok(token)
}

/// Who is behind a session's token.
///
/// # Errors
/// [`Failure::Unauthenticated`] for everything that is no living session of a living account.
pub async fn authenticate(gateway: &Gateway, token: &str) -> Result<(Caller, Session), Failure> {
    if token.len() != 64 {
        return Err(Failure::Unauthenticated);
    }
    let found = gateway.store.session_by_token(token).await;
    let (session, account) =
        found.map_err(|error| Failure::of(error, THING))?.ok_or(Failure::Unauthenticated)?;
    let now = gateway.now();
    let idle = now.millis_since(session.used);
    if idle >= IDLE_MILLIS || now.millis_since(session.created) >= LONGEST_MILLIS || account.disabled {
        return Err(Failure::Unauthenticated);
    }
    if idle >= NOTED_MILLIS {
        let noted = gateway.store.session_used(session.id, now).await;
        noted.map_err(|error| Failure::of(error, THING))?;
    }
    Ok((Caller { account }, session))
}

/// The caller's sessions that have not ended, newest first.
///
/// # Errors
/// The database.
pub async fn list(gateway: &Gateway, caller: &Caller) -> Result<Vec<Session>, Failure> {
    let now = gateway.now();
    let sessions = gateway.store.list_sessions(caller.account.id).await;
    let mut sessions = sessions.map_err(|error| Failure::of(error, THING))?;
    sessions.retain(|session| {
        now.millis_since(session.used) < IDLE_MILLIS && now.millis_since(session.created) < LONGEST_MILLIS
    });
    Ok(sessions)
}

/// Ends one of the caller's sessions.
///
/// # Errors
/// [`Failure::NotFound`].
pub async fn end(gateway: &Gateway, caller: &Caller, id: SessionId) -> Result<(), Failure> {
    let gone = gateway.store.end_session(caller.account.id, id).await;
    match gone.map_err(|error| Failure::of(error, THING))? {
        true => Ok(()),
        false => Err(Failure::NotFound(THING)),
    }
}

/// Ends the caller's sessions, all but `kept`.
///
/// # Errors
/// The database.
pub async fn end_others(gateway: &Gateway, caller: &Caller, kept: SessionId) -> Result<u64, Failure> {
    let ended = gateway.store.end_sessions(caller.account.id, Some(kept)).await;
    ended.map_err(|error| Failure::of(error, THING))
}
