//! A custom domain that is served is told, and one that is not any more.

use reqwest::Method;
use serde_json::{Value, json};

use super::receiver::Receiver;
use super::{endpoint, gateway, make};
use crate::support::acme::{Acme, Habits, TestDns};
use crate::support::{TestGateway, eventually, tenant};

#[tokio::test]
async fn a_domain_is_told_when_it_is_served_when_it_lapses_and_when_it_is_served_again() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (receiver, dns) = (Receiver::willing().await, TestDns::start().await);
    let gateway = gateway()
        .set("domains.name_servers", &dns.address.to_string())
        .set("domains.recheck", "200ms")
        .set("domains.lapse", "1s")
        .toml(&endpoint("crm", &receiver.url(), "events = [\"domain.*\"]"));
    let gateway = gateway.start().await;
    let id = make(&gateway, "acme").await;
    let domains = format!("/admin/tenants/{id}/domains");
    let claimed = gateway.admin(Method::POST, &domains, json!({"domain": "shop.acme.test"})).await.expect(201).json();
    let verify = async || gateway.admin(Method::POST, &format!("{domains}/shop.acme.test/verify"), Value::Null).await.expect(200);
    let heard = async |count: usize| {
        let told = eventually("it is told", || async {
            verify().await;
            Some(receiver.told()).filter(|told| told.len() >= count)
        });
        let told = told.await;
        assert_eq!(told.len(), count);
        told[count - 1].json()
    };
    let (name, proof) = (format!("_gatehouse.{}", "shop.acme.test"), claimed["records"][0]["value"].as_str().unwrap().to_owned());
    dns.text(&name, "something else").await;
    let failed = heard(1).await;
    assert_eq!(
        (&failed["type"], &failed["data"]["domain"], &failed["data"]["tenantId"]),
        (&json!("domain.failed"), &json!("shop.acme.test"), &json!(id))
    );
    assert_eq!((&failed["data"]["reason"], &failed["data"]["needsActionBy"]), (&json!("ownership_mismatch"), &json!("tenant")));
    dns.text(&name, &proof).await;
    let active = heard(2).await;
    assert_eq!((&active["type"], &active["data"]), (&json!("domain.active"), &json!({"domain": "shop.acme.test", "tenantId": id})));
    dns.no_text(&name).await;
    let lapsed = heard(3).await;
    assert_eq!((&lapsed["type"], &lapsed["data"]["reason"]), (&json!("domain.failed"), &json!("ownership_missing")));
    dns.text(&name, &proof).await;
    assert_eq!(heard(4).await["type"], "domain.active");
}

#[tokio::test]
async fn a_domain_with_a_certificate_of_an_authority_is_told_once_that_is_there_and_not_when_it_is_renewed() {
    let (receiver, mut acme) = (Receiver::willing().await, Acme::new().await);
    let gateway = acme.orders(TestGateway::to_url("http://127.0.0.1:9")).set("events.allow_private", "true");
    let gateway =
        gateway.toml(&endpoint("crm", &receiver.url(), "events = [\"domain.*\"]")).tenant(tenant("acme").plan("pro")).start().await;
    acme.start(&gateway, Habits::default()).await;
    let domains = "/admin/tenants/acme/domains";
    let claimed = gateway.admin(Method::POST, domains, json!({"domain": "shop.acme.test"})).await.expect(201).json();
    acme.dns.obey(&claimed).await;
    gateway.admin(Method::POST, &format!("{domains}/shop.acme.test/verify"), Value::Null).await.expect(200);
    receiver.hears("domain.active").await;
    let read = async || gateway.admin(Method::GET, &format!("{domains}/shop.acme.test"), Value::Null).await.expect(200).json();
    let first = read().await;
    assert_eq!((&first["status"], &first["certificate"]["state"]), (&json!("serving"), &json!("active")));
    gateway.admin(Method::POST, &format!("{domains}/shop.acme.test/renew"), Value::Null).await.expect(200);
    eventually("it is renewed", || async { (acme.orders_placed() == 2 && read().await["certificate"]["state"] == "active").then_some(()) })
        .await;
    let rows = gateway.admin(Method::GET, "/admin/audit?tenant=acme&action=domain.*", Value::Null).await.expect(200).json();
    let actions: Vec<&str> = rows["data"].as_array().unwrap().iter().map(|row| row["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["domain.active", "domain.verified", "domain.added"]);
    assert_eq!(receiver.told().len(), 1);
}
