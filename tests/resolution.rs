//! A request's tenant comes from its authority, or on an api host from a key; nothing else a client says can choose it.

use serde_json::{Value, json};

use crate::support::matrix::Want::{App, Refused};
use crate::support::matrix::{Case, all_in_clear, all_over_tls, case};
use crate::support::{TestGateway, Upstream, tenant};

const ACME: &str = "acme.example.localhost";
const API: &str = "api.example.localhost";
const NOT_FOUND: (u16, &str) = (404, "tenant_not_found");
const MISMATCH: (u16, &str) = (403, "tenant_mismatch");
const NO_KEY: (u16, &str) = (401, "unauthenticated");
const BAD: (u16, &str) = (400, "bad_request");

fn refused(host: &str, (status, code): (u16, &'static str)) -> Case {
    case(host, Refused(status, code))
}

async fn id_of(gateway: &TestGateway, slug: &str) -> String {
    let answer = gateway.admin(reqwest::Method::GET, &format!("/admin/tenants/{slug}"), Value::Null).await.expect(200);
    answer.json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_host_leads_to_its_tenant_in_every_spelling_and_others_lead_nowhere() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin)
        .certificate("acme.test")
        .tenant(tenant("acme").with("customDomain", "acme.test"))
        .tenant(tenant("globex").with("customDomain", "globex.test"))
        .start()
        .await;
    let acme = |host: &str| case(host, App("acme"));
    let cases = [
        acme(ACME),
        acme("ACME.Example.LocalHost").sni(ACME),
        acme("acme.example.localhost.").sni(ACME),
        acme("acme.example.localhost:8443").sni(ACME),
        acme("Acme.example.localhost.:1").sni(ACME),
        acme("acme.test"),
        acme("ACME.test.:443").sni("acme.test"),
        case("globex.example.localhost", App("globex")),
        refused("nobody.example.localhost", NOT_FOUND),
        refused("www.example.localhost", NOT_FOUND),
        refused("example.localhost", NOT_FOUND),
        refused("localhost", NOT_FOUND),
    ];
    all_over_tls(&gateway, &cases).await;
    for name in ["globex.test", "www.acme.test", "x.acme.example.localhost", "unknown.test"] {
        let shaken = gateway.tls_with(gateway.tls_config(&["h2", "http/1.1"]), name).await;
        assert!(shaken.is_err(), "there is no certificate for {name}, verified or not");
    }
}

#[tokio::test]
async fn without_tls_the_host_alone_decides_and_no_domain_is_verified() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin).plaintext().tenant(tenant("acme").with("customDomain", "acme.test")).tenant(tenant("globex"));
    let gateway = gateway.start().await;
    let mut cases = vec![
        case(ACME, App("acme")),
        case("globex.example.localhost", App("globex")),
        case("ACME.example.localhost.:8080", App("acme")),
        refused("acme.test", NOT_FOUND),
    ];
    for host in [
        "nobody.example.localhost",
        "example.localhost",
        "x.acme.example.localhost",
        "xacme.example.localhost",
        "acme.example.localhost.evil.test",
        "acmeexample.localhost",
        "acme",
        "localhost",
        "127.0.0.1",
        "127.0.0.1:8080",
        "[::1]",
        "[::1]:8080",
        "2130706433",
        "under_score.example.localhost",
    ] {
        cases.push(refused(host, NOT_FOUND));
    }
    for host in [
        "acme..example.localhost",
        "acme.example.localhost..",
        ".acme.example.localhost",
        "acme.example.localhost:80:80",
        "acme.example.localhost:x",
        "acme%2eexample.localhost",
        "acme.example.localhost,globex.example.localhost",
        "acme.example.localhost/",
        "acme@acme.example.localhost",
        "-acme.example.localhost",
        "[::1",
        ":80",
        ".",
    ] {
        cases.push(refused(host, BAD));
    }
    all_in_clear(&gateway, &cases).await;
}

#[tokio::test]
async fn on_a_tenants_own_host_every_claim_to_be_a_tenant_has_to_be_true() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme")).tenant(tenant("globex")).start().await;
    let (acme, globex) = (id_of(&gateway, "acme").await, id_of(&gateway, "globex").await);
    let claims = |claims: &[&str], want| {
        let with = |case: Case, claim: &&str| case.field("X-Tenant-Id", claim);
        claims.iter().fold(case(ACME, want), with)
    };
    let wrong = || Refused(MISMATCH.0, MISMATCH.1);
    let cases = [
        claims(&[&acme], App("acme")),
        claims(&["acme"], App("acme")),
        claims(&[&acme, "acme"], App("acme")),
        claims(&[&globex], wrong()),
        claims(&["globex"], wrong()),
        claims(&["nobody"], wrong()),
        claims(&[""], wrong()),
        claims(&["acme", "globex"], wrong()),
        claims(&["globex", &acme], wrong()),
        claims(&["acme, globex"], wrong()),
        claims(&["acme,acme"], wrong()),
        case(ACME, wrong()).field("x-TENANT-iD", "globex"),
        case(ACME, App("acme")).field("X_Tenant_Id", "globex"),
        case(ACME, App("acme")).field("X.Tenant-Id", &globex),
        case(ACME, App("acme")).field("X-Tenant-Slug", "globex"),
        case(ACME, wrong()).field("Connection", "x-tenant-id").field("X-Tenant-Id", "globex"),
    ];
    // `Connection` is no field of HTTP/2; its clients leave it out.
    let (last, both) = cases.split_last().unwrap();
    all_over_tls(&gateway, both).await;
    gateway.tls(ACME).await.ask(last.http1()).await.expect(403).code("tenant_mismatch");
}

#[tokio::test]
async fn on_an_api_host_the_key_names_the_tenant_and_a_claim_beside_it_has_to_be_true() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme")).tenant(tenant("globex")).start().await;
    let (acme, globex) = (id_of(&gateway, "acme").await, id_of(&gateway, "globex").await);
    let (key, other) = (gateway.key("acme", json!({})).await, gateway.key("globex", json!({})).await);
    let bearer = format!("Bearer {key}");
    let with_key = |want| case(API, want).field("Authorization", &bearer);
    let mut mistyped = key.clone();
    let last = if mistyped.pop() == Some('0') { '1' } else { '0' };
    mistyped.push(last);
    let cases = [
        with_key(App("acme")),
        case(API, App("acme")).field("Authorization", &format!("bearer {key}")),
        case(API, App("acme")).field("X-Api-Key", &key),
        case("API.example.localhost.:443", App("acme")).sni(API).field("X-Api-Key", &key),
        with_key(App("acme")).field("X-Api-Key", &key),
        with_key(App("acme")).field("X-Tenant-Id", &acme),
        case(API, App("acme")).field("X-Api-Key", &key).field("X-Tenant-Id", "acme"),
        with_key(App("acme")).field("X-Api-Key", "of-the-app"),
        with_key(App("acme")).field("X_Tenant_Id", "globex"),
        with_key(Refused(MISMATCH.0, MISMATCH.1)).field("X-Tenant-Id", &globex),
        with_key(Refused(MISMATCH.0, MISMATCH.1)).field("X-Tenant-Id", "globex"),
        with_key(Refused(MISMATCH.0, MISMATCH.1)).field("X-Tenant-Id", "nobody"),
        with_key(Refused(MISMATCH.0, MISMATCH.1)).field("X-Tenant-Id", "acme").field("X-Tenant-Id", "globex"),
        with_key(Refused(NO_KEY.0, NO_KEY.1)).field("X-Api-Key", &other),
        refused(API, NO_KEY),
        refused(API, NO_KEY).field("X-Tenant-Id", "acme"),
        refused(API, NO_KEY).field("X-Tenant-Id", "acme").field("Authorization", "Bearer of-the-app"),
        refused(API, NO_KEY).field("X-Tenant-Id", "acme").field("Authorization", "Basic YWNtZTphY21l"),
        refused(API, NO_KEY).field("Authorization", &format!("Basic {key}")),
        refused(API, NO_KEY).field("X-Api-Key", &mistyped),
        refused(API, NO_KEY).field("X-Api-Key", "gh_live_"),
        refused(API, NO_KEY).field("Authorization", &format!("Bearer {key}x")),
    ];
    all_over_tls(&gateway, &cases).await;
    let query = gateway.h2(API).await.get(API, &format!("/?api_key={key}"), &[]).await;
    query.expect(401).code("unauthenticated");
}

#[tokio::test]
async fn a_name_without_a_key_is_believed_from_trusted_networks_only() {
    let origin = Upstream::echoing().start().await;
    let no_auth =
        || TestGateway::to(&origin).plaintext().set("tenancy.header_auth", "none").tenant(tenant("acme")).tenant(tenant("globex"));
    let named = |want| case(API, want).field("X-Tenant-Id", "acme");

    let trusted = no_auth().start().await;
    let (id, key) = (id_of(&trusted, "globex").await, trusted.key("acme", json!({})).await);
    let cases = [
        named(App("acme")),
        case(API, App("globex")).field("X-Tenant-Id", &id),
        case(API, App("acme")).field("X-Tenant-Id", "acme").field("X-Tenant-Id", "acme"),
        named(App("acme")).field("Authorization", "Bearer of-the-app"),
        // A peer that is no trusted proxy, and passes on what somebody else has sent.
        named(Refused(NO_KEY.0, NO_KEY.1)).field("X-Forwarded-For", "127.0.0.1"),
        named(Refused(NO_KEY.0, NO_KEY.1)).field("CF-Connecting-IP", "9.9.9.9"),
        named(Refused(NO_KEY.0, NO_KEY.1)).field("Via", "1.1 proxy"),
        named(Refused(MISMATCH.0, MISMATCH.1)).field("X-Tenant-Id", "globex"),
        named(Refused(NO_KEY.0, NO_KEY.1)).field("X-Api-Key", "gh_live_wrong"),
        case(API, Refused(MISMATCH.0, MISMATCH.1)).field("X-Tenant-Id", "globex").field("X-Api-Key", &key),
        refused(API, NOT_FOUND).field("X-Tenant-Id", "nobody"),
        refused(API, NO_KEY),
        case(ACME, Refused(MISMATCH.0, MISMATCH.1)).field("X-Tenant-Id", "globex"),
    ];
    all_in_clear(&trusted, &cases).await;

    let elsewhere = no_auth().set("tenancy.trusted_networks", "10.0.0.0/8").start().await;
    let key = elsewhere.key("acme", json!({})).await;
    let cases = [
        named(Refused(NO_KEY.0, NO_KEY.1)),
        named(Refused(NO_KEY.0, NO_KEY.1)).field("X-Forwarded-For", "10.1.2.3"),
        named(Refused(NO_KEY.0, NO_KEY.1)).field("Forwarded", "for=10.1.2.3"),
        named(App("acme")).field("X-Api-Key", &key),
    ];
    all_in_clear(&elsewhere, &cases).await;
}

#[tokio::test]
async fn behind_a_trusted_proxy_it_is_the_client_who_has_to_be_trusted() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin)
        .plaintext()
        .set("tenancy.header_auth", "none")
        .set("tenancy.trusted_networks", "127.0.0.0/8,10.0.0.0/8")
        .set("listen.trusted_proxies", "127.0.0.0/8")
        .tenant(tenant("acme"))
        .start()
        .await;
    let from = |client: &str, want| case(API, want).field("X-Tenant-Id", "acme").field("X-Forwarded-For", client);
    let denied = || Refused(NO_KEY.0, NO_KEY.1);
    let cases = [
        case(API, App("acme")).field("X-Tenant-Id", "acme"),
        from("10.1.2.3", App("acme")),
        from("10.1.2.3:4711", App("acme")),
        from("9.9.9.9, 10.1.2.3", App("acme")),
        from("10.1.2.3, 127.0.0.1", App("acme")),
        from("9.9.9.9", denied()),
        from("2001:db8::1", denied()),
        from("10.1.2.3, 9.9.9.9", denied()),
        from("9.9.9.9, 127.0.0.1", denied()),
        from("10.1.2.3", denied()).field("X-Forwarded-For", "9.9.9.9"),
        // A client whose address the proxy does not know, or tells in another way, may be anyone.
        from("unknown", denied()),
        from("10.1.2.3, unknown", denied()),
        from("", denied()),
        case(API, denied()).field("X-Tenant-Id", "acme").field("Forwarded", "for=9.9.9.9"),
        case(API, denied()).field("X-Tenant-Id", "acme").field("X-Real-Ip", "9.9.9.9"),
    ];
    all_in_clear(&gateway, &cases).await;
}
