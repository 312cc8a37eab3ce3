//! A connection that was opened for one tenant reaches no other: the names of TLS and of HTTP belong together.

use std::sync::Arc;

use reqwest::Method;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use crate::support::matrix::Want::{App, Refused};
use crate::support::matrix::{Case, all_over_tls, case};
use crate::support::pairs::write_pair;
use crate::support::upstream::RunningUpstream;
use crate::support::wire::Wire;
use crate::support::{TestGateway, Upstream, eventually, tenant};

const ACME: &str = "acme.example.localhost";
const GLOBEX: &str = "globex.example.localhost";
const API: &str = "api.example.localhost";
const API_2: &str = "api.partner.test";
const NOBODY: &str = "nobody.example.localhost";

async fn gateway(origin: &RunningUpstream) -> TestGateway {
    let gateway = TestGateway::to(origin).certificate("acme.test").certificate("globex.test").certificate(API_2);
    let gateway = gateway.set("tenancy.api_hosts", &format!("{API},{API_2}"));
    let acme = tenant("acme").with("customDomain", "acme.test");
    gateway.tenant(acme).tenant(tenant("globex").with("customDomain", "globex.test")).start().await
}

fn get(host: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

#[tokio::test]
async fn sni_and_host_are_equal_of_one_tenant_or_both_api_hosts() {
    let origin = Upstream::echoing().start().await;
    let gateway = gateway(&origin).await;
    let key = gateway.key("acme", json!({})).await;
    let misdirected = |sni: &str, host: &str| case(host, Refused(421, "misdirected_request")).sni(sni).field("X-Api-Key", &key);
    let acme = |sni: &str, host: &str| case(host, App("acme")).sni(sni);
    let keyed = |case: Case| case.field("X-Api-Key", &key);
    let cases = [
        acme(ACME, ACME),
        acme(ACME, "acme.test"),
        acme("acme.test", ACME),
        acme("acme.test", "Acme.TEST.:443"),
        acme("ACME.example.localhost", ACME),
        keyed(acme(API, API)),
        keyed(acme(API, API_2)),
        keyed(acme(API_2, API)),
        misdirected(ACME, GLOBEX),
        misdirected(ACME, "globex.test"),
        misdirected("acme.test", "globex.test"),
        misdirected("acme.test", GLOBEX),
        misdirected(ACME, API),
        misdirected("acme.test", API_2),
        misdirected(API, ACME),
        misdirected(API_2, "acme.test"),
        misdirected(ACME, NOBODY),
        misdirected(ACME, "example.localhost"),
        misdirected(ACME, "unknown.test"),
        misdirected(ACME, "127.0.0.1"),
        misdirected(ACME, "x.acme.example.localhost"),
        misdirected(NOBODY, ACME),
        misdirected(NOBODY, "other.example.localhost"),
        misdirected(NOBODY, API),
        misdirected("example.localhost", ACME),
        misdirected("example.localhost", API),
        case(NOBODY, Refused(404, "tenant_not_found")),
        case("example.localhost", Refused(404, "tenant_not_found")),
    ];
    all_over_tls(&gateway, &cases).await;
    let seen = origin.seen();
    assert!(seen.iter().all(|head| head.headers["x-tenant-slug"] == "acme"), "what was refused reached the app");
    assert_eq!(seen.len(), 2 * 8);
}

#[tokio::test]
async fn without_sni_a_connection_serves_the_base_domain_and_is_bound_to_its_first_host() {
    let origin = Upstream::echoing().start().await;
    let gateway = gateway(&origin).await;
    let key = gateway.key("acme", json!({})).await;
    let nameless = async |protocol: &str| {
        let mut config = gateway.tls_config(&[protocol]);
        config.enable_sni = false;
        gateway.tls_with(config, ACME).await.unwrap()
    };
    let default = CertificateDer::from_pem_file(gateway.dir.path().join("dev.crt")).unwrap();

    let mut wire = nameless("http/1.1").await;
    assert_eq!(wire.tls.as_ref().unwrap().certificate, default);
    wire.ask(get("acme.test")).await.expect(421).code("misdirected_request");
    wire.ask(get(ACME)).await.expect(200);
    wire.ask(get(GLOBEX)).await.expect(421).code("misdirected_request");
    wire.ask(get(API)).await.expect(421).code("misdirected_request");
    wire.ask(get("acme.test")).await.expect(421).code("misdirected_request");
    wire.ask(get("ACME.example.localhost:1")).await.expect(200);

    let mut wire = nameless("http/1.1").await;
    wire.ask(get(NOBODY)).await.expect(404).code("tenant_not_found");
    wire.ask(get(ACME)).await.expect(421).code("misdirected_request");

    let mut wire = nameless("http/1.1").await;
    let keyed = |host: &str| format!("GET / HTTP/1.1\r\nHost: {host}\r\nX-Api-Key: {key}\r\n\r\n");
    wire.ask(keyed(API)).await.expect(200);
    wire.ask(keyed(API_2)).await.expect(421).code("misdirected_request");
    wire.ask(keyed(ACME)).await.expect(421).code("misdirected_request");

    let h2 = nameless("h2").await.into_h2().await;
    h2.get("127.0.0.1", "/", &[]).await.expect(421).code("misdirected_request");
    h2.get(GLOBEX, "/", &[]).await.expect(200);
    h2.get(ACME, "/", &[]).await.expect(421).code("misdirected_request");
    h2.get("globex.test", "/", &[]).await.expect(421).code("misdirected_request");
}

#[tokio::test]
async fn one_h2_connection_serves_one_tenant_whatever_its_authorities() {
    let origin = Upstream::echoing().start().await;
    let gateway = gateway(&origin).await;
    let h2 = gateway.h2(ACME).await;
    let (own, other, domain) = tokio::join!(h2.get(ACME, "/1", &[]), h2.get(GLOBEX, "/2", &[]), h2.get("acme.test", "/3", &[]));
    own.expect(200);
    other.expect(421).code("misdirected_request");
    domain.expect(200);
    h2.get(ACME, "/4", &[("host", ACME)]).await.expect(200);
    h2.get(ACME, "/5", &[("host", GLOBEX)]).await.expect(400).code("bad_request");
    h2.get(ACME, "/6", &[("host", "acme.test")]).await.expect(400).code("bad_request");
    h2.get(ACME, "/7", &[("host", ACME), ("host", ACME)]).await.expect(400).code("bad_request");
    h2.get(&format!("user@{ACME}"), "/8", &[]).await.expect(400).code("bad_request");
    let mut paths: Vec<_> = origin.seen().iter().map(|head| head.uri.path().to_owned()).collect();
    paths.sort();
    assert_eq!(paths, ["/1", "/3", "/4"]);
}

#[tokio::test]
async fn a_session_is_resumed_under_its_own_name_only() {
    let origin = Upstream::echoing().start().await;
    let gateway = gateway(&origin).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut config =
            rustls::ClientConfig::builder_with_protocol_versions(&[version]).with_root_certificates(roots(&gateway)).with_no_client_auth();
        config.resumption = rustls::client::Resumption::store(Arc::new(Nameless::default()));
        let config = Arc::new(config);
        let connect = async |name: &str| -> Wire { gateway.tls_with(Arc::clone(&config), name).await.unwrap() };

        let mut first = connect(ACME).await;
        assert_eq!(first.tls.as_ref().unwrap().kind, rustls::HandshakeKind::Full);
        first.ask(get(ACME)).await.expect(200);
        let mut again = connect(ACME).await;
        assert_eq!(again.tls.as_ref().unwrap().kind, rustls::HandshakeKind::Resumed, "{version:?}");
        again.ask(get(ACME)).await.expect(200);
        again.ask(get(GLOBEX)).await.expect(421);
        // The client now shows the ticket of acme's connection while it asks for globex.
        let mut crossed = connect(GLOBEX).await;
        assert_eq!(crossed.tls.as_ref().unwrap().kind, rustls::HandshakeKind::Full, "{version:?}");
        crossed.ask(get(ACME)).await.expect(421).code("misdirected_request");
        crossed.ask(get(GLOBEX)).await.expect(200);
    }
}

pub fn roots(gateway: &TestGateway) -> rustls::RootCertStore {
    let mut roots = rustls::RootCertStore::empty();
    let trusted = CertificateDer::pem_file_iter(gateway.ca()).unwrap();
    roots.add_parsable_certificates(trusted.map(Result::unwrap));
    roots
}

/// Shows every server the tickets of any.
#[derive(Debug, Default)]
pub struct Nameless {
    tls12: std::sync::Mutex<Option<rustls::client::Tls12ClientSessionValue>>,
    tls13: std::sync::Mutex<Vec<rustls::client::Tls13ClientSessionValue>>,
}

type Name = rustls::pki_types::ServerName<'static>;

impl rustls::client::ClientSessionStore for Nameless {
    fn set_kx_hint(&self, _: Name, _: rustls::NamedGroup) {}

    fn kx_hint(&self, _: &rustls::pki_types::ServerName<'_>) -> Option<rustls::NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _: Name, value: rustls::client::Tls12ClientSessionValue) {
        *self.tls12.lock().unwrap() = Some(value);
    }

    fn tls12_session(&self, _: &rustls::pki_types::ServerName<'_>) -> Option<rustls::client::Tls12ClientSessionValue> {
        self.tls12.lock().unwrap().clone()
    }

    fn remove_tls12_session(&self, _: &Name) {
        *self.tls12.lock().unwrap() = None;
    }

    fn insert_tls13_ticket(&self, _: Name, value: rustls::client::Tls13ClientSessionValue) {
        self.tls13.lock().unwrap().push(value);
    }

    fn take_tls13_ticket(&self, _: &Name) -> Option<rustls::client::Tls13ClientSessionValue> {
        self.tls13.lock().unwrap().pop()
    }
}

#[tokio::test]
async fn certificates_are_replaced_added_and_taken_away_without_a_restart() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin)
        .certificate("acme.test")
        .tenant(tenant("acme").with("customDomain", "acme.test"))
        .tenant(tenant("globex").with("customDomain", "globex.test"))
        .start()
        .await;
    let (dir, trusted) = (gateway.dir.path(), gateway.ca());
    let shake = async |name: &str| gateway.tls_with(gateway.tls_config(&["http/1.1"]), name).await;
    let mut open = shake(ACME).await.unwrap();
    let mut own = shake("acme.test").await.unwrap();
    open.ask(get(ACME)).await.expect(200);
    own.ask(get("acme.test")).await.expect(200);
    assert!(shake("globex.test").await.is_err());
    let before = open.tls.as_ref().unwrap().certificate.clone();

    write_pair(dir, "dev", &["example.localhost", "*.example.localhost"], trusted);
    write_pair(&dir.join("domains"), "globex.test", &["globex.test"], trusted);
    std::fs::remove_file(dir.join("domains/acme.test.crt")).unwrap();
    let fresh = eventually("the new certificate", || async {
        let wire = shake(ACME).await.ok()?;
        (wire.tls.as_ref().unwrap().certificate != before).then_some(wire)
    });
    fresh.await.ask(get(ACME)).await.expect(200);
    eventually("the added domain", || async {
        shake("globex.test").await.ok()?.ask(get("globex.test")).await.status.eq(&200).then_some(())
    })
    .await;
    eventually("the domain is gone", || async { shake("acme.test").await.is_err().then_some(()) }).await;

    // What was open stays open; a domain that nothing proves any more leads nowhere, there as well.
    open.ask(get(ACME)).await.expect(200);
    own.ask(get("acme.test")).await.expect(404).code("tenant_not_found");
    let verified = gateway.admin(Method::GET, "/admin/tenants/acme/domains/acme.test", Value::Null).await.expect(200).json();
    assert_eq!(verified["verified"], false);
}
