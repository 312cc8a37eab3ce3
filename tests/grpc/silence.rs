//! Time: streams in which nothing is said, answers that take long, and PINGs.

use super::peer::{App, Way, assert_same};
use crate::support::gateway::GatewayBuilder;
use crate::support::{TestGateway, tenant};

/// A gateway whose patience ends long before what the cases wait for.
fn impatient(app: &App) -> GatewayBuilder {
    let builder = TestGateway::to_url(&app.url()).tenant(tenant("acme"));
    builder.set("limits.idle_timeout", "1s").set("upstream.response_timeout", "1s").set("upstream.idle_timeout", "1s")
}

#[tokio::test]
async fn a_stream_in_which_nothing_is_said_goes_on_once_the_app_has_begun_to_answer() {
    const CASE: &str = "streams_in_which_nothing_is_said";
    let app = App::start(&[]).await;
    let gateway = impatient(&app).start().await;
    let (direct, way) = (app.direct(), Way::through(&gateway, "acme"));
    let (direct, through) = tokio::join!(direct.case(CASE), way.case(CASE));
    assert_same(&direct, &through);
    assert_eq!(through[CASE]["heard"], "still here");
}

#[tokio::test]
async fn pings_of_either_end_are_answered_and_end_nothing() {
    const CASE: &str = "streams_in_which_nothing_is_said";
    const OFTEN: [&str; 4] = [
        "grpc.keepalive_time_ms=300",
        "grpc.keepalive_timeout_ms=1000",
        "grpc.keepalive_permit_without_calls=1",
        "grpc.http2.max_pings_without_data=0",
    ];
    const BEAR: [&str; 2] = ["grpc.http2.min_ping_interval_without_data_ms=100", "grpc.http2.max_ping_strikes=0"];
    let app = App::start(&[&OFTEN[..], &BEAR].concat()).await;
    let gateway = impatient(&app).start().await;
    let options = OFTEN.join(",");
    let arguments = ["--only", CASE, "--channel", options.as_str()];
    let (direct, way) = (app.direct(), Way::through(&gateway, "acme"));
    let (direct, through) = tokio::join!(direct.run(&arguments), way.run(&arguments));
    assert_same(&direct, &through);
}

#[tokio::test]
async fn an_answer_may_take_as_long_as_the_client_s_deadline() {
    const CASE: &str = "an_answer_that_takes_as_long_as_its_deadline_allows";
    let app = App::start(&[]).await;
    let gateway = impatient(&app).start().await;
    let (direct, way) = (app.direct(), Way::through(&gateway, "acme"));
    let (direct, through) = tokio::join!(direct.case(CASE), way.case(CASE));
    assert_same(&direct, &through);
    assert_eq!(through[CASE][0]["status"], "OK");
}
