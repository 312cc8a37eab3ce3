//! `[domains]`: domains of tenants' own.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::section::Section;
use super::tree::Node;
use super::values::{address, duration, expected, host, list, text, unless_empty};
use crate::model::Host;

/// Domains of tenants' own.
#[derive(Debug, Clone)]
pub struct Domains {
    /// What a tenant's CNAME record points to; `None` = the base domain.
    pub cname_target: Option<Host>,
    /// The gateway's addresses as the world sees them; empty = those of `cname_target`.
    pub addresses: Vec<IpAddr>,
    /// Who is asked for DNS records; empty = whom the system asks.
    pub name_servers: Vec<SocketAddr>,
    /// How often a domain that is served is looked at again.
    pub recheck: Duration,
    /// How long it is served after its proof was last seen.
    pub lapse: Duration,
    /// How long an unproved claim is kept.
    pub keep_unproved: Duration,
}

/// Reads the table.
pub(super) fn read(section: &Section<'_>) -> Option<Domains> {
    let ip = |node: &Node| text(node)?.parse::<IpAddr>().map_err(|_| expected("an address such as \"203.0.113.7\"", node));
    let cname_target = section.read("cname_target", |node| unless_empty(node, host));
    let addresses = section.read("addresses", |node| list(node, ip));
    let name_servers = section.read("name_servers", |node| list(node, address));
    let recheck = section.read("recheck", duration);
    let lapse = section.read("lapse", duration);
    let keep_unproved = section.read("keep_unproved", duration);
    section.finish();
    Some(Domains {
        cname_target: cname_target?,
        addresses: addresses?,
        name_servers: name_servers?,
        recheck: recheck?,
        lapse: lapse?,
        keep_unproved: keep_unproved?,
    })
}
