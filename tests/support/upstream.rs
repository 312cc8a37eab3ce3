//! An app behind the gateway: hyper's server on a port of its own, answering what the test says and keeping what it was
//! asked.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// A body of a test's answer.
pub type TestBody = BoxBody<Bytes, Infallible>;
type Handler = Arc<dyn Fn(Request<Incoming>) -> Pin<Box<dyn Future<Output = Response<TestBody>> + Send>> + Send + Sync>;

/// What an app shall do.
pub struct Upstream(Handler);

/// An app that runs until it is dropped.
pub struct RunningUpstream {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<http::request::Parts>>>,
    task: tokio::task::JoinHandle<()>,
}

/// A whole body.
pub fn full(bytes: impl Into<Bytes>) -> TestBody {
    Full::new(bytes.into()).boxed()
}

/// A body that is sent piece by piece, as they come, without a length.
pub fn pieces(mut receiver: tokio::sync::mpsc::Receiver<Bytes>) -> TestBody {
    let frames = futures_util::stream::poll_fn(move |context| receiver.poll_recv(context).map(|piece| piece.map(|p| Ok(Frame::data(p)))));
    StreamBody::new(frames).boxed()
}

impl Upstream {
    /// Answers every request with this text.
    pub fn replying(text: &'static str) -> Self {
        Self::with(move |_| async move { Response::new(full(text)) })
    }

    /// Answers with the request's method, target and header fields as JSON: `{method, target, headers: {name: [values]}, body}`.
    pub fn echoing() -> Self {
        Self::with(|request| async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            let mut headers = serde_json::Map::new();
            for (name, value) in &parts.headers {
                let list = headers.entry(name.as_str()).or_insert_with(|| serde_json::json!([]));
                list.as_array_mut().expect("a list").push(String::from_utf8_lossy(value.as_bytes()).into());
            }
            let document = serde_json::json!({
                "method": parts.method.as_str(), "target": parts.uri.to_string(), "headers": headers,
                "body": String::from_utf8_lossy(&body),
            });
            Response::new(full(document.to_string()))
        })
    }

    /// Answers what `handler` says.
    pub fn with<F, Fut>(handler: F) -> Self
    where
        F: Fn(Request<Incoming>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Response<TestBody>> + Send + 'static,
    {
        Self(Arc::new(move |request| Box::pin(handler(request))))
    }

    /// Starts it.
    pub async fn start(self) -> RunningUpstream {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let seen: Arc<Mutex<Vec<http::request::Parts>>> = Arc::default();
        let (handler, kept) = (self.0, Arc::clone(&seen));
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (handler, kept) = (Arc::clone(&handler), Arc::clone(&kept));
                let service = service_fn(move |request: Request<Incoming>| {
                    let (parts, body) = request.into_parts();
                    kept.lock().expect("not poisoned").push(parts.clone());
                    // The extensions carry what an upgrade needs.
                    let answer = handler(Request::from_parts(parts, body));
                    async move { Ok::<_, Infallible>(answer.await) }
                });
                let builder = hyper::server::conn::http1::Builder::new();
                let connection = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
                connections.spawn(async move { drop(connection.await) });
            }
        });
        RunningUpstream { address, seen, task }
    }
}

impl RunningUpstream {
    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The heads of all requests so far.
    pub fn seen(&self) -> Vec<http::request::Parts> {
        self.seen.lock().expect("not poisoned").clone()
    }
}

impl Drop for RunningUpstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}
