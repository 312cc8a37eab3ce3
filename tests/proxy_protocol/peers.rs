//! The PROXY protocol as HAProxy and curl speak it.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use http::Version;
use reqwest::Method;
use tokio::net::TcpSocket;

use super::{behind_a_proxy, client_in_the_log, refused, seen};
use crate::support::peers::debian;
use crate::support::{Connection, TestGateway, Upstream, VERSIONS};

/// HAProxy in front of a gateway, on one port for each way to send a header.
struct HaProxy {
    fronts: Vec<SocketAddr>,
    child: Child,
}

impl HaProxy {
    /// With these options for its server lines, and `more` in each section.
    async fn start(dir: &Path, gateway: SocketAddr, options: &[&str], more: &str) -> Self {
        let program = tokio::task::spawn_blocking(|| debian("haproxy", "haproxy")).await.unwrap();
        let listeners: Vec<TcpListener> = options.iter().map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let mut config = "defaults\nmode tcp\ntimeout connect 5s\ntimeout client 30s\ntimeout server 30s\n".to_owned();
        for (index, (listener, options)) in listeners.iter().zip(options).enumerate() {
            // Inherited: the port is known here, and clients can connect before HAProxy has begun.
            rustix::io::fcntl_setfd(listener, rustix::io::FdFlags::empty()).unwrap();
            let socket = std::os::fd::AsRawFd::as_raw_fd(listener);
            config += &format!("listen front{index}\nbind fd@{socket}\n{more}\nserver gateway {gateway} {options}\n");
        }
        let path = dir.join("haproxy.cfg");
        std::fs::write(&path, config).unwrap();
        let child = Command::new(program).args(["-db", "-f"]).arg(path).stdin(Stdio::null()).spawn().expect("HAProxy runs");
        Self { fronts: listeners.iter().map(|listener| listener.local_addr().unwrap()).collect(), child }
    }
}

impl Drop for HaProxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection from `client` through HAProxy's port `front`.
async fn through(gateway: &TestGateway, front: SocketAddr, client: &str, version: Version) -> Connection {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(client.parse().unwrap(), 0)).unwrap();
    gateway.connect_over(socket.connect(front).await.unwrap(), version, "acme").await
}

#[tokio::test]
async fn haproxy_names_its_clients_and_passes_their_tls_and_their_http_on() {
    let origin = Upstream::echoing().start().await;
    let options = ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id", "send-proxy-v2-ssl-cn"];
    for builder in [behind_a_proxy(&origin), behind_a_proxy(&origin).plaintext()] {
        let gateway = builder.start().await;
        let more = "unique-id-format %ci-%cp";
        let haproxy = HaProxy::start(gateway.dir.path(), gateway.https.unwrap_or(gateway.http), &options, more).await;
        let mut asked = Vec::new();
        for (front, options) in haproxy.fronts.iter().zip(options) {
            for (version, client) in VERSIONS.into_iter().zip(["127.0.0.3", "127.0.0.4"]) {
                let path = format!("/{}/{version:?}", options.replace([' ', ','], "-"));
                let mut connection = through(&gateway, *front, client, version).await;
                let body = "0123456789".repeat(20_000);
                for _ in 0..3 {
                    let answer = connection.send(Method::POST, &path, &[("x-forwarded-for", "192.0.2.1")], body.clone()).await;
                    let answer = answer.unwrap().expect(200);
                    assert_eq!(seen(&answer, "x-forwarded-for"), [client], "{options}");
                    assert_eq!(answer.json()["body"], body);
                }
                asked.push((path, client));
            }
        }
        for (path, client) in asked {
            assert_eq!(client_in_the_log(&gateway, &path).await, client, "{path}");
        }
        assert_eq!((refused(&gateway, "proxy_protocol").await, refused(&gateway, "handshake").await), (0, 0));
    }
}

#[tokio::test]
async fn haproxy_looks_after_the_gateway_with_headers_for_itself() {
    let origin = Upstream::replying("well").start().await;
    let gateway = behind_a_proxy(&origin).plaintext().start().await;
    // Version 1 says UNKNOWN for that, version 2 LOCAL.
    let options = ["send-proxy check inter 100ms", "send-proxy-v2 check inter 100ms"];
    let more = "option httpchk\nhttp-check send meth GET uri /check hdr host acme.example.localhost hdr x-front %[be_name]\nhttp-check expect string well";
    let haproxy = HaProxy::start(gateway.dir.path(), gateway.http, &options, more).await;
    assert_eq!(client_in_the_log(&gateway, "/check").await, "127.0.0.1");
    crate::support::eventually("checks of both", || async {
        let checks = origin.seen();
        let of = |front: &str| checks.iter().filter(|check| check.headers.get("x-front").is_some_and(|it| it == front)).count();
        (of("front0") > 1 && of("front1") > 1).then_some(())
    })
    .await;
    // It lets somebody through only while its checks go well.
    for front in &haproxy.fronts {
        let mut connection = through(&gateway, *front, "127.0.0.3", Version::HTTP_11).await;
        assert_eq!(connection.get("/").await.expect(200).text(), "well");
    }
    assert_eq!(refused(&gateway, "proxy_protocol").await, 0);
}

#[tokio::test]
async fn curl_is_served_with_a_header_and_not_without_one() {
    let origin = Upstream::echoing().start().await;
    for builder in [behind_a_proxy(&origin), behind_a_proxy(&origin).plaintext()] {
        let gateway = builder.start().await;
        let url = gateway.url("acme", "/curl");
        let http2 = if gateway.https.is_some() { "--http2" } else { "--http2-prior-knowledge" };
        for version in ["--http1.1", http2] {
            let output = gateway.curl(&["--fail", "--haproxy-protocol", version, &url]).await;
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && text.contains("\"x-forwarded-for\":[\"127.0.0.1\"]"), "{output:?}");
            let output = gateway.curl(&[version, &url]).await;
            assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
        }
        assert_eq!(refused(&gateway, "proxy_protocol").await, 2);
        assert_eq!(origin.seen().iter().filter(|request| request.uri.path() == "/curl").count() % 2, 0);
    }
}
