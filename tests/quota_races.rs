//! A quota of N is two-sided under a crowd: never more than N, and a call is refused only while N places are taken; through
//! restarts and `kill -9`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{Method, Request, Response, Version};
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::support::upstream::full;
use crate::support::{Connection, TestGateway, Upstream, VERSIONS, eventually, tenant, within_one_day};

const CROWD: usize = 64;

async fn balance(gateway: &TestGateway) -> Value {
    let balance = gateway.admin(Method::GET, "/admin/tenants/acme/usage/verify", Value::Null).await.expect(200).json();
    assert_eq!(balance["closes"], true, "{balance}");
    balance
}

/// Asks until it is refused or cut off: calls answered, and whether it was refused.
async fn until_refused(mut connection: Connection) -> (u64, bool) {
    let mut served = 0;
    loop {
        match connection.send(Method::GET, "/", &[], "").await {
            Ok(answer) if answer.status == 200 => served += 1,
            Ok(answer) => {
                answer.expect(429).code("quota_exceeded");
                return (served, true);
            }
            Err(_) => return (served, false),
        }
    }
}

#[tokio::test]
async fn sixty_four_connections_get_exactly_all_places_though_the_process_is_killed_among_them() {
    within_one_day().await;
    const PLACES: u64 = 3_000;
    let origin = Upstream::replying("hello").start().await;
    let mut gateway = TestGateway::to(&origin).tenant(tenant("acme").calls_per_day(PLACES)).start().await;
    let mut received = 0;
    for (round, signal) in [Some("KILL"), Some("TERM"), Some("KILL"), None].into_iter().enumerate() {
        let mut crowd = tokio::task::JoinSet::new();
        for nth in 0..CROWD {
            crowd.spawn(until_refused(gateway.connect(VERSIONS[nth % 2], "acme").await));
        }
        if let Some(signal) = signal {
            let enough = 400 * (round + 1);
            eventually("some load", || async { (origin.seen().len() >= enough).then_some(()) }).await;
            gateway.signal(signal);
            gateway.ended().await;
            gateway.start_again().await;
        }
        let ends = crowd.join_all().await;
        received += ends.iter().map(|(served, _)| served).sum::<u64>();
        if signal.is_none() {
            assert!(ends.iter().all(|(_, refused)| *refused));
        }
        let balance = balance(&gateway).await;
        let taken = balance["admitted"].as_u64().unwrap() - balance["givenBack"].as_u64().unwrap();
        assert!(taken <= PLACES && balance["metered"].as_u64().unwrap() >= received, "{received} received: {balance}");
    }
    let balance = balance(&gateway).await;
    let number = |member: &str| balance[member].as_u64().unwrap();
    assert_eq!(number("metered") + number("aborted"), PLACES, "every place was used before anyone was refused: {balance}");
    // Each kill may leave one call of each connection without its answer.
    assert!(received <= number("metered") && number("metered") + number("aborted") - received <= 3 * CROWD as u64, "{received}: {balance}");
    gateway.get("acme", "/").await.expect(429);
    assert_eq!(gateway.usage("acme").await["apiCalls"], number("metered"));
}

#[tokio::test]
async fn places_of_calls_that_could_not_be_delivered_serve_later_ones() {
    within_one_day().await;
    let broken = Arc::new(AtomicBool::new(true));
    let is_broken = Arc::clone(&broken);
    let origin = Upstream::with(move |_: Request<Incoming>| {
        let is_broken = is_broken.load(Ordering::SeqCst);
        async move {
            if is_broken {
                // The connection breaks without an answer, as the gateway sees it.
                std::future::pending::<()>().await;
            }
            Response::new(full("hello"))
        }
    });
    let origin = origin.start().await;
    let acme = tenant("acme").calls_per_day(50);
    let gateway = TestGateway::to(&origin).set("upstream.response_timeout", "300ms").tenant(acme).start().await;
    let mut crowd = tokio::task::JoinSet::new();
    for nth in 0..CROWD {
        let mut connection = gateway.connect(VERSIONS[nth % 2], "acme").await;
        crowd.spawn(async move { connection.send(Method::GET, "/", &[], "").await.unwrap().status });
    }
    let statuses = crowd.join_all().await;
    let timed_out = statuses.iter().filter(|status| **status == 504).count();
    assert!(timed_out >= 50 && statuses.iter().all(|status| matches!(status, 429 | 504)), "{statuses:?}");
    broken.store(false, Ordering::SeqCst);
    let mut connection = gateway.connect(Version::HTTP_2, "acme").await;
    for _ in 0..50 {
        connection.get("/").await.expect(200);
    }
    connection.get("/").await.expect(429);
    let balance = balance(&gateway).await;
    let wanted = json!([50 + timed_out, 50, timed_out, 0]);
    assert_eq!(json!([balance["admitted"], balance["metered"], balance["givenBack"], balance["aborted"]]), wanted);
}
