//! What is lost on the way: the process between a charge and its record, or the answer to it. The money is taken once all the same.

use reqwest::Method;
use serde_json::{Value, json};

use super::{advance, gateway, invoices, like, make, pay_with, stands, until};
use crate::support::stripe::{FakeStripe, Turn};
use crate::support::{TestGateway, Upstream, eventually};

const CHARGES: &str = "/v1/payment_intents";

/// A tenant with a card, at the end of its trial, when this becomes of its first charge; killed as soon as that is under way.
async fn killed_within_a_charge(turn: Turn) -> (FakeStripe, TestGateway, usize) {
    let (app, stripe) = (Upstream::replying("hello").start().await, FakeStripe::start().await);
    let mut gateway = gateway(&app, &stripe.url()).plaintext().start().await;
    make(&gateway, "acme").await;
    pay_with(&gateway, "acme", "pm_one").await.expect(200);
    stripe.will(CHARGES, "", turn);
    let moved = gateway.client.post(format!("http://{}/admin/clock", gateway.admin));
    let moved = moved.header("content-type", "application/json").body(json!({"advance": "14d"}).to_string());
    let moving = tokio::spawn(moved.send());
    eventually("the charge is asked for", || async { (!stripe.posts(CHARGES).is_empty()).then_some(()) }).await;
    gateway.signal("KILL");
    gateway.ended().await;
    assert!(moving.await.unwrap().is_err(), "nobody was told how it ended");
    let taken = stripe.taken().len();
    (stripe, gateway, taken)
}

/// What was under way goes on by itself; then another period is collected, once as well.
async fn goes_on(stripe: &FakeStripe, gateway: &TestGateway) {
    until(gateway, "acme", "active", "paid", &["paid"]).await;
    assert_eq!(stripe.taken(), [9900]);
    advance(gateway, "31d").await;
    assert_eq!(stripe.taken(), [9900, 9900]);
    assert_eq!(invoices(gateway, "acme").await.len(), 2);
}

#[tokio::test]
async fn a_process_that_is_killed_after_the_charge_finds_it_when_it_comes_back() {
    let (stripe, mut gateway, taken) = killed_within_a_charge(Turn::Hold).await;
    assert_eq!(taken, 1);
    gateway.start_again().await;
    goes_on(&stripe, &gateway).await;
    assert_eq!(stripe.posts(CHARGES).len(), 2, "one for each period");
}

#[tokio::test]
async fn where_it_cannot_be_found_the_same_key_gets_the_same_answer() {
    let (stripe, mut gateway, taken) = killed_within_a_charge(Turn::Hold).await;
    assert_eq!(taken, 1);
    stripe.lists_nothing();
    gateway.start_again().await;
    goes_on(&stripe, &gateway).await;
    let keys: Vec<Option<String>> = stripe.posts(CHARGES).into_iter().map(|seen| seen.key).collect();
    assert!(keys.len() == 3 && keys[0] == keys[1] && keys[1] != keys[2], "{keys:?}");
}

#[tokio::test]
async fn a_process_that_is_killed_before_the_charge_makes_it_when_it_comes_back() {
    let (stripe, mut gateway, taken) = killed_within_a_charge(Turn::Hang).await;
    assert_eq!(taken, 0);
    gateway.start_again().await;
    goes_on(&stripe, &gateway).await;
    let keys: Vec<Option<String>> = stripe.posts(CHARGES).into_iter().map(|seen| seen.key).collect();
    assert!(keys.len() == 3 && keys[0] == keys[1] && keys[1] != keys[2], "{keys:?}");
}

#[tokio::test]
async fn a_charge_whose_answer_is_lost_is_taken_once_and_with_the_card_that_it_began_with() {
    let (app, stripe) = (Upstream::replying("hello").start().await, FakeStripe::start().await);
    let gateway = gateway(&app, &stripe.url()).plaintext().start().await;
    make(&gateway, "acme").await;
    pay_with(&gateway, "acme", "pm_one").await.expect(200);
    stripe.lists_nothing();
    stripe.will(CHARGES, "", Turn::Close);
    advance(&gateway, "14d").await;
    assert_eq!(stands(&gateway, "acme").await, like("active", "open", &[]));
    // It is under way, so nobody can take it back, and another card is for the next one.
    let id = invoices(&gateway, "acme").await[0]["id"].as_str().unwrap().to_owned();
    for verb in ["pay", "void", "credit"] {
        let path = format!("/admin/invoices/{id}/{verb}");
        gateway.admin(Method::POST, &path, Value::Null).await.expect(409);
    }
    pay_with(&gateway, "acme", "pm_two").await.expect(200);
    advance(&gateway, "1m").await;
    assert_eq!(stands(&gateway, "acme").await, like("active", "paid", &["paid"]));
    advance(&gateway, "31d").await;
    let methods: Vec<String> = stripe.posts(CHARGES).iter().map(|seen| seen.form["payment_method"].clone()).collect();
    assert_eq!(methods, ["pm_one", "pm_one", "pm_two"]);
    assert_eq!(stripe.taken(), [9900, 9900]);
    // Without a card the one under way goes on, too.
    stripe.will(CHARGES, "", Turn::Close);
    advance(&gateway, "30d").await;
    gateway.admin(Method::DELETE, "/admin/tenants/acme/payment-method", Value::Null).await.expect(200);
    advance(&gateway, "1m").await;
    assert_eq!(stands(&gateway, "acme").await, like("active", "paid", &["paid"]));
    assert_eq!(stripe.taken(), [9900; 3]);
}

#[tokio::test]
async fn a_customer_that_was_made_for_a_card_that_failed_is_no_obstacle() {
    let (app, stripe) = (Upstream::replying("hello").start().await, FakeStripe::start().await);
    let gateway = gateway(&app, &stripe.url()).plaintext().start().await;
    make(&gateway, "acme").await;
    for turn in [Turn::Close, Turn::Fail(500), Turn::Fail(429)] {
        stripe.will("/v1/customers", "", turn);
        pay_with(&gateway, "acme", "pm_one").await.expect(503).code("provider_unavailable");
    }
    stripe.will("/v1/payment_methods", "", Turn::Decline("do_not_honor"));
    pay_with(&gateway, "acme", "pm_one").await.expect(402).code("payment_failed");
    let email = json!({"billing": {"email": "books@acme.example"}});
    gateway.admin(Method::PATCH, "/admin/tenants/acme", email).await.expect(200);
    pay_with(&gateway, "acme", "pm_two").await.expect(200);
    let last = stripe.posts("/v1/customers").pop().unwrap();
    assert_eq!(last.form["email"], "books@acme.example");
}

#[tokio::test]
async fn a_refund_whose_answer_is_lost_is_given_once() {
    let (app, stripe) = (Upstream::replying("hello").start().await, FakeStripe::start().await);
    let gateway = gateway(&app, &stripe.url()).plaintext().start().await;
    make(&gateway, "acme").await;
    pay_with(&gateway, "acme", "pm_one").await.expect(200);
    advance(&gateway, "14d").await;
    let id = invoices(&gateway, "acme").await[0]["id"].as_str().unwrap().to_owned();
    for turn in [Turn::Fail(500), Turn::Close] {
        stripe.will("/v1/refunds", "", turn);
    }
    let refund = json!({"amountMinor": 900, "refund": true});
    gateway.admin(Method::POST, &format!("/admin/invoices/{id}/credit"), refund).await.expect(200);
    advance(&gateway, "0s").await;
    assert_eq!(invoices(&gateway, "acme").await[0]["creditNotes"][0]["outcome"], "refunding");
    advance(&gateway, "2m").await;
    assert_eq!(invoices(&gateway, "acme").await[0]["creditNotes"][0]["outcome"], "refunded");
    assert_eq!(stripe.given_back(), [900]);
    assert_eq!(stripe.posts("/v1/refunds").len(), 3);
}
