//! An app that speaks HTTP/2 only, as the test says, in clear or over TLS; and a gateway in front of it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use gatehouse::model::Host;
use h2::server::{Builder, Connection, SendResponse};
use h2::{RecvStream, SendStream};
use http::{Request, Response};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::gateway::GatewayBuilder;
use crate::support::{TestGateway, tenant};

/// Both ways to be reached.
pub const SCHEMES: [&str; 2] = ["h2c", "h2"];

/// What an app's connections run on.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}
pub type Peer = Connection<Box<dyn Io>, Bytes>;

/// An app that runs until it is dropped.
pub struct App {
    pub address: SocketAddr,
    scheme: &'static str,
    ca: Option<PathBuf>,
    connections: Arc<AtomicUsize>,
    _dir: tempfile::TempDir,
    task: tokio::task::JoinHandle<()>,
}

impl App {
    /// Runs `script` on each connection, with its number from 0 on.
    pub async fn scripted<F, Fut>(scheme: &'static str, builder: Builder, script: F) -> Self
    where
        F: Fn(usize, Peer) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send,
    {
        let dir = tempfile::tempdir().unwrap();
        let (acceptor, ca) = if scheme == "h2" { secured(&dir) } else { (None, None) };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (count, script) = (Arc::clone(&connections), Arc::new(script));
        let task = tokio::spawn(async move {
            let mut tasks = tokio::task::JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                socket.set_nodelay(true).unwrap();
                let (builder, script, acceptor) = (builder.clone(), Arc::clone(&script), acceptor.clone());
                let number = count.fetch_add(1, Ordering::SeqCst);
                tasks.spawn(async move {
                    let io: Box<dyn Io> = match acceptor {
                        Some(acceptor) => match acceptor.accept(socket).await {
                            Ok(stream) => Box::new(stream),
                            Err(_) => return,
                        },
                        None => Box::new(socket),
                    };
                    if let Ok(peer) = builder.handshake(io).await {
                        script(number, peer).await;
                    }
                });
            }
        });
        Self { address, scheme, ca, connections, _dir: dir, task }
    }

    /// Runs `answer` for each request, with the number of its connection.
    pub async fn answering<F, Fut>(scheme: &'static str, builder: Builder, answer: F) -> Self
    where
        F: Fn(usize, Request<RecvStream>, SendResponse<Bytes>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let answer = Arc::new(answer);
        Self::scripted(scheme, builder, move |number, mut peer| {
            let answer = Arc::clone(&answer);
            async move {
                let mut tasks = tokio::task::JoinSet::new();
                while let Some(Ok((request, respond))) = peer.accept().await {
                    tasks.spawn(answer(number, request, respond));
                }
            }
        })
        .await
    }

    /// A gateway in front of it, with a tenant `acme`; not started yet.
    pub fn gateway(&self) -> GatewayBuilder {
        let url = format!("{}://127.0.0.1:{}", self.scheme, self.address.port());
        let builder = TestGateway::to_url(&url).set("listen.workers", "1").tenant(tenant("acme"));
        match &self.ca {
            Some(ca) => builder.set("upstream.ca_file", &ca.display().to_string()),
            None => builder,
        }
    }

    /// How many connections have come so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn secured(dir: &tempfile::TempDir) -> (Option<TlsAcceptor>, Option<PathBuf>) {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let made = gatehouse::tls::write_dev_certificates(dir.path(), &Host::parse("app.localhost").unwrap()).unwrap();
    let chain = CertificateDer::pem_file_iter(&made.cert).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(&made.key).unwrap();
    let mut config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    (Some(TlsAcceptor::from(Arc::new(config))), Some(made.ca))
}

/// 200, and a body to go on with.
pub fn begin(respond: &mut SendResponse<Bytes>) -> SendStream<Bytes> {
    respond.send_response(Response::new(()), false).unwrap()
}

/// 200 and a text; the client may be gone.
pub fn say(mut respond: SendResponse<Bytes>, text: impl Into<Bytes>) {
    if let Ok(mut body) = respond.send_response(Response::new(()), false) {
        let _ = body.send_data(text.into(), true);
    }
}

/// Sends as the windows allow; false when the stream was reset.
pub async fn write_all(out: &mut SendStream<Bytes>, mut octets: Bytes) -> bool {
    while !octets.is_empty() {
        out.reserve_capacity(octets.len());
        while out.capacity() == 0 {
            if std::future::poll_fn(|cx| out.poll_capacity(cx)).await.is_none() {
                return false;
            }
        }
        let piece = octets.split_to(out.capacity().min(octets.len()));
        if out.send_data(piece, false).is_err() {
            return false;
        }
    }
    true
}
