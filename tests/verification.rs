//! Every call that took a place is accounted for: over the API, and on the command line with the gateway running or not.

use http::Method;
use serde_json::{Value, json};

use crate::support::{TestGateway, Upstream, eventually, tenant, within_one_day};

fn verify(gateway: &TestGateway, more: &[&str], running: bool) -> (Option<i32>, String) {
    let setting = |key: &str, value: String| format!("{key}={value}");
    let data = gateway.dir.path();
    let admin = if running { gateway.admin.to_string() } else { "127.0.0.1:1".to_owned() };
    let settings = [
        setting("listen.admin", admin),
        setting("store.path", data.join("data").display().to_string()),
        setting("metering.journal", data.join("journal").display().to_string()),
    ];
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_gatehouse"));
    command.current_dir(data).args(["usage", "verify"]).args(more);
    for setting in &settings {
        command.args(["--set", setting]);
    }
    let output = command.output().expect("it runs");
    (output.status.code(), String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn the_sums_close_while_calls_are_in_flight_after_a_kill_and_when_nobody_runs() {
    within_one_day().await;
    let origin = Upstream::with(|request: http::Request<hyper::body::Incoming>| async move {
        if request.uri().path() == "/never" {
            std::future::pending::<()>().await;
        }
        http::Response::new(crate::support::upstream::full("hello"))
    });
    let origin = origin.start().await;
    let acme = tenant("acme").calls_per_day(100);
    let mut gateway = TestGateway::to(&origin).tenant(acme).tenant(tenant("globex").with("upstream", "http://127.0.0.1:1")).start().await;
    for _ in 0..5 {
        gateway.get("acme", "/").await.expect(200);
        gateway.get("globex", "/").await.expect(502);
    }
    let mut connection = gateway.connect(http::Version::HTTP_11, "acme").await;
    let waiting = tokio::spawn(async move { drop(connection.get("/never").await) });
    eventually("one is in flight", || async {
        let one = gateway.admin(Method::GET, "/admin/tenants/acme/usage/verify", Value::Null).await.expect(200).json();
        assert_eq!(one["closes"], true, "{one}");
        (one["inFlight"] == 1).then_some(())
    })
    .await;
    let all = gateway.admin(Method::GET, "/admin/usage/verify", Value::Null).await.expect(200).json();
    let sums = |document: &Value| ["admitted", "metered", "givenBack", "aborted", "inFlight"].map(|name| document[name].as_u64().unwrap());
    assert_eq!((sums(&all), &all["closes"], &all["open"]), ([11, 5, 5, 0, 1], &json!(true), &json!([])));
    let (code, text) = verify(&gateway, &["-o", "json"], true);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(sums(&serde_json::from_str(text.lines().next().unwrap()).unwrap()), [11, 5, 5, 0, 1]);

    gateway.signal("KILL");
    gateway.ended().await;
    waiting.abort();
    let (code, text) = verify(&gateway, &["-o", "json"], false);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(sums(&serde_json::from_str(text.lines().next().unwrap()).unwrap()), [11, 5, 5, 1, 0], "what was in flight is aborted");
    let (code, text) = verify(&gateway, &["acme"], false);
    assert!(code == Some(0) && text.contains("the sums close"), "{text}");
    let (code, text) = verify(&gateway, &["nobody"], false);
    assert!(code == Some(1) && text.contains("no tenant `nobody`"), "{text}");

    gateway.start_again().await;
    gateway.get("acme", "/").await.expect(200);
    let all = gateway.admin(Method::GET, "/admin/usage/verify", Value::Null).await.expect(200).json();
    assert_eq!((sums(&all), &all["closes"]), ([12, 6, 5, 1, 0], &json!(true)));
    let (code, text) = verify(&gateway, &["acme"], true);
    assert!(code == Some(0) && text.contains("the sums close"), "{text}");
    gateway.admin(Method::GET, "/admin/tenants/nobody/usage/verify", Value::Null).await.expect(404);
}
