//! What proves to an upstream who asks: a header, a service account of Google's, or an access key of AWS.

use http::{HeaderName, HeaderValue, header};
use zeroize::Zeroizing;

use super::{Target, aws::AccessKey, service_account::ServiceAccount};
use crate::provider::Style;

/// A channel's credential, ready to be used.
pub(crate) enum Secret {
    /// The upstream asks for none.
    None,
    /// It is sent as it is.
    Header(HeaderName, HeaderValue),
    /// Access tokens are made from it.
    ServiceAccount(Box<ServiceAccount>),
    /// It signs each request.
    AccessKey(Box<AccessKey>),
    /// It is not what this kind of provider takes, for this reason.
    Unusable(&'static str),
}

impl Secret {
    /// Reads a credential; an empty text is none.
    pub(crate) fn read(style: Style, text: &str, target: &Target) -> Self {
        if text.is_empty() {
            return Self::None;
        }
        match style {
            Style::Bearer => bearer(text).map(|value| Self::Header(header::AUTHORIZATION, value)),
            Style::Header(name) => {
                sensitive(text).map(|value| Self::Header(HeaderName::from_static(name), value))
            }
            Style::ServiceAccount => {
                ServiceAccount::read(text).map(|account| Self::ServiceAccount(Box::new(account)))
            }
            Style::AccessKey if !text.contains(':') => {
                bearer(text).map(|value| Self::Header(header::AUTHORIZATION, value))
            }
            Style::AccessKey => AccessKey::read(text, target).map(|key| Self::AccessKey(Box::new(key))),
        }
        .unwrap_or_else(Self::Unusable)
    }

    /// Why it cannot be used, if it cannot.
    pub(crate) const fn fault(&self) -> Option<&'static str> {
        match self {
            Self::Unusable(why) => Some(why),
            _ => None,
        }
    }
}

/// The value of an `authorization` header.
pub(super) fn bearer(token: &str) -> Result<HeaderValue, &'static str> {
    sensitive(&Zeroizing::new(format!("Bearer {token}")))
}

/// A header's value, marked so that nothing prints it.
fn sensitive(text: &str) -> Result<HeaderValue, &'static str> {
    let mut value = HeaderValue::from_str(text).map_err(|_| "it is no value of a header")?;
    value.set_sensitive(true);
    Ok(value)
}
