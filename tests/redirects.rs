//! While TLS is on, the plaintext listener serves nothing: it points known hosts to https and knows no others.

use crate::support::{TestGateway, Upstream, tenant};

#[tokio::test]
async fn known_hosts_are_pointed_to_https_with_path_and_query_and_others_are_not_found() {
    let origin = Upstream::echoing().start().await;
    for (setting, shown) in [("0", None), ("443", Some(String::new())), ("9443", Some(":9443".to_owned()))] {
        let gateway = TestGateway::to(&origin).set("listen.public_https_port", setting).certificate("acme.test");
        let gateway = gateway.tenant(tenant("acme").with("customDomain", "acme.test"));
        let gateway = gateway.tenant(tenant("globex").with("customDomain", "globex.test")).start().await;
        let port = shown.unwrap_or_else(|| format!(":{}", gateway.https.unwrap().port()));
        let known = [
            ("GET /", "acme.example.localhost", format!("https://acme.example.localhost{port}/")),
            ("GET /a%2Fb/../c?x=1&y=%20", "acme.example.localhost", format!("https://acme.example.localhost{port}/a%2Fb/../c?x=1&y=%20")),
            ("POST /p", "ACME.Example.Localhost.:8080", format!("https://acme.example.localhost{port}/p")),
            ("DELETE //evil.test/", "acme.example.localhost", format!("https://acme.example.localhost{port}//evil.test/")),
            ("GET /?q", "acme.test", format!("https://acme.test{port}/?q")),
            ("GET /", "api.example.localhost", format!("https://api.example.localhost{port}/")),
            ("OPTIONS *", "acme.example.localhost", format!("https://acme.example.localhost{port}/")),
            ("GET http://acme.example.localhost/x", "acme.example.localhost", format!("https://acme.example.localhost{port}/x")),
        ];
        for (line, host, location) in known {
            let answer = gateway.plain().await.ask(format!("{line} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await.expect(308);
            assert_eq!(answer.header("location"), location, "{line} {host}");
            assert!(!answer.header("x-request-id").is_empty());
        }
        for host in ["nobody.example.localhost", "example.localhost", "globex.test", "127.0.0.1", "evil.test"] {
            let answer = gateway.plain().await.ask(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
            answer.expect(404).code("tenant_not_found");
        }
        let bad = gateway.plain().await.ask("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").await;
        bad.expect(400).code("bad_request");
    }
    assert!(origin.seen().is_empty(), "a redirect reached the app");
}
