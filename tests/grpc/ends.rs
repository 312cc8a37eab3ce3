//! Connections that come and go under calls: an app that limits or ends them, a gateway that starts or stops.

use serde_json::json;

use super::peer::{App, Way, assert_same};
use crate::support::{TestGateway, tenant};

#[tokio::test]
async fn an_app_that_ends_its_connections_after_a_while_loses_no_call() {
    const CASE: &str = "calls_for_three_seconds";
    let app = App::start(&["grpc.max_connection_age_ms=400", "grpc.max_connection_age_grace_ms=10000"]).await;
    let gateway = TestGateway::to_url(&app.url()).tenant(tenant("acme")).start().await;
    let (direct, way) = (app.direct(), Way::through(&gateway, "acme"));
    let (direct, through) = tokio::join!(direct.case(CASE), way.case(CASE));
    assert_same(&direct, &through);
    assert_eq!(through[CASE]["enough"], true);
}

#[tokio::test]
async fn more_calls_than_an_app_s_connection_has_streams_are_all_answered() {
    const CASE: &str = "a_hundred_short_calls_at_once";
    let app = App::start(&["grpc.max_concurrent_streams=8"]).await;
    let gateway = TestGateway::to_url(&app.url()).tenant(tenant("acme")).start().await;
    // Without the gateway, this library's own client now and then opens a stream too many, and the call fails.
    let through = Way::through(&gateway, "acme").case(CASE).await;
    let served = through[CASE].as_array().unwrap().iter().filter(|verdict| verdict["status"] == "OK").count();
    assert_eq!(served, 100, "{through:?}");
}

#[tokio::test]
async fn a_client_that_waits_for_the_gateway_is_served_when_it_is_there() {
    let app = App::start(&[]).await;
    let mut gateway = TestGateway::to_url(&app.url()).plaintext().tenant(tenant("acme")).start().await;
    let way = Way::through(&gateway, "acme");
    let address = gateway.http.to_string();
    assert!(gateway.stop().await.success());
    let mut client = way.begin(&["--only", "waits_until_somebody_is_there"]).await;
    assert_eq!(client.next().await.unwrap().0, "waiting");
    gateway.set("listen.http", &address);
    gateway.start_again().await;
    assert_eq!(client.next().await.unwrap().1["status"], "OK");
}

#[tokio::test]
async fn a_stream_under_way_outlives_the_beginning_of_a_drain() {
    let app = App::start(&[]).await;
    let mut gateway = TestGateway::to_url(&app.url()).tenant(tenant("acme")).start().await;
    let mut client = Way::through(&gateway, "acme").begin(&["--only", "a_stream_that_goes_on_for_a_while"]).await;
    assert_eq!(client.next().await.unwrap().0, "begun");
    let status = gateway.stop().await;
    assert_eq!(client.next().await.unwrap().1["status"], "OK");
    assert!(status.success());
}

#[tokio::test]
async fn a_stream_that_carries_more_than_a_body_may_says_that_a_resource_is_exhausted() {
    const CASE: &str = "a_stream_with_more_than_is_taken";
    let app = App::start(&[]).await;
    let gateway = TestGateway::to_url(&app.url()).set("limits.max_body", "256KiB").tenant(tenant("acme")).start().await;
    let verdict = Way::through(&gateway, "acme").case(CASE).await.remove(CASE).unwrap();
    assert_eq!((&verdict["status"], &verdict["some"]), (&json!("RESOURCE_EXHAUSTED"), &json!(true)), "{verdict}");
}
