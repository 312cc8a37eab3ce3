//! A store whose disk stops answering holds up changes alone: requests are served and counted at their speed, usage can be read,
//! the operator is told, and when the disk goes on everything is where it belongs.
//!
//! The stall takes 7 s here. A longer one, of less than the minute after which the store takes its disk for dead:
//!
//! ```text
//! STALL_SECONDS=30 cargo nextest run stalls
//! ```

use std::time::{Duration, Instant};

use http::{Method, Version};
use serde_json::{Value, json};

use crate::support::gateway::TestGateway;
use crate::support::stall::Stall;
use crate::support::{Connection, Upstream, tenant, within_one_day_for};

const PLACES: u64 = 1_000_000;
/// Nobody waits longer, whatever else the machine does.
const PATIENCE: Duration = Duration::from_millis(250);
/// A read of usage; less than the stall.
const READS: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);
const FOLD: &str = "usage cannot be written to the store";

fn seconds() -> u64 {
    std::env::var("STALL_SECONDS").map_or(7, |seconds| seconds.parse().expect("STALL_SECONDS is a number"))
}

/// What a steady trickle of calls found.
#[derive(Default)]
struct Trickle {
    latencies: Vec<Duration>,
}

impl Trickle {
    /// One call after the other over each connection.
    async fn run(&mut self, connections: &mut [Connection; 2], lasting: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < lasting {
            for connection in connections.iter_mut() {
                let asked = Instant::now();
                connection.get("/").await.expect(200);
                self.latencies.push(asked.elapsed());
            }
            // What makes it a trickle.
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn p99(&mut self) -> Duration {
        self.latencies.sort();
        self.latencies[self.latencies.len() * 99 / 100]
    }
}

#[tokio::test]
async fn while_its_writes_stall_requests_are_served_and_counted_at_their_speed_and_afterwards_all_is_folded() {
    let stalled = Duration::from_secs(seconds());
    within_one_day_for(60 + stalled.as_secs()).await;
    let origin = Upstream::replying("hello").start().await;
    let disk = tempfile::tempdir().unwrap();
    let stall = Stall::below(disk.path());
    let mut gateway = TestGateway::to(&origin).set("store.path", &disk.path().join("store").display().to_string());
    for (name, value) in stall.settings() {
        gateway = gateway.set(name, &value);
    }
    let mut gateway = gateway.tenant(tenant("acme").calls_per_day(PLACES)).tenant(tenant("globex")).start().await;
    let mut connections = [gateway.connect(Version::HTTP_11, "acme").await, gateway.connect(Version::HTTP_2, "acme").await];
    let mut before = Trickle::default();
    before.run(&mut connections, Duration::from_secs(1)).await;
    let folded = gateway.metric("gatehouse_fold_rows_total").await;

    stall.begin();
    let mut during = Trickle::default();
    let (begun, mut reads) = (Instant::now(), Vec::new());
    while begun.elapsed() < stalled {
        during.run(&mut connections, Duration::from_millis(500)).await;
        let calls = before.latencies.len() + during.latencies.len();
        let asked = Instant::now();
        let usage = tokio::time::timeout(READS, gateway.usage("acme")).await.expect("usage can be read while it stalls");
        reads.push(asked.elapsed());
        assert_eq!(usage["apiCalls"], calls, "a call is in the first read after it");
    }
    let ill = gateway.part("fold").await;
    assert_eq!(ill["status"], "failing", "{ill}");
    assert!(ill["reason"].as_str().unwrap().contains("has not ended"), "{ill}");
    assert_eq!((gateway.metric("gatehouse_fold_failing").await, gateway.lines(FOLD)), (1, 1));
    assert!(gateway.metric("gatehouse_fold_rows_total").await <= folded + 1, "nothing is folded while it stalls");
    let change = gateway.admin(Method::PATCH, "/admin/tenants/globex", json!({"name": "Globex 2"}));
    let waits = tokio::time::timeout(Duration::from_millis(300), change).await;
    assert!(waits.is_err(), "a change is not acknowledged before it is on disk: {waits:?}");
    let answer = connections[0].get("/").await.expect(200);
    let calls = before.latencies.len() + during.latencies.len() + 1;
    assert!(answer.header("ratelimit").contains(&format!("\"day\";r={};", PLACES - calls as u64)), "{}", answer.header("ratelimit"));
    stall.end();

    gateway.part_that_is("fold", "ok").await;
    assert_eq!((gateway.metric("gatehouse_fold_failing").await, gateway.lines(&format!("no longer so: {FOLD}"))), (0, 1));
    gateway.admin(Method::PATCH, "/admin/tenants/globex", json!({"name": "Globex 3"})).await.expect(200);
    let (usual, slow) = (before.p99(), during.p99());
    eprintln!("99 % of calls within {usual:?} before, {slow:?} while it stalled; reads of usage within {:?}", reads.iter().max());
    assert!(slow < PATIENCE.max(5 * usual), "99 % of calls within {slow:?}, before within {usual:?}");
    gateway.another_fold().await;
    // The journal is gone: what is told now is what the store has.
    gateway.signal("KILL");
    gateway.ended().await;
    std::fs::remove_dir_all(gateway.dir.path().join("journal")).unwrap();
    gateway.start_again().await;
    assert_eq!(gateway.usage("acme").await["apiCalls"], calls);
    let globex = gateway.admin(Method::GET, "/admin/tenants/globex", Value::Null).await.expect(200).json();
    assert_eq!(globex["name"], "Globex 3");
}
