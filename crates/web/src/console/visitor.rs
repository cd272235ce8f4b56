//! Who asks for a page.

use axum::extract::FromRequestParts;
use gateway::{
    Failure, Gateway, Session,
    access::Caller,
    sessions::{self, Origin},
};
use http::{header, request::Parts};

use super::{cookies::Cookie, frame::Frame, oops::Oops};
use crate::{operation::Operation, routes::AppState};

/// Somebody who is signed in.
pub(crate) struct SignedIn {
    /// Who.
    pub(crate) caller: Caller,
    /// Their session.
    pub(crate) session: Session,
    /// What stands around the page.
    pub(crate) frame: Frame,
}

impl FromRequestParts<AppState> for SignedIn {
    type Rejection = Oops;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Oops> {
        let token = Cookie::Session.read(&parts.headers, state.is_secure());
        let token = token.ok_or(Failure::Unauthenticated)?;
        let (caller, session) = sessions::authenticate(&state.gateway, token).await?;
        let frame = Frame::new(state, &parts.headers, &parts.uri, Some(&caller));
        Ok(Self { caller, session, frame })
    }
}

impl SignedIn {
    /// Refuses everybody who is no administrator.
    pub(crate) fn must_administer(&self) -> Result<(), Failure> {
        self.caller.must_be(gateway::Role::Administrator)
    }
}

/// Somebody who reads what everybody may read, and sees the navigation of an account when there is a session.
pub(crate) struct Reader {
    /// What stands around the page.
    pub(crate) frame: Frame,
}

impl FromRequestParts<AppState> for Reader {
    type Rejection = Oops;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Oops> {
        match SignedIn::from_request_parts(parts, state).await {
            Ok(signed) => Ok(Self { frame: signed.frame }),
            Err(Oops::Failure(Failure::Unauthenticated)) => {
                Ok(Self { frame: Frame::new(state, &parts.headers, &parts.uri, None) })
            }
            Err(oops) => Err(oops),
        }
    }
}

/// Anybody, signed in or not.
pub(crate) struct Visitor {
    /// What stands around the page.
    pub(crate) frame: Frame,
    /// The caller's address.
    pub(crate) client: std::net::IpAddr,
    /// What the browser calls itself.
    pub(crate) agent: String,
    /// The token of the session that the browser has.
    pub(crate) session: Option<String>,
    /// The token of a sign-in that waits for a code.
    pub(crate) pending: Option<String>,
}

impl FromRequestParts<AppState> for Visitor {
    type Rejection = Oops;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Oops> {
        let Ok(operation) = Operation::from_request_parts(parts, state).await;
        let agent = parts.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        let session = Cookie::Session.read(&parts.headers, state.is_secure());
        Ok(Self {
            frame: Frame::new(state, &parts.headers, &parts.uri, None),
            client: operation.client,
            agent: agent.unwrap_or_default().to_owned(),
            session: session.map(str::to_owned),
            pending: Cookie::Pending.read(&parts.headers, state.is_secure()).map(str::to_owned),
        })
    }
}

impl Visitor {
    /// Where they come from.
    pub(crate) fn origin(&self) -> Origin<'_> {
        Origin { client: self.client, agent: &self.agent }
    }

    /// Ends the session that the browser has, if it has one: a new one must not leave the old one open.
    pub(crate) async fn leave(&self, gateway: &Gateway) -> Result<(), Failure> {
        let Some(token) = &self.session else { return Ok(()) };
        match sessions::authenticate(gateway, token).await {
            Ok((caller, session)) => match sessions::end(gateway, &caller, session.id).await {
                Ok(()) | Err(Failure::NotFound(_)) => Ok(()),
                Err(failure) => Err(failure),
            },
            Err(Failure::Unauthenticated) => Ok(()),
            Err(failure) => Err(failure),
        }
    }
}
