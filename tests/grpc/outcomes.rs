//! All cases, directly and through the gateway.

use super::peer::{App, Way, assert_same};
use crate::support::{TestGateway, tenant};

#[tokio::test]
async fn calls_have_the_same_outcome_directly_and_through_the_gateway_in_clear() {
    let direct = App::start(&[]).await.direct().run_all().await;
    // The last case has ended the first app.
    let app = App::start(&[]).await;
    let gateway = TestGateway::to_url(&app.url()).plaintext().tenant(tenant("acme")).start().await;
    let through = Way::through(&gateway, "acme").run_all().await;
    assert_same(&direct, &through);
    assert!(through.len() > 25, "{}", through.len());
}

#[tokio::test]
async fn calls_have_the_same_outcome_directly_and_through_the_gateway_over_tls() {
    let direct = App::start_over_tls().await.direct().run_all().await;
    let app = App::start_over_tls().await;
    let gateway = TestGateway::to_url(&app.url()).set("upstream.ca_file", &app.ca().display().to_string());
    let gateway = gateway.tenant(tenant("acme")).start().await;
    let through = Way::through(&gateway, "acme").run_all().await;
    assert_same(&direct, &through);
    assert!(through.len() > 25, "{}", through.len());
}

/// The cases that need nothing of an app but the calls themselves.
const OF_NODE: [&str; 24] = [
    "unary",
    "server_streaming",
    "client_streaming",
    "bidirectional_in_turns",
    "bidirectional_each_at_its_own_speed",
    "large_messages",
    "thousands_of_small_messages",
    "many_calls_one_after_the_other",
    "a_hundred_calls_at_once",
    "metadata_both_ways",
    "initial_metadata_come_first",
    "what_the_app_sees",
    "a_status_of_each_kind",
    "details_that_need_an_encoding",
    "a_status_with_metadata",
    "a_status_after_some_messages",
    "no_such_method",
    "answers_before_the_requests_have_ended",
    "deadlines_reach_the_app",
    "deadlines_that_pass",
    "calls_that_the_client_cancels",
    "a_client_that_is_killed",
    "a_client_that_reads_slowly_slows_the_app",
    "an_app_that_reads_slowly_slows_the_client",
];

#[tokio::test]
async fn an_app_of_another_library_is_called_with_the_same_outcome() {
    let app = App::start_with_node().await;
    let gateway = TestGateway::to_url(&app.url()).tenant(tenant("acme")).start().await;
    let names = OF_NODE.join(",");
    let arguments = ["--only", names.as_str()];
    let direct = app.direct().run(&arguments).await;
    let through = Way::through(&gateway, "acme").run(&arguments).await;
    assert_same(&direct, &through);
    assert_eq!(through.len(), OF_NODE.len());
}

#[tokio::test]
async fn a_client_of_another_library_calls_with_the_same_outcome() {
    let app = App::start(&[]).await;
    let gateway = TestGateway::to_url(&app.url()).tenant(tenant("acme")).start().await;
    let (direct, through) = (app.direct().run_with_node().await, Way::through(&gateway, "acme").run_with_node().await);
    assert_same(&direct, &through);
    assert_eq!(through.len(), 9);
}
