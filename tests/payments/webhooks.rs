//! Messages of the provider: who may send them, where they are taken, and that none is acted on twice or believed.

use bytes::Bytes;
use futures_util::future::join_all;
use gatehouse::billing::payments::webhook::sign;
use gatehouse::clock::{Clock, SystemClock};
use gatehouse::model::Millis;
use http::{Method, Request};
use http_body_util::Full;
use reqwest::header::{HeaderMap, HeaderValue};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{advance, gateway, like, make, pay_with, stands};
use crate::support::gateway::{BASE, send};
use crate::support::stripe::{FakeStripe, SECRET, Turn, event, signature};
use crate::support::upstream::RunningUpstream;
use crate::support::{Answer, TestGateway, Upstream, eventually};

const PATH: &str = "/webhooks/stripe";
const CHARGES: &str = "/v1/payment_intents";

/// A message as Stripe's servers send it to a URL.
async fn post(gateway: &TestGateway, url: &str, body: &str, signature: &str) -> Answer {
    let fields = HeaderMap::from_iter([
        (http::header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8")),
        (http::HeaderName::from_static("stripe-signature"), HeaderValue::from_str(signature).unwrap()),
    ]);
    send(gateway.client.post(url).headers(fields).body(body.to_owned())).await
}

/// The same to both listeners.
async fn both(gateway: &TestGateway, body: &str, signature: &str) -> [u16; 2] {
    let admin = post(gateway, &format!("http://{}{PATH}", gateway.admin), body, signature).await;
    [admin.status, post(gateway, &gateway.url_of(BASE, PATH), body, signature).await.status]
}

/// A tenant with a card whose first payment takes its time.
async fn waiting() -> (RunningUpstream, FakeStripe, TestGateway) {
    let (app, stripe) = (Upstream::replying("the app").start().await, FakeStripe::start().await);
    let gateway = gateway(&app, &stripe.url()).start().await;
    make(&gateway, "acme").await;
    pay_with(&gateway, "acme", "pm_one").await.expect(200);
    stripe.will(CHARGES, "", Turn::TakeTime);
    advance(&gateway, "14d").await;
    assert_eq!(stands(&gateway, "acme").await, like("active", "open", &[]));
    (app, stripe, gateway)
}

#[tokio::test]
async fn only_a_fresh_signature_over_a_known_object_is_taken() {
    let (_app, stripe, gateway) = waiting().await;
    let body = event("evt_1", "payment_intent.succeeded", &stripe.intents()[0]);
    let secret = SecretString::from(SECRET);
    let now = SystemClock.now();
    let mut wrong = vec![
        String::new(),
        "t=1".to_owned(),
        sign(&SecretString::from("whsec_other"), body.as_bytes(), now),
        sign(&secret, format!("{body} ").as_bytes(), now),
    ];
    wrong.extend([-301_000, 302_000].map(|apart| sign(&secret, body.as_bytes(), Millis(now.0 + apart))));
    for signature in &wrong {
        assert_eq!(both(&gateway, &body, signature).await, [400, 400], "{signature}");
    }
    let no_event = json!({"hello": "world"}).to_string();
    assert_eq!(both(&gateway, &no_event, &signature(&no_event)).await, [400, 400]);
    let unknown = event("evt_2", "payment_intent.succeeded", &json!({"id": "pi_of_another_shop", "object": "payment_intent"}));
    assert_eq!(both(&gateway, &unknown, &signature(&unknown)).await, [404, 404]);
    let large = format!("{body}{}", " ".repeat(256 * 1024));
    assert_eq!(both(&gateway, &large, &signature(&large)).await, [413, 413]);
    assert_eq!(stands(&gateway, "acme").await, like("active", "open", &[]), "nothing came of all that");
    assert_eq!(both(&gateway, &body, &signature(&body)).await, [200, 200]);
    assert_eq!(stands(&gateway, "acme").await, like("active", "open", &[]), "the provider, when asked, says otherwise");
}

#[tokio::test]
async fn messages_that_come_twice_late_or_in_the_wrong_order_do_no_harm() {
    let (_app, stripe, gateway) = waiting().await;
    let url = gateway.url_of(BASE, PATH);
    let failed = event("evt_failed", "payment_intent.payment_failed", &stripe.intents()[0]);
    stripe.decide(None);
    let succeeded = event("evt_succeeded", "payment_intent.succeeded", &stripe.intents()[0]);
    let signed = signature(&succeeded);
    let sent = join_all((0..8).map(|_| post(&gateway, &url, &succeeded, &signed))).await;
    assert_eq!(sent.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200; 8]);
    assert_eq!(stands(&gateway, "acme").await, like("active", "paid", &["paid"]));
    for body in [&failed, &succeeded, &failed] {
        assert_eq!(both(&gateway, body, &signature(body)).await, [200, 200]);
        assert_eq!(stands(&gateway, "acme").await, like("active", "paid", &["paid"]));
    }
    let audit = gateway.admin(Method::GET, "/admin/audit?limit=500", Value::Null).await.json();
    let paid = audit["data"].as_array().unwrap().iter().filter(|row| row["action"] == "invoice.paid").count();
    assert_eq!(paid, 1);
}

#[tokio::test]
async fn a_late_message_about_an_earlier_attempt_does_not_end_the_one_under_way() {
    let (_app, stripe, gateway) = waiting().await;
    let url = gateway.url_of(BASE, PATH);
    stripe.decide(Some("insufficient_funds"));
    let failed = event("evt_1", "payment_intent.payment_failed", &stripe.intents()[0]);
    post(&gateway, &url, &failed, &signature(&failed)).await.expect(200);
    assert_eq!(stands(&gateway, "acme").await, like("past_due", "open", &["insufficient_funds"]));
    // The second one is charged, and nobody hears of it.
    stripe.lists_nothing();
    stripe.will(CHARGES, "", Turn::Close);
    advance(&gateway, "3d").await;
    let again = event("evt_2", "payment_intent.payment_failed", &stripe.intents()[0]);
    post(&gateway, &url, &again, &signature(&again)).await.expect(200);
    assert_eq!(stands(&gateway, "acme").await, like("past_due", "open", &["insufficient_funds"]));
    advance(&gateway, "1m").await;
    assert_eq!(stands(&gateway, "acme").await, like("active", "paid", &["insufficient_funds", "paid"]));
    assert_eq!(stripe.taken(), [9900]);
}

#[tokio::test]
async fn a_message_finds_the_invoice_of_a_charge_whose_answer_was_lost() {
    let (app, stripe) = (Upstream::replying("the app").start().await, FakeStripe::start().await);
    let gateway = gateway(&app, &stripe.url()).plaintext().start().await;
    make(&gateway, "acme").await;
    pay_with(&gateway, "acme", "pm_one").await.expect(200);
    stripe.will(CHARGES, "", Turn::Close);
    advance(&gateway, "14d").await;
    let body = event("evt_1", "payment_intent.succeeded", &stripe.intents()[0]);
    post(&gateway, &gateway.url_of(BASE, PATH), &body, &signature(&body)).await.expect(200);
    assert_eq!(stands(&gateway, "acme").await, like("active", "paid", &["paid"]));
    advance(&gateway, "1h").await;
    assert_eq!(stripe.posts(CHARGES).len(), 1);
}

#[tokio::test]
async fn a_payment_of_another_amount_or_currency_pays_no_invoice_whatever_it_names() {
    let (_app, stripe, gateway) = waiting().await;
    let invoice = stripe.intents()[0]["metadata"]["gatehouse_invoice"].clone();
    let due = stripe.intents()[0]["amount"].clone();
    for (at, (amount, currency)) in [(json!(1), "usd"), (due, "jpy")].into_iter().enumerate() {
        let other = json!({
            "id": format!("pi_other{at}"), "object": "payment_intent", "status": "succeeded", "amount": amount, "currency": currency,
            "metadata": {"gatehouse_invoice": invoice},
        });
        stripe.has(other.clone());
        let body = event(&format!("evt_{at}"), "payment_intent.succeeded", &other);
        assert_eq!(both(&gateway, &body, &signature(&body)).await, [404, 404]);
    }
    assert_eq!(stands(&gateway, "acme").await, like("active", "open", &[]));
}

#[tokio::test]
async fn senders_that_do_not_get_on_with_it_take_a_bounded_number_of_places() {
    let (app, stripe) = (Upstream::replying("the app").start().await, FakeStripe::start().await);
    let gateway = gateway(&app, &stripe.url()).plaintext().start().await;
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: {BASE}\r\nStripe-Signature: t=1,v1=00\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n"
    );
    let mut answer = [0; 12];
    let mut slow = Vec::new();
    for _ in 0..64 {
        let mut stream = TcpStream::connect(gateway.http).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        // It is asked for the body that it never sends: it has its place.
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 100");
        slow.push(stream);
    }
    let url = gateway.url_of(BASE, PATH);
    let body = event("evt_1", "payment_intent.succeeded", &json!({"id": "pi_1", "object": "payment_intent"}));
    post(&gateway, &url, &body, &signature(&body)).await.expect(503);
    drop(slow);
    eventually("there are places again", async || (post(&gateway, &url, &body, &signature(&body)).await.status == 404).then_some(())).await;
    // Nobody has to read what has no signature.
    let mut stream = TcpStream::connect(gateway.http).await.unwrap();
    stream.write_all(head.replace("Stripe-Signature", "X-Other").as_bytes()).await.unwrap();
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 400");
}

#[tokio::test]
async fn they_need_no_token_and_are_taken_on_the_base_domains_own_host_over_both_versions() {
    let (_app, stripe, gateway) = waiting().await;
    let body = event("evt_1", "payment_intent.succeeded", &stripe.intents()[0]);
    let signature = signature(&body);
    let request = || Request::post(format!("https://{BASE}{PATH}")).header("stripe-signature", &signature);
    let answer = gateway.h2(BASE).await.send(request().body(Full::new(Bytes::from(body.clone()))).unwrap()).await.unwrap().expect(200);
    assert_eq!(answer.json(), json!({"received": true}));
    let head = format!("POST {PATH} HTTP/1.1\r\nHost: {BASE}\r\nStripe-Signature: {signature}\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut wire = gateway.tls(BASE).await;
    for _ in 0..2 {
        assert_eq!(wire.ask(format!("{head}{body}")).await.expect(200).json(), json!({"received": true}));
    }
    // The connection goes on after one that was refused.
    let head = head.replace("v1=", "v1=00");
    wire.ask(format!("{head}{body}")).await.expect(400);
    wire.ask(format!("GET {PATH} HTTP/1.1\r\nHost: {BASE}\r\n\r\n")).await.expect(404);
    // A tenant's own host is the tenant's.
    let answer = post(&gateway, &gateway.url("acme", PATH), &body, &signature).await.expect(200);
    assert_eq!(answer.text(), "the app");
}

#[tokio::test]
async fn where_the_admin_api_has_a_token_they_still_need_none() {
    let (app, stripe) = (Upstream::replying("the app").start().await, FakeStripe::start().await);
    let gateway = gateway(&app, &stripe.url()).plaintext().set("admin.token", "hush").start().await;
    gateway.admin(Method::GET, "/admin/tenants", Value::Null).await.expect(401);
    let body = event("evt_1", "payment_intent.succeeded", &json!({"id": "pi_1", "object": "payment_intent"}));
    assert_eq!(both(&gateway, &body, "t=1,v1=00").await, [400, 400]);
    assert_eq!(both(&gateway, &body, &signature(&body)).await, [404, 404]);
}

#[tokio::test]
async fn without_a_secret_or_a_provider_there_is_nowhere_to_send_them() {
    let (app, stripe) = (Upstream::replying("the app").start().await, FakeStripe::start().await);
    let body = event("evt_1", "payment_intent.succeeded", &json!({"id": "pi_1", "object": "payment_intent"}));
    for (key, value) in [("STRIPE_WEBHOOK_SECRET", ""), ("billing.provider", "manual")] {
        let gateway = gateway(&app, &stripe.url()).plaintext().set(key, value).start().await;
        assert_eq!(both(&gateway, &body, &signature(&body)).await, [404, 404], "{key}");
    }
}
