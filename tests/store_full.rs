//! A store that cannot be written loses no usage: it waits in the journal, whoever is killed meanwhile, and the operator is told.

use http::{Method, Version};
use serde_json::{Value, json};

use crate::support::{Disk, TestGateway, Upstream, eventually, tenant, within_one_day};

/// Calls a day.
const PLACES: u64 = 200;
const FOLD: &str = "usage cannot be written to the store";

#[tokio::test]
async fn with_a_store_that_cannot_be_written_known_tenants_are_served_and_counted_and_the_operator_is_told() {
    within_one_day().await;
    let Some(disk) = Disk::of_mebibytes(8) else { return };
    let origin = Upstream::replying("hello").start().await;
    let store = disk.path().join("store").display().to_string();
    let gateway = TestGateway::to(&origin).set("store.path", &store);
    let mut gateway = gateway.tenant(tenant("acme").calls_per_day(PLACES)).tenant(tenant("globex")).start().await;
    let key = gateway.key("acme", json!({})).await;
    gateway.get("acme", "/").await.expect(200);
    let well = gateway.part_that_is("fold", "ok").await;
    fill(&disk, &gateway).await;
    let calls = serve(&gateway, &key, 1).await;
    let ill = gateway.part_that_is("fold", "failing").await;
    assert!(ill["reason"].as_str().unwrap().contains(&store) && ill["reason"].as_str().unwrap().contains("no room"), "{ill}");
    assert!(ill["since"].as_u64() > well["lastSuccess"].as_u64() && ill["lastSuccess"].as_u64() >= well["lastSuccess"].as_u64(), "{ill}");
    assert_eq!(gateway.part("store").await["status"], "unavailable");
    assert_eq!(gateway.part("journal").await["status"], "ok");
    assert_eq!((gateway.metric("gatehouse_fold_failing").await, gateway.metric("gatehouse_journal_failing").await), (1, 0));
    gateway.another_fold().await;
    assert_eq!((gateway.lines(FOLD), gateway.part("fold").await["since"].clone()), (1, ill["since"].clone()), "told once");

    disk.free();
    gateway.part_that_is("fold", "ok").await;
    gateway.part_that_is("store", "available").await;
    assert_eq!(gateway.metric("gatehouse_fold_failing").await, 0);
    assert_eq!((gateway.lines(FOLD), gateway.lines(&format!("no longer so: {FOLD}"))), (2, 1), "its end once as well");
    assert_eq!(gateway.usage("acme").await["apiCalls"], calls);

    fill(&disk, &gateway).await;
    let calls = serve(&gateway, &key, calls).await;
    gateway.part_that_is("fold", "failing").await;
    gateway.signal("KILL");
    gateway.ended().await;
    disk.free();
    gateway.start_again().await;
    assert_eq!(gateway.usage("acme").await["apiCalls"], calls);
    for _ in calls..PLACES {
        gateway.get("acme", "/").await.expect(200);
    }
    gateway.get("acme", "/").await.expect(429).code("quota_exceeded");
    assert!(gateway.stop().await.success());
}

/// Fills the disk until the store takes nothing more: some room was taken before, so that it takes a few changes.
async fn fill(disk: &Disk, gateway: &TestGateway) {
    disk.fill();
    let refused = eventually("the store is full", || async {
        let answer = gateway.admin(Method::PATCH, "/admin/tenants/globex", json!({"metadata": {"x": noise()}})).await;
        (answer.status == 503).then_some(answer)
    });
    refused.await.code("store_unavailable");
}

/// Calls that are served and counted after `before` others; how many there are then.
async fn serve(gateway: &TestGateway, key: &str, before: u64) -> u64 {
    let mut connection = gateway.connect(Version::HTTP_2, "acme").await;
    for call in (before..before + 58).step_by(2) {
        connection.get("/").await.expect(200);
        let seen = connection.get_with("/api/usage", ("x-api-key", key)).await.expect(200);
        assert_eq!(seen.json()["usage"]["apiCalls"], call + 1);
        assert_eq!(gateway.usage("acme").await["apiCalls"], call + 2, "the read counts as well");
        assert!(seen.header("ratelimit").contains(&format!("\"day\";r={};", PLACES - call - 2)), "{}", seen.header("ratelimit"));
    }
    let ready = gateway.admin(Method::GET, "/readyz", Value::Null).await.expect(200).json();
    assert_eq!(ready, json!({"status": "ready", "store": "unavailable"}));
    before + 58
}

/// Text that does not compress.
fn noise() -> String {
    (0..8_000).map(|_| fastrand::alphanumeric()).collect()
}
