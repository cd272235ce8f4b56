//! The address list of a key: who may call with it.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

/// Addresses and ranges from which a key may be used. An empty list means everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpRules(Vec<IpNet>);

/// An entry that is neither an address nor a CIDR range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an IP address or a CIDR range")]
pub struct NotAnAddress(pub String);

impl IpRules {
    /// Reads entries separated by newlines; commas and blanks are tolerated.
    ///
    /// # Errors
    /// The first entry that is no address and no range.
    pub fn parse(text: &str) -> Result<Self, NotAnAddress> {
        text.split(|c: char| c == ',' || c.is_whitespace())
            .filter(|entry| !entry.is_empty())
            .map(|entry| parse_entry(entry).ok_or_else(|| NotAnAddress(entry.chars().take(64).collect())))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether `address` may use the key.
    #[must_use]
    pub fn allow(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.is_empty() || self.0.iter().any(|net| net.contains(&address))
    }
}

fn parse_entry(entry: &str) -> Option<IpNet> {
    if let Ok(address) = entry.parse::<IpAddr>() {
        return Some(IpNet::from(address.to_canonical()));
    }
    let net: IpNet = entry.parse().ok()?;
    Some(unmapped(net).unwrap_or(net))
}

/// The IPv4 range that an IPv4-mapped IPv6 range stands for.
fn unmapped(net: IpNet) -> Option<IpNet> {
    let IpNet::V6(v6) = net else { return None };
    let length = v6.prefix_len().checked_sub(96)?;
    let address = Ipv6Addr::to_ipv4_mapped(&v6.addr())?;
    IpNet::new(address.into(), length).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(rules: &str, address: &str) -> bool {
        IpRules::parse(rules).unwrap().allow(address.parse().unwrap())
    }

    #[test]
    fn matches_addresses_and_ranges() {
        for (rules, address, expected) in [
            ("", "203.0.113.9", true),
            ("198.51.100.10", "198.51.100.10", true),
            ("198.51.100.10", "198.51.100.11", false),
            ("198.51.100.10\n203.0.113.0/24\n2001:db8::/32", "203.0.113.200", true),
            ("198.51.100.10, 203.0.113.0/24", "203.0.114.1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("203.0.113.7", "::ffff:203.0.113.7", true),
            ("::ffff:203.0.113.7", "203.0.113.7", true),
            ("::ffff:203.0.113.0/120", "203.0.113.7", true),
            ("::ffff:203.0.113.0/120", "203.0.114.7", false),
            ("0.0.0.0/0", "2001:db8::1", false),
        ] {
            assert_eq!(allows(rules, address), expected, "{rules:?} {address}");
        }
    }

    #[test]
    fn names_the_entry_that_is_wrong() {
        for bad in ["localhost", "1.2.3", "1.2.3.4/33", "::1/129", "1.2.3.4/-1", "1.2.3.4:80", "01.2.3.4"] {
            assert_eq!(IpRules::parse(&format!("10.0.0.1\n{bad}")), Err(NotAnAddress(bad.to_owned())));
        }
    }
}
