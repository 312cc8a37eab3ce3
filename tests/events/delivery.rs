//! A delivery is repeated until it is taken or given up; whatever one receiver does, the others hear at once; a kill loses none.

use std::collections::HashSet;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::Method;
use serde_json::{Value, json};

use super::receiver::{Does, Receiver};
use super::{endpoint, gateway, list, make, show, standing, until};
use crate::support::{TestGateway, eventually};

fn statuses(delivery: &Value) -> Vec<Option<u64>> {
    delivery["attempts"].as_array().unwrap().iter().map(|attempt| attempt["status"].as_u64()).collect()
}

#[tokio::test]
async fn receivers_that_fail_hang_or_redirect_hold_up_no_other_and_the_log_says_what_they_did() {
    let good = Receiver::willing().await;
    let flaky = Receiver::doing(|number| Does::Answer(if number < 2 { 500 } else { 200 }), None).await;
    let silent = Receiver::doing(|_| Does::Hang, None).await;
    let moved = Receiver::doing(|_| Does::Answer(307), Some(good.url())).await;
    let gone = Receiver::doing(|_| Does::Answer(410), None).await;
    let all = [("good", &good), ("flaky", &flaky), ("silent", &silent), ("moved", &moved), ("gone", &gone)];
    let endpoints: String = all.iter().map(|(name, receiver)| endpoint(name, &receiver.url(), "")).collect();
    let gateway = gateway().set("events.timeout", "1s").toml(&endpoints).start().await;
    make(&gateway, "acme").await;
    good.hears("tenant.created").await;
    assert_eq!(list(&gateway, "state=pending").await.len(), 1, "the silent one is still waited for");
    let event = until(&gateway, "tenant.created", "failed").await;
    let of = |name: &str| event["deliveries"].as_array().unwrap().iter().find(|it| it["endpoint"] == name).unwrap().clone();
    assert_eq!((of("good")["state"].clone(), statuses(&of("good"))), (json!("delivered"), vec![Some(204)]));
    assert_eq!((of("flaky")["state"].clone(), statuses(&of("flaky"))), (json!("delivered"), vec![Some(500), Some(500), Some(200)]));
    assert_eq!((of("silent")["state"].clone(), statuses(&of("silent"))), (json!("failed"), vec![None; 4]));
    assert_eq!((of("moved")["state"].clone(), statuses(&of("moved"))), (json!("failed"), vec![Some(307); 4]));
    assert_eq!((of("gone")["state"].clone(), statuses(&of("gone"))), (json!("failed"), vec![Some(410)]));
    assert_eq!(of("silent")["lastAttempt"]["error"], "no answer within 1s");
    assert!(of("silent")["attempts"][0]["durationMs"].as_u64().unwrap() >= 1000);
    assert_eq!((&of("flaky")["attempts"][0]["answer"], &of("good")["attempts"][0]["answer"]), (&json!("what it says"), &Value::Null));
    assert_eq!(good.told().len(), 1, "a redirect was followed");
    let ids: HashSet<String> = flaky.told().iter().map(|told| told.id().to_owned()).collect();
    let bodies: HashSet<String> = flaky.told().into_iter().map(|told| told.body).collect();
    assert_eq!((ids.len(), bodies.len()), (1, 1), "an attempt differs from the one before");
    let silent = standing(&gateway, "silent").await;
    assert_eq!((&silent["failing"], &silent["pending"], &silent["lastFailure"]["eventId"]), (&json!(true), &json!(0), &event["id"]));
}

#[tokio::test]
async fn many_events_for_a_slow_receiver_leave_a_quick_one_untouched() {
    let (quick, slow) = (Receiver::willing().await, Receiver::doing(|_| Does::Hang, None).await);
    let gateway = gateway()
        .set("events.timeout", "10m")
        .toml(&(endpoint("a-slow", &slow.url(), "") + &endpoint("quick", &quick.url(), "")))
        .start()
        .await;
    for number in 0..30 {
        make(&gateway, &format!("tenant-{number}")).await;
    }
    eventually("the quick one has all", || async { (quick.told().len() == 30).then_some(()) }).await;
    // So many at once, and no more.
    eventually("the slow one has its places full", || async { (slow.told().len() == 8).then_some(()) }).await;
    assert_eq!(standing(&gateway, "a-slow").await["pending"], 30);
    // They begin in the order in which things happened; the listing has the same, newest first.
    let mut listed: Vec<String> = list(&gateway, "").await.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
    listed.reverse();
    let begun: HashSet<String> = slow.told().iter().map(|told| told.id().to_owned()).collect();
    assert_eq!(begun, listed[..8].iter().cloned().collect());
}

#[tokio::test]
async fn a_kill_between_commit_and_delivery_loses_no_event() {
    let takes = Arc::new(AtomicBool::new(false));
    let does = Arc::clone(&takes);
    let receiver = Receiver::doing(move |_| if does.load(Ordering::SeqCst) { Does::Answer(200) } else { Does::Hang }, None).await;
    let mut gateway = gateway().toml(&endpoint("crm", &receiver.url(), "")).start().await;
    let mut made = HashSet::new();
    for round in 0..3 {
        for number in 0..10 {
            made.insert(make(&gateway, &format!("tenant-{round}-{number}")).await);
        }
        gateway.signal("KILL");
        gateway.ended().await;
        gateway.start_again().await;
    }
    assert_eq!(list(&gateway, "state=pending").await.len(), 30);
    gateway.signal("KILL");
    gateway.ended().await;
    takes.store(true, Ordering::SeqCst);
    let before = receiver.told().len();
    gateway.start_again().await;
    eventually("all are delivered", || async { (list(&gateway, "state=delivered").await.len() == 30).then_some(()) }).await;
    let told = receiver.told().split_off(before);
    let tenants: HashSet<String> = told.iter().map(|told| told.json()["data"]["tenantId"].as_str().unwrap().to_owned()).collect();
    assert_eq!(tenants, made);
    let listed: HashSet<String> = list(&gateway, "").await.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(
        receiver.told().iter().map(|told| told.id().to_owned()).collect::<HashSet<_>>(),
        listed,
        "an event has one id, however often"
    );
}

#[tokio::test]
async fn what_was_given_up_or_delivered_is_sent_again_on_request_under_the_same_id() {
    let takes = Arc::new(AtomicBool::new(false));
    let does = Arc::clone(&takes);
    let receiver = Receiver::doing(move |_| Does::Answer(if does.load(Ordering::SeqCst) { 200 } else { 503 }), None).await;
    let other = Receiver::willing().await;
    let endpoints =
        endpoint("crm", &receiver.url(), "events = [\"tenant.*\"]") + &endpoint("erp", &other.url(), "events = [\"invoice.*\"]");
    let gateway = gateway().set("events.retry", "[]").toml(&endpoints).start().await;
    make(&gateway, "acme").await;
    let failed = until(&gateway, "tenant.created", "failed").await;
    let id = failed["id"].as_str().unwrap();
    takes.store(true, Ordering::SeqCst);
    let resend = async |body: Value| gateway.admin(Method::POST, &format!("/admin/events/{id}/resend"), body).await;
    assert_eq!(resend(Value::Null).await.expect(200).json()["state"], "pending");
    until(&gateway, "tenant.created", "delivered").await;
    // Delivered ones as well, and to an endpoint that it was not for.
    resend(json!({"endpoint": "crm"})).await.expect(200);
    resend(json!({"endpoint": "erp"})).await.expect(200);
    eventually("both have it", || async { (receiver.told().len() == 3 && other.told().len() == 1).then_some(()) }).await;
    assert!(receiver.told().iter().chain(&other.told()).all(|told| told.id() == id && told.body == receiver.told()[0].body));
    resend(json!({"endpoint": "nobody"})).await.expect(422).code("validation_failed");
    gateway
        .admin(Method::POST, "/admin/events/evt_0193a5c8f3e07b2c9d1e4f5a6b7c8d9e/resend", Value::Null)
        .await
        .expect(404)
        .code("not_found");
    let rows = gateway.admin(Method::GET, "/admin/audit?action=event.resent&tenant=acme", Value::Null).await.expect(200).json();
    assert_eq!((rows["data"].as_array().unwrap().len(), &rows["data"][2]["after"]["endpoints"]), (3, &json!(["crm"])));
    eventually("all is noted", || async { (show(&gateway, id).await["state"] == "delivered").then_some(()) }).await;
    let crm = show(&gateway, id).await["deliveries"][0].clone();
    assert_eq!(statuses(&crm), [Some(503), Some(200), Some(200)]);
}

#[tokio::test]
async fn an_endpoint_that_leaves_the_configuration_is_waited_for_no_more() {
    let receiver = Receiver::doing(|_| Does::Hang, None).await;
    let mut gateway = gateway().toml(&endpoint("crm", &receiver.url(), "")).start().await;
    make(&gateway, "acme").await;
    receiver.hears("tenant.created").await;
    assert!(gateway.stop().await.success());
    std::fs::write(gateway.dir.path().join("config.toml"), "").unwrap();
    gateway.start_again().await;
    let event = until(&gateway, "tenant.created", "failed").await;
    assert!(event["deliveries"][0]["detail"].as_str().unwrap().contains("configuration"), "{event}");
    make(&gateway, "globex").await;
    assert_eq!(list(&gateway, "").await.len(), 1, "nobody wants to hear of anything");
}

fn gatehouse(gateway: &TestGateway, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatehouse"));
    let folder = tempfile::tempdir().unwrap();
    command.args(arguments).args(["--admin", &format!("http://{}", gateway.admin)]).current_dir(folder.path()).env_clear();
    let output = command.output().unwrap();
    let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn the_command_line_lists_shows_and_resends() {
    let receiver = Receiver::doing(|number| Does::Answer(if number == 0 { 500 } else { 200 }), None).await;
    let gateway = gateway().set("events.retry", "[]").toml(&endpoint("crm", &receiver.url(), "")).start().await;
    make(&gateway, "acme").await;
    let id = until(&gateway, "tenant.created", "failed").await["id"].as_str().unwrap().to_owned();
    let (code, listed, _) = gatehouse(&gateway, &["event", "list", "--state", "failed", "--tenant", "acme"]);
    assert!(code == Some(0) && listed.contains(&id) && listed.contains("crm: failed (answered 500 Internal Server Error)"), "{listed}");
    let (code, shown, _) = gatehouse(&gateway, &["event", "show", &id]);
    assert!(
        code == Some(0) && shown.contains("\"slug\":\"acme\"") && shown.contains("answered 500") && shown.contains("what it says"),
        "{shown}"
    );
    let (code, sent, _) = gatehouse(&gateway, &["event", "resend", &id, "--endpoint", "crm", "-o", "json"]);
    assert_eq!((code, serde_json::from_str::<Value>(&sent).unwrap()["id"].as_str()), (Some(0), Some(&*id)));
    until(&gateway, "tenant.created", "delivered").await;
    let (code, _, said) = gatehouse(&gateway, &["event", "list", "--type", "tenant.creatd"]);
    assert!(code == Some(1) && said.contains("did you mean `tenant.created`?"), "{said}");
    assert_eq!(gatehouse(&gateway, &["event", "show", "4711"]).0, Some(2));
}
