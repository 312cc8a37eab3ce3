//! What a request has around it: what its worker shares, and the exchange that is told in the access log when it ends, however
//! it ends.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, Uri, Version};

use super::body::Inflow;
use super::connection::Connection;
use super::http1::Buffers;
use super::http2::Side;
use super::notice::Notices;
use super::rate_limit::RateLimit;
use super::request_id::RequestId;
use super::signed_context::Contexts;
use super::trouble::Troubles;
use crate::access::{Identity, TokenCache};
use crate::clock::{SharedClock, instant};
use crate::config::Config;
use crate::limits::RateDecision;
use crate::metering::Journal;
use crate::model::Millis;
use crate::observe::{AccessRecord, AccessWriter, Metrics, Owner};
use crate::tenancy::{Directory, Facts, TenantRuntime};
use crate::tls::Challenges;
use crate::upstream::Pool;

/// What all requests of one worker share.
pub struct Worker {
    /// Limits, hosts and policies.
    pub config: Arc<Config>,
    /// Tenants by host and key.
    pub directory: Arc<Directory>,
    /// Where usage is counted.
    pub journal: Arc<Journal>,
    /// Numbers for `/metrics`.
    pub metrics: Arc<Metrics>,
    /// Usage windows follow it.
    pub clock: SharedClock,
    /// Connections to upstreams.
    pub pool: Pool,
    /// The access log.
    pub access: AccessWriter,
    /// What redirects to https point to.
    pub https_port: u16,
    /// What certificate authorities are answered, where there is one.
    pub challenges: Option<Arc<Challenges>>,
    /// Takes notices of the payment provider, where there is one.
    pub notices: Option<Notices>,
    /// What its HTTP/1.1 connections read into and write from.
    pub buffers: Rc<Buffers>,
    /// What goes wrong around the gateway.
    pub troubles: Troubles,
    /// What clients try that they should not.
    pub suspicions: Troubles,
    /// Tokens that were verified before.
    pub tokens: RefCell<TokenCache>,
    /// Signs the context of requests, where that is wanted.
    pub contexts: Option<Contexts>,
}

/// One request and its answer. When it is dropped, it is written to the access log and counted.
pub struct Exchange {
    /// Where it runs.
    pub worker: Rc<Worker>,
    /// What it came by.
    pub connection: Rc<Connection>,
    /// When the head had arrived.
    pub started: Instant,
    /// The same on the clock of usage windows; decides the day.
    pub time: Millis,
    /// `X-Request-Id`.
    pub id: RequestId,
    /// Request method.
    pub method: Method,
    /// Request target.
    pub uri: Uri,
    /// As it was received.
    pub version: Version,
    /// Of its stream, over HTTP/2.
    pub side: Option<Rc<Side>>,
    /// Normalised host, once it is known.
    pub host: Option<Rc<str>>,
    /// `max-age` of Strict-Transport-Security, where the host says that.
    pub hsts: Option<u32>,
    /// The peer, or whom a trusted proxy names.
    pub client: IpAddr,
    /// False where a trusted proxy does not tell, or not in `X-Forwarded-For`, who is behind it; `client` may be anyone then.
    pub client_is_known: bool,
    /// The tenant's facts at the time of the request, once it is known.
    pub facts: Option<Arc<Facts>>,
    /// The tenant, once it is known.
    pub tenant: Option<Arc<TenantRuntime>>,
    /// The user that a token proves.
    pub user: Option<Arc<Identity>>,
    /// Octets that the body may have.
    pub max_body: u64,
    /// What was taken of the plan's rate.
    pub rate: Option<RateDecision>,
    /// `RateLimit`, as it stood when this request was let in or refused.
    pub rate_limit: Option<RateLimit>,
    /// How it was answered.
    pub outcome: Outcome,
    /// The body from the client.
    pub inflow: Rc<Inflow>,
    /// Body octets handed to the client.
    pub bytes_out: u64,
    /// From the request sent upstream to the response head.
    pub upstream: Option<Duration>,
}

/// How a request was answered.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// Status; 0 while there is none.
    pub status: u16,
    /// The refusal's code, where the gateway made the answer.
    pub code: Option<&'static str>,
    /// Who caused it.
    pub owner: Owner,
    /// The answer was handed on whole.
    pub complete: bool,
}

impl Exchange {
    /// Begins with a request whose head has arrived.
    pub fn begin(worker: Rc<Worker>, connection: Rc<Connection>, head: (Method, Uri, Version), side: Option<Rc<Side>>) -> Box<Self> {
        let (method, uri, version) = head;
        connection.requests.set(connection.requests.get() + 1);
        connection.open.set(connection.open.get() + 1);
        let time = worker.clock.now();
        Box::new(Self {
            client: connection.peer,
            max_body: worker.config.limits.max_body,
            worker,
            connection,
            started: instant(),
            time,
            id: RequestId::at(time),
            method,
            uri,
            version,
            side,
            host: None,
            hsts: None,
            client_is_known: true,
            facts: None,
            tenant: None,
            user: None,
            rate: None,
            rate_limit: None,
            outcome: Outcome { status: 0, code: None, owner: Owner::None, complete: false },
            inflow: Rc::default(),
            bytes_out: 0,
            upstream: None,
        })
    }

    /// Whether the request asked for a WebSocket. Over HTTP/1.1 an answer that is not 101 has to end the connection then: what
    /// follows the request are octets that nobody has checked.
    pub fn asked_for_websocket(&self) -> bool {
        match (&self.side, &self.connection.http1) {
            (Some(side), _) => side.asked_for_websocket(),
            (None, http1) => http1.as_ref().is_some_and(|http1| http1.asked_for_websocket()),
        }
    }

    /// The tenant is found; its facts stay the same for the rest of the request.
    pub fn know(&mut self, tenant: &Arc<TenantRuntime>) -> Arc<Facts> {
        let known = self.tenant.as_ref().is_some_and(|known| known.id() == tenant.id());
        match &self.facts {
            Some(facts) if known => Arc::clone(facts),
            _ => {
                let facts = tenant.facts_owned();
                (self.tenant, self.facts) = (Some(Arc::clone(tenant)), Some(Arc::clone(&facts)));
                facts
            }
        }
    }

    /// Counts a refusal before admission, where the tenant is known.
    pub fn count_rejected(&self) {
        let slot = self.tenant.as_ref().map(|tenant| tenant.slot(&self.worker.journal, self.worker.journal.today(self.time.day())));
        if let Some(Ok(slot)) = slot {
            slot.add_rejected();
        }
    }

    fn record(&self, now: Instant) {
        let Outcome { status, code, owner, complete } = self.outcome;
        let left = status == 0;
        let (status, code, owner) = match left {
            // The handler panicked; its log line has the same time.
            true if std::thread::panicking() => (500, Some("internal_error"), Owner::Gateway),
            true => (499, Some("client_closed"), Owner::Client),
            false => (status, code, owner),
        };
        let duration = now.saturating_duration_since(self.started);
        self.worker.metrics.request(status, code, owner, duration);
        self.worker.metrics.bytes(self.inflow.octets.get(), self.bytes_out);
        let facts = self.facts.as_deref();
        self.worker.access.write(&AccessRecord {
            time: self.time,
            request_id: self.id.as_str(),
            tenant: facts.map(|facts| facts.labels().id_text.as_str()),
            slug: facts.map(|facts| facts.tenant.slug.as_str()),
            client: self.client,
            protocol: protocol(self.version),
            method: self.method.as_str(),
            host: self.host.as_deref().unwrap_or_default(),
            path: self.uri.path(),
            status,
            code,
            owner,
            bytes_in: self.inflow.octets.get(),
            bytes_out: self.bytes_out,
            duration,
            upstream: self.upstream,
            aborted: left || !complete,
        });
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let now = instant();
        self.record(now);
        let connection = &self.connection;
        connection.open.set(connection.open.get().saturating_sub(1));
        let since = u64::try_from(now.saturating_duration_since(connection.started).as_millis()).unwrap_or(u64::MAX);
        connection.idle_since_ms.set(since);
        if let Some(http1) = &connection.http1 {
            http1.request_done(now);
        }
    }
}

const fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/1.1",
    }
}
