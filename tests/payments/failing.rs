//! A provider that fails, hangs, takes its time or says no; and what it gets to see of us.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::{advance, gateway, invoices, like, make, pay_with, show, stands, subscribe, until};
use crate::support::stripe::{FakeStripe, KEY, SECRET, Turn, event, signature};
use crate::support::{Upstream, eventually};

const CHARGES: &str = "/v1/payment_intents";

#[tokio::test]
async fn a_provider_that_fails_is_asked_again_until_it_answers() {
    let (app, stripe) = (Upstream::replying("hello").start().await, FakeStripe::start().await);
    let gateway = gateway(&app, &stripe.url()).plaintext().start().await;
    make(&gateway, "acme").await;
    pay_with(&gateway, "acme", "pm_one").await.expect(200);
    for status in [500, 429, 409, 503] {
        stripe.will(CHARGES, "", Turn::Fail(status));
    }
    advance(&gateway, "14d").await;
    assert_eq!(stands(&gateway, "acme").await, like("active", "open", &[]));
    advance(&gateway, "3m").await;
    assert_eq!(stands(&gateway, "acme").await, like("active", "open", &[]));
    advance(&gateway, "1m").await;
    assert_eq!(stands(&gateway, "acme").await, like("active", "paid", &["paid"]));
    let keys: Vec<Option<String>> = stripe.posts(CHARGES).into_iter().map(|seen| seen.key).collect();
    assert!(keys.len() == 5 && keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    assert_eq!(stripe.taken(), [9900]);
}

#[tokio::test]
async fn the_test_clock_does_not_wait_for_ever_for_a_provider_that_is_gone() {
    let (app, stripe) = (Upstream::replying("hello").start().await, FakeStripe::start().await);
    let gateway = gateway(&app, &stripe.url()).plaintext().start().await;
    make(&gateway, "acme").await;
    pay_with(&gateway, "acme", "pm_one").await.expect(200);
    let move_on = async || gateway.admin(Method::POST, "/admin/clock", json!({"advance": "20d"})).await;
    (0..7).for_each(|_| stripe.will(CHARGES, "", Turn::Fail(503)));
    let stuck = move_on().await.expect(503).code("clock_stuck").json();
    assert!(stuck["detail"].as_str().unwrap().contains("the payment provider has not answered 5 times"), "{stuck}");
    assert_eq!(stands(&gateway, "acme").await, like("active", "open", &[]), "what came before it is done");
    move_on().await.expect(200);
    assert_eq!(stands(&gateway, "acme").await, like("active", "paid", &["paid"]));
    assert_eq!(stripe.taken(), [9900]);
}

#[tokio::test]
async fn what_is_left_of_an_invoice_and_too_little_to_be_charged_is_charged_with_the_next() {
    let (app, stripe) = (Upstream::replying("hello").start().await, FakeStripe::start().await);
    let gateway = gateway(&app, &stripe.url()).plaintext().start().await;
    make(&gateway, "acme").await;
    pay_with(&gateway, "acme", "pm_one").await.expect(200);
    stripe.will(CHARGES, "", Turn::Decline("insufficient_funds"));
    advance(&gateway, "14d").await;
    let id = invoices(&gateway, "acme").await[0]["id"].as_str().unwrap().to_owned();
    let credit = json!({"amountMinor": 9_880});
    gateway.admin(Method::POST, &format!("/admin/invoices/{id}/credit"), credit).await.expect(200);
    advance(&gateway, "3d").await;
    let left = show(&gateway, "acme").await;
    assert_eq!((&left["status"], &left["amountDueMinor"], &left["creditMinor"]), (&json!("active"), &json!(0), &json!(-20)));
    advance(&gateway, "31d").await;
    assert_eq!((stripe.taken(), &show(&gateway, "acme").await["creditMinor"]), (vec![9920], &json!(0)));
}

#[tokio::test]
async fn what_is_refused_is_not_under_way_and_another_card_is_charged() {
    let (app, stripe) = (Upstream::replying("hello").start().await, FakeStripe::start().await);
    let gateway = gateway(&app, &stripe.url()).plaintext().start().await;
    make(&gateway, "acme").await;
    pay_with(&gateway, "acme", "pm_detached").await.expect(200);
    for _ in 0..2 {
        stripe.will(CHARGES, "pm_detached", Turn::Fail(400));
    }
    advance(&gateway, "14d").await;
    advance(&gateway, "1h").await;
    assert_eq!((stands(&gateway, "acme").await, stripe.posts(CHARGES).len()), (like("active", "open", &[]), 2));
    pay_with(&gateway, "acme", "pm_two").await.expect(200);
    advance(&gateway, "0s").await;
    assert_eq!(stands(&gateway, "acme").await, like("active", "paid", &["paid"]));
    assert_eq!(stripe.taken(), [9900]);
}

#[tokio::test]
async fn a_provider_that_hangs_holds_up_nobody_else() {
    let (app, stripe) = (Upstream::replying("hello").start().await, FakeStripe::start().await);
    let gateway = gateway(&app, &stripe.url()).plaintext().start().await;
    // Time stands, so that both trials end at the same moment.
    advance(&gateway, "0s").await;
    for slug in ["acme", "globex"] {
        make(&gateway, slug).await;
        pay_with(&gateway, slug, "pm_one").await.expect(200);
    }
    let acme = show(&gateway, "acme").await["id"].as_str().unwrap().to_owned();
    stripe.will(CHARGES, &acme, Turn::Hang);
    let moved = gateway.client.post(format!("http://{}/admin/clock", gateway.admin)).header("content-type", "application/json");
    let moving = tokio::spawn(moved.body(json!({"advance": "14d"}).to_string()).send());
    until(&gateway, "globex", "active", "paid", &["paid"]).await;
    for slug in ["acme", "globex"] {
        gateway.get(slug, "/").await.expect(200);
    }
    let upgraded = subscribe(&gateway, "globex", "enterprise").await.expect(200).json();
    assert_eq!(upgraded["plan"], "enterprise");
    assert!(!moving.is_finished(), "it still waits for the other one");
    assert_eq!(stands(&gateway, "acme").await, like("active", "open", &[]));
    let moved = tokio::time::timeout(Duration::from_secs(60), moving).await.expect("it is not waited for for ever").unwrap().unwrap();
    assert_eq!(moved.status(), 200);
    advance(&gateway, "1m").await;
    assert_eq!(stands(&gateway, "acme").await, like("active", "paid", &["paid"]));
}

#[tokio::test]
async fn a_provider_that_hangs_holds_up_nobody_whose_time_comes_later() {
    let (app, stripe) = (Upstream::replying("hello").start().await, FakeStripe::start().await);
    let gateway = gateway(&app, &stripe.url()).plaintext().set("dev.test_clock", "false").start().await;
    let started = Instant::now();
    for slug in ["acme", "globex", "initech"] {
        let body = json!({"name": slug, "slug": slug, "plan": "free"});
        let id = gateway.admin(Method::POST, "/admin/tenants", body).await.expect(201).json()["id"].as_str().unwrap().to_owned();
        pay_with(&gateway, slug, "pm_one").await.expect(200);
        if slug == "acme" {
            stripe.will(CHARGES, &id, Turn::Hang);
        }
        subscribe(&gateway, slug, "pro").await.expect(200);
        match slug {
            "acme" => eventually("it is asked for", || async { (!stripe.posts(CHARGES).is_empty()).then_some(()) }).await,
            _ => until(&gateway, slug, "active", "paid", &["paid"]).await,
        }
    }
    assert_eq!(stands(&gateway, "acme").await, like("active", "open", &[]));
    assert!(started.elapsed() < Duration::from_secs(15), "nobody has waited for the end of the first one");
    assert_eq!(gateway.admin(Method::GET, "/readyz", Value::Null).await.status, 200);
}

#[tokio::test]
async fn a_hard_decline_is_not_tried_again_and_the_reason_is_told() {
    let (app, stripe) = (Upstream::replying("hello").start().await, FakeStripe::start().await);
    let gateway = gateway(&app, &stripe.url()).plaintext().start().await;
    make(&gateway, "acme").await;
    pay_with(&gateway, "acme", "pm_one").await.expect(200);
    stripe.will(CHARGES, "", Turn::Decline("stolen_card"));
    advance(&gateway, "14d").await;
    assert_eq!(stands(&gateway, "acme").await, like("past_due", "open", &["stolen_card"]));
    advance(&gateway, "40d").await;
    assert_eq!(stands(&gateway, "acme").await, like("suspended", "open", &["stolen_card"]));
    gateway.get("acme", "/").await.expect(403).code("tenant_suspended");
    pay_with(&gateway, "acme", "pm_two").await.expect(200);
    advance(&gateway, "0s").await;
    gateway.get("acme", "/").await.expect(200);
    assert_eq!(stripe.taken(), [9900, 9900], "what was open, and the period that begins with it");
}

#[tokio::test]
async fn a_change_whose_payment_takes_its_time_waits_for_it() {
    let (app, stripe) = (Upstream::replying("hello").start().await, FakeStripe::start().await);
    let gateway = gateway(&app, &stripe.url()).plaintext().start().await;
    make(&gateway, "acme").await;
    pay_with(&gateway, "acme", "pm_one").await.expect(200);
    advance(&gateway, "14d").await;
    stripe.will(CHARGES, "", Turn::TakeTime);
    let waiting = subscribe(&gateway, "acme", "enterprise").await.expect(200).json();
    assert_eq!((&waiting["plan"], &waiting["pendingChange"]["awaitsPayment"]), (&json!("pro"), &json!(true)));
    subscribe(&gateway, "acme", "free").await.expect(409);
    advance(&gateway, "1h").await;
    assert_eq!(show(&gateway, "acme").await["plan"], "pro");
    stripe.decide(None);
    advance(&gateway, "1h").await;
    let tenant = show(&gateway, "acme").await;
    assert_eq!((&tenant["plan"], &tenant["pendingChange"]), (&json!("enterprise"), &Value::Null));
    assert_eq!(stripe.posts(CHARGES).len(), 2, "it is looked at, and not made again");
}

#[tokio::test]
async fn every_request_has_a_version_every_change_a_key_and_no_secret_is_shown_anywhere() {
    let (app, stripe) = (Upstream::replying("hello").start().await, FakeStripe::start().await);
    let gateway = gateway(&app, &stripe.url()).plaintext().set("RUST_LOG", "trace").start().await;
    make(&gateway, "acme").await;
    let mut told = vec![pay_with(&gateway, "acme", "pm_one").await.expect(200).text()];
    for turn in [Turn::Fail(500), Turn::Close, Turn::TakeTime] {
        stripe.will(CHARGES, "", turn);
    }
    for by in ["14d", "1m", "1m"] {
        advance(&gateway, by).await;
    }
    stripe.decide(Some("insufficient_funds"));
    advance(&gateway, "1h").await;
    let message = event("evt_1", "payment_intent.succeeded", &stripe.intents()[0]);
    for signature in [signature(&message), "t=1,v1=00".to_owned()] {
        let fields = [("stripe-signature", signature.as_str())];
        told.push(gateway.admin_with(Method::POST, "/webhooks/stripe", serde_json::from_str(&message).unwrap(), &fields).await.text());
    }
    for path in ["", "/invoices", "/health", "/export"] {
        told.push(gateway.admin(Method::GET, &format!("/admin/tenants/acme{path}"), Value::Null).await.text());
    }
    for path in ["/metrics", "/admin/audit", "/admin/stats", "/readyz?verbose"] {
        told.push(gateway.admin(Method::GET, path, Value::Null).await.text());
    }
    let seen = stripe.seen();
    assert!(seen.iter().any(|seen| seen.method == Method::GET) && invoices(&gateway, "acme").await.len() == 1);
    for one in &seen {
        assert_eq!(one.version.as_deref(), Some("2025-09-30.clover"), "{one:?}");
        assert_eq!(one.key.is_some(), one.method == Method::POST, "{one:?}");
        assert_eq!(one.authorization.as_deref(), Some(format!("Bearer {KEY}").as_str()));
        assert!(one.form.iter().all(|(name, value)| !name.contains("number]") || value.starts_with("INV-")), "{one:?}");
    }
    let log = eventually("a log", || async { Some(gateway.log()).filter(|log| log.len() > 10) }).await;
    for text in log.iter().chain(&told) {
        assert!(!text.contains(KEY) && !text.contains(SECRET), "{text}");
    }
}
