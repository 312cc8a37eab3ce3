//! Identity providers: npm's oidc-provider, whose tokens a test asks for as a client does, and an attacker who forges them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};
use tokio::io::AsyncWriteExt;

use super::peers::{self, Server};
use super::within;

/// A provider that runs until it is dropped.
pub struct Identity {
    issuer: String,
    control: String,
    client: reqwest::Client,
    _server: Server,
}

/// A token that a test wants; who names a user gets it by the authorization code flow, everybody else as a client.
pub struct Wanted<'i> {
    identity: &'i Identity,
    body: Value,
}

/// What the provider says where its keys are asked for.
#[derive(Debug, Clone)]
pub enum Outage {
    /// Its keys.
    None,
    /// Nothing, with the connection kept open.
    Hang,
    /// Nothing, and the connection is closed.
    Reset,
    /// Its keys, after so many milliseconds.
    Slow(u64),
    /// This, with its status.
    Answer(u16, String),
}

/// A token of the attacker.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Forged {
    pub family: String,
    pub name: String,
    pub token: String,
    pub expected: Expected,
}

/// What a verifier shall make of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expected {
    Refused,
    Accepted,
    /// The standards leave it open.
    Either,
}

impl Identity {
    /// With keys for every algorithm.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With keys for these algorithms.
    pub async fn start_with(algorithms: &[&str]) -> Self {
        let programs = tokio::task::spawn_blocking(|| peers::node("oidc-provider@9.13.3")).await.expect("the provider");
        let mut command = Command::new("node");
        command.arg(file("provider.mjs")).arg(programs.parent().expect("a folder")).args(algorithms);
        let server = Server::start(&mut command).await;
        let line = server.line("the provider tells who it is", |line| line.starts_with('{')).await;
        let said: Value = serde_json::from_str(&line).expect("JSON");
        let text = |name: &str| said[name].as_str().expect("a URL").to_owned();
        // A second call finds the provider of the first; both are the same.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { issuer: text("issuer"), control: text("control"), client, _server: server }
    }

    /// Its name, as `iss` says it.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Where its keys are.
    pub fn jwks_url(&self) -> String {
        format!("{}/jwks", self.issuer)
    }

    /// The keys that it publishes.
    pub async fn jwks(&self) -> Value {
        let answer = self.client.get(self.jwks_url()).send().await.expect("an answer");
        serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON")
    }

    /// A token that is signed with this algorithm: for the audience `gatehouse`, valid for five minutes.
    pub fn token(&self, alg: &str) -> Wanted<'_> {
        Wanted { identity: self, body: json!({"alg": alg}) }
    }

    /// A new key signs from now on; its `kid`. The old ones stay published or go.
    pub async fn rotate(&self, alg: &str, keeps_old: bool) -> String {
        self.control("rotate", &json!({"alg": alg, "keepsOld": keeps_old})).await["kid"].as_str().expect("a kid").to_owned()
    }

    /// Another answer where its keys are asked for, from now on.
    pub async fn outage(&self, what: Outage) {
        let body = match what {
            Outage::None => json!({"mode": "none"}),
            Outage::Hang => json!({"mode": "hang"}),
            Outage::Reset => json!({"mode": "reset"}),
            Outage::Slow(delay) => json!({"mode": "slow", "delay": delay}),
            Outage::Answer(status, body) => json!({"mode": "answer", "status": status, "body": body}),
        };
        self.control("outage", &body).await;
    }

    /// How often its keys were asked for.
    pub async fn jwks_requests(&self) -> u64 {
        self.control("counts", &json!({})).await["jwks"].as_u64().expect("a number")
    }

    /// Its keys with their private parts, for tokens that it would never make.
    pub async fn private_keys(&self) -> Value {
        self.control("private", &json!({})).await["keys"].take()
    }

    /// Tokens that an attacker makes who has a token of a viewer of `tenant`, knows a key of another issuer, and has put keys at a
    /// URL of its own.
    pub async fn forged(&self, tenant: &str, other_tenant: &str, foreign_kid: &str, evil_url: &str) -> Vec<Forged> {
        let good = self.token("ES256").user("mallory").tenant(tenant).claim("roles", json!(["viewer"])).mint().await;
        let scene = json!({
            "issuer": self.issuer, "audience": "gatehouse", "tenant_claim": "tenant", "tenant": tenant, "other_tenant": other_tenant,
            "keys": self.private_keys().await, "good": good, "foreign_kid": foreign_kid, "evil_url": evil_url,
        });
        let python = || peers::python(&["cryptography==50.0.2", "pyjwt==2.15.1"]);
        let python = tokio::task::spawn_blocking(python).await.expect("Python");
        let mut command = tokio::process::Command::new(python);
        command.arg("-B").arg(file("attack.py")).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut attacker = command.spawn().expect("the attacker starts");
        let mut input = attacker.stdin.take().expect("piped");
        input.write_all(scene.to_string().as_bytes()).await.expect("the scene is taken");
        drop(input);
        let output = within("the attacker ends", attacker.wait_with_output()).await.expect("an output");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("a list of tokens")
    }

    async fn control(&self, verb: &str, body: &Value) -> Value {
        let answer = self.client.post(format!("{}/{verb}", self.control)).body(body.to_string()).send().await.expect("an answer");
        let (status, text) = (answer.status(), answer.text().await.expect("a body"));
        assert!(status.is_success(), "{verb}: {text}");
        serde_json::from_str(&text).expect("JSON")
    }
}

impl Wanted<'_> {
    /// Of a user.
    pub fn user(self, name: &str) -> Self {
        self.set("user", json!(name))
    }

    /// Of a user or client of this tenant.
    pub fn tenant(self, slug: &str) -> Self {
        self.claim("tenant", json!(slug))
    }

    /// With these roles: in `roles`, and where Keycloak has them.
    pub fn roles(self, roles: &[&str]) -> Self {
        self.claim("roles", json!(roles)).claim("realm_access", json!({"roles": roles}))
    }

    /// With another claim.
    pub fn claim(self, name: &str, value: Value) -> Self {
        self.within("claims", name, value)
    }

    /// With a member of the payload as it is here, also one of the provider's own such as `exp`; null takes it away.
    pub fn payload(self, name: &str, value: Value) -> Self {
        self.within("payload", name, value)
    }

    /// With a member of the header as it is here; null takes it away.
    pub fn header(self, name: &str, value: Value) -> Self {
        self.within("header", name, value)
    }

    /// For somebody else.
    pub fn audience(self, audience: &str) -> Self {
        self.set("audience", json!(audience))
    }

    /// Valid for so many seconds.
    pub fn lifetime(self, seconds: u64) -> Self {
        self.set("lifetime", json!(seconds))
    }

    /// With these scopes, separated by spaces.
    pub fn scope(self, scope: &str) -> Self {
        self.set("scope", json!(scope))
    }

    /// Lets the provider make it.
    pub async fn mint(self) -> String {
        self.identity.control("mint", &self.body).await["token"].as_str().expect("a token").to_owned()
    }

    fn set(mut self, name: &str, value: Value) -> Self {
        self.body[name] = value;
        self
    }

    fn within(mut self, part: &str, name: &str, value: Value) -> Self {
        let members = self.body.as_object_mut().expect("an object").entry(part).or_insert_with(|| Map::new().into());
        members[name] = value;
        self
    }
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/identity").join(name)
}
