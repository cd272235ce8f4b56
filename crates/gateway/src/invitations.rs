//! Inviting somebody to an account: an administrator makes a link, its receiver chooses the password.

use model::{clock::Timestamp, id::AccountId};
use store::Role;
use zeroize::Zeroizing;

use crate::{
    Failure, Gateway,
    access::Caller,
    passwords,
    sessions::{self, Origin, SignedIn},
};

const THING: &str = "account";
/// How long an invitation works: 7 days.
const LASTS_MILLIS: i64 = 7 * 24 * 3_600_000;

/// Makes an invitation to another account; an earlier one opens nothing any more. Returns its token.
///
/// # Errors
/// [`Failure::Forbidden`] also for an account as mighty as the caller; [`Failure::NotFound`].
pub async fn create(
    gateway: &Gateway,
    caller: &Caller,
    account: AccountId,
) -> Result<Zeroizing<String>, Failure> {
    caller.must_be(Role::Administrator)?;
    let found = gateway.store.account(account).await.map_err(|error| Failure::of(error, THING))?;
    let found = found.ok_or(Failure::NotFound(THING))?;
    if found.role >= caller.account.role && caller.account.role < Role::Root {
        return Err(Failure::Forbidden);
    }
    if account == caller.account.id {
        return Err(Failure::Conflict("change your own password in your settings".to_owned()));
    }
    let (token, now) = (sessions::random_text()?, gateway.now());
    let expires = Timestamp::from_millis(now.millis().saturating_add(LASTS_MILLIS));
    let made = gateway.store.acting(&caller.account).invite(account, &token, expires, now).await;
    made.map_err(|error| Failure::of(error, THING))?;
    Ok(token)
}

/// Uses up an invitation: its account gets a password and is signed in, as far as a password leads.
///
/// # Errors
/// [`Failure::Unauthenticated`] when it is none, or was used, or has ended; [`Failure::TooManyAttempts`]; a password that
/// is not allowed.
pub async fn accept(
    gateway: &Gateway,
    token: &str,
    password: Zeroizing<String>,
    origin: Origin<'_>,
) -> Result<SignedIn, Failure> {
    passwords::check(&password)?;
    let attempt = gateway.sign_ins.token_attempt(&origin.client.to_string(), gateway.now())?;
    // A hash costs what a stranger without an invitation must not be able to ask for.
    let open = gateway.store.is_invitation(token, gateway.now()).await;
    if !open.map_err(|error| Failure::of(error, THING))? {
        return Err(Failure::Unauthenticated);
    }
    let hash = gateway.passwords.hash(password).await?;
    let accepted = gateway.store.accept_invitation(token, &hash, gateway.now()).await;
    let account = accepted.map_err(|error| Failure::of(error, THING))?.ok_or(Failure::Unauthenticated)?;
    attempt.succeeded();
    let found = gateway.store.account(account).await.map_err(|error| Failure::of(error, THING))?;
    found.filter(|account| !account.disabled).ok_or(Failure::Unauthenticated)?;
    sessions::go_on(gateway, account, &hash, origin).await
}
