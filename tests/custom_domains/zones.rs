//! DNS as it really is: a zone with servers of its own, and a resolver that remembers.

use std::process::Stdio;

use gatehouse::dns::Dns;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::acme::{Acme, Habits, Software, Zone};
use crate::support::{TestGateway, Upstream, eventually, tenant, within};

#[tokio::test]
async fn a_proof_counts_as_soon_as_the_zones_own_servers_have_it() {
    let zone = Zone::start(Software::Knot, "acme.test", "shop A 127.0.0.1").await;
    let (_resolver, remembers) = zone.resolver().await;
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin).plaintext().set("domains.name_servers", &remembers.to_string());
    let gateway = gateway.tenant(tenant("acme").plan("pro")).start().await;
    let body = json!({"domain": "shop.acme.test"});
    let claimed = gateway.admin(Method::POST, "/admin/tenants/acme/domains", body).await.expect(201).json();
    let (name, proof) = (claimed["records"][0]["name"].as_str().unwrap(), claimed["records"][0]["value"].as_str().unwrap());
    let verify =
        async || gateway.admin(Method::POST, "/admin/tenants/acme/domains/shop.acme.test/verify", Value::Null).await.expect(200).json();
    assert_eq!(verify().await["reason"], "ownership_missing");
    // The resolver has heard that there is none, and believes it for an hour.
    assert_eq!(heard(remembers.port(), name).await, "");
    zone.updater().add_text(name, proof).await.unwrap();
    assert_eq!(heard(remembers.port(), name).await, "", "it remembers");
    let seen = verify().await;
    assert_eq!((&seen["verified"], &seen["status"]), (&json!(true), &json!("serving")), "{seen}");
    zone.updater().remove_text(name, proof).await.unwrap();
    assert_eq!(verify().await["hostname"]["state"], "lapsing");
}

#[tokio::test]
async fn an_update_without_the_right_key_changes_nothing() {
    for software in [Software::Knot, Software::Bind] {
        updates(&Zone::start(software, "acme.test", "").await).await;
    }
}

async fn updates(zone: &Zone) {
    let wrong = zone.updater_with("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    let refused = wrong.add_text("_x.acme.test", "1").await.unwrap_err().to_string();
    assert!(refused.contains("acme.test"), "{refused}");
    assert!(zone.updater().add_text("_x.other.test", "1").await.unwrap_err().to_string().contains("is not in it"));
    let dns = Dns::new(&[zone.address]).unwrap();
    assert_eq!(dns.texts("_x.acme.test").await.unwrap(), Vec::<String>::new());
    zone.updater().add_text("_x.acme.test", "1").await.unwrap();
    zone.updater().add_text("_x.acme.test", "2").await.unwrap();
    let mut texts = dns.texts("_x.acme.test").await.unwrap();
    texts.sort();
    assert_eq!(texts, ["1", "2"]);
}

#[tokio::test]
async fn the_base_domain_and_its_wildcard_get_a_certificate_by_dns_01() {
    let zone = Zone::start(Software::Bind, "gate.test", "@ A 127.0.0.1\n* A 127.0.0.1").await;
    let (mut acme, origin) = (Acme::new().await, Upstream::echoing().start().await);
    // Nobody asks at the gateway: what proves this name is in DNS.
    acme.start_with((9, 9), Habits::default(), zone.address).await;
    let gateway = acme.orders(TestGateway::to(&origin)).set("tenancy.base_domain", "gate.test").set("tenancy.api_hosts", "");
    let gateway = gateway.set("domains.name_servers", &zone.address.to_string());
    let gateway = zone.dns01().iter().fold(gateway, |gateway, (key, value)| gateway.set(key, value));
    let gateway =
        gateway.set("tls.cert", "/nowhere/a.crt").set("tls.key", "/nowhere/a.key").tenant(tenant("acme").plan("pro")).start().await;
    let https = gateway.https.unwrap();
    let reaches = async |host: &str| {
        let mut command = tokio::process::Command::new("curl");
        command.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "20", "--cacert"]).arg(acme.root().await);
        command.args(["--connect-to", &format!("::{https}"), &format!("https://{host}:{}/", https.port())]);
        command.args(["--write-out", "%{http_code}", "--output", "/dev/null"]);
        String::from_utf8(command.output().await.unwrap().stdout).unwrap()
    };
    eventually("the base domain's certificate", || async { (reaches("acme.gate.test").await == "200").then_some(()) }).await;
    assert_eq!([reaches("gate.test").await, reaches("nobody.gate.test").await, reaches("a.b.gate.test").await], ["404", "404", "000"]);
    let dns = Dns::new(&[zone.address]).unwrap();
    assert_eq!(dns.texts("_acme-challenge.gate.test").await.unwrap(), Vec::<String>::new(), "what was set for it is gone");
    assert_eq!(acme.orders_placed(), 1);
}

/// What a resolver says of a TXT record.
async fn heard(port: u16, name: &str) -> String {
    let mut command = tokio::process::Command::new(crate::support::peers::debian("kdig", "knot-dnsutils"));
    command.args(["@127.0.0.1", "-p", &port.to_string(), "+short", name, "TXT"]).stdin(Stdio::null());
    String::from_utf8(within("kdig ends", command.output()).await.unwrap().stdout).unwrap()
}
