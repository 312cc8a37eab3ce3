//! What happens in a tenant's life is told, each as it happens, with what it was and what it is.

use std::collections::HashSet;

use reqwest::Method;
use serde_json::{Value, json};

use super::receiver::{Receiver, verified};
use super::{SECRETS, endpoint, gateway, list, show, standing, until};
use crate::support::{TestGateway, Upstream, eventually, tenant, within_one_day};

#[tokio::test]
async fn a_tenants_life_arrives_signed_as_standard_webhooks_describes() {
    let receiver = Receiver::willing().await;
    let gateway = gateway().toml(&endpoint("crm", &receiver.url(), "")).start().await;
    let id = super::make(&gateway, "acme").await;
    let created = receiver.hears("tenant.created").await.json();
    let row = gateway.admin(Method::GET, "/admin/audit?action=tenant.created", Value::Null).await.expect(200).json()["data"][0].clone();
    let time = jiff::Timestamp::from_millisecond(row["time"].as_i64().unwrap()).unwrap().to_string();
    assert_eq!((&created["timestamp"], &created["data"]["tenantId"], &created["data"]["slug"]), (&json!(time), &json!(id), &json!("acme")));
    let steps: [(Method, &str, Value, &str, &str); 6] = [
        (Method::PUT, "/subscription", json!({"plan": "starter"}), "subscription.changed", "/data/plan"),
        (Method::POST, "/suspend", json!({"reason": "unpaid"}), "tenant.suspended", "/data/statusReason"),
        (Method::POST, "/activate", json!({}), "tenant.activated", "/data/status"),
        (Method::POST, "/cancel", json!({}), "tenant.canceled", "/data/previous/status"),
        (Method::DELETE, "", Value::Null, "tenant.deleted", "/data/status"),
        (Method::POST, "/restore", json!({}), "tenant.restored", "/data/previous/status"),
    ];
    for (method, path, body, kind, member) in steps {
        gateway.admin(method, &format!("/admin/tenants/{id}{path}"), body).await.expect(200);
        let told = receiver.hears(kind).await.json();
        assert!(told["data"]["tenantId"] == json!(id) && told.pointer(member).is_some_and(Value::is_string), "{kind}: {told}");
    }
    // Changes that are no events are not told.
    gateway.admin(Method::PATCH, &format!("/admin/tenants/{id}"), json!({"name": "Acme Inc"})).await.expect(200);
    let told = receiver.told();
    assert_eq!(verified(&told, SECRETS[0]), vec![true; 7]);
    assert_eq!(verified(&told[..1], SECRETS[1]), [false]);
    assert_eq!(told.iter().map(|told| told.id()).collect::<HashSet<_>>().len(), 7, "each has an id of its own");
    for told in &told {
        assert_eq!(
            (told.field("content-type"), told.field("user-agent")),
            ("application/json", concat!("gatehouse/", env!("CARGO_PKG_VERSION")))
        );
        assert_eq!(show(&gateway, told.id()).await["payload"], told.json());
    }
    eventually("nothing is pending", || async { (standing(&gateway, "crm").await["pending"] == 0).then_some(()) }).await;
    assert_eq!(list(&gateway, &format!("state=delivered&tenantId={id}")).await.len(), 7);
    assert!(list(&gateway, "state=failed").await.is_empty() && list(&gateway, "type=invoice.paid").await.is_empty());
}

#[tokio::test]
async fn thresholds_of_usage_and_hard_caps_are_told_to_those_who_want_them() {
    within_one_day().await;
    let (wants, does_not) = (Receiver::willing().await, Receiver::willing().await);
    let origin = Upstream::replying("hello").start().await;
    let acme = tenant("acme").calls_per_day(1).overage("{ api_calls = { price = 1, per = 1, hard_cap = 2 } }");
    let endpoints =
        endpoint("meter", &wants.url(), "events = [\"usage.*\"]") + &endpoint("books", &does_not.url(), "events = [\"invoice.*\"]");
    let gateway = TestGateway::to(&origin).plaintext().set("events.allow_private", "true").toml(&endpoints).tenant(acme).start().await;
    let client = gateway.client.clone();
    for _ in 0..2 {
        assert_eq!(client.get(gateway.url("acme", "/")).send().await.unwrap().status(), 200);
    }
    let told = eventually("all are told", || async { Some(wants.told()).filter(|told| told.len() == 3) }).await;
    let mut told: Vec<(u64, u64, bool)> = told
        .iter()
        .map(|told| {
            let data = told.json()["data"].clone();
            (data["threshold"].as_u64().unwrap(), data["limit"].as_u64().unwrap(), data["hardCap"].as_bool().unwrap())
        })
        .collect();
    told.sort_unstable();
    assert_eq!(told, [(80, 1, false), (100, 1, false), (100, 2, true)]);
    assert!(does_not.told().is_empty());
}

#[tokio::test]
async fn while_a_receiver_moves_from_one_secret_to_another_both_are_good() {
    let receiver = Receiver::willing().await;
    let more = format!("secrets = [\"{}\"]", SECRETS[1]);
    let gateway = gateway().toml(&endpoint("crm", &receiver.url(), &more)).start().await;
    super::make(&gateway, "acme").await;
    let told = receiver.hears("tenant.created").await;
    assert_eq!(told.field("webhook-signature").split(' ').count(), 2);
    assert_eq!(SECRETS.map(|secret| verified(std::slice::from_ref(&told), secret)), [[true], [true]]);
}

#[tokio::test]
async fn a_test_event_and_the_numbers_say_how_an_endpoint_does() {
    let receiver = Receiver::willing().await;
    let gateway = gateway().toml(&endpoint("crm", &receiver.url(), "events = [\"invoice.paid\"]")).start().await;
    let sent = gateway.admin(Method::POST, "/admin/events/test", json!({"endpoint": "crm"})).await.expect(201).json();
    let told = receiver.hears("test.ping").await;
    assert_eq!((told.id(), verified(std::slice::from_ref(&told), SECRETS[0])), (sent["id"].as_str().unwrap(), vec![true]));
    until(&gateway, "test.ping", "delivered").await;
    let wrong = gateway.admin(Method::POST, "/admin/events/test", json!({"endpoint": "cmr"})).await.expect(422).code("validation_failed");
    assert!(wrong.text().contains("did you mean `crm`?"), "{}", wrong.text());
    let seen = standing(&gateway, "crm").await;
    assert_eq!((&seen["pending"], &seen["failing"], &seen["lastSuccess"]["eventId"]), (&json!(0), &json!(false), &sent["id"]));
    assert!(!seen.to_string().contains("whsec") && !seen.to_string().contains("from=gatehouse"), "{seen}");
    let metrics = gateway.admin(Method::GET, "/metrics", Value::Null).await.expect(200).text();
    for line in [
        "gatehouse_events_pending{endpoint=\"crm\"} 0",
        "gatehouse_event_deliveries_total{endpoint=\"crm\",outcome=\"delivered\"} 1",
        "gatehouse_event_deliveries_total{endpoint=\"crm\",outcome=\"failed\"} 0",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    for (query, pointer) in
        [("type=tenant.make", "/query/type"), ("state=lost", "/query/state"), ("cursor=x", "/query/cursor"), ("tenant=a", "/query/tenant")]
    {
        let answer = gateway.admin(Method::GET, &format!("/admin/events?{query}"), Value::Null).await.expect(422).json();
        assert_eq!(answer["errors"][0]["pointer"], pointer, "{answer}");
    }
}
