//! The PROXY protocol: whom a trusted proxy names is the client, its connections are not served without a name, and nobody
//! else's word counts.

mod headers;
mod peers;

use std::time::{Duration, Instant};

use http::Version;
use reqwest::Method;
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use self::headers::{Cut, LOCAL, TCP4, UNIX, UNSPEC, behind, v1, v2, v2_of};
use crate::support::gateway::GatewayBuilder;
use crate::support::upstream::RunningUpstream;
use crate::support::{Answer, Raw, TestGateway, Upstream, VERSIONS, eventually, tenant, within};

/// The trusted proxy that a test is, and an address that it has besides.
const PROXY: &str = "127.0.0.1";
const STRANGER: &str = "127.0.0.2";
const REQUEST: &str = "GET / HTTP/1.1\r\nhost: acme.example.localhost\r\n\r\n";

/// Trusts [`PROXY`] and a network of proxies before it.
fn behind_a_proxy(origin: &RunningUpstream) -> GatewayBuilder {
    let builder =
        TestGateway::to(origin).set("listen.proxy_protocol", "true").set("listen.trusted_proxies", "127.0.0.1/32, 203.0.113.0/24");
    builder.tenant(tenant("acme"))
}

/// One with TLS and one without.
async fn both(origin: &RunningUpstream) -> [TestGateway; 2] {
    [behind_a_proxy(origin).start().await, behind_a_proxy(origin).plaintext().start().await]
}

/// GET by a client of the proxy, which sends this header.
async fn get(gateway: &TestGateway, version: Version, header: &[u8], path: &str, fields: &[(&str, &str)]) -> Answer {
    let way = behind(gateway.tcp_from(PROXY).await, header, Cut::Nowhere);
    gateway.connect_over(way, version, "acme").await.send(Method::GET, path, fields, "").await.expect("an answer")
}

/// The lines of a field that the app has seen.
fn seen(answer: &Answer, field: &str) -> Vec<String> {
    let document = answer.json();
    let lines = document["headers"][field].as_array().cloned().unwrap_or_default();
    lines.iter().map(|line| line.as_str().unwrap().to_owned()).collect()
}

async fn client_in_the_log(gateway: &TestGateway, path: &str) -> String {
    gateway.access_record(|record| record["path"] == path).await["client"].as_str().unwrap().to_owned()
}

async fn refused(gateway: &TestGateway, reason: &str) -> u64 {
    number(gateway, &format!("gatehouse_connections_refused_total{{reason=\"{reason}\"}}")).await
}

async fn number(gateway: &TestGateway, name: &str) -> u64 {
    // Over a connection of its own: one that was idle for as long as a test waits may be closing.
    let request = gateway.client_with(|client| client).get(format!("http://{}/metrics", gateway.admin));
    let metrics = crate::support::gateway::send(request).await.expect(200).text();
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name}: {metrics}")).parse().unwrap()
}

#[tokio::test]
async fn whom_the_header_names_is_the_client_however_the_header_arrives_and_whatever_follows() {
    let origin = Upstream::echoing().start().await;
    let headers = [
        (v1("192.0.2.1"), "192.0.2.1"),
        (v1("2001:db8::1"), "2001:db8::1"),
        (v1("::ffff:192.0.2.2"), "192.0.2.2"),
        (v2("192.0.2.3", b""), "192.0.2.3"),
        (v2("2001:db8::2", b""), "2001:db8::2"),
        (v2("192.0.2.4", &[4; 3000]), "192.0.2.4"),
    ];
    for gateway in both(&origin).await {
        let mut asked = Vec::new();
        for version in VERSIONS {
            for cut in [Cut::Nowhere, Cut::Everywhere, Cut::NotEvenAtItsEnd] {
                for (header, client) in &headers {
                    let path = format!("/{version:?}/{cut:?}/{client}");
                    let way = behind(gateway.tcp_from(PROXY).await, header, cut);
                    let mut connection = gateway.connect_over(way, version, "acme").await;
                    for _ in 0..2 {
                        let answer = connection.get(&path).await.expect(200);
                        assert_eq!(seen(&answer, "x-forwarded-for"), [*client], "{path}");
                    }
                    asked.push((path, *client));
                }
            }
        }
        for (path, client) in asked {
            assert_eq!(client_in_the_log(&gateway, &path).await, client, "{path}");
        }
        assert_eq!(refused(&gateway, "proxy_protocol").await, 0);
    }
}

#[tokio::test]
async fn a_proxy_that_names_nobody_is_the_client_itself_and_what_it_forwards_is_continued() {
    let origin = Upstream::echoing().start().await;
    let headers = [
        ("unknown", b"PROXY UNKNOWN\r\n".to_vec()),
        ("unknown-with-more", b"PROXY UNKNOWN 192.0.2.1 192.0.2.80 1 2\r\n".to_vec()),
        ("local", v2_of(LOCAL, &[])),
        ("local-with-addresses", v2_of([LOCAL[0], TCP4[1]], &[192, 0, 2, 1, 192, 0, 2, 80, 0, 1, 0, 2])),
        ("unspec", v2_of(UNSPEC, &[7; 20])),
        ("unix", v2_of(UNIX, &[b'/'; 216])),
    ];
    for gateway in both(&origin).await {
        for (name, header) in &headers {
            let answer = get(&gateway, Version::HTTP_11, header, &format!("/{name}"), &[]).await.expect(200);
            assert_eq!(seen(&answer, "x-forwarded-for"), [PROXY], "{name}");
            let forwarded = [("x-forwarded-for", "198.51.100.9")];
            let answer = get(&gateway, Version::HTTP_2, header, &format!("/{name}/forwarded"), &forwarded).await.expect(200);
            assert_eq!(seen(&answer, "x-forwarded-for"), ["198.51.100.9, 127.0.0.1"], "{name}");
        }
        for (name, _) in &headers {
            assert_eq!(client_in_the_log(&gateway, &format!("/{name}")).await, PROXY);
            assert_eq!(client_in_the_log(&gateway, &format!("/{name}/forwarded")).await, "198.51.100.9");
        }
    }
}

#[tokio::test]
async fn forwarding_fields_of_a_named_client_are_continued_only_if_it_is_a_trusted_proxy_as_well() {
    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let origin = Upstream::echoing().start().await;
    let gateway = behind_a_proxy(&origin).start().await;
    let fields = [
        ("x-forwarded-for", "198.51.100.9"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "before.test"),
        ("forwarded", "for=198.51.100.9"),
        ("traceparent", TRACE),
    ];
    for version in VERSIONS {
        let path = format!("/trusted/{version:?}");
        let answer = get(&gateway, version, &v2("203.0.113.5", b""), &path, &fields).await.expect(200);
        assert_eq!(seen(&answer, "x-forwarded-for"), ["198.51.100.9, 203.0.113.5"]);
        assert_eq!(
            (seen(&answer, "x-forwarded-proto"), seen(&answer, "x-forwarded-host")),
            (vec!["http".into()], vec!["before.test".into()])
        );
        let forwarded = seen(&answer, "forwarded");
        assert!(forwarded[0].starts_with("for=198.51.100.9, for=203.0.113.5;"), "{forwarded:?}");
        assert_eq!(seen(&answer, "traceparent"), [TRACE]);
        assert_eq!(client_in_the_log(&gateway, &path).await, "198.51.100.9");

        let path = format!("/other/{version:?}");
        let answer = get(&gateway, version, &v1("192.0.2.1"), &path, &fields).await.expect(200);
        assert_eq!(seen(&answer, "x-forwarded-for"), ["192.0.2.1"]);
        assert_eq!(seen(&answer, "x-forwarded-proto"), ["https"]);
        assert!(seen(&answer, "x-forwarded-host")[0].starts_with("acme.example.localhost"), "{}", answer.text());
        let forwarded = seen(&answer, "forwarded");
        assert!(forwarded.len() == 1 && forwarded[0].starts_with("for=192.0.2.1;"), "{forwarded:?}");
        let trace = seen(&answer, "traceparent");
        assert!(trace.len() == 1 && trace[0] != TRACE, "{trace:?}");
        assert_eq!(client_in_the_log(&gateway, &path).await, "192.0.2.1");
    }
}

#[tokio::test]
async fn a_trusted_proxy_without_a_whole_and_good_header_is_cut_off_counted_and_told() {
    let origin = Upstream::replying("never").start().await;
    let good = v2("192.0.2.1", b"");
    let bad = [
        REQUEST.into(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        // The beginning of a ClientHello.
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        [b"PROXY TCP4 192.0.2.1 192.0.2.80 40000\r\n", REQUEST.as_bytes()].concat(),
        [b"PROXY TCP4 192.0.2.1 192.0.2.80 40000 443\n", REQUEST.as_bytes()].concat(),
        [v2_of([0x31, TCP4[1]], &[0; 12]), REQUEST.into()].concat(),
        [v2_of(TCP4, &[0; 11]), REQUEST.into()].concat(),
        good[..good.len() - 1].to_vec(),
        b"PROXY TCP4 192".to_vec(),
        Vec::new(),
    ];
    for gateway in both(&origin).await {
        for (index, octets) in bad.iter().enumerate() {
            let mut stream = gateway.tcp_from(PROXY).await;
            stream.write_all(octets).await.unwrap();
            stream.shutdown().await.unwrap();
            assert_eq!(Raw::over(stream).rest().await, b"", "{index}");
            eventually("it is counted", || async { (refused(&gateway, "proxy_protocol").await == index as u64 + 1).then_some(()) }).await;
        }
        assert_eq!(refused(&gateway, "handshake").await, 0);
        let told: Vec<Value> = gateway.log().iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let told: Vec<&Value> =
            told.iter().filter(|line| line.to_string().contains("a trusted proxy's connection is not served")).collect();
        assert!(!told.is_empty() && told.len() < bad.len(), "once in a while, and who says nothing is no trouble: {told:?}");
        let line = told[0].to_string();
        assert!(line.contains("it does not begin with a PROXY header") && line.contains("\"proxy\":\"127.0.0.1\""), "{line}");
        assert_eq!(get(&gateway, Version::HTTP_11, &good, "/", &[]).await.expect(200).text(), "never");
    }
    assert_eq!(origin.seen().len(), 2, "the good ones");
}

#[tokio::test]
async fn the_header_and_the_handshake_have_to_come_within_the_limit_of_one() {
    let origin = Upstream::replying("never").start().await;
    let gateway = behind_a_proxy(&origin).set("limits.header_timeout", "3s").start().await;
    let ends_in_time = async |begun: Instant, mut wire: Raw| {
        assert_eq!(wire.rest().await, b"");
        let took = begun.elapsed();
        assert!(took > Duration::from_millis(2900) && took < Duration::from_millis(4800), "{took:?}");
    };
    let silent = async {
        let begun = Instant::now();
        ends_in_time(begun, Raw::over(gateway.tcp_from(PROXY).await)).await;
    };
    let within_the_header = async {
        let begun = Instant::now();
        let mut wire = Raw::over(gateway.tcp_from(PROXY).await);
        wire.send("PROXY TCP4 192.0.2.1").await;
        ends_in_time(begun, wire).await;
    };
    // Each has enough for one, but not for both.
    let after_a_slow_header = async {
        let begun = Instant::now();
        let mut wire = Raw::over(gateway.tcp_from(PROXY).await);
        let mut pace = tokio::time::interval(Duration::from_millis(525));
        for piece in v1("192.0.2.1").chunks(10) {
            pace.tick().await;
            wire.send(piece).await;
        }
        assert!(begun.elapsed() > Duration::from_millis(2000));
        ends_in_time(begun, wire).await;
    };
    tokio::join!(silent, within_the_header, after_a_slow_header);
    assert_eq!((refused(&gateway, "proxy_protocol").await, refused(&gateway, "handshake").await), (2, 1));
}

#[tokio::test]
async fn other_peers_are_served_without_a_header_and_with_one_not_at_all() {
    let origin = Upstream::echoing().start().await;
    for gateway in both(&origin).await {
        for version in VERSIONS {
            let path = format!("/{version:?}");
            let mut connection = gateway.connect_over(gateway.tcp_from(STRANGER).await, version, "acme").await;
            let answer = connection.get_with(&path, ("x-forwarded-for", "192.0.2.1")).await.expect(200);
            assert_eq!(seen(&answer, "x-forwarded-for"), [STRANGER]);
            assert_eq!(client_in_the_log(&gateway, &path).await, STRANGER);
        }
        let served = origin.seen().len();
        for header in [v1("192.0.2.1"), v2("192.0.2.1", b""), v2_of(LOCAL, &[])] {
            let mut stream = Raw::over(gateway.tcp_from(STRANGER).await);
            stream.send([&header[..], REQUEST.as_bytes()].concat()).await;
            let said = String::from_utf8_lossy(&stream.rest().await).into_owned();
            assert!(gateway.https.is_some() || said.starts_with("HTTP/1.1 400 "), "{said}");
            let way = behind(gateway.tcp_from(STRANGER).await, &header, Cut::Nowhere);
            if gateway.https.is_some() {
                let shaken = within("an end of the handshake", gateway.tls_over(way, "acme", "h2")).await;
                assert!(shaken.is_err(), "there is TLS behind a header");
            }
        }
        assert_eq!(origin.seen().len(), served);
        assert_eq!(refused(&gateway, "proxy_protocol").await, 0);
        assert_eq!(refused(&gateway, "handshake").await, if gateway.https.is_some() { 6 } else { 0 });
    }
}

#[tokio::test]
async fn a_named_client_counts_for_trusted_networks_and_an_unnamed_one_is_in_none() {
    let origin = Upstream::replying("in").start().await;
    let gateway = behind_a_proxy(&origin)
        .set("tenancy.header_auth", "none")
        .set("tenancy.trusted_networks", "127.0.0.0/8, 192.0.2.0/24, 203.0.113.0/24")
        .start()
        .await;
    let status = async |from: &str, header: &[u8], more: &[(&str, &str)]| {
        let way = behind(gateway.tcp_from(from).await, header, Cut::Nowhere);
        let mut connection = gateway.connect_over(way, Version::HTTP_11, "api").await;
        let fields = [&[("x-tenant-id", "acme")], more].concat();
        connection.send(Method::GET, "/", &fields, "").await.unwrap().status
    };
    let through_more = [("x-forwarded-for", "192.0.2.1")];
    assert_eq!(status(STRANGER, b"", &[]).await, 200);
    assert_eq!(status(PROXY, &v2("192.0.2.1", b""), &[]).await, 200);
    assert_eq!(status(PROXY, &v2("198.51.100.9", b""), &[]).await, 401);
    assert_eq!(status(PROXY, &v2("198.51.100.9", b""), &through_more).await, 401);
    assert_eq!(status(PROXY, &v2("203.0.113.5", b""), &through_more).await, 200, "two proxies, both trusted");
    assert_eq!(status(PROXY, &v2_of(LOCAL, &[]), &[]).await, 200, "the proxy itself");
    for unnamed in [b"PROXY UNKNOWN\r\n".to_vec(), v2_of(UNSPEC, &[]), v2_of(UNIX, &[0; 216])] {
        assert_eq!(status(PROXY, &unnamed, &[]).await, 401);
        assert_eq!(status(PROXY, &unnamed, &through_more).await, 401);
    }
}

#[tokio::test]
async fn the_redirect_to_https_takes_a_header_too() {
    let origin = Upstream::replying("never").start().await;
    let gateway = behind_a_proxy(&origin).start().await;
    let https = gateway.https.unwrap();
    for (header, status) in [(v1("192.0.2.1"), Some(308)), (v2("192.0.2.1", b"more"), Some(308)), (Vec::new(), None)] {
        let mut wire = Raw::over(tokio::net::TcpStream::connect(gateway.http).await.unwrap());
        wire.send([&header[..], b"GET /a HTTP/1.1\r\nhost: acme.example.localhost\r\nconnection: close\r\n\r\n"].concat()).await;
        let said = String::from_utf8(wire.rest().await).unwrap();
        match status {
            Some(status) => {
                assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{said}");
                assert!(said.contains(&format!("https://acme.example.localhost:{}/a", https.port())), "{said}");
            }
            None => assert_eq!(said, ""),
        }
    }
    let record = gateway.access_record(|record| record["path"] == "/a").await;
    assert_eq!((&record["client"], &record["status"]), (&"192.0.2.1".into(), &308.into()));
}

#[tokio::test]
async fn a_connection_that_waits_for_its_header_has_a_place_among_all_and_gives_it_back() {
    let origin = Upstream::replying("in").start().await;
    // Of one worker, so that connections are taken in their order.
    let builder = behind_a_proxy(&origin).set("listen.workers", "1").set("limits.max_connections", "1");
    let gateway = builder.plaintext().start().await;
    let silent = gateway.tcp_from(PROXY).await;
    assert_eq!(Raw::over(gateway.tcp_from(STRANGER).await).rest().await, b"", "there is no other place");
    assert_eq!(refused(&gateway, "limit").await, 1);
    drop(silent);
    eventually("it is gone", || async { (refused(&gateway, "proxy_protocol").await == 1).then_some(()) }).await;
    assert_eq!(get(&gateway, Version::HTTP_11, &v1("192.0.2.1"), "/", &[]).await.expect(200).text(), "in");
}

#[tokio::test]
async fn a_drain_waits_for_a_header_no_longer_than_the_header_may_take() {
    let origin = Upstream::replying("never").start().await;
    let mut gateway = behind_a_proxy(&origin).set("limits.header_timeout", "1s").start().await;
    let mut held = Raw::over(gateway.tcp_from(PROXY).await);
    held.send("PROXY TCP4").await;
    eventually("it is in", || async { (number(&gateway, "gatehouse_connections{listener=\"https\"}").await == 1).then_some(()) }).await;
    let begun = Instant::now();
    assert_eq!(gateway.stop().await.code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert_eq!(held.rest().await, b"");
}
