//! Operators over real sockets: tokens outlive a restart, and whoever guesses is locked out.

use std::process::{Command, Output};

use http::Method;
use serde_json::{Value, json};

use crate::support::wire::Wire;
use crate::support::{Answer, TestGateway, Upstream, eventually};

const TOKEN: &str = "s3cret-token-of-the-test";

async fn ask(gateway: &TestGateway, line: &str, token: &str) -> Answer {
    let field = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
    Wire::to(gateway.admin).await.ask(format!("{line} HTTP/1.1\r\nHost: localhost\r\n{field}\r\n")).await
}

async fn number(gateway: &TestGateway, token: &str, name: &str) -> u64 {
    let text = ask(gateway, "GET /metrics", token).await.expect(200).text();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in {text}"));
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[tokio::test]
async fn whoever_guesses_waits_and_learns_nothing_meanwhile() {
    let origin = Upstream::replying("hello").start().await;
    let gateway = TestGateway::to(&origin).plaintext().set("admin.token", TOKEN).start().await;
    let list = "GET /admin/tenants";
    for _ in 0..20 {
        ask(&gateway, list, "").await.expect(401);
    }
    for guess in 0..5 {
        ask(&gateway, list, &format!("guess-{guess}")).await.expect(401).code("unauthenticated");
    }
    // Also where no token is needed, it cannot be found out whether one is right.
    let right = ask(&gateway, list, TOKEN).await.expect(429);
    assert_eq!(right.header("retry-after"), "1");
    right.code("rate_limited");
    let probed = ask(&gateway, "GET /readyz?verbose", TOKEN).await.expect(200).text();
    assert!(!probed.contains("failures\":"), "{probed}");
    ask(&gateway, "GET /livez", "").await.expect(200);
    ask(&gateway, list, "").await.expect(401);
    eventually("the lock ends", || async { (ask(&gateway, list, TOKEN).await.status == 200).then_some(()) }).await;
    for _ in 0..4 {
        ask(&gateway, list, "guess").await.expect(401);
    }
    ask(&gateway, list, TOKEN).await.expect(200);
    assert_eq!(number(&gateway, TOKEN, "gatehouse_admin_refused_total{reason=\"wrong_token\"}").await, 9);
    assert!(number(&gateway, TOKEN, "gatehouse_admin_refused_total{reason=\"locked_out\"}").await >= 1);
    let told = gateway.log().iter().filter(|line| line.contains("wrong tokens")).count();
    assert_eq!(told, 1, "once for each lock");
    let in_url = ask(&gateway, &format!("GET /admin/tenants?access_token={TOKEN}"), "").await.expect(401);
    assert!(in_url.text().contains("never in the URL"));
    assert!(!gateway.log().iter().any(|line| line.contains(TOKEN)));
}

#[tokio::test]
async fn operators_and_their_last_use_outlive_a_restart() {
    let origin = Upstream::replying("hello").start().await;
    let mut gateway = TestGateway::to(&origin).plaintext().start().await;
    let made = gateway.admin(Method::POST, "/admin/operators", json!({"name": "ada", "role": "owner"})).await.expect(201).json();
    let token = made["secret"].as_str().unwrap().to_owned();
    gateway.admin(Method::GET, "/admin/tenants", Value::Null).await.expect(401);
    ask(&gateway, "GET /admin/tenants", &token).await.expect(200);
    gateway.stop().await;
    gateway.start_again().await;
    gateway.admin(Method::GET, "/admin/tenants", Value::Null).await.expect(401);
    let listed = ask(&gateway, "GET /admin/operators", &token).await.expect(200).json();
    assert_eq!((&listed["data"][0]["name"], &listed["data"][0]["id"]), (&json!("ada"), &made["id"]));
    for file in std::fs::read_dir(gateway.dir.path().join("data/database")).into_iter().flatten().flatten() {
        let text = std::fs::read(file.path()).unwrap_or_default();
        assert!(!text.windows(token.len()).any(|part| part == token.as_bytes()), "{:?} has the token", file.path());
    }
}

fn gatehouse(gateway: &TestGateway, token: &str, words: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatehouse"));
    command.args(words.split_whitespace()).args(["--admin", &format!("http://{}", gateway.admin)]).env_clear();
    if !token.is_empty() {
        command.env("GATEHOUSE_ADMIN_TOKEN", token);
    }
    command.current_dir(gateway.dir.path().join("journal")).output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_are_made_listed_and_revoked_from_a_shell() {
    let origin = Upstream::replying("hello").start().await;
    let gateway = TestGateway::to(&origin).plaintext().start().await;
    let run = |token: &str, words: &str| {
        let output = tokio::task::block_in_place(|| gatehouse(&gateway, token, words));
        let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    };
    let (code, made, said) = run("", "operator create ada --role owner");
    assert!(code == 0 && said.contains("shown this once"), "{made}{said}");
    // The token is alone on stdout, so that a shell can take it.
    let token = made.trim_end().to_owned();
    assert!(token.starts_with("gh_admin_") && !token.contains(char::is_whitespace) && !said.contains(&token), "{made}{said}");
    let (code, _, refused) = run("", "operator list");
    assert!(code == 1 && refused.contains("GATEHOUSE_ADMIN_TOKEN"), "{refused}");
    let (_, made, _) = run(&token, "operator create ci --role read-only --expires 90d -o json");
    let ci: Value = serde_json::from_str(&made).unwrap();
    let (_, listed, _) = run(&token, "operator list");
    assert!(listed.contains("ada") && listed.contains("read-only") && !listed.contains(ci["secret"].as_str().unwrap()), "{listed}");
    let (code, _, refused) = run(ci["secret"].as_str().unwrap(), "tenant create acme --name Acme --plan free");
    assert!(code == 1 && refused.contains("owner or support") && refused.contains("read-only"), "{refused}");
    assert_eq!(run(&token, "operator create x --role read-only --expires soon").0, 2);
    assert_eq!(run(&token, "operator revoke ci --reason done").0, 0);
    assert_eq!(run(ci["secret"].as_str().unwrap(), "tenant list").0, 1);
    let (_, rows, _) = run(&token, "audit --action operator.* -o json");
    let rows: Value = serde_json::from_str(&rows).unwrap();
    let told = (&rows[0]["actor"], &rows[0]["action"], &rows[0]["reason"]);
    assert_eq!(told, (&json!("ada"), &json!("operator.revoked"), &json!("done")));
}
