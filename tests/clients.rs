//! An app does not notice the gateway, whatever client is before it and whatever server it is: hyper's, Node's and Python's
//! clients get from hyper's, Node's and Python's servers through the gateway what they get directly, case by case.

mod cases;
mod contract;
mod hyper_client;
mod judge;
mod places;
mod server;
mod verdict;

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use hyper_client::{hyper_verdicts, reqwest_verdicts};
use judge::judge;
use places::{Places, file, python};
use verdict::Verdict;

/// Runs a program that does the cases at every place; its verdicts.
async fn verdicts_of(mut program: Command, places: &Places) -> Vec<Verdict> {
    let job = places.tls.dir.path().join("job.json");
    let text = json!({"cases": cases::all(), "places": places.all, "ca": places.tls.ca()}).to_string();
    std::fs::write(&job, text).unwrap();
    program.arg(&job).env("NODE_EXTRA_CA_CERTS", places.tls.ca()).stdin(Stdio::null());
    let running = tokio::process::Command::from(program).kill_on_drop(true).output();
    let output = tokio::time::timeout(Duration::from_secs(120), running).await.expect("the clients end").unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hypers_clients_get_the_same_directly_and_through_the_gateway() {
    let places = Places::start().await;
    let verdicts = [hyper_verdicts(&places).await, reqwest_verdicts(&places).await].concat();
    judge(&places, &verdicts);
}

#[tokio::test]
async fn nodes_clients_get_the_same_directly_and_through_the_gateway() {
    let places = Places::start().await;
    let mut node = Command::new("node");
    node.args(["--max-http-header-size=131072"]).arg(file("client.mjs"));
    judge(&places, &verdicts_of(node, &places).await);
}

#[tokio::test]
async fn pythons_clients_get_the_same_directly_and_through_the_gateway() {
    let places = Places::start().await;
    let mut program = Command::new(python().await);
    program.arg(file("client.py"));
    judge(&places, &verdicts_of(program, &places).await);
}
