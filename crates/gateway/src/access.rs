//! Who calls the management API, and what they may do.

use model::{
    clock::Timestamp,
    credential::{Class, Credential},
};
use store::{Account, Role};

use crate::{Failure, Gateway};

/// Somebody with a valid personal access token.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The account.
    pub account: Account,
}

impl Caller {
    /// Refuses everybody below `role`.
    ///
    /// # Errors
    /// [`Failure::Forbidden`].
    pub fn must_be(&self, role: Role) -> Result<(), Failure> {
        if self.account.role >= role { Ok(()) } else { Err(Failure::Forbidden) }
    }
}

/// The caller behind the value of an `Authorization` header: the token raw, or after one `Bearer `.
///
/// # Errors
/// [`Failure::Unauthenticated`] for everything that is no living token of a living account.
pub async fn authenticate(gateway: &Gateway, authorization: Option<&str>) -> Result<Caller, Failure> {
    let text = authorization.ok_or(Failure::Unauthenticated)?.trim();
    let scheme = text.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("bearer "));
    let text = scheme.map_or(text, |_| text.get(7..).unwrap_or_default()).trim();
    let credential = Credential::parse(Class::PersonalAccessToken, text).ok_or(Failure::Unauthenticated)?;
    let found = gateway.store.token_by_credential(&credential).await;
    let (token, account) =
        found.map_err(|error| Failure::of(error, "token"))?.ok_or(Failure::Unauthenticated)?;
    let expired = |now: Timestamp| token.expires.is_some_and(|expires| expires <= now);
    if expired(gateway.now()) || account.disabled {
        return Err(Failure::Unauthenticated);
    }
    Ok(Caller { account })
}
