//! A system that is told: it keeps what it was told and answers what the test says. Signatures are verified by the PyPI package
//! `standardwebhooks`.

use std::process::Command;
use std::sync::{Arc, Mutex};

use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::support::upstream::{RunningUpstream, full};
use crate::support::{Upstream, eventually, peers};

/// Runs until it is dropped.
pub struct Receiver {
    app: RunningUpstream,
    told: Arc<Mutex<Vec<Told>>>,
}

/// A request.
#[derive(Debug, Clone)]
pub struct Told {
    pub headers: HeaderMap,
    pub body: String,
}

/// What a receiver does with a request; by its number, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    Answer(u16),
    Hang,
}

impl Receiver {
    /// Takes everything.
    pub async fn willing() -> Self {
        Self::doing(|_| Does::Answer(204), None).await
    }

    /// Does what `does` says; redirects lead to `location`.
    pub async fn doing(does: impl Fn(usize) -> Does + Send + Sync + 'static, location: Option<String>) -> Self {
        let told: Arc<Mutex<Vec<Told>>> = Arc::default();
        let (kept, does) = (Arc::clone(&told), Arc::new(does));
        let app = Upstream::with(move |request: Request<Incoming>| {
            let (kept, does, location) = (Arc::clone(&kept), Arc::clone(&does), location.clone());
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                let number = {
                    let mut kept = kept.lock().expect("not poisoned");
                    kept.push(Told { headers: parts.headers, body: String::from_utf8(body.to_vec()).expect("text") });
                    kept.len() - 1
                };
                let Does::Answer(status) = does(number) else { return std::future::pending().await };
                let mut answer = Response::builder().status(status);
                if let Some(location) = &location {
                    answer = answer.header("location", location);
                }
                answer.body(full("what it says")).expect("a response")
            }
        });
        Self { app: app.start().await, told }
    }

    pub fn url(&self) -> String {
        format!("{}/hooks?from=gatehouse", self.app.url())
    }

    pub fn port(&self) -> u16 {
        self.app.address.port()
    }

    /// Everything so far.
    pub fn told(&self) -> Vec<Told> {
        self.told.lock().expect("not poisoned").clone()
    }

    /// The first request with an event of this type.
    pub async fn hears(&self, kind: &str) -> Told {
        eventually(&format!("{kind} arrives"), || async { self.told().into_iter().find(|told| told.json()["type"] == kind) }).await
    }
}

impl Told {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    pub fn field(&self, name: &str) -> &str {
        self.headers[name].to_str().expect("text")
    }

    pub fn id(&self) -> &str {
        self.field("webhook-id")
    }
}

/// Whether the package of those who wrote the specification takes each of these as signed with the secret.
pub fn verified(told: &[Told], secret: &str) -> Vec<bool> {
    const PROGRAM: &str = r#"
import json, sys
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
secret, path = sys.argv[1:]
outcomes = []
for told in json.load(open(path)):
    try:
        Webhook(secret).verify(told["body"], told["headers"])
        outcomes.append(True)
    except WebhookVerificationError:
        outcomes.append(False)
print(json.dumps(outcomes))
"#;
    let file = tempfile::NamedTempFile::new().expect("a file");
    let fields = |told: &Told| {
        let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
        names.into_iter().map(|name| (name.to_owned(), json!(told.field(name)))).collect::<serde_json::Map<_, _>>()
    };
    let all: Vec<Value> = told.iter().map(|told| json!({"headers": fields(told), "body": told.body})).collect();
    std::fs::write(file.path(), json!(all).to_string()).expect("written");
    let python = peers::python(&["standardwebhooks==1.1.0"]);
    let printed = peers::run(Command::new(python).args(["-c", PROGRAM, secret]).arg(file.path()));
    serde_json::from_str(&printed).expect("a list")
}
