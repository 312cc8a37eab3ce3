//! hyper's server as an app for the cases: it answers what the target asks for, and else with what it has seen.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, TRAILER};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};

use super::verdict::{latin1, octets_of, pairs, pattern, sha256};

type Body = BoxBody<Bytes, std::io::Error>;
type Pieces = mpsc::Sender<Result<Frame<Bytes>, std::io::Error>>;

/// What clients have told about events, by the name that they chose.
static NEWS: LazyLock<Mutex<HashMap<String, Arc<Semaphore>>>> = LazyLock::new(Mutex::default);

/// A server that runs until it is dropped.
pub struct HyperServer {
    pub address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl HyperServer {
    /// On a port of its own.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).expect("a socket");
                let mut builder = hyper::server::conn::http1::Builder::new();
                let builder = builder.half_close(true).max_buf_size(128 * 1024);
                let connection = builder.serve_connection(TokioIo::new(stream), service_fn(answer));
                connections.spawn(async move { drop(connection.await) });
            }
        });
        Self { address, task }
    }
}

impl Drop for HyperServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Body>, std::io::Error> {
    let path = request.uri().path().to_owned();
    let (first, rest) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
    match first {
        "reply" => reply(request, rest).await,
        "events" => Ok(events(news(rest))),
        "next" => {
            news(rest).add_permits(1);
            Ok(empty(StatusCode::NO_CONTENT))
        }
        "mirror" => {
            let body = request.into_body().map_err(std::io::Error::other).boxed();
            Ok(Response::builder().header(CONTENT_TYPE, "application/octet-stream").body(body).expect("a response"))
        }
        "early" | "unwanted" => {
            let body = request.into_body();
            // What was not asked for with a 100 is not read; the rest of an upload that runs is.
            if first == "early" {
                tokio::spawn(body.collect());
            }
            let refused = Response::builder().status(403).header(CONTENT_TYPE, "text/plain");
            Ok(refused.body(whole(&b"too much"[..])).expect("a response"))
        }
        _ => echo(request).await,
    }
}

async fn echo(request: Request<Incoming>) -> Result<Response<Body>, std::io::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?;
    let trailers = body.trailers().map(pairs).unwrap_or_default();
    let octets = body.to_bytes();
    let seen = json!({
        "method": parts.method.as_str(), "target": parts.uri.to_string(), "headers": pairs(&parts.headers), "trailers": trailers,
        "octets": octets.len(), "sha256": sha256(&octets),
    });
    Ok(Response::builder().header(CONTENT_TYPE, "application/json").body(whole(seen.to_string())).expect("a response"))
}

async fn reply(request: Request<Incoming>, wanted: &str) -> Result<Response<Body>, std::io::Error> {
    let wanted: Value = serde_json::from_slice(&unhex(wanted)).expect("a reply in JSON");
    let (parts, body) = request.into_parts();
    body.collect().await.map_err(std::io::Error::other)?;
    let octets = match wanted["hex"].as_str() {
        Some(digits) => unhex(digits),
        None => pattern(usize::try_from(wanted["octets"].as_u64().unwrap_or(0)).expect("a size")),
    };
    let framing = wanted["framing"].as_str().expect("a framing");
    let mut response = empty(StatusCode::from_u16(u16::try_from(wanted["status"].as_u64().unwrap()).unwrap()).unwrap());
    *response.headers_mut() = fields(&parts.headers, &wanted["headers"]);
    let trailers = fields(&parts.headers, &wanted["trailers"]);
    for name in trailers.keys() {
        response.headers_mut().append(TRAILER, HeaderValue::from(name.clone()));
    }
    if framing == "length" {
        response.headers_mut().insert(CONTENT_LENGTH, octets.len().into());
    }
    if framing == "close" {
        *response.version_mut() = Version::HTTP_10;
    }
    if framing != "none" {
        let pieces = usize::try_from(wanted["pieces"].as_u64().unwrap_or(1)).expect("a number");
        let cut = wanted["cut"] == true;
        *response.body_mut() = streamed(octets, pieces, cut, trailers);
    }
    Ok(response)
}

fn streamed(octets: Vec<u8>, pieces: usize, cut: bool, trailers: HeaderMap) -> Body {
    let (sender, body) = channel();
    tokio::spawn(async move {
        let half = octets.len() / 2;
        let octets = if cut { &octets[..half] } else { &octets[..] };
        for piece in octets.chunks(octets.len().div_ceil(pieces).max(1)) {
            let _ = sender.send(Ok(Frame::data(Bytes::copy_from_slice(piece)))).await;
        }
        if cut {
            let _ = sender.send(Err(std::io::Error::other("cut"))).await;
        } else if !trailers.is_empty() {
            let _ = sender.send(Ok(Frame::trailers(trailers))).await;
        }
    });
    body
}

fn events(news: Arc<Semaphore>) -> Response<Body> {
    let (sender, body) = channel();
    tokio::spawn(async move {
        for count in 1..=5 {
            let _ = sender.send(Ok(Frame::data(Bytes::from(format!("id: {count}\ndata: event {count}\n\n"))))).await;
            news.acquire().await.expect("open").forget();
        }
    });
    let head = Response::builder().header(CONTENT_TYPE, "text/event-stream").header("cache-control", "no-store");
    head.body(body).expect("a response")
}

fn news(name: &str) -> Arc<Semaphore> {
    Arc::clone(NEWS.lock().expect("not poisoned").entry(name.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(0))))
}

/// Fields as a case wants them: text, or a number of `x`.
fn fields(asked: &HeaderMap, wanted: &Value) -> HeaderMap {
    let text = |name: &str| asked.get(name).and_then(|value| value.to_str().ok());
    let origin = format!("{}://{}", text("x-forwarded-proto").unwrap_or("http"), text(HOST.as_str()).unwrap_or_default());
    let mut headers = HeaderMap::new();
    for pair in wanted.as_array().into_iter().flatten() {
        let value = match pair[1].as_str() {
            Some(text) => octets_of(&text.replace("{origin}", &origin)),
            None => vec![b'x'; usize::try_from(pair[1]["times"].as_u64().expect("a number")).expect("a size")],
        };
        let name = HeaderName::from_bytes(pair[0].as_str().expect("a name").as_bytes()).expect("a name");
        headers.append(name, HeaderValue::from_bytes(&value).unwrap_or_else(|_| panic!("{}", latin1(&value))));
    }
    headers
}

fn channel() -> (Pieces, Body) {
    let (sender, mut receiver) = mpsc::channel(1);
    let stream = futures_util::stream::poll_fn(move |context| receiver.poll_recv(context));
    (sender, BodyExt::boxed(StreamBody::new(stream)))
}

fn whole(octets: impl Into<Bytes>) -> Body {
    Full::new(octets.into()).map_err(|never| match never {}).boxed()
}

fn empty(status: StatusCode) -> Response<Body> {
    Response::builder().status(status).body(whole("")).expect("a response")
}

fn unhex(digits: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits");
    (0..digits.len()).step_by(2).map(digit).collect()
}
