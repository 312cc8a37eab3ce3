//! A full disk stops changes, while it is full, and nothing else; it damages nothing, whatever is started or killed on it.

use std::fs::OpenOptions;

use http::Method;
use serde_json::{Value, json};

use crate::support::upstream::RunningUpstream;
use crate::support::{Answer, Disk, TestGateway, Upstream, eventually, tenant};

/// A gateway with its store on `disk`.
async fn gateway_on(disk: &Disk, origin: &RunningUpstream) -> TestGateway {
    let store = disk.path().join("store").display().to_string();
    TestGateway::to(origin).set("store.path", &store).tenant(tenant("acme")).start().await
}

async fn create(gateway: &TestGateway, slug: &str) -> Answer {
    gateway.admin(Method::POST, "/admin/tenants", json!({"name": slug, "slug": slug, "plan": "pro"})).await
}

/// Creates tenants until that is refused; their slugs.
async fn until_refused(gateway: &TestGateway, prefix: &str) -> Vec<String> {
    let mut slugs = Vec::new();
    loop {
        let slug = format!("{prefix}-{}", slugs.len());
        let answer = create(gateway, &slug).await;
        if answer.status == 503 {
            answer.code("store_unavailable");
            return slugs;
        }
        answer.expect(201);
        slugs.push(slug);
        assert!(slugs.len() < 5_000, "the disk is never full");
    }
}

async fn can_change(gateway: &TestGateway) -> Value {
    gateway.admin(Method::GET, "/readyz", Value::Null).await.expect(200).json()["store"].clone()
}

#[tokio::test]
async fn a_full_disk_stops_changes_until_there_is_room_and_is_told_once() {
    let Some(disk) = Disk::of_mebibytes(12) else { return };
    let origin = Upstream::replying("hello").start().await;
    let mut gateway = gateway_on(&disk, &origin).await;
    disk.fill();
    let slugs = until_refused(&gateway, "t").await;
    for _ in 0..10 {
        create(&gateway, "later").await;
    }
    for slug in &slugs {
        gateway.admin(Method::GET, &format!("/admin/tenants/{slug}"), Value::Null).await.expect(200);
    }
    gateway.admin(Method::GET, "/admin/audit", Value::Null).await.expect(200);
    gateway.get("acme", "/").await.expect(200);
    let long = json!({"metadata": {"x": "x".repeat(15_000)}});
    gateway.admin(Method::PATCH, "/admin/tenants/acme", long.clone()).await.expect(503).code("store_unavailable");
    assert_eq!(can_change(&gateway).await, "unavailable");
    eventually("the log says so", || async { (gateway.lines("no writes until there is room") > 0).then_some(()) }).await;
    assert_eq!(gateway.lines("\"ERROR\""), gateway.lines("no writes until there is room"), "{:?}", gateway.log());
    disk.free();
    gateway.admin(Method::PATCH, "/admin/tenants/acme", long).await.expect(200);
    assert_eq!(can_change(&gateway).await, "available");
    eventually("the log says so", || async { (gateway.lines("has room again") > 0).then_some(()) }).await;
    assert!(gateway.stop().await.success());
}

#[tokio::test]
async fn starting_on_a_full_disk_loses_nothing() {
    let Some(disk) = Disk::of_mebibytes(12) else { return };
    let origin = Upstream::replying("hello").start().await;
    let mut gateway = gateway_on(&disk, &origin).await;
    let mut slugs = Vec::new();
    for signal in ["TERM", "KILL"] {
        disk.fill();
        slugs.extend(until_refused(&gateway, &signal.to_lowercase()).await);
        gateway.signal(signal);
        gateway.ended().await;
        // The room that the store had taken goes to someone else, so that there is none for what a start writes.
        let data = OpenOptions::new().write(true).open(disk.path().join("store/sled/db")).unwrap();
        data.set_len(data.metadata().unwrap().len()).unwrap();
        disk.fill();
        for _ in 0..2 {
            let (code, said) = gateway.fails_to_start().await;
            assert_eq!(code, Some(1));
            assert!(said.contains("not full") && !said.contains("damaged"), "{said}");
        }
        disk.free();
        gateway.start_again().await;
        for slug in &slugs {
            gateway.admin(Method::GET, &format!("/admin/tenants/{slug}"), Value::Null).await.expect(200);
        }
    }
    assert!(!slugs.is_empty());
}
