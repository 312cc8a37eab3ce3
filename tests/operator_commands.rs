//! What an operator does from a shell: tenants, plans, invoices and the audit log, by the real binary against a real gateway.

use std::process::Command;

use http::Method;
use serde_json::{Value, json};

use crate::support::{TestGateway, Upstream, tenant};

/// 2027-01-01T00:00:00Z.
const NEW_YEAR: i64 = 1_798_761_600_000;
const DAY: i64 = 86_400_000;

pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub fn has(self, parts: &[&str]) -> Self {
        parts.iter().for_each(|part| assert!(self.stdout.contains(part), "{part} in {}{}", self.stdout, self.stderr));
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", self.stdout, self.stderr))
    }
}

/// Runs a line of words against a gateway; a word in single quotes may have spaces.
pub async fn run(admin: &str, line: &str) -> Outcome {
    let words: Vec<String> = line
        .split('\'')
        .enumerate()
        .flat_map(|(at, part)| match at % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        })
        .collect();
    let admin = admin.to_owned();
    let run = move || {
        let dir = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatehouse"));
        command.args(words).args(["--admin", &admin]).current_dir(dir.path()).env_clear().output().expect("the binary runs")
    };
    let output = tokio::task::spawn_blocking(run).await.expect("it runs");
    let text = |octets| String::from_utf8(octets).expect("text");
    Outcome { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A gateway whose billing time stands still at the beginning of 2027.
async fn gateway() -> (TestGateway, String) {
    let origin = Upstream::replying("hello").start().await;
    let gateway = TestGateway::to(&origin).plaintext().set("dev.test_clock", "true").start().await;
    move_to(&gateway, 0).await;
    let admin = format!("http://{}", gateway.admin);
    (gateway, admin)
}

async fn move_to(gateway: &TestGateway, days: i64) {
    gateway.admin(Method::POST, "/admin/clock", json!({"to": NEW_YEAR + days * DAY})).await.expect(200);
}

#[tokio::test]
async fn a_tenant_is_led_through_its_life() {
    let (gateway, admin) = gateway().await;
    run(&admin, "tenant create acme --name 'Acme Corp' --plan starter").await.expect(0).has(&[
        "acme",
        "Acme Corp",
        "trial",
        "starter v1, monthly",
    ]);
    run(&admin, "tenant create acme --plan starter").await.expect(1);
    move_to(&gateway, 15).await;
    run(&admin, "tenant list --status active --plan starter").await.expect(0).has(&["acme", "2027-02-15", "29"]);
    run(&admin, "tenant change acme --plan pro --dry-run").await.expect(0).has(&["Starter Plan", "Pro Plan", "charged now", "67.75 USD"]);
    assert_eq!(run(&admin, "tenant show acme -o json").await.expect(0).json()["plan"], "starter");
    run(&admin, "tenant change acme --plan pro").await.expect(0).has(&["pro v1, monthly"]);
    run(&admin, "tenant suspend acme --reason 'late again'").await.expect(0).has(&["suspended", "late again"]);
    run(&admin, "tenant activate acme").await.expect(0).has(&["active"]);
    run(&admin, "tenant cancel acme --at-period-end").await.expect(0).has(&["canceled", "with the period"]);
    let id = run(&admin, "tenant delete acme -o json").await.expect(0).json()["id"].as_str().unwrap().to_owned();
    assert_eq!(run(&admin, "tenant list -o json").await.expect(0).json(), json!([]));
    run(&admin, &format!("tenant restore {id}")).await.expect(0).has(&["acme"]);
    run(&admin, "audit --tenant acme --action tenant.* --limit 2").await.expect(0).has(&["tenant.restored", "tenant.deleted", "loopback"]);
    let refused = run(&admin, "tenant show nobody").await.expect(1);
    assert!(refused.stdout.is_empty() && refused.stderr.contains("no tenant with the id or slug `nobody`"), "{}", refused.stderr);
    run(&admin, "tenant change acme --plan pro --cycle weekly").await.expect(2);
}

#[tokio::test]
async fn invoices_are_found_explained_paid_credited_and_voided() {
    let (gateway, admin) = gateway().await;
    gateway.create(&tenant("acme").plan("pro")).await.expect(201);
    gateway.create(&tenant("globex").plan("starter")).await.expect(201);
    move_to(&gateway, 15).await;
    run(&admin, "invoice list").await.expect(0).has(&["INV-000001", "INV-000002", "open", "99.00 USD", "29.00 USD", "2027-01-15"]);
    let mine = run(&admin, "invoice list --tenant acme -o json").await.expect(0).json();
    let (number, id) = (mine[0]["number"].as_str().unwrap().to_owned(), mine[0]["id"].as_str().unwrap().to_owned());
    run(&admin, &format!("invoice show {number}")).await.expect(0).has(&[&id, "Pro Plan", "left to pay  99.00 USD"]);
    run(&admin, &format!("invoice explain {id}")).await.expect(0).has(&["Pro Plan", "agrees", "computed again 99.00 USD"]);
    run(&admin, &format!("invoice credit {number} --amount 900 --reason 'an outage'")).await.expect(0).has(&["90.00 USD", "credit note"]);
    run(&admin, &format!("invoice pay {number} --reference 'transfer 4711'")).await.expect(0).has(&["paid", "transfer 4711"]);
    run(&admin, &format!("invoice credit {number} --amount 500 --refund")).await.expect(0);
    run(&admin, &format!("invoice void {number}")).await.expect(1);
    let other = if number == "INV-000001" { "INV-000002" } else { "INV-000001" };
    run(&admin, &format!("invoice void {other} --reason 'by mistake'")).await.expect(0).has(&["void", "by mistake"]);
    let more = run(&admin, "invoice list --limit 1").await.expect(0);
    assert!(more.stdout.lines().count() == 2 && more.stderr.contains("there are more"), "{}", more.stderr);
    assert!(run(&admin, "invoice show INV-9").await.expect(1).stderr.contains("there is no invoice `INV-9`"));
    run(&admin, "audit --action invoice.paid").await.expect(0).has(&[&number]);
}

#[tokio::test]
async fn tenants_are_moved_to_the_newest_version_of_their_plan_at_the_price_that_was_shown() {
    let (gateway, admin) = gateway().await;
    for slug in ["acme", "globex", "initech", "umbrella"] {
        gateway.create(&tenant(slug).plan("pro")).await.expect(201);
    }
    move_to(&gateway, 15).await;
    run(&admin, "tenant cancel umbrella").await.expect(0);
    run(&admin, "tenant change initech --plan starter").await.expect(0).has(&["changes to   starter v1"]);
    let mut pro = gateway.admin(Method::GET, "/admin/plans/pro", Value::Null).await.expect(200).json()["versions"][0].clone();
    let members = pro.as_object_mut().unwrap();
    members.remove("priceMonthlyMinor");
    members.insert("priceMonthly".to_owned(), json!("129.00"));
    gateway.admin(Method::POST, "/admin/plans", pro).await.expect(201);
    run(&admin, "plan list").await.expect(0).has(&["pro", "129.00 USD", "enterprise"]);
    run(&admin, "plan show pro").await.expect(0).has(&["VERSION", "129.00 USD", "99.00 USD", "api", "config"]);

    let shown = run(&admin, "plan move pro --dry-run -o json").await.expect(0).json();
    let of = |told: &Value, slug: &str| {
        let row = told.as_array().unwrap().iter().find(|row| row["tenant"] == slug).unwrap();
        (row["outcome"].as_str().unwrap().to_owned(), row["totalMinor"].clone())
    };
    assert_eq!(of(&shown, "acme"), ("would be moved".to_owned(), json!(2903)), "30 of 31 days of 30 more");
    assert_eq!((of(&shown, "initech").0, of(&shown, "umbrella").0), ("skipped".to_owned(), "skipped".to_owned()));
    let moved = run(&admin, "plan move pro -o json").await.expect(0).json();
    assert_eq!((of(&moved, "acme"), of(&moved, "globex")), (("moved".to_owned(), json!(2903)), ("moved".to_owned(), json!(2903))));
    run(&admin, "plan move pro --from 1").await.expect(0).has(&["initech", "skipped"]);
    assert_eq!(gateway.admin(Method::GET, "/admin/tenants/acme", Value::Null).await.json()["planVersion"], 2);
    assert!(run(&admin, "plan move pro --to 7").await.expect(1).stderr.contains("no version 7; its newest is 2"));
}

#[tokio::test]
async fn without_a_gateway_they_say_so() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for line in ["tenant list", "plan list", "invoice list", "audit", "domain list"] {
        let outcome = run(&format!("http://{closed}"), line).await.expect(1);
        assert!(outcome.stdout.is_empty() && outcome.stderr.contains("no gateway listens on"), "{line}: {}", outcome.stderr);
        run("https://127.0.0.1:1", line).await.expect(2);
    }
}
