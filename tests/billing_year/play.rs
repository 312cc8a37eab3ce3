//! Plays a scenario on a gateway: moves billing time from one moment to the next, and asks for what is to be asked for then.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use http::Method;
use serde_json::{Value, json};

use super::scenario::Step;
use crate::support::{Answer, TestGateway};

/// Tenants that are asked for at the same time.
const AT_ONCE: usize = 16;

/// Moves billing time.
pub async fn move_to(gateway: &TestGateway, at: i64) {
    gateway.admin(Method::POST, "/admin/clock", json!({"to": at})).await.expect(200);
}

/// Asks for everything of a moment, at which billing time stands; what was refused.
pub async fn ask(gateway: &TestGateway, step: &Step) -> Vec<String> {
    let asked = stream::iter(&step.actions).map(|action| async move {
        let (slug, verb) = (action["tenant"].as_str().unwrap(), action["do"].as_str().unwrap());
        (!act(gateway, slug, verb, action).await).then(|| format!("{} {slug} {verb}", step.at))
    });
    asked.buffer_unordered(AT_ONCE).filter_map(|refused| async { refused }).collect().await
}

/// Does one thing; false where the tenant's state does not allow it.
async fn act(gateway: &TestGateway, slug: &str, verb: &str, action: &Value) -> bool {
    let post = |path: String, body: Value| async move { gateway.admin(Method::POST, &path, body).await };
    let of = |verb: &str| format!("/admin/tenants/{slug}/{verb}");
    match verb {
        "create" => {
            let mut body = action["who"].clone();
            (body["name"], body["slug"]) = (json!(slug), json!(slug));
            post("/admin/tenants".to_owned(), body).await.expect(201);
            true
        }
        "subscribe" => {
            let named = action["addOns"].as_array().unwrap().iter().map(|it| json!({"name": it[0], "quantity": it[1]}));
            let body = json!({"plan": action["plan"], "billingCycle": action["billingCycle"], "addOns": named.collect::<Vec<_>>()});
            is_done(&gateway.admin(Method::PUT, &of("subscription"), body).await)
        }
        "cancel" => is_done(&post(of("cancel"), json!({"atPeriodEnd": action["atPeriodEnd"]})).await),
        "suspend" | "activate" => is_done(&post(of(verb), Value::Null).await),
        "pay" => {
            for invoice in invoices(gateway, slug, |invoice| invoice["status"] == "open").await.iter().rev() {
                post(format!("/admin/invoices/{}/pay", id(invoice)), Value::Null).await.expect(200);
            }
            true
        }
        "credit" => {
            let can = |it: &Value| (it["status"] == "open" || it["status"] == "paid") && it["amountMinor"].as_i64().unwrap() >= 100;
            if let Some(invoice) = invoices(gateway, slug, can).await.first() {
                let amount = invoice["amountMinor"].as_i64().unwrap() * action["percent"].as_i64().unwrap() / 100;
                let answer = post(format!("/admin/invoices/{}/credit", id(invoice)), json!({"amountMinor": amount})).await;
                // More than is left of it is a mistake in what was asked for.
                return answer.status != 422 && is_done(&answer);
            }
            true
        }
        "void" => {
            if let Some(invoice) = invoices(gateway, slug, |invoice| invoice["status"] == "open").await.first() {
                return is_done(&post(format!("/admin/invoices/{}/void", id(invoice)), Value::Null).await);
            }
            true
        }
        "report" => {
            post(of("usage"), json!({"meter": "storage", "value": action["level"]})).await.expect(200);
            true
        }
        "calls" => {
            for _ in 0..action["many"].as_u64().unwrap() {
                let status = gateway.get(slug, "/").await.status;
                // Who is not served is refused, and nothing is counted.
                assert!(matches!(status, 200 | 403 | 404), "{slug}: {status}");
            }
            true
        }
        _ => panic!("{verb}"),
    }
}

fn is_done(answer: &Answer) -> bool {
    assert!(answer.status == 200 || answer.status == 409, "{}", answer.text());
    answer.status == 200
}

fn id(invoice: &Value) -> &str {
    invoice["id"].as_str().unwrap()
}

/// Invoices of a tenant that `wanted` accepts, newest first.
async fn invoices(gateway: &TestGateway, slug: &str, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
    let path = format!("/admin/tenants/{slug}/invoices?limit=100");
    let Value::Array(found) = gateway.admin(Method::GET, &path, Value::Null).await.expect(200).json() else { panic!("no list") };
    found.into_iter().filter(wanted).collect()
}

/// Every page of a list, newest first.
pub async fn all(gateway: &TestGateway, list: &str) -> Vec<Value> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = gateway.admin(Method::GET, &format!("{list}?limit=500{cursor}"), Value::Null).await.expect(200).json();
        found.extend(page["data"].as_array().unwrap().iter().cloned());
        let Some(next) = page["nextCursor"].as_str() else { return found };
        cursor = format!("&cursor={next}");
    }
}

/// How all tenants stand, each with its invoices from the oldest on, by slug.
pub async fn outcome(gateway: &TestGateway) -> BTreeMap<String, (Value, Vec<Value>)> {
    let tenants = all(gateway, "/admin/tenants").await;
    let mut of: BTreeMap<String, (Value, Vec<Value>)> = BTreeMap::new();
    let slugs: BTreeMap<&str, &str> = tenants.iter().map(|it| (id(it), it["slug"].as_str().unwrap())).collect();
    for tenant in &tenants {
        of.insert(tenant["slug"].as_str().unwrap().to_owned(), (tenant.clone(), Vec::new()));
    }
    for invoice in all(gateway, "/admin/invoices").await.into_iter().rev() {
        let slug = slugs[invoice["tenantId"].as_str().unwrap()];
        of.get_mut(slug).unwrap().1.push(invoice);
    }
    of
}

/// Asks each of these invoices to explain itself.
pub async fn explain(gateway: &TestGateway, ids: Vec<String>) {
    let asked = stream::iter(ids).map(|id| async move {
        let explained = gateway.admin(Method::GET, &format!("/admin/invoices/{id}/explain"), Value::Null).await.expect(200).json();
        assert_eq!(explained["agrees"], true, "{explained}");
    });
    asked.buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}
