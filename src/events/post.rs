//! One attempt: the name is looked up, its addresses are checked, and the event is posted to one of those that were.
//!
//! A connection of its own for each attempt, to an address that was checked a moment before: nobody resolves the name again, so
//! that it cannot lead elsewhere meanwhile. Redirects are not followed.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::RootCertStore;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;
use url::{Host, Position, Url};

use super::address::Guard;
use super::backoff;
use super::record::{Attempt, Ended};
use super::signature::sign;
use crate::clock::{Clock, SystemClock, instant};
use crate::config::EventEndpoint;
use crate::model::EventId;
use crate::trust;

/// For one of several addresses.
const CONNECT: Duration = Duration::from_secs(5);
/// Of a name that has more, the others are not tried.
const MOST_ADDRESSES: usize = 4;
/// Of the body of an answer.
const MOST_OCTETS: usize = 64 * 1024;
/// Of them that are kept of a failure.
const KEPT_OCTETS: usize = 1024;
/// Of what went wrong, characters.
const MOST_WORDS: usize = 300;
/// How long the body of a success is waited for; nobody reads it.
const MANNERS: Duration = Duration::from_secs(1);

/// Posts events.
pub(super) struct Poster {
    tls: TlsConnector,
    guard: Guard,
    patience: Duration,
}

/// The head of an answer, and how its body begins.
struct Answer {
    status: StatusCode,
    location: Option<String>,
    retry_after: Option<String>,
    begin: Option<String>,
}

impl Poster {
    /// For these endpoints. The system's roots are read where one of them is spoken to over TLS.
    pub fn new(guard: Guard, patience: Duration, endpoints: &[EventEndpoint]) -> Self {
        let is_tls = endpoints.iter().any(|endpoint| endpoint.url.scheme() == "https");
        let mut tls = trust::client_config(if is_tls { trust::system_roots() } else { RootCertStore::empty() });
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self { tls: TlsConnector::from(Arc::new(tls)), guard, patience }
    }

    /// One attempt, to its end. `lookups` bounds the threads that the endpoint's name server holds up.
    pub async fn attempt(&self, to: &EventEndpoint, lookups: &Arc<Semaphore>, id: EventId, body: Bytes) -> Ended {
        let (time, begun) = (SystemClock.now(), instant());
        let outcome = match timeout(self.patience, self.post(to, lookups, id, body)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("no answer within {:?}", self.patience)),
        };
        let took = instant().saturating_duration_since(begun);
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        match outcome {
            Ok(answer) => {
                let is_busy = matches!(answer.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
                let asked = answer.retry_after.as_ref().filter(|_| is_busy);
                let asked = asked.and_then(|field| backoff::retry_after(field, SystemClock.now()));
                let (status, error) = (Some(answer.status.as_u16()), answer.error());
                let attempt = Attempt { time, status, error, duration_ms, answer: answer.begin };
                Ended { attempt, is_final: answer.status == StatusCode::GONE, asked }
            }
            Err(error) => {
                let error = Some(error.chars().take(MOST_WORDS).collect());
                let attempt = Attempt { time, status: None, error, duration_ms, answer: None };
                Ended { attempt, is_final: false, asked: None }
            }
        }
    }

    async fn post(&self, to: &EventEndpoint, lookups: &Arc<Semaphore>, id: EventId, body: Bytes) -> Result<Answer, String> {
        let is_tls = to.url.scheme() == "https";
        let addresses = resolve(&to.url, lookups).await?;
        if let Some(refusal) = addresses.iter().find_map(|address| self.guard.refusal(*address, is_tls)) {
            return Err(format!("refused: {refusal}"));
        }
        let tcp = connect(&addresses).await?;
        let request = request(to, id, body)?;
        if !is_tls {
            return exchange(tcp, request).await;
        }
        let name = server_name(&to.url)?;
        let tls = self.tls.connect(name, tcp).await.map_err(|error| format!("TLS: {error}"))?;
        exchange(tls, request).await
    }
}

impl Answer {
    /// Why it is no success.
    fn error(&self) -> Option<String> {
        if self.status.is_success() {
            return None;
        }
        let location = self.location.as_ref().filter(|_| self.status.is_redirection());
        let location = location.map(|location| format!(", a redirect to {location}, which is not followed")).unwrap_or_default();
        Some(format!("answered {}{location}", self.status))
    }
}

/// Every address of the endpoint's host, in the order of the system, each once.
async fn resolve(url: &Url, lookups: &Arc<Semaphore>) -> Result<Vec<SocketAddr>, String> {
    let port = url.port_or_known_default().unwrap_or(443);
    let name = match url.host() {
        Some(Host::Ipv4(ip)) => return Ok(vec![SocketAddr::new(ip.into(), port)]),
        Some(Host::Ipv6(ip)) => return Ok(vec![SocketAddr::new(ip.into(), port)]),
        Some(Host::Domain(name)) => name.to_owned(),
        None => return Err("the URL has no host".to_owned()),
    };
    // It blocks a thread until it answers, whoever still waits; the permit is held as long.
    let permit = Arc::clone(lookups).acquire_owned().await.map_err(|error| error.to_string())?;
    let asked = name.clone();
    let looking = tokio::task::spawn_blocking(move || {
        let found: io::Result<Vec<SocketAddr>> = (asked.as_str(), port).to_socket_addrs().map(Iterator::collect);
        drop(permit);
        found
    });
    let found = looking.await.map_err(|error| error.to_string())?.map_err(|error| format!("{name} does not resolve: {error}"))?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() { Err(format!("{name} has no address")) } else { Ok(addresses) }
}

async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, String> {
    let mut last = String::new();
    for address in addresses.iter().take(MOST_ADDRESSES) {
        match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => {
                // Without it, it is only slower.
                let _ = tcp.set_nodelay(true);
                return Ok(tcp);
            }
            Ok(Err(error)) => last = format!("no connection to {address}: {error}"),
            Err(_) => last = format!("no connection to {address} within {CONNECT:?}"),
        }
    }
    Err(last)
}

fn server_name(url: &Url) -> Result<ServerName<'static>, String> {
    let wrong = |_| "no certificate can carry the name of this host".to_owned();
    match url.host() {
        Some(Host::Ipv4(ip)) => Ok(ServerName::from(std::net::IpAddr::from(ip))),
        Some(Host::Ipv6(ip)) => Ok(ServerName::from(std::net::IpAddr::from(ip))),
        Some(Host::Domain(name)) => ServerName::try_from(name.to_owned()).map_err(wrong),
        None => Err("the URL has no host".to_owned()),
    }
}

fn request(to: &EventEndpoint, id: EventId, body: Bytes) -> Result<Request<Full<Bytes>>, String> {
    let seconds = SystemClock.now().0.div_euclid(1000);
    Request::post(&to.url[Position::BeforePath..Position::AfterQuery])
        .header(header::HOST, &to.url[Position::BeforeHost..Position::AfterPort])
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, concat!("gatehouse/", env!("CARGO_PKG_VERSION")))
        .header(header::CONNECTION, "close")
        .header("webhook-id", id.to_string())
        .header("webhook-timestamp", seconds)
        .header("webhook-signature", sign(&to.keys, id, seconds, &body))
        .body(Full::new(body))
        .map_err(|error| format!("the request cannot be made: {error}"))
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Answer, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let failed = |error: hyper::Error| match std::error::Error::source(&error) {
        Some(source) => format!("no answer: {error}: {source}"),
        None => format!("no answer: {error}"),
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
    let response = sender.send_request(request).await.map_err(failed)?;
    let field = |name: header::HeaderName| response.headers().get(name).map(|value| shown(value.as_bytes(), 200));
    let (location, retry_after) = (field(header::LOCATION), field(header::RETRY_AFTER));
    let status = response.status();
    if status.is_success() {
        // Whatever comes of it, the event has arrived.
        let _ = timeout(MANNERS, begin_of(response)).await;
        return Ok(Answer { status, location, retry_after, begin: None });
    }
    let begin = begin_of(response).await;
    Ok(Answer { status, location, retry_after, begin: (!begin.is_empty()).then(|| shown(&begin, KEPT_OCTETS)) })
}

/// How a body begins; all of it is read where it is not long, so that the other side sees it taken.
fn begin_of(response: Response<Incoming>) -> impl Future<Output = Bytes> {
    let mut body = response.into_body();
    async move {
        let (mut kept, mut read) = (BytesMut::new(), 0);
        while read < MOST_OCTETS
            && let Some(Ok(frame)) = body.frame().await
        {
            let Ok(data) = frame.into_data() else { break };
            read += data.len();
            kept.extend_from_slice(data.get(..KEPT_OCTETS - kept.len()).unwrap_or(&data));
        }
        kept.freeze()
    }
}

/// Text from the outside, on one line.
fn shown(octets: &[u8], most: usize) -> String {
    let text = String::from_utf8_lossy(octets.get(..most).unwrap_or(octets)).into_owned();
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect::<String>().trim().to_owned()
}
