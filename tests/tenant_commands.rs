//! What an operator does for tenants from a shell beside their life: keys, flags, domains and usage, by the real binary.

use http::{Method, Version};
use serde_json::{Value, json};

use crate::operator_commands::run;
use crate::support::upstream::RunningUpstream;
use crate::support::{TestGateway, Upstream, tenant};

async fn gateway(slugs: &[&str]) -> (TestGateway, String, RunningUpstream) {
    let origin = Upstream::replying("hello").start().await;
    let builder = slugs.iter().fold(TestGateway::to(&origin).plaintext(), |builder, slug| builder.tenant(tenant(slug).plan("pro")));
    let gateway = builder.start().await;
    let admin = format!("http://{}", gateway.admin);
    (gateway, admin, origin)
}

#[tokio::test]
async fn the_secret_of_a_key_is_alone_on_stdout_works_and_is_told_once() {
    let (gateway, admin, _origin) = gateway(&["acme"]).await;
    let made = run(&admin, "key create acme --name CI --role admin --role viewer --scope read --expires 90d").await.expect(0);
    let secret = made.stdout.trim_end();
    assert!(secret.starts_with("gh_live_") && !secret.contains(char::is_whitespace), "{}", made.stdout);
    assert!(made.stderr.contains("shown this once") && made.stderr.contains("admin, viewer"), "{}", made.stderr);
    assert!(!made.stderr.contains(secret), "{}", made.stderr);
    let mut wire = gateway.connect(Version::HTTP_11, "acme").await;
    let field = ("x-api-key", secret);
    wire.get_with("/api/tenant", field).await.expect(200);

    let whole = run(&admin, "key create acme --name second --expires 2027-06-30T00:00:00Z -o json").await.expect(0);
    let whole_key = whole.json();
    assert!(whole_key["secret"].as_str().unwrap().starts_with("gh_live_") && whole.stderr.contains("shown this once"));
    assert_eq!(whole_key["expiresAt"], 1_814_313_600_000_i64);
    run(&admin, "key list acme").await.expect(0).has(&["CI", "second", "admin, viewer", "2027-06-30"]);
    let id = run(&admin, "key show acme CI -o json").await.expect(0).json()["id"].as_str().unwrap().to_owned();
    run(&admin, &format!("key show acme {id}")).await.expect(0).has(&["CI", &id]);
    let rotated = run(&admin, "key rotate acme CI --overlap 1h").await.expect(0);
    for good in [secret, rotated.stdout.trim_end()] {
        wire.get_with("/api/tenant", ("x-api-key", good)).await.expect(200);
    }
    assert!(run(&admin, "key show acme CI").await.expect(1).stderr.contains("2 keys of acme are called `CI`"));
    run(&admin, &format!("key revoke acme {id}")).await.expect(0).has(&[&id]);
    wire.get_with("/api/tenant", field).await.expect(401);
    let test = run(&admin, "key create acme --name try --test").await.expect(0);
    assert!(test.stdout.starts_with("gh_test_"), "{}", test.stdout);
    run(&admin, "key create acme --name second").await.expect(0);
    assert!(run(&admin, "key revoke acme second").await.expect(1).stderr.contains("2 keys of acme are called `second`"));
    run(&admin, "key revoke acme CI").await.expect(0);
    wire.get_with("/api/tenant", ("x-api-key", rotated.stdout.trim_end())).await.expect(401);
    assert!(run(&admin, "key revoke acme CI").await.expect(1).stderr.contains("no key with the id or name `CI`"));
    for wrong in ["key create acme --name x --expires soon", "key rotate acme second --overlap soon", "key create acme"] {
        run(&admin, wrong).await.expect(2);
    }
}

#[tokio::test]
async fn flags_are_switched_rolled_out_and_explained() {
    let (gateway, admin, _origin) = gateway(&["acme"]).await;
    run(&admin, "feature on acme chat").await.expect(0).has(&["chat", "on", "tenant"]);
    run(&admin, "feature rollout beta 12.5 --by user --plan pro --description 'the new editor'").await.expect(0).has(&[
        "beta",
        "12.5 % by user, of pro",
        "the new editor",
    ]);
    // What is not said stays.
    run(&admin, "feature rollout beta 100").await.expect(0).has(&["100 % by user, of pro", "the new editor"]);
    let states = |line: &'static str| {
        let admin = admin.clone();
        async move { run(&admin, line).await.expect(0).json() }
    };
    let of = |told: &Value, flag: &str| told.as_array().unwrap().iter().find(|it| it["name"] == flag).map(|it| it["enabled"].clone());
    let everyone = states("feature list acme -o json").await;
    let one = states("feature list acme --user u1 -o json").await;
    assert_eq!((of(&everyone, "beta"), of(&one, "beta"), of(&one, "chat")), (Some(json!(false)), Some(json!(true)), Some(json!(true))));
    run(&admin, "feature off acme chat").await.expect(0).has(&["off", "tenant"]);
    run(&admin, "feature unset acme chat").await.expect(0).has(&["chat", "off", "default"]);
    run(&admin, "feature rollout beta 0.5 --by tenant --all-plans").await.expect(0).has(&["0.5 % by tenant\u{20}"]);
    assert_eq!(states("feature rollouts -o json").await[0]["plans"], Value::Null);
    run(&admin, "feature end beta").await.expect(0).has(&["beta"]);
    assert!(run(&admin, "feature end beta").await.expect(1).stderr.contains("No flag `beta` is rolled out"));
    let wrong = run(&admin, "feature rollout beta 1.234").await.expect(1);
    assert!(wrong.stdout.is_empty() && wrong.stderr.contains("422"), "{}", wrong.stderr);
    run(&admin, "feature rollout beta 5 --by host").await.expect(2);
    let rows = gateway.admin(Method::GET, "/admin/audit?action=feature.rolled_out", Value::Null).await.expect(200).json();
    assert_eq!(rows["data"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn domains_are_claimed_and_released_and_usage_is_shown() {
    let (gateway, admin, _origin) = gateway(&["acme"]).await;
    run(&admin, "domain add acme shop.acme.org").await.expect(0).has(&["shop.acme.org", "acme", "TXT"]);
    run(&admin, "domain list").await.expect(0).has(&["shop.acme.org"]);
    run(&admin, "domain remove shop.acme.org").await.expect(0).has(&["shop.acme.org"]);
    assert_eq!(run(&admin, "domain list -o json").await.expect(0).json(), json!([]));
    assert!(run(&admin, "domain remove shop.acme.org").await.expect(1).stderr.contains("404"));
    gateway.get("acme", "/").await.expect(200);
    run(&admin, "usage show acme").await.expect(0).has(&["api calls    1", "bytes out    5"]);
    run(&admin, "usage daily acme").await.expect(0).has(&["API CALLS", "1"]);
    run(&admin, "usage -o json verify acme").await.expect(0).has(&["\"closes\":true"]);
    assert_eq!(run(&admin, "usage show acme --period 2020-01 -o json").await.expect(0).json()["apiCalls"], 0);
    run(&admin, "usage show acme --period November").await.expect(1);
}
