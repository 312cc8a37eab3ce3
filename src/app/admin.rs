//! The admin listener: the admin API behind limits of its own, because with a token it may face a network.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower::ServiceExt;

use crate::config::Protection;

/// Connections at the same time; operators and their tools need few.
const MAX_CONNECTIONS: usize = 256;
/// After an error of `accept`, such as too many open files.
const BREATH: Duration = Duration::from_millis(50);

/// Serves until the set is dropped.
pub(super) fn serve(listener: TcpListener, router: Router, limits: &Protection) -> std::io::Result<JoinSet<()>> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let patience = limits.header_timeout;
    let mut set = JoinSet::new();
    set.spawn(async move {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            // The semaphore is never closed; whoever is one too many waits to be accepted.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let router = router.clone();
                    connections.spawn(async move {
                        connection(stream, peer, router, patience).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::error!(%error, "the admin listener cannot accept a connection");
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
    });
    Ok(set)
}

async fn connection(stream: TcpStream, peer: SocketAddr, router: Router, patience: Duration) {
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = router.clone().oneshot(request.map(Body::new));
        async move { answer.await.map_err(|never: Infallible| never) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(patience);
    if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%peer, %error, "a connection to the admin API ended");
    }
}
