//! Refusals: every answer that the gateway makes because it did not forward, or could not.
//!
//! One enum; what a kind is comes from one table and two matches without a `_` arm, so that a new kind cannot be
//! forgotten anywhere.

use http::StatusCode;
use serde_json::{Value, json};

use crate::limits::RateDecision;
use crate::model::{Gauge, Millis};
use crate::observe::Owner;
use crate::upstream::TlsFault;

/// Why a request got no answer from the app.
#[derive(Debug)]
pub enum Refusal {
    /// The request is malformed or ambiguous; the text says how.
    BadRequest(&'static str),
    /// CONNECT or TRACE.
    MethodNotAllowed,
    /// The body is larger than `limits.max_body`.
    BodyTooLarge {
        /// Octets allowed.
        limit: u64,
    },
    /// The request line is too long.
    UriTooLong,
    /// Too many header fields, or too many octets of them.
    HeadersTooLarge,
    /// The client stopped sending its body.
    RequestTimeout,
    /// The client's connection failed while its body was read; nobody is left to answer.
    ClientClosed,
    /// Host and SNI do not belong together.
    Misdirected,
    /// No tenant has this host, id or slug.
    TenantNotFound,
    /// A key is needed, or is wrong; the text says which.
    Unauthenticated(&'static str),
    /// What the client claims to be is not the tenant it speaks to.
    TenantMismatch(&'static str),
    /// The tenant is suspended.
    TenantSuspended,
    /// The route needs a feature that the tenant does not have.
    FeatureDisabled(String),
    /// The route is for other plans: these.
    PlanExcluded(String),
    /// The route needs a role that the caller does not have.
    Forbidden,
    /// The route needs this scope, which the caller does not have.
    ScopeMissing(String),
    /// The plan has no place left for what the route adds.
    PlanLimitReached(Box<PlanLimit>),
    /// More requests than the plan's rate.
    RateLimited(RateDecision),
    /// More requests than the route's own rate.
    RouteRateLimited(RateDecision),
    /// More requests in flight than the plan allows.
    TooManyConcurrent,
    /// A quota of the plan is used up.
    QuotaExceeded(Violation),
    /// The gateway cannot count another call, so it serves none.
    Overloaded,
    /// No address of the upstream is known.
    NoAddress,
    /// No address of the upstream took a connection.
    Unreachable,
    /// TLS with the upstream failed.
    UpstreamTls(TlsFault),
    /// The upstream closed the connection before a response.
    Closed,
    /// What the upstream sent is not HTTP.
    Garbage,
    /// The upstream answered a request for a WebSocket over HTTP/2 neither with one nor with a refusal.
    NotSwitched,
    /// The upstream took longer than `upstream.connect_timeout` to take a connection.
    ConnectTimeout,
    /// The upstream took longer than `upstream.response_timeout` to answer.
    ResponseTimeout,
}

/// A quota that is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Violation {
    /// `apiCalls` or `bandwidth`.
    pub resource: &'static str,
    /// What the plan allows in the window.
    pub limit: u64,
    /// What is used.
    pub used: u64,
    /// When the next window begins.
    pub resets_at: Millis,
}

/// A limit of a plan that leaves no place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanLimit {
    /// Of what.
    pub gauge: Gauge,
    /// What the plan allows.
    pub limit: u64,
    /// What there is.
    pub used: u64,
    /// Of the plans that are not cheaper, the first that would allow one more.
    pub plan: Option<String>,
}

/// What is the same for all refusals of a kind.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// The response's status.
    pub status: StatusCode,
    /// For programs; part of the public interface.
    pub code: &'static str,
    /// Who caused it.
    pub owner: Owner,
    /// The short text.
    pub title: &'static str,
    /// The error type of `Proxy-Status` (RFC 9209, section 2.3).
    pub proxy_error: &'static str,
}

const fn kind(status: StatusCode, code: &'static str, owner: Owner, title: &'static str, proxy_error: &'static str) -> Kind {
    Kind { status, code, owner, title, proxy_error }
}

impl Refusal {
    /// The table of refusals.
    pub const fn kind(&self) -> Kind {
        use Owner::{Client, Gateway, Tenant, Upstream};
        const FAULT: &str = "http_request_error";
        const DENIED: &str = "http_request_denied";
        match self {
            Self::BadRequest(_) => kind(StatusCode::BAD_REQUEST, "bad_request", Client, "Bad request", FAULT),
            Self::MethodNotAllowed => kind(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", Client, "Method not allowed", FAULT),
            Self::BodyTooLarge { .. } => kind(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", Client, "Body too large", FAULT),
            Self::UriTooLong => kind(StatusCode::URI_TOO_LONG, "uri_too_long", Client, "URI too long", FAULT),
            Self::HeadersTooLarge => {
                kind(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", Client, "Header fields too large", FAULT)
            }
            Self::RequestTimeout => kind(StatusCode::REQUEST_TIMEOUT, "request_timeout", Client, "Request timeout", FAULT),
            Self::ClientClosed => kind(StatusCode::BAD_REQUEST, "client_closed", Client, "Client closed the request", FAULT),
            Self::Misdirected => kind(StatusCode::MISDIRECTED_REQUEST, "misdirected_request", Client, "Misdirected request", FAULT),
            Self::TenantNotFound => kind(StatusCode::NOT_FOUND, "tenant_not_found", Client, "Tenant not found", "destination_not_found"),
            Self::Unauthenticated(_) => kind(StatusCode::UNAUTHORIZED, "unauthenticated", Client, "Unauthorized", DENIED),
            Self::TenantMismatch(_) => kind(StatusCode::FORBIDDEN, "tenant_mismatch", Client, "Tenant mismatch", DENIED),
            Self::TenantSuspended => kind(StatusCode::FORBIDDEN, "tenant_suspended", Tenant, "Tenant suspended", DENIED),
            Self::FeatureDisabled(_) => kind(StatusCode::FORBIDDEN, "feature_disabled", Tenant, "Feature disabled", DENIED),
            Self::PlanExcluded(_) => kind(StatusCode::FORBIDDEN, "feature_disabled", Tenant, "Feature disabled", DENIED),
            Self::Forbidden | Self::ScopeMissing(_) => kind(StatusCode::FORBIDDEN, "forbidden", Client, "Insufficient permissions", DENIED),
            Self::PlanLimitReached(_) => kind(StatusCode::FORBIDDEN, "plan_limit_reached", Tenant, "Plan limit reached", DENIED),
            Self::RateLimited(_) | Self::RouteRateLimited(_) => {
                kind(StatusCode::TOO_MANY_REQUESTS, "rate_limited", Tenant, "Rate limit exceeded", DENIED)
            }
            Self::TooManyConcurrent => {
                kind(StatusCode::TOO_MANY_REQUESTS, "too_many_concurrent_requests", Tenant, "Too many concurrent requests", DENIED)
            }
            Self::QuotaExceeded(_) => kind(StatusCode::TOO_MANY_REQUESTS, "quota_exceeded", Tenant, "Usage limits exceeded", DENIED),
            Self::Overloaded => kind(StatusCode::SERVICE_UNAVAILABLE, "overloaded", Gateway, "Overloaded", "proxy_internal_error"),
            Self::NoAddress => kind(StatusCode::BAD_GATEWAY, "upstream_unreachable", Upstream, "Upstream unreachable", "dns_error"),
            Self::Unreachable => {
                kind(StatusCode::BAD_GATEWAY, "upstream_unreachable", Upstream, "Upstream unreachable", "connection_refused")
            }
            Self::UpstreamTls(fault) => {
                let error = match fault {
                    TlsFault::Certificate => "tls_certificate_error",
                    TlsFault::Alert => "tls_alert_received",
                    TlsFault::Protocol => "tls_protocol_error",
                };
                kind(StatusCode::BAD_GATEWAY, "upstream_unreachable", Upstream, "Upstream unreachable", error)
            }
            Self::Closed => {
                kind(StatusCode::BAD_GATEWAY, "upstream_unreachable", Upstream, "Upstream unreachable", "connection_terminated")
            }
            Self::Garbage => kind(StatusCode::BAD_GATEWAY, "upstream_unreachable", Upstream, "Upstream unreachable", "http_protocol_error"),
            Self::NotSwitched => {
                kind(StatusCode::BAD_GATEWAY, "upstream_unreachable", Upstream, "Upstream unreachable", "http_upgrade_failed")
            }
            Self::ConnectTimeout => {
                kind(StatusCode::GATEWAY_TIMEOUT, "upstream_timeout", Upstream, "Upstream timeout", "connection_timeout")
            }
            Self::ResponseTimeout => {
                kind(StatusCode::GATEWAY_TIMEOUT, "upstream_timeout", Upstream, "Upstream timeout", "http_response_timeout")
            }
        }
    }

    /// Whether it may be an attempt to get where the client should not be: it is told in the log.
    pub fn is_suspicious(&self) -> bool {
        let code = self.kind().code;
        matches!(code, "bad_request" | "misdirected_request" | "unauthenticated" | "tenant_mismatch" | "forbidden" | "method_not_allowed")
    }

    /// What happened and what to do. Addresses of upstreams are not told to clients; the log has them.
    pub fn detail(&self) -> String {
        match self {
            Self::BadRequest(reason) => format!("The request cannot be accepted: {reason}."),
            Self::MethodNotAllowed => "CONNECT and TRACE are not served.".to_owned(),
            Self::BodyTooLarge { limit } => format!("A request body has at most {limit} octets here."),
            Self::UriTooLong => "The request line is longer than this gateway takes.".to_owned(),
            Self::HeadersTooLarge => "The header fields are more, or longer, than this gateway takes.".to_owned(),
            Self::RequestTimeout => "The request's body stopped arriving.".to_owned(),
            Self::ClientClosed => "The request's body did not arrive whole.".to_owned(),
            Self::Misdirected => "This connection was opened for another name (SNI); open a new one for this Host.".to_owned(),
            Self::TenantNotFound => "No tenant is served under this name.".to_owned(),
            Self::Unauthenticated(reason) | Self::TenantMismatch(reason) => (*reason).to_owned(),
            Self::TenantSuspended => "This tenant is suspended; ask whoever runs it.".to_owned(),
            Self::FeatureDisabled(feature) => format!("The feature `{feature}` is not enabled for this tenant."),
            Self::PlanExcluded(plans) => format!("The tenant's plan does not include this path; these do: {plans}."),
            Self::ScopeMissing(scope) => format!("The caller's key or token does not have the scope `{scope}` that this path needs."),
            Self::Forbidden => "The caller has none of the roles that this path needs.".to_owned(),
            Self::PlanLimitReached(limit) => {
                let PlanLimit { gauge, limit, used, plan } = &**limit;
                let way_out = plan.as_ref().map_or_else(String::new, |plan| format!(" The plan `{plan}` allows more."));
                let unit = if *gauge == Gauge::Storage { "octets of storage" } else { gauge.name() };
                format!("{used} of {limit} {unit} are used.{way_out}")
            }
            Self::RateLimited(_) => "More requests than the plan's rate allows; try again after Retry-After seconds.".to_owned(),
            Self::RouteRateLimited(_) => {
                "More requests to this path than its own rate allows; try again after Retry-After seconds.".to_owned()
            }
            Self::TooManyConcurrent => "More requests at the same time than the plan allows; wait for one to end.".to_owned(),
            Self::QuotaExceeded(violation) => {
                let window = if violation.resource == "apiCalls" {
                    "API calls are used this UTC day"
                } else {
                    "octets of bandwidth are used this UTC month"
                };
                format!("{} of {} {window}.", violation.used, violation.limit)
            }
            Self::Overloaded => "The gateway cannot take this request now; try again.".to_owned(),
            Self::ConnectTimeout | Self::ResponseTimeout => "The app did not answer in time.".to_owned(),
            Self::Closed => "The app closed the connection without an answer.".to_owned(),
            Self::Garbage => "The app answered something that is not valid HTTP.".to_owned(),
            Self::NotSwitched => "The app did not open the WebSocket that was asked for.".to_owned(),
            Self::NoAddress | Self::Unreachable | Self::UpstreamTls(_) => "The app cannot be reached.".to_owned(),
        }
    }

    /// Seconds after which another try may work, where that is known; never 0.
    pub fn retry_after(&self, now: Millis) -> Option<u64> {
        match self {
            Self::RateLimited(decision) | Self::RouteRateLimited(decision) => {
                Some(decision.retry_after.as_millis().div_ceil(1000).max(1) as u64)
            }
            Self::TooManyConcurrent | Self::Overloaded => Some(1),
            Self::QuotaExceeded(violation) => Some(seconds_until(violation.resets_at, now)),
            Self::BadRequest(_)
            | Self::MethodNotAllowed
            | Self::BodyTooLarge { .. }
            | Self::UriTooLong
            | Self::HeadersTooLarge
            | Self::RequestTimeout
            | Self::ClientClosed
            | Self::Misdirected
            | Self::TenantNotFound
            | Self::Unauthenticated(_)
            | Self::TenantMismatch(_)
            | Self::TenantSuspended
            | Self::FeatureDisabled(_)
            | Self::PlanExcluded(_)
            | Self::Forbidden
            | Self::ScopeMissing(_)
            | Self::PlanLimitReached(_)
            | Self::NoAddress
            | Self::Unreachable
            | Self::UpstreamTls(_)
            | Self::Closed
            | Self::Garbage
            | Self::NotSwitched
            | Self::ConnectTimeout
            | Self::ResponseTimeout => None,
        }
    }

    /// The problem document (RFC 9457).
    pub fn document(&self, request_id: &str) -> Value {
        let Kind { status, code, title, .. } = self.kind();
        let mut document = json!({
            "type": format!("urn:gatehouse:problem:{code}"),
            "title": title,
            "status": status.as_u16(),
            "detail": self.detail(),
            "code": code,
            "error": title,
            "requestId": request_id,
        });
        if let Self::QuotaExceeded(violation) = self {
            document["violations"] = json!([{
                "resource": violation.resource,
                "limit": violation.limit,
                "used": violation.used,
                "resetsAt": violation.resets_at,
            }]);
        }
        if let Self::PlanLimitReached(reached) = self {
            let PlanLimit { gauge, limit, used, plan } = &**reached;
            document["violations"] = json!([{"resource": gauge.name(), "limit": limit, "used": used, "plan": plan}]);
            for (name, value) in [("resource", json!(gauge.name())), ("limit", json!(limit)), ("used", json!(used)), ("plan", json!(plan))]
            {
                document[name] = value;
            }
        }
        document
    }
}

/// Whole seconds from `now` to `then`, at least 1.
pub fn seconds_until(then: Millis, now: Millis) -> u64 {
    u64::try_from(then.0.saturating_sub(now.0)).unwrap_or(0).div_ceil(1000).max(1)
}
