//! HAProxy where the suite needs HTTP/2 on one side: WebSockets come over one version of HTTP and go on over another.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};

use crate::support::TestGateway;
use crate::support::peers::debian;

/// A HAProxy that runs until it is dropped.
pub struct Bridge {
    pub address: SocketAddr,
    child: Child,
    _dir: tempfile::TempDir,
}

impl Bridge {
    /// From HTTP/1.1 to HTTP/1.1, in clear.
    pub async fn plain(to: SocketAddr) -> Self {
        Self::start("", to, "").await
    }

    /// From HTTP/2 with prior knowledge to HTTP/1.1, in clear.
    pub async fn from_http2(to: SocketAddr) -> Self {
        Self::start("proto h2", to, "").await
    }

    /// From HTTP/1.1 in clear to HTTP/2 over TLS.
    pub async fn to_http2(gateway: &TestGateway, host: &str) -> Self {
        let ca = gateway.ca().display();
        let options = format!("ssl ca-file {ca} sni str({host}) verifyhost {host} alpn h2 ws h2");
        Self::start("", gateway.https.unwrap(), &options).await
    }

    async fn start(bind: &str, to: SocketAddr, server: &str) -> Self {
        let program = tokio::task::spawn_blocking(|| debian("haproxy", "haproxy")).await.unwrap();
        // Inherited: the port is known here, and clients can connect before HAProxy has begun.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        rustix::io::fcntl_setfd(&listener, rustix::io::FdFlags::empty()).unwrap();
        let patience = "timeout connect 5s\ntimeout client 60s\ntimeout server 60s\ntimeout tunnel 1h";
        let listen = format!("listen bridge\nbind fd@{} {bind}\nserver next {to} {server}", listener.as_raw_fd());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("haproxy.cfg");
        std::fs::write(&path, format!("defaults\nmode http\n{patience}\n{listen}\n")).unwrap();
        let child = Command::new(program).args(["-db", "-f"]).arg(path).stdin(Stdio::null()).spawn().expect("HAProxy runs");
        Self { address: listener.local_addr().unwrap(), child, _dir: dir }
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
