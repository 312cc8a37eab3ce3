//! What the admin API has acknowledged is durable, and each change has its row in the audit log.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use http::Method;
use serde_json::{Value, json};

use crate::support::{TestGateway, Upstream, eventually, tenant};

#[tokio::test]
async fn every_change_is_in_the_audit_with_who_what_and_which_request_and_stays_there() {
    let origin = Upstream::replying("hello").start().await;
    let mut gateway = TestGateway::to(&origin).tenant(tenant("acme").plan("pro")).tenant(tenant("globex")).start().await;
    let id = gateway.admin(Method::GET, "/admin/tenants/acme", Value::Null).await.json()["id"].as_str().unwrap().to_owned();
    let mut expected = vec![("tenant.created".to_owned(), String::new())];
    let mut key = String::new();
    let steps: [(Method, &str, Value, &str); 11] = [
        (Method::PATCH, "", json!({"name": "Acme Inc", "upstream": origin.url()}), "tenant.updated"),
        (Method::PUT, "/subscription", json!({"plan": "starter"}), "subscription.changed"),
        (Method::PATCH, "/config", json!({"branding": {"primaryColor": "#ff0000"}}), "config.updated"),
        (Method::PUT, "/features/x", json!({"enabled": true}), "feature.set"),
        (Method::POST, "/keys", json!({"name": "ci"}), "key.created"),
        (Method::DELETE, "/keys/", Value::Null, "key.revoked"),
        (Method::POST, "/suspend", json!({"reason": "unpaid"}), "tenant.suspended"),
        (Method::POST, "/activate", json!({}), "tenant.activated"),
        (Method::POST, "/cancel", json!({}), "tenant.canceled"),
        (Method::DELETE, "", Value::Null, "tenant.deleted"),
        (Method::POST, "/restore", json!({}), "tenant.restored"),
    ];
    for (method, path, body, action) in steps {
        let path = if path == "/keys/" { format!("/keys/{key}") } else { path.to_owned() };
        let answer = gateway.admin(method, &format!("/admin/tenants/{id}{path}"), body).await;
        assert!(answer.status == 200 || answer.status == 201, "{action}: {}", answer.text());
        if action == "key.created" {
            key = answer.json()["id"].as_str().unwrap().to_owned();
            assert!(!audit(&gateway, "acme").await.iter().any(|row| row.to_string().contains(answer.json()["secret"].as_str().unwrap())));
        }
        expected.push((action.to_owned(), answer.header("x-request-id").to_owned()));
    }
    // A refused change leaves no row.
    gateway.admin(Method::POST, "/admin/tenants/acme/restore", json!({})).await.expect(409);
    let rows = audit(&gateway, &id).await;
    let mut newest_first = rows.iter().rev();
    for (action, request) in &expected {
        let row = newest_first.next().unwrap_or_else(|| panic!("no row for {action}: {rows:?}"));
        assert_eq!((row["action"].as_str().unwrap(), row["tenantId"].as_str().unwrap()), (&**action, &*id), "{row}");
        assert_eq!(row["actor"], "loopback");
        assert!(row["time"].as_i64().unwrap() > 1_700_000_000_000 && row["id"].is_string(), "{row}");
        assert!(request.is_empty() || row["requestId"] == **request, "{row}");
        assert!(row["before"].is_object() || row["after"].is_object(), "{row}");
    }
    assert_eq!(newest_first.next(), None);
    let suspended = rows.iter().find(|row| row["action"] == "tenant.suspended").unwrap();
    assert_eq!((&suspended["before"]["status"], &suspended["after"]["status"]), (&json!("trial"), &json!("suspended")));
    let all = gateway.admin(Method::GET, "/admin/audit?limit=500", Value::Null).await.expect(200).json();
    assert_eq!(all["data"].as_array().unwrap().len(), expected.len() + 1, "globex has its own row");
    gateway.signal("KILL");
    gateway.ended().await;
    gateway.start_again().await;
    assert_eq!(audit(&gateway, &id).await, rows, "what was answered is durable");
}

async fn audit(gateway: &TestGateway, tenant: &str) -> Vec<Value> {
    let answer = gateway.admin(Method::GET, &format!("/admin/audit?limit=500&tenant={tenant}"), Value::Null).await.expect(200);
    answer.json()["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_kill_with_one_audit_row_each() {
    let origin = Upstream::replying("hello").start().await;
    let mut gateway = TestGateway::to(&origin).start().await;
    let (mut made, mut begun) = (Vec::new(), 0);
    for round in 0..3 {
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let mut clients = tokio::task::JoinSet::new();
        for client in 0..8 {
            let (http, url, acknowledged) =
                (gateway.client.clone(), format!("http://{}/admin/tenants", gateway.admin), Arc::clone(&acknowledged));
            clients.spawn(async move {
                let mut mine = Vec::new();
                for nth in 0.. {
                    let slug = format!("t-{round}-{client}-{nth}");
                    let body = json!({"name": "X", "slug": slug, "plan": "pro"}).to_string();
                    let sent = http.post(&url).header("content-type", "application/json").body(body).send().await;
                    let Ok(answer) = sent else { break };
                    let (status, whole) = (answer.status(), answer.bytes().await.is_ok());
                    assert_eq!(status, 201);
                    if !whole {
                        break;
                    }
                    mine.push(slug);
                    acknowledged.fetch_add(1, SeqCst);
                }
                mine
            });
        }
        eventually("some tenants are made", || async { (acknowledged.load(SeqCst) > 40).then_some(()) }).await;
        gateway.signal("KILL");
        gateway.ended().await;
        made.extend(clients.join_all().await.into_iter().flatten());
        begun += 8;
        gateway.start_again().await;
    }
    let all = |path: &'static str| {
        let gateway = &gateway;
        async move {
            let (mut rows, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = gateway.admin(Method::GET, &format!("{path}limit=500{cursor}"), Value::Null).await.expect(200).json();
                rows.extend(page["data"].as_array().unwrap().clone());
                match page["nextCursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => return rows,
                }
            }
        }
    };
    let (tenants, rows) = (all("/admin/tenants?").await, all("/admin/audit?action=tenant.created&").await);
    assert!(
        tenants.len() >= made.len() && tenants.len() <= made.len() + begun,
        "{} of {} to {}",
        tenants.len(),
        made.len(),
        made.len() + begun
    );
    let slugs: std::collections::HashSet<&str> = tenants.iter().map(|tenant| tenant["slug"].as_str().unwrap()).collect();
    assert!(made.iter().all(|slug| slugs.contains(&**slug)), "what was answered 201 is there");
    let ids = |of: &[Value], member: &str| {
        of.iter().map(|one| one[member].as_str().unwrap().to_owned()).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!((ids(&rows, "tenantId"), rows.len()), (ids(&tenants, "id"), tenants.len()), "each with its row, in the same commit");
    for slug in made.iter().step_by(37) {
        gateway.get(slug, "/").await.expect(200);
    }
}

/// Runs a verb, with this on its standard input.
fn output(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

fn gatehouse(gateway: &TestGateway, words: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatehouse"));
    let store = format!("store.path={}", gateway.dir.path().join("data").display());
    command.args(words.split_whitespace()).args(["--set", &store, "--set", &format!("listen.admin={}", gateway.admin)]);
    output(command.env_clear().current_dir(gateway.dir.path()), b"")
}

fn text(octets: &[u8]) -> String {
    String::from_utf8(octets.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_can_be_checked_by_the_gateway_without_it_and_by_a_stranger() {
    let origin = Upstream::replying("hello").start().await;
    let mut gateway = TestGateway::to(&origin).plaintext().tenant(tenant("acme").plan("pro")).tenant(tenant("globex")).start().await;
    gateway.admin(Method::POST, "/admin/tenants/acme/suspend", json!({})).await.expect(200);
    let (online, export) = tokio::task::block_in_place(|| (gatehouse(&gateway, "audit verify"), gatehouse(&gateway, "audit export")));
    assert!(online.status.success() && text(&online.stdout).starts_with("the log is whole: 3 rows\n"), "{online:?}");
    let head = text(&online.stdout).lines().find_map(|line| line.strip_prefix("head")).unwrap().trim().to_owned();

    let python = |lines: &[u8]| output(Command::new("python3").arg("examples/audit/verify.py"), lines);
    let checked = tokio::task::block_in_place(|| python(&export.stdout));
    assert_eq!(text(&checked.stdout), format!("3 rows, 3 of them linked to the one before, head {head}\n"), "{checked:?}");
    let lines: Vec<String> = text(&export.stdout).lines().map(str::to_owned).collect();
    let changed = text(&export.stdout).replace("\"tenant.suspended\"", "\"tenant.activated\"");
    let swapped = [&lines[0], &lines[2], &lines[1]].map(|line| format!("{line}\n")).concat();
    let one = tokio::task::block_in_place(|| gatehouse(&gateway, "audit export --tenant globex")).stdout;
    let [changed, swapped, one] = tokio::task::block_in_place(|| [changed.as_bytes(), swapped.as_bytes(), &one].map(python));
    assert!(!changed.status.success() && text(&changed.stderr).contains("row 3 was changed"), "{changed:?}");
    assert!(text(&swapped.stdout).starts_with("3 rows, 1 of them"), "{swapped:?}");
    assert!(one.status.success() && text(&one.stdout).starts_with("1 rows, 0 of them"), "{one:?}");

    assert!(gateway.stop().await.success());
    let offline = tokio::task::block_in_place(|| gatehouse(&gateway, &format!("audit verify --head {head} -o json")));
    let told: Value = serde_json::from_slice(&offline.stdout).unwrap();
    assert_eq!((offline.status.code(), &told["whole"], &told["head"]), (Some(0), &json!(true), &json!(head)), "{offline:?}");
    let later = format!("audit verify --head 4{}", &head[1..]);
    let refused = tokio::task::block_in_place(|| (gatehouse(&gateway, &later), gatehouse(&gateway, "audit verify --head 4")));
    assert_eq!((refused.0.status.code(), refused.1.status.code()), (Some(1), Some(2)), "{refused:?}");
    assert!(text(&refused.0.stdout).contains("row 4 is not there as it was"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_somebody_wrote_reaches_the_terminal_but_as_text() {
    let origin = Upstream::replying("hello").start().await;
    let gateway = TestGateway::to(&origin).plaintext().tenant(tenant("acme").plan("pro")).start().await;
    let reason = "\u{1b}[2J\u{9b}31m \u{202e}gnp\u{2028}.\u{7f}";
    gateway.admin(Method::POST, "/admin/tenants/acme/suspend", json!({"reason": reason})).await.expect(200);
    for words in ["audit", "audit -o json", "audit export", "tenant show acme", "tenant show acme -o json", "tenant list"] {
        let shown = tokio::task::block_in_place(|| gatehouse(&gateway, words));
        let shown = text(&shown.stdout);
        assert!(shown.contains("acme"), "{words}: {shown}");
        let odd = |it: char| (it.is_control() && it != '\n') || "\u{2028}\u{202e}".contains(it);
        assert!(!shown.contains(odd), "{words}: {shown:?}");
        if words == "tenant show acme -o json" {
            assert_eq!(serde_json::from_str::<Value>(&shown).unwrap()["statusReason"], reason, "JSON says the same in escapes");
        }
    }
    let said = "tenant activate acme --reason ticket-7";
    let said = tokio::task::block_in_place(|| gatehouse(&gateway, said));
    assert!(said.status.success(), "{said:?}");
    assert_eq!(audit(&gateway, "acme").await[0]["reason"], "ticket-7");
    assert_eq!(audit(&gateway, "acme").await[0]["source"], "127.0.0.1");
}
