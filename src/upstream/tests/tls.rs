//! https upstreams, with a certificate authority made for the test.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::Full;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::super::client_tls::{ClientTls, TlsFault, TlsFiles};
use super::super::{PoolSettings, SendError, Target};
use super::support::*;
use crate::model::Origin;

pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: tempfile::NamedTempFile,
}

pub fn authority() -> Authority {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(issuer.pem().as_bytes()).unwrap();
    Authority { issuer, file }
}

impl Authority {
    pub fn acceptor(&self, name: &str) -> TlsAcceptor {
        self.acceptor_for(name, &[b"h2", b"http/1.1"])
    }

    /// That agrees on these protocols.
    pub fn acceptor_for(&self, name: &str, protocols: &[&[u8]]) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }

    pub fn target(&self, origin: &str, address: SocketAddr) -> Arc<Target> {
        let config = ClientTls::load(TlsFiles { ca_file: Some(self.file.path()), identity: None }).unwrap();
        Arc::new(Target::new(Origin::parse(origin).unwrap(), &config, vec![address]))
    }
}

/// Serves TLS connections by a script, and counts the resumed ones.
async fn serve<F, Fut>(acceptor: TlsAcceptor, script: F) -> (SocketAddr, Arc<AtomicUsize>)
where
    F: Fn(TlsStream<tokio::net::TcpStream>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let resumed = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&resumed);
    let script = Arc::new(script);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (acceptor, script, counter) = (acceptor.clone(), Arc::clone(&script), Arc::clone(&counter));
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(socket).await else { return };
                if stream.get_ref().1.handshake_kind() == Some(rustls::HandshakeKind::Resumed) {
                    counter.fetch_add(1, Ordering::SeqCst);
                }
                assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
                script(stream).await;
            });
        }
    });
    (address, resumed)
}

async fn head(stream: &mut TlsStream<tokio::net::TcpStream>) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

/// Answers each request with the name that the client asked for (SNI).
async fn name_server(acceptor: TlsAcceptor) -> (SocketAddr, Arc<AtomicUsize>) {
    serve(acceptor, |mut stream| async move {
        while head(&mut stream).await.is_some() {
            let name = stream.get_ref().1.server_name().unwrap_or("none").to_owned();
            let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len());
            stream.write_all(reply.as_bytes()).await.unwrap();
        }
    })
    .await
}

#[tokio::test]
async fn an_upstream_is_verified_by_its_name_or_address() {
    let authority = authority();
    for (name, origin, sni) in [("app.test", "https://app.test", "app.test"), ("127.0.0.1", "https://127.0.0.1:1", "none")] {
        let (address, _) = name_server(authority.acceptor(name)).await;
        let (pool, target) = (pool(), authority.target(origin, address));
        assert_eq!(fetch(&pool, &target).await, (200, sni.to_owned()));
        assert_eq!(fetch(&pool, &target).await, (200, sni.to_owned()));
        assert_eq!(pool.shared.idle.borrow().len(), 1, "the connection is used again");
    }
}

#[tokio::test]
async fn an_upstream_with_another_name_or_root_is_unreachable() {
    let (ours, theirs) = (authority(), authority());
    for (acceptor, origin) in [
        (ours.acceptor("other.test"), "https://app.test"),
        (theirs.acceptor("app.test"), "https://app.test"),
        (ours.acceptor("app.test"), "https://127.0.0.1:1"),
    ] {
        let (address, _) = name_server(acceptor).await;
        let outcome = send(&pool(), &ours.target(origin, address), get()).await;
        assert!(matches!(outcome, Err(SendError::Tls(TlsFault::Certificate, _))), "{:?}", outcome.err());
    }
}

#[tokio::test]
async fn sessions_are_resumed() {
    let authority = authority();
    let (address, resumed) = name_server(authority.acceptor("app.test")).await;
    let target = authority.target("https://app.test", address);
    fetch(&pool(), &target).await;
    fetch(&pool(), &target).await;
    assert_eq!(resumed.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_handshake_counts_into_the_time_to_connect() {
    let authority = authority();
    let server = Server::start(|_, mut peer| async move {
        peer.rest().await;
    })
    .await;
    let pool = pool_with(PoolSettings { connect_timeout: std::time::Duration::from_millis(100), ..settings() });
    let outcome = send(&pool, &authority.target("https://app.test", server.address), get()).await;
    assert!(matches!(outcome, Err(SendError::ConnectTimeout(_))));
}

#[tokio::test]
async fn a_large_body_is_echoed_through_tls() {
    const SIZE: usize = 8 * 1024 * 1024;
    let authority = authority();
    let (address, _) = serve(authority.acceptor("app.test"), |mut stream| async move {
        head(&mut stream).await;
        stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n").as_bytes()).await.unwrap();
        let (mut reader, mut writer) = tokio::io::split(stream);
        tokio::io::copy(&mut (&mut reader).take(SIZE as u64), &mut writer).await.unwrap();
        writer.flush().await.unwrap();
    })
    .await;
    let octets: Vec<u8> = (0..SIZE).map(|number| (number / 1000) as u8).collect();
    let request = request("POST").header("content-length", SIZE).body(Full::new(Bytes::from(octets.clone()))).unwrap();
    let response = send(&pool(), &authority.target("https://app.test", address), request).await.unwrap();
    assert!(read(response.into_body()).await.unwrap().0 == octets);
}

#[tokio::test]
async fn a_body_until_close_needs_the_close_of_tls() {
    let authority = authority();
    for (polite, whole) in [(true, true), (false, false)] {
        let (address, _) = serve(authority.acceptor("app.test"), move |mut stream| async move {
            head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhello").await.unwrap();
            stream.flush().await.unwrap();
            if polite {
                stream.shutdown().await.unwrap();
            }
        })
        .await;
        let response = send(&pool(), &authority.target("https://app.test", address), get()).await.unwrap();
        assert_eq!(read(response.into_body()).await.is_ok(), whole);
    }
}

#[test]
fn a_bad_file_of_roots_is_refused_by_its_name() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    assert!(ClientTls::load(TlsFiles { ca_file: Some(file.path()), identity: None }).unwrap_err().to_string().contains("no certificate"));
    file.write_all(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let text = ClientTls::load(TlsFiles { ca_file: Some(file.path()), identity: None }).unwrap_err().to_string();
    assert!(text.contains(&file.path().display().to_string()), "{text}");
    assert!(ClientTls::load(TlsFiles { ca_file: Some(std::path::Path::new("/nonexistent")), identity: None }).is_err());
}
