//! Nothing is sent to a private address, by whatever name, unless the operator allows it.

use super::receiver::Receiver;
use super::{endpoint, gateway, make, until};
use crate::support::nginx::free;

#[tokio::test]
async fn private_addresses_are_refused_after_the_look_up_and_in_every_spelling() {
    let receiver = Receiver::willing().await;
    let hosts = [
        "localhost",
        "127.0.0.1",
        "0x7f000001",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "169.254.169.254",
        "10.0.0.1",
        "0.0.0.0",
    ];
    let of = |(number, host): (usize, &&str)| endpoint(&format!("e{number}"), &format!("https://{host}:{}/", receiver.port()), "");
    let endpoints: String = hosts.iter().enumerate().map(of).collect();
    let gateway = gateway().set("events.allow_private", "false").set("events.retry", "[]").toml(&endpoints).start().await;
    make(&gateway, "acme").await;
    let event = until(&gateway, "tenant.created", "failed").await;
    for (delivery, host) in event["deliveries"].as_array().unwrap().iter().zip(hosts) {
        let attempt = &delivery["lastAttempt"];
        let error = attempt["error"].as_str().unwrap();
        assert!(error.starts_with("refused: ") && attempt["status"].is_null(), "{host}: {error}");
    }
    let error = &event["deliveries"][0]["lastAttempt"]["error"];
    assert!(error.as_str().unwrap().ends_with("is a loopback address, which events.allow_private does not allow"), "{error}");
    assert!(receiver.told().is_empty());
}

#[tokio::test]
async fn metadata_services_and_clear_text_to_the_internet_are_refused_even_where_private_addresses_are_allowed() {
    let endpoints = ["http://169.254.169.254/latest", "http://[fd00:ec2::254]/latest", "http://1.1.1.1/hooks"];
    let endpoints: String = endpoints.iter().enumerate().map(|(number, url)| endpoint(&format!("e{number}"), url, "")).collect();
    let gateway = gateway().set("events.retry", "[]").toml(&endpoints).start().await;
    make(&gateway, "acme").await;
    let event = until(&gateway, "tenant.created", "failed").await;
    for (delivery, what) in event["deliveries"].as_array().unwrap().iter().zip(["metadata", "metadata", "https only"]) {
        let error = delivery["lastAttempt"]["error"].as_str().unwrap();
        assert!(error.starts_with("refused: ") && error.contains(what), "{error}");
    }
}

#[tokio::test]
async fn the_gateway_never_tells_itself() {
    let (admin, http) = (free(), free());
    let endpoints = [
        format!("http://{admin}/admin/events"),
        format!("http://127.0.0.9:{}/", http.port()),
        format!("http://localhost:{}/", http.port()),
    ];
    let endpoints: String = endpoints.iter().enumerate().map(|(number, url)| endpoint(&format!("e{number}"), url, "")).collect();
    let gateway = gateway().set("listen.admin", &admin.to_string()).set("listen.http", &format!("0.0.0.0:{}", http.port()));
    let gateway = gateway.set("events.retry", "[]").toml(&endpoints).start().await;
    make(&gateway, "acme").await;
    let event = until(&gateway, "tenant.created", "failed").await;
    for delivery in event["deliveries"].as_array().unwrap() {
        let error = delivery["lastAttempt"]["error"].as_str().unwrap();
        assert!(error.starts_with("refused: ") && error.ends_with("one of the gateway's own listeners"), "{error}");
    }
}
