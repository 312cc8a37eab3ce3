//! An app does not notice the gateway, whatever client is before it and whatever server it is: hyper's, Node's and Python's
//! clients get from hyper's, Node's and Python's servers through the gateway what they get directly, case by case.

mod cases;
pub mod contract;
mod curl;
mod hyper_client;
mod judge;
mod places;
mod server;
mod verdict;
mod wire;

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use hyper_client::{hyper_verdicts, reqwest_verdicts};
use judge::judge;
use places::{Places, file, python};
use verdict::Verdict;

use crate::support::Raw;

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

#[tokio::test]
async fn curl_shows_the_same_directly_and_through_the_gateway() {
    curl::Curl::start().await.judge().await;
}

#[tokio::test]
async fn what_only_octets_can_say_means_the_same_through_the_gateway() {
    let places = Places::start().await;
    wire::judge_talks(&places).await;
}

#[tokio::test]
async fn a_trailer_of_one_request_is_no_field_of_anothers() {
    // aiohttp takes the last trailer for a field of the next request on the connection.
    let places = Places::start().await;
    let place = places.all.iter().find(|place| place.server == "aiohttp" && place.way == "clear").unwrap();
    let mut wire = Raw::over(place.connect(&places.trusting("http/1.1")).await);
    let host = place.authority();
    let upload = format!("POST /up HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-role: admin\r\n\r\n");
    for _ in 0..3 {
        wire.send(&upload).await;
        assert_eq!(wire.message().await.head.status(), 200);
        wire.send(format!("GET /next-request HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        let seen = String::from_utf8(wire.message().await.body).unwrap();
        assert!(seen.contains("/next-request") && !seen.contains("x-role"), "{seen}");
    }
}
