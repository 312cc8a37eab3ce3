//! A route that counts enforces the plan's users, projects and storage for an app that knows nothing of plans.

use std::sync::Arc;

use futures_util::future::join_all;
use http::{Method, Request, Response, Version};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::support::upstream::{RunningUpstream, full};
use crate::support::{TestGateway, Upstream, VERSIONS, eventually, tenant};

const ROUTES: &str = r#"
[[route]]
path = "/users/*"
methods = ["GET", "POST", "DELETE"]
counts = "users"
[[route]]
path = "/projects/*"
counts = "projects"
[[route]]
path = "/files/*"
counts = "storage"
[plans.larger]
price_monthly = 20
price_yearly = 200
max_users = 4
[plans.largest]
price_monthly = 90
price_yearly = 900
"#;

/// Answers the status that the path ends with, 201 by default; waits for a permit where there is a gate.
async fn app(gate: Option<Arc<Semaphore>>) -> RunningUpstream {
    Upstream::with(move |request: Request<Incoming>| {
        let gate = gate.clone();
        async move {
            if let Some(gate) = gate {
                gate.acquire().await.unwrap().forget();
            }
            let status = request.uri().path().rsplit('/').next().and_then(|last| last.parse::<u16>().ok()).unwrap_or(201);
            let response = Response::builder().status(status);
            let report = request.uri().query().map(|query| query.to_owned());
            report.iter().fold(response, |response, delta| response.header("x-usage-users", delta)).body(full("")).unwrap()
        }
    })
    .start()
    .await
}

async fn users(gateway: &TestGateway) -> Value {
    gateway.usage("acme").await["users"].clone()
}

#[tokio::test]
async fn at_the_limit_a_post_is_refused_with_what_there_is_and_the_plan_that_would_allow_it() {
    let origin = app(None).await;
    let gateway = TestGateway::to(&origin).toml(ROUTES).tenant(tenant("acme").most("max_users", 2)).start().await;
    for (nth, version) in VERSIONS.into_iter().enumerate() {
        let mut connection = gateway.connect(version, "acme").await;
        let mut send = async |method: Method, path: &str| connection.send(method, path, &[], "").await.unwrap();
        if nth == 0 {
            send(Method::POST, "/users").await.expect(201);
            send(Method::POST, "/users/404").await.expect(404);
            send(Method::GET, "/users/200").await.expect(200);
            send(Method::POST, "/users/").await.expect(201);
        }
        let before = origin.seen().len();
        let refused = send(Method::POST, "/users").await.expect(403).code("plan_limit_reached").json();
        for (member, value) in [("resource", json!("users")), ("limit", json!(2)), ("used", json!(2)), ("plan", json!("larger"))] {
            assert_eq!(refused[member], value, "{refused}");
        }
        assert_eq!(refused["violations"][0]["resource"], "users");
        assert!(refused["detail"].as_str().unwrap().contains("larger"), "{refused}");
        assert_eq!(origin.seen().len(), before, "it does not reach the app");
        send(Method::DELETE, "/users/404").await.expect(404);
        send(Method::POST, "/users").await.expect(403);
        send(Method::DELETE, "/users/204").await.expect(204);
        assert_eq!(users(&gateway).await, 1);
        send(Method::POST, "/users").await.expect(201);
        send(Method::GET, "/users/200").await.expect(200);
        send(Method::POST, "/elsewhere").await.expect(201);
    }
    let usage = gateway.usage("acme").await;
    assert_eq!((&usage["users"], &usage["rejected"]), (&json!(2), &json!(4)), "refused calls are no calls: {usage}");
    // A larger plan, and there is room at once.
    gateway.admin(Method::PUT, "/admin/tenants/acme/subscription", json!({"plan": "larger"})).await.expect(200);
    gateway.client.post(gateway.url("acme", "/users")).send().await.unwrap().error_for_status().unwrap();
}

#[tokio::test]
async fn requests_that_race_for_the_last_places_get_exactly_those() {
    let gate = Arc::new(Semaphore::new(0));
    let origin = app(Some(Arc::clone(&gate))).await;
    let gateway = TestGateway::to(&origin).toml(ROUTES).tenant(tenant("acme").most("max_projects", 3)).start().await;
    let mut connections = Vec::new();
    for nth in 0..32 {
        connections.push(gateway.connect(VERSIONS[nth % 2], "acme").await);
    }
    // While the app thinks, the places are held.
    let ask = connections.iter_mut().map(|connection| async { connection.send(Method::POST, "/projects", &[], "").await.unwrap().status });
    let opener = async {
        eventually("three wait", || async { (origin.seen().len() == 3).then_some(()) }).await;
        gate.add_permits(1_000);
    };
    let (statuses, ()) = tokio::join!(join_all(ask), opener);
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 3, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 403).count(), 29, "{statuses:?}");
    assert_eq!(gateway.usage("acme").await["projects"], 3);
}

#[tokio::test]
async fn a_place_that_the_app_did_not_use_serves_the_next_request() {
    let origin = app(None).await;
    let gateway = TestGateway::to(&origin).toml(ROUTES).tenant(tenant("acme").most("max_users", 1)).start().await;
    let mut connection = gateway.connect(Version::HTTP_11, "acme").await;
    for status in [400, 404, 409, 500, 302] {
        connection.send(Method::POST, &format!("/users/{status}"), &[], "").await.unwrap().expect(status);
    }
    connection.send(Method::POST, "/users", &[], "").await.unwrap().expect(201);
    connection.send(Method::POST, "/users", &[], "").await.unwrap().expect(403);
    // What cannot be delivered takes no place.
    let nowhere = TestGateway::to_url("http://127.0.0.1:1").toml(ROUTES).tenant(tenant("acme").most("max_users", 1)).start().await;
    for _ in 0..3 {
        nowhere.client.post(nowhere.url("acme", "/users")).send().await.unwrap().error_for_status().unwrap_err();
    }
    assert_eq!(users(&nowhere).await, 0);
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_has_taken_its_place_all_the_same() {
    let gate = Arc::new(Semaphore::new(0));
    let origin = app(Some(Arc::clone(&gate))).await;
    let mut gateway = TestGateway::to(&origin).toml(ROUTES).tenant(tenant("acme").most("max_users", 2)).start().await;
    for (nth, version) in VERSIONS.into_iter().enumerate() {
        let mut connection = gateway.connect(version, "acme").await;
        let call = tokio::spawn(async move { connection.send(Method::POST, "/users", &[], "").await });
        eventually("the app has it", || async { (origin.seen().len() > nth).then_some(()) }).await;
        call.abort();
        let _ = call.await;
        assert_eq!(users(&gateway).await, nth);
        gate.add_permits(1);
        eventually("it is counted", || async { (users(&gateway).await == nth + 1).then_some(()) }).await;
    }
    gate.add_permits(9);
    let refused = gateway.client.post(gateway.url("acme", "/users")).send().await.unwrap();
    assert_eq!(refused.status(), 403);
    gateway.signal("KILL");
    gateway.ended().await;
    gateway.start_again().await;
    let refused = gateway.client.post(gateway.url("acme", "/users")).send().await.unwrap();
    assert_eq!(refused.status(), 403, "after a restart as well");
}

#[tokio::test]
async fn a_path_that_only_some_readers_take_for_a_user_s_adds_one_and_takes_none() {
    let origin = app(None).await;
    let gateway = TestGateway::to(&origin).toml(ROUTES).tenant(tenant("acme").most("max_users", 2)).start().await;
    let mut connection = gateway.connect(Version::HTTP_11, "acme").await;
    connection.send(Method::POST, "/users/../other/201", &[], "").await.unwrap().expect(201);
    connection.send(Method::POST, "/users", &[], "").await.unwrap().expect(201);
    for target in ["/users/../files/204", "/users/%2e%2e/files/204", "/users/..%2ffiles/204"] {
        connection.send(Method::DELETE, target, &[], "").await.unwrap().expect(204);
        assert_eq!(users(&gateway).await, 2, "{target}");
    }
    connection.send(Method::POST, "/users", &[], "").await.unwrap().expect(403);
    connection.send(Method::DELETE, "/users/7/204", &[], "").await.unwrap().expect(204);
    assert_eq!(users(&gateway).await, 1);
}

#[tokio::test]
async fn what_the_app_reports_of_a_write_counts_though_its_client_has_left() {
    let gate = Arc::new(Semaphore::new(0));
    let waiting = Arc::clone(&gate);
    let origin = Upstream::with(move |_| {
        let gate = Arc::clone(&waiting);
        async move {
            gate.acquire().await.unwrap().forget();
            Response::builder().header("x-usage-storage", "+700").body(full("")).unwrap()
        }
    });
    let origin = origin.start().await;
    let gateway = TestGateway::to(&origin).toml(ROUTES).tenant(tenant("acme").most("max_storage", 1000)).start().await;
    for (nth, version) in VERSIONS.into_iter().enumerate() {
        let mut connection = gateway.connect(version, "acme").await;
        let call = tokio::spawn(async move { connection.send(Method::PUT, "/files/a", &[], "x").await });
        eventually("the app has it", || async { (origin.seen().len() > nth).then_some(()) }).await;
        call.abort();
        let _ = call.await;
        gate.add_permits(1);
        eventually("it is counted", || async { (gateway.usage("acme").await["storage"] == 700 * (nth + 1)).then_some(()) }).await;
    }
    let refused = gateway.client.put(gateway.url("acme", "/files/a")).send().await.unwrap();
    assert_eq!(refused.status(), 403);
}

#[tokio::test]
async fn what_the_app_reports_itself_is_not_counted_once_more() {
    let origin = app(None).await;
    let gateway = TestGateway::to(&origin).toml(ROUTES).tenant(tenant("acme").most("max_users", 10)).start().await;
    let mut connection = gateway.connect(Version::HTTP_2, "acme").await;
    connection.send(Method::POST, "/users?+1", &[], "").await.unwrap().expect(201);
    assert_eq!(users(&gateway).await, 1);
    connection.send(Method::POST, "/users?+3", &[], "").await.unwrap().expect(201);
    assert_eq!(users(&gateway).await, 4);
    connection.send(Method::DELETE, "/users/204?-2", &[], "").await.unwrap().expect(204);
    assert_eq!(users(&gateway).await, 2);
}

#[tokio::test]
async fn at_the_storage_limit_writes_are_refused_and_deletes_make_room() {
    let origin = app(None).await;
    let acme = tenant("acme").most("max_storage", 1000);
    let globex = tenant("globex").most("max_storage", 1000).overage(r#"{ storage = { price = 1, per = 10, hard_cap = 2000 } }"#);
    let gateway = TestGateway::to(&origin).toml(ROUTES).tenant(acme).tenant(globex).start().await;
    let set = async |slug: &str, value: u64| {
        let path = format!("/admin/tenants/{slug}/usage");
        gateway.admin(Method::POST, &path, json!({"meter": "storage", "value": value})).await.expect(200);
    };
    let mut connection = gateway.connect(Version::HTTP_11, "acme").await;
    set("acme", 999).await;
    connection.send(Method::PUT, "/files/a", &[], "x").await.unwrap().expect(201);
    set("acme", 1000).await;
    for method in [Method::POST, Method::PUT, Method::PATCH] {
        let refused = connection.send(method, "/files/a", &[], "x").await.unwrap().expect(403).code("plan_limit_reached").json();
        assert_eq!((&refused["resource"], &refused["used"], &refused["plan"]), (&json!("storage"), &json!(1000), &json!("of-globex")));
    }
    for (method, status) in [(Method::GET, 200), (Method::HEAD, 200), (Method::DELETE, 204)] {
        connection.send(method, &format!("/files/{status}"), &[], "").await.unwrap().expect(status);
    }
    // Where more is billed, only the hard cap refuses.
    let mut connection = gateway.connect(Version::HTTP_11, "globex").await;
    set("globex", 1500).await;
    connection.send(Method::PUT, "/files/a", &[], "x").await.unwrap().expect(201);
    assert_eq!(gateway.usage("globex").await["overage"]["storage"], 500);
    set("globex", 2000).await;
    connection.send(Method::PUT, "/files/a", &[], "x").await.unwrap().expect(403);
    set("globex", 10).await;
    let usage = gateway.usage("globex").await;
    assert_eq!((&usage["storage"], &usage["peakStorage"], &usage["overage"]["storage"]), (&json!(10), &json!(2000), &json!(1000)));
}
