//! Upstreams behind TLS: only those whose certificate the gateway can verify.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use gatehouse::model::Host;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::{Raw, TestGateway, tenant};

/// An app that speaks TLS and answers everything with the number of its connection.
struct SecureApp {
    address: SocketAddr,
    ca: PathBuf,
    _dir: tempfile::TempDir,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for SecureApp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl SecureApp {
    async fn start() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let made = gatehouse::tls::write_dev_certificates(dir.path(), &Host::parse("app.localhost").unwrap()).unwrap();
        let chain = CertificateDer::pem_file_iter(&made.cert).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(&made.key).unwrap();
        let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut tasks = tokio::task::JoinSet::new();
            let mut number = 0;
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                number += 1;
                tasks.spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let mut wire = Raw::over(stream);
                    loop {
                        let message = wire.message().await;
                        let text = format!("{number}:{}", message.body.len());
                        wire.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len())).await;
                    }
                });
            }
        });
        Self { address, ca: made.ca, _dir: dir, task }
    }

    fn url(&self, host: &str) -> String {
        format!("https://{host}:{}", self.address.port())
    }
}

#[tokio::test]
async fn one_with_a_ca_of_ones_own_is_reached_and_its_connection_is_used_again() {
    let app = SecureApp::start().await;
    let ca = app.ca.display().to_string();
    let builder = TestGateway::to_url(&app.url("localhost")).set("upstream.ca_file", &ca).set("listen.workers", "1");
    let gateway = builder.tenant(tenant("acme")).start().await;
    let first = gateway.get("acme", "/").await.expect(200).text();
    let request = gateway.client.post(gateway.url("acme", "/")).body(vec![7_u8; 1 << 20]);
    let second = crate::support::gateway::send(request).await.expect(200).text();
    assert_eq!(first.replace(":0", ":1048576"), second);
}

#[tokio::test]
async fn one_with_an_unknown_ca_or_another_name_gets_nothing() {
    let app = SecureApp::start().await;
    let other = SecureApp::start().await;
    let (ca, wrong) = (app.ca.display().to_string(), other.ca.display().to_string());
    for (url, ca) in [(app.url("localhost"), &wrong), (app.url("127.0.0.2"), &ca)] {
        let gateway = TestGateway::to_url(&url).set("upstream.ca_file", ca).tenant(tenant("acme")).start().await;
        let answer = gateway.get("acme", "/").await.expect(502).code("upstream_unreachable");
        assert!(answer.header("proxy-status").starts_with("gatehouse; error="));
        assert!(!answer.text().contains("127.0.0.") && !answer.text().contains("localhost:"), "{}", answer.text());
        assert_eq!(gateway.usage("acme").await["apiCalls"], 0);
        assert!(gateway.log().iter().any(|line| line.contains("certificate")), "the log tells why: {:?}", gateway.log());
    }
}
