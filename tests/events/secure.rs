//! Over TLS the receiver's certificate has to be its own and lead to one of the system's roots.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use http::Response;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::{endpoint, gateway, make, until};
use crate::support::authority::{Authority, Valid};
use crate::support::upstream::full;

/// A receiver over TLS, for as long as the test runs.
async fn serve(authority: &Authority) -> SocketAddr {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let chain = CertificateDer::pem_file_iter(authority.path("crm.crt")).unwrap().map(|cert| cert.unwrap()).collect();
    let key = PrivateKeyDer::from_pem_file(authority.path("crm.key")).unwrap();
    let tls = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = service_fn(|_| async { Ok::<_, Infallible>(Response::new(full("thanks"))) });
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn a_certificate_has_to_be_trusted_and_for_the_name() {
    let authority = Authority::new();
    authority.issue("crm", "DNS:localhost", Valid::Now);
    let port = serve(&authority).await.port();
    let endpoints =
        endpoint("named", &format!("https://localhost:{port}/"), "") + &endpoint("other", &format!("https://127.0.0.1:{port}/"), "");
    let start = |roots: String| gateway().set("events.retry", "[]").set("SSL_CERT_FILE", &roots).toml(&endpoints).start();
    let trusting = start(authority.file("ca.crt")).await;
    make(&trusting, "acme").await;
    let event = until(&trusting, "tenant.created", "failed").await;
    let [named, other] = [0, 1].map(|at| event["deliveries"][at].clone());
    assert_eq!((named["state"].as_str(), named["lastAttempt"]["status"].as_u64()), (Some("delivered"), Some(200)), "{named}");
    assert!(other["lastAttempt"]["error"].as_str().unwrap().starts_with("TLS: "), "{other}");
    let stranger = Authority::new();
    let doubting = start(stranger.file("ca.crt")).await;
    make(&doubting, "acme").await;
    let event = until(&doubting, "tenant.created", "failed").await;
    for delivery in event["deliveries"].as_array().unwrap() {
        assert!(delivery["lastAttempt"]["error"].as_str().unwrap().starts_with("TLS: "), "{delivery}");
    }
}
