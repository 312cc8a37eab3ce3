//! Limits hold for the tenant they belong to, and for no other: never more than the plan has, and nothing refused while it
//! has some left.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;
use http::{Method, Response, Version};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::support::upstream::{RunningUpstream, full};
use crate::support::{Answer, TestGateway, Upstream, VERSIONS, eventually, tenant, within_one_day};

#[tokio::test]
async fn a_tenant_at_its_limit_leaves_its_neighbour_untouched() {
    let origin = Upstream::replying("hello").start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme").per_second(1)).tenant(tenant("globex")).start().await;
    gateway.get("acme", "/").await.expect(200);
    // A machine that takes longer than a second for two requests has to ask again.
    let refused =
        eventually("acme is at its limit", || async { Some(gateway.get("acme", "/").await).filter(|answer| answer.status != 200) });
    refused.await.expect(429).code("rate_limited");
    gateway.get("globex", "/").await.expect(200);
}

#[tokio::test]
async fn a_burst_is_served_and_then_the_rate() {
    let origin = Upstream::replying("hello").start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme").rate(2, 30)).start().await;
    let mut connection = gateway.connect(Version::HTTP_2, "acme").await;
    let begun = Instant::now();
    let mut served = 0;
    let refused = loop {
        let answer = connection.get("/").await;
        assert_eq!(answer.header("ratelimit-policy"), r#""burst";q=30;w=15"#);
        if answer.status != 200 {
            break answer;
        }
        served += 1;
        let left: u64 = between(answer.header("ratelimit"), "\"burst\";r=", ";").parse().unwrap();
        assert!(left < 30, "{left}");
    };
    let refilled = |begun: Instant| (begun.elapsed().as_secs_f64() * 2.0).ceil() as u64 + 1;
    assert!(served >= 30 && served <= 30 + refilled(begun), "{served} in {:?}", begun.elapsed());
    let refused = refused.expect(429).code("rate_limited");
    assert_eq!(refused.header("retry-after"), "1");
    assert!(refused.header("ratelimit").starts_with(r#""burst";r=0;t="#), "{}", refused.header("ratelimit"));
    assert_eq!(origin.seen().len() as u64, served, "what is refused does not reach the app");
    // It comes back by itself, at the rate and no faster.
    let begun = Instant::now();
    let mut served = 0_u64;
    while served < 4 {
        served += u64::from(connection.get("/").await.status == 200);
        assert!(served <= refilled(begun));
    }
    assert!(begun.elapsed().as_millis() >= 1000, "4 at 2 a second, after none were left: {:?}", begun.elapsed());
}

#[tokio::test]
async fn requests_in_flight_are_capped_and_their_places_come_back() {
    let go = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&go);
    let origin = Upstream::with(move |request| {
        let gate = Arc::clone(&gate);
        async move {
            if request.uri().path() == "/wait" {
                gate.acquire().await.expect("open").forget();
            }
            Response::new(full("done"))
        }
    });
    let origin = origin.start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme").concurrency(2)).tenant(tenant("globex").concurrency(2)).start().await;
    let waiting = |count: usize| {
        let origin = &origin;
        eventually("requests wait in the app", move || async move { (waits(origin) == count).then_some(()) })
    };
    let (one, two) = (gateway.get("acme", "/wait"), gateway.get("acme", "/wait"));
    let full_house = async {
        waiting(2).await;
        for version in VERSIONS {
            let refused = gateway.connect(version, "acme").await.get("/").await.expect(429).code("too_many_concurrent_requests");
            assert_eq!(refused.header("retry-after"), "1");
        }
        gateway.get("globex", "/").await.expect(200);
        go.add_permits(2);
    };
    let (one, two, ()) = tokio::join!(one, two, full_house);
    one.expect(200);
    two.expect(200);
    free_again(&gateway).await;

    // A client that leaves frees its place as well, over both versions.
    for (nth, version) in VERSIONS.into_iter().enumerate() {
        let mut leaving = Vec::new();
        for _ in 0..2 {
            let mut connection = gateway.connect(version, "acme").await;
            leaving.push(tokio::spawn(async move { connection.get("/wait").await }));
        }
        waiting(4 + 2 * nth).await;
        gateway.get("acme", "/").await.expect(429).code("too_many_concurrent_requests");
        for task in leaving {
            task.abort();
            let _ = task.await;
        }
        free_again(&gateway).await;
    }
}

fn waits(origin: &RunningUpstream) -> usize {
    origin.seen().iter().filter(|head| head.uri.path() == "/wait").count()
}

async fn free_again(gateway: &TestGateway) {
    eventually("a place is free again", || async { (gateway.get("acme", "/").await.status == 200).then_some(()) }).await;
}

#[tokio::test]
async fn of_a_days_calls_exactly_as_many_are_served_as_the_plan_has_however_many_race_for_them() {
    within_one_day().await;
    let origin = Upstream::replying("hello").start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme").calls_per_day(301)).tenant(tenant("globex")).start().await;
    let connections = join_all((0..64).map(|nth| gateway.connect(VERSIONS[nth % 2], "acme"))).await;
    let mut clients = tokio::task::JoinSet::new();
    for mut connection in connections {
        clients.spawn(async move {
            let mut answers = Vec::new();
            for _ in 0..12 {
                answers.push(connection.get("/").await);
            }
            answers
        });
    }
    let answers: Vec<Answer> = clients.join_all().await.into_iter().flatten().collect();
    let served = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!((served, answers.len()), (301, 64 * 12));
    assert_eq!(origin.seen().len(), 301, "what is refused does not reach the app");
    let lowest = answers.iter().filter(|answer| answer.status == 200).map(left_today).min();
    assert_eq!(lowest, Some(0), "the last place was told as such");
    for refused in answers.into_iter().filter(|answer| answer.status != 200) {
        check_exceeded(&refused.expect(429), "apiCalls", 301, 301);
    }
    let usage = gateway.usage("acme").await;
    assert_eq!((&usage["apiCalls"], &usage["apiCallsToday"], &usage["rejected"]), (&json!(301), &json!(301), &json!(64 * 12 - 301)));
    gateway.get("globex", "/").await.expect(200);
    assert_eq!(gateway.usage("globex").await["rejected"], 0);
}

/// What is left of the day's calls, as a response tells it.
fn left_today(answer: &Answer) -> u64 {
    between(answer.header("ratelimit"), "\"day\";r=", ";").parse().expect("a number")
}

fn between<'t>(text: &'t str, start: &str, end: &str) -> &'t str {
    let (_, rest) = text.split_once(start).unwrap_or_else(|| panic!("{start} in {text}"));
    rest.split_once(end).map_or(rest, |(found, _)| found)
}

/// The answer to a call beyond a quota tells which, how much and until when.
#[track_caller]
fn check_exceeded(refused: &Answer, resource: &str, limit: u64, used: u64) {
    let document = refused.clone().code("quota_exceeded").json();
    assert_eq!(document["error"], "Usage limits exceeded");
    let violation = &document["violations"][0];
    assert_eq!(
        (&violation["resource"], &violation["limit"], &violation["used"]),
        (&json!(resource), &json!(limit), &json!(used)),
        "{document}"
    );
    let resets = violation["resetsAt"].as_i64().expect("a time");
    assert_eq!(resets % 86_400_000, 0, "at midnight UTC");
    let now =
        i64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis()).expect("a time");
    let longest = if resource == "apiCalls" { 86_400_000 } else { 31 * 86_400_000 };
    assert!(resets > now && resets - now <= longest, "{resets} after {now}");
    let seconds: i64 = refused.header("retry-after").parse().expect("seconds");
    assert!((seconds - (resets - now) / 1000).abs() <= 60 && seconds > 0, "{seconds}");
}

#[tokio::test]
async fn calls_that_no_app_answered_are_given_back_and_serve_later_ones() {
    within_one_day().await;
    let origin = Upstream::replying("hello").start().await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let gateway = TestGateway::to(&origin).set("upstream.response_timeout", "300ms").set("limits.max_body", "1KiB");
    let gateway = gateway.tenant(tenant("acme").calls_per_day(5).with("upstream", nobody)).start().await;
    let mut connection = gateway.connect(Version::HTTP_11, "acme").await;
    for _ in 0..12 {
        let refused = connection.get("/").await.expect(502).code("upstream_unreachable");
        assert_eq!(left_today(&refused), 5, "the place serves a later call");
    }
    let odd = odd_app().await;
    gateway.admin(Method::PATCH, "/admin/tenants/acme", json!({"upstream": odd})).await.expect(200);
    for (path, status, code) in
        [("/close", 502, "upstream_unreachable"), ("/garbage", 502, "upstream_unreachable"), ("/silent", 504, "upstream_timeout")]
    {
        for _ in 0..6 {
            let refused = connection.get(path).await.expect(status).code(code);
            assert!(refused.header("proxy-status").starts_with("gatehouse; error="));
        }
    }
    // Too large, as the length says and as it turns out: neither is billed.
    for length in [Some("2000"), None] {
        for _ in 0..6 {
            let pieces = futures_util::stream::iter((0..20).map(|_| Ok::<_, std::io::Error>(bytes::Bytes::from(vec![b'x'; 100]))));
            let request = gateway.request(Method::POST, "acme", "/good").body(reqwest::Body::wrap_stream(pieces));
            let request = length.into_iter().fold(request, |request, length| request.header("content-length", length));
            crate::support::gateway::send(request).await.expect(413).code("body_too_large");
        }
    }
    assert_eq!(gateway.usage("acme").await["apiCalls"], 0, "what nobody answered is not billed");
    gateway.admin(Method::PATCH, "/admin/tenants/acme", json!({"upstream": null})).await.expect(200);
    for left in (0..5).rev() {
        assert_eq!(left_today(&connection.get("/").await.expect(200)), left);
    }
    check_exceeded(&connection.get("/").await.expect(429), "apiCalls", 5, 5);
    assert_eq!(gateway.usage("acme").await["apiCalls"], 5);
}

/// An app that closes, answers garbage or nothing where the path says so.
async fn odd_app() -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                loop {
                    let mut piece = [0; 4096];
                    match stream.read(&mut piece).await {
                        Ok(0) | Err(_) => return,
                        Ok(read) => head.extend_from_slice(&piece[..read]),
                    }
                    let text = String::from_utf8_lossy(&head).into_owned();
                    if !text.contains("\r\n\r\n") {
                        continue;
                    }
                    match text.split(' ').nth(1) {
                        Some("/close") => return,
                        Some("/garbage") => drop(stream.write_all(b"what is this?\r\n\r\n").await),
                        Some("/silent") => continue,
                        _ if text.starts_with("POST") => continue,
                        _ => drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await),
                    }
                    head.clear();
                }
            });
        }
    });
    url
}

#[tokio::test]
async fn places_that_come_back_while_others_race_for_them_are_all_used_and_none_twice() {
    within_one_day().await;
    let gateway = TestGateway::to_url(&odd_app().await).tenant(tenant("acme").calls_per_day(200)).start().await;
    let connections = join_all((0..32).map(|nth| gateway.connect(VERSIONS[nth % 2], "acme"))).await;
    let mut clients = tokio::task::JoinSet::new();
    for (nth, mut connection) in connections.into_iter().enumerate() {
        clients.spawn(async move {
            let mut served = 0;
            for call in 0..20 {
                let path = if (call + nth) % 2 == 0 { "/close" } else { "/good" };
                let answer = connection.get(path).await;
                served += u64::from(answer.status == 200);
                assert!(matches!((path, answer.status), ("/good", 200) | ("/close", 502) | (_, 429)), "{path} {}", answer.status);
            }
            served
        });
    }
    let mut served: u64 = clients.join_all().await.into_iter().sum();
    assert!(served <= 200, "{served} of 200");
    while gateway.get("acme", "/good").await.status == 200 {
        served += 1;
    }
    assert_eq!(served, 200, "every place served a call in the end");
    check_exceeded(&gateway.get("acme", "/good").await.expect(429), "apiCalls", 200, 200);
    assert_eq!(gateway.usage("acme").await["apiCalls"], 200);
}

#[tokio::test]
async fn a_smaller_plan_holds_at_once_for_what_is_used_already() {
    within_one_day().await;
    let origin = Upstream::replying("hello").start().await;
    let small = "[plans.small]\nprice_monthly = 1\nprice_yearly = 1\nmax_api_calls = 3\nconcurrency = 1";
    let gateway = TestGateway::to(&origin).toml(small).tenant(tenant("acme")).start().await;
    let mut connection = gateway.connect(Version::HTTP_2, "acme").await;
    for _ in 0..7 {
        connection.get("/").await.expect(200);
    }
    gateway.admin(Method::PUT, "/admin/tenants/acme/subscription", json!({"plan": "small"})).await.expect(200);
    check_exceeded(&connection.get("/").await.expect(429), "apiCalls", 3, 7);
    gateway.admin(Method::PUT, "/admin/tenants/acme/subscription", json!({"plan": "of-acme"})).await.expect(200);
    connection.get("/").await.expect(200);
}

#[tokio::test]
async fn a_months_bandwidth_is_refused_beyond_its_end_and_a_response_under_way_is_finished() {
    let origin = Upstream::with(|_| async { Response::new(full(vec![b'x'; 40_000])) }).start().await;
    let mut gateway = TestGateway::to(&origin).tenant(tenant("acme").bytes_per_month(100_000).rate(1, 100)).start().await;
    for served in [40_000, 80_000, 120_000] {
        assert_eq!(gateway.get("acme", "/").await.expect(200).body.len(), 40_000);
        assert_eq!(gateway.usage("acme").await["bandwidth"], served);
    }
    let refused = gateway.get("acme", "/").await.expect(429);
    check_exceeded(&refused, "bandwidth", 100_000, 120_000);
    let left: u64 = between(refused.header("ratelimit"), "\"burst\";r=", ";").parse().unwrap();
    assert!((96..100).contains(&left), "it has taken one of the burst, and says so: {left}");
    gateway.signal("KILL");
    gateway.ended().await;
    gateway.start_again().await;
    check_exceeded(&gateway.get("acme", "/").await.expect(429), "bandwidth", 100_000, 120_000);
    assert_eq!(gateway.usage("acme").await["bandwidth"], 120_000, "a refusal of the gateway's own is not counted");
}

#[tokio::test]
async fn a_plan_with_billed_overage_serves_on_up_to_its_hard_cap() {
    within_one_day().await;
    let origin = Upstream::replying("hello").start().await;
    let billed = |slug| tenant(slug).calls_per_day(3);
    let gateway = TestGateway::to(&origin)
        .tenant(billed("capped").overage("{ api_calls = { price = 0.50, per = 1000, hard_cap = 7 } }"))
        .tenant(billed("open").overage("{ api_calls = { price = 0.50, per = 1000 } }"));
    let gateway = gateway.start().await;
    for _ in 0..7 {
        gateway.get("capped", "/").await.expect(200);
    }
    check_exceeded(&gateway.get("capped", "/").await.expect(429), "apiCalls", 7, 7);
    for _ in 0..20 {
        gateway.get("open", "/").await.expect(200);
    }
    assert_eq!(gateway.usage("open").await["apiCalls"], 20);
    let limits = gateway.admin(Method::GET, "/admin/tenants/capped", Value::Null).await.json()["limits"].clone();
    assert_eq!(limits["maxApiCalls"], 3, "what the plan includes");
}

#[tokio::test]
async fn a_days_quota_goes_on_where_it_was_after_a_stop_and_after_a_kill() {
    within_one_day().await;
    let origin = Upstream::replying("hello").start().await;
    let mut gateway = TestGateway::to(&origin).tenant(tenant("acme").calls_per_day(12)).start().await;
    let mut left = 12;
    for signal in ["TERM", "KILL", "KILL", "TERM"] {
        for _ in 0..3 {
            left -= 1;
            assert_eq!(left_today(&gateway.get("acme", "/").await.expect(200)), left);
        }
        gateway.signal(signal);
        gateway.ended().await;
        gateway.start_again().await;
    }
    check_exceeded(&gateway.get("acme", "/").await.expect(429), "apiCalls", 12, 12);
    assert_eq!(gateway.usage("acme").await["apiCallsToday"], 12);
    // A larger plan opens it again at once.
    gateway.admin(Method::PUT, "/admin/tenants/acme/subscription", json!({"plan": "free"})).await.expect(200);
    assert_eq!(left_today(&gateway.get("acme", "/").await.expect(200)), 1000 - 13);
}
