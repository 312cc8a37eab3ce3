//! How a WebSocket ends: codes and reasons of either side, and ends without a word, are what the other side sees.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{PATIENCE, output, script};
use crate::support::peers::Server;
use crate::support::{TestGateway, tenant};

/// What `ends_client.py` tells.
#[derive(Deserialize)]
struct Told {
    /// Codes and reasons, in the order in which paths count.
    said: Vec<Value>,
    seen: BTreeMap<String, Seen>,
}

/// How one WebSocket ended.
#[derive(Debug, Deserialize, PartialEq)]
struct Seen {
    /// The code and the reason that the client received.
    client: Value,
    /// How a stream of HTTP/2 was reset.
    reset: Value,
    /// What the app received and sent, and whose was the first.
    app: Value,
}

async fn ends_over(version: &str) -> Told {
    let app = Server::start(&mut script("obedient_server.py").await).await;
    let gateway = TestGateway::to_url(&app.url()).tenant(tenant("acme")).start().await;
    let mut client = script("ends_client.py").await;
    client.args(["acme.example.localhost", &gateway.https.unwrap().port().to_string()]).arg(gateway.ca()).arg(version);
    serde_json::from_str(&output(client, PATIENCE).await).unwrap()
}

/// What both sides see of a WebSocket that one of them, `first`, closes with this code and reason.
fn closed(first: &str, said: &Value) -> Seen {
    Seen { client: said.clone(), reset: json!(null), app: json!([said, said, first]) }
}

#[tokio::test]
async fn codes_and_reasons_of_either_side_are_what_the_other_sees() {
    for version in ["1.1", "2"] {
        let told = ends_over(version).await;
        assert_eq!(told.said.len(), 14);
        for (at, said) in told.said.iter().enumerate() {
            for first in ["client", "app"] {
                assert_eq!(told.seen[&format!("/{first}/{at}")], closed(first, said), "HTTP/{version}, {first}: {said}");
            }
        }
        let empty = &told.seen["/client/empty"];
        assert_eq!((&empty.client[0], &empty.app[0][0], &empty.app[2]), (&json!(1005), &json!(1005), &json!("client")));
    }
}

#[tokio::test]
async fn an_end_without_a_word_is_one_at_the_other_side() {
    let without_a_word = json!([null, null, null]);
    // RFC 8441, section 5: an orderly end is that of the stream, any other resets it (CANCEL, 8).
    for (version, reset) in [("1.1", json!(null)), ("2", json!(8))] {
        let seen = ends_over(version).await.seen;
        let view = |path: &str| (&seen[path].client[0], &seen[path].reset, &seen[path].app);
        assert_eq!(view("/app/ends"), (&json!(1006), &json!(null), &without_a_word), "HTTP/{version}");
        assert_eq!(view("/app/breaks"), (&json!(1006), &reset, &without_a_word), "HTTP/{version}");
        assert_eq!((&seen["/client/breaks"].client[0], &seen["/client/breaks"].app), (&json!(1006), &without_a_word), "HTTP/{version}");
    }
}
