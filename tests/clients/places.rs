//! Where clients go: each server directly, and through the gateway in clear, over TLS and over HTTP/2.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::cases::Case;
use super::server::HyperServer;
use super::verdict::Verdict;
use crate::support::gateway::BASE;
use crate::support::peers::{self, Server};
use crate::support::raw::{Io, within};
use crate::support::{TestGateway, tenant};

/// What Python's clients and servers need.
pub const PYTHON: [&str; 4] = ["aiohttp==3.14.5", "h2==4.4.1", "httpx==0.28.1", "requests==2.34.2"];

/// The servers, each by its name a tenant of the gateway.
pub const SERVERS: [&str; 4] = ["hyper", "node", "stdlib", "aiohttp"];

/// One way to one server.
#[derive(Debug, Clone, Serialize)]
pub struct Place {
    pub server: &'static str,
    /// `direct`, `clear`, `tls` or `h2`.
    pub way: &'static str,
    pub url: String,
    /// The server's own port.
    pub app: u16,
    /// Cases that cannot be told here.
    pub without: Vec<&'static str>,
}

/// Everything that runs for a test.
pub struct Places {
    pub all: Vec<Place>,
    _clear: TestGateway,
    pub tls: TestGateway,
    _hyper: HyperServer,
    _others: [Server; 3],
}

/// A file beside this one.
pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

/// Python with its libraries.
pub async fn python() -> PathBuf {
    tokio::task::spawn_blocking(|| peers::python(&PYTHON)).await.expect("Python")
}

impl Places {
    /// Starts the servers and two gateways in front of them.
    pub async fn start() -> Self {
        let python = python().await;
        let hyper = HyperServer::start().await;
        let node = Server::start(Command::new("node").arg(file("server.mjs"))).await;
        let stdlib = Server::start(Command::new(&python).arg(file("server.py"))).await;
        let aiohttp = Server::start(Command::new(&python).arg(file("server_aiohttp.py"))).await;
        let ports = [hyper.address.port(), node.address.port(), stdlib.address.port(), aiohttp.address.port()];
        let gateway = || {
            let first = TestGateway::to_url(&format!("http://127.0.0.1:{}", ports[0]));
            let add = |gateway: crate::support::gateway::GatewayBuilder, (name, port): (&&str, &u16)| {
                gateway.tenant(tenant(name).with("upstream", json!(format!("http://127.0.0.1:{port}"))))
            };
            SERVERS.iter().zip(&ports).fold(first, add)
        };
        let (clear, tls) = tokio::join!(gateway().plaintext().start(), gateway().start());
        let mut all = Vec::new();
        for (server, port) in SERVERS.into_iter().zip(ports) {
            let direct = format!("http://{server}.{BASE}:{port}");
            for (way, url) in
                [("direct", direct), ("clear", clear.url(server, "")), ("tls", tls.url(server, "")), ("h2", tls.url(server, ""))]
            {
                all.push(Place { server, way, url, app: port, without: without(server, way) });
            }
        }
        Self { all, _clear: clear, tls, _hyper: hyper, _others: [node, stdlib, aiohttp] }
    }

    /// The host and port of a place.
    pub fn authority(&self, server: &str, way: &str) -> &str {
        self.all.iter().find(|place| place.server == server && place.way == way).expect("a place").authority()
    }

    /// What a client trusts, and which protocol it offers.
    pub fn trusting(&self, protocol: &str) -> TlsConnector {
        TlsConnector::from(Arc::new(self.tls.tls_config(&[protocol])))
    }
}

impl Place {
    /// Its host and port.
    pub fn authority(&self) -> &str {
        self.url.split_once("://").map_or("", |(_, authority)| authority)
    }

    /// A connection to it.
    pub async fn connect(&self, tls: &TlsConnector) -> Box<dyn Io> {
        let (host, port) = self.authority().split_once(':').expect("a port");
        let stream = TcpStream::connect(("127.0.0.1", port.parse().expect("a port"))).await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        if self.url.starts_with("http:") {
            return Box::new(stream);
        }
        let name = ServerName::try_from(host.to_owned()).expect("a name");
        Box::new(within("a handshake", tls.connect(name, stream)).await.expect("a handshake"))
    }

    /// What `client` got here.
    pub fn verdict(&self, client: &str, case: &Case, outcome: Value) -> Verdict {
        let [client, server, way] = [client, self.server, self.way].map(str::to_owned);
        Verdict { client, server, way, case: case.name.clone(), outcome }
    }
}

fn without(server: &str, way: &str) -> Vec<&'static str> {
    let mut names = Vec::new();
    if server == "aiohttp" {
        // It takes a trailer for a field of the connection's next request, whoever sends that.
        names.push("an upload with trailers");
    }
    if way == "h2" {
        // HTTP/2 has no Connection (RFC 9113, section 8.2.2).
        names.extend(["a client that closes", "fields that one connection owns"]);
    }
    names
}
