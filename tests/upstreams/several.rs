//! Which upstream a request goes to: the tenant's own or the default, in turn where there are several, and never the
//! gateway itself.

use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{RawUpstream, TestGateway, Upstream, tenant};

/// A port where nothing listens.
fn nowhere() -> String {
    format!("http://{}", std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
}

#[tokio::test]
async fn the_upstreams_of_a_list_take_turns() {
    let (one, two) = (Upstream::replying("one").start().await, Upstream::replying("two").start().await);
    let gateway = TestGateway::to_url(&format!("{},{}", one.url(), two.url())).tenant(tenant("acme")).start().await;
    for _ in 0..6 {
        gateway.get("acme", "/").await.expect(200);
    }
    assert_eq!((one.seen().len(), two.seen().len()), (3, 3));
}

#[tokio::test]
async fn a_failed_dial_goes_to_the_next_of_the_list_and_counts_once() {
    let origin = Upstream::replying("here").start().await;
    let gateway = TestGateway::to_url(&format!("{},{}", nowhere(), origin.url())).tenant(tenant("acme")).start().await;
    for _ in 0..4 {
        let body = gateway.client.post(gateway.url("acme", "/")).body("sent once");
        crate::support::gateway::send(body).await.expect(200);
    }
    assert_eq!(origin.seen().len(), 4);
    assert_eq!(gateway.usage("acme").await["apiCalls"], 4);
}

#[tokio::test]
async fn what_was_sent_to_one_of_the_list_is_not_sent_to_another() {
    let broken = RawUpstream::listen().await;
    let origin = Upstream::replying("here").start().await;
    let gateway = TestGateway::to_url(&format!("{},{}", broken.url(), origin.url())).tenant(tenant("acme")).start().await;
    let closing = broken.saying("", crate::support::raw::Then::Close);
    let statuses = [gateway.get("acme", "/").await.status, gateway.get("acme", "/").await.status];
    assert!(statuses == [502, 200] || statuses == [200, 502], "{statuses:?}");
    assert_eq!(origin.seen().len(), 1);
    closing.abort();
}

#[tokio::test]
async fn a_tenants_own_upstream_is_its_alone_and_changes_on_open_connections() {
    let (shared, own, new) =
        (Upstream::replying("shared").start().await, Upstream::replying("own").start().await, Upstream::replying("new").start().await);
    let gateway = TestGateway::to(&shared).tenant(tenant("acme").with("upstream", own.url())).tenant(tenant("globex")).start().await;
    let mut client = gateway.raw("acme").await;
    let mut body = async || {
        client.send("GET / HTTP/1.1\r\nhost: acme.example.localhost\r\n\r\n").await;
        String::from_utf8(client.message().await.body).unwrap()
    };
    assert_eq!(body().await, "own");
    assert_eq!(gateway.get("globex", "/").await.expect(200).text(), "shared");
    gateway.admin(Method::PATCH, "/admin/tenants/acme", json!({"upstream": new.url()})).await.expect(200);
    assert_eq!(body().await, "new");
    gateway.admin(Method::PATCH, "/admin/tenants/acme", json!({"upstream": Value::Null})).await.expect(200);
    assert_eq!(body().await, "shared");
    assert_eq!((own.seen().len(), new.seen().len(), shared.seen().len()), (1, 1, 2));
}

#[tokio::test]
async fn an_upstream_with_a_name_is_reached_as_soon_as_its_tenant_is_there() {
    let named = |url: String| url.replace("127.0.0.1", "localhost");
    let shared = Upstream::replying("shared").start().await;
    let gateway = TestGateway::to_url(&named(shared.url())).start().await;
    for (number, expected) in ["shared", "own", "own", "own", "own", "own"].into_iter().enumerate() {
        let own = Upstream::replying("own").start().await;
        let slug = format!("tenant-{number}");
        let upstream = if expected == "own" { json!(named(own.url())) } else { Value::Null };
        let asked = json!({"name": "A", "slug": slug, "plan": "pro", "upstream": upstream});
        gateway.admin(Method::POST, "/admin/tenants", asked).await.expect(201);
        assert_eq!(gateway.get(&slug, "/").await.expect(200).text(), expected);
    }
}

#[tokio::test]
async fn the_gateway_itself_and_link_local_addresses_are_no_upstreams_for_the_admin_api() {
    let origin = Upstream::replying("shared").start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    let port = gateway.admin.port();
    let own = [gateway.http, gateway.https.unwrap(), gateway.admin].map(|address| format!("http://{address}"));
    let more = [
        format!("http://localhost:{port}"),
        format!("http://[::ffff:127.0.0.1]:{port}"),
        "http://169.254.169.254".to_owned(),
        "http://[fe80::1]:80".to_owned(),
        "http://[::ffff:169.254.169.254]".to_owned(),
        "http://0.0.0.0:80".to_owned(),
        "ftp://127.0.0.1".to_owned(),
        "http://127.0.0.1:9/path".to_owned(),
    ];
    for url in own.iter().chain(&more) {
        let answer = gateway.admin(Method::PATCH, "/admin/tenants/acme", json!({"upstream": url})).await.expect(422);
        assert_eq!(answer.json()["errors"][0]["pointer"], "/upstream", "{url}: {}", answer.text());
        let body = json!({"name": "Other", "slug": "other", "plan": "free", "upstream": [origin.url(), url]});
        gateway.admin(Method::POST, "/admin/tenants", body).await.expect(422);
    }
    assert_eq!(gateway.get("acme", "/").await.expect(200).text(), "shared");
    gateway.admin(Method::GET, "/admin/tenants/other", Value::Null).await.expect(404);
}

#[tokio::test]
async fn the_gateway_itself_and_link_local_addresses_are_refused_in_the_config() {
    let dir = tempfile::tempdir().unwrap();
    for url in ["http://127.0.0.1:3000", "http://localhost:8443", "http://169.254.169.254", "https://[fe80::1]"] {
        let path = dir.path().join("config.toml");
        std::fs::write(&path, format!("[upstream]\ndefault = \"{url}\"\n")).unwrap();
        for verb in ["check", "run"] {
            let output = Command::new(env!("CARGO_BIN_EXE_gatehouse")).arg(verb).arg("-c").arg(&path).env_clear().output().unwrap();
            let told = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{url}: {told}");
            assert!(told.contains("config.toml:2:11: upstream.default: ") && told.contains(url), "{told}");
        }
    }
}
