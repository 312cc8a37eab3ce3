//! A certificate authority that speaks ACME (pebble), with a front that sees what it is asked, and a name server that says what
//! a test wants.

mod dns;
mod front;
mod zone;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use super::authority::{Authority, Valid};
use super::gateway::{GatewayBuilder, TestGateway};
use super::nginx::{Program, free, serve};
use super::peers;

pub use dns::TestDns;
pub use front::Front;
pub use zone::{Software, Zone};

/// The authority; it runs from [`start`](Self::start) to [`stop`](Self::stop).
pub struct Acme {
    pub dns: TestDns,
    pub front: Front,
    authority: Authority,
    pebble: Option<Program>,
    management: SocketAddr,
}

/// How the authority behaves.
#[derive(Debug, Clone, Copy)]
pub struct Habits {
    /// Of good nonces, so many in a hundred are rejected.
    pub rejects_nonces: u8,
    /// Seconds that certificates live.
    pub validity: u64,
    /// False where HTTP-01 looks at a port where nobody answers.
    pub http: bool,
}

impl Default for Habits {
    fn default() -> Self {
        Self { rejects_nonces: 0, validity: 30 * 86_400, http: true }
    }
}

impl Acme {
    /// The name server and the front; the authority itself does not run yet.
    pub async fn new() -> Self {
        let authority = Authority::new();
        authority.issue("pebble", "DNS:localhost,IP:127.0.0.1", Valid::Now);
        let front = Front::start(&authority).await;
        Self { dns: TestDns::start().await, front, authority, pebble: None, management: free() }
    }

    /// A gateway that orders here.
    pub fn orders(&self, gateway: GatewayBuilder) -> GatewayBuilder {
        gateway
            .set("tls.mode", "acme")
            .set("tls.acme.directory", &format!("https://{}/dir", self.front.address))
            .set("tls.acme.ca_file", &self.authority.file("ca.crt"))
            .set("tls.acme.caa_identities", "pebble.test")
            .set("domains.name_servers", &self.dns.address.to_string())
    }

    /// Runs the authority, which validates names at this gateway. It forgets everything when it stops.
    pub async fn start(&mut self, gateway: &TestGateway, habits: Habits) {
        let http = if habits.http { gateway.http.port() } else { free().port() };
        self.start_with((http, gateway.https.expect("TLS").port()), habits, self.dns.address).await;
    }

    /// Runs it; it validates names at these ports for HTTP-01 and TLS-ALPN-01, and asks this name server.
    pub async fn start_with(&mut self, (http, https): (u16, u16), habits: Habits, dns: SocketAddr) {
        let address = free();
        self.management = free();
        let config = json!({"pebble": {
            "listenAddress": address.to_string(), "managementListenAddress": self.management.to_string(),
            "certificate": self.authority.file("pebble.crt"), "privateKey": self.authority.file("pebble.key"),
            "httpPort": http, "tlsPort": https,
            "ocspResponderURL": "", "externalAccountBindingRequired": false, "certificateValidityPeriod": habits.validity,
        }});
        let file = self.authority.path("pebble.json");
        std::fs::write(&file, config.to_string()).expect("written");
        let mut command = Command::new(peers::debian("pebble", "pebble"));
        command.arg("-config").arg(&file).arg("-dnsserver").arg(dns.to_string());
        command.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_AUTHZREUSE", "0");
        command.env("PEBBLE_WFE_NONCEREJECT", habits.rejects_nonces.to_string());
        self.pebble = Some(serve(&mut command, address).await);
        self.front.forward_to(Some(address));
    }

    /// Ends the authority.
    pub fn stop(&mut self) {
        self.front.forward_to(None);
        self.pebble = None;
    }

    /// The root that clients have to trust; another one after each start.
    pub async fn root(&self) -> PathBuf {
        let ca = std::fs::read(self.authority.path("ca.crt")).expect("the CA");
        let roots = reqwest::Certificate::from_pem_bundle(&ca).expect("certificates");
        let client = reqwest::Client::builder().no_proxy().tls_certs_only(roots).build().expect("a client");
        let answer = client.get(format!("https://{}/roots/0", self.management)).send().await.expect("an answer");
        let path = self.authority.path("root.pem");
        std::fs::write(&path, answer.bytes().await.expect("a root")).expect("written");
        path
    }

    /// How many orders were placed.
    pub fn orders_placed(&self) -> usize {
        self.front.seen().iter().filter(|seen| seen.is_new_order()).count()
    }
}
