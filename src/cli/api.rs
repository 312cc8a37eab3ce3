//! The admin API as verbs ask it: one request, one answer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use secrecy::ExposeSecret;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::settings::WrongUsage;
use crate::config::Config;
use crate::model::{Origin, Scheme};

const CONNECT: Duration = Duration::from_secs(5);
/// The longest answers read the whole store.
const ANSWER: Duration = Duration::from_secs(300);

/// What an API answered.
pub(super) struct Answer {
    pub status: StatusCode,
    pub body: Value,
}

/// Where the admin API is: where `url` says, else the listener of the configuration.
pub(super) fn address(url: Option<&str>, config: &Config) -> anyhow::Result<SocketAddr> {
    let Some(url) = url else { return Ok(reachable(config.listen.admin)) };
    address_of(url)
}

/// The address of an `--admin` URL.
pub(super) fn address_of(url: &str) -> anyhow::Result<SocketAddr> {
    let origin = Origin::parse(url).map_err(|error| WrongUsage(format!("--admin: {error}")))?;
    if origin.scheme != Scheme::Http {
        bail!(WrongUsage(format!("--admin: `{url}`: the admin API speaks http")));
    }
    let mut addresses = (origin.host.as_str(), origin.port).to_socket_addrs().with_context(|| format!("{} is not known", origin.host))?;
    addresses.next().with_context(|| format!("{} has no address", origin.host))
}

/// What it is asked with; empty where it wants none.
pub(super) fn token(config: &Config) -> &str {
    config.admin.token.as_ref().map_or("", |token| token.expose_secret())
}

/// Listening on every address includes the loopback one.
pub(super) fn reachable(listener: SocketAddr) -> SocketAddr {
    let ip = match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listener.port())
}

/// GET; `None` where nobody listens there.
pub(super) async fn get(address: SocketAddr, path: &str, token: &str) -> anyhow::Result<Option<Answer>> {
    call(address, Method::GET, path, token).await
}

/// A call without a body; `None` where nobody listens there.
pub(super) async fn call(address: SocketAddr, method: Method, path: &str, token: &str) -> anyhow::Result<Option<Answer>> {
    send(address, method, path, token, None).await
}

/// A call, with a body where there is one; `None` where nobody listens there.
pub(super) async fn send(
    address: SocketAddr,
    method: Method,
    path: &str,
    token: &str,
    body: Option<&Value>,
) -> anyhow::Result<Option<Answer>> {
    send_with(address, method, path, token, None, body).await
}

/// The same, with a reason for the audit log.
pub(super) async fn send_with(
    address: SocketAddr,
    method: Method,
    path: &str,
    token: &str,
    reason: Option<&str>,
    body: Option<&Value>,
) -> anyhow::Result<Option<Answer>> {
    let mut whole = Vec::new();
    let keep = |piece: &[u8]| {
        whole.extend_from_slice(piece);
        Ok(())
    };
    let Some((status, refusal)) = transfer(address, (method, path), token, reason, body, keep).await? else { return Ok(None) };
    let body = if status.is_success() { whole } else { refusal };
    Ok(Some(Answer { status, body: serde_json::from_slice(&body).unwrap_or(Value::Null) }))
}

/// A call whose answer is handed on piece by piece, and that of a refusal given back whole; `None` where nobody listens there.
pub(super) async fn transfer(
    address: SocketAddr,
    (method, path): (Method, &str),
    token: &str,
    reason: Option<&str>,
    body: Option<&Value>,
    mut take: impl FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<Option<(StatusCode, Vec<u8>)>> {
    let stream = match timeout(CONNECT, TcpStream::connect(address)).await? {
        Ok(stream) => stream,
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("{address} cannot be reached")),
    };
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let mut request = Request::builder().method(&method).uri(path).header(header::HOST, format!("localhost:{}", address.port()));
    request = request.header(header::USER_AGENT, concat!("gatehouse/", env!("CARGO_PKG_VERSION")));
    if method != Method::GET {
        // Without it a write may come from a browser's form.
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    if !token.is_empty() {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    if let Some(reason) = reason {
        request = request.header("x-reason", HeaderValue::from_bytes(reason.as_bytes()).context("--reason is one line of text")?);
    }
    let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
    let asked = async {
        let sent = timeout(ANSWER, sender.send_request(request.body(Full::new(body))?)).await;
        let response = sent.context("it takes too long")??;
        let (status, mut body, mut refusal) = (response.status(), response.into_body(), Vec::new());
        while let Some(frame) = timeout(ANSWER, body.frame()).await.context("it takes too long")? {
            let frame = frame?;
            let piece = frame.data_ref().map(Bytes::as_ref).unwrap_or_default();
            if status.is_success() { take(piece)? } else { refusal.extend_from_slice(piece) }
        }
        anyhow::Ok((status, refusal))
    };
    let answer = tokio::select! {
        answer = asked => answer,
        // The connection never ends before the answer but by a failure.
        ended = connection => Err(ended.err().map_or_else(|| anyhow::anyhow!("it closed the connection"), Into::into)),
    };
    answer.with_context(|| format!("{address} does not answer")).map(Some)
}
