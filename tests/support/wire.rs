//! Connections by hand: the octets that a test wants, over TLS as the test wants it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use reqwest::header::HeaderMap;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::client::Answer;
use super::gateway::TestGateway;

/// No test waits longer for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// What octets go over.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// One HTTP/1.1 connection.
pub struct Wire {
    io: Box<dyn Io>,
    read: Vec<u8>,
    /// What the handshake agreed on.
    pub tls: Option<Session>,
}

/// What a TLS handshake agreed on.
#[derive(Debug, Clone)]
pub struct Session {
    pub kind: HandshakeKind,
    pub certificate: CertificateDer<'static>,
}

/// One HTTP/2 connection.
pub struct H2 {
    sender: http2::SendRequest<Full<Bytes>>,
    task: tokio::task::JoinHandle<()>,
}

impl TestGateway {
    /// To the plaintext listener.
    pub async fn plain(&self) -> Wire {
        Wire::to(self.http).await
    }

    /// To the TLS listener, with this name in SNI; HTTP/1.1.
    pub async fn tls(&self, name: &str) -> Wire {
        self.tls_with(self.tls_config(&["http/1.1"]), name).await.expect("a handshake")
    }

    /// As a test's own configuration says.
    pub async fn tls_with(&self, config: impl Into<Arc<ClientConfig>>, name: &str) -> io::Result<Wire> {
        let stream = TcpStream::connect(self.https.expect("a gateway with TLS")).await.expect("a connection");
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let stream = TlsConnector::from(config.into()).connect(name, stream).await?;
        let session = stream.get_ref().1;
        let tls = Session {
            kind: session.handshake_kind().expect("after the handshake"),
            certificate: session.peer_certificates().and_then(|chain| chain.first()).expect("a certificate").clone().into_owned(),
        };
        Ok(Wire { io: Box::new(stream), read: Vec::new(), tls: Some(tls) })
    }

    /// HTTP/2 with this name in SNI.
    pub async fn h2(&self, name: &str) -> H2 {
        self.tls_with(self.tls_config(&["h2"]), name).await.expect("a handshake").into_h2().await
    }

    /// Trusts what the test trusts, and offers these protocols.
    pub fn tls_config(&self, protocols: &[&str]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(self.ca()).expect("the trusted certificates") {
            roots.add(certificate.expect("a certificate")).expect("a root");
        }
        let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        config
    }
}

impl Wire {
    /// To any address, in clear.
    pub async fn to(address: SocketAddr) -> Self {
        Self { io: Box::new(TcpStream::connect(address).await.expect("a connection")), read: Vec::new(), tls: None }
    }

    /// Sends octets; a peer that has closed already is for whoever reads to find out.
    pub async fn send(&mut self, octets: impl AsRef<[u8]>) {
        let _ = self.io.write_all(octets.as_ref()).await;
        let _ = self.io.flush().await;
    }

    /// Sends octets and reads one answer.
    pub async fn ask(&mut self, octets: impl AsRef<[u8]>) -> Answer {
        self.send(octets).await;
        self.answer().await
    }

    /// Reads the next answer.
    #[track_caller]
    pub fn answer(&mut self) -> impl Future<Output = Answer> {
        let caller = std::panic::Location::caller();
        async move {
            let answer = self.answer_or_end().await;
            answer.unwrap_or_else(|| panic!("{caller}: the connection ended after {:?}", String::from_utf8_lossy(&self.read)))
        }
    }

    /// Reads the next answer; none where the connection ends before.
    pub async fn answer_or_end(&mut self) -> Option<Answer> {
        loop {
            if let Some((answer, len)) = parse(&self.read, false) {
                self.read.drain(..len);
                return Some(answer);
            }
            if !self.fill().await {
                let (answer, _) = parse(&self.read, true)?;
                self.read.clear();
                return Some(answer);
            }
        }
    }

    /// Everything that comes until the gateway closes.
    pub async fn rest(&mut self) -> Vec<u8> {
        while self.fill().await {}
        std::mem::take(&mut self.read)
    }

    /// So many octets; `None` where the gateway closes before.
    pub async fn octets(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.read.len() < count {
            if !self.fill().await {
                return None;
            }
        }
        Some(self.read.drain(..count).collect())
    }

    /// Goes on in HTTP/2.
    pub async fn into_h2(self) -> H2 {
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(self.io)).await.expect("a preface");
        H2 { sender, task: tokio::spawn(async move { drop(connection.await) }) }
    }

    /// `false` at the end of the stream, however it ended.
    async fn fill(&mut self) -> bool {
        let read = tokio::time::timeout(PATIENCE, self.io.read_buf(&mut self.read)).await;
        matches!(read.expect("octets or an end in time"), Ok(1..))
    }
}

impl H2 {
    /// GET with these fields; `authority` goes into `:authority`.
    pub async fn get(&self, authority: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let mut request = Request::get(format!("https://{authority}{path}")).body(Full::default()).expect("a request");
        for (name, value) in fields {
            let name = HeaderName::from_bytes(name.to_lowercase().as_bytes()).expect("a name");
            request.headers_mut().append(name, HeaderValue::from_str(value).expect("a value"));
        }
        self.send(request).await.expect("an answer")
    }

    /// Any request.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, hyper::Error> {
        let mut sender = self.sender.clone();
        let exchange = async {
            sender.ready().await?;
            let (parts, body) = sender.send_request(request).await?.into_parts();
            Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body: body.collect().await?.to_bytes().to_vec() })
        };
        tokio::time::timeout(PATIENCE, exchange).await.expect("an answer in time")
    }
}

impl Drop for H2 {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The answer at the start of `octets` and its length, once it is whole.
fn parse(octets: &[u8], at_end: bool) -> Option<(Answer, usize)> {
    let mut fields = [httparse::EMPTY_HEADER; 100];
    let mut head = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(len) = head.parse(octets).expect("HTTP") else { return None };
    let mut headers = HeaderMap::new();
    for field in head.headers.iter() {
        headers.append(HeaderName::from_bytes(field.name.as_bytes()).unwrap(), HeaderValue::from_bytes(field.value).unwrap());
    }
    let (status, rest) = (head.code.expect("a status"), &octets[len..]);
    let answer = |body: &[u8], used| Some((Answer { status, headers: headers.clone(), body: body.to_vec() }, len + used));
    let length = headers.get("content-length").map(|length| length.to_str().unwrap().parse::<usize>().unwrap());
    match length {
        _ if status < 200 || status == 204 || status == 304 => answer(b"", 0),
        Some(length) => answer(rest.get(..length)?, length),
        None if headers.contains_key("transfer-encoding") => {
            let (body, used) = unchunk(rest)?;
            answer(&body, used)
        }
        None => at_end.then(|| answer(rest, rest.len())).flatten(),
    }
}

/// A whole chunked body, without its trailers.
fn unchunk(octets: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let httparse::Status::Complete((line, size)) = httparse::parse_chunk_size(&octets[at..]).expect("a chunk") else { return None };
        let (data, size) = (at + line, usize::try_from(size).unwrap());
        if size == 0 {
            let end = octets[data - 2..].windows(4).position(|four| four == b"\r\n\r\n")?;
            return Some((body, data - 2 + end + 4));
        }
        body.extend_from_slice(octets.get(data..data + size)?);
        at = data + size + 2;
        octets.get(at..)?;
    }
}
