//! Against localstripe, a stateful fake of Stripe that others wrote: from the first card to the last refund.

use std::path::Path;
use std::process::Command;

use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::{advance, gateway, invoices, like, make, pay_with, show, stands, subscribe, until};
use crate::support::gateway::BASE;
use crate::support::peers::{Server, debian_library, python};
use crate::support::stripe::{KEY, SECRET};
use crate::support::{TestGateway, Upstream};

async fn localstripe() -> Server {
    localstripe_with(&[]).await
}

/// With these variables in its environment.
async fn localstripe_with(variables: &[(&str, &Path)]) -> Server {
    let python = tokio::task::spawn_blocking(|| python(&["localstripe==1.15.10", "aiohttp==3.14.5"])).await.unwrap();
    let mut command = Command::new(python);
    command.args(["-u", "-m", "localstripe", "--port", "0", "--from-scratch"]).envs(variables.iter().copied());
    Server::start(&mut command).await
}

/// Asks localstripe itself.
async fn ask(stripe: &Server, method: Method, path: &str, form: &[(&str, &str)]) -> Value {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = Client::builder().no_proxy().build().unwrap().request(method, format!("{}{path}", stripe.url())).bearer_auth(KEY);
    let answer = request.header("content-type", "application/x-www-form-urlencoded").body(body).send().await.unwrap();
    let text = answer.text().await.unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

async fn card(stripe: &Server, number: &str) -> String {
    let form = [("type", "card"), ("card[number]", number), ("card[exp_month]", "12"), ("card[exp_year]", "2050"), ("card[cvc]", "123")];
    ask(stripe, Method::POST, "/v1/payment_methods", &form).await["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_card_is_attached_and_the_first_invoice_is_collected_when_the_trial_ends() {
    let (app, stripe) = (Upstream::replying("hello").start().await, localstripe().await);
    let gateway = gateway(&app, &stripe.url()).plaintext().start().await;
    make(&gateway, "acme").await;
    pay_with(&gateway, "acme", &card(&stripe, "4000000000000002").await).await.expect(402).code("payment_failed");
    assert_eq!(show(&gateway, "acme").await["paymentMethod"], Value::Null);
    let tenant = pay_with(&gateway, "acme", &card(&stripe, "4242424242424242").await).await.expect(200).json();
    assert_eq!(tenant["paymentMethod"], "visa •••• 4242");
    advance(&gateway, "14d").await;
    assert_eq!(stands(&gateway, "acme").await, like("active", "paid", &["paid"]));

    let invoice = invoices(&gateway, "acme").await.remove(0);
    let payment = invoice["payment"]["reference"].as_str().unwrap();
    let intent = ask(&stripe, Method::GET, &format!("/v1/payment_intents/{payment}"), &[]).await;
    assert_eq!((&intent["status"], &intent["amount"], &intent["currency"]), (&json!("succeeded"), &json!(9900), &json!("usd")));
    assert_eq!(intent["metadata"]["gatehouse_invoice"], invoice["id"]);
    assert_eq!(intent["metadata"]["gatehouse_number"], invoice["number"]);
    let customer = ask(&stripe, Method::GET, &format!("/v1/customers/{}", intent["customer"].as_str().unwrap()), &[]).await;
    assert_eq!((&customer["name"], &customer["metadata"]["gatehouse_tenant"]), (&json!("acme"), &tenant["id"]));

    let path = format!("/admin/invoices/{}/credit", invoice["id"].as_str().unwrap());
    let credited = gateway.admin(Method::POST, &path, json!({"amountMinor": 900, "refund": true})).await.expect(200).json();
    assert_eq!(credited["creditNotes"][0]["outcome"], "refunding");
    advance(&gateway, "0s").await;
    assert_eq!(invoices(&gateway, "acme").await[0]["creditNotes"][0]["outcome"], "refunded");
    let refunds = ask(&stripe, Method::GET, &format!("/v1/refunds?payment_intent={payment}"), &[]).await;
    let amounts: Vec<&Value> = refunds["data"].as_array().unwrap().iter().map(|refund| &refund["amount"]).collect();
    assert_eq!(amounts, [900]);
}

#[tokio::test]
async fn a_declined_card_is_served_for_a_while_then_not_and_again_when_another_one_pays() {
    let (app, stripe) = (Upstream::replying("hello").start().await, localstripe().await);
    let gateway = gateway(&app, &stripe.url()).plaintext().start().await;
    make(&gateway, "acme").await;
    pay_with(&gateway, "acme", &card(&stripe, "4000000000000341").await).await.expect(200);
    advance(&gateway, "14d").await;
    let declined = "card_declined";
    assert_eq!(stands(&gateway, "acme").await, like("past_due", "open", &[declined]));
    gateway.get("acme", "/").await.expect(200);
    advance(&gateway, "3d").await;
    assert_eq!(stands(&gateway, "acme").await, like("past_due", "open", &[declined; 2]));
    gateway.get("acme", "/").await.expect(200);
    advance(&gateway, "4d").await;
    assert_eq!(stands(&gateway, "acme").await, like("suspended", "open", &[declined; 2]));
    gateway.get("acme", "/").await.expect(403).code("tenant_suspended");
    advance(&gateway, "1d").await;
    assert_eq!(stands(&gateway, "acme").await, like("suspended", "open", &[declined; 3]));
    pay_with(&gateway, "acme", "pm_card_visa").await.expect(200);
    advance(&gateway, "0s").await;
    assert_eq!(stands(&gateway, "acme").await, like("active", "paid", &[declined, declined, declined, "paid"]));
    gateway.get("acme", "/").await.expect(200);
}

#[tokio::test]
async fn an_upgrade_is_paid_first_and_a_declined_one_changes_nothing() {
    let (app, stripe) = (Upstream::replying("hello").start().await, localstripe().await);
    let gateway = gateway(&app, &stripe.url()).plaintext().start().await;
    make(&gateway, "acme").await;
    pay_with(&gateway, "acme", "pm_card_visa").await.expect(200);
    advance(&gateway, "14d").await;
    pay_with(&gateway, "acme", "pm_card_chargeCustomerFail").await.expect(200);
    subscribe(&gateway, "acme", "enterprise").await.expect(402).code("payment_failed");
    let tenant = show(&gateway, "acme").await;
    assert_eq!((&tenant["plan"], &tenant["status"], &tenant["amountDueMinor"]), (&json!("pro"), &json!("active"), &json!(0)));
    assert_eq!(stands(&gateway, "acme").await, like("active", "void", &["card_declined"]));
    pay_with(&gateway, "acme", "pm_card_visa").await.expect(200);
    let upgraded = subscribe(&gateway, "acme", "enterprise").await.expect(200).json();
    assert_eq!((&upgraded["plan"], &upgraded["pendingChange"]), (&json!("enterprise"), &Value::Null));
    assert_eq!(stands(&gateway, "acme").await, like("active", "paid", &["paid"]));
}

/// A debit takes its time: its outcome is told by a message alone, to `url`.
async fn told(gateway: &TestGateway, stripe: &Server, url: &str) {
    let body = json!({"url": url, "secret": SECRET, "events": ["payment_intent.succeeded", "payment_intent.payment_failed"]});
    let request = Client::builder().no_proxy().build().unwrap().post(format!("{}/_config/webhooks/one", stripe.url()));
    let answer = request.header("content-type", "application/json").body(body.to_string()).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    for (slug, iban, status, codes) in
        [("acme", "DE89370400440532013000", "paid", ["paid"]), ("globex", "DE62370400440532013001", "open", ["card_declined"])]
    {
        make(gateway, slug).await;
        let form = [("type", "sepa_debit"), ("sepa_debit[iban]", iban)];
        let debit = ask(stripe, Method::POST, "/v1/payment_methods", &form).await["id"].as_str().unwrap().to_owned();
        assert_eq!(pay_with(gateway, slug, &debit).await.expect(200).json()["paymentMethod"], "sepa_debit");
        advance(gateway, "14d").await;
        until(gateway, slug, if status == "paid" { "active" } else { "past_due" }, status, &codes).await;
    }
    let line = stripe.line("what became of the message", |line| line.contains("webhook \"payment_intent.succeeded\"")).await;
    assert!(line.contains("successfully delivered"), "{line}");
}

#[tokio::test]
async fn its_messages_are_taken_by_the_admin_listener() {
    let (app, stripe) = (Upstream::replying("hello").start().await, localstripe().await);
    let gateway = gateway(&app, &stripe.url()).plaintext().start().await;
    told(&gateway, &stripe, &format!("http://{}/webhooks/stripe", gateway.admin)).await;
}

#[tokio::test]
async fn its_messages_are_taken_on_the_base_domains_own_host_in_clear() {
    let (app, stripe) = (Upstream::replying("hello").start().await, localstripe().await);
    // localstripe looks names up like any other program, and of these `localhost` leads here everywhere.
    let gateway = gateway(&app, &stripe.url()).plaintext().set("tenancy.base_domain", "localhost").start().await;
    told(&gateway, &stripe, &format!("http://localhost:{}/webhooks/stripe", gateway.http.port())).await;
}

#[tokio::test]
async fn its_messages_are_taken_on_the_base_domains_own_host_over_tls() {
    let app = Upstream::replying("hello").start().await;
    let mut gateway = gateway(&app, "http://127.0.0.1:9").start().await;
    // It trusts the test's authority, and finds the test's names on this machine.
    let names = gateway.dir.path().join("names");
    std::fs::write(&names, format!("127.0.0.1 {BASE}\n")).unwrap();
    let wrapper = tokio::task::spawn_blocking(|| debian_library("libnss_wrapper.so", "libnss-wrapper")).await.unwrap();
    let stripe = localstripe_with(&[("SSL_CERT_FILE", gateway.ca()), ("LD_PRELOAD", &wrapper), ("NSS_WRAPPER_HOSTS", &names)]).await;
    assert!(gateway.stop().await.success());
    gateway.set("billing.stripe_api", &stripe.url());
    gateway.start_again().await;
    told(&gateway, &stripe, &gateway.url_of(BASE, "/webhooks/stripe")).await;
}
