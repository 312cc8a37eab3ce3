//! What goes wrong: DNS that would fail an order never leads to one, and an authority that fails is tried again.

use reqwest::Method;
use serde_json::{Value, json};

use super::{DOMAIN, Scene, now, orders};
use crate::support::acme::Habits;
use crate::support::eventually;

const ELSEWHERE: &str = "127.0.0.9";

#[tokio::test]
async fn wrong_dns_has_its_own_reason_each_and_never_leads_to_an_order() {
    let scene = Scene::with(Habits::default(), &[("domains.addresses", &format!("127.0.0.1,{ELSEWHERE}"))]).await;
    let dns = &scene.acme.dns;
    let claimed = scene.claim("acme", DOMAIN).await;
    let (proof_name, proof) = (claimed["records"][0]["name"].as_str().unwrap(), claimed["records"][0]["value"].as_str().unwrap());
    let found = async |reason: &str, status: &str, mentions: &str| {
        let seen = scene.verify("acme", DOMAIN).await;
        assert_eq!((&seen["reason"], &seen["status"]), (&json!(reason), &json!(status)), "{seen}");
        assert!(seen["detail"].as_str().unwrap().contains(mentions), "{seen}");
        assert!(!seen["nextStep"].as_str().unwrap().is_empty() && seen["retryAt"].is_i64(), "{seen}");
        seen
    };
    found("ownership_missing", "in_progress", proof_name).await;
    dns.text(proof_name, "gatehouse-verification=of-somebody-else").await;
    found("ownership_mismatch", "stuck", "of-somebody-else").await;
    dns.text(proof_name, proof).await;
    let proved = found("address_missing", "in_progress", DOMAIN).await;
    assert_eq!((&proved["verified"], &proved["hostname"]["state"]), (&json!(true), &json!("pending_routing")));
    dns.address(DOMAIN, &["127.0.0.1", "203.0.113.9"]).await;
    found("address_elsewhere", "stuck", "203.0.113.9").await;
    dns.address(DOMAIN, &["127.0.0.1"]).await;
    dns.caa("acme.test", "another.example").await;
    found("caa_forbids", "stuck", "another.example").await;
    dns.no_caa("acme.test").await;
    dns.caa(DOMAIN, ";").await;
    found("caa_forbids", "stuck", "no certificate authority").await;
    dns.no_caa(DOMAIN).await;
    // An address that is said to be ours, and where another answers.
    dns.address(DOMAIN, &[ELSEWHERE]).await;
    found("challenge_unreachable", "stuck", ELSEWHERE).await;
    let other = tokio::net::TcpListener::bind((ELSEWHERE, scene.gateway.http.port())).await.unwrap();
    let answers = tokio::spawn(async move {
        while let Ok((mut stream, _)) = other.accept().await {
            // Once it has read the request: a socket that is closed with something unread in it is reset.
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 4096]).await;
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await;
        }
    });
    found("challenge_intercepted", "stuck", "404").await;
    answers.abort();
    // Nobody knows, so nothing has failed, and what was found before is not forgotten.
    let before = scene.read("acme", DOMAIN).await;
    dns.fails(proof_name, true).await;
    let unknown = found("dns_unavailable", "in_progress", proof_name).await;
    assert_eq!((&unknown["hostname"]["checkedAt"], &unknown["verified"]), (&before["hostname"]["checkedAt"], &json!(true)));
    dns.fails(proof_name, false).await;
    assert_eq!(orders(&scene), 0);
    assert!(scene.acme.front.seen().iter().all(|seen| seen.method == "GET"), "the authority was asked for nothing but what it is");

    // Of two addresses, one where nobody answers is passed over, as authorities do.
    dns.address(DOMAIN, &["127.0.0.1", ELSEWHERE]).await;
    dns.caa(DOMAIN, "pebble.test").await;
    scene.verify("acme", DOMAIN).await;
    scene.served("acme", DOMAIN).await;
    assert_eq!(scene.reaches(&scene.acme.root().await, DOMAIN).await, "acme");
}

#[tokio::test]
async fn an_authority_that_is_down_fails_nobody_and_is_asked_again() {
    let mut scene = Scene::new(Habits::default()).await;
    scene.acme.stop();
    let claimed = scene.claim("acme", DOMAIN).await;
    scene.acme.dns.obey(&claimed).await;
    scene.verify("acme", DOMAIN).await;
    let seen = scene.until("acme", DOMAIN, |seen| seen["reason"] == "authority_unavailable").await;
    assert_eq!((&seen["status"], &seen["hostname"]["state"], &seen["verified"]), (&json!("in_progress"), &json!("active"), &json!(true)));
    let Scene { acme, gateway, .. } = &mut scene;
    acme.start(gateway, Habits::default()).await;
    scene.verify("acme", DOMAIN).await;
    scene.served("acme", DOMAIN).await;
}

#[tokio::test]
async fn an_authority_that_has_forgotten_the_account_gets_a_new_one() {
    let mut scene = Scene::new(Habits::default()).await;
    scene.serve("acme", DOMAIN).await;
    scene.acme.stop();
    let Scene { acme, gateway, .. } = &mut scene;
    acme.start(gateway, Habits::default()).await;
    let claimed = scene.claim("globex", "globex.test").await;
    scene.acme.dns.obey(&claimed).await;
    eventually("the other domain is served", || async {
        let seen = scene.verify("globex", "globex.test").await;
        (seen["status"] == "serving").then_some(())
    })
    .await;
    assert_eq!(scene.reaches(&scene.acme.root().await, "globex.test").await, "globex");
}

#[tokio::test]
async fn rejected_nonces_are_lived_with() {
    let scene = Scene::new(Habits { rejects_nonces: 30, ..Habits::default() }).await;
    let claimed = scene.claim("acme", DOMAIN).await;
    scene.acme.dns.obey(&claimed).await;
    eventually("the domain is served", || async {
        let seen = scene.verify("acme", DOMAIN).await;
        (seen["status"] == "serving").then_some(())
    })
    .await;
    assert_eq!(scene.reaches(&scene.acme.root().await, DOMAIN).await, "acme");
}

#[tokio::test]
async fn a_refused_order_waits_longer_each_time_and_a_limited_one_an_hour() {
    let scene = Scene::new(Habits::default()).await;
    scene.acme.front.refuse_orders(Some((403, "rejectedIdentifier")));
    let claimed = scene.claim("acme", DOMAIN).await;
    scene.acme.dns.obey(&claimed).await;
    let wait = async |at_least: i64, at_most: i64, reason: &str, status: &str| {
        let before = orders(&scene);
        let begun = now();
        scene.verify("acme", DOMAIN).await;
        let seen = scene
            .until("acme", DOMAIN, |seen| {
                orders(&scene) > before && seen["reason"] == reason && seen["retryAt"].as_i64() > Some(begun + 30_000)
            })
            .await;
        assert_eq!(seen["status"], status);
        let wait = (seen["retryAt"].as_i64().unwrap() - now()) / 1000;
        assert!((at_least..=at_most).contains(&wait), "{wait} s: {seen}");
        seen
    };
    let seen = wait(40, 75, "authority_refuses", "stuck").await;
    assert!(seen["detail"].as_str().unwrap().contains("by order of the test"), "{seen}");
    wait(85, 150, "authority_refuses", "stuck").await;
    wait(175, 300, "authority_refuses", "stuck").await;
    scene.acme.front.refuse_orders(Some((429, "rateLimited")));
    wait(2_600, 4_500, "authority_limits", "in_progress").await;
    let placed = orders(&scene);
    scene.acme.front.refuse_orders(None);
    scene.verify("acme", DOMAIN).await;
    scene.served("acme", DOMAIN).await;
    assert_eq!(orders(&scene), placed + 1);
}

#[tokio::test]
async fn a_tenant_with_many_names_holds_up_nobody_who_has_one() {
    let scene = Scene::with(Habits::default(), &[("tls.acme.orders_at_once", "1")]).await;
    let names: Vec<String> = (0..12).map(|at| format!("n{at}.acme.test")).collect();
    for name in &names {
        let claimed = scene.claim("acme", name).await;
        scene.acme.dns.obey(&claimed).await;
    }
    for name in &names {
        scene.verify("acme", name).await;
    }
    let claimed = scene.claim("globex", "globex.test").await;
    scene.acme.dns.obey(&claimed).await;
    scene.verify("globex", "globex.test").await;
    scene.served("globex", "globex.test").await;
    let placed: Vec<Value> = scene.acme.front.seen().into_iter().filter(|seen| seen.is_new_order()).map(|seen| seen.payload).collect();
    assert!(placed.len() < 8, "{} orders were placed", placed.len());
    for name in &names {
        scene.served("acme", name).await;
    }
}

#[tokio::test]
async fn an_hours_budget_holds_and_renewals_are_not_held_up_by_it() {
    let scene = Scene::with(Habits::default(), &[("tls.acme.orders_per_hour", "1")]).await;
    scene.serve("acme", DOMAIN).await;
    let claimed = scene.claim("acme", "other.acme.test").await;
    scene.acme.dns.obey(&claimed).await;
    scene.verify("acme", "other.acme.test").await;
    let seen = scene.until("acme", "other.acme.test", |seen| seen["reason"] == "budget_spent").await;
    let wait = (seen["retryAt"].as_i64().unwrap() - now()) / 1000;
    assert!(seen["status"] == "in_progress" && (3_000..=3_600).contains(&wait), "{seen}");
    scene.post("acme", &format!("/{DOMAIN}/renew"), Value::Null).await.expect(200);
    eventually("a renewal", || async { (orders(&scene) == 2).then_some(()) }).await;
}

#[tokio::test]
async fn an_authority_that_is_misconfigured_is_told_to_the_operator() {
    let scene = Scene::with(Habits::default(), &[("tls.acme.ca_file", "")]).await;
    let claimed = scene.claim("acme", DOMAIN).await;
    scene.acme.dns.obey(&claimed).await;
    scene.verify("acme", DOMAIN).await;
    let seen = scene.until("acme", DOMAIN, |seen| seen["reason"] == "authority_misconfigured").await;
    assert_eq!((&seen["status"], &seen["needsActionBy"]), (&json!("stuck"), &json!("operator")));
    let detail = seen["detail"].as_str().unwrap();
    assert!(detail.contains("UnknownIssuer") && detail.contains(&scene.acme.front.address.to_string()), "{detail}");
}

#[tokio::test]
async fn what_an_authority_issues_is_looked_at_before_it_is_served() {
    let scene = Scene::new(Habits::default()).await;
    scene.acme.front.issue_instead(Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"));
    let claimed = scene.claim("acme", DOMAIN).await;
    scene.acme.dns.obey(&claimed).await;
    scene.verify("acme", DOMAIN).await;
    let seen = scene.until("acme", DOMAIN, |seen| seen["reason"] == "authority_refuses").await;
    assert!(seen["detail"].as_str().unwrap().contains("cannot be used") && seen["retryAt"].as_i64().unwrap() > now() + 30_000, "{seen}");
    let theirs = rcgen::generate_simple_self_signed(vec!["other.test".to_owned()]).unwrap().cert.pem();
    scene.acme.front.issue_instead(Some(&theirs));
    scene.verify("acme", DOMAIN).await;
    scene.until("acme", DOMAIN, |seen| seen["detail"].as_str().is_some_and(|it| it.contains(&format!("not for {DOMAIN}")))).await;
    assert_eq!((orders(&scene), &scene.read("acme", DOMAIN).await["certificate"]["state"]), (2, &json!("failed")));
    scene.acme.front.issue_instead(None);
    scene.verify("acme", DOMAIN).await;
    scene.served("acme", DOMAIN).await;
}

#[tokio::test]
async fn an_answer_that_never_ends_holds_up_one_order_and_not_for_ever() {
    let scene = Scene::with(Habits::default(), &[("tls.acme.orders_at_once", "1")]).await;
    scene.acme.front.stall_orders(true);
    let claimed = scene.claim("acme", DOMAIN).await;
    scene.acme.dns.obey(&claimed).await;
    scene.verify("acme", DOMAIN).await;
    eventually("the order is placed", || async { (orders(&scene) == 1).then_some(()) }).await;
    // Meanwhile others are looked at.
    let other = scene.claim("globex", "globex.test").await;
    scene.acme.dns.obey(&other).await;
    scene.until("globex", "globex.test", |seen| seen["verified"] == true).await;
    scene.acme.front.stall_orders(false);
    let deadline = now() + 45_000;
    while scene.read("globex", "globex.test").await["status"] != "serving" {
        assert!(now() < deadline, "the place is not given free");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_change_during_an_order_is_not_undone_by_it() {
    let scene = Scene::new(Habits::default()).await;
    scene.acme.front.hold_orders(true);
    let claimed = scene.claim("acme", DOMAIN).await;
    scene.acme.dns.obey(&claimed).await;
    scene.verify("acme", DOMAIN).await;
    eventually("the order is placed", || async { (orders(&scene) == 1).then_some(()) }).await;
    let path = format!("/admin/tenants/acme/domains/{DOMAIN}");
    scene.gateway.admin(Method::PATCH, &path, json!({"hstsMaxAge": 60})).await.expect(200);
    // A look in the middle of it takes nothing away from the order.
    scene.verify("acme", DOMAIN).await;
    scene.acme.front.hold_orders(false);
    let seen = scene.served("acme", DOMAIN).await;
    assert_eq!((orders(&scene), &seen["hstsMaxAge"]), (1, &json!(60)));
}

#[tokio::test]
async fn another_authority_issues_anew_at_once() {
    let mut scene = Scene::new(Habits::default()).await;
    scene.serve("acme", DOMAIN).await;
    scene.gateway.stop().await;
    // The same one, as it is, under another name: what counts is what the directory is called.
    scene.gateway.set("tls.acme.directory", &format!("https://localhost:{}/dir", scene.acme.front.address.port()));
    // It is down until it knows the ports of the gateway that starts, whose first try must be over before the second.
    scene.acme.stop();
    scene.gateway.start_again().await;
    scene.until("acme", DOMAIN, |seen| seen["reason"] == "authority_unavailable").await;
    let Scene { acme, gateway, .. } = &mut scene;
    acme.start(gateway, Habits::default()).await;
    scene.verify("acme", DOMAIN).await;
    eventually("a second order", || async { (orders(&scene) == 2).then_some(()) }).await;
}

#[tokio::test]
async fn an_authority_that_wants_one_certificate_after_the_other_is_followed_ever_more_slowly() {
    let scene = Scene::new(Habits::default()).await;
    scene.acme.front.tell_window("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    scene.serve("acme", DOMAIN).await;
    // The second follows at once, the third after a minute.
    eventually("a second order", || async { (orders(&scene) == 2).then_some(()) }).await;
    scene.served("acme", DOMAIN).await;
    let asked = scene.acme.front.seen().len();
    let still = now() + 3_000;
    eventually("three quiet seconds", || async { (now() > still).then_some(()) }).await;
    assert_eq!(orders(&scene), 2);
    assert!(scene.acme.front.seen().len() - asked < 8, "nobody is asked again and again");
}
