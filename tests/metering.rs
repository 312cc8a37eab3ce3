//! Usage is exact: what a client received whole is counted, once, through kills, restarts and a store that cannot be written.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{Method, Response, StatusCode, Version};
use serde_json::{Value, json};

use crate::support::upstream::{full, pieces};
use crate::support::{Connection, TestGateway, Upstream, VERSIONS, eventually, tenant, within_one_day};

const BODY: usize = 3_000;

#[tokio::test]
async fn every_call_that_a_client_received_is_counted_once_whenever_the_process_is_killed() {
    within_one_day().await;
    let origin = Upstream::with(|_| async { Response::new(full(vec![b'x'; BODY])) }).start().await;
    const PLACES: u64 = 10_000_000;
    let acme = tenant("acme").calls_per_day(PLACES);
    let mut gateway = TestGateway::to(&origin).tenant(acme).tenant(tenant("globex")).start().await;
    let (mut received, mut unsure, mut aborted) = (0, 0, 0);
    for (round, millis) in [350, 900, 120, 640].into_iter().enumerate() {
        let counted = Arc::new(AtomicU64::new(0));
        let mut clients = tokio::task::JoinSet::new();
        for nth in 0..12 {
            let connection = gateway.connect(VERSIONS[nth % 2], "acme").await;
            clients.spawn(until_the_end(connection, Arc::clone(&counted)));
        }
        let (begun, counter) = (std::time::Instant::now(), Arc::clone(&counted));
        eventually("the moment has come", move || {
            let over = begun.elapsed() >= Duration::from_millis(millis) && counter.load(Ordering::SeqCst) > 0;
            async move { over.then_some(()) }
        })
        .await;
        gateway.signal("KILL");
        gateway.ended().await;
        for (whole, begun) in clients.join_all().await {
            received += whole;
            unsure += begun;
        }
        gateway.start_again().await;
        let usage = gateway.usage("acme").await;
        let calls = usage["apiCalls"].as_u64().unwrap();
        assert!(calls >= received && calls <= received + unsure, "round {round}: {received} received, {unsure} under way, {calls} counted");
        let octets = usage["bandwidth"].as_u64().unwrap();
        let (least, most) = (received * BODY as u64, (received + unsure) * BODY as u64);
        assert!(octets >= least && octets <= most, "round {round}: {octets} octets of {least} to {most}");
        // Admitted = metered + given back + aborted: what was under way is not billed, but keeps its place.
        let answer = gateway.get("acme", "/").await.expect(200);
        let (_, left) = answer.header("ratelimit").split_once("\"day\";r=").unwrap();
        let left: u64 = left.split(';').next().unwrap().parse().unwrap();
        let taken = PLACES - left - 1;
        assert!(taken >= calls + aborted && taken <= received + unsure + aborted, "round {round}: {taken} places for {calls} calls");
        // It is settled now: nothing is added later, by a fold or another start.
        aborted = taken - calls;
        (received, unsure) = (calls + 1, 0);
        assert_eq!(gateway.usage("globex").await["apiCalls"], 0);
    }
    assert!(received > 100, "{received} calls are no load");
    let before = gateway.usage("acme").await;
    assert!(gateway.stop().await.success());
    gateway.start_again().await;
    let after = gateway.usage("acme").await;
    assert_eq!((&before["apiCalls"], &before["bandwidth"]), (&after["apiCalls"], &after["bandwidth"]));
}

#[tokio::test]
async fn a_call_whose_client_left_after_the_app_got_it_is_counted() {
    within_one_day().await;
    let origin = Upstream::with(|_| std::future::pending()).start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    for (nth, version) in VERSIONS.into_iter().enumerate() {
        let mut connection = gateway.connect(version, "acme").await;
        let call = tokio::spawn(async move { connection.get("/").await });
        eventually("the app has the request", || async { (origin.seen().len() > nth).then_some(()) }).await;
        assert_eq!(gateway.usage("acme").await["apiCalls"], nth, "nobody has answered yet");
        call.abort();
        eventually("it is counted", || async { (gateway.usage("acme").await["apiCalls"] == nth + 1).then_some(()) }).await;
    }
}

#[tokio::test]
async fn a_call_is_counted_with_its_head_and_octets_as_they_go_also_when_the_process_is_killed_then() {
    within_one_day().await;
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let receiver = std::sync::Mutex::new(Some(receiver));
    let origin = Upstream::with(move |_| {
        let receiver = receiver.lock().expect("not poisoned").take().expect("one call");
        async move { Response::new(pieces(receiver)) }
    });
    let origin = origin.start().await;
    let mut gateway = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    let mut response = gateway.request(Method::GET, "acme", "/").send().await.expect("a head");
    let usage = gateway.usage("acme").await;
    assert_eq!((&usage["apiCalls"], &usage["bandwidth"]), (&json!(1), &json!(0)));
    for total in [1000, 2000, 3000] {
        sender.send(bytes::Bytes::from(vec![b'x'; 1000])).await.expect("a reader");
        let mut received = 0;
        while received < 1000 {
            received += response.chunk().await.expect("an open body").expect("more").len();
        }
        assert_eq!(gateway.usage("acme").await["bandwidth"], total);
    }
    gateway.signal("KILL");
    gateway.ended().await;
    assert!(response.chunk().await.is_err(), "the client knows that it is not whole");
    gateway.start_again().await;
    let usage = gateway.usage("acme").await;
    assert_eq!((&usage["apiCalls"], &usage["bandwidth"]), (&json!(1), &json!(3000)));
}

/// Asks until the connection fails; calls received whole, and those that had begun when it failed.
async fn until_the_end(mut connection: Connection, counted: Arc<AtomicU64>) -> (u64, u64) {
    let mut whole = 0;
    loop {
        match connection.send(Method::GET, "/", &[], "").await {
            Ok(answer) => {
                assert_eq!((answer.status, answer.body.len()), (200, BODY));
                whole += 1;
                counted.fetch_add(1, Ordering::SeqCst);
            }
            Err(_) => return (whole, 1),
        }
    }
}

#[tokio::test]
async fn calls_and_octets_of_known_requests_are_exact_over_both_versions() {
    within_one_day().await;
    let origin = Upstream::with(|request| async move {
        let octets = request.uri().path().trim_start_matches('/').parse().unwrap_or(0_usize);
        let read = http_body_util::BodyExt::collect(request.into_body()).await.map(|body| body.to_bytes().len()).unwrap_or(0);
        let mut response = Response::new(full(vec![b'x'; octets]));
        match octets {
            204 => *response.status_mut() = StatusCode::NO_CONTENT,
            304 => *response.status_mut() = StatusCode::NOT_MODIFIED,
            500 => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
            _ => {}
        }
        if matches!(octets, 204 | 304) {
            *response.body_mut() = full("");
        }
        response.headers_mut().insert("x-read", read.into());
        response
    });
    let origin = origin.start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme")).tenant(tenant("globex")).start().await;
    // Method, path, octets up, status, octets down.
    let calls = [
        (Method::GET, "/1000", 0, 200, 1000),
        (Method::GET, "/0", 0, 200, 0),
        (Method::GET, "/300000", 0, 200, 300_000),
        (Method::HEAD, "/5000", 0, 200, 0),
        (Method::GET, "/204", 0, 204, 0),
        (Method::GET, "/304", 0, 304, 0),
        (Method::GET, "/500", 0, 500, 500),
        (Method::POST, "/7", 70_000, 200, 7),
        (Method::PUT, "/11", 1, 200, 11),
        (Method::DELETE, "/204", 0, 204, 0),
    ];
    let mut expected = (0, 0, 0);
    for version in VERSIONS {
        let mut connection = gateway.connect(version, "acme").await;
        for (method, path, up, status, down) in calls.clone() {
            let what = format!("{version:?} {method} {path}");
            let answer = connection.send(method, path, &[], vec![b'u'; up]).await.expect("an answer").expect(status);
            assert_eq!((answer.body.len(), answer.header("x-read")), (down, &*up.to_string()), "{what}");
            expected = (expected.0 + 1, expected.1 + down, expected.2 + up);
            let usage = gateway.usage("acme").await;
            let counted = (usage["apiCalls"].as_u64().unwrap(), usage["bandwidth"].as_u64().unwrap(), usage["ingress"].as_u64().unwrap());
            assert_eq!(counted, (expected.0, expected.1 as u64, expected.2 as u64), "{what}");
            assert_eq!((&usage["apiCallsToday"], &usage["rejected"]), (&usage["apiCalls"], &json!(0)), "{what}");
        }
    }
    // The tenant API counts as a call; a refusal does not, nor do its octets.
    let key = gateway.key("acme", json!({})).await;
    let mut connection = gateway.connect(Version::HTTP_11, "acme").await;
    let own = connection.get_with("/api/tenant", ("x-api-key", &key)).await.expect(200).body.len();
    connection.get("/api/tenant").await.expect(401);
    connection.get_with("/", ("x-tenant-id", "globex")).await.expect(403);
    gateway.admin(Method::POST, "/admin/tenants/acme/suspend", json!({})).await.expect(200);
    connection.get("/").await.expect(403);
    let usage = gateway.usage("acme").await;
    assert_eq!((usage["apiCalls"].as_u64().unwrap(), usage["rejected"].as_u64().unwrap()), (expected.0 + 1, 3));
    assert_eq!(usage["bandwidth"].as_u64().unwrap(), (expected.1 + own) as u64);
    assert_eq!(same_as_month(&gateway, "acme").await, usage["apiCalls"]);
    assert_eq!(gateway.usage("globex").await["rejected"], 0, "the one who is named is not the one who is refused");
}

/// The days sum up to the month; the month's calls.
async fn same_as_month(gateway: &TestGateway, slug: &str) -> Value {
    let days = gateway.admin(Method::GET, &format!("/admin/tenants/{slug}/usage/daily"), Value::Null).await.expect(200).json();
    let month = gateway.usage(slug).await;
    for member in ["apiCalls", "bandwidth", "ingress", "rejected"] {
        let sum: u64 = days["data"].as_array().unwrap().iter().map(|day| day[member].as_u64().unwrap()).sum();
        assert_eq!(json!(sum), month[member], "{member}: {days} and {month}");
    }
    month["apiCalls"].clone()
}

#[tokio::test]
async fn a_call_is_in_the_first_read_of_usage_after_its_response() {
    within_one_day().await;
    let origin = Upstream::replying("hello").start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    let key = gateway.key("acme", json!({})).await;
    let mut connections = [gateway.connect(VERSIONS[0], "acme").await, gateway.connect(VERSIONS[1], "acme").await];
    for call in 1..=200 {
        connections[call % 2].get("/").await.expect(200);
        let usage = gateway.usage("acme").await;
        assert_eq!((&usage["apiCalls"], &usage["bandwidth"]), (&json!(call), &json!(5 * call)));
    }
    let seen = connections[0].get_with("/api/usage", ("x-api-key", &key)).await.expect(200).json();
    assert_eq!(seen["usage"]["apiCalls"], 200, "the read itself is not in it: {seen}");
    assert_eq!(gateway.usage("acme").await["apiCalls"], 201, "but counts");
}

#[tokio::test]
async fn folding_again_and_starting_again_change_no_number() {
    within_one_day().await;
    let origin = Upstream::replying("hello").start().await;
    let mut gateway = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    for _ in 0..25 {
        gateway.get("acme", "/").await.expect(200);
    }
    let numbers = async |gateway: &TestGateway| {
        let usage = gateway.usage("acme").await;
        (usage["apiCalls"].clone(), usage["bandwidth"].clone(), same_as_month(gateway, "acme").await)
    };
    let exact = (json!(25), json!(125), json!(25));
    let begun = folds(&gateway).await;
    eventually("three more folds", || async {
        assert_eq!(numbers(&gateway).await, exact);
        (folds(&gateway).await >= begun + 3).then_some(())
    })
    .await;
    for signal in ["KILL", "TERM", "KILL"] {
        gateway.signal(signal);
        gateway.ended().await;
        gateway.start_again().await;
        assert_eq!(numbers(&gateway).await, exact, "after {signal}");
    }
}

/// How often the journal was folded into the store.
async fn folds(gateway: &TestGateway) -> u64 {
    let text = gateway.admin(Method::GET, "/metrics", Value::Null).await.expect(200).text();
    let line = text.lines().find(|line| line.starts_with("gatehouse_fold_duration_seconds_count")).expect("a count of folds");
    line.rsplit(' ').next().and_then(|count| count.parse().ok()).expect("a number")
}

#[tokio::test]
async fn with_a_store_that_cannot_be_written_known_tenants_are_served_and_counted() {
    within_one_day().await;
    let Some(disk) = Disk::of_mebibytes(8) else {
        eprintln!("left out: a file system of its own needs root");
        return;
    };
    let origin = Upstream::replying("hello").start().await;
    let store = disk.0.path().join("store").display().to_string();
    let mut gateway = TestGateway::to(&origin).set("store.path", &store).tenant(tenant("acme").calls_per_day(90)).start().await;
    let key = gateway.key("acme", json!({})).await;
    gateway.get("acme", "/").await.expect(200);
    let filler = fill(disk.0.path());
    // sled writes a segment now and then, so that it takes a few changes until one fails.
    eventually("the store is full", || async {
        let answer = gateway.admin(Method::PATCH, "/admin/tenants/acme", json!({"metadata": {"x": noise()}})).await;
        (answer.status == 503).then_some(answer)
    })
    .await
    .code("store_unavailable");
    // The admin API cannot answer without its store; the tenant's own does.
    let mut connection = gateway.connect(Version::HTTP_2, "acme").await;
    for call in (1..59).step_by(2) {
        connection.get("/").await.expect(200);
        let seen = connection.get_with("/api/usage", ("x-api-key", &key)).await.expect(200);
        assert_eq!(seen.json()["usage"]["apiCalls"], call + 1);
        assert!(seen.header("ratelimit").contains(&format!("\"day\";r={};", 90 - call - 2)), "{}", seen.header("ratelimit"));
    }
    gateway.signal("KILL");
    gateway.ended().await;
    std::fs::remove_file(filler).unwrap();
    gateway.start_again().await;
    assert_eq!(gateway.usage("acme").await["apiCalls"], 59);
    for _ in 59..90 {
        gateway.get("acme", "/").await.expect(200);
    }
    gateway.get("acme", "/").await.expect(429).code("quota_exceeded");
    assert!(gateway.stop().await.success());
}

/// Text that does not compress.
fn noise() -> String {
    (0..8_000).map(|_| fastrand::alphanumeric()).collect()
}

/// Takes all the room that is left.
fn fill(folder: &Path) -> PathBuf {
    use std::io::Write;
    let path = folder.join("filler");
    let mut file = std::fs::File::create(&path).unwrap();
    for size in [64 * 1024, 4096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
    path
}

/// A small file system of its own.
struct Disk(tempfile::TempDir);

impl Disk {
    fn of_mebibytes(size: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}m"), "tmpfs"]).arg(folder.path()).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(folder))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}
