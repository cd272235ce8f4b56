//! Personal access tokens.

use model::{
    clock::Timestamp,
    credential::{Class, Credential},
    id::{AccountId, TokenId},
};
use store::Token;

use crate::{Failure, Gateway, access::Caller};

const THING: &str = "personal access token";

/// Makes a token. Its text is shown this once.
///
/// # Errors
/// A name beyond 50 characters.
pub async fn create(
    gateway: &Gateway,
    caller: &Caller,
    name: &str,
    expires: Option<Timestamp>,
) -> Result<(Token, Credential), Failure> {
    make(gateway, caller.account.id, name, expires).await
}

async fn make(
    gateway: &Gateway,
    account: AccountId,
    name: &str,
    expires: Option<Timestamp>,
) -> Result<(Token, Credential), Failure> {
    let credential = Credential::generate(Class::PersonalAccessToken, getrandom::fill).map_err(|error| {
        tracing::error!(%error, "no random numbers");
        Failure::Unavailable
    })?;
    let made = gateway.store.create_token(account, name, expires, &credential, gateway.now()).await;
    Ok((made.map_err(|error| Failure::of(error, THING))?, credential))
}

/// The caller's tokens, newest first.
///
/// # Errors
/// The database.
pub async fn list(gateway: &Gateway, caller: &Caller) -> Result<Vec<Token>, Failure> {
    gateway.store.list_tokens(caller.account.id).await.map_err(|error| Failure::of(error, THING))
}

/// Ends one of the caller's tokens.
///
/// # Errors
/// [`Failure::NotFound`].
pub async fn revoke(gateway: &Gateway, caller: &Caller, id: TokenId) -> Result<(), Failure> {
    let gone = gateway.store.revoke_token(caller.account.id, id).await;
    match gone.map_err(|error| Failure::of(error, THING))? {
        true => Ok(()),
        false => Err(Failure::NotFound(THING)),
    }
}

/// Trades the one-time set-up token of the first start for a token of the root account.
///
/// # Errors
/// [`Failure::Unauthenticated`] when it is not the one, or was used, or has ended.
pub async fn set_up(gateway: &Gateway, setup_token: &str) -> Result<(Token, Credential), Failure> {
    let taken = gateway.store.take_setup_token(setup_token, gateway.now()).await;
    let root = taken.map_err(|error| Failure::of(error, THING))?.ok_or(Failure::Unauthenticated)?;
    make(gateway, root, "set-up", None).await
}
