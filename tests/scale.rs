//! Ten thousand tenants: made over the API, listed, served, and there again after a restart.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use http::{Method, Version};
use serde_json::{Value, json};

use crate::support::{TestGateway, Upstream};

const TENANTS: usize = 10_000;

#[tokio::test]
async fn ten_thousand_tenants_are_made_listed_and_served_and_a_restart_finds_them_all() {
    let origin = Upstream::echoing().start().await;
    let mut gateway = TestGateway::to(&origin).start().await;
    let begun = Instant::now();
    let ids = create_all(&gateway).await;
    eprintln!("created {TENANTS} tenants in {:.1} s", begun.elapsed().as_secs_f64());

    let begun = Instant::now();
    let all = list(&gateway, "limit=500").await;
    assert_eq!((all.len(), all.iter().collect::<HashSet<_>>().len()), (TENANTS, TENANTS), "each of them, once");
    assert_eq!(all.into_iter().collect::<HashSet<_>>(), ids.iter().cloned().collect());
    let of_plan = |plan: usize| (0..TENANTS).filter(|nth| nth % 3 == plan).count();
    assert_eq!(list(&gateway, "limit=500&plan=pro").await.len(), of_plan(1));
    assert_eq!(list(&gateway, "limit=500&status=active").await.len(), of_plan(0), "free tenants are active at once");
    assert_eq!(list(&gateway, "limit=500&status=trial&plan=enterprise").await.len(), of_plan(2));
    assert_eq!(list(&gateway, "limit=7&q=tenant-0042").await, [ids[42].clone()]);
    assert_eq!(list(&gateway, "limit=3&q=Number%2099").await.len(), 111, "99, 990 to 999 and 9900 to 9999");
    eprintln!("listed in {:.1} s", begun.elapsed().as_secs_f64());

    let sample: Vec<usize> = (0..TENANTS).step_by(97).chain([TENANTS - 1]).collect();
    serve(&gateway, &sample, &ids).await;
    gateway.signal("TERM");
    assert!(gateway.ended().await.success());
    let begun = Instant::now();
    gateway.start_again().await;
    let took = begun.elapsed();
    eprintln!("started with {TENANTS} tenants in {:.2} s", took.as_secs_f64());
    assert!(took.as_secs() < 15, "{took:?}");
    serve(&gateway, &sample, &ids).await;
    let calls = gateway.usage("tenant-0097").await["apiCalls"].clone();
    assert_eq!(calls, 2, "one call before the restart, one after");
}

/// Makes all tenants, 64 at a time; their ids in order.
async fn create_all(gateway: &TestGateway) -> Vec<String> {
    let places = Arc::new(tokio::sync::Semaphore::new(64));
    let mut made = tokio::task::JoinSet::new();
    for nth in 0..TENANTS {
        let place = Arc::clone(&places).acquire_owned().await.unwrap();
        let plan = ["free", "pro", "enterprise"][nth % 3];
        let body = json!({"name": format!("Number {nth}"), "slug": slug(nth), "plan": plan});
        let request = gateway.client.post(format!("http://{}/admin/tenants", gateway.admin));
        let request = request.header("content-type", "application/json").body(body.to_string());
        made.spawn(async move {
            let response = request.send().await.expect("an answer");
            assert_eq!(response.status(), 201);
            let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
            drop(place);
            (nth, body["id"].as_str().unwrap().to_owned())
        });
    }
    let mut ids = made.join_all().await;
    ids.sort();
    ids.into_iter().map(|(_, id)| id).collect()
}

fn slug(nth: usize) -> String {
    format!("tenant-{nth:04}")
}

/// The ids of all pages.
async fn list(gateway: &TestGateway, query: &str) -> Vec<String> {
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = gateway.admin(Method::GET, &format!("/admin/tenants?{query}{cursor}"), Value::Null).await.expect(200).json();
        ids.extend(page["data"].as_array().unwrap().iter().map(|tenant| tenant["id"].as_str().unwrap().to_owned()));
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return ids,
        }
    }
}

/// Each host of the sample reaches its own tenant.
async fn serve(gateway: &TestGateway, sample: &[usize], ids: &[String]) {
    for nth in sample {
        let echo = gateway.connect(Version::HTTP_11, &slug(*nth)).await.get("/").await.expect(200).json();
        assert_eq!(echo["headers"]["x-tenant-id"][0], *ids[*nth]);
        assert_eq!(echo["headers"]["x-tenant-slug"][0], *slug(*nth));
    }
}
