//! Messages of any size, in one frame or in many, and pings among them, pass both ways as they are.

use serde_json::{Value, json};

use super::{PATIENCE, output, script};
use crate::support::peers::Server;
use crate::support::{TestGateway, tenant};

/// What a client over this version of HTTP sees of messages of this size that an app sends back, and by how many kB the
/// gateway grew with them.
async fn messages_over(version: &str, mib: u64) -> (Value, u64) {
    let app = Server::start(&mut script("obedient_server.py").await).await;
    let gateway = TestGateway::to_url(&app.url()).tenant(tenant("acme")).start().await;
    gateway.get("acme", "/").await;
    let idle = gateway.memory_kb("VmRSS");
    let mut client = script("messages_client.py").await;
    client.args(["acme.example.localhost", &gateway.https.unwrap().port().to_string()]).arg(gateway.ca());
    client.args([version, &mib.to_string()]);
    let seen = serde_json::from_str(&output(client, PATIENCE).await).unwrap();
    // Both ways of two messages.
    let bandwidth = gateway.usage("acme").await["bandwidth"].as_u64().unwrap();
    assert!(bandwidth >= (4 * mib) << 20, "{bandwidth}");
    (seen, gateway.memory_kb("VmHWM").saturating_sub(idle))
}

fn all() -> Value {
    let seen = ["inOneFrame", "inParts", "pongsWithin", "pingedByTheApp", "after", "pongs"];
    seen.into_iter().map(|name| (name.to_owned(), json!(true))).collect::<serde_json::Map<_, _>>().into()
}

#[tokio::test]
async fn messages_of_64_mib_pass_both_ways_with_pings_among_them_in_flat_memory() {
    for version in ["1.1", "2"] {
        let (seen, grown) = messages_over(version, 64).await;
        assert_eq!(seen, all(), "HTTP/{version}");
        assert!(grown < 20_000, "HTTP/{version}: {grown} kB");
    }
}
