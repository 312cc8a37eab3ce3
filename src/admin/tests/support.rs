//! An admin API over a store in memory, and a client that speaks to it as the seed's `curl` lines do.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use crate::admin::{AdminState, router};
use crate::billing::payments::{Manual, Payments};
use crate::billing::quote::Signer;
use crate::clock::TestClock;
use crate::config::Config;
use crate::events::Events;
use crate::metering::Journal;
use crate::model::{Limits, Millis, Money, Overage, Plan};
use crate::observe::{Duties, Metrics};
use crate::store::Store;
use crate::store::memory::Memory;
use crate::tenancy::{
    Accounts, Biller, ClockMover, Directory, DirectorySettings, Keeper, Operators, Own, Plans, Reporter, Tenants, UsageReader, load,
    stored_clock,
};
use crate::upstream::{Resolver, TlsFiles};

/// 2026-11-24T12:00:00Z.
pub const NOW: Millis = Millis(1_795_521_600_000);

pub struct Admin {
    pub router: Router,
    pub tenants: Arc<Tenants>,
    pub clock: Arc<TestClock>,
    pub biller: Arc<Biller>,
    pub duties: Arc<Duties>,
    _journal: tempfile::TempDir,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub json: Value,
    pub text: String,
}

impl Admin {
    pub async fn start() -> Self {
        Self::with(config()).await
    }

    pub async fn with(config: Config) -> Self {
        Self::paid_by(config, Arc::new(Manual)).await
    }

    pub async fn paid_by(config: Config, payments: Arc<dyn Payments>) -> Self {
        Self::on(Arc::new(Memory::default()), config, payments).await
    }

    /// On what a store has, with the clock as it was left.
    pub async fn on(store: Arc<dyn Store>, config: Config, payments: Arc<dyn Payments>) -> Self {
        let now = stored_clock(&*store).await.unwrap().unwrap_or(NOW);
        let (config, clock) = (Arc::new(config), Arc::new(TestClock::at(now)));
        let duties = Arc::new(Duties::default());
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path(), &*store, now).await.unwrap();
        let resolver = Arc::new(Resolver::new(vec![config.listen.admin], TlsFiles::default()).unwrap());
        let plans = Arc::new(Plans::fixed(&config.plans, &config.add_ons));
        let directory = Directory::new(DirectorySettings {
            issuers: Arc::default(),
            base_domain: config.tenancy.base_domain.clone(),
            custom_domains: config.tenancy.custom_domains,
            plans: plans.clone(),
            default_upstream: config.upstream.default.clone(),
            resolver: resolver.clone(),
            sso: config.features.sso,
            proves: Arc::new(|domain| domain == "proven.com"),
            serve: Arc::new(|_, _| ()),
            clock: clock.clone(),
            accounts: Arc::new(Accounts::new(config.clone())),
        });
        let tenants = Arc::new(Tenants {
            store: store.clone(),
            directory: Arc::new(directory),
            config: config.clone(),
            plans,
            payments,
            clock: clock.clone(),
            resolver,
        });
        load(&tenants).await.unwrap();
        // Nobody is asked for DNS records.
        let own = Own { listening: Vec::new(), http_port: 80, https_port: 443 };
        let keeper = Arc::new(Keeper::new(tenants.clone(), None, (None, None), own));
        let usage = Arc::new(UsageReader::new(store.clone(), journal.clone(), tenants.directory.clone()));
        let biller = Arc::new(Biller::new(tenants.clone(), usage.clone()));
        let clock_mover = Arc::new(ClockMover::new(clock.clone(), biller.clone(), journal.clone()));
        let metrics = Arc::new(Metrics::default());
        let operators = Arc::new(Operators::load(store.clone(), config.admin.token.as_ref()).await.unwrap());
        let state = AdminState {
            operators,
            events: Arc::new(Events::new(store.clone(), &config.events, Vec::new(), metrics.clone())),
            tenants: tenants.clone(),
            usage,
            reporter: Arc::new(Reporter::new(store, journal.clone(), tenants.directory.clone())),
            metrics,
            duties: duties.clone(),
            journal,
            clock: clock.clone(),
            config,
            biller: biller.clone(),
            hook: None,
            quotes: Arc::new(Signer::new(&[7; 32])),
            context: None,
            clock_mover: Some(clock_mover),
            ready: Arc::new(|| true),
            keeper,
        };
        Self { router: router(state), tenants, clock, biller, duties, _journal: dir }
    }

    pub async fn send(&self, mut request: Request<Body>) -> Answer {
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 50_000))));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status: parts.status, headers: parts.headers, json, text }
    }

    pub async fn call(&self, method: &str, path: &str, body: Value, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("host", "localhost:3000");
        if method != "GET" {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        self.send(request.body(body).unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, Value::Null, &[]).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path, body, &[]).await
    }

    /// Moves billing time; everything that is due is done.
    pub async fn advance(&self, by: &str) {
        self.post("/admin/clock", serde_json::json!({"advance": by})).await.expect(200);
    }

    /// Moves billing time to a moment such as `2027-01-31T09:30:00Z`.
    pub async fn move_to(&self, moment: &str) {
        self.post("/admin/clock", serde_json::json!({"to": millis(moment)})).await.expect(200);
    }

    /// A tenant as the API shows it.
    pub async fn show(&self, tenant: &str) -> Value {
        self.get(&format!("/admin/tenants/{tenant}")).await.expect(200).json
    }

    /// A tenant's invoices, oldest first.
    pub async fn invoices(&self, tenant: &str) -> Vec<Value> {
        let mut all = self.get(&format!("/admin/tenants/{tenant}/invoices?limit=500")).await.expect(200).json.as_array().unwrap().clone();
        all.reverse();
        all
    }

    /// Asks for another subscription.
    pub async fn subscribe(&self, tenant: &str, body: Value) -> Answer {
        self.call("PUT", &format!("/admin/tenants/{tenant}/subscription"), body, &[]).await
    }

    /// Creates a tenant on the plan and answers its id.
    pub async fn tenant(&self, slug: &str, plan: &str) -> String {
        let body = serde_json::json!({"name": slug, "slug": slug, "plan": plan});
        let answer = self.post("/admin/tenants", body).await.expect(201);
        answer.json["id"].as_str().unwrap().to_owned()
    }
}

impl Answer {
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert!(self.headers.contains_key("x-request-id"));
        if status >= 400 {
            assert_eq!(self.headers["content-type"], "application/problem+json");
            assert_eq!(self.json["requestId"], self.headers["x-request-id"].to_str().unwrap());
            assert_eq!(self.json["status"], status);
        }
        self
    }

    #[track_caller]
    pub fn code(self, code: &str) -> Self {
        assert_eq!(self.json["code"], code, "{}", self.text);
        self
    }

    #[track_caller]
    pub fn pointers(self, pointers: &[&str]) -> Self {
        let found: Vec<&str> = self.json["errors"].as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap()).collect();
        assert_eq!(found, pointers, "{}", self.text);
        self
    }
}

pub fn config() -> Config {
    let gib = 1_u64 << 30;
    let limits = |users, projects, storage: u64, calls, bandwidth: u64| Limits {
        max_users: Some(users),
        max_projects: Some(projects),
        max_storage: Some(storage * gib),
        max_api_calls: Some(calls),
        max_bandwidth: Some(bandwidth * gib),
    };
    let plan = |name: &str, monthly: i64, limits: Limits| {
        let prices = (Money(monthly), Money(monthly * 10));
        let name = name.to_owned();
        (
            name.clone(),
            Plan {
                name,
                version: 1,
                price_monthly: prices.0,
                price_yearly: prices.1,
                limits,
                rate: None,
                concurrency: None,
                overage: Overage::Block,
                features: BTreeMap::new(),
            },
        )
    };
    let settings = r#"
        tenancy.api_hosts = ["gw.example.localhost", "api.example.com"]
        tls.mode = "off"
        features.sso = false
    "#;
    let plans = BTreeMap::from([
        plan("free", 0, limits(3, 5, 1, 1000, 10)),
        plan("pro", 9900, limits(50, 100, 100, 100_000, 1024)),
        plan("enterprise", 49_900, Limits::default()),
    ]);
    Config { plans, ..Config::from_toml(settings).unwrap() }
}

/// Epoch milliseconds of a moment.
pub fn millis(moment: &str) -> i64 {
    moment.parse::<jiff::Timestamp>().unwrap().as_millisecond()
}
