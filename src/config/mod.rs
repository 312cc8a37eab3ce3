//! The configuration, parsed once into types that cannot be wrong.
//!
//! The shipped `config.toml` documents every key and is the source of every default. [`Config::load`] lays a file, the
//! environment and flags over it as a tree whose values know their places, then reads the tree table by table. It does not
//! deserialize with serde, which stops at the first error: all problems are told at once, each with its place.

mod add_ons;
mod billing;
mod checks;
mod context;
mod domains;
mod env;
mod error;
mod events;
mod issuers;
mod load;
mod overage;
mod plans;
mod routes;
mod section;
mod sections;
mod shipped;
mod source;
mod suggest;
#[cfg(test)]
mod tests;
mod tls;
mod tree;
mod units;
mod values;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;

pub use context::Context;
pub use domains::Domains;
pub use error::{ConfigError, ConfigErrors};
pub use events::{EventEndpoint, Events};
pub use issuers::Tokens;
pub use routes::Route;
pub use suggest::did_you_mean;
pub use tls::{Acme, Dns01, Tls, TlsMode, TsigAlgorithm};
pub use units::duration as read_duration;

use crate::model::{AddOn, Host, Issuer, Origin, Party, Plan};

/// Everything an operator can set.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[listen]`
    pub listen: Listen,
    /// `[admin]`
    pub admin: Admin,
    /// `[tenancy]`
    pub tenancy: Tenancy,
    /// `[domains]`
    pub domains: Domains,
    /// `[upstream]`
    pub upstream: Upstream,
    /// `[tls]`
    pub tls: Tls,
    /// `[store]`
    pub store: Store,
    /// `[metering]`
    pub metering: Metering,
    /// `[log]`
    pub log: Log,
    /// `[limits]`
    pub limits: Protection,
    /// `[plans.*]`, by name; never empty.
    pub plans: BTreeMap<String, Plan>,
    /// `[add_ons.*]`, by name.
    pub add_ons: BTreeMap<String, AddOn>,
    /// `[billing]`
    pub billing: Billing,
    /// `[events]`
    pub events: Events,
    /// `[features]`
    pub features: Features,
    /// `[dev]`
    pub dev: Dev,
    /// `[tokens]`
    pub tokens: Tokens,
    /// `[[issuer]]`: of all tenants.
    pub issuers: Vec<Issuer>,
    /// `[context]`
    pub context: Context,
    /// `[[route]]`, first match wins.
    pub routes: Vec<Route>,
}

/// Where connections come in.
#[derive(Debug, Clone)]
pub struct Listen {
    /// Plaintext.
    pub http: SocketAddr,
    /// TLS.
    pub https: SocketAddr,
    /// The admin API.
    pub admin: SocketAddr,
    /// Threads of the data plane, at least 1 (0 in the file has become the number of cores).
    pub workers: usize,
    /// Peers whose forwarding fields are continued.
    pub trusted_proxies: Vec<IpNet>,
    /// PROXY v1/v2 is expected from `trusted_proxies`.
    pub proxy_protocol: bool,
    /// What redirects point to, and where a certificate authority asks for TLS-ALPN-01; `None` = the port of `https`.
    pub public_https_port: Option<u16>,
    /// Where a certificate authority asks for HTTP-01; `None` = the port of `http`.
    pub public_http_port: Option<u16>,
    /// How long requests in flight may take to finish once a stop was asked for (`drain_timeout`).
    pub drain_timeout: Duration,
}

impl Config {
    /// Whether certificates for development are made: names under `localhost` are this machine's, and there are no others.
    pub fn makes_dev_certificates(&self) -> bool {
        let base = self.tenancy.base_domain.as_str();
        let is_local = base == "localhost" || base.ends_with(".localhost");
        self.tls.mode == TlsMode::Files && is_local && !self.tls.cert.exists() && !self.tls.key.exists()
    }
}

impl Listen {
    /// Whether what this peer says of those behind it is believed; `peer` in its canonical form.
    pub fn trusts(&self, peer: &IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(peer))
    }
}

/// Who may use the admin API.
#[derive(Debug, Clone)]
pub struct Admin {
    /// The bearer token of an owner; `None` = loopback peers only, while there are no operators.
    pub token: Option<SecretString>,
}

/// How requests find their tenant.
#[derive(Debug, Clone)]
pub struct Tenancy {
    /// Tenants live one label below it.
    pub base_domain: Host,
    /// Hosts on which a field or a key names the tenant.
    pub api_hosts: Vec<Host>,
    /// Whether `X-Tenant-Id` alone is enough on an api host.
    pub header_auth: HeaderAuth,
    /// Where `header_auth = "none"` applies.
    pub trusted_networks: Vec<IpNet>,
    /// Path prefix of the tenant API, such as `/api`; `None` turns it off.
    pub tenant_api: Option<String>,
    /// Tenants may have domains of their own.
    pub custom_domains: bool,
    /// How long a deleted tenant can be restored, and its slug and domains are kept for it.
    pub keep_deleted: Duration,
}

/// What `X-Tenant-Id` needs beside it on an api host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderAuth {
    /// One of that tenant's API keys.
    Key,
    /// Nothing, from `trusted_networks`; elsewhere as `Key`.
    None,
}

/// The app.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Where requests of tenants without an upstream of their own go; at least one.
    pub default: Vec<Origin>,
    /// For a TCP (and TLS) connection to stand.
    pub connect_timeout: Duration,
    /// From the request sent to the response head.
    pub response_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// Extra roots (PEM file) for https and h2 upstreams.
    pub ca_file: Option<PathBuf>,
    /// Certificate chain and key that upstreams are shown that ask for one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Where state lives.
#[derive(Debug, Clone)]
pub struct Store {
    /// Directory of the embedded database.
    pub path: PathBuf,
    /// Seals private keys in it: 32 octets.
    pub key: Option<SecretString>,
    /// Where that key is where `key` is not given; made when it is needed and missing.
    pub key_file: PathBuf,
}

/// Where usage is counted.
#[derive(Debug, Clone)]
pub struct Metering {
    /// Directory of the journal.
    pub journal: PathBuf,
}

/// What is written where.
#[derive(Debug, Clone)]
pub struct Log {
    /// Shape of the log on stderr.
    pub format: LogFormat,
    /// Where access records go.
    pub access: AccessLog,
}

/// Shape of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people on a terminal, JSON elsewhere.
    Auto,
    /// JSON lines.
    Json,
}

/// Where access records go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLog {
    /// Standard output.
    Stdout,
    /// Nowhere.
    Off,
    /// Appended to a file.
    File(PathBuf),
}

/// `[limits]`: protection of the gateway itself, before any plan.
#[derive(Debug, Clone)]
pub struct Protection {
    /// Octets of a request head.
    pub max_header_bytes: usize,
    /// Fields of a request head.
    pub max_headers: usize,
    /// Octets of a request body; `u64::MAX` is no limit.
    pub max_body: u64,
    /// For a whole request head (and the TLS handshake) to arrive.
    pub header_timeout: Duration,
    /// Between requests, and for a client that takes or sends nothing.
    pub idle_timeout: Duration,
    /// For a tunnel (a WebSocket) in which neither side says anything.
    pub tunnel_idle_timeout: Duration,
    /// Octets that one tunnel carries, both directions together; `u64::MAX` is no limit.
    pub max_tunnel: u64,
    /// Over all workers.
    pub max_connections: usize,
}

/// How tenants pay.
#[derive(Debug, Clone)]
pub struct Billing {
    /// Who takes tenants' money.
    pub provider: Provider,
    /// Where Stripe's API is.
    pub stripe_api: Origin,
    /// `STRIPE_SECRET_KEY`
    pub stripe_secret_key: Option<SecretString>,
    /// `STRIPE_WEBHOOK_SECRET`
    pub stripe_webhook_secret: Option<SecretString>,
    /// ISO 4217 code of every price.
    pub currency: String,
    /// Length of a trial in days.
    pub trial_days: u32,
    /// What happens at a trial's end without a payment method.
    pub trial_end: TrialEnd,
    /// Days from an invoice to its due date.
    pub due_days: u32,
    /// Days past due in which a tenant is still served.
    pub grace_days: u32,
    /// What a change in the middle of a period is divided by.
    pub proration: Proration,
    /// Waits before a declined payment is tried again, one after the other.
    pub retry: Vec<Duration>,
    /// What invoice numbers begin with.
    pub invoice_prefix: String,
    /// What numbers of credit notes begin with.
    pub credit_note_prefix: String,
    /// Who issues invoices.
    pub seller: Party,
    /// Rates by country.
    pub tax: Vec<TaxRate>,
}

/// Who takes tenants' money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// An operator, who records payments.
    Manual,
    /// Stripe.
    Stripe,
}

/// What happens at a trial's end without a payment method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrialEnd {
    /// The first invoice is issued.
    Invoice,
    /// The tenant is suspended.
    Suspend,
    /// The tenant moves to the plan `free`.
    Free,
}

/// What a change in the middle of a period is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proration {
    /// Whole UTC days.
    Day,
    /// Seconds.
    Second,
}

/// The tax of one country.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaxRate {
    /// ISO 3166 code.
    pub country: String,
    /// The rate; 19 % is 190 000.
    pub parts_per_million: u32,
    /// Prices contain it; otherwise it is added.
    pub inclusive: bool,
    /// A customer with a VAT id owes it instead.
    pub reverse_charge: bool,
}

/// Switches over the whole deployment.
#[derive(Debug, Clone)]
pub struct Features {
    /// Off: the flag `sso` counts as off for every tenant.
    pub sso: bool,
}

/// For development only.
#[derive(Debug, Clone)]
pub struct Dev {
    /// `POST /admin/clock` moves time.
    pub test_clock: bool,
}
