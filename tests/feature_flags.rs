//! Feature flags: what is decided reaches the app and the routes with the next request, on open connections too, and is the same
//! after a restart.

use std::process::Command;

use http::{Method, Version};
use serde_json::{Value, json};

use crate::support::peers::debian;
use crate::support::{TestGateway, Upstream, tenant};

const SETTINGS: &str = r#"
[plans.pro]
features = { reports = true, chat = false }

[[route]]
path = "/beta/*"
feature = "beta"
"#;

async fn roll_out(gateway: &TestGateway, flag: &str, body: Value) {
    gateway.admin(Method::PUT, &format!("/admin/features/{flag}"), body).await.expect(200);
}

#[tokio::test]
async fn a_changed_flag_is_seen_by_the_next_request_of_an_open_connection_and_after_a_restart() {
    let origin = Upstream::echoing().start().await;
    let mut gateway =
        TestGateway::to(&origin).toml(SETTINGS).tenant(tenant("acme").plan("pro")).tenant(tenant("globex").plan("free")).start().await;
    let (mut acme, mut globex) = (gateway.connect(Version::HTTP_11, "acme").await, gateway.connect(Version::HTTP_2, "globex").await);
    let said = |echo: Value| echo["headers"]["x-tenant-features"][0].as_str().map(str::to_owned);
    for _ in 0..3 {
        // What was said is remembered from the second request on.
        assert_eq!(said(acme.get("/").await.expect(200).json()).as_deref(), Some("reports"));
        assert_eq!(said(globex.get("/").await.expect(200).json()), None);
    }
    acme.get("/beta/x").await.expect(403).code("feature_disabled");

    roll_out(&gateway, "beta", json!({"percentage": 100, "plans": ["pro"]})).await;
    roll_out(&gateway, "chat", json!({"percentage": 100})).await;
    roll_out(&gateway, "each", json!({"percentage": 100, "by": "user"})).await;
    acme.get("/beta/x").await.expect(200);
    globex.get("/beta/x").await.expect(403).code("feature_disabled");
    assert_eq!(said(acme.get("/").await.expect(200).json()).as_deref(), Some("beta,reports"), "its plan has no chat");
    assert_eq!(said(globex.get("/").await.expect(200).json()).as_deref(), Some("chat"));

    let off = json!({"enabled": false});
    gateway.admin(Method::PUT, "/admin/tenants/acme/features/beta", off).await.expect(200);
    acme.get("/beta/x").await.expect(403).code("feature_disabled");
    gateway.admin(Method::DELETE, "/admin/features/chat", Value::Null).await.expect(200);
    assert_eq!(said(globex.get("/").await.expect(200).json()), None);

    assert!(gateway.stop().await.success());
    gateway.start_again().await;
    let mut acme = gateway.connect(Version::HTTP_11, "acme").await;
    acme.get("/beta/x").await.expect(403).code("feature_disabled");
    gateway.admin(Method::DELETE, "/admin/tenants/acme/features/beta", Value::Null).await.expect(200);
    acme.get("/beta/x").await.expect(200);
    assert_eq!(said(acme.get("/").await.expect(200).json()).as_deref(), Some("beta,reports"));
    let rows = gateway.admin(Method::GET, "/admin/audit?action=feature.*", Value::Null).await.expect(200).json();
    let actions: Vec<&str> = rows["data"].as_array().unwrap().iter().map(|row| row["action"].as_str().unwrap()).collect();
    let rolled_out = "feature.rolled_out";
    assert_eq!(actions, ["feature.removed", "feature.rollout_removed", "feature.set", rolled_out, rolled_out, rolled_out]);
}

/// As the README shows it.
const PYTHON: &str = r#"
import hashlib, sys

def has_flag(flag, percentage, key):
    digest = hashlib.sha256(flag.encode() + b"\0" + key.encode()).digest()
    return int.from_bytes(digest[:8], "big") % 10000 < round(percentage * 100)

for line in sys.stdin.read().splitlines():
    print(int(has_flag(sys.argv[1], float(sys.argv[2]), line)))
"#;

#[tokio::test]
async fn who_has_a_flag_can_be_computed_by_others() {
    let origin = Upstream::echoing().start().await;
    let slugs: Vec<String> = (0..20).map(|at| format!("tenant-{at}")).collect();
    let builder = slugs.iter().fold(TestGateway::to(&origin).plaintext(), |builder, slug| builder.tenant(tenant(slug)));
    let gateway = builder.start().await;
    roll_out(&gateway, "half", json!({"percentage": 43.21})).await;
    roll_out(&gateway, "users", json!({"percentage": 43.21, "by": "user"})).await;
    for (flag, users) in [("half", vec![""]), ("users", vec!["ann", "b@example.com", "ü", "4711"])] {
        let (mut keys, mut told) = (Vec::new(), Vec::new());
        for slug in &slugs {
            let id = gateway.admin(Method::GET, &format!("/admin/tenants/{slug}"), Value::Null).await.expect(200).json()["id"].clone();
            for user in &users {
                let query: String = url::form_urlencoded::byte_serialize(user.as_bytes()).collect();
                let path = format!("/admin/tenants/{slug}/features?user={query}");
                let all = gateway.admin(Method::GET, &path, Value::Null).await.expect(200).json();
                let state = all["data"].as_array().unwrap().iter().find(|state| state["name"] == flag).unwrap().clone();
                told.push(if state["enabled"] == true { "1" } else { "0" });
                let id = id.as_str().unwrap();
                keys.push(if user.is_empty() { id.to_owned() } else { format!("{id}/{user}") });
            }
        }
        let python = move || {
            let mut command = Command::new(debian("python3", "python3"));
            command.args(["-c", PYTHON, flag, "43.21"]).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
            let mut child = command.spawn().unwrap();
            std::io::Write::write_all(&mut child.stdin.take().unwrap(), keys.join("\n").as_bytes()).unwrap();
            String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
        };
        let computed = tokio::task::spawn_blocking(python).await.unwrap();
        assert_eq!(computed.split_whitespace().collect::<Vec<_>>(), told, "{flag}");
    }
}
