//! What is counted, and what a gRPC client sees of a refusal: the gateway answers over HTTP, and the client's library makes a
//! status of that (gRPC's document "HTTP to gRPC Status Code Mapping").

use http::Method;
use serde_json::{Value, json};

use super::peer::{App, Way};
use crate::support::{TestGateway, tenant, within_one_day};

const ONE: &str = "one_call";

/// The status and details of one call.
async fn outcome(gateway: &TestGateway, slug: &str) -> (String, Value) {
    let verdict = Way::through(gateway, slug).case(ONE).await.remove(ONE).unwrap();
    (format!("{} {}", verdict["status"].as_str().unwrap(), verdict["details"].as_str().unwrap()), verdict)
}

fn refused_with(status: u16, code: &str) -> String {
    format!("{code} Received http2 header with status: {status}")
}

#[tokio::test]
async fn each_call_counts_once_and_messages_as_they_are_on_the_wire() {
    within_one_day().await;
    let app = App::start(&[]).await;
    let gateway = TestGateway::to_url(&app.url()).tenant(tenant("acme")).tenant(tenant("globex")).start().await;
    const CASE: &str = "ten_calls_of_each_kind";
    let said = Way::through(&gateway, "acme").case(CASE).await.remove(CASE).unwrap();
    let usage = gateway.usage("acme").await;
    assert_eq!((&usage["apiCalls"], &usage["bandwidth"], &usage["ingress"]), (&said["calls"], &said["down"], &said["up"]));

    // Six calls with 1.6 MB each way: three answers are compressed, and four requests.
    Way::through(&gateway, "globex").case("unary_that_compresses").await;
    let usage = gateway.usage("globex").await;
    let number = |name: &str| usage[name].as_u64().unwrap();
    assert_eq!(number("apiCalls"), 6);
    assert!((4_800_000..4_900_000).contains(&number("bandwidth")), "{usage}");
    assert!((3_200_000..3_300_000).contains(&number("ingress")), "{usage}");
}

#[tokio::test]
async fn a_refused_call_has_the_status_that_grpc_gives_to_http_s_and_does_not_count() {
    within_one_day().await;
    let app = App::start(&[]).await;
    let tenants = [tenant("acme"), tenant("hasty").rate(1, 1), tenant("spent").calls_per_day(1)];
    let builder = TestGateway::to_url(&app.url());
    let gateway = tenants.into_iter().fold(builder, crate::support::gateway::GatewayBuilder::tenant).start().await;

    let (served, verdict) = outcome(&gateway, "spent").await;
    assert_eq!((served.as_str(), &verdict["answer"]), ("OK ", &json!("hello")));
    assert_eq!(outcome(&gateway, "spent").await.0, refused_with(429, "UNAVAILABLE"));
    let hasty = Way::through(&gateway, "hasty").case("two_calls").await.remove("two_calls").unwrap();
    assert_eq!((&hasty[0]["status"], &hasty[1]["status"]), (&json!("OK"), &json!("UNAVAILABLE")), "{hasty}");
    gateway.admin(Method::POST, "/admin/tenants/acme/suspend", json!({"reason": "test"})).await.expect(200);
    assert_eq!(outcome(&gateway, "acme").await.0, refused_with(403, "PERMISSION_DENIED"));
    assert_eq!(outcome(&gateway, "nobody").await.0, refused_with(404, "UNIMPLEMENTED"));
    assert_eq!(outcome(&gateway, "api").await.0, refused_with(401, "UNAUTHENTICATED"));
    for (slug, calls) in [("spent", 1), ("hasty", 1), ("acme", 0)] {
        assert_eq!(gateway.usage(slug).await["apiCalls"], calls, "{slug}");
    }
}

#[tokio::test]
async fn an_app_that_is_not_there_or_takes_too_long_is_unavailable_and_nothing_counts() {
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gateway = TestGateway::to_url(&format!("h2c://{nowhere}")).tenant(tenant("acme")).start().await;
    assert_eq!(outcome(&gateway, "acme").await.0, refused_with(502, "UNAVAILABLE"));
    assert_eq!(gateway.usage("acme").await["apiCalls"], 0);

    let app = App::start(&[]).await;
    let gateway = TestGateway::to_url(&app.url()).set("upstream.response_timeout", "1s").tenant(tenant("acme")).start().await;
    const CASE: &str = "an_answer_that_takes_too_long_without_a_deadline";
    let verdict = Way::through(&gateway, "acme").case(CASE).await.remove(CASE).unwrap();
    assert_eq!((&verdict["status"], &verdict["details"]), (&json!("UNAVAILABLE"), &json!("Received http2 header with status: 504")));
    assert_eq!(gateway.usage("acme").await["apiCalls"], 0);
}
