//! A name server that says what a test wants: pebble's own.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::nginx::{Program, free};
use crate::support::{eventually, peers};

/// Runs until it is dropped. Names that were not set do not exist.
pub struct TestDns {
    pub address: SocketAddr,
    management: SocketAddr,
    client: reqwest::Client,
    _server: Program,
}

impl TestDns {
    /// Starts it on free ports; where another test was faster, on others.
    pub async fn start() -> Self {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        loop {
            let (address, management) = (free(), free());
            let mut command = Command::new(peers::debian("pebble-challtestsrv", "pebble"));
            command.args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv4", "", "-defaultIPv6", ""]);
            command.args(["-dns01", &address.to_string(), "-management", &management.to_string()]);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let server = Program::start(&mut command);
            let dns = Self { address, management, client: client.clone(), _server: server };
            if dns.answers().await {
                return dns;
            }
        }
    }

    async fn answers(&self) -> bool {
        let url = format!("http://{}/clear-a", self.management);
        let asked = async || self.client.post(&url).body(r#"{"host": "nobody.test."}"#).send().await.ok();
        let mut tries = 0;
        eventually("the name server listens", || {
            tries += 1;
            let last = tries > 100;
            let asked = asked();
            async move { if asked.await.is_some() { Some(true) } else { last.then_some(false) } }
        })
        .await
    }

    /// Leads a name to these addresses, and no others.
    pub async fn address(&self, name: &str, addresses: &[&str]) {
        self.tell("clear-a", json!({"host": dotted(name)})).await;
        if !addresses.is_empty() {
            self.tell("add-a", json!({"host": dotted(name), "addresses": addresses})).await;
        }
    }

    /// Sets a TXT record.
    pub async fn text(&self, name: &str, value: &str) {
        self.tell("set-txt", json!({"host": dotted(name), "value": value})).await;
    }

    /// Takes it away.
    pub async fn no_text(&self, name: &str) {
        self.tell("clear-txt", json!({"host": dotted(name)})).await;
    }

    /// Lets one authority issue; none with `;`.
    pub async fn caa(&self, name: &str, issuer: &str) {
        self.tell("add-caa", json!({"host": dotted(name), "policies": [{"tag": "issue", "value": issuer}]})).await;
    }

    /// Takes its CAA records away.
    pub async fn no_caa(&self, name: &str) {
        self.tell("clear-caa", json!({"host": dotted(name)})).await;
    }

    /// Answers SERVFAIL for a name, or no more.
    pub async fn fails(&self, name: &str, fails: bool) {
        self.tell(if fails { "set-servfail" } else { "clear-servfail" }, json!({"host": dotted(name)})).await;
    }

    /// What a claim asks for: the records of its domain.
    pub async fn obey(&self, domain: &Value) {
        for record in domain["records"].as_array().expect("records") {
            let (name, value) = (record["name"].as_str().expect("a name"), record["value"].as_str().expect("a value"));
            match record["type"].as_str() {
                Some("TXT") => self.text(name, value).await,
                // The base domain is on this machine.
                _ => self.address(name, &["127.0.0.1"]).await,
            }
        }
    }

    async fn tell(&self, what: &str, body: Value) {
        let sent = self.client.post(format!("http://{}/{what}", self.management)).body(body.to_string()).send().await;
        assert!(sent.expect("an answer").status().is_success(), "{what}");
    }
}

fn dotted(name: &str) -> String {
    format!("{name}.")
}
