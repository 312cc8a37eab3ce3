//! HTTP/2 peers that follow a script.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use h2::server::{Builder, Connection, SendResponse};
use h2::{RecvStream, SendStream};
use http::{Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

use super::super::super::client_tls::{ClientTls, TlsFiles};
use super::super::super::{Pool, Target};
use super::super::support::PATIENCE;
use crate::model::Origin;

/// Runs a test where tasks that stay on their thread can be spawned.
pub async fn local<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(2 * PATIENCE, LocalSet::new().run_until(test)).await.expect("the test hangs")
}

pub fn target_at(addresses: &[SocketAddr]) -> Arc<Target> {
    let origin = Origin::parse("h2c://app.test").unwrap();
    Arc::new(Target::new(origin, &ClientTls::load(TlsFiles::default()).unwrap(), addresses.to_vec()))
}

pub type Peer = Connection<TcpStream, Bytes>;

/// A listener that counts its connections.
pub struct Server {
    pub address: SocketAddr,
    pub target: Arc<Target>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// Runs `script` on each connection, with its number from 0 on.
    pub async fn start<F, Fut>(builder: Builder, script: F) -> Self
    where
        F: Fn(usize, Peer) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        let script = Arc::new(script);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (builder, script) = (builder.clone(), Arc::clone(&script));
                let number = counter.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    if let Ok(peer) = builder.handshake(socket).await {
                        script(number, peer).await;
                    }
                });
            }
        });
        Self { address, target: target_at(&[address]), connections }
    }

    /// Runs `answer` for each request, with the number of its connection.
    pub async fn answering<F, Fut>(builder: Builder, answer: F) -> Self
    where
        F: Fn(usize, Request<RecvStream>, SendResponse<Bytes>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let answer = Arc::new(answer);
        Self::start(builder, move |number, mut peer| {
            let answer = Arc::clone(&answer);
            async move {
                while let Some(Ok((request, respond))) = peer.accept().await {
                    tokio::spawn(answer(number, request, respond));
                }
            }
        })
        .await
    }

    /// 200 and `ok` for each request, whose body is read.
    pub async fn ok() -> Self {
        Self::answering(Builder::new(), |_, request, respond| async move {
            let mut body = request.into_body();
            while let Some(Ok(data)) = body.data().await {
                let _ = body.flow_control().release_capacity(data.len());
            }
            say_ok(respond);
        })
        .await
    }

    /// How many connections have come so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

pub fn status(code: u16) -> Response<()> {
    Response::builder().status(code).body(()).unwrap()
}

pub fn say_ok(mut respond: SendResponse<Bytes>) {
    // The other side may be gone already, which is what some tests are about.
    if let Ok(mut body) = respond.send_response(status(200), false) {
        let _ = body.send_data(Bytes::from_static(b"ok"), true);
    }
}

/// 200, and a body to go on with.
pub fn begin(respond: &mut SendResponse<Bytes>) -> SendStream<Bytes> {
    respond.send_response(status(200), false).unwrap()
}

/// Waits until a condition holds; the reactor runs meanwhile.
pub async fn until(mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it never came about");
}

/// Waits until so many connections are kept.
pub async fn until_kept(pool: &Pool, count: usize) {
    until(|| {
        pool.purge();
        pool.kept_http2() == count
    })
    .await;
}
