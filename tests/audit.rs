//! What the admin API has acknowledged is durable, and each change has its row in the audit log.

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
