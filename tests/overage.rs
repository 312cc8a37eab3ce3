//! Beyond its limits a tenant is served and billed where its plan has a price, up to the hard cap; what lies beyond is recorded to
//! the call and the octet.

use http::{Method, Response, Version};
use serde_json::{Value, json};

use crate::support::upstream::full;
use crate::support::{TestGateway, Upstream, VERSIONS, tenant, within_one_day};

async fn today(gateway: &TestGateway, slug: &str) -> Value {
    let days = gateway.admin(Method::GET, &format!("/admin/tenants/{slug}/usage/daily"), Value::Null).await.expect(200).json();
    days["data"][0].clone()
}

#[tokio::test]
async fn calls_beyond_the_limit_are_served_and_recorded_until_the_hard_cap() {
    within_one_day().await;
    let origin = Upstream::replying("hello").start().await;
    let acme = tenant("acme").calls_per_day(10).overage("{ api_calls = { price = 0.5, per = 1000, hard_cap = 25 } }");
    let mut gateway = TestGateway::to(&origin).tenant(acme).tenant(tenant("globex").calls_per_day(3)).start().await;
    for call in 1..=25_u64 {
        if call == 13 {
            gateway.signal("KILL");
            gateway.ended().await;
            gateway.start_again().await;
        }
        let answer = gateway.get("acme", "/").await.expect(200);
        assert!(answer.header("ratelimit").contains(&format!("\"day\";r={};", 25 - call)), "{}", answer.header("ratelimit"));
        let usage = gateway.usage("acme").await;
        assert_eq!((&usage["apiCalls"], &usage["overage"]["apiCalls"]), (&json!(call), &json!(call.saturating_sub(10))));
    }
    let refused = gateway.get("acme", "/").await.expect(429).code("quota_exceeded").json();
    assert_eq!((&refused["violations"][0]["limit"], &refused["violations"][0]["used"]), (&json!(25), &json!(25)));
    assert_eq!(today(&gateway, "acme").await["overage"]["apiCalls"], 15);
    for _ in 0..3 {
        gateway.get("globex", "/").await.expect(200);
    }
    gateway.get("globex", "/").await.expect(429);
    assert_eq!(gateway.usage("globex").await["overage"]["apiCalls"], 0, "what is blocked is not overage");
}

#[tokio::test]
async fn a_call_that_could_not_be_delivered_is_no_overage() {
    within_one_day().await;
    let acme = tenant("acme").calls_per_day(2).overage("{ api_calls = { price = 1, per = 1 } }");
    let gateway = TestGateway::to_url("http://127.0.0.1:1").tenant(acme).start().await;
    for _ in 0..5 {
        gateway.get("acme", "/").await.expect(502);
    }
    let usage = gateway.usage("acme").await;
    assert_eq!((&usage["apiCalls"], &usage["overage"]["apiCalls"]), (&json!(0), &json!(0)));
}

#[tokio::test]
async fn octets_beyond_the_limit_are_recorded_exactly_where_an_answer_lies_across_it() {
    within_one_day().await;
    let origin = Upstream::with(|_| async { Response::new(full(vec![b'x'; 300_000])) }).start().await;
    let acme = tenant("acme").bytes_per_month(1_000_000).overage(r#"{ bandwidth = { price = 0.08, per = "1MB", hard_cap = 2000000 } }"#);
    let gateway = TestGateway::to(&origin).tenant(acme).start().await;
    for call in 1..=7_u64 {
        let mut connection = gateway.connect(VERSIONS[call as usize % 2], "acme").await;
        connection.get("/").await.expect(200);
        let usage = gateway.usage("acme").await;
        let wanted = (300_000 * call, (300_000 * call).saturating_sub(1_000_000));
        assert_eq!((&usage["bandwidth"], &usage["overage"]["bandwidth"]), (&json!(wanted.0), &json!(wanted.1)));
    }
    let refused = gateway.connect(Version::HTTP_11, "acme").await.get("/").await.expect(429).json();
    assert_eq!((&refused["violations"][0]["resource"], &refused["violations"][0]["limit"]), (&json!("bandwidth"), &json!(2_000_000)));
}

#[tokio::test]
async fn a_change_of_plan_keeps_what_was_recorded_and_counts_on_under_the_new_limit() {
    within_one_day().await;
    let origin = Upstream::replying("hello").start().await;
    let plans = "[plans.wide]\nprice_monthly = 20\nprice_yearly = 200\nmax_api_calls = 100\n\
                 [plans.narrow]\nprice_monthly = 5\nprice_yearly = 50\nmax_api_calls = 2\noverage = { api_calls = { price = 1, per = 1 } }";
    let acme = tenant("acme").calls_per_day(4).overage("{ api_calls = { price = 1, per = 1 } }");
    let gateway = TestGateway::to(&origin).toml(plans).tenant(acme).start().await;
    let calls = async |count: usize| {
        for _ in 0..count {
            gateway.get("acme", "/").await.expect(200);
        }
        gateway.usage("acme").await["overage"]["apiCalls"].clone()
    };
    let change = async |plan: &str| {
        gateway.admin(Method::PUT, "/admin/tenants/acme/subscription", json!({"plan": plan})).await.expect(200);
    };
    assert_eq!(calls(6).await, 2);
    change("wide").await;
    assert_eq!(calls(5).await, 2, "the larger plan includes them");
    change("narrow").await;
    assert_eq!(gateway.usage("acme").await["overage"]["apiCalls"], 2, "what was included stays so");
    assert_eq!(calls(3).await, 5);
}

#[tokio::test]
async fn of_what_is_stored_the_most_beyond_the_limit_of_its_time_counts_and_another_plan_counts_at_once() {
    let origin = Upstream::replying("hello").start().await;
    let plans = "[plans.roomy]\nprice_monthly = 20\nprice_yearly = 200\nmax_storage = \"unlimited\"";
    let acme = tenant("acme").most("max_storage", 2000).overage("{ storage = { price = 1, per = 10 } }");
    let mut gateway = TestGateway::to(&origin).toml(plans).tenant(acme).start().await;
    let overage = async |gateway: &TestGateway| {
        let usage = gateway.usage("acme").await;
        (usage["overage"]["storage"].as_u64().unwrap(), usage["peakStorage"].as_u64().unwrap())
    };
    let stores = async |gateway: &TestGateway, value: u64| {
        let body = json!({"meter": "storage", "value": value});
        gateway.admin(Method::POST, "/admin/tenants/acme/usage", body).await.expect(200);
        overage(gateway).await
    };
    let change = async |gateway: &TestGateway, plan: &str| {
        gateway.admin(Method::PUT, "/admin/tenants/acme/subscription", json!({"plan": plan})).await.expect(200);
        overage(gateway).await.0
    };
    assert_eq!(stores(&gateway, 2_500).await, (500, 2_500));
    assert_eq!(change(&gateway, "roomy").await, 500, "what was recorded stays");
    assert_eq!(stores(&gateway, 5_000).await, (500, 5_000));
    assert_eq!(stores(&gateway, 2_700).await, (500, 5_000));
    assert_eq!(change(&gateway, "of-acme").await, 700, "what is stored by then is too much for it");
    gateway.signal("KILL");
    gateway.ended().await;
    gateway.start_again().await;
    assert_eq!(overage(&gateway).await, (700, 5_000), "also for a gateway that had no time to write it down");
    assert_eq!(stores(&gateway, 3_000).await, (1_000, 5_000));
    assert_eq!(stores(&gateway, 10).await, (1_000, 5_000), "the most of the month");
}
