//! Problems that no value has alone: two values that do not go together.

use std::net::{IpAddr, SocketAddr};

use super::section::Section;
use super::{Admin, Listen, TlsMode};
use crate::model::Origin;

/// The addresses that will be listened on.
pub(super) fn own(listen: &Listen, mode: TlsMode) -> Vec<(&'static str, SocketAddr)> {
    let mut own = vec![("http", listen.http)];
    if mode != TlsMode::Off {
        own.push(("https", listen.https));
    }
    own.push(("admin", listen.admin));
    own
}

/// Two listeners on one address would share its connections at random, or not start.
pub(super) fn listeners(section: &Section<'_>, listen: &Listen, mode: TlsMode) {
    let own = own(listen, mode);
    for (index, (key, address)) in own.iter().enumerate() {
        let clash = own.iter().take(index).find(|(_, other)| overlap(*address, *other));
        if let Some((other, _)) = clash {
            // Told at the one that somebody chose.
            let (key, other) = if section.place_of(key).is_default() { (other, key) } else { (key, other) };
            section.refuse(key, format!("this is the address of listen.{other} as well; give each listener its own port"));
        }
    }
}

/// Whoever reaches the admin API may do everything.
pub(super) fn admin(section: &Section<'_>, listen: &Listen, admin: &Admin) {
    if !listen.admin.ip().to_canonical().is_loopback() && admin.token.is_none() {
        let problem = format!(
            "`{}` is reachable from other machines, so admin.token (GATEHOUSE_ADMIN_TOKEN) must be set; or listen on 127.0.0.1",
            listen.admin
        );
        section.refuse("admin", problem);
    }
}

/// Requests that the gateway sends to itself would go round for ever.
pub(super) fn upstreams(section: &Section<'_>, origins: &[Origin], listen: &Section<'_>, own: &[(&'static str, SocketAddr)]) {
    for origin in origins {
        let address = if origin.host.as_str() == "localhost" { Some(IpAddr::from([127, 0, 0, 1])) } else { origin.address() };
        let Some(address) = address else { continue };
        let at = SocketAddr::new(address.to_canonical(), origin.port);
        let this_machine = |listener: SocketAddr| at.ip().is_loopback() && listener.ip().to_canonical().is_loopback();
        let hit = own.iter().find(|(_, listener)| overlap(at, *listener) || (at.port() == listener.port() && this_machine(*listener)));
        if let Some((key, _)) = hit {
            if section.place_of("default").is_default() {
                listen.refuse(key, format!("this is the address of upstream.default, `{origin}`, as well"));
            } else {
                section.refuse("default", format!("`{origin}` is the gateway's own listener listen.{key}; name your app's address"));
            }
        }
    }
}

/// An unspecified address covers every other; IPv6's covers IPv4 as well.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let (a, b) = (one.ip().to_canonical(), other.ip().to_canonical());
    one.port() == other.port() && one.port() != 0 && (a == b || a.is_unspecified() || b.is_unspecified())
}
