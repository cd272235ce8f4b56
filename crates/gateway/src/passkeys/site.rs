//! The site that passkeys are for: browsers bind each to it, and use none anywhere else.

use std::net::IpAddr;

/// Where passkeys work: an origin that browsers take for secure, with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The name that passkeys are bound to (the "relying party id").
    pub name: String,
    /// What a browser calls a page's origin.
    pub origin: String,
}

impl Site {
    /// The site at a base URL; `None` where browsers make no passkeys: without TLS, other than on `localhost`, and at a
    /// bare address.
    #[must_use]
    pub fn of(url: &str) -> Option<Self> {
        let uri: http::Uri = url.parse().ok()?;
        let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
        let name = authority.host().to_ascii_lowercase();
        let local = name == "localhost" || name.ends_with(".localhost");
        let (secure, default) = match scheme {
            "https" => (true, 443),
            "http" => (local, 80),
            _ => return None,
        };
        if !secure || authority.as_str().contains('@') || !is_name(&name) {
            return None;
        }
        let port = authority.port_u16().filter(|port| *port != default);
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        Some(Self { origin: format!("{scheme}://{name}{port}"), name })
    }
}

/// Whether a host is a name, and no address.
fn is_name(host: &str) -> bool {
    let label = |label: &str| {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty() && label.len() <= 63 && label.bytes().all(fits)
    };
    // A last label of digits alone makes an address of the whole.
    let numeric = host.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    !numeric && host.parse::<IpAddr>().is_err() && host.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_and_secure_places_have_passkeys() {
        for (url, expected) in [
            ("https://gw.example", Some(("gw.example", "https://gw.example"))),
            ("https://GW.example:443/base", Some(("gw.example", "https://gw.example"))),
            ("https://gw.example:8443", Some(("gw.example", "https://gw.example:8443"))),
            ("http://localhost:3000", Some(("localhost", "http://localhost:3000"))),
            ("http://apsis.localhost", Some(("apsis.localhost", "http://apsis.localhost"))),
            ("http://gw.example", None),
            ("http://notlocalhost", None),
            ("http://127.0.0.1:3000", None),
            ("https://192.0.2.1", None),
            ("https://1.2.3", None),
            ("https://[::1]", None),
            ("https://me@gw.example", None),
            ("https://gw..example", None),
            ("https://gw.example.", None),
            ("ftp://gw.example", None),
            ("gw.example", None),
            ("", None),
        ] {
            let found = Site::of(url);
            let found = found.as_ref().map(|site| (site.name.as_str(), site.origin.as_str()));
            assert_eq!(found, expected, "{url}");
        }
    }
}
