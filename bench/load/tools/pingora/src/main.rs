//! A proxy made with Pingora that does the gateway's work as well as Pingora does it: finds the tenant by host in a map, refuses
//! hosts of nobody, limits the rate of each tenant, tells the app who it is, and writes an access log in blocks.
//!
//! `pingora-peer FILE`: a file of `key = value`; its keys are those of [`Settings`].

use std::collections::HashMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pingora_core::listeners::tls::TlsSettings;
use pingora_core::protocols::ALPN;
use pingora_core::server::Server;
use pingora_core::server::configuration::ServerConf;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_limits::rate::Rate;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

mod log;
mod settings;

use log::Log;
use settings::Settings;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What no load reaches, as with the other proxies.
const MOST_A_SECOND: isize = 1_000_000;

/// The proxy: what all requests share.
struct Peer {
    app: SocketAddr,
    tenants: HashMap<String, Arc<str>>,
    rate: Rate,
    log: Log,
}

/// One request on its way.
struct Call {
    started: Instant,
    id: String,
    host: String,
    tenant: Option<Arc<str>>,
}

#[async_trait]
impl ProxyHttp for Peer {
    type CTX = Call;

    fn new_ctx(&self) -> Call {
        Call { started: Instant::now(), id: uuid::Uuid::new_v4().to_string(), host: String::new(), tenant: None }
    }

    async fn request_filter(&self, session: &mut Session, call: &mut Call) -> Result<bool> {
        call.host = host_of(session.req_header()).to_owned();
        let name = call.host.split(':').next().unwrap_or_default();
        call.tenant = self.tenants.get(name).cloned();
        let Some(tenant) = &call.tenant else {
            refuse(session, 404, "not found").await?;
            return Ok(true);
        };
        if self.rate.observe(tenant, 1) > MOST_A_SECOND {
            refuse(session, 429, "too many requests").await?;
            return Ok(true);
        }
        Ok(false)
    }

    async fn upstream_peer(&self, _: &mut Session, _: &mut Call) -> Result<Box<HttpPeer>> {
        let mut peer = HttpPeer::new(self.app, false, String::new());
        peer.options.idle_timeout = Some(Duration::from_secs(60));
        peer.options.alpn = ALPN::H1;
        Ok(Box::new(peer))
    }

    async fn upstream_request_filter(&self, session: &mut Session, request: &mut RequestHeader, call: &mut Call) -> Result<()> {
        let client =
            session.client_addr().and_then(|address| address.as_inet()).map(|address| address.ip().to_string()).unwrap_or_default();
        let scheme = if is_tls(session) { "https" } else { "http" };
        let host = call.host.as_str();
        let tenant = call.tenant.as_deref().unwrap_or_default();
        request.insert_header("Host", host)?;
        request.insert_header("X-Tenant-Id", tenant)?;
        request.insert_header("X-Tenant-Slug", tenant)?;
        request.insert_header("X-Tenant-Plan", "bench")?;
        request.insert_header("X-Request-Id", call.id.as_str())?;
        request.insert_header("X-Forwarded-For", client.as_str())?;
        request.insert_header("X-Forwarded-Proto", scheme)?;
        request.insert_header("X-Forwarded-Host", host)?;
        request.insert_header("Forwarded", format!("for={client};host=\"{host}\";proto={scheme}"))?;
        request.insert_header("Via", "1.1 pingora")?;
        Ok(())
    }

    async fn response_filter(&self, _: &mut Session, answer: &mut ResponseHeader, call: &mut Call) -> Result<()> {
        answer.insert_header("X-Request-Id", call.id.as_str())?;
        Ok(())
    }

    async fn logging(&self, session: &mut Session, _: Option<&Error>, call: &mut Call) {
        let status = session.response_written().map_or(0, |answer| answer.status.as_u16());
        self.log.write(session, call, status);
    }
}

/// The authority of a request, of either version.
fn host_of(request: &RequestHeader) -> &str {
    let named = request.headers.get(http::header::HOST).and_then(|value| value.to_str().ok());
    named.or_else(|| request.uri.authority().map(|authority| authority.as_str())).unwrap_or_default()
}

/// Whether the client came over TLS.
fn is_tls(session: &Session) -> bool {
    session.digest().is_some_and(|digest| digest.ssl_digest.is_some())
}

/// An answer of our own; the connection stays.
async fn refuse(session: &mut Session, status: u16, text: &'static str) -> Result<()> {
    let mut answer = ResponseHeader::build(status, Some(2))?;
    answer.insert_header("Content-Type", "text/plain")?;
    answer.insert_header("Content-Length", text.len())?;
    session.write_response_header(Box::new(answer), false).await?;
    session.write_response_body(Some(text.into()), true).await
}

/// The server with its two listeners, which share the workers.
fn server(settings: &Settings) -> Result<Server, Box<dyn std::error::Error>> {
    let configuration = ServerConf {
        threads: settings.number("threads")?,
        // One runtime of one thread per worker is cheaper here than one that steals.
        work_stealing: false,
        upstream_keepalive_pool_size: 512,
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(1),
        ..ServerConf::default()
    };
    let peer = Peer {
        app: settings.text("app")?.to_socket_addrs()?.next().ok_or("the app has no address")?,
        tenants: settings.tenants()?,
        rate: Rate::new(Duration::from_secs(1)),
        log: Log::open(settings.text("log")?)?,
    };
    let mut server = Server::new_with_opt_and_conf(None, configuration);
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, peer);
    service.add_tcp(settings.text("clear")?);
    let mut tls = TlsSettings::intermediate(settings.text("certificate")?, settings.text("key")?)?;
    tls.enable_h2();
    service.add_tls_with_settings(settings.text("tls")?, None, tls);
    server.add_service(service);
    Ok(server)
}

fn main() -> ExitCode {
    let begun = std::env::args().nth(1).ok_or_else(|| "usage: pingora-peer FILE".into()).and_then(|file| server(&Settings::read(&file)?));
    match begun {
        Ok(server) => server.run_forever(),
        Err(error) => {
            eprintln!("pingora-peer: {error}");
            ExitCode::FAILURE
        }
    }
}
