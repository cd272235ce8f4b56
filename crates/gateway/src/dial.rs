//! Opening connections to upstreams: which addresses may be dialled at all.
//!
//! A channel's base URL is an operator's word, but what its name resolves to is not: a name may come to point at a
//! machine's own services or at a cloud's metadata, which hands out credentials. So the address is checked
//! that is dialled, on every connect, after the name was resolved, and no other is dialled. Public addresses are free.
//! Loopback, private and other special ranges need an operator's leave; link-local, metadata, unspecified and multicast
//! addresses are never dialled. An IPv6 address that carries an IPv4 address is judged by it.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::pin,
    time::Duration,
};

use ipnet::IpNet;
use tokio::{net::TcpStream, time};

/// How long the first family of addresses is tried before the other is tried beside it (RFC 8305 recommends 250 ms).
const HEAD_START: Duration = Duration::from_millis(250);

/// Which special addresses may be dialled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DialPolicy {
    /// Networks beside the public ones; those that are never dialled are not opened by it.
    pub allowed: Vec<IpNet>,
}

impl DialPolicy {
    /// Lets the machine's own addresses be dialled.
    #[must_use]
    pub fn with_loopback(mut self) -> Self {
        let loopback =
            [IpNet::new(Ipv4Addr::LOCALHOST.into(), 8), IpNet::new(Ipv6Addr::LOCALHOST.into(), 128)];
        self.allowed.extend(loopback.into_iter().flatten());
        self
    }

    /// Whether `address` may be dialled.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, address: IpAddr) -> Result<(), Forbidden> {
        let address = address.to_canonical();
        match kind(address) {
            None => Ok(()),
            Some(why) if why.may_be_allowed() && self.allowed.iter().any(|net| net.contains(&address)) => {
                Ok(())
            }
            Some(why) => Err(why),
        }
    }
}

/// Why an address may not be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forbidden {
    /// A cloud's metadata service. Never.
    Metadata,
    /// Valid on one link only. Never.
    LinkLocal,
    /// No address of a single host: unspecified, multicast, broadcast. Never.
    NoHost,
    /// The machine itself.
    Loopback,
    /// Of a private network.
    Private,
    /// Set aside for something else: documentation, benchmarks, tunnels, the future.
    Reserved,
}

impl Forbidden {
    const fn may_be_allowed(self) -> bool {
        matches!(self, Self::Loopback | Self::Private | Self::Reserved)
    }
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Metadata => "a metadata address is never dialled",
            Self::LinkLocal => "a link-local address is never dialled",
            Self::NoHost => "the address is not that of one host",
            Self::Loopback => "a loopback address is dialled only where upstream.allow_private names it",
            Self::Private => "a private address is dialled only where upstream.allow_private names it",
            Self::Reserved => "a reserved address is dialled only where upstream.allow_private names it",
        })
    }
}

/// What is special about an address; `None` for a public one.
fn kind(address: IpAddr) -> Option<Forbidden> {
    match address {
        IpAddr::V4(address) => kind_of_v4(address),
        IpAddr::V6(address) => kind_of_v6(address),
    }
}

/// The ranges of the IANA special-purpose registry for IPv4, and the metadata addresses outside 169.254.0.0/16: Alibaba
/// Cloud's, Oracle Cloud's and Azure's.
fn kind_of_v4(address: Ipv4Addr) -> Option<Forbidden> {
    let kind = match address.octets() {
        [169, 254, 169, 254] | [100, 100, 100, 200] | [192, 0, 0, 192] | [168, 63, 129, 16] => {
            Forbidden::Metadata
        }
        [169, 254, ..] => Forbidden::LinkLocal,
        [0, ..] | [224..=239, ..] | [255, 255, 255, 255] => Forbidden::NoHost,
        [127, ..] => Forbidden::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Forbidden::Private,
        [192, 0, 0 | 2, _] | [192, 88, 99, _] | [198, 18 | 19, ..] => Forbidden::Reserved,
        [198, 51, 100, _] | [203, 0, 113, _] | [240..=255, ..] => Forbidden::Reserved,
        _ => return None,
    };
    Some(kind)
}

/// The same for IPv6, with the metadata addresses of Amazon and Google.
fn kind_of_v6(address: Ipv6Addr) -> Option<Forbidden> {
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    let kind = match address.segments() {
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254] | [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254] => {
            Forbidden::Metadata
        }
        [0, 0, 0, 0, 0, 0, 0, 1] => Forbidden::Loopback,
        [0, 0, 0, 0, 0, 0, 0, 0] | [0xff00..=0xffff, ..] => Forbidden::NoHost,
        [0xfe80..=0xfebf, ..] => Forbidden::LinkLocal,
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Forbidden::Private,
        // IPv4 inside: mapped, translated (RFC 6052), 6to4; and the old "compatible" form, which nothing uses.
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0x0064, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => return kind_of_v4(v4(high, low)),
        [0, 0, 0, 0, 0, 0, high, low] => {
            return Some(kind_of_v4(v4(high, low)).unwrap_or(Forbidden::Reserved));
        }
        // Local translation, discard, Teredo and its neighbours, documentation.
        [0x0064, 0xff9b, 1, ..] | [0x0100, 0, 0, 0, ..] | [0x2001, 0x0000..=0x01ff, ..] => {
            Forbidden::Reserved
        }
        [0x2001, 0x0db8, ..] | [0x3fff, 0x0000..=0x0fff, ..] => Forbidden::Reserved,
        // Nothing beside 2000::/3 is given out.
        [0x2000..=0x3fff, ..] => return None,
        _ => Forbidden::Reserved,
    };
    Some(kind)
}

/// Connects to `host`, a name or an address with or without brackets, within `limit`, the look-up of the name included.
///
/// # Errors
/// [`io::ErrorKind::PermissionDenied`] when every address of it is forbidden; [`io::ErrorKind::TimedOut`]; what
/// the operating system says.
pub async fn dial(host: &str, port: u16, policy: &DialPolicy, limit: Duration) -> io::Result<TcpStream> {
    let connecting = async {
        let stream = race(addresses(host, port, policy).await?).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no connection within the limit");
    time::timeout(limit, connecting).await.map_err(late)?
}

/// The addresses of `host` that may be dialled, in the resolver's order.
async fn addresses(host: &str, port: u16, policy: &DialPolicy) -> io::Result<Vec<SocketAddr>> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let found: Vec<SocketAddr> = match bare.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => tokio::net::lookup_host((bare, port)).await?.collect(),
    };
    let mut allowed = Vec::with_capacity(found.len());
    let mut refused = None;
    for address in found {
        match policy.check(address.ip()) {
            Ok(()) => allowed.push(address),
            Err(why) => refused = Some(format!("{}: {why}", address.ip())),
        }
    }
    match (allowed.is_empty(), refused) {
        (true, Some(why)) => Err(io::Error::new(io::ErrorKind::PermissionDenied, why)),
        (true, None) => Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address")),
        (false, _) => Ok(allowed),
    }
}

/// Connects to one of `addresses`: those of the first one's family, and after a head start also the others, so that a
/// network that swallows one family does not hold up the request.
async fn race(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let family = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv4() == family);
    if second.is_empty() {
        return in_turn(first).await;
    }
    let (mut first, mut second) = (pin!(in_turn(first)), pin!(in_turn(second)));
    tokio::select! {
        connected = &mut first => match connected {
            Ok(stream) => return Ok(stream),
            Err(_) => return second.await,
        },
        () = time::sleep(HEAD_START) => {}
    }
    tokio::select! {
        connected = &mut first => match connected {
            Ok(stream) => Ok(stream),
            Err(_) => second.await,
        },
        connected = &mut second => match connected {
            Ok(stream) => Ok(stream),
            Err(_) => first.await,
        },
    }
}

async fn in_turn(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "there is no address");
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn every_kind_of_address_is_judged() {
        use Forbidden::{LinkLocal, Loopback, Metadata, NoHost, Private, Reserved};
        let rows: [(Option<Forbidden>, &[&str]); 7] = [
            (
                None,
                &[
                    "1.1.1.1",
                    "9.255.255.255",
                    "11.0.0.0",
                    "100.63.255.255",
                    "100.128.0.0",
                    "126.255.255.255",
                    "128.0.0.0",
                    "169.253.255.255",
                    "169.255.0.0",
                    "172.15.255.255",
                    "172.32.0.0",
                    "192.167.255.255",
                    "192.169.0.0",
                    "198.17.255.255",
                    "198.20.0.0",
                    "223.255.255.255",
                    "168.63.129.17",
                    "2606:4700:4700::1111",
                    "2001:200::1",
                    "::ffff:1.1.1.1",
                    "64:ff9b::101:101",
                    "2002:101:101::1",
                ],
            ),
            (
                Some(Metadata),
                &[
                    "169.254.169.254",
                    "::ffff:169.254.169.254",
                    "64:ff9b::a9fe:a9fe",
                    "2002:a9fe:a9fe::1",
                    "::169.254.169.254",
                    "100.100.100.200",
                    "192.0.0.192",
                    "168.63.129.16",
                    "fd00:ec2::254",
                    "fd20:ce::254",
                ],
            ),
            (
                Some(LinkLocal),
                &["169.254.0.0", "169.254.255.255", "169.254.170.2", "fe80::1", "febf::1", "::ffff:a9fe:1"],
            ),
            (
                Some(NoHost),
                &[
                    "0.0.0.0",
                    "0.1.2.3",
                    "224.0.0.1",
                    "239.255.255.255",
                    "255.255.255.255",
                    "::",
                    "ff02::1",
                    "::ffff:0.0.0.0",
                ],
            ),
            (Some(Loopback), &["127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1", "2002:7f00:1::"]),
            (
                Some(Private),
                &[
                    "10.0.0.0",
                    "10.255.255.255",
                    "172.16.0.0",
                    "172.31.255.255",
                    "192.168.0.0",
                    "192.168.255.255",
                    "100.64.0.0",
                    "100.127.255.255",
                    "fc00::1",
                    "fdff::1",
                    "fec0::1",
                    "::ffff:10.0.0.1",
                    "64:ff9b::a00:1",
                ],
            ),
            (
                Some(Reserved),
                &[
                    "192.0.0.1",
                    "192.0.2.1",
                    "192.88.99.1",
                    "198.18.0.1",
                    "198.19.255.255",
                    "198.51.100.1",
                    "203.0.113.1",
                    "240.0.0.1",
                    "255.255.255.254",
                    "::1.1.1.1",
                    "64:ff9b:1::1",
                    "100::1",
                    "2001::1",
                    "2001:db8::1",
                    "3fff::1",
                    "4000::1",
                    "1::1",
                ],
            ),
        ];
        let nothing = DialPolicy::default();
        let everything = DialPolicy { allowed: vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()] };
        for (expected, addresses) in rows {
            for text in addresses {
                let address: IpAddr = text.parse().unwrap();
                assert_eq!(nothing.check(address).err(), expected, "{text}");
                let never = expected.filter(|why| matches!(why, Metadata | LinkLocal | NoHost));
                assert_eq!(everything.check(address).err(), never, "{text}, with everything allowed");
            }
        }
    }

    #[test]
    fn leave_is_given_for_networks() {
        let policy =
            DialPolicy { allowed: vec!["10.1.0.0/16".parse().unwrap(), "fd12::/16".parse().unwrap()] };
        for (text, expected) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("10.2.0.1", false),
            ("fd12::1", true),
            ("fd13::1", false),
            ("127.0.0.1", false),
        ] {
            assert_eq!(policy.check(text.parse().unwrap()).is_ok(), expected, "{text}");
        }
        let loopback = DialPolicy::default().with_loopback();
        for (text, expected) in [("127.9.9.9", true), ("::1", true), ("10.0.0.1", false)] {
            assert_eq!(loopback.check(text.parse().unwrap()).is_ok(), expected, "{text}");
        }
    }

    #[tokio::test]
    async fn only_what_is_allowed_is_dialled() {
        const LIMIT: Duration = Duration::from_secs(10);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (open, closed) = (DialPolicy::default().with_loopback(), DialPolicy::default());
        for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
            let stream = dial(host, port, &open, LIMIT).await.unwrap();
            assert!(stream.nodelay().unwrap(), "{host}");
            listener.accept().await.unwrap();
            let refused = dial(host, port, &closed, LIMIT).await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied, "{host}: {refused}");
        }
        let metadata = dial("169.254.169.254", 80, &open, LIMIT).await.unwrap_err();
        assert_eq!(metadata.kind(), io::ErrorKind::PermissionDenied);
        drop(listener);
        let nobody = dial("127.0.0.1", port, &open, LIMIT).await.unwrap_err();
        assert_eq!(nobody.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn the_other_family_is_tried_when_the_first_fails() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = listener.local_addr().unwrap();
        let nobody = SocketAddr::new(Ipv6Addr::LOCALHOST.into(), 1);
        for addresses in [vec![nobody, there], vec![there, nobody]] {
            assert_eq!(race(addresses).await.unwrap().peer_addr().unwrap(), there);
        }
    }
}
