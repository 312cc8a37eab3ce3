//! An authority for test certificates, a small HTTPS server on the configuration under test, and clients.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio_rustls::{TlsAcceptor, TlsConnector, client};

use crate::clock::{Clock, SystemClock};
use crate::model::Host;
use crate::tls::{Certificates, server_config};

pub const BASE: &str = "example.localhost";

pub fn host(name: &str) -> Host {
    Host::parse(name).unwrap()
}

/// A directory with a root, a default pair and a directory of pairs.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub root: CertificateDer<'static>,
    pub dir: TempDir,
}

/// From how many days ago to in how many days.
pub type Days = (i64, i64);

pub const VALID: Days = (-1, 90);

impl Authority {
    /// With a default pair for the base domain and its wildcard.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "test root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("root.pem"), root.pem()).unwrap();
        fs::create_dir(dir.path().join("pairs")).unwrap();
        let authority = Self { issuer: Issuer::new(params, key), root: root.der().clone(), dir };
        authority.write(&authority.path("default"), &[BASE, "*.example.localhost"], VALID);
        authority
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The chain and key in PEM.
    pub fn issue(&self, names: &[&str], (from, to): Days) -> (String, String) {
        let now = SystemClock.now();
        let at = |days: i64| date_time_ymd(1970, 1, 1) + Duration::from_millis(now.plus_days(days).0.unsigned_abs());
        let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        (params.not_before, params.not_after) = (at(from), at(to));
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// Writes `<stem>.crt` and `<stem>.key`.
    pub fn write(&self, stem: &Path, names: &[&str], days: Days) {
        let (cert, key) = self.issue(names, days);
        fs::write(beside(stem, "crt"), cert).unwrap();
        fs::write(beside(stem, "key"), key).unwrap();
    }

    /// A pair in the watched directory.
    pub fn pair(&self, stem: &str, names: &[&str], days: Days) {
        self.write(&self.pair_path(stem), names, days);
    }

    pub fn pair_path(&self, stem: &str) -> PathBuf {
        self.path("pairs").join(stem)
    }

    pub fn load(&self) -> Arc<Certificates> {
        Arc::new(Certificates::load(Some((&self.path("default.crt"), &self.path("default.key"))), Some(&self.path("pairs")), None).unwrap())
    }

    /// A client that trusts the root and remembers sessions.
    pub fn client(&self, versions: &[&'static rustls::SupportedProtocolVersion]) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        TlsConnector::from(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
    }
}

/// `stem.end`, where the stem has dots itself.
pub fn beside(stem: &Path, end: &str) -> PathBuf {
    PathBuf::from(format!("{}.{end}", stem.display()))
}

pub fn leaf_in(path: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(&fs::read(path).unwrap()).unwrap()
}

/// Answers every request with the name and protocol of its connection; keeps connections open unless asked not to.
pub async fn serve(certificates: &Arc<Certificates>) -> SocketAddr {
    let acceptor = TlsAcceptor::from(server_config(certificates.clone(), None, &host(BASE)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let tls = stream.get_ref().1;
                let alpn = tls.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
                let kind = tls.handshake_kind();
                let body = format!("{:?} {:?} {alpn:?} {kind:?}", tls.server_name(), tls.protocol_version());
                let mut head = Vec::new();
                while let Ok(octet) = stream.read_u8().await {
                    head.push(octet);
                    if !head.ends_with(b"\r\n\r\n") {
                        continue;
                    }
                    let close = head.windows(5).any(|window| window == b"close");
                    head.clear();
                    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                    if stream.write_all(answer.as_bytes()).await.is_err() || close {
                        break;
                    }
                }
                let _ = stream.shutdown().await;
            });
        }
    });
    address
}

pub type Connection = client::TlsStream<TcpStream>;

pub async fn connect(connector: &TlsConnector, to: SocketAddr, name: &str) -> std::io::Result<Connection> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    connector.connect(name, TcpStream::connect(to).await?).await
}

/// One request, whose answer's body is given back.
pub async fn ask(connection: &mut Connection, close: bool) -> String {
    let close = if close { "Connection: close\r\n" } else { "" };
    connection.write_all(format!("GET / HTTP/1.1\r\nHost: x\r\n{close}\r\n").as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.split("Content-Length: ").nth(1).unwrap().trim().parse().unwrap();
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await.unwrap();
    String::from_utf8(body).unwrap()
}

/// `openssl s_client` with these arguments; it asks for one answer and closes.
pub async fn s_client(authority: &Authority, to: SocketAddr, arguments: &[&str]) -> Output {
    let root = authority.path("root.pem");
    let mut child = Command::new("openssl")
        .args(["s_client", "-connect", &to.to_string(), "-CAfile", root.to_str().unwrap(), "-ign_eof"])
        .args(arguments)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Fails where the handshake did, which is what some tests are about.
    let _ = stdin.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    drop(stdin);
    child.wait_with_output().await.unwrap()
}

pub fn text(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
