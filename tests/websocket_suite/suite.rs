//! The suite of Autobahn, 517 cases, run by `kosoku`: each case has the same verdict, for the same reason, with the gateway
//! between the two sides as without it.
//!
//! Cases that send 1,000 equal messages send [`MESSAGES`] of them here. `WEBSOCKET_SUITE=all` runs them as they are, which takes
//! the better part of an hour, and tells the verdicts:
//!
//! ```text
//! WEBSOCKET_SUITE=all cargo test --test gateway websocket_suite::suite -- --nocapture --test-threads 1
//! ```

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::bridge::Bridge;
use super::{PATIENCE, output, script};
use crate::support::gateway::GatewayBuilder;
use crate::support::peers::{Server, debian_library};
use crate::support::{TestGateway, tenant};

/// What the suite found of each case.
type Verdicts = BTreeMap<String, Value>;

/// How many messages a case sends that would send 1,000.
const MESSAGES: &str = "10";
const HOST: &str = "acme.example.localhost";

/// All cases.
fn whole() -> Vec<String> {
    vec!["*".to_owned()]
}

/// For a library in plain Python: all cases but those of large messages in many frames. The groups 12 and 13 are each way
/// of compressing with messages of 16 and of 4,096 octets.
fn moderate() -> Vec<String> {
    let groups = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.1.1", "9.2.1", "9.7.*", "9.8.*", "10.*"];
    let compressed = (1..=5).map(|data| (12, data)).chain((1..=7).map(|way| (13, way)));
    let compressed = compressed.flat_map(|(group, part)| [1, 5].map(|size| format!("{group}.{part}.{size}")));
    groups.into_iter().map(str::to_owned).chain(compressed).collect()
}

fn in_full() -> bool {
    std::env::var_os("WEBSOCKET_SUITE").is_some_and(|wanted| wanted == "all")
}

fn patience() -> Duration {
    if in_full() { Duration::from_secs(3_600) } else { PATIENCE * 2 }
}

async fn part(name: &str) -> Command {
    let mut command = script(name).await;
    if !in_full() {
        command.env("MESSAGES", MESSAGES);
    }
    command
}

fn acme(gateway: GatewayBuilder) -> GatewayBuilder {
    gateway.tenant(tenant("acme"))
}

/// The suite as a client of whoever is at this port; for it, the tenant's name is this machine.
async fn fuzzing_client(port: u16, cases: &[String]) -> Verdicts {
    let names = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(names.path(), format!("127.0.0.1 {HOST}\n")).unwrap();
    let wrapper = tokio::task::spawn_blocking(|| debian_library("libnss_wrapper.so", "libnss-wrapper")).await.unwrap();
    let mut command = part("fuzzing_client.py").await;
    command.env("LD_PRELOAD", wrapper).env("NSS_WRAPPER_HOSTS", names.path());
    command.arg(format!("ws://{HOST}:{port}")).args(cases);
    serde_json::from_str(&output(command, patience()).await).unwrap()
}

/// The suite as an app.
async fn fuzzing_server(cases: &[String]) -> Server {
    Server::start(part("fuzzing_server.py").await.args(cases)).await
}

/// What the suite as an app found, once a client has played all its cases.
async fn finished<const N: usize>(app: &Server, client: &str, arguments: [String; N]) -> Verdicts {
    let mut command = script(client).await;
    command.args(arguments);
    output(command, patience()).await;
    serde_json::from_str(&app.line("the suite's findings", |line| line.starts_with('{')).await).unwrap()
}

/// Plays cases directly and through the gateway: each of `count` is judged in the same way, nearly all of them well.
///
/// Ten cases send a message and, at once, a frame that breaks the rules. Whether the message is answered first (`OK`) or not
/// (`NON-STRICT`) depends on whether the two are read together, which is chance: such a case is played again until both ways
/// agree.
async fn assert_same(
    count: usize,
    cases: &[String],
    direct: impl AsyncFn(&[String]) -> Verdicts,
    through: impl AsyncFn(&[String]) -> Verdicts,
) {
    let (mut found, mut found_through) = (direct(cases).await, through(cases).await);
    assert_eq!((found.len(), found_through.len()), (count, count));
    tell(&found);
    let well = |found: &Value| !["FAILED", "ERROR"].contains(&found["behavior"].as_str().unwrap());
    assert!(found.values().filter(|found| well(found)).count() * 100 >= count * 99, "{found:?}");
    for _ in 0..10 {
        let differing = differing(&found, &found_through);
        if differing.is_empty() {
            return;
        }
        for case in &differing {
            eprintln!("{case}: directly {}\n{case}: through the gateway {}", found[case], found_through[case]);
            assert_eq!(but_strictness(&found[case]), but_strictness(&found_through[case]), "{case}");
        }
        assert!(differing.len() * 100 <= count, "too many for chance: {differing:?}");
        (found, found_through) = (direct(&differing).await, through(&differing).await);
    }
    panic!("the same cases differ again and again");
}

fn differing(one: &Verdicts, other: &Verdicts) -> Vec<String> {
    let differs = |(case, found): &(&String, &Value)| judged(&other[*case]) != judged(found);
    one.iter().filter(differs).map(|(case, _)| case.clone()).collect()
}

/// What has to be the same of a case. Where the suite only informs, the answer may or may not come before the end.
fn judged(found: &Value) -> Value {
    let mut found = found.clone();
    if found["behavior"] == "INFORMATIONAL" {
        found["said"].take();
        found["received"].take();
    }
    found
}

/// All of it but whether a message was answered before its connection failed.
fn but_strictness(found: &Value) -> Value {
    let mut found = judged(found);
    if ["OK", "NON-STRICT"].contains(&found["behavior"].as_str().unwrap()) {
        found["behavior"] = "OK".into();
        found["said"].take();
        found["received"].take();
    }
    found
}

/// How many cases have which verdict; which, where they are few.
fn tell(verdicts: &Verdicts) {
    let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (case, found) in verdicts {
        let verdict = format!("{}, closed {}", found["behavior"].as_str().unwrap(), found["behaviorClose"].as_str().unwrap());
        groups.entry(verdict).or_default().push(case);
    }
    for (verdict, cases) in groups {
        let which = if cases.len() < 20 { cases.join(" ") } else { String::new() };
        eprintln!("{:4} {verdict} {which}", cases.len());
    }
}

#[tokio::test]
async fn a_client_that_fuzzes_finds_the_same_of_an_app_behind_the_gateway() {
    let app = Server::start(&mut script("echo_server.py").await).await;
    let gateway = acme(TestGateway::to_url(&app.url())).plaintext().start().await;
    let direct = async |cases: &[String]| fuzzing_client(app.address.port(), cases).await;
    let through = async |cases: &[String]| fuzzing_client(gateway.http.port(), cases).await;
    assert_same(517, &whole(), direct, through).await;
}

#[tokio::test]
async fn an_app_that_fuzzes_finds_the_same_of_a_client_before_the_gateway() {
    let direct = async |cases: &[String]| {
        let app = fuzzing_server(cases).await;
        finished(&app, "echo_client.py", [format!("ws://{HOST}"), app.address.port().to_string()]).await
    };
    let through = async |cases: &[String]| {
        let app = fuzzing_server(cases).await;
        let gateway = acme(TestGateway::to_url(&app.url())).start().await;
        let at = [format!("wss://{HOST}"), gateway.https.unwrap().port().to_string(), gateway.ca().display().to_string()];
        finished(&app, "echo_client.py", at).await
    };
    assert_same(517, &whole(), direct, through).await;
}

#[tokio::test]
async fn an_app_that_fuzzes_finds_the_same_of_a_client_that_comes_over_http_2() {
    let direct = async |cases: &[String]| {
        let app = fuzzing_server(cases).await;
        finished(&app, "wsproto_client.py", [HOST.to_owned(), app.address.port().to_string()]).await
    };
    let through = async |cases: &[String]| {
        let app = fuzzing_server(cases).await;
        let gateway = acme(TestGateway::to_url(&app.url())).start().await;
        let at = [HOST.to_owned(), gateway.https.unwrap().port().to_string(), gateway.ca().display().to_string()];
        finished(&app, "wsproto_client.py", at).await
    };
    assert_same(285, &moderate(), direct, through).await;
}

#[tokio::test]
async fn a_client_that_fuzzes_finds_the_same_of_an_app_that_is_asked_over_http_2() {
    let app = Server::start(&mut script("echo_server.py").await).await;
    let (plain, behind) = (Bridge::plain(app.address).await, Bridge::from_http2(app.address).await);
    let gateway = acme(TestGateway::to_url(&format!("h2c://{}", behind.address))).plaintext().start().await;
    let direct = async |cases: &[String]| fuzzing_client(plain.address.port(), cases).await;
    let through = async |cases: &[String]| fuzzing_client(gateway.http.port(), cases).await;
    assert_same(285, &moderate(), direct, through).await;
}

#[tokio::test]
async fn a_client_that_fuzzes_finds_the_same_over_http_2_throughout() {
    let app = Server::start(&mut script("echo_server.py").await).await;
    let (plain, behind) = (Bridge::plain(app.address).await, Bridge::from_http2(app.address).await);
    let gateway = acme(TestGateway::to_url(&format!("h2c://{}", behind.address))).start().await;
    let before = Bridge::to_http2(&gateway, HOST).await;
    let direct = async |cases: &[String]| fuzzing_client(plain.address.port(), cases).await;
    let through = async |cases: &[String]| fuzzing_client(before.address.port(), cases).await;
    assert_same(517, &whole(), direct, through).await;
    gateway.access_record(|record| record["protocol"] == "HTTP/2.0" && record["status"] == 101).await;
}
