//! Python's grpcio, and beside it Node's grpc-js: apps, and clients that tell what they saw of each call.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use gatehouse::model::Host;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::timeout;

use crate::support::TestGateway;
use crate::support::gateway::BASE;
use crate::support::peers::{self, Server};

/// More than a call's own deadline.
const PATIENCE: Duration = Duration::from_secs(90);
/// Names that the gateway adds to what the app says.
const ADDED_TO_ANSWERS: [&str; 2] = ["date", "x-request-id"];
/// Names that the gateway adds to what the client says.
const ADDED_TO_REQUESTS: [&str; 10] = [
    "forwarded",
    "traceparent",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-request-id",
    "x-tenant-id",
    "x-tenant-plan",
    "x-tenant-slug",
];

/// What the client tells of each case.
pub type Verdicts = BTreeMap<String, Value>;

/// The interpreter that has grpcio.
pub async fn python() -> PathBuf {
    const PACKAGES: [&str; 4] = ["grpcio==1.85.3", "grpcio-health-checking==1.85.1", "grpcio-reflection==1.85.1", "protobuf==7.36.2"];
    tokio::task::spawn_blocking(|| peers::python(&PACKAGES)).await.unwrap()
}

/// A program for Node, with grpc-js.
async fn node(script_name: &str) -> Command {
    let programs = tokio::task::spawn_blocking(|| peers::node("@grpc/grpc-js@1.14.7")).await.unwrap();
    let mut command = Command::new("node");
    command.env("NODE_PATH", programs.parent().unwrap()).arg(script(script_name));
    command
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/grpc").join(name)
}

/// An app.
pub struct App {
    server: Server,
    /// The CA of its certificate, where it has one, and the folder of both.
    tls: Option<(PathBuf, tempfile::TempDir)>,
}

impl App {
    /// In clear, with arguments of grpcio's server such as `grpc.max_concurrent_streams=8`.
    pub async fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(python().await);
        Self { server: Server::start(command.arg(script("app.py")).args(arguments)).await, tls: None }
    }

    /// With Node, in clear.
    pub async fn start_with_node() -> Self {
        Self { server: Server::start(&mut node("app.js").await).await, tls: None }
    }

    /// Over TLS, with a certificate for the test's tenants.
    pub async fn start_over_tls() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = gatehouse::tls::write_dev_certificates(folder.path(), &Host::parse(BASE).unwrap()).unwrap();
        let mut command = Command::new(python().await);
        command.arg(script("app.py")).arg("--tls").arg(&made.cert).arg(&made.key);
        Self { server: Server::start(&mut command).await, tls: Some((made.ca, folder)) }
    }

    /// As an upstream.
    pub fn url(&self) -> String {
        match self.tls {
            Some(_) => format!("h2://localhost:{}", self.server.address.port()),
            None => format!("h2c://{}", self.server.address),
        }
    }

    /// The CA of its certificate.
    pub fn ca(&self) -> &Path {
        &self.tls.as_ref().unwrap().0
    }

    /// Where a client finds it without a gateway.
    pub fn direct(&self) -> Way {
        Way { address: self.server.address, ca: self.tls.as_ref().map(|(ca, _)| ca.clone()), slug: "acme".to_owned() }
    }
}

/// How a client gets to the app.
#[derive(Clone)]
pub struct Way {
    address: SocketAddr,
    ca: Option<PathBuf>,
    slug: String,
}

impl Way {
    /// Through a gateway, as a tenant.
    pub fn through(gateway: &TestGateway, slug: &str) -> Self {
        let ca = gateway.https.map(|_| gateway.ca().to_owned());
        Self { address: gateway.https.unwrap_or(gateway.http), ca, slug: slug.to_owned() }
    }

    /// Runs all cases.
    pub async fn run_all(&self) -> Verdicts {
        self.run(&[]).await
    }

    /// Runs one case.
    pub async fn case(&self, name: &str) -> Verdicts {
        self.run(&["--only", name]).await
    }

    /// Runs with arguments; fails where a case does not do what it says itself.
    pub async fn run(&self, arguments: &[&str]) -> Verdicts {
        verdicts(self.begin(arguments).await).await
    }

    /// Starts the client.
    pub async fn begin(&self, arguments: &[&str]) -> Running {
        let mut command = Command::new(python().await);
        command.arg(script("cases.py"));
        self.spawn(command, arguments)
    }

    /// Runs the cases of Node's client.
    pub async fn run_with_node(&self) -> Verdicts {
        verdicts(self.spawn(node("cases.js").await, &[])).await
    }

    fn spawn(&self, mut command: Command, arguments: &[&str]) -> Running {
        command.env("PYTHONDONTWRITEBYTECODE", "1").arg(self.address.to_string()).arg(format!("{}.{BASE}", self.slug));
        if let Some(ca) = &self.ca {
            command.arg("--ca").arg(ca);
        }
        let mut command = tokio::process::Command::from(command);
        let mut child = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Running { _child: child, lines }
    }
}

/// All that a client tells; fails where a case does not do what it says itself.
async fn verdicts(mut client: Running) -> Verdicts {
    let mut verdicts = Verdicts::new();
    while let Some((name, verdict)) = client.next().await {
        verdicts.insert(name, verdict);
    }
    let broken: Vec<_> = verdicts.iter().filter_map(|(name, verdict)| Some(format!("{name}: {}", verdict["broken"].as_str()?))).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    verdicts
}

/// A client that runs.
pub struct Running {
    _child: tokio::process::Child,
    lines: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
}

impl Running {
    /// The next verdict; None at the end.
    pub async fn next(&mut self) -> Option<(String, Value)> {
        let line = timeout(PATIENCE, self.lines.next_line()).await.expect("the client tells something").unwrap()?;
        Some(serde_json::from_str(&line).unwrap())
    }
}

/// Fails unless both ways had the same outcome in every case, but for what the gateway is meant to add.
#[track_caller]
pub fn assert_same(direct: &Verdicts, through: &Verdicts) {
    let plain = |verdicts: &Verdicts| verdicts.iter().map(|(name, verdict)| (name.clone(), without_added(verdict))).collect::<Verdicts>();
    let (direct, through) = (plain(direct), plain(through));
    let mut different = Vec::new();
    for name in direct.keys().chain(through.keys().filter(|name| !direct.contains_key(*name))) {
        let (one, other) = (direct.get(name), through.get(name));
        if one != other {
            different.push(format!("{name}\n  directly: {}\n  through:  {}", said(one), said(other)));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

fn said(verdict: Option<&Value>) -> String {
    verdict.map_or_else(|| "nothing".to_owned(), Value::to_string)
}

/// A verdict without the names that the gateway adds.
fn without_added(verdict: &Value) -> Value {
    match verdict {
        Value::Array(list) => list.iter().map(without_added).collect(),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), member_without_added(name, value))).collect(),
        other => other.clone(),
    }
}

fn member_without_added(name: &str, value: &Value) -> Value {
    match (name, value) {
        ("initial" | "trailing", Value::Object(fields)) => fields
            .iter()
            .filter(|(name, _)| !ADDED_TO_ANSWERS.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        ("metadata", Value::Array(pairs)) => {
            pairs.iter().filter(|pair| pair[0].as_str().is_none_or(|name| !ADDED_TO_REQUESTS.contains(&name))).cloned().collect()
        }
        _ => without_added(value),
    }
}
