//! What stands before the authority in a test: it sees every request, can fail in the authority's place, and tells of renewal,
//! which Debian's pebble does not.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::support::authority::Authority;

/// Listens as long as the test runs.
pub struct Front {
    pub address: SocketAddr,
    state: Arc<State>,
}

struct State {
    address: SocketAddr,
    pebble: Mutex<Option<SocketAddr>>,
    seen: Mutex<Vec<Seen>>,
    /// A problem in place of the answer to newOrder.
    refuses: Mutex<Option<(u16, &'static str)>>,
    /// A chain in place of each that is issued.
    issues: Mutex<Option<String>>,
    /// The answer to newOrder begins and never ends.
    stalls: AtomicBool,
    /// It is not given before this is over.
    holds: watch::Sender<bool>,
    /// Start and end of every certificate's renewal window (RFC 3339).
    window: Mutex<Option<(String, String)>>,
    client: reqwest::Client,
}

/// A request to the authority.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub path: String,
    /// What a JWS holds.
    pub payload: Value,
}

impl Seen {
    pub fn is_new_order(&self) -> bool {
        self.method == "POST" && self.path == "/order-plz"
    }
}

impl Front {
    /// Starts with the certificate `pebble` of this authority.
    pub async fn start(authority: &Authority) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let chain = CertificateDer::pem_file_iter(authority.path("pebble.crt")).expect("a chain").map(|cert| cert.expect("a certificate"));
        let key = PrivateKeyDer::from_pem_file(authority.path("pebble.key")).expect("a key");
        let tls = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain.collect(), key).expect("a pair");
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let roots = reqwest::Certificate::from_pem_bundle(&std::fs::read(authority.path("ca.crt")).expect("the CA")).expect("certificates");
        let client = reqwest::Client::builder().no_proxy().http1_only().tls_certs_only(roots).build().expect("a client");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (pebble, seen, refuses, issues, stalls, window) = Default::default();
        let state = State { address, pebble, seen, refuses, issues, stalls, holds: watch::Sender::new(false), window, client };
        let state = Arc::new(state);
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, state) = (acceptor.clone(), Arc::clone(&shared));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |request| answer(Arc::clone(&state), request));
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, state }
    }

    /// Everything so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().expect("not poisoned").clone()
    }

    /// Where the authority is; without one, requests are answered 503.
    pub fn forward_to(&self, pebble: Option<SocketAddr>) {
        *self.state.pebble.lock().expect("not poisoned") = pebble;
    }

    /// Answers newOrder with a problem of this status and kind, or no more.
    pub fn refuse_orders(&self, problem: Option<(u16, &'static str)>) {
        *self.state.refuses.lock().expect("not poisoned") = problem;
    }

    /// Gives this chain in place of each that is issued, or none any more.
    pub fn issue_instead(&self, chain: Option<&str>) {
        *self.state.issues.lock().expect("not poisoned") = chain.map(str::to_owned);
    }

    /// Begins the answer to newOrder and never ends it.
    pub fn stall_orders(&self, stalls: bool) {
        self.state.stalls.store(stalls, Ordering::Relaxed);
    }

    /// Answers newOrder once this is over.
    pub fn hold_orders(&self, holds: bool) {
        self.state.holds.send_replace(holds);
    }

    /// Tells when certificates should be renewed.
    pub fn tell_window(&self, start: &str, end: &str) {
        *self.state.window.lock().expect("not poisoned") = Some((start.to_owned(), end.to_owned()));
    }
}

type Body = BoxBody<Bytes, Infallible>;

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let stalls = state.stalls.load(Ordering::Relaxed);
    let (answer, seen) = pass(state, request).await;
    Ok(if stalls && seen.is_new_order() {
        let first = futures_util::stream::iter([Ok(Frame::data(Bytes::from_static(b"{")))]);
        let body = StreamBody::new(futures_util::StreamExt::chain(first, futures_util::stream::pending()));
        Response::builder().status(201).body(BodyExt::boxed(body)).expect("a response")
    } else {
        answer.map(|body| body.boxed())
    })
}

async fn pass(state: Arc<State>, request: Request<Incoming>) -> (Response<Full<Bytes>>, Seen) {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    let (method, path) = (parts.method.to_string(), parts.uri.path().to_owned());
    let seen = Seen { method, path, payload: payload(&body) };
    state.seen.lock().expect("not poisoned").push(seen.clone());
    let refused = state.refuses.lock().expect("not poisoned").filter(|_| seen.is_new_order());
    let (pebble, window) = (*state.pebble.lock().expect("not poisoned"), state.window.lock().expect("not poisoned").clone());
    if let Some((status, kind)) = refused {
        return (problem(&state, pebble, status, kind).await, seen);
    }
    if let (Some((start, end)), true) = (&window, seen.path.starts_with("/renewal-info/")) {
        let mut told = json_answer(200, &json!({"suggestedWindow": {"start": start, "end": end}}));
        told.headers_mut().insert("retry-after", http::HeaderValue::from_static("1"));
        return (told, seen);
    }
    let down = || json_answer(503, &json!({"type": "about:blank", "detail": "down", "status": 503}));
    let Some(pebble) = pebble else { return (down(), seen) };
    if seen.is_new_order() {
        // The sender lives as long as the state.
        let _ = state.holds.subscribe().wait_for(|holds| !holds).await;
    }
    let mut forwarded = state.client.request(parts.method, format!("https://{pebble}{}", parts.uri));
    for (name, value) in parts.headers.iter().filter(|(name, _)| *name != "host" && *name != "content-length") {
        forwarded = forwarded.header(name, value);
    }
    // pebble makes its URLs of this, and so every request comes by here.
    let answer = forwarded.header("host", state.address.to_string()).body(body).send().await;
    let Ok(answer) = answer else { return (down(), seen) };
    let (status, fields) = (answer.status(), answer.headers().clone());
    let mut body = answer.bytes().await.unwrap_or_default();
    if seen.path == "/dir" && window.is_some() {
        body = with(&body, "renewalInfo", json!(format!("https://{}/renewal-info", state.address)));
    }
    if let (true, Some(replaces)) = (seen.is_new_order(), seen.payload.get("replaces")) {
        body = with(&body, "replaces", replaces.clone());
    }
    let instead = state.issues.lock().expect("not poisoned").clone().filter(|_| seen.path.starts_with("/certZ/"));
    body = instead.map_or(body, Bytes::from);
    let mut response = Response::builder().status(status).body(Full::new(body)).expect("a response");
    for (name, value) in fields.iter().filter(|(name, _)| *name != "content-length" && *name != "transfer-encoding") {
        response.headers_mut().append(name, value.clone());
    }
    (response, seen)
}

/// With a fresh nonce, as every answer has one.
async fn problem(state: &State, pebble: Option<SocketAddr>, status: u16, kind: &str) -> Response<Full<Bytes>> {
    let body = json!({"type": format!("urn:ietf:params:acme:error:{kind}"), "detail": "by order of the test", "status": status});
    let mut response = json_answer(status, &body);
    if let Some(pebble) = pebble
        && let Ok(answer) = state.client.head(format!("https://{pebble}/nonce-plz")).send().await
        && let Some(nonce) = answer.headers().get("replay-nonce")
    {
        response.headers_mut().insert("replay-nonce", nonce.clone());
    }
    response
}

fn json_answer(status: u16, body: &Value) -> Response<Full<Bytes>> {
    let status = StatusCode::from_u16(status).expect("a status");
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.to_string())))
        .expect("a response")
}

fn with(body: &[u8], name: &str, value: Value) -> Bytes {
    match serde_json::from_slice::<Value>(body) {
        Ok(mut document) => {
            document[name] = value;
            Bytes::from(document.to_string())
        }
        Err(_) => Bytes::copy_from_slice(body),
    }
}

fn payload(body: &[u8]) -> Value {
    let jws: Value = serde_json::from_slice(body).unwrap_or_default();
    let payload = jws["payload"].as_str().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    payload.and_then(|payload| serde_json::from_slice(&payload).ok()).unwrap_or_default()
}
