//! What TLS is like at the gateway, as those see it who judge servers.

use std::process::Stdio;

use serde_json::Value;

use crate::support::{TestGateway, Upstream, peers, tenant};

/// What testssl finds of a test's server, and what is meant so: no cipher is weak, so the client's order holds
/// (a phone may prefer ChaCha20); a test's authority has no revocation list, and a loopback name no CAA record; other fields of
/// security are the app's to say.
const EXPECTED: [&str; 4] = ["cert_revocation", "DNS_CAArecord", "cipher_order", "security_headers"];

#[tokio::test]
async fn testssl_finds_nothing_to_complain_of() {
    let origin = Upstream::replying("hello").start().await;
    let gateway = TestGateway::to(&origin).set("tls.hsts", "365d").tenant(tenant("acme")).start().await;
    let found = gateway.dir.path().join("found.json");
    let mut command = tokio::process::Command::new(peers::debian("testssl", "testssl.sh"));
    command.args(["--quiet", "--color", "0", "--warnings", "off", "--ip", "127.0.0.1", "--add-ca"]).arg(gateway.ca());
    command.args(["--protocols", "--std", "--fs", "--server-preference", "--server-defaults", "--vulnerable", "--headers", "--jsonfile"]);
    command.arg(&found).arg(gateway.url("acme", "/")).stdin(Stdio::null()).stdout(Stdio::null());
    // Its status says how many probes had no answer in time, which on a busy machine are some.
    command.status().await.unwrap();
    let found: Vec<Value> = serde_json::from_slice(&std::fs::read(&found).unwrap()).unwrap();
    // WARN is of testssl itself: what a busy machine, or its openssl, did not let it look at.
    let is_bad = |it: &&Value| {
        !["OK", "INFO", "WARN"].contains(&it["severity"].as_str().unwrap()) && !EXPECTED.contains(&it["id"].as_str().unwrap())
    };
    assert_eq!(found.iter().filter(is_bad).collect::<Vec<_>>(), Vec::<&Value>::new());
    let of = |id: &str| found.iter().find(|it| it["id"] == id).unwrap_or_else(|| panic!("{id}"))["finding"].as_str().unwrap().to_owned();
    assert!(of("TLS1_3").starts_with("offered") && of("TLS1_2").starts_with("offered") && of("TLS1_1").starts_with("not offered"));
    assert!(found.len() > 60, "all of it was looked at: {}", found.len());
}

#[tokio::test]
async fn keys_are_agreed_on_in_a_way_that_no_quantum_computer_undoes() {
    let origin = Upstream::replying("hello").start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    let stream = gateway.raw_tls("acme", "http/1.1").await;
    let group = stream.get_ref().1.negotiated_key_exchange_group().unwrap();
    assert_eq!(group.name(), rustls::NamedGroup::X25519MLKEM768);
}

#[tokio::test]
async fn hosts_of_the_base_domain_say_that_they_want_tls_where_the_operator_says_so_and_over_tls_alone() {
    let origin = Upstream::replying("hello").start().await;
    let plain = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    let strict = TestGateway::to(&origin).set("tls.hsts", "365d").tenant(tenant("acme")).start().await;
    let said = |answer: &crate::support::Answer| answer.headers.get("strict-transport-security").map(|it| it.to_str().unwrap().to_owned());
    assert_eq!(said(&plain.get("acme", "/").await.expect(200)), None);
    assert_eq!(said(&strict.get("acme", "/").await.expect(200)).as_deref(), Some("max-age=31536000"));
    assert_eq!(said(&strict.get("nobody", "/").await.expect(404)), None, "nobody lives there");
    let clear = strict.client.get(format!("http://{}/", strict.http)).header("host", "acme.example.localhost").send().await.unwrap();
    assert_eq!((clear.status().as_u16(), clear.headers().get("strict-transport-security")), (308, None));
}
