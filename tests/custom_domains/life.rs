//! A domain that has what it needs: issued, served, renewed, kept over restarts, and gone when it is removed.

use std::os::unix::fs::PermissionsExt;

use reqwest::Method;
use serde_json::{Value, json};

use super::{DOMAIN, Scene, now, orders};
use crate::support::acme::Habits;
use crate::support::{eventually, peers, within};

#[tokio::test]
async fn from_the_claim_to_a_trusted_certificate_by_http_01() {
    let scene = Scene::new(Habits::default()).await;
    let domain = scene.claim("acme", DOMAIN).await;
    assert_eq!((&domain["status"], &domain["verified"]), (&json!("in_progress"), &json!(false)));
    scene.acme.dns.obey(&domain).await;
    scene.verify("acme", DOMAIN).await;
    let seen = scene.served("acme", DOMAIN).await;
    assert_eq!((&seen["hostname"]["state"], &seen["certificate"]["source"]), (&json!("active"), &json!("acme")));
    assert_eq!([&seen["reason"], &seen["nextStep"], &seen["retryAt"]], [&Value::Null; 3]);
    assert_eq!(scene.reaches(&scene.acme.root().await, DOMAIN).await, "acme");
    assert_eq!(orders(&scene), 1);
}

#[tokio::test]
async fn a_domain_named_at_the_tenants_creation_is_claimed_and_served_as_soon_as_its_records_are_set() {
    let scene = Scene::new(Habits::default()).await;
    let body = json!({"name": "Initech", "slug": "initech", "plan": "pro", "customDomain": "initech.test"});
    scene.gateway.admin(Method::POST, "/admin/tenants", body).await.expect(201);
    let domain = scene.read("initech", "initech.test").await;
    assert_eq!(domain["records"][1]["type"], "A", "an apex cannot have a CNAME");
    scene.acme.dns.obey(&domain).await;
    // Nobody asks for it: it is looked at again by itself.
    scene.served("initech", "initech.test").await;
    assert_eq!(scene.reaches(&scene.acme.root().await, "initech.test").await, "initech");
}

#[tokio::test]
async fn where_http_does_not_get_through_the_name_is_validated_by_tls_alpn_01() {
    let closed = crate::support::nginx::free().port().to_string();
    let habits = Habits { http: false, ..Habits::default() };
    let scene = Scene::with(habits, &[("listen.public_http_port", &closed)]).await;
    scene.serve("acme", DOMAIN).await;
    assert_eq!(scene.reaches(&scene.acme.root().await, DOMAIN).await, "acme");
    assert_eq!(orders(&scene), 1, "it knew before it asked");
}

#[tokio::test]
async fn after_an_order_that_failed_the_other_way_is_taken() {
    // The gateway reaches itself, and the authority does not.
    let scene = Scene::new(Habits { http: false, ..Habits::default() }).await;
    let claimed = scene.claim("acme", DOMAIN).await;
    scene.acme.dns.obey(&claimed).await;
    scene.verify("acme", DOMAIN).await;
    let failed = scene.until("acme", DOMAIN, |seen| seen["reason"] == "authority_refuses").await;
    assert_eq!((&failed["status"], &failed["certificate"]["state"]), (&json!("stuck"), &json!("failed")));
    let wait = failed["retryAt"].as_i64().unwrap() - now();
    assert!((30_000..=75_000).contains(&wait), "{wait}");
    scene.verify("acme", DOMAIN).await;
    scene.served("acme", DOMAIN).await;
    assert_eq!((orders(&scene), scene.reaches(&scene.acme.root().await, DOMAIN).await), (2, "acme".to_owned()));
}

#[tokio::test]
async fn nobody_is_shown_an_answer_that_no_order_asks_for() {
    let scene = Scene::new(Habits::default()).await;
    scene.serve("acme", DOMAIN).await;
    let openssl = peers::debian("openssl", "openssl");
    let at = scene.gateway.https.unwrap().to_string();
    for name in [DOMAIN, "nobody.test"] {
        let mut command = tokio::process::Command::new(&openssl);
        command.args(["s_client", "-connect", &at, "-servername", name, "-alpn", "acme-tls/1"]).stdin(std::process::Stdio::null());
        let answer = within("openssl ends", command.output()).await.unwrap();
        assert!(!String::from_utf8_lossy(&answer.stdout).contains("BEGIN CERTIFICATE"), "{name}");
    }
    let get = |host: &str| {
        scene.gateway.client.get(format!("http://{}/.well-known/acme-challenge/x?y=1", scene.gateway.http)).header("host", host.to_owned())
    };
    let known = get(DOMAIN).send().await.unwrap();
    let location = known.headers()["location"].to_str().unwrap().to_owned();
    let port = scene.gateway.https.unwrap().port();
    assert_eq!((known.status().as_u16(), location), (308, format!("https://{DOMAIN}:{port}/.well-known/acme-challenge/x?y=1")));
    assert_eq!(get("nobody.test").send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn a_renewed_certificate_goes_live_and_open_connections_notice_nothing() {
    let scene = Scene::new(Habits::default()).await;
    scene.serve("acme", DOMAIN).await;
    let root = scene.acme.root().await;
    let before = shown(&scene).await;
    // Stays open while the certificate is replaced.
    let mut open = scene.open(&root, DOMAIN).await;
    open.send(format!("GET / HTTP/1.1\r\nHost: {DOMAIN}\r\n\r\n")).await;
    assert_eq!(open.message().await.head.status(), 200);
    scene.post("acme", &format!("/{DOMAIN}/renew"), Value::Null).await.expect(200);
    let after = eventually("another certificate", || async { Some(shown(&scene).await).filter(|after| *after != before) }).await;
    assert_ne!(after, before);
    open.send(format!("GET / HTTP/1.1\r\nHost: {DOMAIN}\r\n\r\n")).await;
    assert_eq!(open.message().await.head.status(), 200);
    assert_eq!((orders(&scene), scene.reaches(&root, DOMAIN).await), (2, "acme".to_owned()));
}

#[tokio::test]
async fn what_an_operator_does_to_a_domain_that_is_served_is_in_the_audit_log() {
    let scene = Scene::new(Habits::default()).await;
    scene.serve("acme", DOMAIN).await;
    let path = format!("/admin/tenants/acme/domains/{DOMAIN}");
    let calls = [
        (Method::POST, "/verify", json!({}), "domain.checked"),
        (Method::POST, "/renew", json!({}), "certificate.renewal_requested"),
        (Method::PATCH, "", json!({"hstsMaxAge": 60}), "domain.updated"),
    ];
    for (method, rest, body, action) in calls {
        let answer = scene.gateway.admin(method, &format!("{path}{rest}"), body).await.expect(200);
        let found = format!("/admin/audit?requestId={}", answer.header("x-request-id"));
        let rows = scene.gateway.admin(Method::GET, &found, Value::Null).await.expect(200).json();
        assert_eq!((&rows["data"][0]["action"], &rows["data"][0]["actor"]), (&json!(action), &json!("loopback")), "{rows}");
    }
}

#[tokio::test]
async fn a_domain_says_that_it_wants_tls_once_its_owner_says_so() {
    let scene = Scene::new(Habits::default()).await;
    scene.serve("acme", DOMAIN).await;
    let root = scene.acme.root().await;
    let said = async || {
        let answer = scene.curl(&root, DOMAIN, &["--head"]).await;
        let head = String::from_utf8(answer.stdout).unwrap().to_lowercase();
        head.lines().find_map(|line| line.strip_prefix("strict-transport-security: ").map(|value| value.trim().to_owned()))
    };
    assert_eq!(said().await, None);
    let path = format!("/admin/tenants/acme/domains/{DOMAIN}");
    let set = async |value: Value| scene.gateway.admin(Method::PATCH, &path, json!({"hstsMaxAge": value})).await;
    assert_eq!(set(json!(86_400)).await.expect(200).json()["hstsMaxAge"], 86_400);
    assert_eq!(said().await.as_deref(), Some("max-age=86400"), "and nothing of its subdomains");
    set(json!(0)).await.expect(200);
    assert_eq!(said().await.as_deref(), Some("max-age=0"));
    set(Value::Null).await.expect(200);
    assert_eq!(said().await, None);
    set(json!("a year")).await.expect(422);
}

#[tokio::test]
async fn the_authority_says_when_to_renew_and_is_told_what_is_replaced() {
    let scene = Scene::new(Habits::default()).await;
    let day = 86_400_000;
    let at = |millis: i64| jiff::Timestamp::from_millisecond(millis).unwrap().to_string();
    let begun = now();
    scene.acme.front.tell_window(&at(begun + 10 * day), &at(begun + 11 * day));
    scene.serve("acme", DOMAIN).await;
    let planned = async |from: i64, to: i64| {
        eventually("the renewal is planned", || async {
            let renew_at = scene.verify("acme", DOMAIN).await["certificate"]["renewAt"].as_i64()?;
            (from..=to).contains(&renew_at).then_some(())
        })
        .await;
    };
    planned(begun + 10 * day - 1_000, begun + 11 * day).await;
    // One that would come too late is not followed: the certificate lives for 30 days.
    scene.acme.front.tell_window("2099-01-01T00:00:00Z", "2099-01-02T00:00:00Z");
    planned(begun + 26 * day, begun + 28 * day).await;
    // It is to be replaced at once, as after a mishap of the authority's.
    scene.acme.front.tell_window("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    eventually("a second order", || async {
        scene.verify("acme", DOMAIN).await;
        (orders(&scene) == 2).then_some(())
    })
    .await;
    let placed: Vec<_> = scene.acme.front.seen().into_iter().filter(|seen| seen.is_new_order()).collect();
    assert_eq!(placed[0].payload.get("replaces"), None);
    let replaced = placed[1].payload["replaces"].as_str().unwrap();
    assert!(replaced.split('.').count() == 2, "{replaced}");
}

#[tokio::test]
async fn without_its_word_a_certificate_is_renewed_by_a_fraction_of_its_life() {
    let scene = Scene::new(Habits { validity: 12, ..Habits::default() }).await;
    let first = scene.serve("acme", DOMAIN).await["certificate"]["notAfter"].as_i64().unwrap();
    let second = scene.until("acme", DOMAIN, |seen| seen["certificate"]["notAfter"].as_i64().is_some_and(|end| end > first)).await;
    let since = second["certificate"]["notAfter"].as_i64().unwrap() - first;
    assert!((4_000..12_000).contains(&since), "while the first was still good: {since}");
}

#[tokio::test]
async fn certificates_outlive_the_process_and_are_served_with_dns_and_the_authority_down() {
    let mut scene = Scene::new(Habits::default()).await;
    scene.serve("acme", DOMAIN).await;
    // Before and behind it in the order of names: one without a certificate, and one with another.
    scene.claim("globex", "a.globex.test").await;
    scene.serve("globex", "z.globex.test").await;
    let root = scene.acme.root().await;
    scene.acme.stop();
    scene.acme.dns.fails(DOMAIN, true).await;
    scene.gateway.signal("KILL");
    scene.gateway.ended().await;
    scene.gateway.start_again().await;
    assert_eq!(scene.reaches(&root, DOMAIN).await, "acme");
    assert_eq!(scene.reaches(&root, "z.globex.test").await, "globex");
    let seen = scene.verify("acme", DOMAIN).await;
    assert_eq!((&seen["status"], &seen["reason"]), (&json!("serving"), &json!("dns_unavailable")));
    assert_eq!(scene.reaches(&root, DOMAIN).await, "acme");
}

#[tokio::test]
async fn private_keys_are_sealed_and_another_key_is_refused_at_the_start() {
    let mut scene = Scene::new(Habits::default()).await;
    scene.serve("acme", DOMAIN).await;
    let data = scene.gateway.dir.path().join("data");
    let file = data.join("certificates.key");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(scene.gateway.stop().await.code(), Some(0));
    let mut stored = Vec::new();
    for entry in walk(&data) {
        stored.extend(std::fs::read(entry).unwrap());
    }
    let has = |text: &str| stored.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(has("BEGIN CERTIFICATE") && !has("PRIVATE KEY"));
    scene.gateway.set("store.key", &"ab".repeat(32));
    let (code, told) = scene.gateway.fails_to_start().await;
    assert!(code == Some(1) && told.contains("sealed with another key"), "{told}");
    scene.gateway.set("store.key", std::fs::read_to_string(&file).unwrap().trim());
    scene.gateway.start_again().await;
    assert_eq!(scene.reaches(&scene.acme.root().await, DOMAIN).await, "acme");
}

#[tokio::test]
async fn a_removed_domain_is_served_no_more_and_its_key_is_gone() {
    let mut scene = Scene::new(Habits::default()).await;
    let claimed = scene.serve("acme", DOMAIN).await;
    let root = scene.acme.root().await;
    scene.remove("acme", DOMAIN).await;
    let refused = scene.curl(&root, DOMAIN, &[]).await;
    assert_eq!(refused.status.code(), Some(35), "the handshake is refused: {}", String::from_utf8_lossy(&refused.stderr));
    scene.gateway.stop().await;
    scene.gateway.start_again().await;
    assert_eq!(scene.curl(&root, DOMAIN, &[]).await.status.code(), Some(35));
    // The record that is still set proves nothing any more.
    let again = scene.claim("globex", DOMAIN).await;
    assert_ne!(again["records"][0]["value"], claimed["records"][0]["value"]);
    assert_eq!(scene.verify("globex", DOMAIN).await["reason"], "ownership_mismatch");
    assert_eq!((orders(&scene), scene.curl(&root, DOMAIN, &[]).await.status.code()), (1, Some(35)));
}

/// The certificate that a handshake for the domain is shown.
async fn shown(scene: &Scene) -> String {
    let at = scene.gateway.https.unwrap().to_string();
    let mut command = tokio::process::Command::new(peers::debian("openssl", "openssl"));
    command.args(["s_client", "-connect", &at, "-servername", DOMAIN]).stdin(std::process::Stdio::null());
    let answer = within("openssl ends", command.output()).await.unwrap();
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    let (_, rest) = text.split_once("BEGIN CERTIFICATE").unwrap_or_else(|| panic!("{text}"));
    rest.split_once("END CERTIFICATE").unwrap().0.to_owned()
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] })
        .filter(|path| !path.ends_with("certificates.key"))
        .collect()
}
