//! A browser does not notice the gateway: Chromium gives the same verdicts on a page of an app that it reaches directly, over HTTP/2
//! and TLS, and through the gateway.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::clients::contract::request_fields;
use crate::support::gateway::BASE;
use crate::support::peers::{self, Server};
use crate::support::{TestGateway, tenant};

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/browser").join(name)
}

/// What the browser sees at each place.
async fn visit(certificate: &std::path::Path, places: &[(&str, String)]) -> Value {
    let chromium = tokio::task::spawn_blocking(|| peers::debian("chromium", "chromium")).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut driver = tokio::process::Command::new("node");
    driver.arg(file("drive.mjs")).arg(chromium).arg(certificate).arg(folder.path());
    driver.args(places.iter().map(|(name, url)| format!("{name}={url}"))).env("HOME", folder.path());
    let running = driver.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(Duration::from_secs(120), running).await.expect("the browser's visit ends").unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn chromium_gives_the_same_verdicts_directly_and_through_the_gateway() {
    let app = Server::start(Command::new("node").arg(file("app.mjs"))).await;
    let gateway = TestGateway::to_url(&app.url()).tenant(tenant("acme")).tenant(tenant("globex")).start().await;
    let [certificate, key] = ["dev.crt", "dev.key"].map(|name| gateway.dir.path().join(name));
    let alone = Server::start(Command::new("node").arg(file("app.mjs")).arg(&certificate).arg(&key)).await;
    let direct = format!("https://acme.{BASE}:{}", alone.address.port());
    let through = gateway.url("acme", "");

    let seen = visit(&certificate, &[("direct", direct.clone()), ("through", through.clone())]).await;
    let mut faults = Vec::new();
    let mut verdicts = |name: &str, url: &str| {
        let (_, authority) = url.split_once("://").unwrap();
        let text = seen[name].to_string().replace(authority, "app.example");
        let mut list: Value = serde_json::from_str(&text).unwrap();
        let fields = &mut list["what the app sees of a fetch"]["headers"];
        *fields = request_fields(fields, name == "through", true, &mut faults);
        list.as_object().unwrap().clone()
    };
    let (direct, through) = (verdicts("direct", &direct), verdicts("through", &through));
    for (name, expected) in &direct {
        println!("chromium: {name}: {expected}");
        if through[name] != *expected {
            faults.push(format!("{name}\n    direct {expected}\n    through {}", through[name]));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(direct.len(), 26, "{:?}", direct.keys());
    // And not because nothing works in both.
    assert_eq!(direct["protocols"], json!(["h2"]));
    assert_eq!(direct["the hinted style came before the page"], true);
    assert_eq!(direct["a WebSocket"], json!(["over HTTP/2", "grüße", 100_000, "chat.v2", 4001, "enough", true]));
    let failed =
        direct.iter().filter(|(_, verdict)| verdict.as_str().is_some_and(|text| text.starts_with("failed") || text == "no end of it"));
    assert_eq!(failed.count(), 0, "{direct:?}");
}
