//! Ways to a test gateway for clients that are nearer to the wire than reqwest: a bare connection, HTTP/2, curl, Python.

use std::io;
use std::net::SocketAddr;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::eventually;
use super::gateway::{BASE, TestGateway};
use super::raw::{Raw, within};

/// An HTTP/2 connection to a tenant's host.
pub struct H2Streams {
    send: SendRequest<Bytes>,
    host: String,
    /// The connection itself, which ends when there is nothing more to do.
    pub connection: JoinHandle<Result<(), h2::Error>>,
}

/// What small frames that wait may cost a client of HTTP/2, as h2 counts it.
const SMALL_FRAMES: usize = 16 * 1024 * 1024;

impl TestGateway {
    /// A bare connection to the listener that proxies.
    pub async fn tcp(&self) -> TcpStream {
        self.tcp_from("127.0.0.1").await
    }

    /// The same from another of this machine's addresses.
    pub async fn tcp_from(&self, address: &str) -> TcpStream {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::new(address.parse().expect("an address"), 0)).expect("an address of this machine");
        let stream = socket.connect(self.https.unwrap_or(self.http)).await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        stream
    }

    /// TLS to a tenant's host.
    pub async fn raw_tls(&self, slug: &str, alpn: &str) -> TlsStream<TcpStream> {
        let shaken = self.tls_over(self.tcp().await, slug, alpn);
        within("a TLS handshake", shaken).await.expect("a TLS handshake")
    }

    /// TLS to a tenant's host over a way that the test has made.
    pub async fn tls_over<S>(&self, stream: S, slug: &str, alpn: &str) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut roots = rustls::RootCertStore::empty();
        for root in CertificateDer::pem_file_iter(self.ca()).expect("the CA") {
            roots.add(root.expect("a certificate")).expect("a root");
        }
        let mut config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        let name = ServerName::try_from(format!("{slug}.{BASE}")).expect("a name");
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    /// A connection for HTTP/1.1 to a tenant's host; over TLS, if the gateway has it.
    pub async fn raw(&self, slug: &str) -> Raw {
        if self.https.is_none() { Raw::over(self.tcp().await) } else { Raw::over(self.raw_tls(slug, "http/1.1").await) }
    }

    /// A connection for HTTP/2 to a tenant's host.
    pub async fn h2_streams(&self, slug: &str) -> H2Streams {
        self.h2_streams_over(self.tcp().await, slug).await
    }

    /// The same over a way that the test has made.
    pub async fn h2_streams_over<S>(&self, stream: S, slug: &str) -> H2Streams
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let shaken = within("a TLS handshake", self.tls_over(stream, slug, "h2")).await.expect("a TLS handshake");
        // Pieces that a test has not taken yet may be many and small; by default that ends the connection.
        let handshake = h2::client::Builder::new().data_frame_budget(SMALL_FRAMES).handshake(shaken);
        let (send, connection) = within("an HTTP/2 handshake", handshake).await.expect("an HTTP/2 handshake");
        H2Streams { send, host: format!("{slug}.{BASE}"), connection: tokio::spawn(connection) }
    }

    /// Runs curl, which finds every name of the base domain at the gateway and trusts its CA.
    pub async fn curl(&self, arguments: &[&str]) -> Output {
        let address = self.https.unwrap_or(self.http);
        let mut command = tokio::process::Command::new("curl");
        command.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "30"]);
        command.args(["--connect-to", &format!("::{address}")]);
        if self.https.is_some() {
            command.arg("--cacert").arg(self.ca());
        }
        command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        within("curl ends", command.output()).await.expect("curl runs")
    }

    /// A number of kilobytes from the process's status, such as `VmRSS` or `VmHWM` (the most that it ever was).
    pub fn memory_kb(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("a running gateway");
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.unwrap_or_else(|| panic!("no {name} in {status}"))
    }
}

impl H2Streams {
    /// Begins a request; with a body, its stream is to be written to.
    pub async fn begin(&mut self, method: &str, path: &str, has_body: bool) -> (ResponseFuture, SendStream<Bytes>) {
        self.begin_with(method, path, has_body, |request| request).await.expect("a stream")
    }

    /// Begins a request with more in its head, or says why not.
    pub async fn begin_with(
        &mut self,
        method: &str,
        path: &str,
        has_body: bool,
        more: impl FnOnce(http::request::Builder) -> http::request::Builder,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        let builder = http::Request::builder().version(http::Version::HTTP_2).method(method);
        let request = more(builder.uri(format!("https://{}{path}", self.host))).body(()).expect("a request");
        within("room for a stream", std::future::poll_fn(|cx| self.send.poll_ready(cx))).await?;
        self.send.send_request(request, !has_body)
    }

    /// Waits until the peer has said that it takes extended CONNECT.
    pub async fn takes_extended_connect(&self) {
        eventually("extended CONNECT", async || self.send.is_extended_connect_protocol_enabled().then_some(())).await;
    }

    /// Whether the peer has said, without blame, that it takes no new streams.
    pub async fn is_told_to_go_away(&mut self) -> bool {
        match std::future::poll_fn(|cx| Poll::Ready(self.send.poll_ready(cx))).await {
            Poll::Ready(Err(error)) => {
                assert!(error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR), "{error:?}");
                true
            }
            _ => false,
        }
    }

    /// A request without a body, and its whole answer.
    pub async fn get(&mut self, path: &str) -> (http::response::Parts, Vec<u8>) {
        let (response, _) = self.begin("GET", path, false).await;
        let (parts, mut body) = head_of(response).await.into_parts();
        let whole = whole_of(&mut body).await.expect("a whole body");
        (parts, whole)
    }
}

/// The head of an answer.
pub async fn head_of(response: ResponseFuture) -> http::Response<RecvStream> {
    within("the head of an answer", response).await.expect("an answer")
}

/// The next piece of a body; the sender may go on.
pub async fn piece_of(body: &mut RecvStream) -> Option<Result<Bytes, h2::Error>> {
    let piece = within("a piece of a body", body.data()).await?;
    if let Ok(octets) = &piece {
        body.flow_control().release_capacity(octets.len()).expect("what was received");
    }
    Some(piece)
}

/// A body to its end.
pub async fn whole_of(body: &mut RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut whole = Vec::new();
    while let Some(piece) = piece_of(body).await {
        whole.extend_from_slice(&piece?);
    }
    Ok(whole)
}

/// Sends a piece of a body as the receiver takes it.
pub async fn push(stream: &mut SendStream<Bytes>, mut octets: Bytes, last: bool) -> Result<(), h2::Error> {
    while !octets.is_empty() {
        let count = push_some(stream, &octets, last).await?;
        drop(octets.split_to(count));
    }
    Ok(())
}

/// Sends as much of a piece as the receiver takes at once, when it takes anything.
pub async fn push_some(stream: &mut SendStream<Bytes>, octets: &Bytes, last: bool) -> Result<usize, h2::Error> {
    stream.reserve_capacity(octets.len());
    let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
    let room = room.unwrap_or_else(|| Err(h2::Reason::STREAM_CLOSED.into()))?;
    let count = room.min(octets.len());
    stream.send_data(octets.slice(..count), last && count == octets.len())?;
    Ok(count)
}
