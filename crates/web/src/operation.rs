//! What every handler may know of its request.

use std::{convert::Infallible, net::IpAddr};

use axum::extract::FromRequestParts;
use gateway::entry::Entry;
use http::request::Parts;
use model::clock::Timestamp;

/// The request as the outermost layer saw it.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    /// The request id that the caller sees.
    pub(crate) request_id: String,
    /// What the log line will say.
    pub(crate) entry: Entry,
    /// The caller's address.
    pub(crate) client: IpAddr,
    /// When it arrived.
    pub(crate) started: Timestamp,
}

impl<S: Send + Sync> FromRequestParts<S> for Operation {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(|| Self {
            request_id: String::new(),
            entry: Entry::default(),
            client: IpAddr::from([0, 0, 0, 0]),
            started: Timestamp::default(),
        }))
    }
}
