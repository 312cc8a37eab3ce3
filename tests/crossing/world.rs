//! Two tenants with an app each, behind gateways that a row may ask: acme is the attacker's, globex is the victim.

use std::sync::{Arc, Mutex};

use http::Response;
use http_body_util::BodyExt;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use reqwest::Method;
use rustls::ClientConfig;
use rustls::client::Resumption;
use serde_json::{Value, json};

use crate::support::gateway::GatewayBuilder;
use crate::support::upstream::{RunningUpstream, full};
use crate::support::{TestGateway, Upstream, eventually, tenant};

pub const ACME: &str = "acme.example.localhost";
pub const GLOBEX: &str = "globex.example.localhost";
pub const API: &str = "api.example.localhost";
/// Nothing that a row gets may contain it.
pub const SECRET: &str = "what only globex knows";

const ROUTES: &str = r#"
[[route]]
path = "/admin/*"
roles = ["owner"]

[[route]]
path = "/members/*"
auth = "required"

[[route]]
path = "/reports/*"
scopes = ["reports:read"]

[[route]]
path = "/plan/*"
plans = ["of-globex"]

[[route]]
path = "/small/*"
max_body = "1KiB"
auth = "required"

[[route]]
path = "/slow/*"
rate = { per_second = 1, burst = 1 }
"#;

/// What an app heard.
#[derive(Debug, Clone)]
pub struct Heard {
    /// Whose app.
    pub app: &'static str,
    pub target: String,
    pub fields: Vec<(String, String)>,
    pub trailers: Vec<String>,
}

/// Everything that runs for the matrix.
pub struct World {
    pub tls: TestGateway,
    pub clear: TestGateway,
    pub trusting: TestGateway,
    pub ids: Ids,
    /// Of the gateway with TLS.
    pub keys: Keys,
    /// Of the one that believes names.
    pub trusting_keys: Keys,
    /// For HTTP/1.1 and HTTP/2, made once; each connection has a session of its own.
    pub trust: [Arc<ClientConfig>; 2],
    /// What proves the context that the gateway with TLS signs.
    context_key: DecodingKey,
    heard: Arc<Mutex<Vec<Heard>>>,
    apps: Vec<RunningUpstream>,
}

/// How each gateway names the victim.
pub struct Ids {
    pub acme: String,
    pub globex: String,
    /// Of initech, as the gateway in clear names it.
    pub initech: String,
}

/// API keys.
pub struct Keys {
    pub acme: String,
    pub acme_viewer: String,
    pub acme_owner: String,
    pub globex: String,
    pub globex_owner: String,
    /// Issued for tests; they do the same.
    pub acme_test: String,
    pub globex_test: String,
    pub revoked: String,
    /// One that another is in the place of.
    pub rotated: String,
    pub expired: String,
    /// Of a tenant that is suspended, and one that is gone.
    pub suspended: String,
    pub deleted: String,
}

impl World {
    /// Starts it, and nobody's tokens are believed.
    pub async fn start() -> Self {
        Self::believing("").await
    }

    /// Starts it with these `[[issuer]]`.
    pub async fn believing(issuers: &str) -> Self {
        let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
        let mut apps = Vec::new();
        for name in ["acme", "globex", "initech", "stray"] {
            apps.push(app(name, Arc::clone(&heard)).start().await);
        }
        let gateway = || {
            let of = |slug: &str, app: usize| tenant(slug).with("upstream", apps[app].url()).with("customDomain", format!("{slug}.test"));
            let victim = of("globex", 1).with("name", SECRET).with("metadata", json!({"secret": SECRET}));
            let all = [of("acme", 0), victim, of("initech", 2), tenant("hooli"), tenant("umbrella")];
            all.into_iter().fold(TestGateway::to(&apps[3]).toml(ROUTES).toml(issuers), GatewayBuilder::tenant)
        };
        let (tls, clear, trusting) = tokio::join!(
            gateway().certificate("acme.test").certificate("globex.test").set("context.signed", "true").start(),
            gateway().plaintext().set("tenancy.keep_deleted", "0s").start(),
            gateway().plaintext().set("tenancy.header_auth", "none").start(),
        );
        let (keys, _, trusting_keys) = tokio::join!(Keys::of(&tls), Keys::of(&clear), Keys::of(&trusting));
        let ids = Ids { acme: id_of(&tls, "acme").await, globex: id_of(&tls, "globex").await, initech: id_of(&clear, "initech").await };
        let published = tls.admin(Method::GET, "/.well-known/jwks.json", Value::Null).await.expect(200).json();
        let context_key = DecodingKey::from_jwk(&serde_json::from_value(published["keys"][0].clone()).unwrap()).unwrap();
        let trust = ["http/1.1", "h2"].map(|protocol| {
            let mut config = tls.tls_config(&[protocol]);
            config.resumption = Resumption::disabled();
            Arc::new(config)
        });
        Self { tls, clear, trusting, ids, keys, trusting_keys, trust, context_key, heard, apps }
    }

    /// What a context says, if the gateway has signed it.
    pub fn context(&self, text: &str) -> Option<Value> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&["app"]);
        validation.set_issuer(&["gatehouse"]);
        Some(jsonwebtoken::decode::<Value>(text, &self.context_key, &validation).ok()?.claims)
    }

    /// Calls that are counted for a tenant, at all gateways.
    pub async fn calls(&self, slug: &str) -> u64 {
        let mut calls = 0;
        for gateway in [&self.tls, &self.clear, &self.trusting] {
            calls += gateway.usage(slug).await["apiCalls"].as_u64().unwrap();
        }
        calls
    }

    /// Where initech's app is.
    pub fn initech_app(&self) -> String {
        self.apps[2].url()
    }

    /// What the apps heard since the last time.
    pub fn heard(&self) -> Vec<Heard> {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }
}

impl Heard {
    /// A field, where it was said.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl Keys {
    async fn of(gateway: &TestGateway) -> Self {
        let keys = "/admin/tenants/acme/keys";
        let made = gateway.admin(Method::POST, keys, json!({"name": "to be revoked"})).await.expect(201).json();
        gateway.admin(Method::DELETE, &format!("{keys}/{}", made["id"].as_str().unwrap()), Value::Null).await.expect(200);
        let old = gateway.admin(Method::POST, keys, json!({"name": "to be rotated"})).await.expect(201).json();
        let rotate = format!("{keys}/{}/rotate", old["id"].as_str().unwrap());
        gateway.admin(Method::POST, &rotate, json!({"overlap": "0s"})).await.expect(201);
        let expires = now() + 2_000;
        let all = Self {
            acme: gateway.key("acme", json!({})).await,
            acme_viewer: gateway.key("acme", json!({"roles": ["viewer"]})).await,
            acme_owner: gateway.key("acme", json!({"roles": ["owner"]})).await,
            globex: gateway.key("globex", json!({})).await,
            globex_owner: gateway.key("globex", json!({"roles": ["owner"]})).await,
            acme_test: gateway.key("acme", json!({"mode": "test"})).await,
            globex_test: gateway.key("globex", json!({"mode": "test"})).await,
            rotated: old["secret"].as_str().unwrap().to_owned(),
            revoked: made["secret"].as_str().unwrap().to_owned(),
            expired: gateway.key("acme", json!({"expiresAt": expires})).await,
            suspended: gateway.key("hooli", json!({})).await,
            deleted: gateway.key("umbrella", json!({})).await,
        };
        gateway.admin(Method::POST, "/admin/tenants/hooli/suspend", json!({"reason": "test"})).await.expect(200);
        gateway.admin(Method::DELETE, "/admin/tenants/umbrella", Value::Null).await.expect(200);
        eventually("the key has expired", || async { (now() > expires).then_some(()) }).await;
        all
    }
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64
}

async fn id_of(gateway: &TestGateway, slug: &str) -> String {
    let answer = gateway.admin(Method::GET, &format!("/admin/tenants/{slug}"), Value::Null).await.expect(200);
    answer.json()["id"].as_str().unwrap().to_owned()
}

/// Keeps what it hears, and answers whose app it is.
fn app(name: &'static str, heard: Arc<Mutex<Vec<Heard>>>) -> Upstream {
    Upstream::with(move |request| {
        let heard = Arc::clone(&heard);
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await;
            if body.is_err() && name == "acme" {
                // What its own client broke off is no request, and may come late.
                return Response::new(full(""));
            }
            let trailers = body.ok().and_then(|body| body.trailers().cloned()).unwrap_or_default();
            let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
            let fields = parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
            let trailers = trailers.keys().map(ToString::to_string).collect();
            heard.lock().unwrap().push(Heard { app: name, target: parts.uri.to_string(), fields, trailers });
            Response::new(full(json!({"app": name}).to_string()))
        }
    })
}
