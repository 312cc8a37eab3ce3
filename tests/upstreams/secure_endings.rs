//! How connections to upstreams over TLS end: in time, at the wrong moment, and in the middle of what they carry.

use std::cell::Cell;
use std::sync::Arc;

use http::Method;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::authority::{Authority, Valid};
use crate::support::{Raw, TestGateway, VERSIONS, tenant, within};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Whether TLS says that it ends (close_notify) before the connection does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goodbye {
    Said,
    Unsaid,
}

/// An app whose TLS connections the test accepts one by one.
struct App {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    authority: Authority,
}

impl App {
    async fn listen() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let authority = Authority::new();
        authority.issue("app", "IP:127.0.0.1", Valid::Now);
        let chain = CertificateDer::pem_file_iter(authority.path("app.crt")).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(authority.path("app.key")).unwrap();
        let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { listener, acceptor: TlsAcceptor::from(Arc::new(config)), authority }
    }

    async fn gateway(&self) -> TestGateway {
        let url = format!("https://{}", self.listener.local_addr().unwrap());
        let builder = TestGateway::to_url(&url).set("upstream.ca_file", &self.authority.file("ca.crt"));
        // One worker, so that the next request finds the connection of the first.
        builder.set("listen.workers", "1").tenant(tenant("acme")).start().await
    }

    async fn accept(&self) -> Raw {
        let (stream, _) = within("a connection from the gateway", self.listener.accept()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Raw::over(within("a TLS handshake", self.acceptor.accept(stream)).await.unwrap())
    }
}

async fn end(mut app: Raw, goodbye: Goodbye) {
    if goodbye == Goodbye::Said {
        app.finish().await;
    }
}

/// Sends a request on a connection that has served one, which ends when it has arrived: the status, how many connections the
/// request came on, and what was counted in all.
async fn on_a_stale_connection(method: Method, body: &'static str, goodbye: Goodbye) -> (u16, usize, u64) {
    let app = App::listen().await;
    let gateway = app.gateway().await;
    let mut client = gateway.connect(VERSIONS[0], "acme").await;
    let (mut wire, ()) = tokio::join!(
        async {
            let mut wire = app.accept().await;
            wire.message().await;
            wire.send(OK).await;
            wire
        },
        async {
            client.get("/first").await.expect(200);
        }
    );
    let came = Cell::new(0);
    let asking = client.send(method, "/second", &[], body);
    let answering = async {
        wire.message().await;
        end(wire, goodbye).await;
        came.set(1);
        let mut wire = app.accept().await;
        came.set(2);
        wire.message().await;
        wire.send(OK).await;
        std::future::pending::<()>().await;
    };
    let status = tokio::select! {
        answer = within("an answer", asking) => answer.unwrap().status,
        () = answering => unreachable!("it goes on for ever"),
    };
    let counted = gateway.usage("acme").await["apiCalls"].as_u64().unwrap();
    (status, came.get(), counted)
}

#[tokio::test]
async fn a_get_on_a_connection_that_was_closing_is_sent_once_more_and_counted_once_and_a_post_is_not() {
    for goodbye in [Goodbye::Said, Goodbye::Unsaid] {
        assert_eq!(on_a_stale_connection(Method::GET, "", goodbye).await, (200, 2, 2), "{goodbye:?}");
        assert_eq!(on_a_stale_connection(Method::POST, "x", goodbye).await, (502, 1, 1), "{goodbye:?}");
    }
}

#[tokio::test]
async fn a_body_until_close_is_whole_only_where_tls_says_that_it_ends() {
    for version in VERSIONS {
        for (goodbye, whole) in [(Goodbye::Said, true), (Goodbye::Unsaid, false)] {
            let app = App::listen().await;
            let gateway = app.gateway().await;
            let answering = async {
                let mut wire = app.accept().await;
                wire.message().await;
                wire.send(format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(100_000))).await;
                end(wire, goodbye).await;
            };
            let asking = async {
                let mut client = gateway.connect(version, "acme").await;
                within("an answer", client.send(Method::GET, "/", &[], "")).await
            };
            let (answer, ()) = tokio::join!(asking, answering);
            match answer {
                Ok(answer) => {
                    assert!(whole, "cut, but whole for the client");
                    assert_eq!(answer.expect(200).body.len(), 100_000);
                }
                Err(error) => assert!(!whole, "{error}"),
            }
        }
    }
}
