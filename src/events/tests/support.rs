//! Events of a test: a store in memory, endpoints, and a receiver that answers what the test says.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::config::Config;
use crate::events::Events;
use crate::model::{Millis, TenantId};
use crate::observe::Metrics;
use crate::store::memory::Memory;
use crate::store::{AuditRow, Store};

pub const TENANT: TenantId = TenantId::from_bytes([2; 16]);
pub const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz";

/// Events for these endpoints, over a store in memory.
pub fn events(toml: &str) -> (Arc<Events>, Arc<dyn Store>) {
    let store: Arc<dyn Store> = Arc::new(Memory::default());
    (over(&store, toml), store)
}

/// Events over a store.
pub fn over(store: &Arc<dyn Store>, toml: &str) -> Arc<Events> {
    let config = Config::from_toml(toml).unwrap();
    Arc::new(Events::new(Arc::clone(store), &config.events, Vec::new(), Arc::new(Metrics::default())))
}

/// The configuration of an endpoint at a URL.
pub fn endpoint(name: &str, url: &str, more: &str) -> String {
    format!("[events.endpoint.{name}]\nurl = \"{url}\"\nsecret = \"{SECRET}\"\n{more}\n")
}

/// Quick ones, on this machine.
pub fn quick(more: &str) -> String {
    format!("[events]\nretry = [\"10ms\", \"10ms\"]\ntimeout = \"5s\"\nallow_private = true\n{more}")
}

pub fn row(action: &str, after: Value) -> AuditRow {
    let time = Millis(1_795_521_600_000);
    AuditRow {
        time,
        actor: "system".to_owned(),
        source: None,
        action: action.to_owned(),
        tenant_id: Some(TENANT),
        before: None,
        after: Some(after),
        request_id: None,
        reason: None,
    }
}

pub fn suspended() -> AuditRow {
    row("tenant.suspended", json!({"status": "suspended"}))
}

/// A receiver.
pub struct Receiver {
    pub url: String,
    heard: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Receiver {
    /// Answers each request with the next of these texts, the last of them for ever.
    pub async fn answering(answers: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks?a=1", listener.local_addr().unwrap());
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut text = Vec::new();
                let whole = |text: &[u8]| {
                    let text = String::from_utf8_lossy(text).into_owned();
                    let (head, body) = text.split_once("\r\n\r\n")?;
                    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?.parse::<usize>().ok()?;
                    (body.len() >= length).then_some(())
                };
                while whole(&text).is_none() {
                    let mut piece = [0; 4096];
                    match stream.read(&mut piece).await {
                        Ok(0) | Err(_) => break,
                        Ok(read) => text.extend_from_slice(&piece[..read]),
                    }
                }
                let number = {
                    let mut kept = kept.lock().unwrap();
                    kept.push(String::from_utf8(text).unwrap());
                    kept.len() - 1
                };
                let answer = answers[number.min(answers.len() - 1)];
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { url, heard, task }
    }

    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Waits until there is something.
pub async fn until<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..2_000 {
        if let Some(found) = probe().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("waited in vain: {what}");
}
