//! A journal that cannot grow: tenants with a slot go on, others are met by the spare piece, and where that is gone too they are
//! refused rather than served uncounted. The operator is told, and when there is room again nothing was lost.

use std::path::Path;

use gatehouse::model::{Millis, TenantId};
use gatehouse::store::{Embedded, Key, Record, Store, Table};
use http::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::upstream::RunningUpstream;
use crate::support::{Disk, TestGateway, Upstream, eventually, tenant, within_one_day};

/// What one piece of the journal takes: as many tenants' days.
const PIECE: u64 = 16_384;
/// More than two pieces.
const CROWD: usize = 2 * PIECE as usize;
const JOURNAL: &str = "the usage journal cannot be kept ahead";

fn slug(nth: usize) -> String {
    format!("c{nth:05}")
}

/// A gateway whose journal is on `disk`, with three tenants that are served and a crowd that is suspended: a refusal is counted
/// in a slot as well, and needs no app.
async fn crowded(origin: &RunningUpstream, disk: &Disk) -> TestGateway {
    let journal = disk.path().join("journal").display().to_string();
    let mut gateway = TestGateway::to(origin).plaintext().set("metering.journal", &journal).tenant(tenant("known"));
    for slug in ["fresh", "late", "crowd"] {
        gateway = gateway.tenant(tenant(slug));
    }
    let mut gateway = gateway.start().await;
    gateway.admin(Method::POST, "/admin/tenants/crowd/suspend", json!({})).await.expect(200);
    assert!(gateway.stop().await.success());
    let (few, many) = (gateway.dir.path().join("data"), gateway.dir.path().join("many"));
    multiply(&few, &many).await;
    gateway.set("store.path", &many.display().to_string());
    gateway.start_again().await;
    gateway
}

/// Copies a store, with the tenant `crowd` many times: made one by one, they would take the longest part of the test.
async fn multiply(from: &Path, to: &Path) {
    let mut snapshot = Embedded::open(from).unwrap().export().await.unwrap();
    let tenants = snapshot.records.iter().filter(|record| record.key.table == Table::Tenants);
    let documents = tenants.map(|record| (record.version, serde_json::from_slice::<Value>(&record.value).unwrap()));
    let (version, document) = documents.into_iter().find(|(_, document)| document["slug"] == "crowd").unwrap();
    snapshot.records.extend((0..CROWD).flat_map(|nth| {
        let (id, mut document) = (TenantId::new(Millis(1)).to_string(), document.clone());
        (document["id"], document["slug"]) = (json!(id), json!(slug(nth)));
        let slug = Record { key: Key::new(Table::Slugs, slug(nth)), version, value: id.clone().into() };
        let tenant = Record { key: Key::new(Table::Tenants, id), version, value: document.to_string().into() };
        [tenant, slug]
    }));
    snapshot.records.sort_by(|one, other| one.key.cmp(&other.key));
    Embedded::open(to).unwrap().import(snapshot).await.unwrap();
}

/// A call of each tenant of the crowd in `range`, many at once.
async fn come(gateway: &TestGateway, range: std::ops::Range<usize>) {
    const TOGETHER: usize = 64;
    let mut connections = JoinSet::new();
    let nths: Vec<usize> = range.collect();
    for part in nths.chunks(nths.len().div_ceil(4)) {
        let (mut wire, part) = (gateway.plain().await, part.to_vec());
        connections.spawn(async move {
            for nths in part.chunks(TOGETHER) {
                let ask = |nth: &usize| format!("GET / HTTP/1.1\r\nHost: {}.example.localhost\r\n\r\n", slug(*nth));
                wire.send(nths.iter().map(ask).collect::<String>()).await;
                for _ in nths {
                    wire.answer().await.expect(403);
                }
            }
        });
    }
    connections.join_all().await;
}

#[tokio::test]
async fn a_journal_that_cannot_grow_serves_whom_it_has_room_for_refuses_others_and_recovers_by_itself() {
    within_one_day().await;
    let Some(disk) = Disk::of_mebibytes(32) else { return };
    let origin = Upstream::replying("hello").start().await;
    let mut gateway = crowded(&origin, &disk).await;
    assert_eq!(gateway.part("journal").await["unusedSegments"], 2);
    disk.fill();
    gateway.get("known", "/").await.expect(200);
    let ill = gateway.part_that_is("journal", "failing").await;
    let reason = ill["reason"].as_str().unwrap();
    assert!(reason.contains("cannot make") && reason.contains(disk.path().to_str().unwrap()) && reason.contains("No space left"), "{ill}");
    assert_eq!((&ill["freeSlots"], &ill["unusedSegments"]), (&json!(2 * PIECE - 1), &json!(1)));
    assert_eq!(gateway.metric("gatehouse_journal_failing").await, 1);

    come(&gateway, 0..PIECE as usize - 1).await;
    assert_eq!(gateway.part("journal").await["freeSlots"], PIECE);
    gateway.get("fresh", "/").await.expect(200);
    gateway.get("known", "/").await.expect(200);
    let spare = gateway.part("journal").await;
    assert_eq!((&spare["freeSlots"], &spare["unusedSegments"]), (&json!(PIECE - 1), &json!(0)), "met by the spare");
    come(&gateway, PIECE as usize - 1..2 * PIECE as usize - 2).await;
    let full = gateway.part("journal").await;
    assert_eq!((&full["freeSlots"], &full["since"]), (&json!(0), &ill["since"]));
    assert_eq!(gateway.metric("gatehouse_journal_free_slots").await, 0);

    let asked = origin.seen().len();
    gateway.get("late", "/").await.expect(503).code("overloaded");
    assert_eq!(origin.seen().len(), asked, "never unmetered");
    for _ in 0..10 {
        gateway.get("known", "/").await.expect(200);
        gateway.get("fresh", "/").await.expect(200);
    }
    gateway.admin(Method::GET, "/readyz", Value::Null).await.expect(200);
    // Its turns are after those of the fold, which has much to do.
    let tried = async || (gateway.metric("gatehouse_journal_failures_total").await > 1).then_some(());
    eventually("it was tried again", tried).await;
    assert_eq!(gateway.lines(JOURNAL), 1, "it is told once");
    assert_eq!(gateway.metric("gatehouse_fold_failing").await, 0, "the store is elsewhere");

    disk.free();
    gateway.part_that_is("journal", "ok").await;
    gateway.get("late", "/").await.expect(200);
    assert_eq!((gateway.metric("gatehouse_journal_failing").await, gateway.lines(&format!("no longer so: {JOURNAL}"))), (0, 1));
    let exact = async |gateway: &TestGateway| {
        for (slug, calls, rejected) in [("known", 12, 0), ("fresh", 11, 0), ("late", 1, 0), ("c00000", 0, 1), ("c32765", 0, 1)] {
            let usage = gateway.usage(slug).await;
            assert_eq!((&usage["apiCalls"], &usage["rejected"]), (&json!(calls), &json!(rejected)), "{slug}");
        }
    };
    exact(&gateway).await;
    gateway.signal("KILL");
    gateway.ended().await;
    gateway.start_again().await;
    exact(&gateway).await;
}
