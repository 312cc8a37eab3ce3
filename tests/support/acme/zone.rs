//! A zone on a server of its own that takes signed updates (Knot or BIND), and a resolver that remembers what it heard (Unbound).

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gatehouse::config::{Dns01, TsigAlgorithm};
use gatehouse::dns::{Dns, Updater};
use gatehouse::model::Host;
use secrecy::SecretString;

use crate::support::eventually;
use crate::support::nginx::{Program, free, serve};
use crate::support::peers;

/// The key that updates are signed with.
const KEY: &str = "gate.key";

/// What serves a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Software {
    Knot,
    Bind,
}

/// Serves one zone until it is dropped.
pub struct Zone {
    /// Of Knot, on port 53, where everybody looks for name servers: at an address of this machine that nobody else has.
    pub address: SocketAddr,
    zone: String,
    secret: String,
    dir: tempfile::TempDir,
    _server: Program,
}

impl Zone {
    /// With its own name server, and `records` such as `@ A 127.0.0.1`.
    pub async fn start(software: Software, zone: &str, records: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        // BIND listens at addresses that an interface has, and 127.0.0.1 is everybody's; there it is not where its NS record says.
        let (address, ns) = match software {
            Software::Knot => (SocketAddr::new(alone(), 53), "ns"),
            Software::Bind => (free(), "nowhere.invalid."),
        };
        let secret = STANDARD.encode(uuid::Uuid::new_v4().as_bytes().repeat(2));
        let (place, ip) = (dir.path().display(), address.ip());
        let file = format!("$ORIGIN {zone}.\n$TTL 3600\n@ SOA ns hostmaster 1 3600 600 86400 3600\n@ NS {ns}\nns A {ip}\n{records}\n");
        std::fs::write(dir.path().join("zone"), file).expect("written");
        let (program, package, config) = match software {
            Software::Knot => ("knotd", "knot", knot(&place, ip, zone, &secret)),
            Software::Bind => ("named", "bind9", bind(&place, address, zone, &secret)),
        };
        std::fs::write(dir.path().join("server.conf"), config).expect("written");
        let mut command = Command::new(peers::debian(program, package));
        if software == Software::Bind {
            command.arg("-f");
        }
        command.arg("-c").arg(dir.path().join("server.conf"));
        let server = serve(&mut command, address).await;
        // It listens before it has read the zone.
        let dns = Dns::new(&[address]).expect("a resolver");
        eventually("the zone is served", || async { dns.texts(&format!("_ready.{zone}")).await.ok() }).await;
        Self { address, zone: zone.to_owned(), secret, dir, _server: server }
    }

    /// Settings by which a gateway orders the certificate of its base domain here.
    pub fn dns01(&self) -> [(&'static str, String); 3] {
        [
            ("tls.acme.dns01.server", self.address.to_string()),
            ("tls.acme.dns01.key_name", KEY.to_owned()),
            ("tls.acme.dns01.secret", self.secret.clone()),
        ]
    }

    /// What changes the zone, with this secret instead of the right one.
    pub fn updater_with(&self, secret: &str) -> Updater {
        let config = Dns01 {
            server: self.address,
            zone: None,
            key_name: KEY.to_owned(),
            algorithm: TsigAlgorithm::HmacSha256,
            secret: SecretString::from(secret),
        };
        Updater::new(&config, &Host::parse(&self.zone).expect("a zone")).expect("a key")
    }

    /// What changes the zone.
    pub fn updater(&self) -> Updater {
        self.updater_with(&self.secret)
    }

    /// A resolver that remembers what this server has said.
    pub async fn resolver(&self) -> (Program, SocketAddr) {
        let (address, place) = (free(), self.dir.path().display());
        let config = format!(
            "server:\n  interface: {}\n  port: {}\n  do-not-query-localhost: no\n  chroot: \"\"\n  username: \"\"\n  directory: \"{place}\"\n  \
             pidfile: \"\"\n  use-syslog: no\n  module-config: \"iterator\"\n  local-zone: \"test.\" nodefault\n\
             stub-zone:\n  name: \"{}\"\n  stub-addr: {}@53\nremote-control:\n  control-enable: no\n",
            address.ip(),
            address.port(),
            self.zone,
            self.address.ip()
        );
        std::fs::write(self.dir.path().join("unbound.conf"), config).expect("written");
        let mut command = Command::new(peers::debian("unbound", "unbound"));
        command.arg("-d").arg("-c").arg(self.dir.path().join("unbound.conf"));
        (serve(&mut command, address).await, address)
    }
}

fn knot(place: &dyn Display, ip: IpAddr, zone: &str, secret: &str) -> String {
    format!(
        "server:\n  listen: {ip}@53\n  rundir: {place}\ndatabase:\n  storage: {place}\nkey:\n  - id: {KEY}\n    algorithm: hmac-sha256\n    \
         secret: {secret}\nacl:\n  - id: updates\n    key: {KEY}\n    action: update\nzone:\n  - domain: {zone}\n    storage: {place}\n    \
         file: zone\n    zonefile-sync: -1\n    acl: updates\n"
    )
}

fn bind(place: &dyn Display, address: SocketAddr, zone: &str, secret: &str) -> String {
    let (ip, port) = (address.ip(), address.port());
    format!(
        "options {{ directory \"{place}\"; managed-keys-directory \"{place}\"; listen-on port {port} {{ {ip}; }}; listen-on-v6 {{ none; }}; \
         recursion no; dnssec-validation no; pid-file none; session-keyfile none; }};\ncontrols {{ }};\n\
         key \"{KEY}\" {{ algorithm hmac-sha256; secret \"{secret}\"; }};\n\
         zone \"{zone}\" {{ type primary; file \"zone\"; allow-update {{ key \"{KEY}\"; }}; }};\n"
    )
}

/// A loopback address that no other test is likely to have.
fn alone() -> IpAddr {
    let [one, two, three, ..] = *uuid::Uuid::new_v4().as_bytes();
    Ipv4Addr::new(127, one | 1, two, three | 1).into()
}
