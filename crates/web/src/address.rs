//! The caller's address: the TCP peer, unless a trusted proxy says otherwise.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The caller's address. `X-Forwarded-For` is read right to left, and only as long as the one who wrote an entry is a
/// trusted proxy; an entry that is no address ends the walk at the proxy that wrote it.
pub(crate) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let mut address = peer.to_canonical();
    if trusted.is_empty() {
        return address;
    }
    let trusts = |address: IpAddr| trusted.iter().any(|net| net.contains(&address));
    let values = headers.get_all(&FORWARDED_FOR).iter().rev();
    let entries = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.rsplit(','));
    for entry in entries {
        if !trusts(address) {
            break;
        }
        let Ok(next) = entry.trim().parse::<IpAddr>() else { break };
        address = next.to_canonical();
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn believes_only_trusted_proxies() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        for (peer, forwarded, expected) in [
            ("203.0.113.9", &["198.51.100.1"][..], "203.0.113.9"),
            ("10.0.0.1", &["198.51.100.1"][..], "198.51.100.1"),
            ("::ffff:10.0.0.1", &["198.51.100.1"][..], "198.51.100.1"),
            ("10.0.0.1", &["1.2.3.4, 198.51.100.1, 10.0.0.2"][..], "198.51.100.1"),
            ("10.0.0.1", &["1.2.3.4", "198.51.100.1"][..], "198.51.100.1"),
            ("10.0.0.1", &["::ffff:198.51.100.1"][..], "198.51.100.1"),
            ("10.0.0.1", &["1.2.3.4, nonsense"][..], "10.0.0.1"),
            ("10.0.0.1", &[][..], "10.0.0.1"),
        ] {
            let mut headers = HeaderMap::new();
            for value in forwarded {
                headers.append("x-forwarded-for", value.parse().unwrap());
            }
            let found = client(peer.parse().unwrap(), &headers, &trusted);
            assert_eq!(found, expected.parse::<IpAddr>().unwrap(), "{peer} {forwarded:?}");
        }
    }
}
