//! Peers that follow a script, bodies that are fed by hand, and short ways to send.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty, Full};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::super::client_tls::{ClientTls, TlsFiles};
use super::super::{BodyError, Pool, PoolSettings, Progress, Request, SendError, Target, UpstreamBody};
use crate::message::Fields;
use crate::model::Origin;
use crate::observe::Metrics;

/// Longer than any test should take; where it passes, something hangs.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn settings() -> PoolSettings {
    PoolSettings { connect_timeout: PATIENCE, response_timeout: PATIENCE, idle_timeout: PATIENCE, max_head: 16 * 1024 }
}

pub fn pool() -> Pool {
    pool_with(settings())
}

pub fn pool_with(settings: PoolSettings) -> Pool {
    Pool::new(settings, Arc::new(Metrics::default()))
}

/// A target with fixed addresses.
pub fn target_at(addresses: &[SocketAddr]) -> Arc<Target> {
    let origin = Origin::parse("http://app.test").unwrap();
    Arc::new(Target::new(origin, &ClientTls::load(TlsFiles::default()).unwrap(), addresses.to_vec()))
}

/// One connection at the server's side.
pub struct Peer {
    pub socket: TcpStream,
}

impl Peer {
    /// Reads up to the end of a head, octet by octet so that nothing behind it is taken.
    pub async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.socket.read_u8().await.unwrap());
        }
        String::from_utf8(head).unwrap()
    }

    pub async fn exactly(&mut self, count: usize) -> Vec<u8> {
        let mut octets = vec![0; count];
        self.socket.read_exact(&mut octets).await.unwrap();
        octets
    }

    pub async fn say(&mut self, octets: impl AsRef<[u8]>) {
        // The other side may be gone already, which is what some tests are about.
        let _ = self.socket.write_all(octets.as_ref()).await;
    }

    /// Everything until the other side closes.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = self.socket.read_to_end(&mut rest).await;
        rest
    }

    /// Closes with a reset.
    pub fn reset(self) {
        self.socket.set_zero_linger().unwrap();
    }
}

/// A listener that counts its connections.
pub struct Server {
    pub address: SocketAddr,
    pub target: Arc<Target>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// Runs `script` on each connection, with the connection's number from 0 on.
    pub async fn start<F, Fut>(script: F) -> Self
    where
        F: Fn(usize, Peer) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                socket.set_nodelay(true).unwrap();
                tokio::spawn(script(counter.fetch_add(1, Ordering::SeqCst), Peer { socket }));
            }
        });
        Self { address, target: target_at(&[address]), connections }
    }

    /// Answers every request head with the same octets, on connections that stay open.
    pub async fn replying(octets: impl Into<Vec<u8>>) -> Self {
        let octets = Arc::new(octets.into());
        Self::start(move |_, mut peer| {
            let octets = Arc::clone(&octets);
            async move {
                let mut head = Vec::new();
                while let Ok(octet) = peer.socket.read_u8().await {
                    head.push(octet);
                    if head.ends_with(b"\r\n\r\n") {
                        head.clear();
                        peer.say(octets.as_slice()).await;
                    }
                }
            }
        })
        .await
    }

    /// How many connections have come so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl<B> From<http::Request<B>> for Request<B> {
    fn from(request: http::Request<B>) -> Self {
        let (parts, body) = request.into_parts();
        Self { method: parts.method, uri: parts.uri, fields: Fields::from(&parts.headers), body }
    }
}

impl<B> From<super::super::Response<B>> for Response<UpstreamBody<B>> {
    fn from(from: super::super::Response<B>) -> Self {
        let mut response = Self::new(from.body);
        *response.status_mut() = from.status;
        *response.headers_mut() = from.fields.to_map();
        if let Some(reason) = from.reason {
            response.extensions_mut().insert(reason);
        }
        response
    }
}

/// Sends on one target.
pub async fn send<B>(pool: &Pool, target: &Arc<Target>, request: impl Into<Request<B>>) -> Result<Response<UpstreamBody<B>>, SendError>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let targets = [Arc::clone(target)];
    let progress = Progress::default();
    tokio::time::timeout(PATIENCE, pool.send(&targets, 0, request.into(), &progress, &|_| ()))
        .await
        .expect("send hangs")
        .map(|response| Response::from(*response))
}

pub fn request(method: &str) -> http::request::Builder {
    http::Request::builder().method(method).uri("/path?query").header("host", "app.test")
}

pub fn get() -> Request<Empty<Bytes>> {
    request("GET").body(Empty::new()).unwrap().into()
}

pub fn post(body: &'static str) -> Request<Full<Bytes>> {
    request("POST").body(Full::new(Bytes::from(body))).unwrap().into()
}

/// A whole body and its trailers.
pub async fn read<B>(body: UpstreamBody<B>) -> Result<(Vec<u8>, Option<HeaderMap>), BodyError>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let collected = tokio::time::timeout(PATIENCE, body.collect()).await.expect("the body hangs")?;
    let trailers = collected.trailers().cloned();
    Ok((collected.to_bytes().to_vec(), trailers))
}

/// GET, and the whole body.
pub async fn fetch(pool: &Pool, target: &Arc<Target>) -> (u16, String) {
    let response = send(pool, target, get()).await.unwrap();
    let status = response.status().as_u16();
    let (body, _) = read(response.into_body()).await.unwrap();
    (status, String::from_utf8(body).unwrap())
}

/// A body that is fed by hand.
pub struct Feed(mpsc::Receiver<Result<Frame<Bytes>, std::io::Error>>);

pub type Feeder = mpsc::Sender<Result<Frame<Bytes>, std::io::Error>>;

pub fn feed() -> (Feeder, Feed) {
    let (sender, receiver) = mpsc::channel(1);
    (sender, Feed(receiver))
}

pub fn data(octets: impl Into<Bytes>) -> Result<Frame<Bytes>, std::io::Error> {
    Ok(Frame::data(octets.into()))
}

impl Body for Feed {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        self.0.poll_recv(cx)
    }
}
