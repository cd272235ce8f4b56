//! Where an upstream is: its address taken apart once, when the channel is loaded.

use std::sync::Arc;

use http::{
    HeaderValue, Uri,
    uri::{Authority, PathAndQuery, Scheme},
};

/// Who is at the other end of a connection: connections to one origin serve every channel that names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    /// Whether TLS is spoken.
    pub(crate) secure: bool,
    /// The name or address, an IPv6 address without its brackets.
    pub(crate) host: Arc<str>,
    pub(crate) port: u16,
}

/// A base URL, ready to be used.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) origin: Origin,
    pub(crate) authority: Authority,
    /// The value of the `host` header.
    pub(crate) host: HeaderValue,
    /// The path without a trailing slash.
    path: String,
}

impl Target {
    /// Takes a base URL apart; `None` when it is no address that a channel may have.
    pub(crate) fn parse(base_url: &str) -> Option<Self> {
        let uri: Uri = base_url.parse().ok()?;
        let secure = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = uri.authority()?.clone();
        if authority.as_str().contains('@') {
            return None;
        }
        let host: Arc<str> = authority.host().trim_matches(['[', ']']).into();
        let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let path = uri.path().trim_end_matches('/').to_owned();
        let origin = Origin { secure, host, port };
        Some(Self { origin, host: HeaderValue::from_str(authority.as_str()).ok()?, authority, path })
    }

    /// The path of `door` at this upstream.
    pub(crate) fn path(&self, door: &str) -> Option<PathAndQuery> {
        PathAndQuery::from_maybe_shared([self.path.as_str(), door].concat()).ok()
    }

    /// The scheme.
    pub(crate) const fn scheme(&self) -> Scheme {
        if self.origin.secure { Scheme::HTTPS } else { Scheme::HTTP }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_addresses_apart() {
        for (url, expected) in [
            ("https://api.openai.com/v1/", Some((true, "api.openai.com", 443, "/v1/x"))),
            ("http://127.0.0.1:8080", Some((false, "127.0.0.1", 8080, "/x"))),
            ("http://[::1]:80/a/b", Some((false, "::1", 80, "/a/b/x"))),
            ("ftp://example.com", None),
            ("https://name:word@example.com/v1", None),
            ("nonsense", None),
        ] {
            let target = Target::parse(url);
            let told = target.as_ref().map(|target| {
                let Origin { secure, host, port } = &target.origin;
                (*secure, &**host, *port, target.path("/x").unwrap().as_str().to_owned())
            });
            let told = told.as_ref().map(|(secure, host, port, path)| (*secure, *host, *port, path.as_str()));
            assert_eq!(told, expected, "{url}");
        }
    }
}
