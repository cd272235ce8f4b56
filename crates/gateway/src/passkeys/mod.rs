//! Passkeys (WebAuthn): keys that an authenticator keeps and uses for its owner alone, on this site alone.
//!
//! One opens the console without a password and without a code: the authenticator has asked who is there, by a PIN, a
//! finger or a face, so it is both factors at once. Adding and removing one needs a fresh proof of who is signed in.
//! What passwords have besides a passkey stays: a password that changes ends all other sessions, and leaves passkeys.

mod cbor;
mod ceremony;
mod challenge;
mod public_key;
mod site;
#[cfg(test)]
mod tests;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use model::{
    clock::Timestamp,
    id::{AccountId, PasskeyId},
};
use store::{Added, NewPasskey, Passkey, PasskeyUse, Role, Session};
use zeroize::Zeroizing;

use self::ceremony::{Purpose, Refused, Signed};
pub use self::{challenge::MILLIS, public_key::ALGORITHMS, site::Site};
use crate::{
    Failure, Gateway,
    access::Caller,
    sessions::{self, Origin, SessionToken},
};

const THING: &str = "passkey";
/// Passkeys of an account.
pub const MOST: i64 = 20;
/// The most characters of a name.
pub const LONGEST_NAME: usize = 50;
/// How long a sign-in, or a password that was given again, proves who is there: 10 minutes.
pub const FRESH_MILLIS: i64 = 10 * 60_000;

/// What a browser needs to make a passkey.
#[derive(Clone, Debug)]
pub struct Registration {
    /// What is to be signed, in base64url.
    pub challenge: String,
    /// What the authenticator knows the account by, in base64url; it says nothing about it.
    pub user: String,
    /// The account's passkeys, in base64url: an authenticator that has one makes no other.
    pub known: Vec<String>,
}

/// What a browser sends when a passkey was made; each part in base64url.
#[derive(Clone, Copy, Debug)]
pub struct NewCredential<'a> {
    /// What its owner calls it.
    pub name: &'a str,
    /// What the browser says (`clientDataJSON`).
    pub client: &'a str,
    /// What the authenticator says (`attestationObject`).
    pub object: &'a str,
}

/// What a browser sends when a passkey was used; each part in base64url.
#[derive(Clone, Copy, Debug)]
pub struct Assertion<'a> {
    /// The authenticator's name for the passkey.
    pub credential: &'a str,
    /// What the browser says (`clientDataJSON`).
    pub client: &'a str,
    /// What the authenticator says (`authenticatorData`).
    pub data: &'a str,
    /// The signature.
    pub signature: &'a str,
    /// What the authenticator knows the account by.
    pub user: &'a str,
}

fn lost(error: store::StoreError) -> Failure {
    Failure::of(error, THING)
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    // Four letters are three bytes.
    (text.len() <= ceremony::LONGEST * 4 / 3).then(|| URL_SAFE_NO_PAD.decode(text).ok()).flatten()
}

/// What authenticators know an account by.
fn user(gateway: &Gateway, account: AccountId) -> String {
    URL_SAFE_NO_PAD.encode(gateway.store.stamp(&format!("passkey user\0{account}")))
}

/// The session's name in challenges.
fn registrar(session: &Session) -> String {
    format!("session {}", session.id)
}

/// Whether whoever has a session has proved a moment ago who they are.
#[must_use]
pub fn is_fresh(session: &Session, now: Timestamp) -> bool {
    now.millis_since(session.proved) < FRESH_MILLIS
}

fn must_be_fresh(gateway: &Gateway, session: &Session) -> Result<(), Failure> {
    match is_fresh(session, gateway.now()) {
        true => Ok(()),
        false => Err(Failure::Invalid("give your password again first".to_owned())),
    }
}

/// Proves again who is signed in, by the password.
///
/// # Errors
/// [`Failure::Invalid`] for a wrong password; [`Failure::TooManyAttempts`].
pub async fn prove(
    gateway: &Gateway,
    caller: &Caller,
    session: &Session,
    password: Zeroizing<String>,
) -> Result<(), Failure> {
    let wrong = || Failure::Invalid("the password is not right".to_owned());
    if password.len() > crate::passwords::LONGEST {
        return Err(wrong());
    }
    // A stolen session must not be a way to guess the password.
    let attempt = gateway.sign_ins.attempt(&caller.account.username, &session.client, gateway.now())?;
    let hash = gateway.store.password_hash(caller.account.id).await.map_err(lost)?;
    let fits = gateway.passwords.fits(password, hash.clone()).await?;
    let Some(hash) = hash.filter(|_| fits) else {
        attempt.failed(gateway).await;
        return Err(wrong());
    };
    attempt.succeeded();
    match gateway.store.session_proved(session.id, &hash, gateway.now()).await.map_err(lost)? {
        true => Ok(()),
        false => Err(Failure::Unauthenticated),
    }
}

/// The caller's passkeys, oldest first.
///
/// # Errors
/// The database.
pub async fn list(gateway: &Gateway, caller: &Caller) -> Result<Vec<Passkey>, Failure> {
    gateway.store.passkeys(caller.account.id).await.map_err(lost)
}

/// Begins to add a passkey.
///
/// # Errors
/// [`Failure::Invalid`] when the proof of who is there is not fresh.
pub async fn begin(gateway: &Gateway, caller: &Caller, session: &Session) -> Result<Registration, Failure> {
    must_be_fresh(gateway, session)?;
    let known = list(gateway, caller).await?;
    Ok(Registration {
        challenge: challenge::make(&gateway.store, Purpose::Register, &registrar(session), gateway.now())?,
        user: user(gateway, caller.account.id),
        known: known.iter().map(|passkey| URL_SAFE_NO_PAD.encode(&passkey.credential)).collect(),
    })
}

/// The name as it is kept.
fn named(name: &str) -> Result<&str, Failure> {
    let name = name.trim();
    let fits =
        !name.is_empty() && name.chars().count() <= LONGEST_NAME && !name.chars().any(char::is_control);
    if fits {
        return Ok(name);
    }
    Err(Failure::Invalid(format!("name: a passkey's name has 1 to {LONGEST_NAME} characters")))
}

/// Adds a passkey that was just made.
///
/// # Errors
/// [`Failure::Invalid`], saying what is wrong with it; [`Failure::Conflict`] for one that is there already, and for one too
/// many.
pub async fn add(
    gateway: &Gateway,
    caller: &Caller,
    session: &Session,
    site: &Site,
    new: NewCredential<'_>,
) -> Result<PasskeyId, Failure> {
    must_be_fresh(gateway, session)?;
    let name = named(new.name)?;
    let refused = |refused: Refused| Failure::Invalid(format!("the passkey was not added: {refused}"));
    let stale = || Failure::Invalid("the passkey was not added: it came too late; try again".to_owned());
    let client = decoded(new.client).ok_or_else(|| refused(Refused::Client))?;
    let object = decoded(new.object).ok_or_else(|| refused(Refused::Authenticator))?;
    let answered = ceremony::challenge(&client, Purpose::Register, site).map_err(refused)?;
    let (store, now) = (gateway.store.acting(&caller.account), gateway.now());
    let asked = challenge::read(&store, Purpose::Register, &registrar(session), &answered, now);
    let asked = asked.ok_or_else(stale)?;
    let made = ceremony::made(&object, site).map_err(refused)?;
    let new = NewPasskey {
        account: caller.account.id,
        session: session.id,
        credential: made.credential,
        public_key: made.public_key,
        name,
        counter: made.counter,
        backed_up: made.backed_up,
        nonce: &asked.nonce,
        most: MOST,
    };
    match store.add_passkey(new, now).await.map_err(lost)? {
        Added::Done(id) => Ok(id),
        Added::Stale => Err(stale()),
        Added::Known => Err(Failure::Conflict("this passkey is there already".to_owned())),
        Added::TooMany => Err(Failure::Conflict(format!("an account has at most {MOST} passkeys"))),
    }
}

/// Removes one of the caller's passkeys.
///
/// # Errors
/// [`Failure::Invalid`] when the proof of who is there is not fresh; [`Failure::NotFound`].
pub async fn remove(
    gateway: &Gateway,
    caller: &Caller,
    session: &Session,
    id: PasskeyId,
) -> Result<(), Failure> {
    must_be_fresh(gateway, session)?;
    let store = gateway.store.acting(&caller.account);
    match store.remove_passkey(caller.account.id, id, gateway.now()).await.map_err(lost)? {
        true => Ok(()),
        false => Err(Failure::NotFound(THING)),
    }
}

/// What the passkey of somebody who signs in has to sign. `browser` is what only their browser knows.
///
/// # Errors
/// [`Failure::Unavailable`]: the operating system gives no random numbers.
pub fn begin_sign_in(gateway: &Gateway, browser: &str) -> Result<String, Failure> {
    challenge::make(&gateway.store, Purpose::SignIn, browser, gateway.now())
}

/// Signs in with a passkey, which is both factors.
///
/// # Errors
/// [`Failure::Unauthenticated`] for everything that opens nothing, whatever the reason; [`Failure::TooManyAttempts`].
pub async fn sign_in(
    gateway: &Gateway,
    site: &Site,
    browser: &str,
    assertion: Assertion<'_>,
    origin: Origin<'_>,
) -> Result<SessionToken, Failure> {
    let attempt = gateway.sign_ins.passkey_attempt(&origin.client.to_string(), gateway.now())?;
    let refuse = |why: &str| {
        tracing::info!(client = %origin.client, why, "a passkey was refused");
        Failure::Unauthenticated
    };
    let parts = (
        decoded(assertion.credential),
        decoded(assertion.client),
        decoded(assertion.data),
        decoded(assertion.signature),
    );
    let (Some(credential), Some(client), Some(data), Some(signature)) = parts else {
        return Err(refuse("it is not readable"));
    };
    let answered = ceremony::challenge(&client, Purpose::SignIn, site);
    let answered = answered.map_err(|refused| refuse(&refused.to_string()))?;
    let asked = challenge::read(&gateway.store, Purpose::SignIn, browser, &answered, gateway.now());
    let asked = asked.ok_or_else(|| refuse("its challenge is not one of this browser's, or is old"))?;
    let passkey = gateway.store.passkey_by_credential(&credential).await.map_err(lost)?;
    let passkey = passkey.ok_or_else(|| refuse("nobody has it"))?;
    if assertion.user != user(gateway, passkey.account) {
        return Err(refuse("it speaks for another account"));
    }
    let signed = Signed { client: &client, data: &data, signature: &signature };
    let used = ceremony::used(signed, &passkey.public_key, site);
    let used = used.map_err(|refused| refuse(&refused.to_string()))?;
    if used.counter <= passkey.counter && (used.counter, passkey.counter) != (0, 0) {
        gateway.store.passkey_refused(&passkey, used.counter, gateway.now()).await.map_err(lost)?;
        return Err(refuse("its counter has not moved on; there may be a copy of it"));
    }
    let (token, client, agent) =
        (SessionToken::generate()?, origin.client.to_string(), sessions::agent(origin));
    let signed = PasskeyUse {
        passkey: passkey.id,
        counter: used.counter,
        backed_up: used.backed_up,
        nonce: &asked.nonce,
    };
    let from = store::Origin { client: &client, agent: &agent };
    let entered = gateway.store.enter_with_passkey(signed, token.expose(), from, gateway.now()).await;
    entered.map_err(lost)?.ok_or_else(|| refuse("it was used a moment ago, or its account is disabled"))?;
    attempt.succeeded();
    Ok(token)
}

/// The account of somebody else, less mighty than the caller.
async fn of_other(gateway: &Gateway, caller: &Caller, account: AccountId) -> Result<(), Failure> {
    caller.must_be(Role::Administrator)?;
    let found = gateway.store.account(account).await.map_err(lost)?.ok_or(Failure::NotFound("account"))?;
    if found.role >= caller.account.role && caller.account.role < Role::Root {
        return Err(Failure::Forbidden);
    }
    Ok(())
}

/// How many passkeys another account has.
///
/// # Errors
/// [`Failure::Forbidden`]; the database.
pub async fn count_of(gateway: &Gateway, caller: &Caller, account: AccountId) -> Result<usize, Failure> {
    caller.must_be(Role::Administrator)?;
    Ok(gateway.store.passkeys(account).await.map_err(lost)?.len())
}

/// Takes all passkeys from another account, whose owner has lost them or is no longer trusted with them.
///
/// # Errors
/// [`Failure::Forbidden`] also for an account as mighty as the caller; [`Failure::NotFound`].
pub async fn remove_all(gateway: &Gateway, caller: &Caller, account: AccountId) -> Result<(), Failure> {
    of_other(gateway, caller, account).await?;
    if account == caller.account.id {
        return Err(Failure::Conflict("change your own passkeys in your settings".to_owned()));
    }
    let store = gateway.store.acting(&caller.account);
    store.remove_passkeys(account, gateway.now()).await.map_err(lost)?;
    Ok(())
}
