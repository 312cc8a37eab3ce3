//! What happens to a tenant holds from its next request on, also on connections that are open already, and touches no other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use http::{Method, Response, Version};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};

use crate::support::upstream::{RunningUpstream, pieces};
use crate::support::{Answer, Connection, TestGateway, Upstream, VERSIONS, eventually, tenant};

/// One open connection of each HTTP version to a tenant's host, each of which has been used.
async fn connected(gateway: &TestGateway, slug: &str) -> Vec<Connection> {
    let mut open = Vec::new();
    for version in VERSIONS {
        let mut connection = gateway.connect(version, slug).await;
        connection.get("/").await.expect(200);
        open.push(connection);
    }
    open
}

/// Moves a tenant and gives back what the API shows of it.
async fn act(gateway: &TestGateway, slug: &str, action: &str) -> Value {
    gateway.admin(Method::POST, &format!("/admin/tenants/{slug}/{action}"), json!({"reason": "a test"})).await.expect(200).json()
}

async fn subscribe(gateway: &TestGateway, slug: &str, plan: &str) -> Value {
    gateway.admin(Method::PUT, &format!("/admin/tenants/{slug}/subscription"), json!({"plan": plan})).await.expect(200).json()
}

async fn patch(gateway: &TestGateway, slug: &str, body: Value) -> Value {
    gateway.admin(Method::PATCH, &format!("/admin/tenants/{slug}"), body).await.expect(200).json()
}

async fn delete(gateway: &TestGateway, slug: &str) -> Value {
    gateway.admin(Method::DELETE, &format!("/admin/tenants/{slug}"), Value::Null).await.expect(200).json()
}

/// What the app was told in one field.
fn told<'a>(echo: &'a Value, field: &str) -> &'a str {
    echo["headers"][field][0].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_suspended_tenant_is_refused_within_one_request_on_open_connections_too() {
    let origin = Upstream::replying("hello").start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    let mut open = connected(&gateway, "acme").await;
    for _ in 0..5 {
        assert_eq!(act(&gateway, "acme", "suspend").await["status"], "suspended");
        let before = origin.seen().len();
        for connection in &mut open {
            let refused = connection.get("/").await.expect(403).code("tenant_suspended");
            assert_eq!(refused.json()["error"], "Tenant suspended");
        }
        let id = gateway.get("acme", "/").await.expect(403).code("tenant_suspended").header("x-request-id").to_owned();
        let record = gateway.access_record(|record| record["requestId"] == *id).await;
        assert_eq!((&record["code"], &record["owner"], &record["status"]), (&json!("tenant_suspended"), &json!("tenant"), &json!(403)));
        assert_eq!(origin.seen().len(), before, "nothing of a suspended tenant reaches the app");
        assert_eq!(act(&gateway, "acme", "activate").await["status"], "trial", "its trial still lasts");
        for connection in &mut open {
            connection.get("/").await.expect(200);
        }
    }
}

#[tokio::test]
async fn canceled_and_deleted_tenants_are_not_found_until_they_are_back_and_a_restart_changes_nothing_of_that() {
    let origin = Upstream::replying("hello").start().await;
    let mut gateway = TestGateway::to(&origin).tenant(tenant("acme")).tenant(tenant("globex")).tenant(tenant("initech")).start().await;
    let mut open = connected(&gateway, "acme").await;
    let id = act(&gateway, "acme", "cancel").await["id"].as_str().unwrap().to_owned();
    for connection in &mut open {
        connection.get("/").await.expect(404).code("tenant_not_found");
    }
    assert_eq!(act(&gateway, "acme", "activate").await["status"], "trial");
    for connection in &mut open {
        connection.get("/").await.expect(200);
    }
    assert_eq!(delete(&gateway, "acme").await["status"], "deleted");
    for connection in &mut open {
        connection.get("/").await.expect(404).code("tenant_not_found");
    }
    let listed = |answer: Answer| {
        answer.json()["data"].as_array().unwrap().iter().map(|t| t["slug"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(listed(gateway.admin(Method::GET, "/admin/tenants", Value::Null).await), ["initech", "globex"]);
    assert_eq!(listed(gateway.admin(Method::GET, "/admin/tenants?status=deleted", Value::Null).await), ["acme"]);
    assert_eq!(act(&gateway, &id, "restore").await["status"], "trial");
    for connection in &mut open {
        connection.get("/").await.expect(200);
    }
    gateway.admin(Method::POST, "/admin/tenants/acme/restore", json!({})).await.expect(409).code("invalid_transition");

    act(&gateway, "acme", "suspend").await;
    act(&gateway, "globex", "cancel").await;
    delete(&gateway, "initech").await;
    assert!(gateway.stop().await.success());
    gateway.start_again().await;
    gateway.get("acme", "/").await.expect(403).code("tenant_suspended");
    gateway.get("globex", "/").await.expect(404).code("tenant_not_found");
    gateway.get("initech", "/").await.expect(404).code("tenant_not_found");
    act(&gateway, "acme", "activate").await;
    gateway.get("acme", "/").await.expect(200);
}

#[tokio::test]
async fn a_name_that_another_tenant_took_leads_no_open_connection_to_the_old_one() {
    let (old_app, new_app) = (Upstream::echoing().start().await, Upstream::echoing().start().await);
    let old = tenant("acme").plan("pro").with("upstream", old_app.url());
    // Its name is free at once.
    let mut gateway = TestGateway::to(&old_app).set("tenancy.keep_deleted", "0s").tenant(old).start().await;
    let old_id = gateway.admin(Method::GET, "/admin/tenants/acme", Value::Null).await.json()["id"].as_str().unwrap().to_owned();
    let old_key = gateway.key("acme", json!({})).await;
    let old_bearer = format!("Bearer {old_key}");
    let mut open = connected(&gateway, "acme").await;
    let reached = old_app.seen().len();

    delete(&gateway, "acme").await;
    let new = tenant("acme").plan("pro").with("upstream", new_app.url());
    let new_id = gateway.create(&new).await.expect(201).json()["id"].as_str().unwrap().to_owned();
    assert_ne!(old_id, new_id);
    let check = async |open: &mut [Connection]| {
        for connection in open {
            let echo = connection.get("/").await.expect(200).json();
            assert_eq!((told(&echo, "x-tenant-id"), told(&echo, "x-tenant-slug")), (&*new_id, "acme"));
            // What belongs to the old tenant opens nothing of the new one.
            connection.get_with("/", ("authorization", &old_bearer)).await.expect(403).code("tenant_mismatch");
            connection.get_with("/api/tenant", ("x-api-key", &old_key)).await.expect(403).code("tenant_mismatch");
            connection.get_with("/", ("x-tenant-id", &old_id)).await.expect(403).code("tenant_mismatch");
        }
    };
    check(&mut open).await;
    gateway.admin(Method::POST, &format!("/admin/tenants/{old_id}/restore"), json!({})).await.expect(409);
    assert!(gateway.stop().await.success());
    gateway.start_again().await;
    let mut open = connected(&gateway, "acme").await;
    check(&mut open).await;
    assert_eq!(old_app.seen().len(), reached, "the old tenant's app is not asked again");
}

#[tokio::test]
async fn each_tenants_requests_go_to_its_own_upstream_and_a_new_one_gets_the_next_request() {
    let (shared, first, second) =
        (Upstream::replying("shared").start().await, Upstream::replying("first").start().await, Upstream::replying("second").start().await);
    let mut gateway = TestGateway::to(&shared).tenant(tenant("acme").with("upstream", first.url())).tenant(tenant("globex")).start().await;
    let (mut acme, mut globex) = (connected(&gateway, "acme").await, connected(&gateway, "globex").await);
    let expect = async |open: &mut Vec<Connection>, text: &str| {
        for connection in open {
            assert_eq!(connection.get("/").await.expect(200).text(), text);
        }
    };
    expect(&mut acme, "first").await;
    expect(&mut globex, "shared").await;
    let count = |app: &RunningUpstream| app.seen().len();
    let before = count(&first);
    assert_eq!(
        patch(&gateway, "acme", json!({"upstream": second.url()})).await["upstream"],
        format!("{}/", second.url()).trim_end_matches('/')
    );
    expect(&mut acme, "second").await;
    expect(&mut globex, "shared").await;
    assert_eq!(count(&first), before, "the old app is not asked again");
    patch(&gateway, "acme", json!({"upstream": null})).await;
    expect(&mut acme, "shared").await;
    patch(&gateway, "globex", json!({"upstream": second.url()})).await;
    assert!(gateway.stop().await.success());
    gateway.start_again().await;
    assert_eq!(gateway.get("acme", "/").await.expect(200).text(), "shared");
    assert_eq!(gateway.get("globex", "/").await.expect(200).text(), "second");
}

#[tokio::test]
async fn a_change_of_plan_or_features_holds_from_the_next_request_on() {
    let origin = Upstream::echoing().start().await;
    let route = "[[route]]\npath = \"/reports/*\"\nfeature = \"reports\"";
    let mut gateway = TestGateway::to(&origin).toml(route).tenant(tenant("acme").plan("free")).start().await;
    let mut open = connected(&gateway, "acme").await;
    let echo = async |connection: &mut Connection| {
        let answer = connection.get("/").await.expect(200);
        (answer.json(), answer.header("ratelimit-policy").to_owned())
    };
    for connection in &mut open {
        let (echo, policy) = echo(connection).await;
        assert_eq!((told(&echo, "x-tenant-plan"), told(&echo, "x-tenant-features")), ("free", ""));
        assert_eq!(policy, r#""burst";q=100;w=2, "day";q=1000;w=86400"#);
        connection.get("/reports/1").await.expect(403).code("feature_disabled");
    }
    for flag in ["reports", "audit"] {
        let path = format!("/admin/tenants/acme/features/{flag}");
        gateway.admin(Method::PUT, &path, json!({"enabled": true})).await.expect(200);
    }
    assert_eq!(subscribe(&gateway, "acme", "pro").await["limits"]["maxApiCalls"], 100_000);
    for connection in &mut open {
        let (echo, policy) = echo(connection).await;
        assert_eq!((told(&echo, "x-tenant-plan"), told(&echo, "x-tenant-features")), ("pro", "audit,reports"));
        assert_eq!(policy, r#""burst";q=1000;w=2, "day";q=100000;w=86400"#);
        connection.get("/reports/1").await.expect(200);
    }
    gateway.admin(Method::DELETE, "/admin/tenants/acme/features/reports", Value::Null).await.expect(200);
    gateway.admin(Method::PATCH, "/admin/tenants/acme/config", json!({"features": {"beta": true, "audit": false}})).await.expect(200);
    subscribe(&gateway, "acme", "enterprise").await;
    for connection in &mut open {
        let (echo, policy) = echo(connection).await;
        assert_eq!((told(&echo, "x-tenant-plan"), told(&echo, "x-tenant-features")), ("enterprise", "beta"));
        assert_eq!(policy, "", "what is unlimited is left out");
        connection.get("/reports/1").await.expect(403).code("feature_disabled");
    }
    assert!(gateway.stop().await.success());
    gateway.start_again().await;
    let echo = gateway.get("acme", "/").await.expect(200).json();
    assert_eq!((told(&echo, "x-tenant-plan"), told(&echo, "x-tenant-features")), ("enterprise", "beta"));
}

#[tokio::test]
async fn a_revoked_key_opens_nothing_any_more() {
    let origin = Upstream::echoing().start().await;
    let mut gateway = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    let created =
        gateway.admin(Method::POST, "/admin/tenants/acme/keys", json!({"name": "ci", "roles": ["owner"]})).await.expect(201).json();
    let (secret, id) = (created["secret"].as_str().unwrap(), created["id"].as_str().unwrap());
    let other = gateway.key("acme", json!({})).await;
    let mut open = connected(&gateway, "acme").await;
    for connection in &mut open {
        connection.get_with("/api/tenant", ("x-api-key", secret)).await.expect(200);
    }
    gateway.admin(Method::DELETE, &format!("/admin/tenants/acme/keys/{id}"), Value::Null).await.expect(200);
    let before = origin.seen().len();
    let bearer = format!("Bearer {secret}");
    for connection in &mut open {
        connection.get_with("/api/tenant", ("x-api-key", secret)).await.expect(401).code("unauthenticated");
        connection.get_with("/", ("authorization", &bearer)).await.expect(401).code("unauthenticated");
        connection.get_with("/api/tenant", ("x-api-key", &other)).await.expect(200);
    }
    assert_eq!(origin.seen().len(), before);
    assert!(gateway.stop().await.success());
    gateway.start_again().await;
    let mut connection = gateway.connect(VERSIONS[1], "acme").await;
    connection.get_with("/api/tenant", ("x-api-key", secret)).await.expect(401).code("unauthenticated");
    connection.get_with("/api/tenant", ("x-api-key", &other)).await.expect(200);
}

#[tokio::test]
async fn changes_to_one_tenant_leave_a_neighbours_connections_and_downloads_alone() {
    // A download that goes on only when the test says so.
    let more = Arc::new(Semaphore::new(1));
    let gate = Arc::clone(&more);
    let origin = Upstream::with(move |request| {
        let gate = Arc::clone(&gate);
        async move {
            let count = if request.uri().path() == "/slow" { 20 } else { 1 };
            let (sender, receiver) = mpsc::channel(1);
            tokio::spawn(async move {
                for piece in 0..count {
                    if piece > 0 {
                        gate.acquire().await.expect("open").forget();
                    }
                    let _ = sender.send(bytes::Bytes::from_static(b"0123456789")).await;
                }
            });
            Response::new(pieces(receiver))
        }
    });
    let origin = origin.start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme").plan("pro")).tenant(tenant("globex")).start().await;
    let mut neighbours = connected(&gateway, "globex").await;
    let mut downloads = tokio::task::JoinSet::new();
    for version in VERSIONS {
        let mut connection = gateway.connect(version, "globex").await;
        downloads.spawn(async move { connection.get("/slow").await.expect(200).body.len() });
    }
    eventually("both downloads have begun", || async {
        (origin.seen().iter().filter(|head| head.uri.path() == "/slow").count() == 2).then_some(())
    })
    .await;
    let key = gateway.admin(Method::POST, "/admin/tenants/acme/keys", json!({"name": "k"})).await.expect(201).json();
    let changes: [(Method, &str, Value); 10] = [
        (Method::POST, "/suspend", json!({})),
        (Method::POST, "/activate", json!({})),
        (Method::PATCH, "", json!({"name": "Other", "upstream": origin.url()})),
        (Method::PUT, "/subscription", json!({"plan": "free"})),
        (Method::PUT, "/features/x", json!({"enabled": true})),
        (Method::DELETE, &format!("/keys/{}", key["id"].as_str().unwrap()), Value::Null),
        (Method::POST, "/cancel", json!({})),
        (Method::POST, "/activate", json!({})),
        (Method::DELETE, "", Value::Null),
        (Method::POST, "/restore", json!({})),
    ];
    let id = gateway.admin(Method::GET, "/admin/tenants/acme", Value::Null).await.json()["id"].as_str().unwrap().to_owned();
    for (method, path, body) in changes {
        gateway.admin(method, &format!("/admin/tenants/{id}{path}"), body).await.expect(200);
        for connection in &mut neighbours {
            connection.get("/").await.expect(200);
        }
        more.add_permits(2);
    }
    more.add_permits(18);
    while let Some(octets) = downloads.join_next().await {
        assert_eq!(octets.expect("a download"), 200, "the download is whole");
    }
}

#[tokio::test]
async fn changes_that_leave_the_rate_as_it_is_refill_no_bucket() {
    let origin = Upstream::replying("hello").start().await;
    let gateway = TestGateway::to(&origin).plaintext().tenant(tenant("acme").rate(1, 100)).tenant(tenant("globex").rate(1, 100));
    let gateway = gateway.start().await;
    let (mut acme, mut globex) = (gateway.connect(Version::HTTP_11, "acme").await, gateway.connect(Version::HTTP_11, "globex").await);
    for connection in [&mut acme, &mut globex] {
        while connection.get("/").await.status == 200 {}
    }
    patch(&gateway, "acme", json!({"name": "Another name", "metadata": {"a": 1}})).await;
    gateway.admin(Method::PUT, "/admin/tenants/acme/features/x", json!({"enabled": true})).await.expect(200);
    act(&gateway, "acme", "suspend").await;
    act(&gateway, "acme", "activate").await;
    for connection in [&mut acme, &mut globex] {
        let mut served = 0;
        while connection.get("/").await.status == 200 {
            served += 1;
        }
        assert!(served < 50, "{served} of a bucket of 100, where a few seconds give a few");
    }
}

#[tokio::test]
async fn once_a_change_is_answered_no_later_request_slips_past_it_under_load() {
    const STATES: [(u16, &str); 5] = [(200, "old"), (403, ""), (200, "old"), (404, ""), (200, "new")];
    let (old_app, new_app) = (Upstream::replying("old").start().await, Upstream::replying("new").start().await);
    let acme = tenant("acme").with("upstream", old_app.url());
    let gateway = TestGateway::to(&old_app).set("tenancy.keep_deleted", "0s").tenant(acme).start().await;
    // Even while a state stands, odd from a change's request to its answer.
    let epoch = Arc::new(AtomicUsize::new(0));
    let stood: Arc<[AtomicUsize; 5]> = Arc::default();
    let mut clients = tokio::task::JoinSet::new();
    for nth in 0..16 {
        let mut connection = gateway.connect(VERSIONS[nth % 2], "acme").await;
        let (epoch, stood) = (Arc::clone(&epoch), Arc::clone(&stood));
        clients.spawn(async move {
            while epoch.load(SeqCst) <= 8 {
                let (begun, answer, ended) = (epoch.load(SeqCst), connection.get("/").await, epoch.load(SeqCst));
                let text = if answer.status == 200 { answer.text() } else { String::new() };
                let possible = &STATES[(begun / 2).min(4)..=ended.div_ceil(2).min(4)];
                assert!(possible.contains(&(answer.status, &*text)), "{} {text} from epoch {begun} to {ended}", answer.status);
                if begun == ended && begun % 2 == 0 && begun <= 8 {
                    stood[begun / 2].fetch_add(1, SeqCst);
                }
            }
        });
    }
    for state in 0..5 {
        match state {
            1 => drop(act(&gateway, "acme", "suspend").await),
            2 => drop(act(&gateway, "acme", "activate").await),
            3 => drop(delete(&gateway, "acme").await),
            4 => drop(gateway.create(&tenant("acme").with("upstream", new_app.url())).await.expect(201)),
            _ => {}
        }
        if state > 0 {
            epoch.fetch_add(1, SeqCst);
        }
        eventually("requests in this state", || async { (stood[state].load(SeqCst) > 100).then_some(()) }).await;
        epoch.fetch_add(1, SeqCst);
    }
    while let Some(client) = clients.join_next().await {
        client.expect("a client that saw what it may");
    }
}
