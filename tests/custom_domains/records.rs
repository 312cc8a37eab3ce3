//! Who owns a domain: whoever proves it by a record in DNS, as long as that is there.

use reqwest::Method;
use serde_json::{Value, json};

use super::{DOMAIN, Scene, now, orders};
use crate::support::acme::{Acme, Habits};
use crate::support::{TestGateway, Upstream, eventually, tenant};

#[tokio::test]
async fn of_two_tenants_that_claim_a_name_the_one_that_proves_it_has_it() {
    let scene = Scene::new(Habits::default()).await;
    scene.claim("acme", DOMAIN).await;
    let refused = scene.post("globex", "", json!({"domain": DOMAIN})).await.expect(409).json();
    let record = &refused["records"][0];
    scene.acme.dns.text(record["name"].as_str().unwrap(), record["value"].as_str().unwrap()).await;
    assert_eq!(scene.verify("acme", DOMAIN).await["reason"], "ownership_mismatch", "it is no proof for another");
    let taken = scene.claim("globex", DOMAIN).await;
    assert_eq!((&taken["verified"], &taken["records"][0]["value"]), (&json!(true), &record["value"]));
    let loser = scene.gateway.admin(Method::GET, "/admin/tenants/acme", Value::Null).await.expect(200).json();
    assert_eq!((&loser["customDomain"], &loser["domains"]), (&Value::Null, &json!([])));
    // What is proved cannot be taken, not even by whoever was first.
    let lost = scene.post("acme", "", json!({"domain": DOMAIN})).await.expect(409).json();
    assert_eq!(lost.get("records"), None);
    scene.acme.dns.address(DOMAIN, &["127.0.0.1"]).await;
    scene.verify("globex", DOMAIN).await;
    scene.served("globex", DOMAIN).await;
    assert_eq!((scene.reaches(&scene.acme.root().await, DOMAIN).await, orders(&scene)), ("globex".to_owned(), 1));
}

#[tokio::test]
async fn a_domain_whose_record_stays_away_lapses_and_can_be_proved_by_another() {
    let scene = Scene::with(Habits::default(), &[("domains.lapse", "3s"), ("domains.recheck", "500ms")]).await;
    let claimed = scene.serve("acme", DOMAIN).await;
    let root = scene.acme.root().await;
    let name = claimed["records"][0]["name"].as_str().unwrap();
    scene.acme.dns.no_text(name).await;
    let lapsing = scene.until("acme", DOMAIN, |seen| seen["hostname"]["state"] == "lapsing").await;
    assert_eq!((&lapsing["status"], &lapsing["reason"]), (&json!("serving"), &json!("ownership_missing")));
    assert!(lapsing["hostname"]["lapsesAt"].is_i64() && lapsing["needsActionBy"] == "tenant");
    let at_risk = scene.gateway.admin(Method::GET, "/admin/domains?status=at_risk", Value::Null).await.expect(200).json();
    assert_eq!(at_risk["data"][0]["domain"], DOMAIN);
    assert_eq!(scene.reaches(&root, DOMAIN).await, "acme");
    eventually("the proof has lapsed", || async {
        let seen = scene.verify("acme", DOMAIN).await;
        (seen["verified"] == false && seen["certificate"]["state"] == "none").then_some(())
    })
    .await;
    assert_eq!(scene.curl(&root, DOMAIN, &[]).await.status.code(), Some(35));
    let seen = scene.read("acme", DOMAIN).await;
    assert_eq!((&seen["status"], &seen["reason"]), (&json!("stuck"), &json!("ownership_missing")), "it had the record once");
    let log = scene.gateway.log().join("\n");
    assert!(log.contains("a domain needs someone") && log.contains("its proof has lapsed"), "{log}");
    let refused = scene.post("globex", "", json!({"domain": DOMAIN})).await.expect(409).json();
    scene.acme.dns.text(name, refused["records"][0]["value"].as_str().unwrap()).await;
    scene.claim("globex", DOMAIN).await;
}

#[tokio::test]
async fn a_domain_that_lapses_is_not_given_up_at_the_same_moment_however_old_its_claim_is() {
    let settings = [("domains.lapse", "1s"), ("domains.recheck", "500ms"), ("domains.keep_unproved", "4s")];
    let scene = Scene::with(Habits::default(), &settings).await;
    let claimed = scene.serve("acme", DOMAIN).await;
    let old = now() + 5_000;
    eventually("the claim is old", || async { (now() > old).then_some(()) }).await;
    let (name, value) = (claimed["records"][0]["name"].as_str().unwrap(), claimed["records"][0]["value"].as_str().unwrap());
    scene.acme.dns.no_text(name).await;
    eventually("the proof has lapsed", || async { (scene.verify("acme", DOMAIN).await["verified"] == false).then_some(()) }).await;
    scene.acme.dns.text(name, value).await;
    assert_eq!(scene.verify("acme", DOMAIN).await["verified"], true, "the same record brings it back");
    scene.served("acme", DOMAIN).await;
}

#[tokio::test]
async fn what_went_wrong_with_a_record_is_told() {
    let scene = Scene::new(Habits::default()).await;
    let claimed = scene.claim("acme", DOMAIN).await;
    let (name, value) = (claimed["records"][0]["name"].as_str().unwrap(), claimed["records"][0]["value"].as_str().unwrap());
    let told = async || scene.verify("acme", DOMAIN).await["nextStep"].as_str().unwrap().to_owned();
    scene.acme.dns.text(&format!("{name}.acme.test"), value).await;
    assert!(told().await.contains("Enter the record's name as _gatehouse.shop:"), "{}", told().await);
    scene.acme.dns.text(name, &format!("\"{value}\"")).await;
    assert!(told().await.contains("without the quotes"), "{}", told().await);
    scene.acme.dns.no_text(name).await;
    scene.acme.dns.text(name, value.split_once('=').unwrap().1).await;
    assert!(told().await.contains("the whole value"), "{}", told().await);
}

#[tokio::test]
async fn a_claim_that_nobody_proves_is_given_up() {
    let scene = Scene::with(Habits::default(), &[("domains.keep_unproved", "1s")]).await;
    scene.claim("acme", DOMAIN).await;
    eventually("the claim is gone", || async {
        scene.post("acme", &format!("/{DOMAIN}/verify"), Value::Null).await;
        let tenant = scene.gateway.admin(Method::GET, "/admin/tenants/acme", Value::Null).await.expect(200).json();
        (tenant["customDomain"] == Value::Null && tenant["domains"] == json!([])).then_some(())
    })
    .await;
    scene.claim("globex", DOMAIN).await;
}

#[tokio::test]
async fn behind_something_that_ends_tls_a_proof_is_all_that_is_needed() {
    let (acme, origin) = (Acme::new().await, Upstream::echoing().start().await);
    let gateway = TestGateway::to(&origin).plaintext().set("domains.name_servers", &acme.dns.address.to_string());
    let gateway = gateway.tenant(tenant("acme").plan("pro")).start().await;
    let ask =
        async || gateway.client.get(format!("http://{}/", gateway.http)).header("host", DOMAIN).send().await.unwrap().status().as_u16();
    let body = json!({"domain": DOMAIN});
    let claimed = gateway.admin(Method::POST, "/admin/tenants/acme/domains", body).await.expect(201).json();
    assert_eq!((ask().await, &claimed["certificate"]["state"]), (404, &json!("not_needed")));
    acme.dns.obey(&claimed).await;
    let path = format!("/admin/tenants/acme/domains/{DOMAIN}/verify");
    let seen = gateway.admin(Method::POST, &path, Value::Null).await.expect(200).json();
    assert_eq!((ask().await, &seen["status"]), (200, &json!("serving")));
}

#[tokio::test]
async fn the_command_line_tells_which_domains_are_stuck_and_what_to_do() {
    let scene = Scene::new(Habits::default()).await;
    let run = async |arguments: &[&str]| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_gatehouse"));
        command
            .arg("domain")
            .args(arguments)
            .args(["--admin", &format!("http://{}", scene.gateway.admin)])
            .current_dir(scene.gateway.dir.path());
        let ran = command.output().await.unwrap();
        (ran.status.code(), format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr)))
    };
    scene.claim("acme", DOMAIN).await;
    let (code, shown) = run(&["verify", DOMAIN]).await;
    assert!(
        code == Some(1) && shown.contains("ownership_missing") && shown.contains("Set the TXT record _gatehouse.shop.acme.test"),
        "{shown}"
    );
    assert_eq!(run(&["list", "--status", "stuck"]).await, (Some(0), "DOMAIN  STATUS  CERTIFICATE  ENDS  REASON\n".to_owned()));
    scene.acme.dns.text(&format!("_gatehouse.{DOMAIN}"), "something else").await;
    run(&["verify", DOMAIN]).await;
    let (_, shown) = run(&["list", "--status", "stuck"]).await;
    let row: Vec<&str> = shown.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row, [DOMAIN, "stuck", "none", "-", "ownership_mismatch"]);
    let (_, json) = run(&["list", "-o", "json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()[0]["domain"], DOMAIN);
    let (code, told) = run(&["show", "nobody.test"]).await;
    assert!(code == Some(1) && told.contains("No tenant has such a domain"), "{told}");
}
