//! Windows are UTC days and months, exact at midnight; a clock that steps loses no usage and gives no spent window back.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::sync::{Mutex, Semaphore, mpsc};

use crate::support::upstream::{full, pieces};
use crate::support::{FakeTime, RawUpstream, TestGateway, Upstream, VERSIONS, eventually, tenant};

/// Calls and octets of each day of a month.
async fn days(gateway: &TestGateway, month: &str) -> Vec<(String, u64, u64)> {
    let path = format!("/admin/tenants/acme/usage/daily?period={month}");
    let page = gateway.admin(Method::GET, &path, Value::Null).await.expect(200).json();
    let number = |day: &Value, member: &str| day[member].as_u64().unwrap();
    let day = |day: &Value| (day["date"].as_str().unwrap().to_owned(), number(day, "apiCalls"), number(day, "bandwidth"));
    let mut days: Vec<_> = page["data"].as_array().unwrap().iter().map(day).collect();
    days.retain(|(_, calls, octets)| *calls + *octets > 0);
    days
}

async fn closes(gateway: &TestGateway) -> bool {
    gateway.admin(Method::GET, "/admin/usage/verify", Value::Null).await.expect(200).json()["closes"] == true
}

fn day(date: &str, calls: u64, octets: u64) -> (String, u64, u64) {
    (date.to_owned(), calls, octets)
}

#[tokio::test]
async fn a_call_belongs_to_the_day_of_its_admission_and_octets_to_the_day_they_are_sent_on() {
    for version in VERSIONS {
        let gate = Arc::new(Semaphore::new(0));
        let (sender, receiver) = mpsc::channel(1);
        let (waiting, receiver) = (Arc::clone(&gate), Arc::new(Mutex::new(Some(receiver))));
        let origin = Upstream::with(move |request: Request<Incoming>| {
            let (gate, receiver) = (Arc::clone(&waiting), Arc::clone(&receiver));
            async move {
                if request.uri().path() != "/slow" {
                    return Response::new(full("12345"));
                }
                gate.acquire().await.unwrap().forget();
                Response::new(pieces(receiver.lock().await.take().expect("one slow call")))
            }
        });
        let origin = origin.start().await;
        let clock = FakeTime::at("2026-11-30T23:58:00Z");
        let gateway = clock.of(TestGateway::to(&origin).plaintext().tenant(tenant("acme").calls_per_day(1))).start().await;
        let mut connection = gateway.connect(version, "acme").await;
        let call = tokio::spawn(async move { connection.send(Method::GET, "/slow", &[], "").await });
        eventually("the app has it", || async { (origin.seen().len() == 1).then_some(()) }).await;
        gateway.get("acme", "/").await.expect(429).code("quota_exceeded");

        clock.set("2026-12-01T00:00:10Z");
        gateway.get("acme", "/").await.expect(200);
        gate.add_permits(1);
        sender.send(Bytes::from_static(b"0123456789")).await.unwrap();
        eventually("its octets have passed", || async { (days(&gateway, "2026-12").await == [day("2026-12-01", 1, 15)]).then_some(()) })
            .await;
        assert_eq!(days(&gateway, "2026-11").await, [day("2026-11-30", 1, 0)], "its day is that of its admission");
        gateway.get("acme", "/").await.expect(429);

        clock.set("2026-12-02T00:00:10Z");
        sender.send(Bytes::from_static(b"abc")).await.unwrap();
        drop(sender);
        assert_eq!(call.await.unwrap().unwrap().expect(200).text(), "0123456789abc");
        gateway.get("acme", "/").await.expect(200);
        assert_eq!(days(&gateway, "2026-12").await, [day("2026-12-01", 1, 15), day("2026-12-02", 1, 8)]);
        assert!(closes(&gateway).await);
    }
}

/// The names of the journal's files of slots.
fn segments(gateway: &TestGateway) -> Vec<String> {
    let entries = std::fs::read_dir(gateway.dir.path().join("journal")).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name.ends_with(".usage"));
    names.sort();
    names
}

#[tokio::test]
async fn a_websocket_of_a_week_books_each_day_and_holds_no_file_of_its_first() {
    const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    let origin = RawUpstream::listen().await;
    let clock = FakeTime::at("2026-12-03T12:00:00Z");
    let gateway = clock.of(TestGateway::to_url(&origin.url()).plaintext().tenant(tenant("acme"))).start().await;
    let mut client = gateway.raw("acme").await;
    let ask = "GET /live HTTP/1.1\r\nhost: acme.example.localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
               sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    client.send(ask).await;
    let (mut app, _) = origin.head().await;
    app.send(SWITCH).await;
    client.head().await;
    let first = segments(&gateway)[0].clone();
    for date in 3..=10 {
        clock.set(&format!("2026-12-{date:02}T12:00:00Z"));
        // Some days nothing is said.
        if date % 3 != 0 {
            continue;
        }
        // Days come one after the other in real life; here the upkeep of the journal needs a moment between them.
        eventually("there are files ahead", || async {
            let ready = gateway.admin(Method::GET, "/readyz?verbose", Value::Null).await.expect(200).json();
            (ready["journal"]["unusedSegments"].as_u64().unwrap() >= 2).then_some(())
        })
        .await;
        client.send("ping").await;
        assert_eq!(app.take(4).await, b"ping");
        eventually("it is booked", || async {
            days(&gateway, "2026-12").await.iter().any(|(of, _, octets)| *of == format!("2026-12-{date:02}") && *octets == 4).then_some(())
        })
        .await;
    }
    assert_eq!(days(&gateway, "2026-12").await, [day("2026-12-03", 1, 4), day("2026-12-06", 0, 4), day("2026-12-09", 0, 4)]);
    eventually("the first day's file is gone", || async { (!segments(&gateway).contains(&first)).then_some(()) }).await;
    assert!(segments(&gateway).len() <= 5, "{:?}", segments(&gateway));
    assert!(closes(&gateway).await);
    assert_eq!(days(&gateway, "2026-12").await.len(), 3, "the store has what the files had");
}

#[tokio::test]
async fn a_clock_that_steps_gives_no_spent_window_back_and_loses_no_usage() {
    let origin = Upstream::replying("12345").start().await;
    let clock = FakeTime::at("2026-11-29T12:00:00Z");
    let mut gateway = clock.of(TestGateway::to(&origin).plaintext().tenant(tenant("acme").calls_per_day(2))).start().await;
    let spend = async |gateway: &TestGateway| {
        for _ in 0..2 {
            gateway.get("acme", "/").await.expect(200);
        }
        gateway.get("acme", "/").await.expect(429);
    };
    spend(&gateway).await;
    // A clock that is wrong by days, into the next month, and then put right.
    clock.set("2026-12-02T12:00:00Z");
    spend(&gateway).await;
    clock.set("2026-11-29T12:05:00Z");
    gateway.get("acme", "/").await.expect(429);
    for signal in ["KILL", "TERM"] {
        gateway.signal(signal);
        gateway.ended().await;
        gateway.start_again().await;
        gateway.get("acme", "/").await.expect(429);
    }
    clock.set("2026-11-30T00:00:05Z");
    spend(&gateway).await;
    clock.set("2026-12-02T00:00:05Z");
    gateway.get("acme", "/").await.expect(429);
    clock.set("2026-12-03T00:00:05Z");
    spend(&gateway).await;
    assert_eq!(days(&gateway, "2026-11").await, [day("2026-11-29", 2, 10), day("2026-11-30", 2, 10)]);
    assert_eq!(days(&gateway, "2026-12").await, [day("2026-12-02", 2, 10), day("2026-12-03", 2, 10)]);
    assert!(closes(&gateway).await);
}

#[tokio::test]
async fn gauges_stay_over_a_month_s_end_and_active_users_begin_anew() {
    let origin = Upstream::with(|request: Request<Incoming>| async move {
        let user = request.uri().path().trim_start_matches('/').to_owned();
        Response::builder().header("x-usage-user", user).header("x-usage-storage", "+10").body(full("")).unwrap()
    });
    let origin = origin.start().await;
    let clock = FakeTime::at("2026-11-30T23:58:00Z");
    let mut gateway = clock.of(TestGateway::to(&origin).plaintext().tenant(tenant("acme"))).start().await;
    let call = async |gateway: &TestGateway, users: &[&str]| {
        for user in users {
            gateway.get("acme", &format!("/{user}")).await.expect(200);
        }
    };
    let of = async |gateway: &TestGateway, month: &str| {
        let path = format!("/admin/tenants/acme/usage?period={month}");
        let usage = gateway.admin(Method::GET, &path, Value::Null).await.expect(200).json();
        ["storage", "peakStorage", "activeUsers"].map(|member| usage[member].as_u64().unwrap())
    };
    call(&gateway, &["ann", "bob", "ann"]).await;
    clock.set("2026-12-01T00:00:05Z");
    assert_eq!(of(&gateway, "2026-12").await, [30, 30, 0]);
    call(&gateway, &["ann", "cleo"]).await;
    gateway.admin(Method::POST, "/admin/tenants/acme/usage", json!({"meter": "storage", "value": 5})).await.expect(200);
    for signal in [None, Some("KILL"), Some("TERM")] {
        if let Some(signal) = signal {
            gateway.signal(signal);
            gateway.ended().await;
            gateway.start_again().await;
        }
        assert_eq!(of(&gateway, "2026-11").await, [30, 30, 2], "as it was at its end");
        assert_eq!(of(&gateway, "2026-12").await, [5, 50, 2]);
        assert_eq!(of(&gateway, "2026-10").await, [0, 0, 0]);
    }
}

#[tokio::test]
async fn after_a_clock_that_was_ahead_everyone_counts_on_the_same_day_and_no_user_twice() {
    let origin = Upstream::with(|request: Request<Incoming>| async move {
        let user = request.uri().path().trim_start_matches('/').to_owned();
        let response = Response::builder().header("x-usage-users", if user == "ann" { "+1" } else { "+0" });
        response.header("x-usage-user", user).body(full("")).unwrap()
    });
    let origin = origin.start().await;
    let clock = FakeTime::at("2026-11-20T12:00:00Z");
    let builder = TestGateway::to(&origin).plaintext().tenant(tenant("acme")).tenant(tenant("globex"));
    let mut gateway = clock.of(builder).start().await;
    gateway.get("acme", "/ann").await.expect(200);
    clock.set("2026-12-02T12:00:00Z");
    for user in ["ann", "bob", "cleo"] {
        gateway.get("acme", &format!("/{user}")).await.expect(200);
    }
    let folded = async |gateway: &TestGateway| {
        let ready = gateway.admin(Method::GET, "/readyz?verbose", Value::Null).await.expect(200).json();
        ready["journal"]["lastSuccess"].as_i64().unwrap()
    };
    // The upkeep has seen December, and lets the old day go.
    eventually("the day is known", || async { (folded(&gateway).await > 1_796_200_000_000).then_some(()) }).await;
    eventually("twice", || async { (segments(&gateway).len() >= 3).then_some(()) }).await;
    clock.set("2026-11-20T12:05:00Z");
    for slug in ["acme", "globex"] {
        gateway.get(slug, "/dora").await.expect(200);
    }
    let active = async |gateway: &TestGateway, month: &str| {
        let path = format!("/admin/tenants/acme/usage?period={month}");
        gateway.admin(Method::GET, &path, Value::Null).await.expect(200).json()["activeUsers"].clone()
    };
    eventually("November is folded", || async { (active(&gateway, "2026-11").await == 1).then_some(()) }).await;
    assert_eq!(active(&gateway, "2026-12").await, 4);
    gateway.signal("KILL");
    gateway.ended().await;
    gateway.start_again().await;
    for user in ["ann", "bob", "cleo", "dora"] {
        gateway.get("acme", &format!("/{user}")).await.expect(200);
    }
    clock.set("2026-12-03T12:00:00Z");
    gateway.get("acme", "/ann").await.expect(200);
    for _ in 0..2 {
        assert_eq!((active(&gateway, "2026-11").await, active(&gateway, "2026-12").await), (json!(1), json!(4)));
        assert!(gateway.stop().await.success());
        gateway.start_again().await;
    }
}
