//! Usage is exact: what a client received whole is counted, once, over every kind of call and through restarts.

use http::{Method, Response, StatusCode, Version};
use serde_json::{Value, json};

use crate::support::upstream::{full, pieces};
use crate::support::{TestGateway, Upstream, VERSIONS, eventually, tenant, within_one_day};

#[tokio::test]
async fn a_call_whose_client_left_after_the_app_got_it_is_counted() {
    within_one_day().await;
    let origin = Upstream::with(|_| std::future::pending()).start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    for (nth, version) in VERSIONS.into_iter().enumerate() {
        let mut connection = gateway.connect(version, "acme").await;
        let call = tokio::spawn(async move { connection.get("/").await });
        eventually("the app has the request", || async { (origin.seen().len() > nth).then_some(()) }).await;
        assert_eq!(gateway.usage("acme").await["apiCalls"], nth, "nobody has answered yet");
        call.abort();
        eventually("it is counted", || async { (gateway.usage("acme").await["apiCalls"] == nth + 1).then_some(()) }).await;
    }
}

#[tokio::test]
async fn a_call_is_counted_with_its_head_and_octets_as_they_go_also_when_the_process_is_killed_then() {
    within_one_day().await;
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let receiver = std::sync::Mutex::new(Some(receiver));
    let origin = Upstream::with(move |_| {
        let receiver = receiver.lock().expect("not poisoned").take().expect("one call");
        async move { Response::new(pieces(receiver)) }
    });
    let origin = origin.start().await;
    let mut gateway = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    let mut response = gateway.request(Method::GET, "acme", "/").send().await.expect("a head");
    let usage = gateway.usage("acme").await;
    assert_eq!((&usage["apiCalls"], &usage["bandwidth"]), (&json!(1), &json!(0)));
    for total in [1000, 2000, 3000] {
        sender.send(bytes::Bytes::from(vec![b'x'; 1000])).await.expect("a reader");
        let mut received = 0;
        while received < 1000 {
            received += response.chunk().await.expect("an open body").expect("more").len();
        }
        assert_eq!(gateway.usage("acme").await["bandwidth"], total);
    }
    gateway.signal("KILL");
    gateway.ended().await;
    assert!(response.chunk().await.is_err(), "the client knows that it is not whole");
    gateway.start_again().await;
    let usage = gateway.usage("acme").await;
    assert_eq!((&usage["apiCalls"], &usage["bandwidth"]), (&json!(1), &json!(3000)));
}

#[tokio::test]
async fn calls_and_octets_of_known_requests_are_exact_over_both_versions() {
    within_one_day().await;
    let origin = Upstream::with(|request| async move {
        let octets = request.uri().path().trim_start_matches('/').parse().unwrap_or(0_usize);
        let read = http_body_util::BodyExt::collect(request.into_body()).await.map(|body| body.to_bytes().len()).unwrap_or(0);
        let mut response = Response::new(full(vec![b'x'; octets]));
        match octets {
            204 => *response.status_mut() = StatusCode::NO_CONTENT,
            304 => *response.status_mut() = StatusCode::NOT_MODIFIED,
            500 => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
            _ => {}
        }
        if matches!(octets, 204 | 304) {
            *response.body_mut() = full("");
        }
        response.headers_mut().insert("x-read", read.into());
        response
    });
    let origin = origin.start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme")).tenant(tenant("globex")).start().await;
    // Method, path, octets up, status, octets down.
    let calls = [
        (Method::GET, "/1000", 0, 200, 1000),
        (Method::GET, "/0", 0, 200, 0),
        (Method::GET, "/300000", 0, 200, 300_000),
        (Method::HEAD, "/5000", 0, 200, 0),
        (Method::GET, "/204", 0, 204, 0),
        (Method::GET, "/304", 0, 304, 0),
        (Method::GET, "/500", 0, 500, 500),
        (Method::POST, "/7", 70_000, 200, 7),
        (Method::PUT, "/11", 1, 200, 11),
        (Method::DELETE, "/204", 0, 204, 0),
    ];
    let mut expected = (0, 0, 0);
    for version in VERSIONS {
        let mut connection = gateway.connect(version, "acme").await;
        for (method, path, up, status, down) in calls.clone() {
            let what = format!("{version:?} {method} {path}");
            let answer = connection.send(method, path, &[], vec![b'u'; up]).await.expect("an answer").expect(status);
            assert_eq!((answer.body.len(), answer.header("x-read")), (down, &*up.to_string()), "{what}");
            expected = (expected.0 + 1, expected.1 + down, expected.2 + up);
            let usage = gateway.usage("acme").await;
            let counted = (usage["apiCalls"].as_u64().unwrap(), usage["bandwidth"].as_u64().unwrap(), usage["ingress"].as_u64().unwrap());
            assert_eq!(counted, (expected.0, expected.1 as u64, expected.2 as u64), "{what}");
            assert_eq!((&usage["apiCallsToday"], &usage["rejected"]), (&usage["apiCalls"], &json!(0)), "{what}");
        }
    }
    // The tenant API counts as a call; a refusal does not, nor do its octets.
    let key = gateway.key("acme", json!({})).await;
    let mut connection = gateway.connect(Version::HTTP_11, "acme").await;
    let own = connection.get_with("/api/tenant", ("x-api-key", &key)).await.expect(200).body.len();
    connection.get("/api/tenant").await.expect(401);
    connection.get_with("/", ("x-tenant-id", "globex")).await.expect(403);
    gateway.admin(Method::POST, "/admin/tenants/acme/suspend", json!({})).await.expect(200);
    connection.get("/").await.expect(403);
    let usage = gateway.usage("acme").await;
    assert_eq!((usage["apiCalls"].as_u64().unwrap(), usage["rejected"].as_u64().unwrap()), (expected.0 + 1, 3));
    assert_eq!(usage["bandwidth"].as_u64().unwrap(), (expected.1 + own) as u64);
    assert_eq!(same_as_month(&gateway, "acme").await, usage["apiCalls"]);
    assert_eq!(gateway.usage("globex").await["rejected"], 0, "the one who is named is not the one who is refused");
}

/// The days sum up to the month; the month's calls.
async fn same_as_month(gateway: &TestGateway, slug: &str) -> Value {
    let days = gateway.admin(Method::GET, &format!("/admin/tenants/{slug}/usage/daily"), Value::Null).await.expect(200).json();
    let month = gateway.usage(slug).await;
    for member in ["apiCalls", "bandwidth", "ingress", "rejected"] {
        let sum: u64 = days["data"].as_array().unwrap().iter().map(|day| day[member].as_u64().unwrap()).sum();
        assert_eq!(json!(sum), month[member], "{member}: {days} and {month}");
    }
    month["apiCalls"].clone()
}

#[tokio::test]
async fn a_call_is_in_the_first_read_of_usage_after_its_response() {
    within_one_day().await;
    let origin = Upstream::replying("hello").start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    let key = gateway.key("acme", json!({})).await;
    let mut connections = [gateway.connect(VERSIONS[0], "acme").await, gateway.connect(VERSIONS[1], "acme").await];
    for call in 1..=200 {
        connections[call % 2].get("/").await.expect(200);
        let usage = gateway.usage("acme").await;
        assert_eq!((&usage["apiCalls"], &usage["bandwidth"]), (&json!(call), &json!(5 * call)));
    }
    let seen = connections[0].get_with("/api/usage", ("x-api-key", &key)).await.expect(200).json();
    assert_eq!(seen["usage"]["apiCalls"], 200, "the read itself is not in it: {seen}");
    assert_eq!(gateway.usage("acme").await["apiCalls"], 201, "but counts");
}

#[tokio::test]
async fn folding_again_and_starting_again_change_no_number() {
    within_one_day().await;
    let origin = Upstream::replying("hello").start().await;
    let mut gateway = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    for _ in 0..25 {
        gateway.get("acme", "/").await.expect(200);
    }
    let numbers = async |gateway: &TestGateway| {
        let usage = gateway.usage("acme").await;
        (usage["apiCalls"].clone(), usage["bandwidth"].clone(), same_as_month(gateway, "acme").await)
    };
    let exact = (json!(25), json!(125), json!(25));
    for _ in 0..3 {
        assert_eq!(numbers(&gateway).await, exact);
        gateway.another_fold().await;
    }
    assert_eq!(numbers(&gateway).await, exact);
    for signal in ["KILL", "TERM", "KILL"] {
        gateway.signal(signal);
        gateway.ended().await;
        gateway.start_again().await;
        assert_eq!(numbers(&gateway).await, exact, "after {signal}");
    }
}
