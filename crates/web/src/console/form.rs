//! What pages send: a form that is read only when it comes from a page of this console.
//!
//! Every unsafe request passes two checks that do not depend on each other: the browser names this host as the page's
//! origin, and the form carries the token of its session (or, before one, of the browser's form cookie).

use std::time::Duration;

use axum::extract::{FromRequest, Request};
use gateway::Failure;
use http::{HeaderMap, header};
use http_body_util::{BodyExt, Limited};
use ring::digest::{SHA256, digest};
use zeroize::Zeroizing;

use super::{cookies::Cookie, oops::Oops};
use crate::routes::AppState;

/// The longest that a form may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(15);
/// Where a question comes with images. Who sends one is signed in: handlers look for that before they read a form.
const PLAYGROUND: &str = "/console/playground/ask";
/// The most bytes of such a form: 8 MiB of images, as text.
const PICTURES: usize = 16 << 20;
/// The longest that such a form may take to arrive.
const PICTURES_TIME: Duration = Duration::from_secs(120);
/// The field with the token.
pub(crate) const TOKEN: &str = "csrf";

/// Where forms of somebody who is not signed in go.
const OPEN: [&str; 7] = [
    "/console/sign-in",
    "/console/sign-in/code",
    "/console/sign-in/passkey",
    "/console/sign-in/passkey/options",
    "/console/set-up",
    "/console/invite",
    "/console/preferences",
];

/// The fields of a form, in order.
pub(crate) struct Form(Vec<(String, Zeroizing<String>)>);

impl Form {
    /// A field, without blanks around it; empty when it is not there.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// A field as it was typed; empty when it is not there.
    pub(crate) fn raw(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
    }

    /// A password.
    pub(crate) fn secret(&self, name: &str) -> Zeroizing<String> {
        Zeroizing::new(self.raw(name).to_owned())
    }

    /// Whether a box is checked.
    pub(crate) fn is_checked(&self, name: &str) -> bool {
        !self.raw(name).is_empty()
    }

    /// All values of a field.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.trim())
    }

    /// A list, separated by commas or lines.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let entries = self.raw(name).split([',', '\n', '\r']).map(str::trim);
        entries.filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
    }

    /// A whole number.
    ///
    /// # Errors
    /// [`Failure::Invalid`], naming the field.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, Failure> {
        let text = self.text(name);
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| Failure::Invalid(format!("{name} must be a whole number")))
    }
}

impl FromRequest<AppState> for Form {
    type Rejection = Oops;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Oops> {
        let (parts, body) = request.into_parts();
        if !is_of_this_host(&parts.headers, state.public_url.as_deref()) {
            return Err(Oops::Forged);
        }
        let (limit, time) = match parts.uri.path() {
            PLAYGROUND => (state.management_body.max(PICTURES), PICTURES_TIME),
            _ => (state.management_body, BODY_TIME),
        };
        let body = Limited::new(body, limit);
        let body = tokio::time::timeout(time, body.collect()).await.map_err(|_| Oops::Broken)?;
        let body = body.map_err(|_| Oops::Broken)?.to_bytes();
        let fields = form_urlencoded::parse(&body);
        let form = Self(fields.map(|(name, value)| (name.into_owned(), value.into_owned().into())).collect());
        let secure = state.is_secure();
        let session = Cookie::Session.read(&parts.headers, secure);
        // A page that was reached from another site is written for somebody without a session, for the browser held the
        // cookie back; its form comes with it.
        let before = Cookie::Form.read(&parts.headers, secure).filter(|_| OPEN.contains(&parts.uri.path()));
        // Digests are compared, so that the time says nothing about the token.
        let digested = |token: &str| digest(&SHA256, token.as_bytes());
        let given = digested(form.raw(TOKEN));
        let mut expected = [session, before].into_iter().flatten().map(derive);
        if expected.any(|expected| digested(&expected).as_ref() == given.as_ref()) {
            Ok(form)
        } else {
            Err(Oops::Forged)
        }
    }
}

/// The token that forms of this browser carry; `None` when it has no cookie yet.
pub(crate) fn token(headers: &HeaderMap, secure: bool) -> Option<String> {
    let cookie = Cookie::Session.read(headers, secure).or_else(|| Cookie::Form.read(headers, secure))?;
    Some(derive(cookie))
}

/// The token of a cookie: nobody finds the cookie from it.
pub(crate) fn derive(cookie: &str) -> String {
    let digest = digest(&SHA256, format!("apsis form\0{cookie}").as_bytes());
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or('0');
    digest.as_ref().iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Whether the browser says that the page that sends is of this host. Who says nothing is no browser, and is refused.
fn is_of_this_host(headers: &HeaderMap, public_url: Option<&str>) -> bool {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let site = headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
    if site.is_some_and(|site| site != "same-origin") {
        return false;
    }
    let Some(origin) = text(header::ORIGIN) else { return site.is_some() };
    let host = origin.split_once("://").map(|(_, host)| host);
    let public = public_url.and_then(|url| url.split_once("://")).map(|(_, rest)| rest.split('/').next());
    host.is_some() && (host == text(header::HOST) || public.is_some_and(|public| public == host))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_pages_of_this_host_may_send() {
        for (origin, site, public, expected) in [
            (Some("http://gw:3000"), None, None, true),
            (Some("http://gw:3000"), Some("same-origin"), None, true),
            (Some("http://gw:3000"), Some("same-site"), None, false),
            (Some("http://gw:3001"), None, None, false),
            (Some("https://evil"), None, Some("https://gw.example/x"), false),
            (Some("https://gw.example"), None, Some("https://gw.example/x"), true),
            (Some("null"), None, None, false),
            (None, Some("same-origin"), None, true),
            (None, Some("none"), None, false),
            (None, None, None, false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("gw:3000"));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            if let Some(site) = site {
                headers.insert("sec-fetch-site", HeaderValue::from_static(site));
            }
            assert_eq!(is_of_this_host(&headers, public), expected, "{origin:?} {site:?} {public:?}");
        }
    }
}
