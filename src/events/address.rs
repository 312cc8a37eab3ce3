//! Which addresses events are sent to: public ones, and private ones where the operator allows that.
//!
//! A receiver's name is in somebody else's hands. So whatever it resolves to is looked at here before a connection is opened, and
//! the connection goes to what was looked at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// What an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// On the internet.
    Public,
    /// On this machine or in a network of one's own.
    Private(&'static str),
    /// Never a receiver of events.
    Never(&'static str),
}

/// Says where events may go.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    /// Whether private addresses are allowed.
    pub allow_private: bool,
    /// The gateway's own listeners.
    pub own: Vec<SocketAddr>,
}

impl Guard {
    /// Why nothing is sent to this address; in clear it is sent to private ones only.
    pub fn refusal(&self, address: SocketAddr, is_tls: bool) -> Option<String> {
        let ip = address.ip();
        let what = match standing(ip) {
            Standing::Never(what) => format!("{what}, and no events are sent to such"),
            Standing::Private(what) if !self.allow_private => format!("{what}, which events.allow_private does not allow"),
            _ if self.is_own(address) => "one of the gateway's own listeners".to_owned(),
            Standing::Public if !is_tls => "a public address, and events go there over https only".to_owned(),
            Standing::Public | Standing::Private(_) => return None,
        };
        Some(format!("{ip} is {what}"))
    }

    fn is_own(&self, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        self.own.iter().filter(|own| own.port() == address.port()).any(|own| {
            let own = own.ip().to_canonical();
            own == ip || (own.is_unspecified() && is_local(ip))
        })
    }
}

/// Whether an address belongs to this machine: only then can a socket be bound to it.
fn is_local(ip: IpAddr) -> bool {
    ip.is_loopback() || UdpSocket::bind((ip, 0)).is_ok()
}

/// What an address is, in whatever form it is written.
pub(super) fn standing(ip: IpAddr) -> Standing {
    match ip {
        IpAddr::V4(v4) => of_v4(v4),
        IpAddr::V6(v6) => of_v6(v6),
    }
}

/// By the registry of special-purpose addresses (RFC 6890), and the metadata services of clouds.
fn of_v4(ip: Ipv4Addr) -> Standing {
    use Standing::{Never, Private, Public};
    match ip.octets() {
        [169, 254, 169, 254] | [100, 100, 100, 200] | [192, 0, 0, 192] | [168, 63, 129, 16] => Never("a cloud's metadata service"),
        [0, ..] => Never("an unspecified address"),
        [127, ..] => Private("a loopback address"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Private("a private address"),
        [100, 64..=127, ..] => Private("an address shared behind a provider's NAT"),
        [169, 254, ..] => Never("a link-local address"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Never("an address of documentation"),
        [192, 0, 0, _] | [192, 88, 99, _] => Never("an address of protocols"),
        [198, 18..=19, ..] => Never("an address of benchmarks"),
        [224..=239, ..] => Never("a multicast address"),
        [240..=255, ..] => Never("a reserved address"),
        _ => Public,
    }
}

fn of_v6(ip: Ipv6Addr) -> Standing {
    use Standing::{Never, Private, Public};
    if let Some(v4) = ip.to_ipv4_mapped() {
        return of_v4(v4);
    }
    match ip.segments() {
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] => Never("a cloud's metadata service"),
        [0, 0, 0, 0, 0, 0, 0, 0] => Never("an unspecified address"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Private("a loopback address"),
        // IPv4-compatible, SIIT and NAT64 addresses (RFC 4291, 2765, 6052), and 6to4 (RFC 3056).
        [0, 0, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => within(high, low),
        [0x2002, high, low, ..] => within(high, low),
        [0x64, 0xff9b, ..] => Never("an address of a local translation to IPv4"),
        [0xfe80..=0xfebf, ..] => Never("a link-local address"),
        [0xfec0..=0xfeff, ..] => Private("a site-local address"),
        [0xfc00..=0xfdff, ..] => Private("a unique local address"),
        [0xff00..=0xffff, ..] => Never("a multicast address"),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Never("an address of documentation"),
        [0x2001, 0..=0x1ff, ..] => Never("an address of protocols"),
        [0x2000..=0x3fff, ..] => Public,
        _ => Never("no address of the internet"),
    }
}

/// An IPv4 address within one of IPv6, which someone on the way takes out again. Nobody writes a private one like that in earnest.
fn within(high: u16, low: u16) -> Standing {
    let [[a, b], [c, d]] = [high, low].map(u16::to_be_bytes);
    match of_v4(Ipv4Addr::new(a, b, c, d)) {
        Standing::Public => Standing::Public,
        Standing::Private(what) | Standing::Never(what) => Standing::Never(what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Standing {
        standing(text.parse().unwrap())
    }

    #[test]
    fn public_addresses_are_public_in_every_form() {
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00::1",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
            "2002:101:101::1",
        ] {
            assert_eq!(of(public), Standing::Public, "{public}");
        }
    }

    #[test]
    fn private_addresses_are_private_also_when_mapped() {
        for private in [
            "127.0.0.1",
            "127.255.255.254",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "::1",
            "fc00::1",
            "fd12:3456::1",
            "fec0::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
        ] {
            assert!(matches!(of(private), Standing::Private(_)), "{private}: {:?}", of(private));
        }
    }

    #[test]
    fn some_addresses_never_receive_anything() {
        for never in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "169.254.0.1",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "2001:db8::1",
            "3fff::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "100::1",
            "5f00::1",
            "64:ff9b:1::1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "::10.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::169.254.169.254",
            "2002:7f00:1::1",
            "2002:a00:1::1",
        ] {
            assert!(matches!(of(never), Standing::Never(_)), "{never}: {:?}", of(never));
        }
    }

    #[test]
    fn what_is_allowed_never_includes_own_listeners_and_clear_text_to_the_internet() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let own = vec![at("127.0.0.1:3000"), at("0.0.0.0:8080")];
        let (open, closed) = (Guard { allow_private: true, own: own.clone() }, Guard { allow_private: false, own });
        for (address, is_tls, refused_open, refused_closed) in [
            ("127.0.0.1:9000", false, false, true),
            ("[::1]:9000", true, false, true),
            ("127.0.0.1:3000", true, true, true),
            ("[::ffff:127.0.0.1]:3000", true, true, true),
            ("127.9.9.9:8080", true, true, true),
            ("[::1]:8080", true, true, true),
            ("1.1.1.1:443", true, false, false),
            ("1.1.1.1:80", false, true, true),
            ("169.254.169.254:80", false, true, true),
        ] {
            let refused = [&open, &closed].map(|guard| guard.refusal(at(address), is_tls).is_some());
            assert_eq!(refused, [refused_open, refused_closed], "{address}");
        }
    }
}
