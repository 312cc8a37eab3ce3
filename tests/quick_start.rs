//! The product's `curl` lines against the admin listener work as they are printed, whatever its port.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{TestGateway, Upstream};

/// Runs a line as a shell does, with the listener's port for 3000 and a tenant's id for the example's.
fn shell(line: &str, port: u16, id: &str) -> Value {
    let line = line.replace("localhost:3000", &format!("localhost:{port}")).replace("tenant_123", id).replacen("curl", "curl -sS", 1);
    let output = Command::new("sh").args(["-c", &line]).env_remove("http_proxy").output().expect("a shell");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{line}: {}", String::from_utf8_lossy(&output.stdout)))
}

/// Both are objects, and every member of `shown` is in `found`, of the same kind.
#[track_caller]
fn has_shape(found: &Value, shown: &Value) {
    for (name, value) in shown.as_object().unwrap() {
        let member = &found[name];
        assert_eq!(std::mem::discriminant(member), std::mem::discriminant(value), "{name} in {found}");
        if value.is_object() {
            has_shape(member, value);
        }
    }
}

#[tokio::test]
async fn the_curl_lines_of_the_description_answer_as_described() {
    let origin = Upstream::replying("hello").start().await;
    let gateway = TestGateway::to(&origin).plaintext().start().await;
    let port = gateway.admin.port();
    let create = r##"curl -X POST http://localhost:3000/admin/tenants \
  -H "Content-Type: application/json" \
  -d '{
    "name": "Acme Corp",
    "slug": "acme",
    "plan": "pro",
    "billingCycle": "monthly",
    "customDomain": "acme.com"
  }'"##;
    let limits = json!({"maxUsers": 50, "maxProjects": 100, "maxStorage": 107374182400_u64, "maxApiCalls": 100000, "maxBandwidth": 1099511627776_u64});
    let config = json!({"branding": {"primaryColor": "#3B82F6"}, "features": {}, "settings": {}});
    let acme = shell(create, port, "");
    let exact = json!({"name": "Acme Corp", "slug": "acme", "status": "trial", "plan": "pro", "billingCycle": "monthly",
                       "customDomain": "acme.com", "config": config, "limits": limits});
    for (name, value) in exact.as_object().unwrap() {
        assert_eq!(&acme[name], value, "{name}");
    }
    let id = acme["id"].as_str().unwrap();
    assert!(id.starts_with("tenant_"), "{id}");
    assert_eq!(acme["trialEndsAt"].as_i64().unwrap() - acme["createdAt"].as_i64().unwrap(), 14 * 86_400_000);

    let listed = shell("curl http://localhost:3000/admin/tenants", port, id);
    assert_eq!(listed["data"], json!([acme]));
    assert_eq!(shell("curl http://localhost:3000/admin/tenants/tenant_123", port, id), acme);
    let change = r#"curl -X PUT http://localhost:3000/admin/tenants/tenant_123/subscription \
  -H "Content-Type: application/json" \
  -d '{
    "plan": "enterprise",
    "billingCycle": "yearly"
  }'"#;
    let changed = shell(change, port, id);
    assert_eq!((&changed["id"], &changed["plan"], &changed["billingCycle"]), (&acme["id"], &json!("enterprise"), &json!("yearly")));
    assert_eq!(changed["limits"]["maxApiCalls"], Value::Null, "enterprise has no such limit");

    let usage = shell("curl http://localhost:3000/admin/tenants/tenant_123/usage", port, id);
    has_shape(
        &usage,
        &json!({"tenantId": "", "period": "", "apiCalls": 0, "storage": 0, "bandwidth": 0, "activeUsers": 0, "timestamp": 0}),
    );
    assert_eq!((&usage["tenantId"], usage["period"].as_str().unwrap().len()), (&acme["id"], "2025-01".len()));
    assert!(shell("curl http://localhost:3000/admin/tenants/tenant_123/invoices", port, id).is_array());
    let told = shell("curl http://localhost:3000/api/tenant \\\n  -H \"X-Tenant-Id: tenant_123\"", port, id);
    has_shape(&told, &json!({"id": "", "name": "", "plan": "", "config": config}));
    let used = shell("curl http://localhost:3000/api/usage \\\n  -H \"X-Tenant-Id: tenant_123\"", port, id);
    has_shape(&used, &json!({"usage": {"apiCalls": 0, "storage": 0, "bandwidth": 0, "activeUsers": 0}, "limits": {}}));
    let test = r#"curl -X POST http://localhost:3000/admin/tenants \
  -H "Content-Type: application/json" \
  -d '{
    "name": "Test Corp",
    "slug": "test",
    "plan": "starter",
    "billingCycle": "monthly"
  }'"#;
    let test = shell(test, port, id);
    assert_eq!((&test["slug"], &test["plan"], &test["customDomain"]), (&json!("test"), &json!("starter"), &Value::Null));
}
