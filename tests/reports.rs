//! What an app or an operator reports is taken once, is seen at once, and survives the process.

use std::sync::Arc;

use http::{Method, Request, Response};
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::support::upstream::{RunningUpstream, TestBody, full};
use crate::support::{Answer, TestGateway, Upstream, VERSIONS, eventually, tenant, within_one_day};

/// Answers with the fields that the query names: `/?x-usage-storage=%2B5`.
async fn reporting() -> RunningUpstream {
    let answer = |request: Request<Incoming>| {
        let pairs: Vec<(String, String)> =
            url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()).into_owned().collect();
        let fields = pairs.iter().filter(|(name, _)| name != "status");
        let mut response = fields.fold(Response::builder(), |response, (name, value)| response.header(name, value));
        if let Some((_, status)) = pairs.iter().find(|(name, _)| name == "status") {
            response = response.status(status.parse::<u16>().unwrap());
        }
        response.body(full("done")).unwrap()
    };
    Upstream::with(move |request| std::future::ready::<Response<TestBody>>(answer(request))).start().await
}

async fn report(gateway: &TestGateway, body: Value) -> Answer {
    gateway.admin(Method::POST, "/admin/tenants/acme/usage", body).await
}

fn numbers(usage: &Value) -> [u64; 4] {
    ["storage", "users", "projects", "activeUsers"].map(|member| usage[member].as_u64().unwrap())
}

#[tokio::test]
async fn what_the_app_reports_counts_and_never_reaches_the_client() {
    let origin = reporting().await;
    let mut gateway = TestGateway::to(&origin).tenant(tenant("acme")).tenant(tenant("globex")).start().await;
    let key = gateway.key("acme", json!({})).await;
    for (nth, version) in VERSIONS.into_iter().enumerate() {
        let mut connection = gateway.connect(version, "acme").await;
        let steps = [
            ("x-usage-storage=%2B1000&x-usage-user=ann&x-usage-users=%2B1&x-usage-projects=%2B2", [1000, 1, 2, 1]),
            ("x-usage-storage=-300&x-usage-user=bob&x-usage-user=ann", [700, 1, 2, 2]),
            ("x-usage-storage=5&status=500&x-usage-user=cleo", [705, 1, 2, 3]),
            ("x-usage-storage=-9999&x-usage-projects=-1", [0, 1, 1, 3]),
            ("x-usage-storage=%2B1.5&x-usage-users=many&x-usage-user=", [0, 1, 1, 3]),
        ];
        for (query, wanted) in steps {
            let answer = connection.get(&format!("/?{query}")).await;
            let names = answer.headers.keys().filter(|name| name.as_str().starts_with("x-usage"));
            assert_eq!(names.count(), 0, "{query}");
            assert_eq!(answer.text(), "done");
            let wanted = [wanted[0], wanted[1] + nth as u64, wanted[2] + nth as u64, wanted[3].max(3 * nth as u64)];
            assert_eq!(numbers(&gateway.usage("acme").await), wanted, "{version:?} {query}");
            let own = connection.get_with("/api/usage", ("x-api-key", &key)).await.expect(200).json();
            assert_eq!(numbers(&own["usage"]), wanted, "{query}");
        }
        // A client's own fields mean nothing.
        connection.get_with("/", ("x-usage-storage", "+77")).await.expect(200);
    }
    assert_eq!(numbers(&gateway.usage("globex").await), [0; 4]);
    eventually("what cannot be read is told", || async {
        gateway.log().iter().any(|line| line.contains("a report of the app cannot be read")).then_some(())
    })
    .await;
    let before = numbers(&gateway.usage("acme").await);
    for signal in ["KILL", "TERM", "KILL"] {
        gateway.signal(signal);
        gateway.ended().await;
        gateway.start_again().await;
        assert_eq!(numbers(&gateway.usage("acme").await), before, "after {signal}");
    }
    // Users of the month are still known.
    gateway.get("acme", "/?x-usage-user=ann").await;
    gateway.get("acme", "/?x-usage-user=dora").await;
    assert_eq!(gateway.usage("acme").await["activeUsers"], 4);
}

#[tokio::test]
async fn a_report_that_a_client_saw_confirmed_survives_a_kill_at_any_moment() {
    within_one_day().await;
    let origin = reporting().await;
    let mut gateway = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    let mut least = 0;
    for round in 0_u64..4 {
        let mut clients = tokio::task::JoinSet::new();
        for nth in 0..6 {
            let mut connection = gateway.connect(VERSIONS[nth % 2], "acme").await;
            clients.spawn(async move {
                let (mut confirmed, mut begun) = (0, 0);
                loop {
                    begun += 1;
                    match connection.send(Method::GET, "/?x-usage-storage=%2B7", &[], "").await {
                        Ok(answer) if answer.status == 200 => confirmed += 1,
                        _ => return (confirmed, begun),
                    }
                }
            });
        }
        let served = (round * 150 + 40) as usize;
        eventually("some load", || async { (origin.seen().len() > served).then_some(()) }).await;
        gateway.signal("KILL");
        gateway.ended().await;
        let counts = clients.join_all().await;
        let confirmed: u64 = counts.iter().map(|(confirmed, _)| confirmed).sum();
        let most: u64 = counts.iter().map(|(_, begun)| begun).sum();
        gateway.start_again().await;
        let storage = gateway.usage("acme").await["storage"].as_u64().unwrap();
        let (low, high) = (least + confirmed * 7, least + most * 7);
        assert!(storage.is_multiple_of(7) && storage >= low && storage <= high, "round {round}: {storage} of {low} to {high}");
        least = storage;
    }
}

#[tokio::test]
async fn an_idempotency_key_is_taken_once_whatever_happens() {
    let origin = Upstream::replying("hello").start().await;
    let mut gateway = TestGateway::to(&origin).tenant(tenant("acme")).tenant(tenant("globex")).start().await;
    let body = json!({"meter": "storage", "delta": 1_048_576, "idempotencyKey": "upload-1"});
    let first = report(&gateway, body.clone()).await.expect(200).json();
    assert_eq!((&first["meter"], &first["value"], &first["idempotencyKey"]), (&json!("storage"), &json!(1_048_576), &json!("upload-1")));
    for signal in [None, Some("KILL"), Some("TERM")] {
        if let Some(signal) = signal {
            gateway.signal(signal);
            gateway.ended().await;
            gateway.start_again().await;
        }
        assert_eq!(report(&gateway, body.clone()).await.expect(200).json(), first, "the same answer");
        assert_eq!(gateway.usage("acme").await["storage"], 1_048_576);
        for other in [json!({"delta": 1}), json!({"delta": null, "value": 1_048_576}), json!({"meter": "users"})] {
            let mut changed = body.clone();
            changed.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
            report(&gateway, changed).await.expect(422).code("idempotency_key_reused");
        }
    }
    // Keys are a tenant's own, and the header field is one as well.
    gateway.admin(Method::POST, "/admin/tenants/globex/usage", body.clone()).await.expect(200);
    for _ in 0..2 {
        let body = json!({"meter": "storage", "delta": -1_000_000});
        gateway.admin_with(Method::POST, "/admin/tenants/acme/usage", body, &[("idempotency-key", "k")]).await.expect(200);
    }
    assert_eq!(gateway.usage("acme").await["storage"], 48_576);
    assert_eq!(gateway.usage("globex").await["storage"], 1_048_576);
}

#[tokio::test]
async fn many_requests_with_the_same_key_at_once_count_once() {
    let origin = Upstream::replying("hello").start().await;
    let gateway = Arc::new(TestGateway::to(&origin).tenant(tenant("acme")).start().await);
    let mut asking = tokio::task::JoinSet::new();
    for nth in 0..40 {
        let gateway = Arc::clone(&gateway);
        asking.spawn(async move {
            let body = json!({"meter": "projects", "delta": 1, "idempotencyKey": format!("key-{}", nth % 8)});
            report(&gateway, body).await.expect(200).json()["value"].as_u64().unwrap()
        });
    }
    let mut values = asking.join_all().await;
    values.sort_unstable();
    values.dedup();
    assert_eq!(values, (1..=8).collect::<Vec<_>>(), "each key once, and the same answer to all of it");
    assert_eq!(gateway.usage("acme").await["projects"], 8);
}

#[tokio::test]
async fn reports_over_the_api_move_and_set_gauges_and_are_checked() {
    let origin = Upstream::replying("hello").start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    for (body, value) in [
        (json!({"meter": "users", "value": 7}), json!(7)),
        (json!({"meter": "users", "delta": -2}), json!(5)),
        (json!({"meter": "users", "delta": -20}), json!(0)),
        (json!({"meter": "projects", "delta": 3}), json!(3)),
        (json!({"meter": "storage", "value": 0}), json!(0)),
        (json!({"meter": "activeUser", "value": "user_1"}), json!("user_1")),
        (json!({"meter": "activeUser", "value": "user_1", "idempotencyKey": "again"}), json!("user_1")),
    ] {
        assert_eq!(report(&gateway, body).await.expect(200).json()["value"], value);
    }
    assert_eq!(numbers(&gateway.usage("acme").await), [0, 0, 3, 1]);
    for (body, pointer) in [
        (json!({"meter": "calls", "delta": 1}), "/meter"),
        (json!({"meter": "users"}), "/delta"),
        (json!({"meter": "users", "delta": 1, "value": 1}), "/value"),
        (json!({"meter": "users", "value": -1}), "/value"),
        (json!({"meter": "users", "value": "7"}), "/value"),
        (json!({"meter": "users", "delta": 1.5}), "/delta"),
        (json!({"meter": "activeUser", "delta": 1}), "/delta"),
        (json!({"meter": "activeUser", "value": ""}), "/value"),
        (json!({"meter": "users", "delta": 1, "idempotencyKey": ""}), "/idempotencyKey"),
        (json!({"meter": "users", "dleta": 1}), "/dleta"),
    ] {
        let answer = report(&gateway, body.clone()).await.expect(422).json();
        assert_eq!(answer["errors"][0]["pointer"], pointer, "{body}: {answer}");
    }
    gateway.admin(Method::POST, "/admin/tenants/nobody/usage", json!({"meter": "users", "delta": 1})).await.expect(404);
    assert_eq!(numbers(&gateway.usage("acme").await), [0, 0, 3, 1]);
}

#[tokio::test]
async fn a_flood_of_reports_is_all_there_after_an_orderly_end() {
    within_one_day().await;
    const CALLS: usize = 600;
    const USERS: usize = 100;
    let origin = Upstream::with(|request: Request<Incoming>| async move {
        let call = request.uri().path().trim_start_matches('/').to_owned();
        let users = (0..USERS).map(|user| format!("{call}-{user}"));
        users.fold(Response::builder(), |response, user| response.header("x-usage-user", user)).body(full("")).unwrap()
    });
    let origin = origin.start().await;
    let mut gateway = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    let mut clients = tokio::task::JoinSet::new();
    for nth in 0..6 {
        let mut connection = gateway.connect(VERSIONS[nth % 2], "acme").await;
        clients.spawn(async move {
            let mut served = 0_u64;
            for call in (nth..CALLS).step_by(6) {
                // Where the log of reports is full a call waits rather than go unreported.
                while connection.get(&format!("/{call}")).await.status == 503 {}
                served += 1;
            }
            served
        });
    }
    assert_eq!(clients.join_all().await.into_iter().sum::<u64>(), CALLS as u64);
    assert_eq!(gateway.usage("acme").await["activeUsers"], CALLS * USERS);
    assert!(gateway.stop().await.success());
    gateway.start_again().await;
    assert_eq!(gateway.usage("acme").await["activeUsers"], CALLS * USERS);
}

#[tokio::test]
async fn a_key_that_cannot_be_read_is_refused_and_not_left_out() {
    let origin = Upstream::replying("hello").start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    let body = json!({"meter": "users", "delta": 1});
    let key = [("idempotency-key", "schl\u{fc}ssel")];
    gateway.admin_with(Method::POST, "/admin/tenants/acme/usage", body, &key).await.expect(400).code("bad_request");
    assert_eq!(gateway.usage("acme").await["users"], 0);
}
